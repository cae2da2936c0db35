//! What `status` prints: a table for people, JSON for scripts.

use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::state::Streak;
use api_health_core::view::{Condition, Counts, Trouble};
use api_health_core::{Status, Timestamp, Toward};
use serde_json::{Map, Value, json};

use super::heartbeat;
use super::{Look, Row, owed_by};
use crate::app::App;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::stored::{json_of_unreadable, owed_to};
use crate::cli::table::{Cell, Table};
use crate::cli::{past, text};
use crate::shown::Said;

/// What everything is seen by.
pub(super) struct Seen<'a> {
    pub(super) app: &'a App,
    pub(super) look: &'a Look,
}

impl Seen<'_> {
    /// Whether heartbeats are written by these settings.
    pub(super) fn are_heartbeats_on(&self) -> bool {
        self.app.settings.store.heartbeat.is_some()
    }
}

pub(super) fn counts(look: &Look) -> Counts {
    Counts::of(look.rows.iter().map(|row| &row.view), look.now)
}

/// `1 down, 2 checking again, 997 up; 3 alerts owed (api-health alerts list)`.
pub(super) fn counts_line(look: &Look, out: &Out) -> String {
    let counts = counts(look);
    let part = |condition: Condition| {
        let (n, word) = (counts.get(condition), condition.word().to_lowercase());
        (n > 0).then(|| out.paint(style(condition), &format!("{} {word}", text::number(n))))
    };
    let mut line = Condition::ALL.into_iter().filter_map(part).collect::<Vec<_>>().join(", ");
    if line.is_empty() {
        line = "no APIs yet; write: api-health apis add --url https://…".into();
    }
    if look.owed > 0 {
        line.push_str(&format!("; {} owed (api-health alerts list)", text::count(look.owed, "alert")));
    }
    line
}

const fn style(condition: Condition) -> anstyle::Style {
    match condition {
        Condition::Down | Condition::Unwatched => BAD,
        Condition::Suspect | Condition::Unclear | Condition::Maintenance | Condition::Unknown => DOUBT,
        Condition::Up => GOOD,
        Condition::Off => DIM,
    }
}

pub(super) fn text_of(seen: &Seen<'_>, rows: &[&Row], out: &Out) -> String {
    let Seen { app, look } = *seen;
    let now = look.now;
    // In a pipe a row stays one line; on a terminal its hours stand below it.
    let in_columns = out.columns.is_none() && rows.iter().any(|row| row.hours.is_some());
    let mut titles = vec!["API", "STATUS", "SINCE", "?LAST PROBE", "?>LATENCY", "WHAT"];
    if in_columns {
        titles.splice(5..5, ["24 HOURS", "MEDIAN LATENCY"]);
    }
    let mut table = Table::new(&titles);
    for row in rows {
        let mut cells: Vec<Cell> = vec![
            row.state.api_id.to_string().into(),
            condition_cell(row.view.condition(now), out),
            row.since().map_or("-".into(), |since| text::span(now.since(since))).into(),
            last_probe_cell(row, now),
            latency_words(row, now).into(),
            what(row, app, now).join("; ").into(),
        ];
        let hours = row.hours.as_deref().unwrap_or_default();
        let [bar, line] = [past::bar(hours, out), past::line(hours, out)];
        if in_columns {
            cells.splice(5..5, [bar.into(), Cell::from(line)]);
            table.push(cells);
            continue;
        }
        table.push(cells);
        if !hours.is_empty() {
            let fits = out.columns.is_some_and(|columns| columns > 2 * hours.len() + 4);
            let latency = past::latency_in_words(hours).filter(|_| fits).map(|_| format!("  {line}"));
            table.below(&out.paint(DIM, &format!("{bar}{}", latency.unwrap_or_default())));
        }
    }
    let table = if rows.is_empty() { String::new() } else { format!("{}\n", table.render(out)) };
    let words = |all| format!("{}\n", heartbeat::words(all, &look.heartbeats, seen.are_heartbeats_on(), now));
    let footer = look.heartbeat.as_ref().map_or(String::new(), words);
    format!("{table}{}\n{footer}", counts_line(look, out))
}

