//! `maintenance start`, `list` and `end`: windows that a person opens by hand. Each is kept in the records of the APIs that it is about,
//! so that whoever owns one of them next holds its alerts as well.

use std::time::Duration;

use api_health_core::maintenance::{Maintenance, NOTE_CHARS_MAX, Selection, WINDOW_MAX};
use api_health_core::{ApiConfig, ApiState, ConfigFault, Timestamp, maintenance};
use serde_json::{Value, json};

use super::alerts::owner::{NO_MAINTENANCE, Owner};
use super::apis::Unset;
use super::args::{MaintenanceCommand, Whose};
use super::configured::{self, Checked};
use super::out::{Out, note};
use super::table::Table;
use super::{stored, text};
use crate::app::{App, AppError};
use crate::configs::span;
use crate::exit::Exit;

/// Runs one of them.
///
/// # Errors
/// Nothing that is meant, a store that is not there, or a daemon that does not answer.
pub(super) async fn run(app: &App, command: &MaintenanceCommand, out: &Out) -> Result<Exit, AppError> {
    let (rules, _) = Unset::rules(app);
    let checked = configured::check(configured::read(app).await, &rules);
    checked.report_unreadable();
    match command {
        MaintenanceCommand::List { json } => list(app, &checked, *json, out).await,
        MaintenanceCommand::Start { lasts, note, whose, json } => {
            let since = app.clock.now();
            let lasts = read_span(lasts)?;
            let window = Maintenance { since, until: since.plus(lasts), note: read_note(note.as_deref())? };
            set(app, &checked, whose, Some(window), *json, out).await
        }
        MaintenanceCommand::End { whose, json } => set(app, &checked, whose, None, *json, out).await,
    }
}

fn fault(what: impl Into<String>, why: &str, remedy: impl Into<String>) -> ConfigFault {
    ConfigFault { location: "maintenance".into(), what: what.into(), why: why.into(), remedy: remedy.into() }
}

fn read_span(written: &str) -> Result<Duration, AppError> {
    span::parse(written).filter(|span| *span <= WINDOW_MAX).ok_or_else(|| {
        let what = format!("--for {:?}", text::line(written));
        let remedy = "a time such as 30m, 2h or 1d, 366d at most";
        AppError::Configuration(vec![fault(what, "is no time that a window can last", remedy)])
    })
}

fn read_note(written: Option<&str>) -> Result<String, AppError> {
    let note = written.unwrap_or_default();
    let chars = note.chars().count();
    if chars <= NOTE_CHARS_MAX {
        return Ok(text::line(note));
    }
    let why = format!("has {chars} characters, more than {NOTE_CHARS_MAX}");
    Err(AppError::Configuration(vec![fault("--note", &why, "a shorter one")]))
}

/// Whose window it is, and how many of those are configured.
fn selection(whose: &Whose, checked: &Checked) -> Result<(Selection, Vec<String>), AppError> {
    let of = Selection { all: whose.all, api_ids: whose.api_ids.clone(), tags: whose.tags.clone() };
    let mut faults = Vec::new();
    if of.api_ids.len() > Selection::NAMES_MAX || of.tags.len() > Selection::NAMES_MAX {
        let why = format!("are more than {} of a kind", Selection::NAMES_MAX);
        faults.push(fault("the APIs and tags", &why, "a tag that all of them have, or --all"));
    }
    for api_id in of
        .api_ids
        .iter()
        .take(Selection::NAMES_MAX)
        .filter(|id| !checked.in_force().any(|api| api.api_id.as_str() == *id))
    {
        let what = format!("--api {:?}", text::line(api_id));
        faults.push(fault(what, "is configured nowhere", "an id that `api-health apis list` shows"));
    }
    for tag in
        of.tags.iter().take(Selection::NAMES_MAX).filter(|tag| !checked.in_force().any(|api| api.tags.contains(tag)))
    {
        let what = format!("--tag {:?}", text::line(tag));
        faults.push(fault(what, "is the tag of no API", "a tag that `api-health apis list --json` shows"));
    }
    if !faults.is_empty() {
        return Err(AppError::Configuration(faults));
    }
    let ids = checked.in_force().filter(|api| of.has(api)).map(|api| api.api_id.to_string()).collect();
    Ok((of, ids))
}

