//! The alerter: the only actor that uses the notifiers. For each request it makes one attempt, and returns its result and how long
//! to wait.
//!
//! Each attempt is a task of its own, so that one that hangs delays no other; the keeper bounds how many there are, and offers one
//! alert of an API and channel at a time, which keeps them in order. Failures are counted in the record, which survives this
//! actor; the waits between them are [`RetryPolicy`]'s.

mod failure_log;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, Context, Handler, Message, ResponseActFuture, WrapFuture};
use api_health_core::Alert;
use api_health_core::delivery::DELIVERY_TIMEOUT;
use api_health_core::keep::{Channel as ChannelName, DeliveryResult};
use futures_util::FutureExt;

use crate::child::panic_text;
use crate::lease_view::AttemptLease;
use crate::ports::{Notifier, NotifyError};
use crate::retry::RetryPolicy;
use failure_log::FailureLog;

/// Messages in the alerter's mailbox: the keeper has at most [`DELIVERIES_IN_FLIGHT_MAX`](api_health_core::keep::DELIVERIES_IN_FLIGHT_MAX) under way
/// through each channel.
pub const MAILBOX_CAPACITY: usize = 256;

pub struct Alerter {
    channels: HashMap<String, Channel>,
}

struct Channel {
    notifier: Arc<dyn Notifier>,
    failure_log: FailureLog,
}

impl Alerter {
    pub fn new(notifiers: Vec<Arc<dyn Notifier>>) -> Self {
        let channels = notifiers
            .into_iter()
            .map(|notifier| (notifier.channel().to_owned(), Channel { notifier, failure_log: FailureLog::default() }))
            .collect();
        Self { channels }
    }

    fn on_delivery_result(&mut self, message: &DeliverAlerts, result: Result<(), NotifyError>) -> DeliveryResult {
        let Some(channel) = self.channels.get_mut(&*message.channel) else {
            return DeliveryResult::Failed {
                why: "no such channel".into(),
                wait: RetryPolicy::PERMANENT,
                patience: None,
            };
        };
        match result {
            Ok(()) => {
                channel.failure_log.on_delivered(message);
                DeliveryResult::Delivered
            }
            Err(error) => {
                let wait = RetryPolicy::DELIVERY.wait_after(message.failures, &error);
                channel.failure_log.on_failed(message, &error, wait);
                if message.alerts.len() > 1 && matches!(error, NotifyError::Permanent { .. }) {
                    return DeliveryResult::DigestRefused { why: error.to_string() };
                }
                let patience = match &error {
                    NotifyError::Retryable { after, .. } => *after,
                    NotifyError::Permanent { .. } => None,
                };
                DeliveryResult::Failed { why: error.to_string(), wait, patience }
            }
        }
    }
}

impl Actor for Alerter {
    type Context = Context<Self>;
}

/// Make one attempt to deliver these alerts through that channel, in one message.
#[derive(Clone, Message)]
#[rtype(result = "DeliveryResult")]
pub struct DeliverAlerts {
    pub channel: ChannelName,
    /// One, or a digest of several.
    pub alerts: Vec<Arc<Alert>>,
    /// Attempts that failed before this one.
    pub failures: u32,
    /// The attempt is made while this lease is valid, and cancelled at its deadline. `None`: it is made without a lease, since they
    /// could not be stored (P5).
    pub lease: Option<AttemptLease>,
}

impl Handler<DeliverAlerts> for Alerter {
    type Result = ResponseActFuture<Self, DeliveryResult>;

    fn handle(&mut self, message: DeliverAlerts, _: &mut Self::Context) -> Self::Result {
        let notifier = self.channels.get(&*message.channel).map(|channel| Arc::clone(&channel.notifier));
        let (alerts, lease) = (message.alerts.clone(), message.lease.clone());
        let attempt = async move {
            let attempt = async {
                match notifier {
                    Some(notifier) => attempt(&*notifier, alerts).await,
                    // The keeper's channels are made from these notifiers; were it otherwise, the alert stays owed.
                    None => Err(NotifyError::Retryable { reason: "no such channel".into(), after: None }),
                }
            };
            match lease {
                Some(lease) => lease.while_valid(attempt).await,
                None => Some(attempt.await),
            }
        };
        Box::pin(attempt.into_actor(self).map(move |result, alerter, _| match result {
            Some(result) => alerter.on_delivery_result(&message, result),
            None => DeliveryResult::Cancelled,
        }))
    }
}

/// One attempt, with a timeout, and with a panic turned into an error.
async fn attempt(notifier: &dyn Notifier, alerts: Vec<Arc<Alert>>) -> Result<(), NotifyError> {
    let delivered = AssertUnwindSafe(async {
        match (<[_; 1]>::try_from(alerts), notifier.digests()) {
            (Ok([alert]), _) => notifier.deliver(alert).await,
            (Err(alerts), Some(digests)) => digests.deliver_digest(alerts).await,
            // The keeper makes digests for those alone that take them; were it otherwise, the alerts stay owed.
            (Err(_), None) => {
                Err(NotifyError::Permanent { reason: "no digests here".into(), remedy: "report this".into() })
            }
        }
    })
    .catch_unwind();
    let failed = |reason| Err(NotifyError::Retryable { reason, after: None });
    match tokio::time::timeout(DELIVERY_TIMEOUT, delivered).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => failed(format!("the notifier panicked: {}", panic_text(&*panic))),
        Err(_) => failed(format!("no answer within {} s", DELIVERY_TIMEOUT.as_secs())),
    }
}
