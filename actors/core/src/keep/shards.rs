//! What happens when a shard comes or goes: its records are adopted, sealed, handed on in order, or forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::{Effect, Grant, Keeper};
use crate::api::ApiId;
use crate::delivery;
use crate::own::shards::{Shard, ShardSet};
use crate::schedule::Moment;
use crate::state::ApiState;

impl Keeper {
    /// These shards are ours, and these are the records in them; records of other shards are passed over.
    ///
    /// Where the last owner did not leave in order, one of its writes may still land. So each record is written once, with the new
    /// epoch, those that owe first, and what it owes is told after that: this seals it.
    ///
    /// Where a record has the epoch of a fresh grant already, or a higher one, that grant is not good, and is not taken. The answer
    /// is the highest epoch found in each of these shards; 0: none has any.
    ///
    /// A shard that is ours already may be granted again, with a higher epoch. It was not lost in between, so what is known of it is
    /// newer than any record: it is only sealed.
    pub fn gain(&mut self, grants: &[Grant], states: Vec<ApiState>, now: Moment) -> BTreeMap<Shard, u64> {
        let mut found: BTreeMap<Shard, u64> = grants.iter().map(|grant| (grant.shard, 0)).collect();
        for state in &states {
            if let Some(found) = found.get_mut(&self.owned.shard(&state.api_id)) {
                *found = state.epoch.max(*found);
            }
        }
        // Two readings may be under way, and end in any order.
        let is_good = |grant: &&Grant| found[&grant.shard] < grant.epoch || !grant.fresh;
        let is_news = |grant: &&Grant| !self.owned.has(grant) && is_good(grant);
        let grants: Vec<Grant> = grants.iter().filter(is_news).copied().collect();
        grants.iter().for_each(|grant| self.owned.add(*grant));
        let is_clean = |shard: Shard| grants.iter().find(|grant| grant.shard == shard).map(|grant| grant.clean);
        let mut to_seal: Vec<ApiId> = Vec::new();
        for state in states {
            let (api_id, shard) = (state.api_id.clone(), self.owned.shard(&state.api_id));
            let Some(clean) = is_clean(shard).filter(|_| self.owned.owns(&api_id)) else { continue };
            if !clean {
                to_seal.push(api_id.clone());
            }
            if self.ledger.get(&api_id).is_none() {
                self.adopt(state, (!clean).then_some(now.uptime), now);
            }
        }
        self.ledger.write_anew(to_seal, now.uptime);
        self.tick(now);
        found
    }

    fn adopt(&mut self, state: ApiState, unsealed_since: Option<std::time::Duration>, now: Moment) {
        let api_id = state.api_id.clone();
        let mut entry = Entry::new(state, unsealed_since);
        if delivery::assign_channels(&mut entry.state.owed, &self.setup.channels) {
            let state = &mut entry.state;
            let begins = |incident: &str| state.owed.iter().find(|owed| owed.alert.incident_id == incident);
            if let Some(incident) = &mut state.incident
                && let Some(owed) = begins(&incident.incident_id)
            {
                incident.owed_to.clone_from(&owed.owed_to);
            }
            entry.mark_unsaved(None, now.uptime);
        }
        if let (Some(probed), true) = (api_id.probed(), entry.state.incident.is_some()) {
            self.given_up.insert(probed);
        }
        if entry.state.incident.is_some() {
            self.note_open(&api_id);
        }
        let has_to_be_stored = entry.is_unsaved();
        self.ledger.put(entry);
        self.note_owing(&api_id);
        if self.setup.resumes_backoff {
            self.resume_backoff(&api_id, now);
        }
        if has_to_be_stored {
            self.ledger.queue(&api_id);
        }
    }

    /// These shards are let go of: nothing more is begun for them, and what is not stored is stored now. [`Effect::ShardsReleased`] says
    /// when that is done, of each as soon as it is: an alert may be under way for long in one of them.
    pub fn let_go(&mut self, shards: &ShardSet, now: Moment) {
        let unknown: ShardSet = shards.iter().filter(|shard| !self.owned.leave(**shard)).copied().collect();
        if !unknown.is_empty() {
            self.effects.push(Effect::ShardsReleased(unknown));
        }
        self.flush_leaving_shards();
        self.tick(now);
    }

    /// Whoever waits for those shards waits for no checkpoint: how an attempt ended that was under way is stored as well.
    pub(super) fn flush_leaving_shards(&mut self) {
        if self.owned.leaving().is_empty() {
            return;
        }
        for api_id in self.in_shards(self.owned.leaving(), Entry::is_unsaved) {
            self.ledger.queue(&api_id);
        }
    }

    /// Forgets those shards that are let go of and in which nothing is unsaved and no attempt under way. Looking at each entry
    /// costs milliseconds with 50,000 of them, so not after each answer of the store.
    pub(super) fn drop_released_shards(&mut self) {
        if self.owned.leaving().is_empty() {
            return;
        }
        let unsaved = self.in_shards(self.owned.leaving(), Entry::is_unsaved);
        let busy: ShardSet =
            unsaved.iter().chain(self.delivery_queue.in_flight()).map(|api_id| self.owned.shard(api_id)).collect();
        let left: ShardSet = self.owned.leaving().difference(&busy).copied().collect();
        if !left.is_empty() {
            self.forget(&left);
            self.effects.push(Effect::ShardsReleased(left));
        }
    }

    /// These shards are another's, or nobody's: nothing is known of them any more. Outages that were told and never stored are
    /// for their next owner to take back.
    pub fn lose(&mut self, shards: &ShardSet) {
        self.forget(shards);
        self.answer_waiters();
    }

    fn forget(&mut self, shards: &ShardSet) {
        for api_id in self.in_shards(shards, |_| true) {
            let Some(entry) = self.ledger.forget(&api_id) else { continue };
            self.effects.extend(entry.delivered_unstored().map(|told| Effect::AskToWithdraw(Arc::clone(told))));
            self.delivery_queue.forget(&api_id, &self.channels);
            self.owing.remove(&api_id);
            self.given_up.remove(&api_id);
            self.unclear.forget(&api_id);
            self.own_side.open.remove(&api_id);
        }
        self.owned.remove(shards);
    }

    fn in_shards(&self, shards: &ShardSet, is_asked_for: impl Fn(&Entry) -> bool) -> Vec<ApiId> {
        self.of_those(|entry| shards.contains(&self.owned.shard(&entry.state.api_id)) && is_asked_for(entry))
    }

    /// The APIs of which that is true, in the order of their ids.
    pub(super) fn of_those(&self, is_asked_for: impl Fn(&Entry) -> bool) -> Vec<ApiId> {
        let entries = self.ledger.entries.iter();
        let mut found: Vec<ApiId> =
            entries.filter(|(_, entry)| is_asked_for(entry)).map(|(api_id, _)| api_id.clone()).collect();
        found.sort_unstable();
        found
    }
}
