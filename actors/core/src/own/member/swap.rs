//! A worker among others: reading their records, ending expired sessions, and changing the assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{CallError, Doing, Effect, Fleet, LeaseState, Loss, Member, OwnedShard};
use crate::own::fleet::{ShardPlan, View, plan};
use crate::own::records::{Assignment, Key, LeaseRecord, Ownership, WORKERS_MAX, WorkerId, WorkerRecord, WorkerState};
use crate::own::shards::{Shard, ShardSet};
use crate::time::BootTime;

/// The shortest time between two reads, even where somebody may expire at any moment.
const READ_GAP_MIN: Duration = Duration::from_millis(50);

/// A shard that is taken with the next write of the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gain {
    epoch: u64,
    is_clean: bool,
}

impl Member {
    /// Reads the assignment and the workers that it named before.
    pub(super) fn read_fleet(&mut self, now: BootTime, effects: &mut Vec<Effect>) {
        let me = &self.record.id;
        let mut keys = vec![Key::Assignment];
        if self.lease.is_none() {
            keys.push(Key::Worker(me.clone()));
        }
        let named = self.fleet.iter().flat_map(|fleet| &fleet.assignment.workers);
        keys.extend(named.filter(|worker| *worker != me).cloned().map(Key::Worker));
        self.doing = Doing::ReadingFleet { sent: now, keys: keys.clone(), read_so_far: vec![] };
        effects.push(Effect::Read { keys });
    }

    pub(super) fn on_fleet_read(
        &mut self,
        now: BootTime,
        sent: BootTime,
        mut keys: Vec<Key>,
        read_so_far: Vec<LeaseRecord>,
        effects: &mut Vec<Effect>,
    ) {
        let assignment = read_so_far.iter().find_map(|record| match record {
            LeaseRecord::Assignment(assignment) if !assignment.owners.is_empty() => Some((**assignment).clone()),
            _ => None,
        });
        let assignment = assignment.unwrap_or_else(|| self.founding.clone());
        let named = assignment.workers.iter().filter(|worker| **worker != self.record.id);
        let not_read: Vec<Key> = named.cloned().map(Key::Worker).filter(|key| !keys.contains(key)).collect();
        if !not_read.is_empty() {
            keys.extend(not_read.iter().cloned());
            self.doing = Doing::ReadingFleet { sent, keys, read_so_far };
            effects.push(Effect::Read { keys: not_read });
            return;
        }
        let mut others: BTreeMap<WorkerId, WorkerRecord> = BTreeMap::new();
        let mut own = None;
        for record in read_so_far {
            match record {
                LeaseRecord::Worker(record) if record.id == self.record.id => own = Some(*record),
                LeaseRecord::Worker(record) if assignment.workers.contains(&record.id) => {
                    others.insert(record.id.clone(), *record);
                }
                _ => {}
            }
        }
        let watched = others.values().chain(own.as_ref().filter(|_| self.lease.is_none()));
        self.watch.observe(sent, now, self.terms.blind_after(), watched);
        self.expired = others.keys().filter(|worker| self.watch.has_expired(worker)).cloned().collect();
        if self.lease.is_some() {
            self.compare(&assignment, effects);
        } else if self.may_take_name_over(own.as_ref()) && !self.is_leaving() {
            self.take_name_over(own);
            self.may_join = true;
            self.renew_at = now;
        }
        for (shard, own) in Shard::all(assignment.shards()).zip(&assignment.owners) {
            let known = self.epochs.entry(shard).or_default();
            *known = own.epoch.max(*known);
        }
        self.fleet = Some(Fleet { assignment, others });
        self.may_swap = true;
        let waits_for_nobody = self.is_alone() && self.lease.is_some();
        let pause = if waits_for_nobody { self.terms.quiet_read } else { self.terms.renew };
        let next = now.saturating_add(pause);
        let soonest = now.saturating_add(READ_GAP_MIN);
        self.read_fleet_at = self.watch.next_expiry().map_or(next, |expiry| next.min(expiry)).max(soonest);
        self.renew_sooner_if_seen(now);
    }

    /// Another worker has appeared: the long lease is replaced by a short one.
    fn renew_sooner_if_seen(&mut self, now: BootTime) {
        if self.lease.is_some() && !self.is_quiet() && self.record.lease > self.terms.lease {
            self.renew_at = self.renew_at.min(now);
        }
    }

