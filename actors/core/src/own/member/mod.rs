//! The loop of one worker, as a value: it takes what happened and when, and returns what to do next.
//!
//! Again and again it renews its lease ([`lease`]), reads the records of the others, ends expired sessions, and changes the
//! assignment ([`swap`]). One call to the store is in flight at a time. A renewal comes before everything else, and nothing else
//! is written while the lease may have lapsed.

mod events;
mod lease;
mod swap;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::notices::Notice;
use super::records::{Assignment, Key, LeaseRecord, Session, WorkerId, WorkerRecord};
use super::shards::{Shard, ShardSet};
use super::terms::Terms;
use super::watch::Watch;
use crate::time::BootTime;
use lease::Lease;
use swap::Gain;

pub use events::{CallError, Effect, Event, LeaseState, Loss};

/// Notices that wait to be written; more are dropped, but none that asks to withdraw an outage: of those there are as many as outages that
/// were told without the store.
const NOTICES_MAX: usize = 50;

/// Failed calls while the last shards are given back; after that the worker leaves without giving them back.
const CLOSING_FAILURES_MAX: u8 = 3;

/// The fleet as it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Who owns what.
    pub assignment: Assignment,
    /// The records of all other workers that it names.
    pub others: BTreeMap<WorkerId, WorkerRecord>,
}

/// A shard that this worker owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnedShard {
    epoch: u64,
    is_releasing: bool,
    /// Its records have this epoch already, or a higher one: a higher one has to be taken.
    needs_epoch: bool,
}

/// The call in flight.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    AskingProgress,
    Renewing { sent: BootTime, record: Box<WorkerRecord> },
    ReadingOwn,
    ReadingFleet { sent: BootTime, keys: Vec<Key>, read_so_far: Vec<LeaseRecord> },
    Fencing(Box<WorkerRecord>),
    Swapping { assignment: Box<Assignment>, gains: BTreeMap<Shard, Gain>, notices: BTreeSet<usize> },
    Ending,
}

/// Whether the worker is leaving the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// Its shards are being released, and then given back. `failures`: calls that failed since all are released.
    Yes {
        failures: u8,
    },
    Over,
}

/// One worker of a fleet.
#[derive(Clone, Debug)]
pub struct Member {
    terms: Terms,
    /// The assignment to write where there is none yet.
    founding: Assignment,
    /// Its own record as it was stored last.
    record: WorkerRecord,
    lease: Option<Lease>,
    /// The highest session that this process tried to begin.
    last_session: u64,
    /// The process that used this name before is certainly dead.
    former_life_is_dead: bool,
    /// Nobody else uses its name: it may begin a session.
    may_join: bool,
    is_refused: bool,
    owned: BTreeMap<Shard, OwnedShard>,
    /// Released shards with the epochs they were owned with, which the assignment may still have in its name.
    released: BTreeMap<Shard, u64>,
    /// The highest epoch ever seen of each shard.
    epochs: BTreeMap<Shard, u64>,
    notices: VecDeque<Notice>,
    watch: Watch,
    fleet: Option<Fleet>,
    doing: Doing,
    renew_at: BootTime,
    read_fleet_at: BootTime,
    /// Workers whose session has to be ended, by the last read.
    expired: Vec<WorkerId>,
    /// There may be something to change in the assignment.
    may_swap: bool,
    leaving: Leaving,
}

impl Member {
    /// A worker without a session: send it [`Event::Woke`]. It sets those fields of `record` itself that change with a renewal.
    /// `former_life_is_dead`: the process that used this name before is certainly dead, so that there is no need to wait for its
    /// lease. A fleet without an assignment gets one with `shards` shards and this schema.
    pub fn new(record: WorkerRecord, former_life_is_dead: bool, terms: Terms, shards: u16, writes_schema: u32) -> Self {
        Self {
            terms,
            founding: Assignment::none(shards, writes_schema),
            record: WorkerRecord { version: 0, session: 0, ..record },
            lease: None,
            last_session: 0,
            former_life_is_dead,
            may_join: false,
            is_refused: false,
            owned: BTreeMap::new(),
            released: BTreeMap::new(),
            epochs: BTreeMap::new(),
            notices: VecDeque::new(),
            watch: Watch::default(),
            fleet: None,
            doing: Doing::Nothing,
            renew_at: BootTime::ZERO,
            read_fleet_at: BootTime::ZERO,
            expired: vec![],
            may_swap: false,
            leaving: Leaving::No,
        }
    }

    /// What follows from `event` at `now`.
    pub fn on(&mut self, now: BootTime, event: Event) -> Vec<Effect> {
        let mut effects = vec![];
        match event {
            Event::Woke => {}
            Event::Progress { is_made, heartbeat } => self.on_progress(now, is_made, heartbeat, &mut effects),
            Event::Put(answer) => self.on_put(now, answer, &mut effects),
            Event::Read(answer) => self.on_read(now, answer, &mut effects),
            Event::Released(shards) => self.on_released(shards),
            Event::StoredEpoch { shard, epoch } => self.on_stored_epoch(shard, epoch),
            Event::Notice(notice) => {
                self.take_notice(notice, &mut effects);
                self.may_swap = true;
            }
            Event::RenewNow if self.lease.is_some() && self.is_quiet() => self.renew_at = now,
            Event::RenewNow => {}
            Event::ReadFleet => self.read_fleet_at = now,
            Event::Leave => self.on_leave(&mut effects),
        }
        if self.doing == Doing::Nothing && self.leaving != Leaving::Over {
            self.go_on(now, &mut effects);
        }
        effects
    }

