//! What may be written after `apis`.

use std::path::PathBuf;

use api_health_import::{Program, Source};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueHint};

use crate::cli::help::{ADD_EXAMPLES, EXPORT_HELP, IMPORT_HELP, LIST_HELP};

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
        /// Remove a field, so that its default applies
        #[arg(long = "unset", value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Remove an API from the table; its state is kept
    #[command(visible_alias = "remove", after_help = "Example:\n  api-health apis rm shop")]
    Rm {
        /// Its id
        api_id: String,
    },
    /// Import the `[[api]]` tables of a TOML file, or the files of another monitor, into the store's table
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Print the table as TOML that can be imported again, literal secrets included; or in another program's form
    #[command(after_help = EXPORT_HELP)]
    Export {
        /// The program whose form it is: targets for Prometheus' blackbox exporter (JSON), or endpoints of Gatus (YAML)
        #[arg(long, value_parser = PossibleValuesParser::new(Program::ALL.map(|(name, _)| name)).map(|name| {
            Program::ALL.into_iter().find(|(known, _)| *known == name).map_or(Program::ALL[0].1, |(_, program)| program)
        }))]
        to: Option<Program>,
    },
    /// Check every row, or a file, and list every error; exit code 64 if there is any
    #[command(after_help = "References to secrets are resolved on this machine; one that cannot be is an error.\n\n\
                            Example:\n  api-health apis validate apis.toml")]
    Validate {
        /// A TOML file; without it, everything that is configured
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of a file of APIs, by which editors complete and check
    #[command(after_help = "Example:\n  api-health apis schema > apis.schema.json")]
    Schema,
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
    /// Display name [default: its id]
    #[arg(long)]
    pub name: Option<String>,
    /// Any other field: NAME=VALUE, the value as in TOML or plain text; headers.NAME is one header
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// `apis import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, or with --from all that belong together; - is standard input, and needs --yes or --dry-run
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// The program whose files they are [default: api-health's own TOML]
    #[arg(long, value_parser = PossibleValuesParser::new(Source::ALL.map(|(name, _)| name)).map(|name| {
        Source::ALL.into_iter().find(|(known, _)| *known == name).map_or(Source::ALL[0].1, |(_, source)| source)
    }))]
    pub from: Option<Source>,
    /// With --from csv: which column is which field, as in url=Website,name=Title
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',', requires = "from")]
    pub map: Vec<String>,
    /// With --from: write the channels that were found to this file, as settings to look through
    #[arg(long, value_name = "FILE", requires = "from", value_hint = ValueHint::FilePath)]
    pub channels: Option<PathBuf>,
    /// Show everything that would be written, and write nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// With --from and --dry-run: print JSON, what became of each field and the rows
    #[arg(long, requires = "from", requires = "dry_run")]
    pub json: bool,
    /// Write without asking
    #[arg(long)]
    pub yes: bool,
    /// Remove the rows that the file lacks, as `apis rm` does; without it they are kept
    #[arg(long)]
    pub prune: bool,
}
