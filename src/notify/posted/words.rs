//! What a template can say of an alert or a digest: its fields, and a title and a text that fit the kind. Pure.

use std::sync::Arc;

use api_health_core::{Alert, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::markup;
use crate::notify::channel::Posting;
use crate::notify::digest::Digest;
use crate::notify::format;
use crate::notify::message::Message;

/// How many letters an id has that services take which take no alert id.
const SHORT_ID_CHARS: usize = 32;

/// What one post is about.
#[derive(Clone, Copy)]
pub(super) enum Alerts<'a> {
    One(&'a Alert),
    Many(&'a [Arc<Alert>]),
}

/// The values of a template, and of the places in a URL.
pub(super) type Words = Map<String, Value>;

impl Alerts<'_> {
    /// The id that every repeat carries.
    pub(super) fn id(self, environment: &str, now: Timestamp) -> String {
        match self {
            Self::One(alert) => alert.alert_id.clone(),
            Self::Many(alerts) => Digest::new(alerts, environment, now).id(),
        }
    }

    /// The machine form.
    pub(super) fn json(self, environment: &str, now: Timestamp) -> String {
        match self {
            Self::One(alert) => Message::new(alert, environment, now).json(),
            Self::Many(alerts) => Digest::new(alerts, environment, now).json(false),
        }
    }

    /// All that a template may use, escaped as the kind wants it. A digest has the same names as an alert, so that one template does
    /// for both.
    pub(super) fn words(self, environment: &str, now: Timestamp, posting: &Posting) -> Words {
        let (mut words, title, lines) = match self {
            Self::One(alert) => of_alert(alert, Message::new(alert, environment, now)),
            Self::Many(alerts) => of_digest(Digest::new(alerts, environment, now)),
        };
        for value in words.values_mut() {
            markup::escape(posting.markup, value);
        }
        let (lines, left_out) = markup::fit_lines(&lines, posting.markup, posting.text_max);
        let lines: Vec<String> = match (self, left_out) {
            (Self::Many(_), 1..) => {
                lines.into_iter().chain([format!("and {left_out} more; `api-health status` shows all")]).collect()
            }
            _ => lines,
        };
        words.insert("title".into(), markup::fit(&title, posting.markup, posting.title_max).into());
        words.insert("text".into(), lines.join("\n").into());
        words.insert("lines".into(), lines.into());
        words
    }
}

fn of_alert(alert: &Alert, message: Message<'_>) -> (Words, String, Vec<String>) {
    let payload = message.payload();
    let ends = matches!(payload.kind, "up" | "clear" | "certificate_renewed" | "closed");
    // Each threshold of a certificate is an incident of its own, of which the last alone is ended.
    let of_certificate = alert.api_id.certificate_api().is_some();
    let thread = if of_certificate { alert.api_id.to_string() } else { payload.incident_id.clone() };
    let level = match payload.kind {
        "down" | "reminder" => "critical",
        "up" | "clear" | "certificate_renewed" => "ok",
        "closed" => "info",
        _ => "warning",
    };
    let mut words = fields(&payload);
    add(&mut words, &payload.alert_id, &thread, level, ends);
    words.insert("alerts".into(), json!([]));
    let lines = message.facts().iter().map(|(label, value)| format!("{label}: {value}")).collect();
    (words, message.line(), lines)
}

fn of_digest(digest: Digest<'_>) -> (Words, String, Vec<String>) {
    let payload = digest.payload(false);
    let line = digest.line();
    let any = |status: &str| payload.alerts.iter().any(|alert| alert.status == status);
    let (level, status) = if any("down") { ("critical", "down") } else { ("ok", "up") };
    let first = payload.alerts.first().map(|alert| alert.happened_at.clone()).unwrap_or_default();
    let mut words = fields(&payload);
    for (name, value) in [
        ("alert_id", json!(payload.digest_id)),
        ("incident_id", json!(payload.digest_id)),
        ("api_id", json!("digest")),
        ("name", json!(line)),
        ("url", json!("")),
        ("status", json!(status)),
        ("previous_status", json!("unknown")),
        ("happened_at", json!(first)),
        ("detected_at", json!(first)),
        ("incident_started_at", json!(first)),
        ("duration_seconds", Value::Null),
        ("reason", json!(line)),
        ("late_seconds", json!(0)),
        ("changes_left_out", json!(0)),
        ("evidence", Value::Null),
    ] {
        words.insert(name.into(), value);
    }
    add(&mut words, &payload.digest_id, &payload.digest_id, level, false);
    (words, line, digest.lines().collect())
}

fn fields(payload: &impl Serialize) -> Words {
    // Strings and whole numbers under fixed keys: serde_json has no error for these.
    match serde_json::to_value(payload) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn add(words: &mut Words, id: &str, thread: &str, level: &str, ends: bool) {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
    let mut short_id = format::hex(hash.as_ref());
    short_id.truncate(SHORT_ID_CHARS);
    let colour: u32 = match level {
        "critical" => 0xd3_2f2f,
        "warning" => 0xf9_a825,
        "ok" => 0x2e_7d32,
        _ => 0x75_7575,
    };
    for (name, value) in [
        ("thread", json!(thread)),
        ("short_id", json!(short_id)),
        ("level", json!(level)),
        ("ends", json!(ends)),
        ("color", json!(format!("#{colour:06x}"))),
        ("color_number", json!(colour)),
    ] {
        words.insert(name.into(), value);
    }
}
