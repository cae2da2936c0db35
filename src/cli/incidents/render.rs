//! Incidents as people read them in a terminal, and as JSON.

use api_health_core::history::{Note, NoteKind};
use api_health_core::{Evidence, Timestamp};
use serde_json::{Value, json};

use super::Found;
use crate::cli::out::{BAD, DIM, Out, STRONG};
use crate::cli::table::{Cell, Table};
use crate::cli::text;
use crate::notify::evidence::EvidencePayload;
use crate::notify::format::moment;

/// How long it lasted, or has lasted.
fn lasts(found: &Found, now: Timestamp) -> std::time::Duration {
    found.ended_at().unwrap_or(now).since(found.began_at())
}

pub(super) fn table(all: &[Found], notes: &[Note], now: Timestamp, out: &Out) -> String {
    let mut table = Table::new(&["INCIDENT", "BEGAN", "LASTED", "?>NOTES", "WHAT"]);
    for found in all {
        let incident = &found.incident;
        let lasted = text::span(lasts(found, now));
        let of_it = notes.iter().filter(|note| note.incident_id == incident.incident_id).count();
        table.push(vec![
            incident.incident_id.as_str().into(),
            moment(found.began_at()).into(),
            if found.story.is_some() { lasted.into() } else { Cell::styled(format!("{lasted}, open"), BAD) },
            of_it.to_string().into(),
            text::line(&incident.reason).into(),
        ]);
    }
    table.render(out)
}

pub(super) fn text_of(found: &Found, notes: &[Note], now: Timestamp, out: &Out) -> String {
    let incident = &found.incident;
    let lasted = text::span(lasts(found, now));
    let (word, until) = match found.ended_at() {
        Some(at) => ("was down", format!(" until {}, for {lasted}", moment(at))),
        None => ("is down", format!(", for {lasted}")),
    };
    let name = out.paint(STRONG, &text::line(&incident.name));
    let mut text = format!("{name} {word} from {}{until}\n", moment(found.began_at()));
    text.push_str(&format!("  {}\n", text::line(&incident.reason)));
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
            text.push_str(&format!("\n{}\n{lines}", out.paint(STRONG, title)));
        }
    };
    let mut steps = vec![(found.began_at(), "the first probe failed".to_owned())];
    steps.extend(incident.confirmed_at.map(|at| (at, "the outage was confirmed".to_owned())));
    steps.extend(incident.delivered.iter().map(|told| {
        (told.at, format!("{} took the alert {}", text::line(&told.channel), told.kind.as_str().to_uppercase()))
    }));
    if let Some(story) = &found.story {
        let ended = if story.is_closed { "it was watched no longer" } else { "the first probe passed" };
        steps.push((story.ended_at, ended.into()));
        steps.push((story.end_confirmed_at, "the end was confirmed".into()));
    }
    steps.sort_by_key(|(at, _)| *at);
    section("What happened", steps.iter().map(|(at, what)| format!("{}  {what}", moment(*at))).collect());
    let of_note = |note: &Note| {
        let kind = note.kind.map(|kind| format!(", {}", kind.as_str())).unwrap_or_default();
        format!("{}  {}{kind}: {}", moment(note.at), note.by, note.text)
    };
    section("Notes", notes.iter().map(of_note).collect());
    let end = found.story.as_ref().and_then(|story| story.end_evidence.as_deref());
    let both = [
        ("What was seen when it was confirmed", incident.evidence.as_deref()),
        ("What was seen when it was over", end),
    ];
    for (title, seen) in both {
        let facts = seen.map(Evidence::facts).into_iter().flatten();
        section(title, facts.map(|(label, fact)| format!("{label}: {fact}")).collect());
    }
    text.push_str(&format!("\n{}\n", out.paint(DIM, &incident.incident_id)));
    text
}

pub(super) fn json_in_short(found: &Found, now: Timestamp) -> Value {
    json!({
        "incident_id": found.incident.incident_id,
        "api_id": found.incident.of_api().map(|(api_id, _)| api_id.to_string()),
        "name": found.incident.name,
        "started_at": found.began_at().to_string(),
        "ended_at": found.ended_at().map(|at| at.to_string()),
        "duration_seconds": lasts(found, now).as_secs(),
        "reason": found.incident.reason,
    })
}

pub(super) fn json_of(found: &Found, notes: &[Note], now: Timestamp) -> Value {
    let mut all = json_in_short(found, now);
    let incident = &found.incident;
    let told = incident
        .delivered
        .iter()
        .map(|told| json!({ "channel": told.channel, "kind": told.kind.as_str(), "at": told.at.to_string() }));
    let end = found.story.as_ref().and_then(|story| story.end_evidence.as_deref());
    all["schema"] = 1.into();
    all["confirmed_at"] = json!(incident.confirmed_at.map(|at| at.to_string()));
    all["told"] = told.collect();
    all["notes"] = notes.iter().map(json_of_note).collect();
    all["evidence"] = json!(incident.evidence.as_deref().map(EvidencePayload::from));
    all["end_evidence"] = json!(end.map(EvidencePayload::from));
    all
}

pub(super) fn json_of_note(note: &Note) -> Value {
    json!({
        "incident_id": note.incident_id,
        "at": note.at.to_string(),
        "by": note.by,
        "kind": note.kind.map(NoteKind::as_str),
        "text": note.text,
    })
}
