//! The state of everything in numbers: for the heartbeat, for the end of a run, and on request.

use super::entry::Entry;
use super::{Effect, Keeper, LogEvent};
use crate::api::ApiId;
use crate::heartbeat::{Heartbeat, INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use crate::outcome::Verdict;
use crate::schedule::Moment;
use crate::status::Status;
use crate::store::StoreError;
use crate::time::Monotonic;

/// What one keeper counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// APIs with changes that are not in the store.
    pub unsaved: usize,
    /// Alerts that some channel does not have yet.
    pub owed: usize,
    /// Watched APIs whose confirmed status is down.
    pub down: usize,
    /// Watched APIs whose status is not known, or whose prober was given up.
    pub unknown: usize,
    /// The store takes no writes at present.
    pub store_is_gone: bool,
    /// It owns the first shard, and with it what concerns all.
    pub is_leader: bool,
}

impl Keeper {
    /// The status to show for an API: unknown if its prober was given up.
    fn shown_status(&self, api_id: &ApiId, entry: &Entry) -> Status {
        if self.given_up.contains(api_id) { Status::Unknown } else { entry.state.status }
    }

    pub fn report(&self) -> Report {
        let shown =
            |status| self.watched().filter(|(api_id, entry)| self.shown_status(api_id, entry) == status).count();
        Report {
            unsaved: self.ledger.unsaved(),
            owed: self.ledger.entries.values().map(|entry| entry.state.owed.len()).sum(),
            down: shown(Status::Down),
            unknown: shown(Status::Unknown),
            store_is_gone: self.health.is_out(),
            is_leader: self.owned.is_leader(),
        }
    }

    /// Writes a heartbeat if one is due.
    pub(super) fn write_heartbeat_if_due(&mut self, now: Moment) {
        if !self.flushing && self.heartbeats.take_due(now.monotonic, self.health.is_out()) {
            self.write_heartbeat(now);
        }
    }

    /// Writes the heartbeat at the end of `run --once`.
    pub(super) fn write_last_heartbeat(&mut self, now: Moment) {
        if self.setup.once && self.heartbeats.take_last() {
            self.write_heartbeat(now);
        }
    }

    fn write_heartbeat(&mut self, now: Moment) {
        let heartbeat = self.heartbeat(now);
        self.heartbeats.on_sent(now.monotonic, now.wall);
        self.effects.push(Effect::WriteHeartbeat(Box::new(heartbeat)));
    }

    /// A heartbeat was written, or not.
    pub fn on_heartbeat_result(&mut self, written: Result<(), StoreError>, now: Moment) {
        match written {
            Ok(()) => {
                self.heartbeats.on_written();
                if self.health.on_heartbeat_written(now.monotonic, &mut self.log) {
                    self.report_store_recovery(now);
                }
            }
            Err(error) => {
                let (sent, line) = self.heartbeats.on_failed(now.monotonic);
                self.on_store_failure(&error, sent, now);
                if let Some(lines_left_out) = line {
                    self.log.push(LogEvent::HeartbeatFailed { error: error.to_string(), lines_left_out });
                }
            }
        }
        self.answer_waiters();
    }

    fn heartbeat(&self, now: Moment) -> Heartbeat {
        let mut counts = [0_u64; 3];
        let mut late: Vec<(Monotonic, &ApiId)> = Vec::new();
        let mut inconclusive: Vec<&ApiId> = Vec::new();
        for (api_id, entry) in self.watched() {
            counts[match self.shown_status(api_id, entry) {
                Status::Up => 0,
                Status::Down => 1,
                Status::Unknown => 2,
            }] += 1;
            // With `run --once` nothing is expected of those that have been probed.
            let is_late = |after: &Monotonic| *after <= now.monotonic || self.setup.once;
            late.extend(entry.late_after.filter(is_late).map(|after| (after, api_id)));
            let last = entry.state.last_probe.as_ref();
            inconclusive.extend(last.filter(|probe| probe.verdict == Verdict::Inconclusive).map(|_| api_id));
        }
        let [up, down, unknown] = counts;
        Heartbeat {
            at: now.wall,
            instance: self.setup.instance.clone(),
            version: self.setup.version.to_owned(),
            period: self.heartbeats.period,
            checkpoint: self.ledger.checkpoint(),
            apis: up + down + unknown,
            up,
            down,
            unknown,
            owed: self.ledger.entries.values().map(|entry| entry.state.owed.len() as u64).sum(),
            probes: self.heartbeats.outcomes,
            probes_since: self.heartbeats.since,
            late: late.len() as u64,
            inconclusive: inconclusive.len() as u64,
            late_api_ids: smallest(late, LATE_NAMED_MAX).into_iter().map(|(_, api_id)| api_id.clone()).collect(),
            inconclusive_api_ids: smallest(inconclusive, INCONCLUSIVE_NAMED_MAX).into_iter().cloned().collect(),
        }
    }
}

/// The `count` smallest of these, in order.
fn smallest<T: Ord>(mut items: Vec<T>, count: usize) -> Vec<T> {
    if items.len() > count {
        items.select_nth_unstable(count);
        items.truncate(count);
    }
    items.sort_unstable();
    items
}
