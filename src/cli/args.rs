//! What a person may write on the command line, and the help that they get.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::checks;
use super::out::When;
use crate::exit::Exit;

/// Watches HTTP APIs and tells people, once and quickly, when one goes down or comes back.
///
/// Without any settings, states are kept in ./api-health.db and alerts are printed here. Settings come from
/// ./api-health.toml (or --settings FILE) and the environment; see `api-health settings show`.
#[derive(Debug, Parser)]
#[command(
    name = "api-health",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = after_help())]
pub struct Cli {
    /// Settings file [default: ./api-health.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub settings: Option<PathBuf>,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum)]
    pub color: When,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to begin with.
pub const EXAMPLES: &str =
    "  api-health demo                               watch a small API go down and come back, offline
  api-health run https://example.com/health     watch an API now, with the defaults
  api-health apis add --url https://example.com/health --name Example
  api-health run                                watch everything that is configured
  api-health probe https://example.com          one probe: phases, verdict, reasons
  api-health status                             what is up and what is down
  api-health alerts test                        see that alerts arrive";

const ADD_EXAMPLES: &str = "\
Examples:
  api-health apis add --url https://example.com/health --name Shop --set interval_seconds=30
  api-health apis add --url example.com --set schedule='*/5 8-18 * * MON-FRI' --set timezone=Europe/Berlin
  api-health apis add --url https://example.com/me --set 'headers.Authorization=Bearer ${env:SHOP_TOKEN}'";

const PROBE_HELP: &str = "\
Exit codes: 0 pass, 1 fail, 2 could not tell, 64 neither an id nor a URL that may be probed.

With --json, every name is stable:
  api_id, name (null for a URL), method, url, address, started_at, took_ms,
  phases { resolve_ms, connect_ms, tls_ms, first_byte_ms, body_ms }, status_code, body_bytes,
  body_cut_at_bound, redirects, location, verdict (pass, fail, inconclusive), reasons[]
What did not happen is null.

Examples:
  api-health probe https://example.com/health
  api-health probe shop --json";

const LIST_HELP: &str = "\
With --json: apis[] with api_id, name, url, method, schedule, enabled, told_within_seconds, tags[],
source, shadowed; refused[] with api_id, source, issues[]; unreadable[] with source, why.

Example:
  api-health apis list --json | jq -r '.apis[].url'";

const IMPORT_HELP: &str = "\
The plan comes first: + a row that is added, ~ one that changes, field by field, - one that is removed.
Then it is asked for a yes. The same import again has nothing to do. A row that somebody changed since
the plan was made is left alone. An import that failed midway goes on when it is run again.

Exit codes: 0 done, or nothing to do; 64 a row is bad, or nobody can be asked and --yes is missing;
69 the table is not available; 75 the answer was no, or some rows were left alone.

Examples:
  api-health apis import apis.toml --dry-run
  api-health apis import apis.toml --yes
  api-health apis import apis.toml --prune";

const STATUS_HELP: &str = "\
With --json, every name is stable:
  at, environment, store, summary { up, down, unknown, disabled, suspect, owed_alerts },
  store_trouble { since, reason } (null while the store takes writes),
  heartbeat { at, age_seconds, is_overdue, instance, program_version, heartbeat_seconds,
              checkpoint_seconds, apis, up, down, unknown, owed, probes, probes_since, late,
              late_api_ids[], inconclusive, inconclusive_api_ids[] } (null if there is none; heartbeat_seconds is null after run --once;
              of several workers the sums, as of the oldest),
  heartbeats[] (the same for each worker),
  apis[] { api_id, name, url, source, configured, enabled, status (up, down, unknown), since,
           not_probed { since, reason } (where the prober itself keeps dying; the status is unknown then),
           suspect { toward, count, needed, first_at }, incident { incident_id, started_at, reason },
           last_probe { at, verdict (pass, fail, inconclusive), latency_ms, status_code, error },
           on_time (as of the heartbeat: true, false, or null where it does not say, or where that
           probe could not tell),
           owed_alerts, missed_ticks },
  unreadable[] { api_id, why }, refused[] { api_id, source }
What is not known is null.

Examples:
  api-health status --down
  api-health status --json | jq -r '.apis[] | select(.status == \"down\") | .api_id'";

const FLEET_HELP: &str = "\
Only what the workers wrote down is read; nobody is asked. A worker was last seen when its figures
were made, up to a minute before; its own clock says so. An SQLite file is owned whole, by one process.

Exit codes: 0 done, 69 the table does not answer, or holds records that cannot be read.

With --json, every name is stable:
  at, store, owner_pid (of an SQLite file; else null), shards, unowned_shards[], writes_schema,
  workers[] { worker, host, state (live, left, fenced), role (worker, standby), session, version,
              since, last_seen_at, last_seen_seconds, lease_seconds, renew_seconds,
              program_version, reads_schema, channels[], shards[] { shard, epoch }, apis },
  asks[] { id, at, what (retry, withdraw, drop_channel), api_id, alert_ids[], incident_id, channel }
What is not known is null.

Examples:
  api-health fleet
  api-health fleet --json | jq -r '.workers[] | select(.state == \"live\") | .host'";

const COST_HELP: &str = "\
Nothing is asked of AWS but what is configured there. How it is reckoned: docs/cost.md.

With --json, every name is stable:
  apis, apis_are (given, configured, assumed), interval_seconds (null if it differs), probes,
  checkpoint_seconds, heartbeat_seconds, reload_seconds, workers, instance (of each worker),
  prices { region, as_of },
  lines[] { item, quantity, unit, usd, confirmed }, dynamodb_usd, total_usd,
  others[] { item, usd, confirmed }
All of it is for a month of 730 hours, in US dollars.

Examples:
  api-health cost --apis 10000 --interval-seconds 30
  api-health cost --workers 2
  api-health cost --json | jq .total_usd";

const ALERTS_LIST_HELP: &str = "\
What came of an attempt is stored within checkpoint_seconds (10), or at once where that is more
than a minute (DynamoDB): the figures may be that old. A restart of `run` tries again within a minute, whatever stands here.

With --json, every name is stable:
  owed[] { alert_id, incident_id, api_id, name, url, kind (down, up, closed), happened_at,
           detected_at, owed_seconds, reason, delivered_to[], owed_to[],
           deliveries[] { channel, delivered, failures, last_error, next_try_at } },
  unreadable[] { api_id, why }

Example:
  api-health alerts list --json | jq -r '.owed[] | [.alert_id, .deliveries[].last_error] | @tsv'";

const ALERTS_RETRY_HELP: &str = "\
Alerts of one API go out in order through each channel: behind one that is not taken, the next is
not tried. Beside a daemon that does not answer, nothing is tried.

Exit codes: 0 all taken over, or nothing owed; 69 some were not, or the daemon does not answer;
64 an id of which nothing is owed.

With --json, every name is stable:
  results[] { alert_id, api_id, kind, channel, result, delivered, why },
  unreadable[] { api_id, why }
The result is taken_over, failed, or not_tried (an earlier one failed, or no process that runs has
the channel).

Examples:
  api-health alerts retry
  api-health alerts retry shop.1795332600000.3.down";

const ALERTS_DROP_HELP: &str = "\
For a channel that is gone for good; its name is that in `alerts list`. What is owed to others stays.

Exit codes: 0 done; 69 the store or the daemon does not answer.

With --json, every name is stable:
  channel, dropped (how many alerts it was owed)

Example:
  api-health alerts drop --channel webhook";

fn after_help() -> String {
    let codes = Exit::TABLE.map(|(exit, meaning)| format!("  {:<3} {meaning}\n", exit.code())).concat();
    format!("Examples:\n{EXAMPLES}\n\nExit codes:\n{}", codes.trim_end())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch: probe every API by its schedule, keep what is known, tell what changes
    Run(RunArgs),
    /// Probe one API once, now, and show every phase
    Probe(ProbeArgs),
    /// List, add, change, import and export the APIs that are watched
    #[command(subcommand)]
    Apis(ApisCommand),
    /// Show what is up, what is down, and since when
    Status(StatusArgs),
    /// Show which workers share the DynamoDB tables, and who owns what
    Fleet(FleetArgs),
    /// Show what is still owed, hand it over now, send a test alert
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Reckon what a month of it costs on AWS, and what others charge for the same
    Cost(CostArgs),
    /// Show the settings in force and where each comes from
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Check, as the user whom the daemon runs as, that everything it needs is there; it writes nothing
    #[command(after_help = checks::help())]
    Doctor(DoctorArgs),
    /// See it work: a small API on loopback goes down and comes back, and is watched (offline, under a minute)
    Demo(DemoArgs),
    /// Print shell completions
    #[command(after_help = "Example:\n  api-health completions bash > /etc/bash_completion.d/api-health")]
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    #[command(after_help = "Example:\n  api-health man > api-health.1 && man ./api-health.1")]
    Man,
}

/// `run`
#[derive(Debug, Args)]
#[command(after_help = "\
Signals:
  SIGTERM, SIGINT   stop: no new probes, those under way finished or cut at a deadline, everything stored
  SIGHUP            read the configs again now

Examples:
  api-health run https://example.com/health https://example.org
  api-health run --once        from cron: one round with its rechecks, stored and told")]
pub struct RunArgs {
    /// Watch these beside what is configured, with the defaults; without a scheme, https:// is meant
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub urls: Vec<String>,

