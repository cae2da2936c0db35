//! The words of a digest, many alerts in one message, and its form for machines. Pure, as `message` is.

use std::sync::Arc;

use api_health_core::{Alert, Timestamp, text};
use serde::Serialize;

use super::format;
use super::message::{AlertPayload, Message, SMS_CHARS_MAX, SUBJECT_CHARS_MAX};

/// The version of the machine form. Whoever knows those of single alerts must not take a digest for one.
pub const SCHEMA: u32 = 4;
/// So many alerts are named in mails; the rest is counted. The machine form and the terminal have all.
pub const NAMED_MAX: usize = 20;
/// The longest line about one alert, in characters.
const LINE_CHARS_MAX: usize = 160;
/// The longest name of an API in the machine form, in characters.
const NAME_CHARS_MAX: usize = 60;
/// The longest reason of an alert in the machine form, in characters.
const REASON_CHARS_MAX: usize = 100;

/// Several alerts, each of another API, with what is needed to word them.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    alerts: &'a [Arc<Alert>],
    environment: &'a str,
    now: Timestamp,
}

/// The machine form, field by field as it stands in the JSON; `docs/alerts.md` has the meanings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DigestPayload {
    pub schema: u32,
    pub digest_id: String,
    pub kind: &'static str,
    pub environment: String,
    pub alerts: Vec<DigestItem>,
}

/// One alert of a digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DigestItem {
    pub alert_id: String,
    pub incident_id: String,
    pub kind: &'static str,
    pub api_id: String,
    pub name: String,
    pub status: &'static str,
    pub happened_at: String,
    pub reason: String,
}

impl<'a> Digest<'a> {
    /// `environment` is the deployment's name, and may be empty; `now` is when this is told.
    pub fn new(alerts: &'a [Arc<Alert>], environment: &'a str, now: Timestamp) -> Self {
        Self { alerts, environment, now }
    }

    /// The same for the same alerts, and for no others.
    pub fn id(&self) -> String {
        let ids: Vec<&str> = self.alerts.iter().map(|alert| alert.alert_id.as_str()).collect();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, ids.join("\n").as_bytes());
        let hex = format::hex(hash.as_ref());
        format!("digest.{}", hex.get(..32).unwrap_or(&hex))
    }

    /// How many alerts there are, of which kinds: `12 ALERTS: 11 down, 1 up`.
    pub fn line(&self) -> String {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for item in self.payloads() {
            match counts.iter_mut().find(|(kind, _)| *kind == item.kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((item.kind, 1)),
            }
        }
        let words = |(kind, count): &(&'static str, usize)| format!("{count} {}", kind.replace('_', " "));
        let of: Vec<String> = counts.iter().map(words).collect();
        format!("{} ALERTS: {}", self.alerts.len(), of.join(", "))
    }

    /// The subject: the line, and the first names.
    pub fn subject(&self) -> String {
        self.ascii(SUBJECT_CHARS_MAX)
    }

    /// The short text, likewise.
    pub fn sms(&self) -> String {
        self.ascii(SMS_CHARS_MAX)
    }

    fn ascii(&self, chars_max: usize) -> String {
        let names: Vec<String> = self.payloads().take(NAMED_MAX).map(|alert| alert.name).collect();
        format::ascii(&format!("{} ({})", self.line(), names.join(", ")), chars_max)
    }

    /// The first words of each alert, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.messages().map(|message| text::line(&message.line(), LINE_CHARS_MAX))
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.line());
        for line in self.lines().take(NAMED_MAX) {
            text.push_str(&format!("{line}\n"));
        }
        let more = self.alerts.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            text.push_str(&format!("and {more} more; `api-health status` shows all\n"));
        }
        text.push('\n');
        for (label, value) in self.facts() {
            text.push_str(&format!("{:<13}{value}\n", format!("{label}:")));
        }
        text
    }

    /// What there is to know beside the alerts.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let environment = self.environment();
        let environment = (!environment.is_empty()).then_some(("Environment", environment));
        environment.into_iter().chain([("Digest", self.id())]).collect()
    }

    /// The environment as one bounded line; empty where none is set.
    pub fn environment(&self) -> String {
        text::line(self.environment, super::message::ENVIRONMENT_CHARS_MAX)
    }

    /// The machine form. `brief`: with ids alone, without names and reasons.
    pub fn payload(&self, brief: bool) -> DigestPayload {
        let cut = |text: &str, chars_max: usize| if brief { String::new() } else { text::line(text, chars_max) };
        let item = |alert: AlertPayload| DigestItem {
            name: cut(&alert.name, NAME_CHARS_MAX),
            reason: cut(&alert.reason, REASON_CHARS_MAX),
            alert_id: alert.alert_id,
            incident_id: alert.incident_id,
            kind: alert.kind,
            api_id: alert.api_id,
            status: alert.status,
            happened_at: alert.happened_at,
        };
        DigestPayload {
            schema: SCHEMA,
            digest_id: self.id(),
            kind: "digest",
            environment: self.environment(),
            alerts: self.payloads().map(item).collect(),
        }
    }

    /// The machine form as JSON in one line.
    pub fn json(&self, brief: bool) -> String {
        // Strings and whole numbers under fixed keys: serde_json has no error for these.
        serde_json::to_string(&self.payload(brief)).unwrap_or_default()
    }

    fn messages(&self) -> impl Iterator<Item = Message<'a>> {
        let Self { alerts, environment, now } = *self;
        alerts.iter().map(move |alert| Message::new(alert, environment, now))
    }

    fn payloads(&self) -> impl Iterator<Item = AlertPayload> {
        self.messages().map(|message| message.payload())
    }
}
