//! Whether anybody hears the topic: SNS takes a message without subscribers like any other, and a mail scanner that follows the
//! link "unsubscribe" removes one without a word to whoever publishes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sns::Client;
use tokio::time::Instant;

use super::failure::is_denied;
use crate::settings::SnsSettings;

/// How often it is looked while nothing is published.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// A look before a publish tells of that publish as well if it is no older than this.
const STILL_TRUE: Duration = Duration::from_secs(60 * 60);

/// What looks after the subscriptions of one topic.
pub(super) struct Listeners {
    client: Client,
    topic: SnsSettings,
    looked_at: Mutex<Option<Instant>>,
    may_not_look: AtomicBool,
}

impl Listeners {
    pub(super) fn new(client: Client, topic: SnsSettings) -> Arc<Self> {
        Arc::new(Self { client, topic, looked_at: Mutex::default(), may_not_look: AtomicBool::new(false) })
    }

    /// Looks now, and once a day for as long as somebody holds this.
    pub(super) fn look_daily(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(this) = weak.upgrade() {
                this.look().await;
                drop(this);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    /// An alert was taken: looks, unless it was looked not long ago. The alert does not wait for it.
    pub(super) fn published(self: &Arc<Self>) {
        let is_fresh = self.last_look().is_some_and(|at| at.elapsed() < STILL_TRUE);
        if !is_fresh {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.look().await });
        }
    }

    fn last_look(&self) -> Option<Instant> {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look that fails says nothing: a topic that cannot be reached is told of by the alerts that it does not take.
    async fn look(&self) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let arn = &self.topic.topic_arn;
        match self.client.list_subscriptions_by_topic().topic_arn(arn).send().await {
            Ok(page) => {
                // Of one that is pending or was ended there is a word in place of an ARN.
                let is_heard =
                    page.subscriptions().iter().any(|one| one.subscription_arn().is_some_and(|arn| arn.contains(':')));
                if !is_heard && page.next_token().is_none_or(str::is_empty) && page.subscriptions.is_some() {
                    tracing::error!(
                        topic_arn = %arn,
                        remedy = "subscribe somebody (aws sns subscribe) and confirm it; `api-health doctor` lists who is pending",
                        "nobody is subscribed to the topic: SNS takes alerts, and nobody hears them"
                    );
                }
            }
            Err(error) if is_denied(&error) && !self.may_not_look.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    topic_arn = %arn,
                    remedy = "allow sns:ListSubscriptionsByTopic on it to this machine's role",
                    "whether anybody is subscribed to the topic may not be looked at"
                );
            }
            Err(_) => {}
        }
    }
}
