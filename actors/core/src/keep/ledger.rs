//! The ledger: the entries of all APIs, and the order in which they are written. One write of an API is under way at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::entry::{Entry, Writing};
use crate::api::ApiId;
use crate::decide::Decision;
use crate::state::ApiState;
use crate::status::Status;
use crate::store::StateWrite;
use crate::time::Monotonic;

/// Records rewritten in a second when the store has lost them or another worker owned them before. Other writes go between
/// them.
pub const REWRITES_PER_SECOND: usize = 500;

/// Checkpoint writes in a second. Where more APIs are watched, each write waits longer, so that the cost of the store does not grow
/// with their number.
const CHECKPOINTS_PER_SECOND: u32 = 200;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// On the heap: a map has up to twice the room that it needs.
    pub(super) entries: HashMap<ApiId, Box<Entry>>,
    checkpoint: Duration,
    /// To be written now, oldest first.
    queue: VecDeque<ApiId>,
    /// Those with [`Writing::AtCheckpoint`], soonest first.
    at_checkpoint: BTreeSet<(Monotonic, ApiId)>,
    /// Those with [`Writing::Waiting`].
    waiting: HashSet<ApiId>,
    /// Calls to the store without an answer, and when they began.
    calls: BTreeMap<u64, Monotonic>,
    next_call: u64,
    /// How often a record that had been stored was missing. Each time all records are written again.
    store_wipes: u32,
    /// APIs whose entries may have changed since [`Self::note_touched`]; `None`: nobody wants to know.
    touched: Option<Vec<ApiId>>,
}

/// Notes that an entry may be changed, where somebody wants to know.
fn touch(touched: &mut Option<Vec<ApiId>>, api_id: &ApiId, entry: &mut Entry) {
    if let Some(touched) = touched
        && !entry.is_touched
    {
        entry.is_touched = true;
        touched.push(api_id.clone());
    }
}

impl Ledger {
    pub(super) fn new(checkpoint: Duration) -> Self {
        Self { checkpoint, ..Self::default() }
    }

