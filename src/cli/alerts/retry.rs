//! `alerts retry`: hand over now what is owed, in this process, beside a daemon or without one.

use std::collections::HashSet;
use std::sync::Arc;

use api_health_actors::ports::{LoadedStates, Notifier};
use api_health_actors::tell_now::{Teller, Told, Tried};
use api_health_core::delivery::Claim;
use api_health_core::{ApiState, ConfigIssue};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::lacking;
use crate::app::{App, AppError};
use crate::cli::exit::Exit;
use crate::cli::out::{BAD, DOUBT, GOOD, Out, note};
use crate::cli::{status, text};
use crate::notify::terminal::TerminalNotifier;

/// APIs whose alerts are handed over at once.
const APIS_AT_ONCE: usize = 8;

/// `alerts retry`.
///
/// # Errors
/// A store or a channel that is not there, and an id of which nothing is owed.
pub(super) async fn run(app: &App, alert_ids: &[String], as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let LoadedStates { states, unreadable } = status::load_states(app).await?;
    check_ids(app, alert_ids, &states)?;
    let wanted: HashSet<&str> = alert_ids.iter().map(String::as_str).collect();
    let is_wanted = |alert_id: &str| wanted.is_empty() || wanted.contains(alert_id);
    // Where no process watches, claims were left behind by the dead, but for those of another `alerts retry`.
    let alone = app.nobody_watches().await;
    let teller = Teller {
        store: app.open_store().await?,
        notifiers: notifiers(app, as_json, out).await?,
        clock: Arc::clone(&app.clock),
        instance: format!("{}{}", Claim::BY_HAND, app.instance()),
        alone,
    };
    let now = app.clock.now();
    if states.iter().any(|state| state.claim.as_ref().is_some_and(|claim| !state.owed.is_empty() && claim.until > now))
    {
        note("note: another process claims some of the alerts just now; it is waited for, half a minute at most");
    }
    let mut all: Vec<Told> = Vec::new();
    let each = states.into_iter().filter(|state| !state.owed.is_empty()).map(|state| teller.tell(state, &is_wanted));
    let mut each = futures_util::stream::iter(each).buffer_unordered(APIS_AT_ONCE);
    while let Some(told) = each.next().await {
        if !as_json {
            for told in &told {
                out.print(&line(told, app, out))?;
            }
        }
        all.extend(told);
    }
    let left = all.iter().filter(|told| !told.result.is_delivered()).count();
    if as_json {
        let results: Vec<Value> = all.iter().map(json_of).collect();
        let unreadable = status::json_of_unreadable(&unreadable);
        out.json(&json!({ "schema": 1, "results": results, "unreadable": unreadable }))?;
    } else {
        if all.is_empty() {
            out.print("no alert is owed\n")?;
        }
        status::tell_unreadable(&unreadable);
    }
    if left > 0 {
        note(&format!("error: {left} of {} not taken over; what is owed stays owed", all.len()));
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Ok)
}

/// Every id must be that of an alert that is owed.
fn check_ids(app: &App, alert_ids: &[String], states: &[ApiState]) -> Result<(), AppError> {
    let is_owed = |id: &str| {
        let owed = states.iter().flat_map(|state| &state.owed).find(|owed| owed.alert.alert_id == id);
        owed.is_some_and(|owed| !lacking(app, owed).is_empty())
    };
    let issues: Vec<ConfigIssue> = alert_ids
        .iter()
        .filter(|id| !is_owed(id))
        .map(|id| ConfigIssue {
            location: "ALERT_ID".into(),
            what: format!("{:?}", text::line(id)),
            why: "is not owed: it is delivered already, or there never was such an alert".into(),
            instead: "an id that `api-health alerts list` shows, or none to retry everything".into(),
        })
        .collect();
    if issues.is_empty() { Ok(()) } else { Err(AppError::Configuration(issues)) }
}

/// The channels that are set. With JSON on standard output, the terminal's alerts go to standard error.
pub(in crate::cli) async fn notifiers(app: &App, as_json: bool, out: &Out) -> Result<Vec<Arc<dyn Notifier>>, AppError> {
    let mut notifiers = app.notifiers(&app.client()?, out.colour).await?;
    if as_json {
        for notifier in notifiers.iter_mut().filter(|notifier| notifier.channel() == "terminal") {
            let (environment, clock) = (app.settings.environment.clone(), Arc::clone(&app.clock));
            let stderr = TerminalNotifier::new(std::io::stderr(), environment, false, clock)
                .map_err(|error| AppError::Internal(format!("no thread for the terminal: {error}")))?;
            *notifier = Arc::new(stderr);
        }
    }
    Ok(notifiers)
}

/// `shop.1795332600000.3.down  webhook   took it over in 120 ms`.
fn line(told: &Told, app: &App, out: &Out) -> String {
    let words = match &told.result {
        Tried::TakenOver { took, unnoted: None } => {
            format!("{} in {}", out.paint(GOOD, "took it over"), text::millis(*took))
        }
        Tried::TakenOver { took, unnoted: Some(why) } => format!(
            "{} in {}, and that could not be stored, so it will be told once more: {}",
            out.paint(DOUBT, "took it over"),
            text::millis(*took),
            text::line(why)
        ),
        Tried::Failed { why, took, .. } => {
            format!("{} after {}: {}", out.paint(BAD, "did not take it"), text::millis(*took), text::line(why))
        }
        Tried::Behind(before) => {
            format!("{}: {} goes before it", out.paint(DOUBT, "not tried"), text::line(before))
        }
        Tried::Theirs(by) => {
            format!("{}: claimed by {} just now", out.paint(DOUBT, "not tried"), text::line(by))
        }
        Tried::Elsewhere => format!("{} by another process meanwhile", out.paint(GOOD, "handed over")),
        Tried::NotClaimed(why) => format!(
            "{}: {} could not be written to first: {}",
            out.paint(BAD, "not tried"),
            app.store_name(),
            text::line(why)
        ),
    };
    format!("{}  {:<8}  {words}\n", text::line(&told.alert.alert_id), told.channel)
}

fn json_of(told: &Told) -> Value {
    let (result, took, why, next_try_at) = match &told.result {
        Tried::TakenOver { took, unnoted } => ("taken_over", Some(took), unnoted.clone(), None),
        Tried::Failed { why, took, next_try_at } => ("failed", Some(took), Some(why.clone()), Some(next_try_at)),
        Tried::Behind(before) => ("behind", None, Some(format!("{before} goes before it")), None),
        Tried::Theirs(by) => ("theirs", None, Some(format!("claimed by {by} just now")), None),
        Tried::Elsewhere => ("elsewhere", None, None, None),
        Tried::NotClaimed(why) => ("not_claimed", None, Some(why.clone()), None),
    };
    json!({
        "alert_id": told.alert.alert_id,
        "api_id": told.alert.api_id.as_str(),
        "kind": told.alert.kind.as_str(),
        "channel": told.channel,
        "result": result,
        "delivered": told.result.is_delivered(),
        "took_ms": took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "why": why,
        "next_try_at": next_try_at.map(|at| at.to_string()),
    })
}
