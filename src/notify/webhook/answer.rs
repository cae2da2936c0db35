//! What came of a post, sorted by who must act.

use api_health_actors::ports::NotifyError;
use api_health_core::{Failure, Timestamp, text};

use super::redact::Redactor;
use super::refusal::{Refusal, refusal};
use crate::probe::Reply;
use crate::retry_after::retry_after;

/// The most characters that are told of why there was no answer.
const DETAIL_CHARS_MAX: usize = 200;

/// What an answer means. It is told with `host` and with its first words, less what is `hidden`.
pub(super) fn classify_response(
    reply: &Reply,
    host: &str,
    hidden: &Redactor,
    now: Timestamp,
) -> Result<(), NotifyError> {
    let status = reply.status;
    let refusal = match status {
        // What is longer than is read of it is no refusal.
        200..=299 => match refusal(&reply.body).filter(|_| !reply.body_cut_at_bound) {
            Some(refusal) => Some(refusal),
            None => return Ok(()),
        },
        _ => None,
    };
    // Short, since `alerts list` has room for the beginning alone.
    let what = match refusal {
        Some(_) => format!("{status} and refused"),
        None => format!("with status {status}"),
    };
    let words = hidden.first_words(&reply.body);
    let colon = if words.is_empty() { "" } else { ": " };
    let reason = format!("the webhook at {host} answered {what}{colon}{words}");
    let remedy = match (refusal, status) {
        (Some(Refusal::Transient), _) | (None, 408 | 425 | 429 | 500..=599) => {
            let after = reply.headers.get("retry-after").and_then(|value| retry_after(value, now));
            return Err(NotifyError::Retryable { reason, after });
        }
        (Some(Refusal::Permanent), _) => {
            "check url under [notify.webhook], and whether that service takes the machine form of an alert"
        }
        (None, 300..=399) => "set url under [notify.webhook] to where it points: redirects are not followed",
        (None, 401 | 403) => "check the token in url and the secret under [notify.webhook]",
        (None, 404 | 410) => "check url under [notify.webhook]: there is nothing at its path",
        (None, _) => "look into that server's log for why it refuses, and check url under [notify.webhook]",
    };
    Err(NotifyError::Permanent { reason, remedy: remedy.into() })
}

/// What no answer means. What was sent in place of an answer is not repeated: it may be an echo of our own request.
pub(super) fn unanswered(failure: &Failure, host: &str) -> NotifyError {
    // A certificate may say a lot, and this goes into the log and into the record.
    let words = text::line(&failure.to_string(), DETAIL_CHARS_MAX);
    match failure {
        Failure::AddressRefused { .. } => NotifyError::Permanent {
            reason: format!("the webhook at {host}: {words}"),
            remedy: "set url under [notify.webhook] to an address that is not link-local".into(),
        },
        Failure::Certificate(_) => NotifyError::Permanent {
            reason: format!("the webhook at {host}: {words}"),
            remedy: "renew or replace that server's certificate, or trust its issuer on this machine".into(),
        },
        Failure::NotHttp { .. } => retryable(host, "its answer is not valid HTTP"),
        Failure::BadRedirect { .. } => retryable(host, "its redirect cannot be read"),
        _ => retryable(host, &words),
    }
}

fn retryable(host: &str, why: &str) -> NotifyError {
    NotifyError::Retryable { reason: format!("the webhook at {host}: {why}"), after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_our_own_request_is_not_repeated() {
        let failure = Failure::NotHttp { detail: "it begins with \"POST /services/T0/token\"".into() };
        assert!(!unanswered(&failure, "hooks.test").to_string().contains("token"));
    }

    #[test]
    fn a_certificate_that_says_a_lot_is_cut() {
        use api_health_core::observation::CertificateFault;
        let failure = Failure::Certificate(CertificateFault::Other("x\n".repeat(10_000)));
        let text = unanswered(&failure, "hooks.test").to_string();
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }
}
