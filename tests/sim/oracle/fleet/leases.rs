//! Who owns what, as the lease records say.

use api_health_core::own::records::{LeaseRecord, Ownership};

use super::{Checked, EXPIRES, Fleet, Held, keeps_from_owning};
use crate::fleet_history::What;

impl Fleet<'_> {
    pub(super) fn leased(&mut self, record: &LeaseRecord) -> Checked {
        match record {
            LeaseRecord::Worker(record) => {
                let session = record.session();
                if record.is_live() {
                    self.processes.entry(session).or_insert(self.process);
                } else {
                    self.count(&format!("sessions {:?}", record.state));
                }
                self.workers.insert(record.id.as_str().to_owned(), (**record).clone());
                Ok(())
            }
            LeaseRecord::Assignment(assignment) => {
                let owners = assignment.owners.iter().enumerate();
                owners.into_iter().try_for_each(|(shard, own)| self.assigned(shard, own))
            }
        }
    }

    fn assigned(&mut self, shard: usize, own: &Ownership) -> Checked {
        let before = self.shards[shard].clone();
        if own.epoch < before.epoch || (own.epoch == before.epoch && own.owner.is_some() && own.owner != before.owner) {
            let what = format!("shard {shard}: epoch {} after {}", own.epoch, before.epoch);
            return Err(self.violation("an_epoch_only_grows", None, what));
        }
        if own.owner == before.owner {
            self.shards[shard].epoch = own.epoch;
            return Ok(());
        }
        let was_taken = before.owner.as_ref().filter(|_| own.owner.is_some());
        if let Some(session) = was_taken
            && let Some(process) = self.processes.get(session).copied()
        {
            // A store that is gone for all is no reason.
            let is_its_own = |what| keeps_from_owning(what) && what != What::Store;
            let from = self.at.saturating_sub(EXPIRES);
            let is_gone = !self.lives(process, from, self.at);
            let is_lapsed =
                self.workers.get(session.worker.as_str()).is_none_or(|record| record.session != session.number);
            if !is_gone && !is_lapsed && !self.troubled(process, from, self.at, is_its_own) {
                let what = format!("shard {shard} of {session} goes to {:?}, and nothing ailed it", own.owner);
                return Err(self.violation("a_store_that_was_gone_for_all_moves_no_shard", None, what));
            }
            self.count("shards taken from the dead");
        } else if own.owner.is_some() {
            self.count("shards taken that were free");
        }
        self.last_move = self.at;
        let owner = before.owner.as_ref().and_then(|session| self.processes.get(session).copied());
        let mut lives = before.before;
        lives.push((before.since, owner));
        let taken_with = if was_taken.is_some() { own.epoch } else { 0 };
        self.shards[shard] =
            Held { owner: own.owner.clone(), epoch: own.epoch, since: self.at, taken_with, before: lives };
        Ok(())
    }
}
