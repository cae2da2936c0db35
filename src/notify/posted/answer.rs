//! What came of a post, sorted by who must act.

use std::time::Duration;

use api_health_actors::ports::NotifyError;
use api_health_core::{Failure, Timestamp, text};
use serde_json::Value;

use super::Receiver;
use super::refusal::{Refusal, refusal};
use crate::notify::channel::{Patience, Success, Taken};
use crate::probe::Reply;
use crate::retry_after::{RETRY_AFTER_MAX, retry_after};

/// The most characters that are told of why there was no answer.
const DETAIL_CHARS_MAX: usize = 200;

/// What an answer means. It is told with the receiver's host and its first words, less what must not be shown.
pub(super) fn classify_response(reply: &Reply, receiver: &Receiver, now: Timestamp) -> Result<(), NotifyError> {
    let status = reply.status;
    let refusal = match status {
        200..=299 => match refusal_in(reply, receiver) {
            Some(refusal) => Some(refusal),
            None => return Ok(()),
        },
        // Feishu says with a 400 that too much came at once.
        400 if receiver.posting.body.is_some() => refusal(&reply.body).filter(|known| *known == Refusal::Transient),
        _ => None,
    };
    // Short, since `alerts list` has room for the beginning alone.
    let what = match refusal {
        Some(_) if status < 300 => format!("{status} and refused"),
        _ => format!("with status {status}"),
    };
    let words = receiver.hidden.first_words(&reply.body);
    let colon = if words.is_empty() { "" } else { ": " };
    let reason = format!("{} answered {what}{colon}{words}", receiver.shown);
    if matches!((refusal, status), (Some(Refusal::Transient), _) | (None, 408 | 425 | 429 | 500..=599)) {
        return Err(NotifyError::Retryable { reason, after: patience(reply, receiver, now) });
    }
    let (place, keys) = (receiver.place(), receiver.required_keys());
    let is_own = receiver.posting.body.is_none();
    let remedy = match (refusal, status) {
        (Some(_), _) if is_own && receiver.settings.template.is_none() => {
            format!("check url {place}, and whether that service takes the machine form of an alert")
        }
        (Some(_), _) => format!("check {keys} {place}, and whether that service takes what is sent"),
        (None, 300..=399) => format!("set url {place} to where it points: redirects are not followed"),
        (None, 401 | 403) if is_own => format!("check the token in url and the secret {place}"),
        (None, 404 | 410) if is_own => format!("check url {place}: there is nothing at its path"),
        (None, _) if is_own => format!("look into that server's log for why it refuses, and check url {place}"),
        (None, _) => format!("check {keys} {place}"),
    };
    Err(NotifyError::Permanent { reason, remedy })
}

/// What a 2xx refuses, if it does.
fn refusal_in(reply: &Reply, receiver: &Receiver) -> Option<Refusal> {
    let known = refusal(&reply.body).filter(|_| !reply.body_cut_at_bound);
    let taken = match &receiver.settings.success {
        Some(success) => shows(success, &reply.body),
        None if receiver.posting.taken.is_empty() => return known, // whoever it is
        None => receiver.posting.taken.iter().any(|taken| shows_taken(*taken, reply)),
    };
    // What does not say that the alert was taken did not take it: a page of a proxy, another service.
    // Half an answer says nothing: the alert may have been taken, and no person has to act.
    let broke_off = !reply.body_cut_at_bound
        && (reply.content_length.is_some_and(|whole| reply.body_bytes < whole)
            || (!reply.body.is_empty()
                && serde_json::from_slice::<serde::de::IgnoredAny>(without_mark(&reply.body))
                    .is_err_and(|error| error.is_eof())));
    let otherwise = if broke_off { Refusal::Transient } else { Refusal::Permanent };
    (!taken).then(|| known.unwrap_or(otherwise))
}

fn shows(success: &Success, body: &[u8]) -> bool {
    match success {
        Success::Contains(words) => String::from_utf8_lossy(body).contains(words),
        Success::Json { pointer, equals } => at(body, pointer).as_ref() == Some(equals),
    }
}

fn shows_taken(taken: Taken, reply: &Reply) -> bool {
    let body = without_mark(&reply.body).trim_ascii();
    match taken {
        Taken::Status(status) => reply.status == status,
        Taken::Empty => body.is_empty(),
        Taken::Word(word) => body == word.as_bytes(),
        Taken::Number(pointer, number) => at(body, pointer).is_some_and(|value| match value {
            Value::Number(found) => found.as_i64() == Some(number),
            Value::String(digits) => digits.trim().parse() == Ok(number),
            _ => false,
        }),
        Taken::True(pointer) => at(body, pointer) == Some(Value::Bool(true)),
        Taken::Some(pointer) => at(body, pointer).is_some_and(|value| match value {
            Value::String(text) => !text.is_empty(),
            value => value.is_number(),
        }),
    }
}

