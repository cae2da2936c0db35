//! SNS: one publish for each alert, worded for every kind of subscription.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, Notifier, NotifierOfMany, NotifyError};
use api_health_core::Alert;
use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::error::operation::BuildError;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use self::listeners::Listeners;
use super::digest::{Digest, DigestItem};
use super::format;
use super::message::Message;
use crate::aws;
use crate::settings::SnsSettings;

pub(crate) mod chat;
pub(crate) mod failure;
mod listeners;

/// Bound on one call: that of every AWS call, and a second for a client that was made without it.
pub const DELIVER_TIMEOUT: Duration = aws::OPERATION_TIMEOUT.saturating_add(Duration::from_secs(1));
/// The largest message that SNS takes, in bytes, attributes included.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The largest message of a digest, without its attributes.
const DIGEST_BYTES_MAX: usize = 240 * 1024;
/// The longest deduplication id and message group id that SNS takes, in characters.
pub const FIFO_ID_CHARS_MAX: usize = 128;

/// The protocols whose subscribers are programs: they get the machine form.
const MACHINE_PROTOCOLS: [&str; 6] = ["email-json", "firehose", "http", "https", "lambda", "sqs"];

/// Publishes to one topic.
pub struct SnsNotifier {
    client: Client,
    topic: SnsSettings,
    listeners: Arc<Listeners>,
    environment: String,
    clock: Arc<dyn Clock>,
}

impl SnsNotifier {
    /// `client` should come from [`aws::load`], on the thread that will deliver. A topic whose ARN ends in `.fifo` is
    /// published to with the alert id as deduplication id and the API as message group.
    pub fn new(client: Client, topic: SnsSettings, environment: String, clock: Arc<dyn Clock>) -> Self {
        let listeners = Listeners::new(client.clone(), topic.clone());
        Self { client, topic, listeners, environment, clock }
    }

    /// From now on the log says if nobody is subscribed: at once, once a day, and after alerts.
    pub fn look_for_listeners(&self) {
        self.listeners.look_daily();
    }

    fn publish(&self, alert: &Alert) -> Result<PublishFluentBuilder, BuildError> {
        let message = Message::new(alert, &self.environment, self.clock.now());
        let mut publish = self.worded(message.subject(), structured(&message, self.topic.chat));
        for (name, value) in attributes(&message) {
            publish = publish.message_attributes(name, attribute("String", value)?);
        }
        if self.topic.is_fifo() {
            // The alert, never the incident or the API: within its window SNS would take a recovery for a repeat.
            publish = publish
                .message_deduplication_id(fifo_id(&alert.alert_id))
                .message_group_id(fifo_id(alert.api_id.as_str()));
        }
        Ok(publish)
    }

    fn publish_digest(&self, digest: Digest<'_>) -> Result<PublishFluentBuilder, BuildError> {
        let mut publish = self.worded(digest.subject(), structured_digest(digest, self.topic.chat));
        for (name, values) in attributes_of_digest(digest) {
            publish = publish.message_attributes(name, attribute("String.Array", json!(values).to_string())?);
        }
        Ok(publish)
    }

    fn worded(&self, subject: String, message: String) -> PublishFluentBuilder {
        let publish = self.client.publish().topic_arn(&self.topic.topic_arn);
        publish.subject(subject).message_structure("json").message(message)
    }

    async fn send(&self, publish: Result<PublishFluentBuilder, BuildError>) -> Result<(), NotifyError> {
        if self.client.config().region().is_none() {
            return Err(failure::no_region(&self.topic));
        }
        let publish = publish.map_err(|_| failure::unbuildable())?;
        match tokio::time::timeout(DELIVER_TIMEOUT, publish.send()).await {
            Ok(Ok(_)) => {
                self.listeners.published();
                Ok(())
            }
            Ok(Err(error)) => Err(failure::classify(&error, &self.topic)),
            Err(_) => Err(failure::timed_out(&self.topic)),
        }
    }
}

impl Notifier for SnsNotifier {
    fn channel(&self) -> &str {
        "sns"
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.send(self.publish(&alert)).await })
    }

    /// A FIFO topic keeps order inside each API's group alone, which a digest would leave.
    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        (!self.topic.is_fifo()).then_some(self)
    }
}

impl NotifierOfMany for SnsNotifier {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move {
            let digest = Digest::new(&alerts, &self.environment, self.clock.now());
            self.send(self.publish_digest(digest)).await
        })
    }
}

/// One text for each protocol, as `MessageStructure=json` has it. What is not listed gets `default`: a phone's push.
fn structured(message: &Message<'_>, chat: bool) -> String {
    let texts = json!({ "default": message.line(), "email": message.text(), "sms": message.sms() });
    with_payload(texts, &message.json(), chat.then(|| chat::notification(message)))
}

/// The same for a digest; where all would be too much for SNS, its machine form goes without names and reasons.
fn structured_digest(digest: Digest<'_>, chat: bool) -> String {
    let of = |brief: bool| {
        let texts = json!({ "default": digest.line(), "email": digest.text(), "sms": digest.sms() });
        with_payload(texts, &digest.json(brief), chat.then(|| chat::notification_of_many(digest)))
    };
    let whole = of(false);
    if whole.len() <= DIGEST_BYTES_MAX { whole } else { of(true) }
}

fn with_payload(mut texts: Value, payload: &str, chat: Option<String>) -> String {
    for protocol in MACHINE_PROTOCOLS {
        texts[protocol] = payload.into();
    }
    if let Some(chat) = chat {
        texts["https"] = chat.into();
    }
    texts.to_string()
}

