//! What a person may write on the command line, and the help that they get.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::checks;
use super::help::{
    ALERTS_DROP_HELP, ALERTS_LIST_HELP, ALERTS_RETRY_HELP, COST_HELP, EXPLAIN_HELP, FLEET_HELP, INCIDENTS_LIST_HELP,
    INCIDENTS_NOTE_HELP, INCIDENTS_SHOW_HELP, MAINTENANCE_END_HELP, MAINTENANCE_LIST_HELP, MAINTENANCE_START_HELP,
    PROBE_HELP, STATUS_HELP, WEB_TOKEN_HELP, after_help,
};
use super::incidents::NoteArg;
use super::out::When;
pub use apis::{AddArgs, ApisCommand, ImportArgs};

mod apis;

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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch: probe every API on its schedule, store its state and alert on changes
    Run(RunArgs),
    /// Probe one API once, now, and show every phase
    Probe(ProbeArgs),
    /// List, add, change, import and export the APIs that are watched
    #[command(subcommand)]
    Apis(ApisCommand),
    /// Show what is up, what is down, and since when
    Status(StatusArgs),
    /// Tell the story of one API: the last outcomes, why it is what it is, what was told, and what comes next
    Explain(ExplainArgs),
    /// Show which workers share the DynamoDB tables, and who owns what
    Fleet(FleetArgs),
    /// List owed alerts, deliver them now, send a test alert
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// List incidents, show the story of one, write a note on it
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// Hold alerts for a while: open maintenance windows, list them, end them
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Estimate what a month costs on AWS, and what others charge for the same
    Cost(CostArgs),
    /// Show the settings in force and where each comes from
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Let people look at the page from other machines
    #[command(subcommand)]
    Web(WebCommand),
    /// Check, as the daemon's user, that everything the daemon needs is there; writes nothing
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
  SIGTERM, SIGINT   stop: start no probes, let running ones finish up to a deadline, store everything
  SIGHUP            read the configs again now

Examples:
  api-health run https://example.com/health https://example.org
  api-health run --once        from cron: one round with rechecks, results stored and alerts sent")]
pub struct RunArgs {
    /// Watch these URLs too, with the defaults; without a scheme, https:// is assumed
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub urls: Vec<String>,

    /// Probe every enabled API once with rechecks, store the results, send the alerts, then exit
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

/// `status`
#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct StatusArgs {
    /// Only what is down
    #[arg(long)]
    pub down: bool,
    /// Go on: draw it again every 2 s (30 s with DynamoDB) on a terminal, print a line for each change elsewhere
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `explain`
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_HELP)]
pub struct ExplainArgs {
    /// Its id
    pub api_id: String,
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
    /// Number of APIs [default: those that are configured, or 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub apis: Option<u64>,
    /// Seconds between probes of one API [default: as configured, or 60]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval_seconds: Option<u64>,
    /// Value of store.checkpoint_seconds [default: as it is set for DynamoDB]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub checkpoint_seconds: Option<u64>,
    /// Value of apis.reload_seconds [default: as it is set]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub reload_seconds: Option<u64>,
    /// Number of workers that share the APIs, each on its own instance
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
        /// Only what is owed to this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver owed alerts now and show the result: through the running daemon, or from here if none runs
    #[command(after_help = ALERTS_RETRY_HELP)]
    Retry {
        /// Only these, and those that must go before them [default: every owed alert]
        #[arg(value_name = "ALERT_ID")]
        alert_ids: Vec<String>,
        /// Only those that are owed to this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Print JSON; alerts for the terminal go to standard error then
        #[arg(long)]
        json: bool,
    },
    /// Give up a channel: alerts still owed to it are dropped
    #[command(after_help = ALERTS_DROP_HELP)]
    Drop {
        /// The name of the channel: sns, webhook, terminal, or that of a [[notify.channel]]
        #[arg(long, value_name = "NAME")]
        channel: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test alert through every configured channel, and say for each whether it was delivered
    #[command(after_help = "The alert's api_id is api-health-test, and its text says that nothing is down.\n\
                            Exit codes: 0 every channel took it, 69 one did not, 64 no channel has this name.")]
    Test {
        /// Through this channel alone
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
    },
}

/// `incidents …`
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// List what is open, and what began in a month and is over
    #[command(after_help = INCIDENTS_LIST_HELP)]
    List {
        /// The month, such as 2026-11 [default: this one]
        #[arg(long, value_name = "MONTH")]
        month: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the story of one: what happened when, who was told, what was seen, what people wrote on it
    #[command(after_help = INCIDENTS_SHOW_HELP)]
    Show {
        /// Its id, as `incidents list` and its page say
        incident_id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a note on one, open or over, for its page, the feed and the JSON API
    Note(NoteArgs),
}

/// `incidents note`
#[derive(Debug, Args)]
#[command(after_help = INCIDENTS_NOTE_HELP)]
pub struct NoteArgs {
    /// Its id, as `incidents list` and its page say
    pub incident_id: String,
    /// The note, of 1000 characters at most
    pub text: String,
    /// How far things are
    #[arg(long, value_enum)]
    pub kind: Option<NoteArg>,
    /// Who writes it [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `maintenance …`
#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Open a window: the APIs are probed as usual and their alerts are held; at its end a status that differs from the last one told is told
    #[command(after_help = MAINTENANCE_START_HELP)]
    Start {
        /// How long it lasts, such as 30m, 2h or 1d
        #[arg(long = "for", value_name = "TIME")]
        lasts: String,
        /// What it is for, in a few words
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the windows that are open, by hand or by the config of the API
    #[command(after_help = MAINTENANCE_LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End windows that were opened by hand
    #[command(after_help = MAINTENANCE_END_HELP)]
    End {
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which APIs a window is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Whose {
    /// An API; may be given again
    #[arg(long = "api", value_name = "API_ID")]
    pub api_ids: Vec<String>,
    /// Every API with this tag; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Every API
    #[arg(long)]
    pub all: bool,
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
    /// Print the JSON Schema of a settings file, by which editors complete and check
    #[command(after_help = "Example:\n  api-health settings schema > api-health.schema.json")]
    Schema,
}

/// `web …`
#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Make a token: print it, and the line for the settings that lets in whoever has it
    #[command(after_help = WEB_TOKEN_HELP)]
    Token {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Send a test alert through every configured channel, and say whether each took it
    #[arg(long)]
    pub send_test_message: bool,

    /// Use the environment in this file instead of this shell's: an EnvironmentFile= of systemd, or
    /// /proc/PID/environ of the daemon; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 it alerted DOWN and then UP, 70 it did not.")]
pub struct DemoArgs {
    /// Seconds that the whole story takes, about
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(15..=300))]
    pub seconds: u64,
}
