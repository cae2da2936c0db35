//! E-mail: each recipient is a channel of its own, and gets a mail of its own by SMTP.
//!
//! | file | what it is about |
//! |---|---|
//! | `keys` | what the settings say: server, sender, recipients, login |
//! | `mail` | an alert or a digest as a mail |
//! | `talk` | the talk with the server |
//! | `answer` | what came of it, by who must act |
//!
//! The server has taken a mail over when it says so (250) after all of it. Where the connection ends before that word it may have it,
//! and gets it once more, with the same `Message-ID`.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, Notifier, NotifierOfMany, NotifyError};
use api_health_core::{Alert, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

mod answer;
mod keys;
mod mail;
mod talk;

use super::channel::{ChannelSettings, KeyFault};
use super::posted::redact::Redactor;
use super::reread::Reread;
use crate::probe::Client;
use keys::MailRoute;
pub use keys::{KIND, TO, for_each_recipient};
use mail::Envelope;

/// Writes to one recipient.
pub struct EmailNotifier {
    name: String,
    client: Client,
    post: Reread<Post>,
    timeout: Duration,
    environment: String,
    clock: Arc<dyn Clock>,
}

/// Where to, and what is never shown of an answer.
struct Post {
    route: MailRoute,
    hidden: Redactor,
}

impl Post {
    fn new(settings: &ChannelSettings) -> Result<Self, Vec<KeyFault>> {
        let route = MailRoute::read(settings)?;
        Ok(Self { hidden: hidden(&route), route })
    }
}

impl EmailNotifier {
    /// Writes to the one recipient of `settings`, with the roots, name lookup and guard of `client`.
    ///
    /// # Errors
    /// Says in plain words what is wrong with the settings, and what to write instead.
    pub fn new(
        client: Client,
        settings: &ChannelSettings,
        environment: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let words = |(key, fault): KeyFault| format!("{key}: {} {}; write {}", fault.what, fault.why, fault.remedy);
        let post =
            Post::new(settings).map_err(|faults| faults.into_iter().map(words).collect::<Vec<_>>().join("\n"))?;
        let (name, timeout) = (settings.name.clone(), settings.timeout);
        let client = client.with_lane_of_its_own();
        Ok(Self { name, client, post: Reread::fixed(post), timeout, environment, clock })
    }

    /// The same notifier, which asks before each attempt what the settings are now.
    #[must_use]
    pub fn with_read_again(self, read: impl Fn() -> Option<ChannelSettings> + Send + Sync + 'static) -> Self {
        Self { post: self.post.by(read), ..self }
    }

    /// Sends what `mail` makes of the time at which it is sent.
    async fn send(
        &self,
        mail: impl FnOnce(&Envelope<'_>, Timestamp) -> Result<Vec<u8>, lettre::error::Error>,
    ) -> Result<(), NotifyError> {
        let post = self.post.now(Post::new).await;
        let MailRoute { from, to, .. } = &post.route;
        let envelope = Envelope { from, to, environment: &self.environment };
        let mail = mail(&envelope, self.clock.now()).map_err(|error| NotifyError::Permanent {
            reason: format!("the mail cannot be written: {error}"),
            remedy: "report this as a fault of api-health".into(),
        })?;
        let sent = talk::send(&self.client, &post.route, &mail, Instant::now() + self.timeout).await;
        sent.map_err(|fault| answer::error(fault, &post.route.server(), &post.hidden))
    }
}

/// A server may repeat what it was sent, also in the form in which a login is sent.
fn hidden(route: &MailRoute) -> Redactor {
    let login = route.login.iter().flat_map(|(user, password)| {
        let (user, password) = (user.reveal(), password.reveal());
        let plain = BASE64.encode(format!("\0{user}\0{password}"));
        [password.to_owned(), BASE64.encode(password), plain]
    });
    Redactor::hiding(login)
}

impl Notifier for EmailNotifier {
    fn channel(&self) -> &str {
        &self.name
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.send(|envelope, now| envelope.alert(&alert, now)).await })
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        Some(self)
    }
}

impl NotifierOfMany for EmailNotifier {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.send(|envelope, now| envelope.digest(&alerts, now)).await })
    }
}