    /// Compares what it owns with the assignment that was read.
    fn compare(&mut self, assignment: &Assignment, effects: &mut Vec<Effect>) {
        let mine = assignment.owned_by(&self.record.session());
        let lost: ShardSet = self.owned.keys().filter(|shard| !mine.contains_key(shard)).copied().collect();
        self.lose(lost, Loss::Reassigned, effects);
        self.released.retain(|shard, epoch| mine.get(shard) == Some(epoch));
        let is_leaving = self.is_leaving();
        for (shard, epoch) in mine {
            let known = self.epochs.get(&shard).copied().unwrap_or(0);
            match self.owned.get_mut(&shard) {
                Some(owned) if owned.epoch == epoch => {}
                // An older assignment is back, from a backup or edited by hand: its epoch is used up.
                Some(owned) if epoch < owned.epoch => owned.needs_epoch = true,
                None if self.released.contains_key(&shard) || is_leaving => {}
                None if epoch <= known => {
                    self.owned.insert(shard, OwnedShard { epoch, is_releasing: false, needs_epoch: true });
                }
                // An earlier write of its own went through, and the answer was lost.
                _ => self.gain(shard, Gain { epoch, is_clean: false }, effects),
            }
        }
    }

    fn gain(&mut self, shard: Shard, gain: Gain, effects: &mut Vec<Effect>) {
        let Gain { epoch, is_clean } = gain;
        if self.is_leaving() && !self.owned.contains_key(&shard) {
            // Nothing was done with it: it is given back as it was. One that needs a seal stays in the name of this session, so that the
            // next owner seals it.
            if is_clean {
                self.released.insert(shard, epoch);
            }
            return;
        }
        let is_releasing = self.owned.get(&shard).is_some_and(|owned| owned.is_releasing);
        self.owned.insert(shard, OwnedShard { epoch, is_releasing, needs_epoch: false });
        let known = self.epochs.entry(shard).or_default();
        *known = epoch.max(*known);
        effects.push(Effect::Gained { shard, epoch, is_clean });
        if is_releasing {
            // Its release may have been requested for the old epoch: it is requested again.
            effects.push(Effect::Release { shards: ShardSet::from([shard]) });
        }
    }

    /// Ends the next expired session; returns whether there was one. What was expired before this worker went blind does not count: the
    /// other may not have been able to renew either.
    pub(super) fn fence(&mut self, now: BootTime, effects: &mut Vec<Effect>) -> bool {
        if self.watch.is_blind(now, self.terms.blind_after()) {
            self.expired.clear();
        }
        while let Some(worker) = self.expired.pop() {
            let others = self.fleet.as_ref().map(|fleet| &fleet.others);
            let Some(record) = others.and_then(|others| others.get(&worker)) else { continue };
            let mut record = record.clone();
            record.version = record.version.saturating_add(1);
            record.state = WorkerState::Fenced;
            let doing = Doing::Fencing(Box::new(record.clone()));
            self.put(LeaseRecord::Worker(Box::new(record)), doing, effects);
            return true;
        }
        false
    }

