//! What happens when a shard is gained or given up: its records are adopted and sealed, or stored and forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::{Effect, Grant, Keeper, Request};
use crate::api::ApiId;
use crate::delivery;
use crate::own::shards::{Shard, ShardSet};
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::time::Monotonic;

impl Keeper {
    /// This keeper owns these shards from now on, and these are the records in them; records of other shards are ignored.
    ///
    /// Where the last owner did not release a shard, one of its writes may still land. So each record is sealed: written once with
    /// the new epoch, those with owed alerts first, and its alerts go out after that.
    ///
    /// Where a record already has the epoch of a fresh grant, or a higher one, that grant is ignored. Returns the highest epoch in the
    /// records of each shard; 0: there is none.
    ///
    /// A shard that is owned already may be granted again with a higher epoch. It was not lost in between, so memory is newer than
    /// any record, and the shard is only sealed.
    pub fn gain_shards(&mut self, grants: &[Grant], states: Vec<ApiState>, now: Moment) -> BTreeMap<Shard, u64> {
        let mut highest_epochs: BTreeMap<Shard, u64> = grants.iter().map(|grant| (grant.shard, 0)).collect();
        for state in &states {
            if let Some(highest) = highest_epochs.get_mut(&self.owned.shard(&state.api_id)) {
                *highest = state.epoch.max(*highest);
            }
        }
        // Two reads may be under way, and end in any order.
        let is_good = |grant: &&Grant| highest_epochs[&grant.shard] < grant.epoch || !grant.fresh;
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
                self.adopt(state, (!clean).then_some(now.monotonic), now);
            }
        }
        self.ledger.rewrite(to_seal, now.monotonic);
        self.tick(now);
        highest_epochs
    }

    fn adopt(&mut self, state: ApiState, unsealed_since: Option<Monotonic>, now: Moment) {
        let api_id = state.api_id.clone();
        let alive_until = self.alive_until(&state);
        let mut entry = Entry::new(state, unsealed_since);
        entry.alive_until = alive_until;
        if delivery::assign_channels(&mut entry.state.owed, self.setup.routes.channels()) {
            let state = &mut entry.state;
            let begins = |incident: &str| state.owed.iter().find(|owed| owed.alert.incident_id == incident);
            if let Some(incident) = &mut state.incident
                && let Some(owed) = begins(&incident.incident_id)
            {
                incident.owed_to.clone_from(&owed.owed_to);
            }
            entry.mark_unsaved(None, now.monotonic);
        }
        if let (Some(probed), true) = (api_id.monitored_api(), entry.state.incident.is_some()) {
            self.given_up.insert(probed);
        }
        if entry.state.incident.is_some() {
            self.note_open(&api_id);
        }
        let has_to_be_stored = entry.is_unsaved();
        self.holds.note(&entry.state);
        self.ledger.put(entry);
        self.note_outbox(&api_id);
        if self.setup.resumes_backoff {
            self.resume_backoff(&api_id, now);
        }
        if has_to_be_stored {
            self.ledger.queue(&api_id);
        }
    }

    /// Releases these shards: nothing more is begun for them, and what is not stored is stored now. [`Request::ShardsReleased`] reports
    /// each as soon as it is done: a delivery in one of them may take long.
    pub fn release_shards(&mut self, shards: &ShardSet, now: Moment) {
        let unknown: ShardSet = shards.iter().filter(|shard| !self.owned.release(**shard)).copied().collect();
        if !unknown.is_empty() {
            self.effects.push(Effect::Request(Request::ShardsReleased(unknown)));
        }
        self.flush_releasing_shards();
        self.flush_history(Some(shards), now);
        self.tick(now);
    }

    /// Writes of shards that are being released wait for no checkpoint.
    pub(super) fn flush_releasing_shards(&mut self) {
        if self.owned.releasing().is_empty() {
            return;
        }
        for api_id in self.in_shards(self.owned.releasing(), Entry::is_unsaved) {
            self.ledger.queue(&api_id);
        }
    }

    /// Forgets the shards being released in which everything is stored and no delivery is in flight. Looking at each entry costs
    /// milliseconds with 50,000 of them, so this is not done after each answer of the store.
    pub(super) fn drop_released_shards(&mut self) {
        if self.owned.releasing().is_empty() {
            return;
        }
        let unsaved = self.in_shards(self.owned.releasing(), Entry::is_unsaved);
        let under_way = self.in_flight().chain(self.history.waited_for());
        let busy: ShardSet = unsaved.iter().chain(under_way).map(|api_id| self.owned.shard(api_id)).collect();
        let left: ShardSet = self.owned.releasing().difference(&busy).copied().collect();
        if !left.is_empty() {
            self.forget(&left);
            self.effects.push(Effect::Request(Request::ShardsReleased(left)));
        }
    }

    /// These shards are lost: forgets them. Outages that were sent and never stored are left to the next owner to withdraw.
    pub fn drop_shards(&mut self, shards: &ShardSet) {
        self.forget(shards);
        self.answer_waiters();
    }

    fn forget(&mut self, shards: &ShardSet) {
        for api_id in self.in_shards(shards, |_| true) {
            let Some(entry) = self.ledger.forget(&api_id) else { continue };
            let withdraw = |outage| Effect::Request(Request::Withdraw(Arc::clone(outage)));
            self.effects.extend(entry.delivered_unstored().map(withdraw));
            self.channels.iter_mut().for_each(|channel| channel.queue.forget(&api_id));
            self.with_outbox.remove(&api_id);
            self.given_up.remove(&api_id);
            self.unclear.forget(&api_id);
            self.holds.forget(&api_id);
            self.certificates.remove(&api_id);
            self.history.forget(&api_id);
            self.own_side.open.remove(&api_id);
        }
        self.owned.remove(shards);
    }

    fn in_shards(&self, shards: &ShardSet, matches: impl Fn(&Entry) -> bool) -> Vec<ApiId> {
        self.matching_ids(|entry| shards.contains(&self.owned.shard(&entry.state.api_id)) && matches(entry))
    }

    /// The APIs whose entry matches, in the order of their ids.
    pub(super) fn matching_ids(&self, matches: impl Fn(&Entry) -> bool) -> Vec<ApiId> {
        let entries = self.ledger.entries.iter();
        let mut ids: Vec<ApiId> =
            entries.filter(|(_, entry)| matches(entry)).map(|(api_id, _)| api_id.clone()).collect();
        ids.sort_unstable();
        ids
    }
}
