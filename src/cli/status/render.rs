//! What `status` prints: a table for people, JSON for scripts.

use api_health_actors::ports::UnreadableState;
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::state::Streak;
use api_health_core::{Heartbeat, Status, Timestamp, Toward};
use serde_json::{Value, json};

use super::beat::{self, Said};
use super::{Row, owed_by};
use crate::app::App;
use crate::cli::configured::Checked;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::stored::{json_of_unreadable, owed_to};
use crate::cli::table::{Cell, Table};
use crate::cli::text;

/// The last line.
pub(super) struct Counts {
    up: usize,
    down: usize,
    unknown: usize,
    disabled: usize,
    suspect: usize,
    unclear: usize,
    owed: usize,
}

impl Counts {
    /// Of these APIs; `owed` counts the monitor's own alerts as well.
    pub(super) fn of(rows: &[Row], owed: usize) -> Self {
        let enabled = || rows.iter().filter(|row| row.enabled());
        let with = |status| enabled().filter(|row| row.status() == status).count();
        Self {
            up: with(Status::Up),
            down: with(Status::Down),
            unknown: with(Status::Unknown),
            disabled: rows.len() - enabled().count(),
            suspect: enabled().filter(|row| row.not_probed.is_none() && row.state.is_suspect()).count(),
            unclear: enabled().filter(|row| row.unclear.is_some()).count(),
            owed,
        }
    }

    fn line(&self, out: &Out) -> String {
        let part = |n: usize, word: &str, style| (n > 0).then(|| out.paint(style, &format!("{n} {word}")));
        let parts = [
            part(self.down, "down", BAD),
            part(self.up, "up", GOOD),
            part(self.unknown, "unknown", DOUBT),
            part(self.disabled, "disabled", DIM),
        ];
        let mut line = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if line.is_empty() {
            line = "no APIs yet; write: api-health apis add --url https://…".into();
        }
        if self.suspect > 0 {
            line.push_str(&format!("; {} suspect", self.suspect));
        }
        if self.unclear > 0 {
            line.push_str(&format!("; {} unclear", self.unclear));
        }
        if self.owed > 0 {
            line.push_str(&format!("; {} owed (api-health alerts list)", text::count(self.owed, "alert")));
        }
        line
    }
}

/// What everything is seen by.
pub(super) struct Seen<'a> {
    pub(super) app: &'a App,
    /// All of them as one.
    pub(super) heartbeat: Option<&'a Heartbeat>,
    /// Each worker's own.
    pub(super) beats: &'a [Heartbeat],
    pub(super) now: Timestamp,
}

impl Seen<'_> {
    /// Whether heartbeats are written by these settings.
    pub(super) fn are_beats_on(&self) -> bool {
        self.app.settings.store.heartbeat.is_some()
    }
}

pub(super) fn text_of(seen: &Seen<'_>, rows: &[Row], counts: &Counts, out: &Out) -> String {
    let Seen { app, heartbeat, beats, now } = *seen;
    let mut table = Table::new(&["API", "STATUS", "SINCE", "?LAST PROBE", "?>LATENCY", "WHAT"]);
    for row in rows {
        let state = &row.state;
        table.push(vec![
            state.api_id.to_string().into(),
            status_cell(row),
            row.since().map_or("-".into(), |since| text::span(now.since(since))).into(),
            last_probe_cell(row, heartbeat, now),
            latency_words(row, heartbeat, now).into(),
            what(row, app, now).join("; ").into(),
        ]);
    }
    let table = if rows.is_empty() { String::new() } else { format!("{}\n", table.render(out)) };
    let words = |all| format!("{}\n", beat::words(all, beats, seen.are_beats_on(), now));
    let footer = heartbeat.map_or(String::new(), words);
    format!("{table}{}\n{footer}", counts.line(out))
}

/// When it was probed last, or that it was probed on time where its row is older than that.
fn last_probe_cell(row: &Row, heartbeat: Option<&Heartbeat>, now: Timestamp) -> Cell {
    let Some(probe) = &row.state.last_probe else { return "-".into() };
    let ago = text::ago(probe.at, now);
    match heartbeat.and_then(|beat| beat::said(row, beat, now)) {
        Some(Said::Late) => Cell::styled(format!("{ago}, late"), BAD),
        Some(Said::CouldNotTell) => Cell::styled(format!("{ago}, now it cannot be told"), DOUBT),
        Some(Said::OnTime) if beat::is_row_behind(row, now) => "on time".into(),
        _ => ago.into(),
    }
}

/// The last latency that is stored, and from when it is where that is not the last probe's.
fn latency_words(row: &Row, heartbeat: Option<&Heartbeat>, now: Timestamp) -> String {
    let Some(probe) = &row.state.last_probe else { return "-".into() };
    let Some(ms) = probe.latency_ms else { return "-".into() };
    match heartbeat.and_then(|beat| beat::said(row, beat, now)) {
        Some(Said::OnTime) if beat::is_row_behind(row, now) => format!("{ms} ms, {}", text::ago(probe.at, now)),
        _ => format!("{ms} ms"),
    }
}

