//! A webhook: the machine form in a JSON POST, signed where a secret is set.
//!
//! Many services put a token into the path of the URL, so the URL is treated as a secret: an error names its host alone.
//! The request goes through the probe's own client, and so under the same guard: it never reaches link-local addresses.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, Notifier, NotifyError};
use api_health_core::{Alert, Failure, Method, Secret, Timestamp, text};
use aws_lc_rs::hmac;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use url::Url;

use super::message::Message;
use super::words;
use crate::probe::{Client, Reply, Request};

/// Bound on one call, from name lookup to the status of the answer, unless [`WebhookNotifier::with_timeout`] sets another.
pub const DELIVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The most patience that a server can ask for with `retry-after`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The most characters that are told of why there was no answer.
const DETAIL_CHARS_MAX: usize = 200;

/// Posts to one URL.
pub struct WebhookNotifier {
    client: Client,
    url: Url,
    /// The only part of the URL that is ever shown.
    shown: String,
    key: Option<hmac::Key>,
    timeout: Duration,
    environment: String,
    clock: Arc<dyn Clock>,
}

impl WebhookNotifier {
    /// Posts to `url` with the roots and name lookup of `client`, signing with `secret` where there is one.
    ///
    /// # Errors
    /// Says in plain words, and without the URL or the secret, what is wrong with them and what to write instead.
    pub fn new(
        client: Client,
        url: Url,
        secret: Option<&Secret>,
        environment: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let host = match (url.scheme(), url.host_str()) {
            ("http" | "https", Some(host)) => host,
            _ => {
                return Err("the webhook's url is not one of http or https; write one such as https://host/path".into());
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the webhook's url holds a user name or password, which would not be sent; \
                        write the url without them, and check the signature instead"
                .into());
        }
        if secret.is_some_and(|secret| secret.reveal().is_empty()) {
            return Err("the webhook's secret is empty; write a long random one, or leave it out".into());
        }
        let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
        Ok(Self { client, url, shown, key, timeout: DELIVER_TIMEOUT, environment, clock })
    }

    /// The same notifier with another bound on one call.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn request(&self, alert: &Alert) -> Request {
        let now = self.clock.now();
        let body = Message::new(alert, &self.environment, now).json();
        let timestamp = unix_seconds(now).to_string();
        let mut headers = vec![
            ("content-type".to_owned(), Secret::new("application/json")),
            ("user-agent".to_owned(), Secret::new(concat!("api-health/", env!("CARGO_PKG_VERSION")))),
            ("x-api-health-alert-id".to_owned(), Secret::new(words::ascii(&alert.alert_id, 200))),
            ("x-api-health-timestamp".to_owned(), Secret::new(timestamp.clone())),
        ];
        if let Some(key) = &self.key {
            headers.push(("x-api-health-signature".to_owned(), Secret::new(signature(key, &timestamp, &body))));
        }
        Request {
            method: Method::Post,
            url: self.url.clone(),
            headers,
            body: Some(Bytes::from(body)),
            timeout: self.timeout,
            body_bytes_max: 0, // the status says all
            keep_body: false,
            max_redirects: 0, // a signed body goes where it was told to, nowhere else
        }
    }
}

impl Notifier for WebhookNotifier {
    fn channel(&self) -> &'static str {
        "webhook"
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move {
            match self.client.exchange(&self.request(&alert)).await.result {
                Ok(reply) => judge(&reply, &self.shown),
                Err(failure) => Err(unanswered(&failure, &self.shown)),
            }
        })
    }
}

/// `v1=` and the HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal. The timestamp is signed as well, so that a receiver
/// can refuse what is old without being told a new age for it.
fn signature(key: &hmac::Key, timestamp: &str, body: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    for part in [timestamp, ".", body] {
        context.update(part.as_bytes());
    }
    format!("v1={}", words::hex(context.sign().as_ref()))
}

fn unix_seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

/// What an answer means, by who must act.
fn judge(reply: &Reply, host: &str) -> Result<(), NotifyError> {
    let status = reply.status;
    let reason = format!("the webhook at {host} answered with status {status}");
    let instead = match status {
        200..=299 => return Ok(()),
        408 | 425 | 429 | 500..=599 => {
            return Err(NotifyError::Retryable {
                reason,
                after: reply.headers.get("retry-after").and_then(retry_after),
            });
        }
        300..=399 => "set url under [notify.webhook] to where it points: redirects are not followed",
        401 | 403 => "check the token in url and the secret under [notify.webhook]",
        404 | 410 => "check url under [notify.webhook]: there is nothing at its path",
        _ => "look into that server's log for why it refuses, and check url under [notify.webhook]",
    };
    Err(NotifyError::Permanent { reason, instead: instead.into() })
}

/// Seconds, bounded; the form that names a date is not used by what answers webhooks, and is ignored.
fn retry_after(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More digits than a number holds ask for more than the bound.
    Some(text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs).min(RETRY_AFTER_MAX))
}

/// What no answer means. Nothing that the other side sent is repeated: it may echo our own request.
fn unanswered(failure: &Failure, host: &str) -> NotifyError {
    // A certificate may say a lot, and this goes into the log and into the record.
    let words = text::line(&failure.to_string(), DETAIL_CHARS_MAX);
    match failure {
        Failure::AddressRefused { .. } => NotifyError::Permanent {
            reason: format!("the webhook at {host}: {words}"),
            instead: "set url under [notify.webhook] to an address that is not link-local".into(),
        },
        Failure::Certificate(_) => NotifyError::Permanent {
            reason: format!("the webhook at {host}: {words}"),
            instead: "renew or replace that server's certificate, or trust its issuer on this machine".into(),
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
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // RFC 4231, test case 2: the key and the hash are those that are meant.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let whole = hmac::sign(&key, b"what do ya want for nothing?");
        assert_eq!(words::hex(whole.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        // Made with Python's hmac, over the bytes 1795332606.{"schema":1}
        assert_eq!(
            signature(&key, "1795332606", "{\"schema\":1}"),
            "v1=be15ec32580307e53c88054f229d97d79c50f8db92424a6328799d6dea49b051"
        );
    }

    #[test]
    fn patience_is_bounded_and_nonsense_ignored() {
        for (value, after) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3601", Some(3_600)),
            ("99999999999999999999999999", Some(3_600)),
            ("-1", None),
            ("", None),
            ("+5", None),
            ("Sun, 22 Nov 2026 07:30:00 GMT", None),
        ] {
            assert_eq!(retry_after(value.as_bytes()), after.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(b"\xff"), None);
    }

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

    #[test]
    fn time_before_1970_is_rounded_down() {
        assert_eq!(unix_seconds(Timestamp::from_millis(-1)), -1);
        assert_eq!(unix_seconds(Timestamp::from_millis(1_795_332_606_999)), 1_795_332_606);
    }
}
