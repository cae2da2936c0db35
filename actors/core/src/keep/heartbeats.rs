//! When the heartbeat is written: one record that says how everything stands.
//!
//! It is best effort and delays no write of a state. Where checkpoints are far apart it may be the only write for long, so one that
//! fails counts against the store. What it says is collected when it is due.

use std::time::Duration;

use crate::api::ApiConfig;
use crate::supervise::SLACK;
use crate::throttle::LogThrottle;
use crate::time::{Monotonic, Timestamp};

/// The first heartbeat comes this soon after the start, or after its period if that is shorter: by then most APIs have been
/// probed.
pub const FIRST_HEARTBEAT_AFTER: Duration = Duration::from_secs(10);

/// A heartbeat without an answer for this long is given up. The timeouts of the adapters are shorter.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(30);

/// While the store is down, a heartbeat that failed is tried again after this.
const HEARTBEAT_AGAIN_AFTER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default)]
pub(super) struct HeartbeatSchedule {
    is_on: bool,
    /// `None` with `run --once`.
    pub(super) period: Option<Duration>,
    due: Option<Monotonic>,
    pub(super) under_way_since: Option<Monotonic>,
    /// When the last one failed; `None`: it did not.
    failed_at: Option<Monotonic>,
    /// The heartbeat at the end of `run --once` was sent.
    is_last: bool,
    /// Outcomes since `since`.
    pub(super) outcomes: u64,
    pub(super) since: Timestamp,
    /// The same for the heartbeat that is in flight.
    sent: (u64, Timestamp),
    throttle: LogThrottle,
}

impl HeartbeatSchedule {
    /// `period`: `None` means that no heartbeat is written; `once`: there is one, at the end.
    pub(super) fn new(period: Option<Duration>, once: bool, now: Monotonic, wall: Timestamp) -> Self {
        let is_on = period.is_some();
        let period = period.filter(|_| !once);
        let due = period.and_then(|period| now.checked_add(period.min(FIRST_HEARTBEAT_AFTER)));
        Self { is_on, period, due, since: wall, sent: (0, wall), ..Self::default() }
    }

    pub(super) fn count_outcome(&mut self) {
        self.outcomes = self.outcomes.saturating_add(1);
    }

    /// Whether the heartbeat at the end of `run --once` has no answer yet.
    pub(super) fn is_last_under_way(&self) -> bool {
        self.is_last && self.under_way_since.is_some()
    }

    /// Whether the heartbeat at the end of `run --once` is to be written now.
    pub(super) fn take_last(&mut self) -> bool {
        self.is_on && !std::mem::replace(&mut self.is_last, true)
    }

    /// Whether one is due. One that is due while another is in flight is skipped, and a stall makes no burst.
    pub(super) fn take_due(&mut self, now: Monotonic, store_is_in_trouble: bool) -> bool {
        let failed_at = self.failed_at.filter(|_| store_is_in_trouble && self.period.is_some());
        let is_tried_again = failed_at.is_some_and(|at| now.saturating_sub(at) >= HEARTBEAT_AGAIN_AFTER);
        (self.is_due(now) || is_tried_again) && self.under_way_since.is_none()
    }

    fn is_due(&mut self, now: Monotonic) -> bool {
        let (Some(due), Some(period)) = (self.due, self.period) else { return false };
        if due > now {
            return false;
        }
        self.due = due.checked_add(period).filter(|next| *next > now).or_else(|| now.checked_add(period));
        true
    }

    /// One is sent: outcomes are counted from zero again.
    pub(super) fn on_sent(&mut self, now: Monotonic, wall: Timestamp) {
        self.sent = (std::mem::take(&mut self.outcomes), std::mem::replace(&mut self.since, wall));
        self.under_way_since = Some(now);
    }

    pub(super) fn on_written(&mut self) {
        self.under_way_since = None;
        self.failed_at = None;
    }

    /// It was not written: its outcomes count for the next one. Returns when it was sent, and, if it is time for a log line, how many
    /// were suppressed.
    pub(super) fn on_failed(&mut self, now: Monotonic) -> (Option<Monotonic>, Option<u64>) {
        let (outcomes, since) = self.sent;
        self.outcomes = self.outcomes.saturating_add(outcomes);
        self.since = since;
        self.failed_at = Some(now);
        (self.under_way_since.take(), self.throttle.allow(now))
    }
}

/// When the outcome of a probe that is due in `wait` counts as late: after one timeout of waiting for a permit, one for the exchange,
/// and [`SLACK`]. `None`: never.
pub(super) fn late_after(now: Monotonic, wait: Duration, api: &ApiConfig) -> Option<Monotonic> {
    now.checked_add(wait.saturating_add(api.timeout.saturating_mul(2)).saturating_add(SLACK))
}