    pub(super) fn on_fenced(&mut self, now: BootTime, record: WorkerRecord, answer: Result<(), CallError>) {
        match answer {
            Ok(()) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.others.insert(record.id.clone(), record);
                }
                self.may_swap = true;
            }
            Err(CallError::Conflict) => {} // it lives; the next read shows it
            Err(error) => {
                self.expired.clear();
                self.read_fleet_at = now.saturating_add(self.pause_after(error));
            }
        }
    }

    pub(super) fn on_released(&mut self, shards: BTreeMap<Shard, u64>) {
        for (shard, epoch) in shards {
            if self.owned.get(&shard).is_some_and(|owned| owned.epoch == epoch) {
                self.owned.remove(&shard);
                self.released.insert(shard, epoch);
                self.may_swap = true;
            }
        }
    }

    pub(super) fn on_stored_epoch(&mut self, shard: Shard, epoch: u64) {
        if let Some(owned) = self.owned.get_mut(&shard)
            && owned.epoch <= epoch
        {
            owned.needs_epoch = true;
            self.may_swap = true;
        }
        let known = self.epochs.entry(shard).or_default();
        *known = epoch.max(*known);
    }

    /// Changes the assignment if anything is to be changed; returns whether a write is under way.
    pub(super) fn swap(&mut self, now: BootTime, effects: &mut Vec<Effect>) -> bool {
        if !std::mem::take(&mut self.may_swap) {
            return false;
        }
        let Some(fleet) = &self.fleet else { return false };
        let me = self.record.session();
        let mut next = fleet.assignment.clone();
        if !self.is_leaving() && next.workers.len() < WORKERS_MAX {
            next.workers.insert(me.worker.clone());
        }
        let owned: ShardSet =
            self.owned.iter().filter(|(_, owned)| !owned.is_releasing).map(|(shard, _)| *shard).collect();
        let ShardPlan { release, take } = if self.is_leaving() {
            ShardPlan::default()
        } else {
            let mut live = fleet.others.clone();
            live.retain(|_, record| record.is_live());
            live.insert(me.worker.clone(), self.record.clone()); // it has a lease, as it is about to write
            plan(View { assignment: &next, live: &live }, &me, &owned)
        };
        let raised = self.owned.iter().filter(|(_, owned)| owned.needs_epoch).map(|(shard, _)| *shard);
        let gains: BTreeMap<Shard, Gain> =
            take.into_iter().chain(raised).map(|shard| (shard, self.gain_of(shard))).collect();
        for (shard, gain) in &gains {
            if let Some(own) = next.owners.get_mut(shard.index()) {
                *own = Ownership { owner: Some(me.clone()), epoch: gain.epoch };
            }
        }
        for (shard, epoch) in &self.released {
            if let Some(own) = next.owners.get_mut(shard.index())
                && own.owner.as_ref() == Some(&me)
                && own.epoch == *epoch
            {
                own.owner = None;
            }
        }
        let owners: BTreeSet<&WorkerId> =
            next.owners.iter().filter_map(|own| own.owner.as_ref()).map(|owner| &owner.worker).collect();
        let lives = |worker: &WorkerId| fleet.others.get(worker).is_some_and(WorkerRecord::is_live);
        next.workers.retain(|worker| *worker == me.worker || owners.contains(worker) || lives(worker));
        let mut notices = BTreeSet::new();
        for (place, notice) in self.notices.iter().enumerate() {
            if next.has_room_for(notice) {
                next.apply(notice.clone());
                notices.insert(place);
            }
        }
        let has_changed = next != fleet.assignment;
        if !release.is_empty() {
            for shard in &release {
                if let Some(owned) = self.owned.get_mut(shard) {
                    owned.is_releasing = true;
                }
            }
            effects.push(Effect::Release { shards: release });
        }
        if !has_changed {
            self.released.clear();
            self.forget_notices(&notices);
            return false;
        }
        debug_assert!(
            matches!(self.lease_state(now), LeaseState::Valid { .. }),
            "whoever may have lost its lease changes nothing"
        );
        next.version = next.version.saturating_add(1);
        let doing = Doing::Swapping { assignment: Box::new(next.clone()), gains, notices };
        self.put(LeaseRecord::Assignment(Box::new(next)), doing, effects);
        true
    }

    /// Those at these places are written. What came since stands behind them.
    fn forget_notices(&mut self, written: &BTreeSet<usize>) {
        let mut places = 0..;
        self.notices.retain(|_| places.next().is_none_or(|place| !written.contains(&place)));
    }

    /// The epoch for taking a shard: above all that were ever seen, in the assignment or in its records.
    fn gain_of(&self, shard: Shard) -> Gain {
        let own = self.fleet.as_ref().map(|fleet| fleet.assignment.ownership(shard)).unwrap_or_default();
        let known = self.epochs.get(&shard).copied().unwrap_or(0);
        Gain { epoch: own.epoch.max(known).saturating_add(1), is_clean: own.is_clean() && own.epoch >= known }
    }

    pub(super) fn on_swapped(
        &mut self,
        now: BootTime,
        assignment: Assignment,
        gains: BTreeMap<Shard, Gain>,
        notices: &BTreeSet<usize>,
        answer: Result<(), CallError>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = answer {
            self.read_fleet_at = now.saturating_add(self.pause_after(error));
            if error != CallError::Conflict {
                self.count_failure();
            }
            return;
        }
        for (shard, gain) in gains {
            self.gain(shard, gain, effects);
        }
        let me = self.record.session();
        self.released.retain(|shard, epoch| {
            assignment.ownership(*shard) == Ownership { owner: Some(me.clone()), epoch: *epoch }
        });
        self.forget_notices(notices);
        if let Some(fleet) = &mut self.fleet {
            fleet.assignment = assignment;
        }
        self.may_swap = true; // a shard that was given back may be its own to take again
        self.renew_sooner_if_seen(now);
    }
}
