//! `alerts retry`: have what is owed handed over now, by whoever owns it, and say what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{LoadedStates, Notifier, StateStore};
use api_health_core::delivery::{DELIVERY_TIMEOUT, OwedAlert};
use api_health_core::{Alert, ApiId, ApiState, ConfigFault};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::owner::{NO_ALERTS, Owner};
use crate::app::{App, AppError, Screen};
use crate::cli::out::{BAD, DOUBT, GOOD, Out, note};
use crate::cli::stored::{self, owed_to};
use crate::cli::text;
use crate::exit::Exit;

/// How often the records are read.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How long after the last news the records are still read: an attempt takes 20 s at most, and what came of it is stored at once.
const PATIENCE: Duration = DELIVERY_TIMEOUT.saturating_add(Duration::from_secs(10));

/// So many records are read one by one and not all together: a table is read whole at a price.
const READ_SINGLY_MAX: usize = 20;

/// An alert that a channel must have and has not.
struct Wanted {
    alert: Alert,
    channel: String,
    failures: u32,
    result: Option<Result<(), String>>,
}

/// `alerts retry`: of everything, where neither ids nor a channel are given.
///
/// # Errors
/// A store or a channel that is not there, and an id of which nothing is owed.
pub(super) async fn run(
    app: &App,
    alert_ids: &[String],
    channel: Option<&str>,
    as_json: bool,
    out: &Out,
) -> Result<Exit, AppError> {
    let LoadedStates { states, unreadable, .. } = stored::load_states(app).await?;
    check_ids(app, alert_ids, &states)?;
    let mut wanted = wanted(app, alert_ids, &states);
    let mut alert_ids = alert_ids.to_vec();
    if let Some(channel) = channel {
        wanted.retain(|wanted| wanted.channel == channel);
        alert_ids = wanted.iter().map(|wanted| wanted.alert.alert_id.clone()).collect();
    }
    if !wanted.is_empty() {
        let owner = Owner::find(app, NO_ALERTS, async || notifiers(app, as_json, out).await).await?;
        let tried = try_them(app, &owner, &alert_ids, &mut wanted, as_json, out).await;
        owner.end(app).await?;
        tried?;
    }
    let left = wanted.iter().filter(|wanted| !matches!(wanted.result, Some(Ok(())))).count();
    if as_json {
        let results: Vec<Value> = wanted.iter().map(json_of).collect();
        let unreadable = stored::json_of_unreadable(&unreadable);
        out.json(&json!({ "schema": 2, "results": results, "unreadable": unreadable }))?;
    } else {
        if wanted.is_empty() {
            out.print("no alert is owed\n")?;
        }
        for behind in wanted.iter().filter(|wanted| wanted.result.is_none()) {
            out.print(&line(behind, out))?;
        }
        stored::report_unreadable(&unreadable);
    }
    if left > 0 {
        note(&format!("error: {left} of {} not delivered; what is owed stays owed", wanted.len()));
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Ok)
}

/// What is asked for, and what has to go before it.
fn wanted(app: &App, alert_ids: &[String], states: &[ApiState]) -> Vec<Wanted> {
    let is_meant = |owed: &OwedAlert| alert_ids.is_empty() || alert_ids.contains(&owed.alert.alert_id);
    let of_state = |state: &ApiState| {
        let last = state.owed.iter().rposition(is_meant).map_or(0, |last| last + 1);
        let of_alert = |owed: &OwedAlert| {
            let of_channel = |channel: String| Wanted {
                alert: owed.alert.clone(),
                failures: owed.delivery(&channel).map_or(0, |delivery| delivery.failures),
                channel,
                result: None,
            };
            owed_to(app, owed).into_iter().map(of_channel).collect::<Vec<_>>()
        };
        state.owed.iter().take(last).flat_map(of_alert).collect::<Vec<_>>()
    };
    states.iter().flat_map(of_state).collect()
}

