//! `alerts test`: one alert through every channel, to see that it arrives.

use std::sync::Arc;

use api_health_core::{Alert, AlertKind, ApiId, Status};

use crate::app::{App, AppError, Screen};
use crate::cli::out::{BAD, GOOD, Out, note};
use crate::cli::text;
use crate::configs::values::{self, ValueFault};
use crate::exit::Exit;

/// The id that a test alert carries, so that people and machines can tell it from a real one.
const TEST_API_ID: &str = "api-health-test";

/// `alerts test`.
///
/// # Errors
/// A channel that cannot be set up.
pub(super) async fn run(app: &App, channel: Option<&str>, out: &Out) -> Result<Exit, AppError> {
    let alert = Arc::new(test_alert(app)?);
    let set = app.channels();
    if let Some(channel) = channel.filter(|channel| !set.contains(channel)) {
        let remedy = format!("one of {}", set.join(", "));
        let fault = ValueFault::new(values::quote(channel), "is not the name of a channel", remedy);
        return Err(AppError::Configuration(vec![fault.at("--channel")]));
    }
    let width = set.iter().map(|name| name.len()).max().unwrap_or_default().max(8);
    let mut notifiers = app.notifiers(&app.client()?, Screen::Stdout { colour: out.colour }, false).await?;
    notifiers.retain(|notifier| channel.is_none_or(|channel| channel == notifier.channel()));
    let mut failed = 0;
    for notifier in &notifiers {
        let began = tokio::time::Instant::now();
        let taken = notifier.deliver(Arc::clone(&alert)).await;
        let took = text::millis(began.elapsed());
        let line = match taken {
            Ok(()) => format!("{:<width$}  {} in {took}\n", notifier.channel(), out.paint(GOOD, "took it over")),
            Err(error) => {
                failed += 1;
                let why = text::line(&error.to_string());
                format!("{:<width$}  {} after {took}: {why}\n", notifier.channel(), out.paint(BAD, "did not take it"))
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
pub(in crate::cli) fn test_alert(app: &App) -> Result<Alert, AppError> {
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
        evidence: None,
    })
}
