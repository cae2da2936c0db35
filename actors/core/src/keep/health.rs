//! Whether the store takes writes: since when it does not, when it is tried again, and when to alert.

use std::time::Duration;

use super::log_event::LogEvent;
use super::waits::store_wait;
use crate::store::StoreError;
use crate::throttle::LogThrottle;
use crate::time::{Monotonic, Timestamp};

/// A call without an answer for this long counts as failed, whatever comes of it. Calls to DynamoDB time out before.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A store that has taken no write for this long counts as down, and one alert says so.
pub const STORE_GONE_AFTER: Duration = Duration::from_secs(30);

/// The store takes no writes at present.
#[derive(Clone, Debug)]
struct StoreOutage {
    since: Monotonic,
    since_wall: Timestamp,
    /// Failed tries, for the backoff.
    failures: u32,
    not_before: Monotonic,
    error: StoreError,
    /// Writes of states fail, not only heartbeats.
    is_of_states: bool,
    /// The log says so.
    is_logged: bool,
    /// An alert says so.
    is_alerted: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    outage: Option<StoreOutage>,
    /// When the last write went through.
    stored_at: Option<Monotonic>,
    throttle: LogThrottle,
}

impl Health {
    pub(super) fn is_out(&self) -> bool {
        self.outage.is_some()
    }

    /// Whether a write may be tried now.
    pub(super) fn may_be_tried(&self, now: Monotonic) -> bool {
        self.outage.as_ref().is_none_or(|outage| outage.not_before <= now)
    }

    /// Whether the store does not answer at all, so that probably nobody can reach it. One that refuses this worker may work for
    /// others.
    pub(super) fn is_silent(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| matches!(outage.error, StoreError::Unavailable(_)))
    }

    /// Whether a write went through after `then`.
    pub(super) fn has_stored_since(&self, then: Monotonic) -> bool {
        self.stored_at.is_some_and(|at| at > then)
    }

    /// A write went through, or met a conflict.
    pub(super) fn on_write_success(&mut self, now: Monotonic, log: &mut Vec<LogEvent>) {
        self.stored_at = Some(now);
        self.clear_outage(now, log);
    }

    /// A heartbeat was written. Returns whether the store works, which that does not prove while writes of states fail: a heartbeat
    /// is small and unconditional.
    pub(super) fn on_heartbeat_written(&mut self, now: Monotonic, log: &mut Vec<LogEvent>) -> bool {
        let is_well = self.outage.as_ref().is_none_or(|outage| !outage.is_of_states);
        if is_well {
            self.clear_outage(now, log);
        }
        is_well
    }

    fn clear_outage(&mut self, now: Monotonic, log: &mut Vec<LogEvent>) {
        if let Some(outage) = self.outage.take()
            && outage.is_logged
        {
            log.push(LogEvent::StoreBack { seconds: now.saturating_sub(outage.since).as_secs() });
        }
    }

    /// A write of a state failed, or of the heartbeat that was sent at `heartbeat_sent`. Where checkpoints are far apart a heartbeat may
    /// be the only write for long, so its failure counts, unless a state was written meanwhile.
    pub(super) fn on_failure(
        &mut self,
        error: &StoreError,
        heartbeat_sent: Option<Monotonic>,
        now: (Monotonic, Timestamp),
        waiting: usize,
        log: &mut Vec<LogEvent>,
    ) {
        if heartbeat_sent.is_some_and(|sent| self.stored_at.is_some_and(|at| at >= sent)) {
            return;
        }
        let is_of_states = heartbeat_sent.is_none();
        // The first heartbeat that fails has a log line of its own; it may not be the store.
        let is_certain = is_of_states || self.outage.is_some();
        let (now, since_wall) = now;
        let outage = self.outage.get_or_insert_with(|| StoreOutage {
            since: now,
            since_wall,
            failures: 0,
            not_before: now,
            error: error.clone(),
            is_of_states,
            is_logged: false,
            is_alerted: false,
        });
        outage.error = error.clone();
        outage.is_of_states |= is_of_states;
        // Under throttling this changes many times in a second.
        if is_certain && let Some(lines_left_out) = self.throttle.allow(now) {
            let seconds = now.saturating_sub(outage.since).as_secs();
            let error = error.to_string();
            log.push(LogEvent::StoreGone { error, seconds, waiting, lines_left_out, still: outage.is_logged });
            outage.is_logged = true;
        }
        // A heartbeat that fails delays no write.
        if is_of_states && outage.not_before <= now {
            outage.not_before = now.saturating_add(store_wait(outage.failures, now.as_secs()));
            outage.failures = outage.failures.saturating_add(1);
        }
    }

    /// Once, when it is time for the alert: why the store is down, and since when.
    pub(super) fn take_outage_to_report(&mut self, now: Monotonic) -> Option<(String, Timestamp)> {
        let outage = self.outage.as_mut()?;
        if outage.is_alerted || now.saturating_sub(outage.since) < STORE_GONE_AFTER {
            return None;
        }
        outage.is_alerted = true;
        Some((format!("it takes no writes: {}", outage.error), outage.since_wall))
    }
}
