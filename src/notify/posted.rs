//! All channels that are posted to over HTTP: the chats and services of the table of kinds, and webhooks of any sort.
//!
//! | file | what it is about |
//! |---|---|
//! | `check` | what is wrong with a channel's settings, before anything is sent |
//! | `words` | what a template can say of an alert or a digest |
//! | `markup` | texts escaped and cut to what a service takes |
//! | `template` | the body that a template makes, bounded |
//! | `request` | URL, headers, body and signature of one post |
//! | `answer` | what came of a post, by who must act |
//! | `refusal` | whether the body of a 2xx refuses |
//! | `redact` | the receiver's first words, without what must not be shown |
//!
//! Many services put a token into the path of the URL, so the URL is treated as a secret: an error names its host alone.
//! The request goes through the probe's own client, and so under the same guard: it never reaches link-local addresses.

use std::sync::Arc;

use api_health_actors::ports::{Clock, Notifier, NotifierOfMany, NotifyError};
use api_health_core::Alert;
use futures_util::future::LocalBoxFuture;
use url::Url;

use super::channel::{ChannelSettings, Posting};
use super::reread::Reread;
use crate::probe::Client;

mod answer;
pub mod check;
mod markup;
pub(super) mod redact;
mod refusal;
mod request;
mod template;
mod words;

pub use crate::retry_after::RETRY_AFTER_MAX;
use redact::Redactor;
pub use template::TEMPLATE_BYTES_MAX;
use words::Alerts;

/// How much is read of the answer of a receiver that may say anything. A refusal is short; what is longer is none.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// The same where the answer must show that the alert was taken: many chats repeat the message in it.
const SHOWING_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Posts to one channel.
pub struct PostedNotifier {
    channel: String,
    client: Client,
    receiver: Reread<Receiver>,
    takes_digests: bool,
    environment: String,
    clock: Arc<dyn Clock>,
}

/// Where alerts are posted to, and how.
struct Receiver {
    settings: ChannelSettings,
    posting: &'static Posting,
    /// Who it is in errors: its kind, and the only part of the URL that is ever shown.
    shown: String,
    hidden: Redactor,
}

impl PostedNotifier {
    /// Posts as `settings` say, with the roots and name lookup of `client`.
    ///
    /// # Errors
    /// Says in plain words, and without any secret, what is wrong with them and what to write instead.
    pub fn new(
        client: &Client,
        settings: ChannelSettings,
        environment: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let channel = settings.name.clone();
        let takes_digests = settings.kind.posting.as_ref().is_some_and(|posting| posting.takes_digests);
        let receiver = Reread::fixed(Receiver::new(settings)?);
        let client = client.clone().with_lane_of_its_own();
        Ok(Self { channel, client, receiver, takes_digests, environment, clock })
    }

    /// The same notifier, which asks before each attempt what the settings are now.
    #[must_use]
    pub fn with_read_again(self, read_again: impl Fn() -> Option<ChannelSettings> + Send + Sync + 'static) -> Self {
        Self { receiver: self.receiver.by(read_again), ..self }
    }

    async fn post(&self, alerts: Alerts<'_>) -> Result<(), NotifyError> {
        let receiver = self.receiver.now(|settings| Receiver::new(settings.clone())).await;
        let Receiver { settings, posting, .. } = &*receiver;
        let request = request::request(settings, posting, alerts, &self.environment, self.clock.now());
        let request = request.map_err(|fault| answer::unmade(&fault, &receiver))?;
        match self.client.status_first(&request).await {
            Ok(reply) => answer::classify_response(&reply, &receiver, self.clock.now()),
            Err(failure) => Err(answer::unanswered(&failure, &receiver)),
        }
    }
}

impl Receiver {
    fn new(settings: ChannelSettings) -> Result<Self, String> {
        if let Some(fault) = check::faults(&settings).into_iter().next() {
            return Err(check::in_words(&fault, &settings));
        }
        let posting = settings.kind.posting.as_ref().ok_or("this kind is not posted to")?;
        // It was checked.
        let url: Url = settings.posted_to().unwrap_or_default().parse().map_err(|_| "url is no URL")?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let the = if settings.kind.name == "webhook" { "the " } else { "" };
        let shown = format!("{the}{} at {host}", settings.kind.name);
        let secret_keys = settings.kind.keys.iter().filter(|key| key.secret && key.name != "url");
        let secrets = secret_keys.filter_map(|key| settings.keys.get(key.name));
        let hidden = Redactor::new(&url, secrets.chain(settings.headers.iter().map(|(_, value)| value)));
        Ok(Self { settings, posting, shown, hidden })
    }
}

impl Notifier for PostedNotifier {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.post(Alerts::One(&alert)).await })
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        if self.takes_digests { Some(self) } else { None }
    }
}

impl NotifierOfMany for PostedNotifier {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.post(Alerts::Many(&alerts)).await })
    }
}

/// How much of an answer is read.
fn answer_bytes_max(settings: &ChannelSettings, posting: &Posting) -> usize {
    let shows = settings.success.is_some() || !posting.taken.is_empty();
    if shows { SHOWING_ANSWER_BYTES_MAX } else { ANSWER_BYTES_MAX }
}
