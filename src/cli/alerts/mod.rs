//! `alerts list`: what is owed. `alerts retry`: hand it over now. `alerts drop`: owe nothing to a channel any more. `alerts
//! test`: one alert through every channel, to see that it arrives.

mod asking;
mod drop;
mod list;
mod owner;
mod retry;
mod test;

pub(super) use retry::notifiers;
pub(super) use test::test_alert;

use api_health_core::AlertKind;
use api_health_core::delivery::OwedAlert;

use super::args::AlertsCommand;
use super::exit::Exit;
use super::out::{BAD, GOOD, Out, PLAIN};
use super::table::Cell;
use crate::app::{App, AppError};

/// Runs one of them.
///
/// # Errors
/// What is not there or not available.
pub(super) async fn run(app: &App, command: &AlertsCommand, out: &Out) -> Result<Exit, AppError> {
    match command {
        AlertsCommand::List { json } => list::run(app, *json, out).await,
        AlertsCommand::Retry { alert_ids, json } => retry::run(app, alert_ids, *json, out).await,
        AlertsCommand::Drop { channel, json } => drop::run(app, channel, *json, out).await,
        AlertsCommand::Test => test::run(app, out).await,
    }
}

/// The channels that must have an alert and have not. One that was stored before alerts named their channels is owed to those
/// that are set here.
pub(super) fn owed_to(app: &App, owed: &OwedAlert) -> Vec<String> {
    if owed.owed_to.is_empty() {
        let lacking = app.channels().into_iter().filter(|channel| !owed.is_delivered(channel));
        return lacking.map(str::to_owned).collect();
    }
    owed.awaited_by().map(str::to_owned).collect()
}

fn kind_cell(kind: AlertKind) -> Cell {
    match kind {
        AlertKind::Down => Cell::styled("DOWN", BAD),
        AlertKind::Up => Cell::styled("UP", GOOD),
        AlertKind::Closed => Cell::styled("CLOSED", PLAIN),
    }
}