    /// One tick of every enabled API with its rechecks, everything stored and told, then exit
    #[arg(long)]
    pub once: bool,
}

/// `probe`
#[derive(Debug, Args)]
#[command(after_help = PROBE_HELP)]
pub struct ProbeArgs {
    /// A URL, or the id of a configured API
    #[arg(value_name = "URL|API_ID", value_hint = ValueHint::Url)]
    pub target: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `apis …`
#[derive(Debug, Subcommand)]
pub enum ApisCommand {
    /// Add an API to the store's table
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// List every API: from the table and from the file
    #[command(after_help = LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one API as it is configured; text that may be secret is masked, references to secrets are not
    #[command(after_help = "Example:\n  api-health apis show shop")]
    Show {
        /// Its id
        api_id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change fields of an API in the table, or open it in $EDITOR when no field is given
    #[command(after_help = "Example:\n  api-health apis edit shop --set timeout_seconds=5 --unset tags")]
    Edit {
        /// Its id
        api_id: String,
        /// Set a field: NAME=VALUE, the value as in TOML or plain text; headers.NAME is one header
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Take a field away, so that its default holds
        #[arg(long = "unset", value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Remove an API from the table; what is known of it is kept
    #[command(visible_alias = "remove", after_help = "Example:\n  api-health apis rm shop")]
    Rm {
        /// Its id
        api_id: String,
    },
    /// Bring the `[[api]]` tables of a TOML file into the store's table; nothing is written if any row is bad
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file; - is standard input, and needs --yes or --dry-run
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Say what would be written, all of it, and write nothing
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Write without asking
        #[arg(long)]
        yes: bool,
        /// Remove the rows that the file lacks, as `apis rm` does; without it they are kept
        #[arg(long)]
        prune: bool,
    },
    /// Print the table as TOML that can be imported again, literal secrets included
    #[command(after_help = "Example:\n  (umask 077; api-health apis export > apis.toml)")]
    Export,
    /// Check every row, or a file, and name every fault; exit code 64 if there is one
    #[command(after_help = "References to secrets are filled in from here; one that cannot be is a fault.\n\n\
                            Example:\n  api-health apis validate apis.toml")]
    Validate {
        /// A TOML file; without it, everything that is configured
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

/// `apis add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What to probe
    #[arg(long, value_hint = ValueHint::Url)]
    pub url: String,
    /// Its key [default: made from the URL]
    #[arg(long = "id", value_name = "API_ID")]
    pub api_id: Option<String>,
    /// What people call it [default: its id]
    #[arg(long)]
    pub name: Option<String>,
    /// Any other field: NAME=VALUE, the value as in TOML or plain text; headers.NAME is one header
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// `status`
#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct StatusArgs {
    /// Only what is down
    #[arg(long)]
    pub down: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `fleet`
#[derive(Debug, Args)]
#[command(after_help = FLEET_HELP)]
pub struct FleetArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cost`
#[derive(Debug, Args)]
#[command(after_help = COST_HELP)]
pub struct CostArgs {
    /// So many APIs [default: those that are configured, or 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub apis: Option<u64>,
    /// Each probed this often [default: as configured, or 60]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval_seconds: Option<u64>,
    /// As the setting store.checkpoint_seconds [default: as it is set for DynamoDB]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub checkpoint_seconds: Option<u64>,
    /// As the setting apis.reload_seconds [default: as it is set]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub reload_seconds: Option<u64>,
    /// So many workers share the APIs, each on an instance of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=crate::cost::bill::WORKERS_MAX))]
    pub workers: u64,
    /// The EC2 instance of each [default: by the number of probes]
    #[arg(long, value_name = "TYPE", value_parser = ["t4g.nano", "t4g.micro", "t4g.small", "c7g.large"])]
    pub instance: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `alerts …`
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// List the alerts that are owed: for how long, to which channels, why, and when each is tried again
    #[command(after_help = ALERTS_LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hand over now what is owed, and say what came of it: through the running daemon, or here where none runs
    #[command(after_help = ALERTS_RETRY_HELP)]
    Retry {
        /// Only these, and what has to go before them; without any, everything that is owed
        #[arg(value_name = "ALERT_ID")]
        alert_ids: Vec<String>,
        /// Print JSON; alerts for the terminal go to standard error then
        #[arg(long)]
        json: bool,
    },
    /// Give a channel up: what is still owed to it is owed no more
    #[command(after_help = ALERTS_DROP_HELP)]
    Drop {
        /// The name of the channel, such as sns, webhook or terminal
        #[arg(long, value_name = "NAME")]
        channel: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test alert through every channel that is set; says for each whether it was taken over
    #[command(after_help = "The alert's api_id is api-health-test, and its text says that nothing is down.\n\
                            Exit codes: 0 every channel took it, 69 one did not.")]
    Test,
}

/// `settings …`
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Print what is in force and where each value comes from; secrets are masked
    #[command(after_help = "Example:\n  api-health --settings /etc/api-health.toml settings show")]
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Send a test alert through every channel that is set, and say whether each took it
    #[arg(long)]
    pub send_test_message: bool,

    /// Look with the environment of this file in place of this shell's: an EnvironmentFile= of systemd, or
    /// /proc/PID/environ of the daemon; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,

    /// Where the environment came from: how `--env-file` starts this program again
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "env_file")]
    pub env_is_from: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 it told one DOWN and then one UP, 70 it did not.")]
pub struct DemoArgs {
    /// Seconds that the whole story takes, about
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(15..=300))]
    pub seconds: u64,
}
