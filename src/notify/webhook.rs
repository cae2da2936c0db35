//! A webhook: the machine form in a JSON POST, signed where a secret is set.
//!
//! | file | what it is about |
//! |---|---|
//! | `answer` | what came of a post, by who must act |
//! | `refusal` | whether the body of a 2xx refuses |
//! | `redact` | the receiver's first words, without what must not be shown |
//!
//! Many services put a token into the path of the URL, so the URL is treated as a secret: an error names its host alone.
//! The request goes through the probe's own client, and so under the same guard: it never reaches link-local addresses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::ports::{Clock, Notifier, NotifierOfMany, NotifyError};
use api_health_core::{Alert, Method, Secret, Timestamp};
use aws_lc_rs::hmac;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;
use url::Url;

use super::digest::Digest;
use super::format;
use super::message::Message;
use crate::probe::{Client, Request};

mod answer;
pub(super) mod redact;
mod refusal;

pub use crate::retry_after::RETRY_AFTER_MAX;
use redact::Redactor;

/// Bound on one call, from name lookup to the end of the answer, unless [`WebhookNotifier::with_timeout`] sets another.
pub const DELIVER_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer's body is read. A refusal is short; what is longer is none.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// How long the files are waited for that hold the URL or the secret. A disk that hangs longer leaves what was.
const READ_AGAIN_MAX: Duration = Duration::from_secs(1);

/// Posts to one URL.
pub struct WebhookNotifier {
    client: Client,
    receiver: Mutex<Arc<Receiver>>,
    read_again: Option<Arc<ReadAgain>>,
    reading: Arc<Semaphore>,
    timeout: Duration,
    environment: String,
    clock: Arc<dyn Clock>,
}

/// What the files that hold URL or secret say now; `None` if that cannot be used.
type ReadAgain = dyn Fn() -> Option<(Url, Option<Secret>)> + Send + Sync;

/// Where alerts are posted to, and how they are signed.
struct Receiver {
    url: Url,
    /// The only part of the URL that is ever shown.
    shown: String,
    hidden: Redactor,
    key: Option<hmac::Key>,
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
        let receiver = Mutex::new(Arc::new(Receiver::new(url, secret)?));
        let client = client.with_lane_of_its_own();
        let reading = Arc::new(Semaphore::new(1));
        Ok(Self { client, receiver, read_again: None, reading, timeout: DELIVER_TIMEOUT, environment, clock })
    }

    /// The same notifier with another bound on one call.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same notifier, which asks before each attempt what URL and secret are now.
    #[must_use]
    pub fn with_read_again(
        self,
        read_again: impl Fn() -> Option<(Url, Option<Secret>)> + Send + Sync + 'static,
    ) -> Self {
        Self { read_again: Some(Arc::new(read_again)), ..self }
    }

    /// Whom the next attempt goes to.
    async fn receiver(&self) -> Arc<Receiver> {
        // One reading at a time: on a disk that hangs each would hold a thread.
        if let Some(read_again) = self.read_again.clone()
            && let Ok(turn) = Arc::clone(&self.reading).try_acquire_owned()
        {
            let reading = tokio::task::spawn_blocking(move || {
                let found = read_again();
                drop(turn);
                found
            });
            if let Ok(Ok(Some((url, secret)))) = tokio::time::timeout(READ_AGAIN_MAX, reading).await
                && let Ok(receiver) = Receiver::new(url, secret.as_ref())
            {
                *self.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(receiver);
            }
        }
        Arc::clone(&self.receiver.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Posts what `body` makes of the time at which it is sent, under this id of an alert or a digest.
    async fn post(&self, id: &str, body: impl FnOnce(Timestamp) -> String) -> Result<(), NotifyError> {
        let receiver = self.receiver().await;
        let now = self.clock.now();
        match self.client.status_first(&self.request(&receiver, id, body(now), now)).await {
            Ok(reply) => answer::classify_response(&reply, &receiver.shown, &receiver.hidden, self.clock.now()),
            Err(failure) => Err(answer::unanswered(&failure, &receiver.shown)),
        }
    }

    fn request(&self, receiver: &Receiver, id: &str, body: String, now: Timestamp) -> Request {
        let timestamp = unix_seconds(now).to_string();
        let mut headers = vec![
            ("content-type".to_owned(), Secret::new("application/json")),
            ("user-agent".to_owned(), Secret::new(concat!("api-health/", env!("CARGO_PKG_VERSION")))),
            ("x-api-health-alert-id".to_owned(), Secret::new(format::ascii(id, 200))),
            ("x-api-health-timestamp".to_owned(), Secret::new(timestamp.clone())),
        ];
        if let Some(key) = &receiver.key {
            headers.push(("x-api-health-signature".to_owned(), Secret::new(signature(key, &timestamp, &body))));
        }
        Request {
            method: Method::Post,
            url: receiver.url.clone(),
            headers,
            body: Some(Bytes::from(body)),
            timeout: self.timeout,
            body_bytes_max: BODY_BYTES_MAX,
            keep_body: true,
            accept_encoding: None,
            max_redirects: 0, // a signed body goes where it was told to, nowhere else
        }
    }
}

impl Receiver {
    fn new(url: Url, secret: Option<&Secret>) -> Result<Self, String> {
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
        let hidden = Redactor::new(&url, secret);
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
        Ok(Self { url, shown, hidden, key })
    }
}

impl Notifier for WebhookNotifier {
    fn channel(&self) -> &str {
        "webhook"
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(
            async move { self.post(&alert.alert_id, |now| Message::new(&alert, &self.environment, now).json()).await },
        )
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        Some(self)
    }
}

impl NotifierOfMany for WebhookNotifier {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move {
            let id = Digest::new(&alerts, &self.environment, self.clock.now()).id();
            self.post(&id, |now| Digest::new(&alerts, &self.environment, now).json(false)).await
        })
    }
}

/// `v1=` and the HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal. The timestamp is signed as well, so that nobody can
/// replay an old body with a new timestamp.
fn signature(key: &hmac::Key, timestamp: &str, body: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    for part in [timestamp, ".", body] {
        context.update(part.as_bytes());
    }
    format!("v1={}", format::hex(context.sign().as_ref()))
}

fn unix_seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // RFC 4231, test case 2: the key and the hash are those that are meant.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let whole = hmac::sign(&key, b"what do ya want for nothing?");
        assert_eq!(format::hex(whole.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        // Made with Python's hmac, over the bytes 1795332606.{"schema":1}
        assert_eq!(
            signature(&key, "1795332606", "{\"schema\":1}"),
            "v1=be15ec32580307e53c88054f229d97d79c50f8db92424a6328799d6dea49b051"
        );
    }

    #[test]
    fn time_before_1970_is_rounded_down() {
        assert_eq!(unix_seconds(Timestamp::from_millis(-1)), -1);
        assert_eq!(unix_seconds(Timestamp::from_millis(1_795_332_606_999)), 1_795_332_606);
    }

    #[tokio::test]
    async fn on_a_disk_that_hangs_one_reading_is_under_way_at_most() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let (hangs, readings) = (Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
        let url: Url = "http://127.0.0.1:9/".parse().unwrap();
        let clock = Arc::new(crate::clock::SystemClock);
        let notifier = WebhookNotifier::new(Client::new(None).unwrap(), url, None, "test".into(), clock).unwrap();
        let count = Arc::clone(&readings);
        let notifier = notifier.with_read_again(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = hangs.lock().unwrap().recv();
            None
        });
        tokio::join!(notifier.receiver(), notifier.receiver(), notifier.receiver());
        assert_eq!(readings.load(Ordering::Relaxed), 1);
        drop(release);
    }
}
