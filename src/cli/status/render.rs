//! What `status` prints: a table for people, JSON for scripts.

use api_health_actors::ports::UnreadableState;
use api_health_core::outcome::Verdict;
use api_health_core::state::Streak;
use api_health_core::{AlertKind, Status, Timestamp};
use serde_json::{Value, json};

use super::{Row, json_of_unreadable};
use crate::app::App;
use crate::cli::configured::Checked;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::table::{Cell, Table};
use crate::cli::text;

/// The last line.
pub(super) struct Counts {
    up: usize,
    down: usize,
    unknown: usize,
    disabled: usize,
    suspect: usize,
    owed: usize,
}

impl Counts {
    pub(super) fn of(rows: &[Row]) -> Self {
        let enabled = || rows.iter().filter(|row| row.enabled());
        let with = |status| enabled().filter(|row| row.state.status == status).count();
        Self {
            up: with(Status::Up),
            down: with(Status::Down),
            unknown: with(Status::Unknown),
            disabled: rows.len() - enabled().count(),
            suspect: enabled().filter(|row| row.state.is_suspect()).count(),
            owed: rows.iter().map(|row| row.state.owed.len()).sum(),
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
        if self.owed > 0 {
            line.push_str(&format!("; {} owed (api-health alerts list)", text::count(self.owed, "alert")));
        }
        line
    }
}

pub(super) fn text_of(rows: &[Row], counts: &Counts, app: &App, now: Timestamp, out: &Out) -> String {
    let mut table = Table::new(&["API", "STATUS", "SINCE", "LAST PROBE", ">LATENCY", "WHAT"]);
    for row in rows {
        let state = &row.state;
        let probe = state.last_probe.as_ref();
        table.push(vec![
            state.api_id.to_string().into(),
            status_cell(row),
            state.since.map_or("-".into(), |since| text::span(now.since(since))).into(),
            probe.map_or("-".into(), |probe| text::ago(probe.at, now)).into(),
            probe.and_then(|probe| probe.latency_ms).map_or("-".into(), |ms| format!("{ms} ms")).into(),
            what(row, app).join("; ").into(),
        ]);
    }
    let table = if rows.is_empty() { String::new() } else { format!("{}\n", table.render(out)) };
    format!("{table}{}\n", counts.line(out))
}

fn status_cell(row: &Row) -> Cell {
    let word = row.state.status.as_str();
    let style = match row.state.status {
        _ if !row.enabled() => return Cell::styled(format!("{word} (disabled)"), DIM),
        Status::Down => return Cell::styled("DOWN", BAD),
        Status::Unknown => DOUBT,
        Status::Up if row.state.is_suspect() => DOUBT,
        Status::Up => GOOD,
    };
    Cell::styled(word, style)
}

/// What else there is to say, the most pressing first.
fn what(row: &Row, app: &App) -> Vec<String> {
    let state = &row.state;
    let mut what = Vec::new();
    if let Some(streak) = &state.streak {
        what.push(streak_words(streak, row.needed()));
    }
    if let Some(probe) = state.last_probe.as_ref().filter(|probe| probe.verdict != Verdict::Pass) {
        let error = probe.error.as_deref().unwrap_or("failed");
        let prefix = if probe.verdict == Verdict::Inconclusive { "could not tell: " } else { "" };
        what.push(format!("{prefix}{}", text::line(error)));
    }
    if !state.owed.is_empty() {
        let mut channels = app.channels();
        channels.retain(|channel| state.owed.iter().any(|owed| !owed.is_delivered(channel)));
        let to = if channels.is_empty() { String::new() } else { format!(" to {}", channels.join(", ")) };
        what.push(format!("owes {}{to}", text::count(state.owed.len(), "alert")));
    }
    if state.missed_ticks > 0 {
        what.push(text::count(usize::try_from(state.missed_ticks).unwrap_or(usize::MAX), "missed tick"));
    }
    if row.config.is_none() {
        what.push("not in the table or file".into());
    }
    what
}

/// `1 of 2 fails`.
fn streak_words(streak: &Streak, needed: Option<u32>) -> String {
    let word = match streak.toward {
        AlertKind::Down => "fail",
        AlertKind::Up | AlertKind::Closed => "pass",
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
    app: &App,
    rows: &[Row],
    counts: &Counts,
    unreadable: &[UnreadableState],
    checked: &Checked,
    now: Timestamp,
) -> Value {
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
            "owed_alerts": counts.owed,
        },
        "apis": rows.iter().map(json_of_row).collect::<Vec<_>>(),
        "unreadable": json_of_unreadable(unreadable),
        "refused": checked.refused.iter().map(|refused| json!({
            "api_id": refused.row.api_id.as_ref().map(|id| id.as_str()),
            "source": refused.source,
        })).collect::<Vec<_>>(),
    })
}

fn json_of_row(row: &Row) -> Value {
    let (state, config) = (&row.state, row.config.as_ref());
    json!({
        "api_id": state.api_id.as_str(),
        "name": config.map(|config| &config.name),
        "url": config.map(|config| &config.url),
        "source": row.source,
        "configured": config.is_some(),
        "enabled": row.enabled(),
        "status": state.status.as_str(),
        "since": state.since.map(|since| since.to_string()),
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
        "owed_alerts": state.owed.len(),
        "missed_ticks": state.missed_ticks,
    })
}
