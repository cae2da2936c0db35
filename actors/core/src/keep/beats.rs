//! The heartbeat: every so often the keeper says in one record how everything stands.
//!
//! It is best effort. It goes beside the writes of states, holds none of them up, and is never owed. With checkpoints that are
//! far apart it may be all that is written for long: one that fails makes the keeper look whether the store takes writes at
//! all. What it says is counted when it is due, and not before.

use std::time::Duration;

use super::KeeperConfig;
use crate::api::ApiConfig;
use crate::supervise::SLACK;
use crate::throttle::LogThrottle;
use crate::time::{Timestamp, Uptime};

/// The first heartbeat comes this soon after the start, or after its period if that is shorter: when most APIs had their first
/// probe.
pub const FIRST_BEAT_AFTER: Duration = Duration::from_secs(10);

/// A heartbeat that the store has not taken after this is given up. The adapters' own bounds are below.
pub const BEAT_MAX: Duration = Duration::from_secs(30);

/// While the store is in trouble, one that failed is tried again after this.
const BEAT_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where the heartbeats of one keeper stand.
#[derive(Clone, Debug)]
pub(super) struct Beats {
    is_on: bool,
    /// `None` in a single round.
    pub(super) period: Option<Duration>,
    due: Option<Uptime>,
    pub(super) under_way_since: Option<Uptime>,
    /// When the last one failed, if it did.
    failed_at: Option<Uptime>,
    /// No other follows.
    is_last: bool,
    /// Outcomes since `since`.
    pub(super) outcomes: u64,
    pub(super) since: Timestamp,
    /// The same of the one that is under way.
    sent: (u64, Timestamp),
    throttle: LogThrottle,
}

impl Beats {
    pub(super) fn new(setup: &KeeperConfig, now: Uptime, wall: Timestamp) -> Self {
        let period = setup.heartbeat.filter(|_| !setup.once);
        Self {
            is_on: setup.heartbeat.is_some(),
            period,
            due: period.and_then(|period| now.checked_add(period.min(FIRST_BEAT_AFTER))),
            under_way_since: None,
            failed_at: None,
            is_last: false,
            outcomes: 0,
            since: wall,
            sent: (0, wall),
            throttle: LogThrottle::default(),
        }
    }

    pub(super) fn count_outcome(&mut self) {
        self.outcomes = self.outcomes.saturating_add(1);
    }

    /// The one at the end of a single round has no answer yet.
    pub(super) fn is_last_under_way(&self) -> bool {
        self.is_last && self.under_way_since.is_some()
    }

    /// Whether the one at the end of a single round is to be written now.
    pub(super) fn take_last(&mut self) -> bool {
        self.is_on && !std::mem::replace(&mut self.is_last, true)
    }

    /// Whether it is time. One that is due while another is under way is left out; a stall makes no burst.
    pub(super) fn take_due(&mut self, now: Uptime, store_is_in_trouble: bool) -> bool {
        let failed_at = self.failed_at.filter(|_| store_is_in_trouble && self.period.is_some());
        let is_tried_again = failed_at.is_some_and(|at| now.saturating_sub(at) >= BEAT_AGAIN_AFTER);
        (self.is_due(now) || is_tried_again) && self.under_way_since.is_none()
    }

    fn is_due(&mut self, now: Uptime) -> bool {
        let (Some(due), Some(period)) = (self.due, self.period) else { return false };
        if due > now {
            return false;
        }
        self.due = due.checked_add(period).filter(|next| *next > now).or_else(|| now.checked_add(period));
        true
    }

    /// One is sent: what it counted is counted from nothing again.
    pub(super) fn sent(&mut self, now: Uptime, wall: Timestamp) {
        self.sent = (std::mem::take(&mut self.outcomes), std::mem::replace(&mut self.since, wall));
        self.under_way_since = Some(now);
    }

    pub(super) fn on_written(&mut self) {
        self.under_way_since = None;
        self.failed_at = None;
    }

    /// It was not taken: the next one tells of it all. When it was sent, and how many lines about that were left out, if it is
    /// time for one.
    pub(super) fn failed(&mut self, now: Uptime) -> (Option<Uptime>, Option<u64>) {
        let (outcomes, since) = self.sent;
        self.outcomes = self.outcomes.saturating_add(outcomes);
        self.since = since;
        self.failed_at = Some(now);
        (self.under_way_since.take(), self.throttle.allow(now))
    }

    /// Another life of the keeper goes on from here: nothing is under way.
    pub(super) fn reset_for_restart(&mut self) {
        self.under_way_since = None;
    }
}

/// When an outcome is late that comes in `wait` if all is well: the API may take its time, once until it gets its turn and once
/// for itself, and so may the machine ([`SLACK`]). `None`: never.
pub(super) fn late_after(now: Uptime, wait: Duration, api: &ApiConfig) -> Option<Uptime> {
    now.checked_add(wait.saturating_add(api.timeout.saturating_mul(2)).saturating_add(SLACK))
}
