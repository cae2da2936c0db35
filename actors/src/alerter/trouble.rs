//! What the log says of a channel that takes nothing over: at once when it begins, then once a minute, whatever the
//! number of alerts that wait.

use std::time::Duration;

use tokio::time::Instant;

use super::DeliverAlert;
use crate::ports::NotifyError;

/// While the trouble lasts it is said again this often.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The trouble of one channel.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Failures since something was taken over last.
    failures: u64,
    said_at: Option<Instant>,
}

impl Trouble {
    /// The channel has taken an alert over.
    pub(super) fn taken_over(&mut self, message: &DeliverAlert) {
        let (channel, alert_id) = (&*message.channel, message.alert.alert_id.as_str());
        tracing::info!(channel, alert_id, failures = message.failures, "alert delivered");
        self.failures = 0;
    }

    /// An attempt failed, and the next one comes after `wait`.
    pub(super) fn failed(&mut self, message: &DeliverAlert, error: &NotifyError, wait: Duration) {
        let (channel, alert_id) = (&*message.channel, message.alert.alert_id.as_str());
        let (failures, retry_seconds) = (message.failures.saturating_add(1), wait.as_secs_f64());
        self.failures += 1;
        if self.said_at.is_some_and(|then| then.elapsed() < SAY_EVERY) {
            tracing::debug!(channel, alert_id, %error, failures, retry_seconds, "alert not delivered yet");
            return;
        }
        self.said_at = Some(Instant::now());
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
