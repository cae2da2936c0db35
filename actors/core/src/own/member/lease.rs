//! A worker's own lease: beginning a session, renewing it, and noticing that it has ended.

use std::time::Duration;

use super::{CallError, Doing, Effect, Loss, Member};
use crate::heartbeat::Heartbeat;
use crate::own::records::{Key, LeaseRecord, Role, WorkerRecord, WorkerState};
use crate::own::shards::ShardSet;
use crate::own::terms::Terms;
use crate::time::BootTime;

/// A renewal waits this much longer for a heartbeat, so that one write is both.
const BEHIND_HEARTBEAT: Duration = Duration::from_secs(1);

/// The lease of the present session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) until: BootTime,
}

impl Member {
    /// Nobody waits for this worker: it is alone, or a standby that owns nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_alone() || (self.record.role == Role::Standby && self.owned.is_empty() && self.released.is_empty())
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
            // From here on the others may go by the requested length, whether or not the answer comes. That matters only where it is
            // shorter than before.
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
                    self.former_life_is_dead = false; // from now on the name may be used by somebody else
                    self.may_join = false;
                    self.may_swap = true;
                }
                self.lease = Some(Lease { until: Terms::deadline(sent, record.lease) });
                // Where there are heartbeats, those renew it: the timer waits a moment for them.
                let behind_heartbeat =
                    if record.heartbeat.is_some() && self.is_quiet() { BEHIND_HEARTBEAT } else { Duration::ZERO };
                self.renew_at = sent.saturating_add(record.renew).saturating_add(behind_heartbeat);
                self.record = record;
            }
            Err(CallError::Conflict) if self.lease.is_some() => {
                self.doing = Doing::ReadingOwn;
                effects.push(Effect::Read { keys: vec![Key::Worker(self.record.id.clone())] });
            }
            Err(error) if self.lease.is_none() => {
                // The record under this name has to be read again.
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

    /// A renewal met a conflict. Either an earlier one went through and its answer was lost, or the session has ended.
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
        let stored = self.own_among(&records);
        if let Some(stored) = stored.as_ref().filter(|stored| stored.is_live() && stored.session == self.record.session)
        {
            self.record.version = stored.version;
            self.renew_at = now;
            return;
        }
        self.lease = None;
        self.take_name_over(stored);
        self.lose(self.owned.keys().copied().collect(), Loss::Fenced, effects);
        self.released.clear();
        self.expired.clear();
        self.read_fleet_at = now;
    }

    /// Its own record among these.
    pub(super) fn own_among(&self, records: &[LeaseRecord]) -> Option<WorkerRecord> {
        records.iter().find_map(|record| match record {
            LeaseRecord::Worker(record) if record.id == self.record.id => Some((**record).clone()),
            _ => None,
        })
    }

    /// Whether the next session may replace the record under its name: if that session has ended or expired, or its process is
    /// certainly dead.
    pub(super) fn may_take_name_over(&self, stored: Option<&WorkerRecord>) -> bool {
        stored.is_none_or(|stored| {
            !stored.is_live()
                || self.former_life_is_dead
                || stored.session <= self.last_session
                || self.watch.has_expired(&stored.id)
        })
    }

    /// The next session replaces `stored`.
    pub(super) fn take_name_over(&mut self, stored: Option<WorkerRecord>) {
        self.record.version = stored.as_ref().map_or(0, |stored| stored.version);
        self.record.session = stored.as_ref().map_or(0, |stored| stored.session);
        if let Some(stored) = stored {
            self.record.extra = stored.extra;
        }
    }

    pub(super) fn lose(&mut self, shards: ShardSet, why: Loss, effects: &mut Vec<Effect>) {
        self.owned.retain(|shard, _| !shards.contains(shard));
        if !shards.is_empty() {
            effects.push(Effect::Lost { shards, why });
        }
    }

    /// How long to wait after a failed call. After conflicts it differs by worker, so that they do not collide again.
    pub(super) fn pause_after(&self, error: CallError) -> Duration {
        if error != CallError::Conflict {
            return self.terms.retry;
        }
        let name = self.record.id.as_str().bytes().fold(self.record.version, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        });
        self.terms.swap_again.mul_f64((name % 1_000) as f64 / 1_000.0)
    }

    /// The last write: ends its own session.
    pub(super) fn end(&mut self, effects: &mut Vec<Effect>) {
        if self.lease.is_none() {
            return self.over(effects);
        }
        let mut record = self.record.clone();
        record.version = record.version.saturating_add(1);
        record.state = WorkerState::Left;
        self.put(LeaseRecord::Worker(Box::new(record)), Doing::Ending, effects);
    }
}
