//! `alerts list`: what is owed. `alerts test`: one alert through every channel, to see that it arrives.

use std::sync::Arc;

use api_health_actors::ports::LoadedStates;
use api_health_core::delivery::OwedAlert;
use api_health_core::{Alert, AlertKind, ApiId, Status};
use serde_json::{Value, json};

use super::args::AlertsCommand;
use super::exit::Exit;
use super::out::{BAD, DOUBT, GOOD, Out, note};
use super::table::{Cell, Table};
use super::{status, text};
use crate::app::{App, AppError};

/// The id that a test alert carries, so that people and machines can tell it from a real one.
pub(super) const TEST_API_ID: &str = "api-health-test";

/// Runs one of them.
///
/// # Errors
/// What is not there or not available.
pub(super) async fn run(app: &App, command: &AlertsCommand, out: &Out) -> Result<Exit, AppError> {
    match command {
        AlertsCommand::List { json } => list(app, *json, out).await,
        AlertsCommand::Test => test(app, out).await,
    }
}

async fn list(app: &App, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let LoadedStates { states, unreadable } = status::load_states(app).await?;
    let mut owed: Vec<OwedAlert> = states.into_iter().flat_map(|state| state.owed).collect();
    owed.sort_by_key(|owed| owed.alert.detected_at);
    let now = app.clock.now();
    if as_json {
        let alerts: Vec<Value> = owed
            .iter()
            .map(|owed| {
                let alert = &owed.alert;
                let delivered_to: Vec<&str> =
                    owed.deliveries.iter().filter(|d| d.delivered).map(|d| d.channel.as_str()).collect();
                json!({
                    "alert_id": alert.alert_id,
                    "incident_id": alert.incident_id,
                    "api_id": alert.api_id.as_str(),
                    "name": alert.name,
                    "url": alert.url,
                    "kind": alert.kind.as_str(),
                    "happened_at": alert.happened_at.to_string(),
                    "detected_at": alert.detected_at.to_string(),
                    "owed_seconds": now.since(alert.detected_at).as_secs(),
                    "reason": alert.reason,
                    "delivered_to": delivered_to,
                    "owed_to": owed_to(app, owed),
                })
            })
            .collect();
        let unreadable = status::json_of_unreadable(&unreadable);
        out.json(&json!({ "schema": 1, "owed": alerts, "unreadable": unreadable }))?;
        return Ok(Exit::Ok);
    }
    if owed.is_empty() {
        out.print("no alert is owed\n")?;
    } else {
        let mut table = Table::new(&["API", "KIND", "OWED FOR", "HAPPENED", "OWED TO", "ALERT"]);
        for owed in &owed {
            let alert = &owed.alert;
            let (word, style) = match alert.kind {
                AlertKind::Down => ("DOWN", BAD),
                AlertKind::Up => ("UP", GOOD),
                AlertKind::Closed => ("CLOSED", GOOD),
            };
            table.push(vec![
                alert.api_id.to_string().into(),
                Cell::styled(word, style),
                text::span(now.since(alert.detected_at)).into(),
                text::ago(alert.happened_at, now).into(),
                Cell::styled(owed_to(app, owed).join(", "), DOUBT),
                text::line(&alert.alert_id).into(),
            ]);
        }
        out.print(&table.render(out))?;
    }
    status::tell_unreadable(&unreadable);
    Ok(Exit::Ok)
}

/// The channels that are set and have not taken an alert over.
fn owed_to(app: &App, owed: &OwedAlert) -> Vec<&'static str> {
    app.channels().into_iter().filter(|channel| !owed.is_delivered(channel)).collect()
}

async fn test(app: &App, out: &Out) -> Result<Exit, AppError> {
    let alert = Arc::new(test_alert(app)?);
    let notifiers = app.notifiers(&app.client()?, out.colour).await?;
    let mut failed = 0;
    for notifier in &notifiers {
        let began = tokio::time::Instant::now();
        let taken = notifier.deliver(Arc::clone(&alert)).await;
        let took = text::millis(began.elapsed());
        let line = match taken {
            Ok(()) => format!("{:<9} {} in {took}\n", notifier.channel(), out.paint(GOOD, "took it over")),
            Err(error) => {
                failed += 1;
                let why = text::line(&error.to_string());
                format!("{:<9} {} after {took}: {why}\n", notifier.channel(), out.paint(BAD, "did not take it"))
            }
        };
        out.print(&line)?;
    }
    if failed > 0 {
        note(&format!("error: {} of {} did not take the test alert", failed, text::count(notifiers.len(), "channel")));
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Ok)
}

/// An alert that says of itself that it is a test. It is a DOWN, since that is the one that has to arrive.
fn test_alert(app: &App) -> Result<Alert, AppError> {
    let now = app.clock.now();
    let api_id = ApiId::parse(TEST_API_ID).map_err(AppError::Internal)?;
    // Each test has an id of its own: a FIFO topic would drop the second one as a repeat.
    let incident_id = format!("{TEST_API_ID}.{}", now.as_millis());
    Ok(Alert {
        alert_id: Alert::id(&incident_id, AlertKind::Down),
        incident_id,
        kind: AlertKind::Down,
        api_id,
        name: "api-health test alert".into(),
        url: "https://api-health-test.invalid/".into(),
        previous_status: Status::Up,
        happened_at: now,
        detected_at: now,
        incident_started_at: now,
        reason: "this is a test by `api-health alerts test`: nothing is down".into(),
        changes_left_out: 0,
    })
}
