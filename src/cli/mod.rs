//! The command line: arguments in, text and an exit code out.
//!
//! [`args`] is what a person may write. Each command has a file of its own. What goes to standard output is the answer;
//! logs, progress and faults go to standard error.

mod alerts;
mod apis;
pub mod args;
mod checks;
mod configured;
mod cost;
mod demo;
mod doctor;
mod explain;
mod fleet;
mod help;
mod incidents;
mod maintenance;
mod man;
mod out;
mod past;
mod probe;
mod run;
mod settings;
mod status;
mod stored;
mod table;
mod text;
mod web;
mod wrap;

use std::path::Path;

use api_health_core::ConfigFault;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::app::{App, AppError};
use crate::configs::schema;
use crate::configs::values::{ValueFault, quote};
use crate::environment;
use crate::exit::Exit;
use crate::notify::kinds::KINDS;
use crate::settings::channel_keys::CHANNEL_KEYS;
use crate::settings::{LoadedSettings, LogFormat, LogSettings, keys, load};
use crate::{sqlite, telemetry};
use args::{ApisCommand, Cli, Command, IncidentsCommand, SettingsCommand};
use out::{Out, colour, note};

/// The whole program.
pub fn main() -> Exit {
    let exit = parse_and_dispatch();
    sqlite::close_all();
    telemetry::flush();
    exit
}

fn parse_and_dispatch() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and go to standard output; anything else is a fault of the command line.
            let exit = if error.use_stderr() { Exit::BadConfiguration } else { Exit::Ok };
            // The library does not say which of them it is. A path may be of any bytes, so the last one is the likelier.
            let unread = std::env::args_os().enumerate().rfind(|(_, word)| word.to_str().is_none());
            match unread.filter(|_| error.kind() == ErrorKind::InvalidUtf8) {
                Some((place, word)) => {
                    let what = quote(&word.to_string_lossy());
                    let fault = ValueFault::new(what, "is not UTF-8", "it in UTF-8");
                    report(&AppError::Configuration(vec![fault.at(format!("command line, argument {place}"))]));
                }
                None => out::say(&error),
            }
            return exit;
        }
    };
    match dispatch(&cli) {
        Ok(exit) => exit,
        Err(error) => {
            report(&error);
            error.exit()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, AppError> {
    let out = Out::new(cli.color);
    let log_colour = colour(cli.color, &std::io::stderr());
    // These need no settings, and work while the settings are bad.
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "api-health", &mut script);
            out.data(&String::from_utf8_lossy(&script))?;
            return Ok(Exit::Ok);
        }
        Command::Man => {
            let page = man::page().map_err(|error| AppError::Internal(format!("the man page: {error}")))?;
            out.data(&page)?;
            return Ok(Exit::Ok);
        }
        Command::Settings(SettingsCommand::Show { json }) => {
            return settings::show(cli.settings.as_deref(), *json, &out);
        }
        Command::Settings(SettingsCommand::Schema) => {
            let channels = schema::of_channels(CHANNEL_KEYS, KINDS);
            out.json(&schema::of_settings(keys::KEYS, vec![("notify.channel", channels)]))?;
            return Ok(Exit::Ok);
        }
        Command::Apis(ApisCommand::Schema) => {
            out.json(&schema::of_apis())?;
            return Ok(Exit::Ok);
        }
        Command::Doctor(args) => return doctor::run(cli, args, &out),
        Command::Web(command) => return web::run(command, &out),
        Command::Demo(args) => {
            telemetry::start(&LogSettings { level: "error".into(), format: LogFormat::Text }, log_colour);
            return actix_rt::System::new().block_on(demo::run(args, &out));
        }
        _ => {}
    }
    let loaded = settings_in_force(cli.settings.as_deref()).map_err(AppError::Configuration)?;
    let log = log_of(&cli.command, &loaded.settings.log);
    let start_log = if matches!(cli.command, Command::Run(_)) { telemetry::start_daemon } else { telemetry::start };
    start_log(&log, log_colour);
    let app = App::new(loaded.settings.clone());
    let app = if matches!(
        cli.command,
        Command::Status(_)
            | Command::Explain(_)
            | Command::Fleet(_)
            | Command::Incidents(IncidentsCommand::List { .. } | IncidentsCommand::Show { .. })
    ) {
        app.read_only()
    } else {
        app
    };
    let system = actix_rt::System::new();
    let done = system.block_on(async {
        match &cli.command {
            Command::Run(args) => Box::pin(run::run(&app, loaded, cli.settings.as_deref(), args, out.colour)).await,
            Command::Probe(args) => probe::run(&app, args, &out).await,
            Command::Apis(command) => apis::run(&app, command, &out).await,
            Command::Status(args) => status::run(&app, args, &out).await,
            Command::Explain(args) => explain::run(&app, args, &out).await,
            Command::Fleet(args) => fleet::run(&app, args, &out).await,
            Command::Alerts(command) => alerts::run(&app, command, &out).await,
            Command::Incidents(command) => incidents::run(&app, command, &out).await,
            Command::Maintenance(command) => maintenance::run(&app, command, &out).await,
            Command::Cost(args) => cost::run(&app, args, &out).await,
            Command::Settings(_)
            | Command::Demo(_)
            | Command::Doctor(_)
            | Command::Web(_)
            | Command::Completions { .. }
            | Command::Man => Err(AppError::Internal("a command that needs no settings came too late".into())),
        }
    });
    // Dropping it would wait for whatever blocks a thread, such as a read from a disk that hangs, without end. What is
    // stored is stored, and what was told is told: the process ends here.
    std::mem::forget(system);
    done
}

/// The settings of `file` and of the environment.
///
/// # Errors
/// Every fault of both, all at once.
fn settings_in_force(file: Option<&Path>) -> Result<LoadedSettings, Vec<ConfigFault>> {
    let mut faults = environment::faults();
    match load::load(file, Path::new(""), &environment::get) {
        Ok(loaded) if faults.is_empty() => Ok(loaded),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

/// How a command logs: `run` as it is set, the others as a person wants it who waits for an answer, unless more was
/// asked for.
fn log_of(command: &Command, set: &LogSettings) -> LogSettings {
    let mut log = set.clone();
    if !matches!(command, Command::Run(_)) {
        if keys::LOG_LEVEL.built_in().as_ref() == Some(&log.level) {
            log.level = "warn".into();
        }
        if log.format == LogFormat::Auto {
            log.format = LogFormat::Text;
        }
    }
    log
}

/// Says what went wrong, all of it, on standard error.
fn report(error: &AppError) {
    match error {
        AppError::Configuration(faults) => {
            for fault in faults {
                note(&format!("error: {fault}"));
            }
        }
        other => note(&format!("error: {other}")),
    }
}
