//! An alert in the form that Amazon Q Developer in chat applications (AWS Chatbot before) shows: it throws away whatever is not an
//! event of AWS or a "custom notification", without a word. Pure.

use api_health_core::text;
use serde_json::json;

use crate::notify::digest::Digest;
use crate::notify::message::Message;

/// The endpoint of its subscriptions, of every account and region.
pub(crate) const HOST: &str = "global.sns-api.chatbot.amazonaws.com";

/// As its documentation has it (read in November 2026).
const TITLE_CHARS_MAX: usize = 250;
/// Less than the 8,000 that it takes: a chat shows no more of it than a screen.
const DESCRIPTION_CHARS_MAX: usize = 4_000;

/// The custom notification, as JSON. The alerts of one incident are one thread.
pub(super) fn notification(message: &Message<'_>) -> String {
    let payload = message.payload();
    let facts = message.facts();
    let lines: Vec<String> = facts.iter().map(|(label, value)| format!("*{label}*: {}", plain(value))).collect();
    let title = plain(&message.line());
    json!({
        "version": "1.0",
        "source": "custom",
        "id": payload.alert_id,
        "content": {
            "textType": "client-markdown",
            "title": cut(&title, TITLE_CHARS_MAX),
            "description": cut(&lines.join("\n"), DESCRIPTION_CHARS_MAX),
        },
        "metadata": {
            "threadId": payload.incident_id,
            "summary": text::line(&title, TITLE_CHARS_MAX),
            "eventType": payload.kind,
            "relatedResources": [payload.api_id],
        },
    })
    .to_string()
}

/// The same for a digest, which is a thread of its own.
pub(super) fn notification_of_many(digest: Digest<'_>) -> String {
    let title = plain(&digest.line());
    let lines: Vec<String> = digest.lines().map(|line| plain(&line)).collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "id": digest.id(),
        "content": {
            "textType": "client-markdown",
            "title": cut(&title, TITLE_CHARS_MAX),
            "description": cut(&lines.join("\n"), DESCRIPTION_CHARS_MAX),
        },
        "metadata": { "threadId": digest.id(), "summary": text::line(&title, TITLE_CHARS_MAX), "eventType": "digest" },
    })
    .to_string()
}

/// What calls people or makes a link in a chat stands as it is meant: as text.
fn plain(text: &str) -> String {
    text.replace('<', "\u{2039}").replace('>', "\u{203a}").replace('@', "\u{ff20}")
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