/// When it was probed last, or that it was probed on time where its row is older than that.
fn last_probe_cell(row: &Row, now: Timestamp) -> Cell {
    let Some(probe) = &row.state.last_probe else { return "-".into() };
    let ago = text::ago(probe.at, now);
    match row.said {
        Some(Said::Late) => Cell::styled(format!("{ago}, late"), BAD),
        Some(Said::CouldNotTell) => Cell::styled(format!("{ago}, now it cannot be told"), DOUBT),
        Some(Said::OnTime) if heartbeat::is_row_behind(row, now) => "on time".into(),
        _ => ago.into(),
    }
}

/// The last latency that is stored, and from when it is where that is not the last probe's.
fn latency_words(row: &Row, now: Timestamp) -> String {
    let Some(probe) = &row.state.last_probe else { return "-".into() };
    let Some(ms) = probe.latency_ms else { return "-".into() };
    match row.said {
        Some(Said::OnTime) if heartbeat::is_row_behind(row, now) => format!("{ms} ms, {}", text::ago(probe.at, now)),
        _ => format!("{ms} ms"),
    }
}

fn condition_cell(condition: Condition, out: &Out) -> Cell {
    let word = condition.word();
    let word = if out.unicode { format!("{} {word}", condition.glyph()) } else { word.to_owned() };
    Cell::styled(word, style(condition))
}

/// What else there is to say, the most pressing first. Figures that wait for a checkpoint are told with their age where the row is
/// behind: its API may fail for another reason by now.
fn what(row: &Row, app: &App, now: Timestamp) -> Vec<String> {
    let state = &row.state;
    let mut what = Vec::new();
    let as_of = state.last_probe.as_ref().filter(|_| heartbeat::is_row_behind(row, now));
    let as_of = as_of.map_or(String::new(), |probe| format!(" (as of {})", text::ago(probe.at, now)));
    let beside = &row.view.beside;
    if let Some(trouble) = &beside.not_probed {
        what.push(format!("not probed: {}", text::line(&trouble.reason)));
    }
    if let Some(trouble) = &beside.unclear {
        what.push(format!("unclear since {}: {}", text::ago(trouble.since, now), text::line(&trouble.reason)));
    }
    if let Some(held) = &state.held {
        what.push(format!("alert held: {}", text::line(&held.why)));
    } else if let Some(window) = state.maintenance.as_ref().filter(|window| now < window.until) {
        what.push(format!("maintenance until {}", window.until));
    } else if state.is_flapping() {
        what.push("flapping".into());
    }
    if let Some(streak) = state.streak.as_ref().filter(|_| beside.not_probed.is_none()) {
        what.push(streak_words(streak, row.needed()));
    }
    if let Some(probe) = state.last_probe.as_ref().filter(|probe| probe.verdict != Verdict::Pass) {
        let error = probe.error.as_deref().unwrap_or("failed");
        let prefix = if probe.verdict == Verdict::Inconclusive { "could not tell: " } else { "" };
        what.push(format!("{prefix}{}{as_of}", text::line(error)));
    }
    if let Some(trouble) = &beside.certificate {
        what.push(text::line(&trouble.reason));
    }
    let owed = owed_by(app, state);
    if owed > 0 {
        let mut channels: Vec<String> = state.owed.iter().flat_map(|owed| owed_to(app, owed)).collect();
        channels.sort_unstable();
        channels.dedup();
        what.push(format!("owes {} to {}", text::count(owed, "alert"), channels.join(", ")));
    }
    if state.missed_ticks > 0 {
        let missed = text::count(usize::try_from(state.missed_ticks).unwrap_or(usize::MAX), "missed tick");
        what.push(format!("{missed}{as_of}"));
    }
    if row.config().is_none() {
        what.push("not in the table or file".into());
    }
    what
}

/// `1 of 2 fails`.
fn streak_words(streak: &Streak, needed: Option<u32>) -> String {
    let word = match streak.toward {
        Toward::Down => "fail",
        Toward::Up => "pass",
    };
    let plural = |n: u32| match (word, n) {
        (word, 1) => word.to_owned(),
        ("pass", _) => "passes".to_owned(),
        (word, _) => format!("{word}s"),
    };
    match needed {
        Some(needed) => format!("suspect: {} of {needed} {}", streak.count, plural(needed)),
        None => format!("suspect: {} {}", streak.count, plural(streak.count)),
    }
}