/// A body without the byte order mark that .NET writes.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

fn at(body: &[u8], pointer: &str) -> Option<Value> {
    serde_json::from_slice::<Value>(without_mark(body)).ok()?.pointer_mut(pointer).map(Value::take)
}

/// How long it asks to be left alone: as its body says, where it is known for that, else as its head does.
fn patience(reply: &Reply, receiver: &Receiver, now: Timestamp) -> Option<Duration> {
    let asked = receiver.posting.patience.and_then(|patience| {
        let (pointer, in_seconds) = match patience {
            Patience::Seconds(pointer) => (pointer, 1.0),
            Patience::Milliseconds(pointer) => (pointer, 1_000.0),
        };
        let seconds = at(&reply.body, pointer)?.as_f64()? / in_seconds;
        Duration::try_from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())).ok()
    });
    asked.or_else(|| reply.headers.get("retry-after").and_then(|value| retry_after(value, now)))
}

/// What no answer means. What was sent in place of an answer is not repeated: it may be an echo of our own request.
pub(super) fn unanswered(failure: &Failure, receiver: &Receiver) -> NotifyError {
    // A certificate may say a lot, and this goes into the log and into the record.
    let words = text::line(&failure.to_string(), DETAIL_CHARS_MAX);
    let shown = &receiver.shown;
    let retryable = |why: &str| NotifyError::Retryable { reason: format!("{shown}: {why}"), after: None };
    match failure {
        Failure::AddressRefused { .. } => NotifyError::Permanent {
            reason: format!("{shown}: {words}"),
            remedy: format!("set url {} to an address that is not link-local", receiver.place()),
        },
        Failure::Certificate(_) => NotifyError::Permanent {
            reason: format!("{shown}: {words}"),
            remedy: "renew or replace that server's certificate, or trust its issuer on this machine".into(),
        },
        Failure::NotHttp { .. } => retryable("its answer is not valid HTTP"),
        Failure::BadRedirect { .. } => retryable("its redirect cannot be read"),
        _ => retryable(&words),
    }
}

/// The template made nothing that can be sent.
pub(super) fn unmade(fault: &str, receiver: &Receiver) -> NotifyError {
    // It may quote what was put in.
    let reason = format!("{}: {}", receiver.shown, receiver.hidden.first_words(fault.as_bytes()));
    NotifyError::Permanent { reason, remedy: format!("mend template {}", receiver.place()) }
}

impl Receiver {
    /// What must be right of its settings.
    fn required_keys(&self) -> String {
        let required = self.settings.kind.keys.iter().filter(|key| key.required);
        required.map(|key| key.name).collect::<Vec<_>>().join(", ")
    }

    /// Where in the settings its keys stand.
    fn place(&self) -> String {
        match self.settings.name.as_str() {
            "webhook" => "under [notify.webhook]".into(),
            name => format!("of the channel {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::channel::ChannelSettings;
    use api_health_core::Secret;

    fn receiver() -> Receiver {
        let url = Secret::new("https://hooks.test/services/T0/token");
        Receiver::new(ChannelSettings::webhook(url, None, Duration::from_secs(10))).unwrap()
    }

    #[test]
    fn an_echo_of_our_own_request_is_not_repeated() {
        let failure = Failure::NotHttp { detail: "it begins with \"POST /services/T0/token\"".into() };
        assert!(!unanswered(&failure, &receiver()).to_string().contains("token"));
    }

    #[test]
    fn what_shows_that_an_alert_was_taken_is_seen_behind_a_byte_order_mark() {
        let success = Success::Json { pointer: "/ok".into(), equals: true.into() };
        assert!(shows(&success, "\u{feff}{\"ok\":true}".as_bytes()));
        assert!(!shows(&success, "\u{feff}{\"ok\":false}".as_bytes()));
    }

    #[test]
    fn a_certificate_that_says_a_lot_is_cut() {
        use api_health_core::observation::CertificateFault;
        let failure = Failure::Certificate(CertificateFault::Other("x\n".repeat(10_000)));
        let text = unanswered(&failure, &receiver()).to_string();
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }
}
