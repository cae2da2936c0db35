//! Real workers on one clock that ticks in seconds, and a store between them whose every call can go wrong.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use api_health_core::own::member::{CallError, Effect, Event, LeaseState, Member};
use api_health_core::own::records::{Assignment, Key, LeaseRecord, WorkerState};
use api_health_core::own::shards::ShardSet;
use api_health_core::own::terms::Terms;

use super::record;

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// A worker goes on after its deadline.
    NoDeadline,
    /// The deadline is counted from the answer.
    DeadlineFromTheAnswer,
    /// A read that failed counts as one that showed what the last one did.
    BlindTimeCounted,
    /// The store takes every write.
    NoVersions,
    /// A renewal that came second counts as done.
    RenewsOverAFence,
    /// A swap that came second counts as done.
    GainsWithoutTheSwap,
    /// Others are taken for dead.
    Steals,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    /// It never arrives.
    Lost,
    /// It is carried out, and no answer comes.
    Deaf,
    /// It is carried out, and the answer comes three seconds later.
    Slow,
    /// No answer comes, and it arrives four seconds later.
    Late,
}

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) member: Member,
    wakes_at: u64,
    /// It stands still until then; `u64::MAX`: dead.
    pub(super) paused_until: u64,
    /// It does not reach the store until then.
    pub(super) cut_until: u64,
    /// Answers that come later.
    answers: Vec<(u64, Event)>,
    last_read: Vec<LeaseRecord>,
    /// How long the last renewal took.
    renewal_took: u64,
    renewal_sent: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) planted: Planted,
    pub(super) now: u64,
    pub(super) workers: Vec<Worker>,
    pub(super) store: BTreeMap<Key, LeaseRecord>,
    /// Writes that arrive later.
    late: Vec<(u64, LeaseRecord, u64)>,
    pub(super) calls: VecDeque<(usize, Effect)>,
    pub(super) faults_left: u8,
    /// What was seen to be wrong.
    pub(super) wrong: Option<&'static str>,
}

/// The default, and nobody ever takes its time.
pub(super) const TERMS: Terms = Terms {
    quiet_lease: Terms::DEFAULT.lease,
    quiet_renew: Terms::DEFAULT.renew,
    quiet_read: Terms::DEFAULT.renew,
    swap_again: Duration::ZERO,
    ..Terms::DEFAULT
};

impl Worker {
    fn new(number: usize, begins: u64, terms: Terms, shards: u16) -> Self {
        Self {
            member: Member::new(record(number, 0), true, terms, shards, 2),
            wakes_at: begins,
            paused_until: 0,
            cut_until: 0,
            answers: vec![],
            last_read: vec![],
            renewal_took: 0,
            renewal_sent: None,
        }
    }
}

impl World {
    /// Workers that begin at these seconds.
    pub(super) fn new(planted: Planted, terms: Terms, begin: &[u64], shards: u16, faults_left: u8) -> Self {
        let worker = |(number, begins): (usize, &u64)| Worker::new(number, *begins, terms, shards);
        let (store, late, calls) = (BTreeMap::new(), vec![], VecDeque::new());
        let workers = begin.iter().enumerate().map(worker).collect();
        Self { planted, now: 0, workers, store, late, calls, faults_left, wrong: None }
    }

    /// That worker dies, and its next life begins on the same machine after so many seconds. What it sent may still arrive.
    pub(super) fn restart(&mut self, who: usize, after_seconds: u64, terms: Terms, shards: u16) {
        self.workers[who] = Worker::new(who, self.now + after_seconds, terms, shards);
    }

