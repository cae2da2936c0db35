//! `alerts list`: what is owed, to whom, what came of it so far, and when it is tried again.
//!
//! What came of attempts is written with the next checkpoint, or at once where those are far apart, so what is shown may be a
//! little older than what is true.
//! The words say no more than what is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health_actors::ports::LoadedStates;
use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::keep::{BACKLOG_MIN, NOTED_WITHIN, time_left};
use api_health_core::{ApiState, Timestamp};
use serde_json::{Value, json};

use super::kind_cell;
use crate::app::{App, AppError};
use crate::cli::out::{DOUBT, Out, note};
use crate::cli::stored::{self, owed_to};
use crate::cli::table::Table;
use crate::cli::text;
use crate::exit::Exit;

/// An owed alert, and what its record says beside it.
struct Owed {
    owed: OwedAlert,
    /// By channel that lacks it: whether an older alert of the same API goes before it.
    lacking: Vec<(String, bool)>,
}

/// `alerts list`.
///
/// # Errors
/// A store that is not there or not available.
pub(super) async fn run(app: &App, channel: Option<&str>, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let LoadedStates { states, unreadable, .. } = stored::load_states(app).await?;
    let now = app.clock.now();
    let told = told(&states);
    let mut owed: Vec<Owed> = states.into_iter().flat_map(|state| of_state(app, state)).collect();
    if let Some(channel) = channel {
        owed.iter_mut().for_each(|owed| owed.lacking.retain(|(lacking, _)| lacking == channel));
        owed.retain(|owed| !owed.lacking.is_empty());
    }
    // Those of one API stay in their order, also where the clock was set back between them.
    owed.sort_by_key(|owed| owed.owed.alert.detected_at);
    if as_json {
        let alerts: Vec<Value> = owed.iter().map(|owed| json_of(app, owed, now)).collect();
        let unreadable = stored::json_of_unreadable(&unreadable);
        out.json(&json!({ "schema": 1, "owed": alerts, "unreadable": unreadable }))?;
        return Ok(Exit::Ok);
    }
    if owed.is_empty() {
        out.print("no alert is owed\n")?;
    } else {
        out.print(&text_of(app, &owed, now, out))?;
        let seconds = app.settings.store.checkpoint.min(NOTED_WITHIN).as_secs();
        note(&format!(
            "note: `api-health run` tries, and stores what came of it within {seconds} s; to try now: api-health alerts retry"
        ));
        backlogs(&owed, &told, now).iter().for_each(|words| note(words));
    }
    stored::report_unreadable(&unreadable);
    Ok(Exit::Ok)
}

/// When each channel took an alert, as far as incidents say it.
fn told(states: &[ApiState]) -> BTreeMap<String, Vec<Timestamp>> {
    let mut told: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for state in states {
        let held = state.held.as_ref().and_then(|held| held.ended.as_deref());
        let waiting = state.awaiting_history.iter().map(|story| &story.incident);
        for one in
            state.incident.as_deref().into_iter().chain(held).chain(waiting).flat_map(|incident| &incident.delivered)
        {
            told.entry(one.channel.clone()).or_default().push(one.at);
        }
    }
    told
}

/// How long those channels will take that many alerts wait for: at the pace since the oldest of them came about that was not tried yet.
fn backlogs(all: &[Owed], told: &BTreeMap<String, Vec<Timestamp>>, now: Timestamp) -> Vec<String> {
    let mut waiting: BTreeMap<&str, (usize, Option<Timestamp>)> = BTreeMap::new();
    for Owed { owed, lacking } in all {
        for (channel, _) in lacking {
            let (alerts, since) = waiting.entry(channel).or_default();
            *alerts += 1;
            if owed.delivery(channel).is_none() {
                let at = owed.alert.detected_at;
                *since = Some(since.map_or(at, |before| before.min(at)));
            }
        }
    }
    let words = |(channel, (alerts, since)): (&str, (usize, Option<Timestamp>))| {
        let since = since.filter(|_| alerts >= BACKLOG_MIN)?;
        let taken = told.get(channel)?.iter().filter(|at| **at >= since).count();
        let left = time_left(alerts, taken, now.since(since))?;
        let (channel, alerts, left) = (text::line(channel), text::count(alerts, "alert"), text::span(left));
        Some(format!(
            "note: {alerts} to {channel}, the oldest first: {left} more at the pace of the {taken} before them"
        ))
    };
    waiting.into_iter().filter_map(words).collect()
}

