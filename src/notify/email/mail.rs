//! What is sent: one alert or one digest as a mail, plain and as a little HTML. Pure.
//!
//! The `Message-ID` is made of the id of the alert, so that each repeat has the same one and a mailbox may drop it. All mails of
//! one incident refer to the one that it began with, and so stand together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api_health_core::{Alert, AlertKind, Timestamp, text};
use lettre::Message as Mail;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart};

use crate::notify::digest::{Digest, NAMED_MAX};
use crate::notify::format;
use crate::notify::message::Message;

/// The longest subject.
const SUBJECT_CHARS_MAX: usize = 150;
/// The most of an id or of the environment that is taken into a `Message-ID`.
const ID_CHARS_MAX: usize = 200;
const ENVIRONMENT_CHARS_MAX: usize = 64;

/// From whom to whom.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    pub(super) environment: &'a str,
}

impl Envelope<'_> {
    /// The mail of one alert, as bytes of the wire.
    pub(super) fn alert(&self, alert: &Alert, now: Timestamp) -> Result<Vec<u8>, lettre::error::Error> {
        let message = Message::new(alert, self.environment, now);
        let mut head = self.head(&message.line(), &alert.alert_id, now);
        let first = Alert::id(&alert.incident_id, AlertKind::Down);
        if first != alert.alert_id {
            let first = self.message_id(&first);
            head = head.in_reply_to(first.clone()).references(first);
        }
        let rows = message.facts();
        finish(head, message.text(), html(&message.line(), std::iter::empty(), &rows))
    }

    /// The mail of a digest. It belongs to no incident.
    pub(super) fn digest(&self, alerts: &[Arc<Alert>], now: Timestamp) -> Result<Vec<u8>, lettre::error::Error> {
        let digest = Digest::new(alerts, self.environment, now);
        let head = self.head(&digest.subject(), &digest.id(), now);
        let more = alerts.len().saturating_sub(NAMED_MAX);
        let more = (more > 0).then(|| format!("and {more} more; api-health status shows all"));
        let lines = digest.lines().take(NAMED_MAX).chain(more);
        finish(head, digest.text(), html(&digest.line(), lines, &digest.facts()))
    }

    fn head(&self, subject: &str, id: &str, now: Timestamp) -> MessageBuilder {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Mail::builder()
            .from(self.from.clone())
            .to(self.to.clone())
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            .subject(text::line(subject, SUBJECT_CHARS_MAX))
            .message_id(Some(self.message_id(id)))
            // Nobody's absence is answered to us (RFC 3834), and filters have something to go by.
            .raw_header(ascii("Auto-Submitted", "auto-generated"))
            .raw_header(ascii("X-Api-Health-Alert-Id", &format::ascii(id, ID_CHARS_MAX)))
    }

    /// Another deployment may have an API of the same name and mail to the same people.
    fn message_id(&self, id: &str) -> String {
        let (id, environment) = (atom(id, ID_CHARS_MAX), atom(self.environment, ENVIRONMENT_CHARS_MAX));
        let dot = if environment.is_empty() { "" } else { "." };
        format!("<{id}{dot}{environment}@{}>", self.from.email.domain())
    }
}

fn ascii(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// As a part of a `Message-ID` may be written: letters, digits and a few signs, and dots between them alone.
fn atom(text: &str, chars_max: usize) -> String {
    let mut atom = String::new();
    for c in text.chars().take(chars_max) {
        let is_dot_between = c == '.' && !atom.is_empty() && !atom.ends_with('.');
        atom.push(if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || is_dot_between { c } else { '_' });
    }
    if atom.ends_with('.') {
        atom.pop();
    }
    atom
}

fn finish(head: MessageBuilder, plain: String, html: String) -> Result<Vec<u8>, lettre::error::Error> {
    Ok(head.multipart(MultiPart::alternative_plain_html(plain, html))?.formatted())
}

/// The first line, further ones, and a table. Nothing is fetched from anywhere.
fn html(line: &str, lines: impl Iterator<Item = String>, rows: &[(&'static str, String)]) -> String {
    let mut html = format!("<!DOCTYPE html>\n<p><b>{}</b></p>\n", escaped(line));
    for line in lines {
        html.push_str(&format!("<p>{}</p>\n", escaped(&line)));
    }
    html.push_str("<table>\n");
    for (label, value) in rows {
        html.push_str(&format!(
            "<tr><td style=\"padding-right:1em;vertical-align:top\">{}</td><td>{}</td></tr>\n",
            escaped(label),
            escaped(value)
        ));
    }
    html + "</table>\n"
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
