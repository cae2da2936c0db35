//! The alerter: sole holder of the notifiers. It delivers with retry and backoff, and never drops.
//!
//! Each alert is a task of its own, so that one that cannot be delivered holds up no other. The keeper offers one alert
//! of an API and channel at a time, which keeps them in order, and bounds the tasks by what is owed.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use api_health_core::Alert;
use tokio::sync::Semaphore;

use crate::ports::{Notifier, NotifyError};
use crate::retry::{self, RetryPolicy};

/// Messages in the alerter's mailbox.
pub const MAILBOX_CAPACITY: usize = 256;

/// Attempts under way at once through one channel. A task that waits for its next try holds no place.
pub const ATTEMPTS_MAX: usize = 16;

/// The actor.
pub struct Alerter {
    channels: HashMap<&'static str, Channel>,
    policy: RetryPolicy,
}

struct Channel {
    notifier: Rc<dyn Notifier>,
    places: Rc<Semaphore>,
}

impl Alerter {
    /// An alerter over these notifiers.
    pub fn new(notifiers: Vec<Rc<dyn Notifier>>, policy: RetryPolicy) -> Self {
        let channels = notifiers
            .into_iter()
            .map(|notifier| (notifier.channel(), Channel { notifier, places: Rc::new(Semaphore::new(ATTEMPTS_MAX)) }))
            .collect();
        Self { channels, policy }
    }
}

impl Actor for Alerter {
    type Context = Context<Self>;
}

/// Deliver this through that channel. The reply comes when the channel has taken it over, however long that takes.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct DeliverAlert {
    /// The name of the channel.
    pub channel: &'static str,
    /// What to tell.
    pub alert: Arc<Alert>,
}

impl Handler<DeliverAlert> for Alerter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, DeliverAlert { channel, alert }: DeliverAlert, _: &mut Self::Context) -> Self::Result {
        let Some(Channel { notifier, places }) = self.channels.get(channel) else {
            // The keeper's channels are made from these notifiers; were it otherwise, the alert stays owed.
            tracing::error!(channel, "no such channel");
            return Box::pin(std::future::pending());
        };
        let (notifier, places, policy) = (Rc::clone(notifier), Rc::clone(places), self.policy);
        Box::pin(async move {
            let attempt = || {
                let (notifier, places, alert) = (Rc::clone(&notifier), Rc::clone(&places), Arc::clone(&alert));
                async move {
                    // The semaphore is never closed.
                    let _place = places.acquire().await.ok();
                    notifier.deliver(alert).await
                }
            };
            let mut failures = 0_u32;
            retry::until_delivered(policy, attempt, |error, wait| {
                failures += 1;
                log_failure(channel, &alert, error, wait, failures);
            })
            .await;
            tracing::info!(channel, alert_id = alert.alert_id, failures, "alert delivered");
        })
    }
}

fn log_failure(channel: &str, alert: &Alert, error: &NotifyError, wait: Duration, failures: u32) {
    let alert_id = alert.alert_id.as_str();
    let retry_seconds = wait.as_secs_f64();
    match error {
        NotifyError::Retryable { .. } => {
            tracing::warn!(channel, alert_id, %error, failures, retry_seconds, "alert not delivered yet");
        }
        NotifyError::Permanent { .. } => {
            tracing::error!(channel, alert_id, %error, failures, retry_seconds, "alert not delivered: somebody must act");
        }
    }
}