async fn set(
    app: &App,
    checked: &Checked,
    whose: &Whose,
    window: Option<Maintenance>,
    as_json: bool,
    out: &Out,
) -> Result<Exit, AppError> {
    let (of, api_ids) = selection(whose, checked)?;
    let until = window.as_ref().map(|window| window.until);
    let owner = Owner::find(app, NO_MAINTENANCE, async || Ok(Vec::new())).await?;
    let apis = owner.set_maintenance(app, of, &api_ids, window).await;
    owner.end(app).await?;
    let apis = apis?;
    if as_json {
        let until = until.map(|until| until.to_string());
        out.json(&json!({ "schema": 1, "apis": apis, "api_ids": api_ids, "until": until }))?;
        return Ok(Exit::Ok);
    }
    let count = text::count(apis, "API");
    out.print(&match until {
        Some(until) => {
            format!("maintenance of {count} until {until}: they are probed as ever, and their alerts are held\n")
        }
        None => {
            format!("maintenance of {count} ended; what differs from what was told last is told after one more probe\n")
        }
    })?;
    Ok(Exit::Ok)
}

/// A window that is open, of one API.
struct Open<'a> {
    state: &'a ApiState,
    until: Timestamp,
    note: &'a str,
    by_hand: bool,
}

async fn list(app: &App, checked: &Checked, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let loaded = stored::load_states(app).await?;
    let now = app.clock.now();
    let config = |state: &ApiState| checked.get(state.api_id.as_str()).map(|row| &*row.config);
    let mut open: Vec<Open<'_>> = loaded.states.iter().filter_map(|state| open(state, config(state), now)).collect();
    open.sort_by(|a, b| a.state.api_id.cmp(&b.state.api_id));
    if as_json {
        let windows: Vec<Value> = open.iter().map(json_of).collect();
        out.json(
            &json!({ "schema": 1, "open": windows, "unreadable": stored::json_of_unreadable(&loaded.unreadable) }),
        )?;
        return Ok(Exit::Ok);
    }
    if open.is_empty() {
        out.print("no maintenance window is open\n")?;
    } else {
        let mut table = Table::new(&["API", "UNTIL", "STATUS", "?TOLD", "?OPENED", "NOTE"]);
        for window in &open {
            table.push(vec![
                window.state.api_id.to_string().into(),
                window.until.to_string().into(),
                window.state.status.as_str().into(),
                window.state.last_alerted.as_str().into(),
                if window.by_hand { "by hand" } else { "as configured" }.into(),
                text::line(window.note).into(),
            ]);
        }
        out.print(&format!("{}\n", table.render(out)))?;
        note("to end those that were opened by hand: api-health maintenance end");
    }
    stored::report_unreadable(&loaded.unreadable);
    Ok(Exit::Ok)
}

fn open<'a>(state: &'a ApiState, config: Option<&ApiConfig>, now: Timestamp) -> Option<Open<'a>> {
    let by_hand = state.maintenance.as_deref().filter(|window| now < window.until);
    let windows = config.map_or(&[][..], |config| &config.alerting.maintenance);
    let configured = maintenance::open_until(windows, now);
    match (by_hand, configured) {
        (Some(window), until) if until.is_none_or(|until| until <= window.until) => {
            Some(Open { state, until: window.until, note: &window.note, by_hand: true })
        }
        (_, until) => Some(Open { state, until: until?, note: "", by_hand: false }),
    }
}

fn json_of(open: &Open<'_>) -> Value {
    json!({
        "api_id": open.state.api_id.as_str(),
        "until": open.until.to_string(),
        "note": open.note,
        "by_hand": open.by_hand,
        "status": open.state.status.as_str(),
        "told_status": open.state.last_alerted.as_str(),
        "held_changes": open.state.held.as_ref().map_or(0, |held| held.changes),
    })
}
