//! `alerts list`: what is owed. `alerts retry`: hand it over now. `alerts drop`: give a channel up. `alerts
//! test`: one alert through every channel, to see that it arrives.

mod asking;
mod drop;
mod list;
pub(super) mod owner;
mod retry;
mod test;

pub(super) use retry::notifiers;
pub(super) use test::test_alert;

use api_health_core::AlertKind;

use super::args::AlertsCommand;
use super::out::{BAD, GOOD, Out, PLAIN};
use super::table::Cell;
use crate::app::{App, AppError};
use crate::exit::Exit;

/// Runs one of them.
///
/// # Errors
/// What is not there or not available.
pub(super) async fn run(app: &App, command: &AlertsCommand, out: &Out) -> Result<Exit, AppError> {
    match command {
        AlertsCommand::List { channel, json } => list::run(app, channel.as_deref(), *json, out).await,
        AlertsCommand::Retry { alert_ids, channel, json } => {
            retry::run(app, alert_ids, channel.as_deref(), *json, out).await
        }
        AlertsCommand::Drop { channel, json } => drop::run(app, channel, *json, out).await,
        AlertsCommand::Test { channel } => test::run(app, channel.as_deref(), out).await,
    }
}

fn kind_cell(kind: AlertKind) -> Cell {
    match kind {
        AlertKind::Down => Cell::styled("DOWN", BAD),
        AlertKind::Up => Cell::styled("UP", GOOD),
        AlertKind::Closed => Cell::styled("CLOSED", PLAIN),
        AlertKind::Flapping => Cell::styled("FLAPPING", BAD),
        AlertKind::Reminder => Cell::styled("STILL DOWN", BAD),
    }
}
