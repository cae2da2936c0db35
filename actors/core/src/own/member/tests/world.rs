//! A store in memory, and workers whose lines to it can be cut.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::record;
use crate::own::member::{CallError, Effect, Event, LeaseState, Member};
use crate::own::records::{Assignment, Key, LeaseRecord, WorkerRecord};
use crate::own::shards::ShardSet;
use crate::own::terms::Terms;

/// How the store treats one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Up,
    Down,
    Refuses,
    /// What is sent arrives, and no answer comes back.
    Deaf,
    /// The same for writes; reads are answered.
    HalfDeaf,
    /// Reads are answered, and writes do not arrive.
    ReadOnly,
}

pub(super) struct Worker {
    pub(super) member: Member,
    pub(super) line: Line,
    pub(super) makes_progress: bool,
    /// Effects that are for the keeper.
    pub(super) told: Vec<Effect>,
    pub(super) wakes_at: Duration,
    pub(super) puts: usize,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: BTreeMap<Key, LeaseRecord>,
    pub(super) workers: Vec<Worker>,
    pub(super) now: Duration,
}

const SHARDS: u16 = 8;

impl World {
    pub(super) fn start(&mut self, record: WorkerRecord, former_life_is_dead: bool) -> usize {
        let member = Member::new(record, former_life_is_dead, Terms::DEFAULT, SHARDS, 2);
        let (told, wakes_at) = (vec![], self.now);
        self.workers.push(Worker { member, line: Line::Up, makes_progress: true, told, wakes_at, puts: 0 });
        self.workers.len() - 1
    }

    pub(super) fn with(names: &[&str]) -> Self {
        let mut world = Self::default();
        for name in names {
            world.start(record(name, 0), true);
        }
        world
    }

    pub(super) fn send(&mut self, who: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let effects = self.workers[who].member.on(self.now, event);
            for effect in effects {
                let worker = &mut self.workers[who];
                match effect {
                    Effect::AskProgress => events.push_back(Event::progress(worker.makes_progress)),
                    Effect::Put { record, expected_version } => {
                        worker.puts += 1;
                        let stored = self.store.get(&record.key()).map_or(0, LeaseRecord::version);
                        events.push_back(Event::Put(match worker.line {
                            Line::Down | Line::ReadOnly => Err(CallError::NoAnswer),
                            Line::Refuses => Err(CallError::Refused),
                            _ if stored != expected_version => Err(CallError::Conflict),
                            line => {
                                self.store.insert(record.key(), record);
                                if line != Line::Up { Err(CallError::NoAnswer) } else { Ok(()) }
                            }
                        }));
                    }
                    Effect::Read { keys } => events.push_back(Event::Read(match worker.line {
                        Line::Up | Line::HalfDeaf | Line::ReadOnly => {
                            Ok(keys.iter().filter_map(|key| self.store.get(key).cloned()).collect())
                        }
                        Line::Refuses => Err(CallError::Refused),
                        Line::Down | Line::Deaf => Err(CallError::NoAnswer),
                    })),
                    Effect::SleepUntil(at) => worker.wakes_at = at,
                    Effect::Release { ref shards } => {
                        let owned = worker.member.owned().into_iter();
                        events.push_back(Event::Released(owned.filter(|(shard, _)| shards.contains(shard)).collect()));
                        worker.told.push(effect);
                    }
                    effect => worker.told.push(effect),
                }
            }
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            for who in 0..self.workers.len() {
                if self.workers[who].wakes_at <= self.now {
                    self.send(who, Event::Woke);
                }
            }
            self.now += Duration::from_millis(100);
            self.assert_one_owner();
        }
    }

    pub(super) fn may_act(&self, who: usize) -> ShardSet {
        let member = &self.workers[who].member;
        match member.lease_state(self.now) {
            LeaseState::Valid { .. } => member.owned().into_keys().collect(),
            _ => ShardSet::new(),
        }
    }

    pub(super) fn assert_one_owner(&self) {
        for a in 0..self.workers.len() {
            for b in 0..a {
                let both = self.may_act(a).intersection(&self.may_act(b)).count();
                assert_eq!(both, 0, "{a} and {b} own the same shard at {:?}", self.now);
            }
        }
    }

    pub(super) fn counts(&self) -> Vec<usize> {
        (0..self.workers.len()).map(|who| self.may_act(who).len()).collect()
    }

    pub(super) fn told(&mut self, who: usize) -> Vec<Effect> {
        std::mem::take(&mut self.workers[who].told)
    }

    pub(super) fn assignment(&self) -> &Assignment {
        match self.store.get(&Key::Assignment) {
            Some(LeaseRecord::Assignment(assignment)) => assignment,
            _ => panic!("no assignment"),
        }
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Assignment)) {
        let mut assignment = self.assignment().clone();
        change(&mut assignment);
        self.store.insert(Key::Assignment, LeaseRecord::Assignment(Box::new(assignment)));
    }
}