pub(super) fn json_of(seen: &Seen<'_>, rows: &[&Row], store_trouble: Option<&Incident>) -> Value {
    let Seen { app, look } = *seen;
    let (now, counts) = (look.now, counts(look));
    let enabled = || look.rows.iter().filter(|row| row.view.is_enabled());
    let with = |status| enabled().filter(|row| row.status() == status).count();
    let is_suspect = |row: &&Row| row.view.beside.not_probed.is_none() && row.state.is_suspect();
    let conditions: Map<String, Value> = Condition::ALL
        .into_iter()
        .map(|condition| (condition.as_str().to_owned(), counts.get(condition).into()))
        .collect();
    let heartbeat_json = |heartbeat| heartbeat::json_of(heartbeat, seen.are_heartbeats_on(), now);
    json!({
        "schema": 1,
        "at": now.to_string(),
        "environment": app.settings.environment,
        "store": app.store_name(),
        "summary": {
            "up": with(Status::Up),
            "down": with(Status::Down),
            "unknown": with(Status::Unknown),
            "disabled": look.rows.len() - enabled().count(),
            "suspect": enabled().filter(is_suspect).count(),
            "unclear": enabled().filter(|row| row.view.beside.unclear.is_some()).count(),
            "owed_alerts": look.owed,
        },
        "conditions": conditions,
        "store_trouble": store_trouble.map(|incident| trouble(&Trouble::of(incident))),
        "heartbeat": look.heartbeat.as_ref().map(heartbeat_json),
        "heartbeats": look.heartbeats.iter().map(heartbeat_json).collect::<Vec<_>>(),
        "apis": rows.iter().map(|row| json_of_row(seen, row)).collect::<Vec<_>>(),
        "unreadable": json_of_unreadable(&look.unreadable),
        "refused": look.checked.refused.iter().map(|refused| json!({
            "api_id": refused.row.api_id.as_ref().map(|id| id.as_str()),
            "source": refused.source,
        })).collect::<Vec<_>>(),
    })
}

/// Something that the monitor noticed about itself.
fn trouble(trouble: &Trouble) -> Value {
    json!({ "since": trouble.since.to_string(), "reason": trouble.reason })
}

fn json_of_row(seen: &Seen<'_>, row: &Row) -> Value {
    let (state, config, beside) = (&row.state, row.config(), &row.view.beside);
    json!({
        "api_id": state.api_id.as_str(),
        "name": config.map(|config| &*config.name),
        "url": config.map(|config| &config.url),
        "source": row.source,
        "configured": config.is_some(),
        "enabled": row.view.is_enabled(),
        "condition": row.view.condition(seen.look.now).as_str(),
        "status": row.status().as_str(),
        "since": row.since().map(|since| since.to_string()),
        "not_probed": beside.not_probed.as_ref().map(trouble),
        "unclear": beside.unclear.as_ref().map(trouble),
        "told_status": state.last_alerted.as_str(),
        "flapping": state.is_flapping(),
        "maintenance_until": state.maintenance.as_ref().map(|window| window.until.to_string()),
        "held": state.held.as_ref().map(|held| json!({ "changes": held.changes, "why": held.why })),
        "certificate": beside.certificate.as_ref().map(trouble),
        "suspect": state.streak.as_ref().map(|streak| json!({
            "toward": streak.toward.as_str(),
            "count": streak.count,
            "needed": row.needed(),
            "first_at": streak.first_at.to_string(),
        })),
        "incident": state.incident.as_ref().map(|incident| json!({
            "incident_id": incident.incident_id,
            "started_at": incident.started_at.to_string(),
            "reason": incident.reason,
        })),
        "last_probe": state.last_probe.as_ref().map(|probe| json!({
            "at": probe.at.to_string(),
            "verdict": probe.verdict.as_str(),
            "latency_ms": probe.latency_ms,
            "status_code": probe.status_code,
            "error": probe.error,
        })),
        "on_time": match row.said {
            Some(Said::OnTime) => Some(true),
            Some(Said::Late) => Some(false),
            Some(Said::CouldNotTell) | None => None,
        },
        "owed_alerts": owed_by(seen.app, state),
        "missed_ticks": state.missed_ticks,
    })
}