    /// Its lease at `now`.
    pub fn lease_state(&self, now: BootTime) -> LeaseState {
        match self.lease {
            None => LeaseState::NoSession,
            Some(Lease { until }) if now < until => LeaseState::Valid { until },
            Some(Lease { until }) => LeaseState::Lapsed { since: until, is_refused: self.is_refused },
        }
    }

    /// Its present session, if it has one.
    pub fn session(&self) -> Option<Session> {
        self.lease.map(|_| self.record.session())
    }

    /// The shards that it owns, with their epochs, without those that need a higher one. Whether it may act on them depends on
    /// [`Self::lease_state`].
    pub fn owned(&self) -> BTreeMap<Shard, u64> {
        self.owned.iter().filter(|(_, owned)| !owned.needs_epoch).map(|(shard, owned)| (*shard, owned.epoch)).collect()
    }

    /// The fleet as it was read last; `None`: not yet.
    pub fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref()
    }

    /// Its own record as it was stored last.
    pub fn record(&self) -> &WorkerRecord {
        &self.record
    }

    /// Whether another session was ever seen renewing its lease.
    pub fn has_met_others(&self) -> bool {
        self.watch.has_met()
    }

    /// Whether no other session lives, as far as was seen.
    pub fn is_alone(&self) -> bool {
        self.fleet.as_ref().is_none_or(|fleet| !fleet.others.values().any(WorkerRecord::is_live))
    }

    fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Begins the most urgent step that is due.
    fn go_on(&mut self, now: BootTime, effects: &mut Vec<Effect>) {
        let renews = self.lease.is_some() || (self.may_join && !self.is_leaving());
        if renews && now >= self.renew_at {
            self.doing = Doing::AskingProgress;
            effects.push(Effect::AskProgress);
            return;
        }
        if matches!(self.lease_state(now), LeaseState::Valid { .. })
            && (self.fence(now, effects) || self.swap(now, effects))
        {
            return;
        }
        if self.is_leaving() && self.has_closed() {
            return self.end(effects);
        }
        if now >= self.read_fleet_at {
            return self.read_fleet(now, effects);
        }
        let mut until = self.read_fleet_at;
        if renews {
            until = until.min(self.renew_at);
        }
        effects.push(Effect::SleepUntil(until));
    }

    fn put(&mut self, record: LeaseRecord, doing: Doing, effects: &mut Vec<Effect>) {
        self.doing = doing;
        let expected_version = record.version().saturating_sub(1);
        effects.push(Effect::Put { record, expected_version });
    }

    fn on_put(&mut self, now: BootTime, answer: Result<(), CallError>, effects: &mut Vec<Effect>) {
        self.is_refused = answer == Err(CallError::Refused);
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Renewing { sent, record } => self.on_renewed(now, sent, *record, answer, effects),
            Doing::Fencing(record) => self.on_fenced(now, *record, answer),
            Doing::Swapping { assignment, gains, notices } => {
                self.on_swapped(now, *assignment, gains, &notices, answer, effects);
            }
            Doing::Ending => self.over(effects),
            other => self.doing = other, // an answer to nothing
        }
    }

    fn on_read(&mut self, now: BootTime, answer: Result<Vec<LeaseRecord>, CallError>, effects: &mut Vec<Effect>) {
        self.is_refused = matches!(answer, Err(CallError::Refused));
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::ReadingOwn => self.on_own_read(now, answer, effects),
            Doing::ReadingFleet { sent, keys, read_so_far } => match answer {
                Ok(records) => {
                    self.on_fleet_read(now, sent, keys, read_so_far.into_iter().chain(records).collect(), effects);
                }
                Err(_) => {
                    self.read_fleet_at = now.saturating_add(self.terms.retry);
                    self.count_failure();
                }
            },
            other => self.doing = other,
        }
    }

    fn take_notice(&mut self, notice: Notice, effects: &mut Vec<Effect>) {
        let others = self.notices.iter().filter(|waiting| !waiting.is_withdrawal()).count();
        if !notice.is_withdrawal() && others >= NOTICES_MAX {
            effects.push(Effect::NoticeDropped(notice));
        } else if !self.notices.iter().any(|waiting| waiting.is_same_ask(&notice)) {
            self.notices.push_back(notice);
        }
    }

    /// The worker has left.
    fn over(&mut self, effects: &mut Vec<Effect>) {
        self.leaving = Leaving::Over;
        effects.extend(self.notices.drain(..).map(Effect::NoticeDropped));
        effects.push(Effect::Left);
    }

    fn on_leave(&mut self, effects: &mut Vec<Effect>) {
        if self.is_leaving() {
            return;
        }
        self.leaving = Leaving::Yes { failures: 0 };
        let mut shards = ShardSet::new();
        for (shard, owned) in self.owned.iter_mut().filter(|(_, owned)| !owned.is_releasing) {
            owned.is_releasing = true;
            shards.insert(*shard);
        }
        if !shards.is_empty() {
            effects.push(Effect::Release { shards });
        }
    }

    /// Whether nothing is left to give back, or giving back has failed too often.
    fn has_closed(&self) -> bool {
        let has_failed = matches!(self.leaving, Leaving::Yes { failures } if failures >= CLOSING_FAILURES_MAX);
        self.owned.is_empty() && (self.released.is_empty() || self.lease.is_none() || has_failed)
    }

    fn count_failure(&mut self) {
        if let Leaving::Yes { failures } = &mut self.leaving
            && self.owned.is_empty()
        {
            *failures = failures.saturating_add(1);
        }
    }
}