/// Has them tried, and reads the records until each was delivered, an attempt failed, or nothing changes.
async fn try_them(
    app: &App,
    owner: &Owner,
    alert_ids: &[String],
    wanted: &mut [Wanted],
    as_json: bool,
    out: &Out,
) -> Result<(), AppError> {
    owner.retry(app, alert_ids).await?;
    let store = app.open_store().await?;
    let patience = PATIENCE + owner.hears_within();
    let mut news = Instant::now();
    while news.elapsed() < patience {
        tokio::time::sleep(LOOK_EVERY).await;
        let states = states_of(&*store, wanted).await?;
        let owed: BTreeMap<&str, &OwedAlert> =
            states.iter().flat_map(|state| &state.owed).map(|owed| (owed.alert.alert_id.as_str(), owed)).collect();
        for wanted in wanted.iter_mut().filter(|wanted| wanted.result.is_none()) {
            let Some(result) = result(wanted, owed.get(wanted.alert.alert_id.as_str()).copied()) else { continue };
            wanted.result = Some(result);
            news = Instant::now();
            if !as_json {
                out.print(&line(wanted, out))?;
            }
        }
        // Behind one that a channel did not take, nothing is tried.
        let is_stuck = |one: &Wanted| {
            wanted.iter().any(|before| {
                before.alert.api_id == one.alert.api_id
                    && before.channel == one.channel
                    && matches!(before.result, Some(Err(_)))
            })
        };
        if wanted.iter().all(|one| one.result.is_some() || is_stuck(one)) {
            return Ok(());
        }
    }
    owner.note_silent(app).await
}

/// The records of those of which nothing has come yet; all records, where those are many.
async fn states_of(store: &dyn StateStore, wanted: &[Wanted]) -> Result<Vec<ApiState>, AppError> {
    let awaited = wanted.iter().filter(|wanted| wanted.result.is_none());
    let ids: BTreeSet<&ApiId> = awaited.map(|wanted| &wanted.alert.api_id).collect();
    if ids.len() > READ_SINGLY_MAX {
        return Ok(store.load_all().await?.states);
    }
    let mut states = Vec::new();
    for id in ids {
        states.extend(store.load(id.clone()).await?.and_then(Result::ok));
    }
    Ok(states)
}

/// What came of it since it was asked for, as its record says; `None`: nothing yet.
fn result(wanted: &Wanted, owed: Option<&OwedAlert>) -> Option<Result<(), String>> {
    let Some(delivery) = owed.filter(|owed| owed.owed_to.is_empty() || owed.is_pending_for(&wanted.channel)) else {
        return Some(Ok(()));
    };
    let delivery = delivery.delivery(&wanted.channel)?;
    if delivery.delivered {
        return Some(Ok(()));
    }
    let why = || delivery.last_error.clone().unwrap_or_else(|| "no reason is stored".into());
    (delivery.failures > wanted.failures).then(|| Err(why()))
}

/// Every id must be that of an alert that is owed.
fn check_ids(app: &App, alert_ids: &[String], states: &[ApiState]) -> Result<(), AppError> {
    let is_owed = |id: &str| {
        let owed = states.iter().flat_map(|state| &state.owed).find(|owed| owed.alert.alert_id == id);
        owed.is_some_and(|owed| !owed_to(app, owed).is_empty())
    };
    let faults: Vec<ConfigFault> = alert_ids
        .iter()
        .filter(|id| !is_owed(id))
        .map(|id| ConfigFault {
            location: "ALERT_ID".into(),
            what: format!("{:?}", text::line(id)),
            why: "is not owed: it is delivered already, or there never was such an alert".into(),
            remedy: "an id that `api-health alerts list` shows, or none to retry everything".into(),
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(AppError::Configuration(faults)) }
}

/// The channels that are set. With JSON on standard output, the terminal's alerts go to standard error.
pub(in crate::cli) async fn notifiers(app: &App, as_json: bool, out: &Out) -> Result<Vec<Arc<dyn Notifier>>, AppError> {
    let screen = if as_json { Screen::Stderr } else { Screen::Stdout { colour: out.colour } };
    app.notifiers(&app.client()?, screen, false).await
}

/// `shop.1795332600000.3.down  webhook   took it over`.
fn line(wanted: &Wanted, out: &Out) -> String {
    let words = match &wanted.result {
        Some(Ok(())) => out.paint(GOOD, "took it over"),
        Some(Err(why)) => format!("{}: {}", out.paint(BAD, "did not take it"), text::line(why)),
        None => format!(
            "{}: an alert before it was not taken, or no process that runs has this channel",
            out.paint(DOUBT, "not tried")
        ),
    };
    format!("{}  {:<8}  {words}\n", text::line(&wanted.alert.alert_id), text::line(&wanted.channel))
}

fn json_of(wanted: &Wanted) -> Value {
    let (result, why) = match &wanted.result {
        Some(Ok(())) => ("taken_over", None),
        Some(Err(why)) => ("failed", Some(why)),
        None => ("not_tried", None),
    };
    json!({
        "alert_id": wanted.alert.alert_id,
        "api_id": wanted.alert.api_id.as_str(),
        "kind": wanted.alert.kind.as_str(),
        "channel": wanted.channel,
        "result": result,
        "delivered": result == "taken_over",
        "why": why,
    })
}
