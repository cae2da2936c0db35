//! One of this worker's own channels: what waits for it, and how it takes what it is sent.

use std::sync::Arc;

use super::DeliveryResult;
use super::delivery_queue::DeliveryQueue;
use super::digest::Digester;
use super::flow_control::FlowControl;
use crate::alert::Alert;
use crate::throttle::LogThrottle;
use crate::time::Monotonic;

/// The name of a channel.
pub type Channel = Arc<str>;

#[derive(Clone, Debug)]
pub(super) struct OwnChannel {
    pub(super) name: Channel,
    pub(super) queue: DeliveryQueue,
    pub(super) flow_control: FlowControl,
    /// `None`: each alert goes out by itself.
    digester: Option<Digester>,
    /// While it is owed many alerts: since when, and when that was said.
    pub(super) backlog: Option<(Monotonic, LogThrottle)>,
}

impl OwnChannel {
    /// A channel through which more alerts than `digest_above` within seconds go together; `None`: never.
    pub(super) fn new(name: &str, digest_above: Option<usize>) -> Self {
        Self {
            name: name.into(),
            queue: DeliveryQueue::default(),
            flow_control: FlowControl::default(),
            digester: digest_above.map(Digester::new),
            backlog: None,
        }
    }

    /// How many of the alerts that wait go out in one message now.
    pub(super) fn message_size(&mut self, hurry: bool, now: Monotonic) -> usize {
        let waiting = self.queue.waiting(self.flow_control.room(now));
        match &mut self.digester {
            Some(digester) => digester.message_size(waiting, hurry, now),
            None => waiting.min(1),
        }
    }

    /// These go out in one message.
    pub(super) fn on_sent(&mut self, alerts: &[Arc<Alert>], now: Monotonic) {
        self.flow_control.on_sent(now);
        if let Some(digester) = &mut self.digester {
            digester.on_sent(alerts.len(), now);
        }
        self.queue.on_attempt_began(alerts.iter().map(|alert| &alert.api_id));
    }

    /// An attempt with so many alerts has ended.
    pub(super) fn on_result(&mut self, alerts: usize, result: &DeliveryResult, now: Monotonic) {
        self.queue.on_attempt_ended();
        match result {
            DeliveryResult::Delivered => self.flow_control.on_taken(alerts),
            DeliveryResult::Failed { patience: Some(patience), .. } => {
                self.flow_control.on_patience_asked(*patience, now);
            }
            DeliveryResult::Failed { patience: None, .. } => self.flow_control.on_failed(),
            DeliveryResult::DigestRefused { .. } | DeliveryResult::Cancelled => {}
        }
        let Some(digester) = &mut self.digester else { return };
        match result {
            DeliveryResult::Delivered => digester.on_taken(alerts),
            DeliveryResult::Failed { patience, .. } => digester.on_failed(alerts, patience.is_some(), now),
            DeliveryResult::DigestRefused { .. } => digester.on_refused(now),
            DeliveryResult::Cancelled => {}
        }
    }
}
