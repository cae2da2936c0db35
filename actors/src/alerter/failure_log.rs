//! Logs failures of a channel: the first at once, then one a minute, however many alerts wait.

use std::time::Duration;

use api_health_core::throttle::LogThrottle;
use tokio::time::Instant;

use super::DeliverAlerts;
use crate::ports::NotifyError;

#[derive(Debug)]
pub(super) struct FailureLog {
    /// Failures since the last delivery.
    failures: u64,
    began: Instant,
    throttle: LogThrottle,
}

impl Default for FailureLog {
    fn default() -> Self {
        Self { failures: 0, began: Instant::now(), throttle: LogThrottle::default() }
    }
}

impl FailureLog {
    pub(super) fn on_delivered(&mut self, message: &DeliverAlerts) {
        let (channel, in_one_message) = (&*message.channel, message.alerts.len());
        for alert in &message.alerts {
            let alert_id = alert.alert_id.as_str();
            match in_one_message {
                1 => tracing::info!(channel, alert_id, failures = message.failures, "alert delivered"),
                _ => tracing::info!(channel, alert_id, failures = message.failures, in_one_message, "alert delivered"),
            }
        }
        self.failures = 0;
    }

    /// The next attempt comes after `wait`.
    pub(super) fn on_failed(&mut self, message: &DeliverAlerts, error: &NotifyError, wait: Duration) {
        let channel = &*message.channel;
        let alert_id = message.alerts.first().map(|alert| alert.alert_id.as_str()); // the oldest of a digest
        let (failures, retry_seconds) = (message.failures.saturating_add(1), wait.as_secs_f64());
        self.failures += 1;
        if self.throttle.allow(self.began.elapsed()).is_none() {
            tracing::debug!(channel, alert_id, %error, failures, retry_seconds, "alert not delivered yet");
            return;
        }
        let in_a_row = self.failures;
        match error {
            NotifyError::Retryable { .. } => {
                tracing::warn!(channel, alert_id, %error, failures, in_a_row, retry_seconds, "alert not delivered yet");
            }
            NotifyError::Permanent { .. } => {
                tracing::error!(channel, alert_id, %error, failures, in_a_row, retry_seconds, "alert not delivered: somebody must act");
            }
        }
    }
}