fn of_state(app: &App, state: ApiState) -> Vec<Owed> {
    let mut waited_for: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for owed in state.owed {
        let of = |channel: String| {
            let is_behind = waited_for.contains(&channel);
            (channel, is_behind)
        };
        let lacking: Vec<(String, bool)> = owed_to(app, &owed).into_iter().map(of).collect();
        waited_for.extend(lacking.iter().map(|(channel, _)| channel.clone()));
        if !lacking.is_empty() {
            all.push(Owed { owed, lacking });
        }
    }
    all
}

/// One line for each alert, and below it one for each channel that lacks it.
fn text_of(app: &App, all: &[Owed], now: Timestamp, out: &Out) -> String {
    let set = app.channels();
    let mut table = Table::new(&["API", "KIND", "LATE BY", "?HAPPENED", "ALERT"]);
    for Owed { owed, lacking } in all {
        let alert = &owed.alert;
        table.push(vec![
            alert.api_id.to_string().into(),
            kind_cell(alert.kind),
            text::span(now.since(alert.detected_at)).into(),
            text::ago(alert.happened_at, now).into(),
            alert.alert_id.as_str().into(),
        ]);
        for (channel, is_behind) in lacking {
            let words = words(owed.delivery(channel), *is_behind, now);
            let not_set = if set.contains(&channel.as_str()) { "" } else { " (not set here)" };
            table.below(&format!("{}{not_set}: {words}", out.paint(DOUBT, &text::line(channel))));
        }
    }
    table.render(out)
}

/// `3 attempts failed, the last one: answered 503; next try in 25 s`.
fn words(delivery: Option<&Delivery>, is_behind: bool, now: Timestamp) -> String {
    let mut words = match delivery.filter(|delivery| delivery.failures > 0) {
        Some(delivery) => {
            let failures = usize::try_from(delivery.failures).unwrap_or(usize::MAX);
            let why = delivery.last_error.as_deref().unwrap_or("no reason is stored");
            format!("{} failed, the last one: {}", text::count(failures, "attempt"), text::line(why))
        }
        None => "no failed attempt is stored".to_owned(),
    };
    if is_behind {
        words.push_str("; it waits for the alert before it");
        return words;
    }
    if let Some(at) = delivery.and_then(|delivery| delivery.next_try_at) {
        words.push_str(&match at.since(now) {
            wait if wait < Duration::from_secs(1) => "; next try now".to_owned(),
            wait => format!("; next try in {}", text::span(wait)),
        });
    }
    words
}

fn json_of(app: &App, owed: &Owed, now: Timestamp) -> Value {
    let Owed { owed, lacking } = owed;
    let alert = &owed.alert;
    let delivered_to: Vec<&str> = owed.deliveries.iter().filter(|d| d.delivered).map(|d| d.channel.as_str()).collect();
    let owed_to: Vec<&str> = lacking.iter().map(|(channel, _)| channel.as_str()).collect();
    let mut channels = app.channels();
    channels.retain(|channel| owed.delivery(channel).is_none());
    let untried = channels.into_iter().map(|channel| Delivery { channel: channel.to_owned(), ..Delivery::default() });
    let deliveries: Vec<Value> = owed
        .deliveries
        .iter()
        .cloned()
        .chain(untried)
        .map(|delivery| {
            json!({
                "channel": delivery.channel,
                "delivered": delivery.delivered,
                "failures": delivery.failures,
                "last_error": delivery.last_error,
                "next_try_at": delivery.next_try_at.map(|at| at.to_string()),
            })
        })
        .collect();
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
        "owed_to": owed_to,
        "deliveries": deliveries,
    })
}