    pub(super) fn get(&self, api_id: &ApiId) -> Option<&Entry> {
        self.entries.get(api_id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, api_id: &ApiId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(api_id)?;
        touch(&mut self.touched, api_id, entry);
        Some(entry)
    }

    /// Begins to note which entries may change, or ends it. Returns those that were noted since the last call; `None`: none were noted, so
    /// that any may have changed.
    pub(super) fn note_touched(&mut self, is_wanted: bool) -> Option<Vec<ApiId>> {
        let touched = std::mem::replace(&mut self.touched, is_wanted.then(Vec::new));
        for api_id in touched.iter().flatten() {
            if let Some(entry) = self.entries.get_mut(api_id) {
                entry.is_touched = false;
            }
        }
        touched
    }

    /// The entry of an API; a new one if it was never stored.
    pub(super) fn entry(&mut self, api_id: &ApiId) -> &mut Entry {
        let new = || Entry::new(ApiState::unknown(api_id.clone()), None).into();
        let entry = self.entries.entry(api_id.clone()).or_insert_with(new);
        touch(&mut self.touched, api_id, entry);
        entry
    }

    /// Replaces the entry of an API. Changes in the old one are not written.
    pub(super) fn put(&mut self, mut entry: Entry) {
        let api_id = entry.state.api_id.clone();
        self.forget(&api_id);
        touch(&mut self.touched, &api_id, &mut entry);
        self.entries.insert(api_id, entry.into());
    }

    /// Applies a decision, and queues the write: at once, or at the checkpoint if it changed nothing that decides.
    pub(super) fn apply(&mut self, api_id: &ApiId, decision: Decision, now: Monotonic) {
        let must_store = decision.must_store();
        let entry = self.entry(api_id);
        if must_store {
            entry.mark_unsaved(decision.alert(), now);
        }
        entry.dirty = true;
        entry.state = decision.next;
        if must_store {
            self.queue(api_id);
        } else if entry.writing == Writing::Idle {
            self.write_at_checkpoint(api_id, now);
        }
    }

    /// Queues the write of an API. One that is under way, or waits for its next try, is followed by another.
    pub(super) fn queue(&mut self, api_id: &ApiId) {
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        match entry.writing {
            Writing::Idle => {}
            Writing::AtCheckpoint(due) => {
                self.at_checkpoint.remove(&(due, api_id.clone()));
            }
            Writing::Queued | Writing::InFlight(_) | Writing::Waiting(_) => return,
        }
        entry.writing = Writing::Queued;
        self.queue.push_back(api_id.clone());
    }

    /// Schedules a write that may wait, to a whole second, so that many share one commit.
    pub(super) fn write_at_checkpoint(&mut self, api_id: &ApiId, now: Monotonic) {
        self.write_within(api_id, self.checkpoint(), now);
    }

    /// How long a write may wait if nothing that decides changed.
    pub(super) fn checkpoint(&self) -> Duration {
        let entries = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.checkpoint.max(Duration::from_secs(u64::from(entries / CHECKPOINTS_PER_SECOND)))
    }

    pub(super) fn write_within(&mut self, api_id: &ApiId, span: Duration, now: Monotonic) {
        let due = Duration::from_secs(now.saturating_add(span).as_secs().saturating_add(1));
        if let Some(entry) = self.entries.get_mut(api_id)
            && entry.writing == Writing::Idle
        {
            entry.writing = Writing::AtCheckpoint(due);
            self.at_checkpoint.insert((due, api_id.clone()));
        }
    }

    /// After a write: queues another one if something has changed since.
    pub(super) fn queue_if_dirty(&mut self, api_id: &ApiId, now: Monotonic, flushing: bool) {
        let Some(entry) = self.entries.get(api_id) else { return };
        if !entry.dirty {
            return;
        }
        if flushing || entry.unstored_since().is_some() {
            self.queue(api_id);
        } else {
            self.write_at_checkpoint(api_id, now);
        }
    }

    /// Queues checkpoints that are due and failed writes whose backoff is over; everything, when flushing.
    pub(super) fn queue_due(&mut self, now: Monotonic, flushing: bool) {
        while self.at_checkpoint.first().is_some_and(|(due, _)| *due <= now || flushing) {
            if let Some((_, api_id)) = self.at_checkpoint.pop_first() {
                self.queue(&api_id);
            }
        }
        let (entries, queue) = (&mut self.entries, &mut self.queue);
        self.waiting.retain(|api_id| {
            let Some(entry) = entries.get_mut(api_id) else { return false };
            match entry.writing {
                Writing::Waiting(until) if until > now && !flushing => true,
                Writing::Waiting(_) => {
                    entry.writing = Writing::Queued;
                    queue.push_back(api_id.clone());
                    false
                }
                _ => false,
            }
        });
    }

    /// One record that can never be written must not look like a store that is down: another record is tried as well, even if it
    /// has no changes.
    pub(super) fn try_another(&mut self) {
        if !self.calls.is_empty() || !self.queue.is_empty() {
            return;
        }
        let other = self.at_checkpoint.first().map(|(_, api_id)| api_id.clone()).or_else(|| {
            let may_be_written = |api_id: &ApiId, entry: &Entry| {
                entry.writing == Writing::Idle
                    && entry.stored_version > 0
                    && (entry.is_watched() || api_id.is_self_monitoring())
            };
            let entries = self.waiting.is_empty().then_some(&self.entries)?;
            entries.iter().find(|(api_id, entry)| may_be_written(api_id, entry)).map(|(api_id, _)| api_id.clone())
        });
        if let Some(api_id) = other {
            self.queue(&api_id);
        }
    }

    /// The next writes, at most one batch, for the call that begins next.
    pub(super) fn next_batch(
        &mut self,
        batch_max: usize,
        epoch: impl Fn(&ApiId) -> Option<u64>,
        now: Monotonic,
    ) -> Vec<StateWrite> {
        let mut batch = Vec::with_capacity(batch_max.min(self.queue.len()));
        while batch.len() < batch_max
            && let Some(api_id) = self.queue.pop_front()
        {
            if let (Some(entry), Some(epoch)) = (self.entries.get_mut(&api_id), epoch(&api_id))
                && entry.writing == Writing::Queued
            {
                batch.push(entry.begin_write(epoch, self.next_call + 1, now));
            }
        }
        batch
    }

    /// A call to the store begins. Returns its number.
    pub(super) fn call_began(&mut self, now: Monotonic) -> u64 {
        self.next_call += 1;
        self.calls.insert(self.next_call, now);
        self.next_call
    }

    /// This API waits for the answer to that call.
    pub(super) fn mark_in_flight(&mut self, api_id: &ApiId, call: u64) {
        if let Some(entry) = self.entries.get_mut(api_id) {
            entry.writing = Writing::InFlight(call);
        }
    }

    /// Whether this API waits for the answer to that call. It does not if its shard was lost and gained again meanwhile.
    pub(super) fn is_awaiting(&self, api_id: &ApiId, call: u64) -> bool {
        self.entries.get(api_id).is_some_and(|entry| entry.writing == Writing::InFlight(call))
    }

    /// A call has its answer.
    pub(super) fn call_ended(&mut self, call: u64) {
        self.calls.remove(&call);
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// When the oldest call without an answer began.
    pub(super) fn oldest_call(&self) -> Option<Monotonic> {
        self.calls.values().min().copied()
    }

    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Records that wait for their next try.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The write is durable.
    pub(super) fn on_written(&mut self, api_id: &ApiId) {
        if let Some(entry) = self.entries.get_mut(api_id) {
            entry.on_written();
            entry.stored_after_wipes = self.store_wipes;
        }
    }

    /// The write failed, and is tried again after a while.
    pub(super) fn on_write_failed(&mut self, api_id: &ApiId, now: Monotonic, a_person_must_act: bool) {
        if let Some(entry) = self.entries.get_mut(api_id) {
            entry.on_write_failed(now, a_person_must_act);
            self.waiting.insert(api_id.clone());
        }
    }

    /// A record is missing that was stored. Perhaps all are, because the table was created again: so all are rewritten. Returns how
    /// many others there are; `None`: this record was not stored either, or is being rewritten already.
    pub(super) fn on_record_lost(&mut self, api_id: &ApiId, now: Monotonic) -> Option<usize> {
        let was_there = |entry: &Entry| entry.stored_version > 0 && entry.stored_after_wipes == self.store_wipes;
        if !self.get(api_id).is_some_and(was_there) {
            return None;
        }
        self.store_wipes += 1;
        let others: Vec<ApiId> =
            self.entries.iter().filter(|(_, e)| e.stored_version > 0).map(|(id, _)| id.clone()).collect();
        Some(self.rewrite(others, now))
    }

    /// Rewrites these at [`REWRITES_PER_SECOND`], those with owed alerts and outages first. Returns how many.
    pub(super) fn rewrite(&mut self, mut api_ids: Vec<ApiId>, now: Monotonic) -> usize {
        // A write that is queued or under way does the same.
        api_ids.retain(|api_id| {
            self.get(api_id).is_some_and(|e| matches!(e.writing, Writing::Idle | Writing::AtCheckpoint(_)))
        });
        let urgency = |entry: &Entry| {
            let is_quiet = entry.state.status != Status::Down && !entry.state.is_suspect();
            (entry.state.owed.is_empty(), is_quiet)
        };
        api_ids.sort_by_cached_key(|api_id| (self.get(api_id).map(urgency), api_id.clone()));
        for (number, api_id) in api_ids.iter().enumerate() {
            let Some(entry) = self.entries.get_mut(api_id) else { continue };
            if let Writing::AtCheckpoint(due) = std::mem::take(&mut entry.writing) {
                self.at_checkpoint.remove(&(due, api_id.clone()));
            }
            entry.dirty = true;
            if !entry.state.owed.is_empty() {
                self.queue(api_id);
            } else {
                self.write_within(api_id, Duration::from_secs((number / REWRITES_PER_SECOND) as u64), now);
            }
        }
        api_ids.len()
    }

    /// Forgets an API: it has another owner.
    pub(super) fn forget(&mut self, api_id: &ApiId) -> Option<Entry> {
        let mut entry = self.entries.remove(api_id)?;
        touch(&mut self.touched, api_id, &mut entry);
        if let Writing::AtCheckpoint(due) = entry.writing {
            self.at_checkpoint.remove(&(due, api_id.clone()));
        }
        self.waiting.remove(api_id);
        Some(*entry)
    }

    /// No write is due, scheduled or under way.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.queue.is_empty() && self.at_checkpoint.is_empty() && self.waiting.is_empty()
    }

    /// How many APIs have changes that are not in the store.
    pub(super) fn unsaved(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_unsaved()).count()
    }
}
