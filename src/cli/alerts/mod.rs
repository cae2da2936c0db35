//! `alerts list`: what is owed. `alerts retry`: hand it over now. `alerts test`: one alert through every channel, to see
//! that it arrives.

mod list;
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
        AlertsCommand::Test => test::run(app, out).await,
    }
}

/// The channels that have not taken an alert over: those that are set here, and those that another process tried. An alert
/// that is owed to none of them is struck off by the next `run`.
pub(super) fn owed_to<'a>(app: &App, owed: &'a OwedAlert) -> Vec<&'a str> {
    let mut channels: Vec<&str> = lacking(app, owed);
    let tried = owed.deliveries.iter().filter(|delivery| !delivery.delivered).map(|delivery| delivery.channel.as_str());
    channels.extend(tried.filter(|channel| !app.channels().contains(channel)));
    channels
}

/// The channels that are set here and have not taken it over.
fn lacking(app: &App, owed: &OwedAlert) -> Vec<&'static str> {
    app.channels().into_iter().filter(|channel| !owed.is_delivered(channel)).collect()
}

fn kind_cell(kind: AlertKind) -> Cell {
    match kind {
        AlertKind::Down => Cell::styled("DOWN", BAD),
        AlertKind::Up => Cell::styled("UP", GOOD),
        AlertKind::Closed => Cell::styled("CLOSED", PLAIN),
    }
}
