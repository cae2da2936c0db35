//! A worker's own lease: beginning a session, renewing it, and finding out that it is over.

use std::time::Duration;

use super::{CallError, Doing, Effect, Leaving, Loss, Member};
use crate::heartbeat::Heartbeat;
use crate::own::records::{Key, LeaseRecord, Role, WorkerRecord, WorkerState};
use crate::own::shards::ShardSet;
use crate::own::terms::Terms;
use crate::time::BootTime;

/// A renewal that is due with a heartbeat waits so much longer for it, so that one write is both.
const BEHIND_BEAT: Duration = Duration::from_secs(1);

/// The lease of the present session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// It may be used until then.
    pub(super) until: BootTime,
}

impl Member {
    /// Nobody waits for this worker: it is alone, or a standby that owns nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_alone() || (self.record.role == Role::Standby && self.held.is_empty() && self.released.is_empty())
    }

    pub(super) fn on_progress(
        &mut self,
        now: BootTime,
        is_made: bool,
        heartbeat: Option<Box<Heartbeat>>,
        effects: &mut Vec<Effect>,
    ) {
        if self.doing != Doing::AskingProgress {
            return;
        }
        self.doing = Doing::Nothing;
        if !is_made {
            self.renew_at = now.saturating_add(self.terms.retry);
            return;
        }
        let mut record = self.record.clone();
        record.version = record.version.saturating_add(1);
        record.state = WorkerState::Live;
        if self.lease.is_none() {
            record.session = record.session.max(self.last_session).saturating_add(1);
            self.last_session = record.session;
        }
        (record.lease, record.renew) = if self.is_quiet() {
            (self.terms.quiet_lease, self.terms.quiet_renew)
        } else {
            (self.terms.lease, self.terms.renew)
        };
        if let Some(heartbeat) = heartbeat {
            record.heartbeat = Some(*heartbeat);
        }
        if let Some(lease) = &mut self.lease {
            // From here on the others may go by the length that is asked for now, whether or not its answer ever comes. Where that is
            // not shorter than before, this changes nothing.
            lease.until = lease.until.min(Terms::deadline(now, record.lease));
        }
        let doing = Doing::Renewing { sent: now, record: Box::new(record.clone()) };
        self.put(LeaseRecord::Worker(Box::new(record)), doing, effects);
    }

    pub(super) fn on_renewed(
        &mut self,
        now: BootTime,
        sent: BootTime,
        record: WorkerRecord,
        answer: Result<(), CallError>,
        effects: &mut Vec<Effect>,
    ) {
        match answer {
            Ok(()) => {
                if self.lease.is_none() {
                    self.former_life_is_dead = false; // whoever has the name from now on is somebody else
                    self.may_join = false;
                    self.may_swap = true;
                }
                self.lease = Some(Lease { until: Terms::deadline(sent, record.lease) });
                // Where heartbeats come, they are what renews it: the timer leaves them a moment.
                let behind_beat =
                    if record.heartbeat.is_some() && self.is_quiet() { BEHIND_BEAT } else { Duration::ZERO };
                self.renew_at = sent.saturating_add(record.renew).saturating_add(behind_beat);
                self.record = record;
            }
            Err(CallError::Conflict) if self.lease.is_some() => {
                self.doing = Doing::ReadingOwn;
                effects.push(Effect::Read { keys: vec![Key::Worker(self.record.id.clone())] });
            }
            Err(error) if self.lease.is_none() => {
                // Who has the name now is to be looked at again.
                self.may_join = false;
                self.read_fleet_at = now.saturating_add(self.pause_after(error));
                self.count_failure();
            }
            Err(_) => {
                let has_lapsed = self.lease.is_none_or(|lease| now >= lease.until);
                let pause = if has_lapsed { self.terms.renew } else { self.terms.retry };
                self.renew_at = now.saturating_add(pause);
                self.count_failure();
            }
        }
    }

    /// A renewal came second. Either an earlier one of this session was carried out and its answer was lost, or the session is over.
    pub(super) fn on_own_read(
        &mut self,
        now: BootTime,
        answer: Result<Vec<LeaseRecord>, CallError>,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(records) = answer else {
            self.renew_at = now.saturating_add(self.terms.retry);
            self.count_failure();
            return;
        };
        let found = self.own_among(&records);
        if let Some(found) = found.as_ref().filter(|found| found.is_live() && found.session == self.record.session) {
            self.record.version = found.version;
            self.renew_at = now;
            return;
        }
        self.lease = None;
        self.take_name_over(found);
        self.lose(self.held.keys().copied().collect(), Loss::Fenced, effects);
        self.released.clear();
        self.expired.clear();
        self.read_fleet_at = now;
    }

    /// Its own record among those that were read.
    pub(super) fn own_among(&self, records: &[LeaseRecord]) -> Option<WorkerRecord> {
        records.iter().find_map(|record| match record {
            LeaseRecord::Worker(record) if record.id == self.record.id => Some((**record).clone()),
            _ => None,
        })
    }

    /// Without a session: whose is the record under its name? The next session is written over a former life of its own that is dead
    /// for certain, or that says so, or that has expired like anybody else's.
    pub(super) fn may_take_name_over(&self, found: Option<&WorkerRecord>) -> bool {
        found.is_none_or(|found| {
            !found.is_live()
                || self.former_life_is_dead
                || found.session <= self.last_session
                || self.watch.has_expired(&found.id)
        })
    }

    /// The next session goes over `found`.
    pub(super) fn take_name_over(&mut self, found: Option<WorkerRecord>) {
        self.record.version = found.as_ref().map_or(0, |found| found.version);
        self.record.session = found.as_ref().map_or(0, |found| found.session);
        if let Some(found) = found {
            self.record.extra = found.extra;
        }
    }

    pub(super) fn lose(&mut self, shards: ShardSet, why: Loss, effects: &mut Vec<Effect>) {
        self.held.retain(|shard, _| !shards.contains(shard));
        if !shards.is_empty() {
            effects.push(Effect::Lost { shards, why });
        }
    }

    /// How long to wait after a call that failed. Those that came second at one moment do not come back at one moment.
    pub(super) fn pause_after(&self, error: CallError) -> Duration {
        if error != CallError::Conflict {
            return self.terms.retry;
        }
        let name = self.record.id.as_str().bytes().fold(self.record.version, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        });
        self.terms.swap_again.mul_f64((name % 1_000) as f64 / 1_000.0)
    }

    /// The last write: the session is over by its own word.
    pub(super) fn end(&mut self, effects: &mut Vec<Effect>) {
        if self.lease.is_none() {
            self.leaving = Leaving::Over;
            effects.push(Effect::Left);
            return;
        }
        let mut record = self.record.clone();
        record.version = record.version.saturating_add(1);
        record.state = WorkerState::Left;
        self.put(LeaseRecord::Worker(Box::new(record)), Doing::Ending, effects);
    }
}