fn status_cell(row: &Row) -> Cell {
    let word = row.status().as_str();
    let style = match row.status() {
        _ if !row.enabled() => return Cell::styled(format!("{word} (disabled)"), DIM),
        Status::Unknown if row.not_probed.is_some() => return Cell::styled("UNKNOWN", BAD),
        Status::Down => return Cell::styled("DOWN", BAD),
        Status::Unknown => DOUBT,
        Status::Up if row.state.is_suspect() || row.unclear.is_some() => DOUBT,
        Status::Up => GOOD,
    };
    Cell::styled(word, style)
}

/// What else there is to say, the most pressing first. Figures that wait for a checkpoint are told with their age where the row is
/// behind: its API may fail for another reason by now.
fn what(row: &Row, app: &App, now: Timestamp) -> Vec<String> {
    let state = &row.state;
    let mut what = Vec::new();
    let as_of = state.last_probe.as_ref().filter(|_| beat::is_row_behind(row, now));
    let as_of = as_of.map_or(String::new(), |probe| format!(" (as of {})", text::ago(probe.at, now)));
    if let Some(incident) = &row.not_probed {
        what.push(format!("not probed: {}", text::line(&incident.reason)));
    }
    if let Some(incident) = &row.unclear {
        what.push(format!("unclear since {}: {}", text::ago(incident.started_at, now), text::line(&incident.reason)));
    }
    if let Some(held) = &state.held {
        what.push(format!("alert held: {}", text::line(&held.why)));
    } else if let Some(window) = state.maintenance.as_ref().filter(|window| now < window.until) {
        what.push(format!("maintenance until {}", window.until));
    } else if state.is_flapping() {
        what.push("flapping".into());
    }
    if let Some(streak) = state.streak.as_ref().filter(|_| row.not_probed.is_none()) {
        what.push(streak_words(streak, row.needed()));
    }
    if let Some(probe) = state.last_probe.as_ref().filter(|probe| probe.verdict != Verdict::Pass) {
        let error = probe.error.as_deref().unwrap_or("failed");
        let prefix = if probe.verdict == Verdict::Inconclusive { "could not tell: " } else { "" };
        what.push(format!("{prefix}{}{as_of}", text::line(error)));
    }
    if let Some(incident) = &row.certificate {
        what.push(text::line(&incident.reason));
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
    if row.config.is_none() {
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

pub(super) fn json_of(
    seen: &Seen<'_>,
    rows: &[Row],
    counts: &Counts,
    store_trouble: Option<&Incident>,
    unreadable: &[UnreadableState],
    checked: &Checked,
) -> Value {
    let Seen { app, heartbeat, beats, now } = *seen;
    json!({
        "schema": 1,
        "at": now.to_string(),
        "environment": app.settings.environment,
        "store": app.store_name(),
        "summary": {
            "up": counts.up,
            "down": counts.down,
            "unknown": counts.unknown,
            "disabled": counts.disabled,
            "suspect": counts.suspect,
            "unclear": counts.unclear,
            "owed_alerts": counts.owed,
        },
        "store_trouble": store_trouble.map(trouble),
        "heartbeat": heartbeat.map(|beat| beat::json_of(beat, seen.are_beats_on(), now)),
        "heartbeats": beats.iter().map(|beat| beat::json_of(beat, seen.are_beats_on(), now)).collect::<Vec<_>>(),
        "apis": rows.iter().map(|row| json_of_row(seen, row)).collect::<Vec<_>>(),
        "unreadable": json_of_unreadable(unreadable),
        "refused": checked.refused.iter().map(|refused| json!({
            "api_id": refused.row.api_id.as_ref().map(|id| id.as_str()),
            "source": refused.source,
        })).collect::<Vec<_>>(),
    })
}

/// Something that the monitor noticed about itself.
fn trouble(incident: &Incident) -> Value {
    json!({ "since": incident.started_at.to_string(), "reason": incident.reason })
}

fn json_of_row(seen: &Seen<'_>, row: &Row) -> Value {
    let app = seen.app;
    let (state, config) = (&row.state, row.config.as_ref());
    json!({
        "api_id": state.api_id.as_str(),
        "name": config.map(|config| &config.name),
        "url": config.map(|config| &config.url),
        "source": row.source,
        "configured": config.is_some(),
        "enabled": row.enabled(),
        "status": row.status().as_str(),
        "since": row.since().map(|since| since.to_string()),
        "not_probed": row.not_probed.as_ref().map(trouble),
        "unclear": row.unclear.as_ref().map(trouble),
        "told_status": state.last_alerted.as_str(),
        "flapping": state.is_flapping(),
        "maintenance_until": state.maintenance.as_ref().map(|window| window.until.to_string()),
        "held": state.held.as_ref().map(|held| json!({ "changes": held.changes, "why": held.why })),
        "certificate": row.certificate.as_ref().map(trouble),
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
            "verdict": match probe.verdict {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::Inconclusive => "inconclusive",
            },
            "latency_ms": probe.latency_ms,
            "status_code": probe.status_code,
            "error": probe.error,
        })),
        "on_time": match seen.heartbeat.and_then(|beat| beat::said(row, beat, seen.now)) {
            Some(Said::OnTime) => Some(true),
            Some(Said::Late) => Some(false),
            Some(Said::CouldNotTell) | None => None,
        },
        "owed_alerts": owed_by(app, state),
        "missed_ticks": state.missed_ticks,
    })
}