fn attribute(data_type: &str, value: String) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build()
}

/// What a filter policy can select a digest by: it matches where one of its alerts does.
fn attributes_of_digest(digest: Digest<'_>) -> Vec<(&'static str, Vec<String>)> {
    let payload = digest.payload(true);
    let distinct = |of: fn(&DigestItem) -> &str| {
        let values: BTreeSet<&str> = payload.alerts.iter().map(of).collect();
        values.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut kinds = distinct(|item| item.kind);
    kinds.push(payload.kind.to_owned());
    let mut attributes = vec![
        ("schema", vec![payload.schema.to_string()]),
        ("kind", kinds),
        ("status", distinct(|item| item.status)),
        ("api_id", distinct(|item| &item.api_id)),
    ];
    if !payload.environment.is_empty() {
        attributes.push(("environment", vec![payload.environment.clone()]));
    }
    attributes
}

/// What a filter policy can select by. SNS refuses an empty value, so an empty environment is left out.
fn attributes(message: &Message<'_>) -> Vec<(&'static str, String)> {
    let payload = message.payload();
    let mut attributes = vec![
        ("schema", payload.schema.to_string()),
        ("kind", payload.kind.to_owned()),
        ("status", payload.status.to_owned()),
        ("api_id", payload.api_id),
    ];
    if !message.environment().is_empty() {
        attributes.push(("environment", message.environment()));
    }
    attributes
}

/// `id` as a deduplication id or message group id: as it is where SNS takes it (1 to 128 letters, digits and
/// punctuation of ASCII), else the SHA-256 of it in hexadecimal, which is as distinct and always fits.
fn fifo_id(id: &str) -> String {
    if (1..=FIFO_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return id.to_owned();
    }
    format::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_health_core::keep::DIGEST_ALERTS_MAX;
    use api_health_core::{AlertKind, ApiId, Status, Timestamp};

    #[test]
    fn ids_that_sns_takes_stay_readable_and_others_are_hashed() {
        assert_eq!(fifo_id("shop.1795332600000.3.down"), "shop.1795332600000.3.down");
        let longest = "a".repeat(FIFO_ID_CHARS_MAX);
        assert_eq!(fifo_id(&longest), longest);
        for odd in ["", "a b", "ü", &format!("{longest}a")] {
            let hashed = fifo_id(odd);
            assert_eq!(hashed.len(), 64, "{odd:?}");
            assert!(hashed.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        // SHA-256 of the empty string, from FIPS 180-4's examples.
        assert!(fifo_id("").starts_with("e3b0c44298fc1c14"));
        assert_ne!(fifo_id(&"b".repeat(200)), fifo_id(&"b".repeat(201)));
    }

    #[test]
    fn the_ids_of_the_core_never_need_hashing() {
        let api_id = ApiId::parse(&"a".repeat(ApiId::CHARS_MAX)).unwrap();
        let incident = api_health_core::incident::Incident::id(&api_id, Timestamp::from_millis(i64::MIN), u64::MAX);
        let id = Alert::id(&incident, AlertKind::Down);
        assert_eq!(fifo_id(&id), id);
    }

    #[test]
    fn the_largest_alert_stays_below_what_sns_takes() {
        // U+0001 is the dearest character: \u0001 in the machine form, \\u0001 in the structure round it.
        let dear = |chars: usize| "\u{1}".repeat(chars);
        let api_id = ApiId::parse(&"a".repeat(ApiId::CHARS_MAX)).unwrap();
        let alert = Alert {
            alert_id: "i".repeat(FIFO_ID_CHARS_MAX),
            incident_id: "i".repeat(FIFO_ID_CHARS_MAX),
            kind: AlertKind::Up,
            api_id,
            name: dear(100_000),
            url: dear(100_000),
            previous_status: Status::Unknown,
            happened_at: Timestamp::from_millis(i64::MAX),
            detected_at: Timestamp::from_millis(i64::MIN),
            incident_started_at: Timestamp::from_millis(i64::MIN),
            reason: dear(100_000),
            changes_left_out: u32::MAX,
            evidence: None,
        };
        for filler in ["\u{1}", "\u{10348}", "\"", "a"] {
            let environment = filler.repeat(100_000);
            let alert = Alert {
                name: filler.repeat(100_000),
                url: filler.repeat(100_000),
                reason: filler.repeat(100_000),
                ..alert.clone()
            };
            let message = Message::new(&alert, &environment, Timestamp::from_millis(i64::MAX));
            let around: usize = attributes(&message).iter().map(|(n, v)| n.len() + v.len() + 10).sum();
            let one = Arc::new(alert.clone());
            let many: Vec<_> = std::iter::repeat_n(one, DIGEST_ALERTS_MAX).collect();
            let digest = Digest::new(&many, &environment, Timestamp::from_millis(i64::MAX));
            for chat in [false, true] {
                let bytes = structured(&message, chat).len() + around;
                assert!(bytes < MESSAGE_BYTES_MAX, "{bytes} bytes of {filler:?}");
                // Each attribute by itself is what another API would add.
                let bytes = structured_digest(digest, chat).len() + DIGEST_ALERTS_MAX * (ApiId::CHARS_MAX + 3) + around;
                assert!(bytes < MESSAGE_BYTES_MAX, "{bytes} bytes of {filler:?} in a digest");
            }
        }
    }
}
