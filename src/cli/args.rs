//! What a person may write on the command line, and the help that they get.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

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
#[command(after_help = AFTER_HELP)]
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

const AFTER_HELP: &str = "\
Examples:
  api-health demo                               watch a small API go down and come back, offline
  api-health run https://example.com/health     watch an API now, with the defaults
  api-health apis add --url https://example.com/health --name Example
  api-health run                                watch everything that is configured
  api-health probe https://example.com          one probe: phases, verdict, reasons
  api-health status                             what is up and what is down

Exit codes:
  0   all is well
  1   probe: the API failed; other commands: it is not there
  2   probe: nothing can be said of the API
  64  the command line, the settings or a config are bad; every fault is named
  69  the store, a file or AWS is not available
  70  a fault of api-health itself
  75  run --once: done, but alerts could not be delivered yet and stay owed";

/// When something is done that depends on where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
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
    /// Show what is still owed; send a test alert
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Show the settings in force and where each comes from
    #[command(subcommand)]
    Settings(SettingsCommand),
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
#[command(after_help = "\
Exit codes: 0 pass, 1 fail, 2 could not tell.

Examples:
  api-health probe https://example.com/health
  api-health probe shop --json")]
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
    #[command(
        after_help = "Example:\n  api-health apis add --url https://example.com/health --name Shop --set interval_seconds=30"
    )]
    Add(AddArgs),
    /// List every API: from the table and from the file
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one API as it is configured, secrets as they were written
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
        /// Set a field: NAME=VALUE, the value as in TOML or plain text
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Take a field away, so that its default holds
        #[arg(long = "unset", value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Remove an API from the table
    #[command(visible_alias = "remove")]
    Rm {
        /// Its id
        api_id: String,
    },
    /// Bring the [[api]] tables of a TOML file into the store's table; nothing is written if any row is bad
    Import {
        /// The file; - is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Say what would be written, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the table as TOML that can be imported again
    Export,
    /// Check every row, or a file, and name every fault; exit code 64 if there is one
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
    /// Any other field: NAME=VALUE, the value as in TOML or plain text
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only what is down
    #[arg(long)]
    pub down: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `alerts …`
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// List the alerts that are owed, and since when
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test alert through every channel that is set; says for each whether it was taken over
    Test,
}

/// `settings …`
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Print what is in force and where each value comes from; secrets are masked
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Seconds that the whole story takes, about
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(15..=300))]
    pub seconds: u64,
}
