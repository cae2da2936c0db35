//! The command line: arguments in, text and an exit code out.
//!
//! [`args`] is what a person may write. Each command has a file of its own. What goes to standard output is the answer;
//! logs, progress and faults go to standard error.

pub mod args;
pub mod exit;
mod run;

use std::io::IsTerminal;

use clap::{CommandFactory, Parser};

use crate::app::{App, AppError};
use crate::settings::Settings;
use crate::telemetry;
use args::{Cli, Command, When};
use exit::Exit;

/// The whole program.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and go to standard output; anything else is a fault of the command line.
            let exit = if error.use_stderr() { Exit::BadConfiguration } else { Exit::Ok };
            let _ = error.print();
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
    // These need no settings, and work while the settings are bad.
    match &cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "api-health", &mut std::io::stdout());
            return Ok(Exit::Ok);
        }
        _ => {}
    }
    let environment = |name: &str| std::env::var(name).ok();
    let settings = Settings::load(cli.settings.as_deref(), &environment).map_err(AppError::Configuration)?;
    telemetry::start(&settings.log, colour(cli.color, &std::io::stderr()));
    let colour = colour(cli.color, &std::io::stdout());
    let app = App::new(settings);
    actix_rt::System::new().block_on(async {
        match &cli.command {
            Command::Run(args) => run::run(&app, args, colour).await,
            _ => Ok(Exit::Ok),
        }
    })
}

/// Whether a stream should get colour.
fn colour(when: When, stream: &impl IsTerminal) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Says what went wrong, all of it, on standard error.
fn report(error: &AppError) {
    match error {
        AppError::Configuration(issues) => {
            for issue in issues {
                eprintln!("error: {issue}");
            }
        }
        AppError::BadConfigs(text) | AppError::Unavailable(text) | AppError::Internal(text) => {
            eprintln!("error: {text}")
        }
    }
}
