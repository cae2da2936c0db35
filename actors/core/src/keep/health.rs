//! Whether the store takes writes: how long it has not, when it is tried again, and when that is told.

use std::time::Duration;

use super::log_event::LogEvent;
use super::waits::store_wait;
use crate::store::StoreError;
use crate::throttle::LogThrottle;
use crate::time::{Timestamp, Uptime};

/// A call that has no answer for this long counts as failed already, whatever comes of it: DynamoDB's are cut before.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A store that has taken no write for this long is gone: that is told, once.
pub const STORE_GONE_AFTER: Duration = Duration::from_secs(30);

/// The store does not take writes just now.
#[derive(Clone, Debug)]
struct StoreOutage {
    since: Uptime,
    since_wall: Timestamp,
    /// Times that it was tried and failed, for the wait before the next one.
    failures: u32,
    not_before: Uptime,
    error: StoreError,
    /// Writes of states fail, and not heartbeats alone.
    is_of_states: bool,
    /// It stands in the log.
    is_logged: bool,
    /// It was told through the channels.
    is_alerted: bool,
}

/// How the store is.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    outage: Option<StoreOutage>,
    /// When a write went through last.
    stored_at: Option<Uptime>,
    throttle: LogThrottle,
}

impl Health {
    pub(super) fn is_out(&self) -> bool {
        self.outage.is_some()
    }

    /// Whether it is time to write, or to try again.
    pub(super) fn may_be_tried(&self, now: Uptime) -> bool {
        self.outage.as_ref().is_none_or(|outage| outage.not_before <= now)
    }

    /// Whether nothing answers, so that nobody else can reach it either, as far as that can be told from here. A store that
    /// refuses us alone is there for others.
    pub(super) fn is_silent(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| matches!(outage.error, StoreError::Unavailable(_)))
    }

    /// Whether a write went through after that.
    pub(super) fn has_stored_since(&self, then: Uptime) -> bool {
        self.stored_at.is_some_and(|at| at > then)
    }

    /// A write went through, or was refused for what is in the store.
    pub(super) fn record_success(&mut self, now: Uptime, log: &mut Vec<LogEvent>) {
        self.stored_at = Some(now);
        self.clear_outage(now, log);
    }

    /// A heartbeat was taken. Whether the store is well: that says nothing where writes of states fail, since a heartbeat is small,
    /// and goes over what is known to be there.
    pub(super) fn record_beat(&mut self, now: Uptime, log: &mut Vec<LogEvent>) -> bool {
        let is_well = self.outage.as_ref().is_none_or(|outage| !outage.is_of_states);
        if is_well {
            self.clear_outage(now, log);
        }
        is_well
    }

    fn clear_outage(&mut self, now: Uptime, log: &mut Vec<LogEvent>) {
        if let Some(outage) = self.outage.take()
            && outage.is_logged
        {
            log.push(LogEvent::StoreBack { seconds: now.saturating_sub(outage.since).as_secs() });
        }
    }

    /// The store takes no writes just now, of states or of a heartbeat that was sent then. Where checkpoints are far apart nothing
    /// else may be written for long, so a heartbeat that fails is trouble, unless states were written meanwhile.
    pub(super) fn failed(
        &mut self,
        error: &StoreError,
        beat_sent: Option<Uptime>,
        now: (Uptime, Timestamp),
        waiting: usize,
        log: &mut Vec<LogEvent>,
    ) {
        if beat_sent.is_some_and(|sent| self.stored_at.is_some_and(|at| at >= sent)) {
            return;
        }
        let is_of_states = beat_sent.is_none();
        // The first heartbeat that fails has its own line; whether it is the store is not known yet.
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
        // Under throttling it comes and goes many times in a second.
        if is_certain && let Some(lines_left_out) = self.throttle.allow(now) {
            let seconds = now.saturating_sub(outage.since).as_secs();
            let error = error.to_string();
            log.push(LogEvent::StoreGone { error, seconds, waiting, lines_left_out, still: outage.is_logged });
            outage.is_logged = true;
        }
        // Heartbeats have their own pace, and hold up no write.
        if is_of_states && outage.not_before <= now {
            outage.not_before = now.saturating_add(store_wait(outage.failures, now.as_secs()));
            outage.failures = outage.failures.saturating_add(1);
        }
    }

    /// What to tell, and since when it has been so, if it is time and was not told yet.
    pub(super) fn take_outage_to_report(&mut self, now: Uptime) -> Option<(String, Timestamp)> {
        let outage = self.outage.as_mut()?;
        if outage.is_alerted || now.saturating_sub(outage.since) < STORE_GONE_AFTER {
            return None;
        }
        outage.is_alerted = true;
        Some((format!("it takes no writes: {}", outage.error), outage.since_wall))
    }
}