    fn at(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn send(&mut self, who: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        let now = self.at();
        while let Some(event) = events.pop_front() {
            for effect in self.workers[who].member.on(now, event) {
                match effect {
                    Effect::AskProgress => events.push_back(Event::progress(true)),
                    Effect::Release { shards } => {
                        let owned = self.workers[who].member.owned().into_iter();
                        events.push_back(Event::Released(owned.filter(|(shard, _)| shards.contains(shard)).collect()));
                    }
                    Effect::SleepUntil(at) => {
                        // The next whole second.
                        self.workers[who].wakes_at = at.as_secs() + u64::from(at.subsec_nanos() > 0);
                    }
                    Effect::Put { .. } | Effect::Read { .. } => self.calls.push_back((who, effect)),
                    _ => {}
                }
            }
        }
    }

    /// The second goes by: what is due arrives, in the order of the workers.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        let now = self.now;
        let (due, late): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = late;
        for (_, record, expected_version) in due {
            let _ = self.write(record, expected_version);
        }
        for who in 0..self.workers.len() {
            if self.workers[who].paused_until > now {
                continue;
            }
            let answers = std::mem::take(&mut self.workers[who].answers);
            let (due, later): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(at, _)| *at <= now);
            self.workers[who].answers = later;
            for (_, event) in due {
                self.answered(who, event);
            }
            if self.workers[who].wakes_at <= now {
                self.send(who, Event::Woke);
            }
        }
    }

    /// Carries out the call that waits longest.
    pub(super) fn call(&mut self, fate: Fate) {
        let Some((who, call)) = self.calls.pop_front() else { return };
        let fate = if self.workers[who].cut_until > self.now { Fate::Lost } else { fate };
        let lost = matches!(fate, Fate::Lost | Fate::Late);
        let mut event = match call {
            Effect::Put { record, expected_version } => {
                if matches!(&record, LeaseRecord::Worker(own) if own.id == super::named(who)) {
                    self.workers[who].renewal_sent = Some(self.now);
                }
                if fate == Fate::Late {
                    self.late.push((self.now + 4, record.clone(), expected_version));
                }
                let is_own = record.key() == Key::Worker(super::named(who));
                let is_swap = record.key() == Key::Assignment;
                let mut done = if lost { Err(CallError::NoAnswer) } else { self.write(record, expected_version) };
                let is_second = done == Err(CallError::Conflict);
                if is_second
                    && ((self.planted == Planted::RenewsOverAFence && is_own)
                        || (self.planted == Planted::GainsWithoutTheSwap && is_swap))
                {
                    done = Ok(());
                }
                Event::Put(done)
            }
            Effect::Read { keys } if !lost => {
                let found: Vec<LeaseRecord> = keys.iter().filter_map(|key| self.store.get(key).cloned()).collect();
                Event::Read(Ok(found.into_iter().map(|record| self.as_seen(who, record)).collect()))
            }
            _ => Event::Read(Err(CallError::NoAnswer)),
        };
        if fate == Fate::Deaf {
            event = match event {
                Event::Put(_) => Event::Put(Err(CallError::NoAnswer)),
                _ => Event::Read(Err(CallError::NoAnswer)),
            };
        }
        if fate == Fate::Slow {
            self.workers[who].answers.push((self.now + 3, event));
        } else {
            self.answered(who, event);
        }
    }

    fn as_seen(&self, who: usize, record: LeaseRecord) -> LeaseRecord {
        match record {
            LeaseRecord::Worker(mut other) if self.planted == Planted::Steals && other.id != super::named(who) => {
                other.state = WorkerState::Fenced;
                LeaseRecord::Worker(other)
            }
            record => record,
        }
    }

    fn answered(&mut self, who: usize, mut event: Event) {
        let worker = &mut self.workers[who];
        let renewal_sent = if matches!(event, Event::Put(_)) { worker.renewal_sent.take() } else { None };
        match &event {
            Event::Read(Ok(found)) => worker.last_read.clone_from(found),
            Event::Read(Err(_)) if self.planted == Planted::BlindTimeCounted && worker.last_read.len() > 1 => {
                event = Event::Read(Ok(worker.last_read.clone()));
            }
            Event::Put(Ok(())) => {
                worker.renewal_took = renewal_sent.map_or(worker.renewal_took, |sent| self.now - sent);
            }
            _ => {}
        }
        self.send(who, event);
    }

    fn write(&mut self, record: LeaseRecord, expected_version: u64) -> Result<(), CallError> {
        let stored = self.store.get(&record.key());
        if self.planted != Planted::NoVersions && stored.map_or(0, LeaseRecord::version) != expected_version {
            return Err(CallError::Conflict);
        }
        if let (Some(LeaseRecord::Assignment(before)), LeaseRecord::Assignment(after)) = (stored, &record)
            && before.owners.iter().zip(&after.owners).any(|(before, after)| {
                after.epoch < before.epoch
                    || (after.owner.is_some() && after.owner != before.owner && after.epoch == before.epoch)
            })
        {
            self.wrong = Some("an epoch does not grow");
        }
        self.store.insert(record.key(), record);
        Ok(())
    }

    pub(super) fn assignment(&self) -> Option<&Assignment> {
        match self.store.get(&Key::Assignment)? {
            LeaseRecord::Assignment(assignment) => Some(assignment),
            LeaseRecord::Worker(_) => None,
        }
    }

    /// What that worker acts for at this moment.
    pub(super) fn acts_for(&self, who: usize) -> ShardSet {
        let worker = &self.workers[who];
        let owned = || worker.member.owned().into_keys().collect();
        if worker.paused_until > self.now {
            return ShardSet::new();
        }
        match worker.member.lease_state(self.at()) {
            LeaseState::Valid { .. } => owned(),
            LeaseState::Lapsed { .. } if self.planted == Planted::NoDeadline => owned(),
            LeaseState::Lapsed { since, .. }
                if self.planted == Planted::DeadlineFromTheAnswer
                    && self.now < since.as_secs() + worker.renewal_took =>
            {
                owned()
            }
            _ => ShardSet::new(),
        }
    }

    pub(super) fn look_for_two_owners(&mut self) {
        for a in 0..self.workers.len() {
            for b in 0..a {
                if self.acts_for(a).intersection(&self.acts_for(b)).next().is_some() {
                    self.wrong = Some("two owners act at once");
                }
            }
        }
    }

    /// Two hashes of all that there is, by what it shows of itself.
    pub(super) fn fingerprint(&self) -> u128 {
        let text = format!("{:?}", (self.now, &self.workers, &self.store, &self.late, &self.calls, self.faults_left));
        let hash = |begin: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(begin);
            hasher.write(text.as_bytes());
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    }
}
