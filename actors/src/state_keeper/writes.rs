//! Writing: what is written when, what happens to a write that fails.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::{ApiId, Timestamp};
use tokio::time::Instant;

use super::StateKeeper;
use super::entry::{Decider, Writing};
use crate::ports::{CommitError, StateWrite, StoreError, StoredState};
use crate::retry::{RetryPolicy, Waits};

/// A store that has taken no write for this long is gone: that is told, once.
pub const STORE_GONE_AFTER: Duration = Duration::from_secs(30);

/// The store does not take writes just now.
#[derive(Debug)]
pub(super) struct Trouble {
    since: Instant,
    since_wall: Timestamp,
    waits: Waits,
    not_before: Instant,
    last_said: Instant,
    error: String,
    is_told: bool,
}

impl Trouble {
    /// What to tell, and since when it has been so, if it is time and was not told yet.
    pub(super) fn to_be_told(&mut self) -> Option<(String, Timestamp)> {
        if self.is_told || self.since.elapsed() < STORE_GONE_AFTER {
            return None;
        }
        self.is_told = true;
        Some((format!("it takes no writes: {}", self.error), self.since_wall))
    }
}

/// While the trouble lasts it is said again this often.
const SAY_EVERY: Duration = Duration::from_secs(60);

impl StateKeeper {
    /// Puts an API into the queue, unless its write is under way: then it is queued again when that has an answer.
    pub(super) fn queue_write(&mut self, api_id: &ApiId) {
        if let Some(entry) = self.entries.get_mut(api_id)
            && matches!(entry.writing, Writing::Idle | Writing::Lazy(_))
        {
            entry.writing = Writing::Queued;
            self.queue.push_back(api_id.clone());
        }
    }

    /// Only figures moved: the write may wait, and waits for the next whole second, so that many share one commit.
    pub(super) fn write_at_checkpoint(&mut self, api_id: &ApiId) {
        let due = self.began + Duration::from_secs((self.began.elapsed() + self.checkpoint).as_secs() + 1);
        if let Some(entry) = self.entries.get_mut(api_id)
            && entry.writing == Writing::Idle
        {
            entry.writing = Writing::Lazy(due);
            self.lazy.push_back((due, api_id.clone()));
        }
    }

    /// Queues checkpoints that are due and failed writes whose wait is over; everything, when in a hurry.
    pub(super) fn queue_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some((due, _)) = self.lazy.front()
            && (*due <= now || self.hurry)
        {
            let Some((due, api_id)) = self.lazy.pop_front() else { break };
            if self.entries.get(&api_id).is_some_and(|entry| entry.writing == Writing::Lazy(due)) {
                self.queue_write(&api_id);
            }
        }
        let entries = &mut self.entries;
        let queue = &mut self.queue;
        self.waiting.retain(|api_id| {
            let Some(entry) = entries.get_mut(api_id) else { return false };
            match entry.writing {
                Writing::Waiting(until) if until > now => true,
                Writing::Waiting(_) => {
                    entry.writing = Writing::Queued;
                    queue.push_back(api_id.clone());
                    false
                }
                _ => false,
            }
        });
    }

    /// Sends as many batches as the store takes at once.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let limits = self.store.limits();
        if self.store_trouble.as_ref().is_some_and(|trouble| trouble.not_before > Instant::now()) {
            return;
        }
        while self.batches_in_flight < limits.batches_in_flight_max && !self.queue.is_empty() {
            let mut batch = Vec::with_capacity(limits.batch_max.min(self.queue.len()));
            while batch.len() < limits.batch_max
                && let Some(api_id) = self.queue.pop_front()
            {
                if let Some(entry) = self.entries.get_mut(&api_id)
                    && entry.writing == Writing::Queued
                {
                    batch.push(entry.begin_write(Instant::now()));
                }
            }
            if !batch.is_empty() {
                self.send(batch, ctx);
            }
        }
    }

    fn send(&mut self, batch: Vec<StateWrite>, ctx: &mut Context<Self>) {
        self.batches_in_flight += 1;
        let store = std::sync::Arc::clone(&self.store);
        let commit = async move {
            let ids: Vec<ApiId> = batch.iter().map(|state| state.api_id.clone()).collect();
            let results = store.commit(batch).await;
            (ids, results)
        };
        ctx.spawn(commit.into_actor(self).map(|(ids, results), keeper, ctx| {
            keeper.batches_in_flight -= 1;
            keeper.committed(ids, results, ctx);
        }));
    }

    fn committed(&mut self, ids: Vec<ApiId>, results: Vec<Result<(), CommitError>>, ctx: &mut Context<Self>) {
        // A store that answers for fewer writes than it was given has not done the others.
        let missing = || Err(CommitError::Store(StoreError::Unavailable("the store gave no answer".into())));
        let results = results.into_iter().chain(std::iter::repeat_with(missing));
        for (api_id, result) in ids.into_iter().zip(results) {
            match result {
                Ok(()) => self.stored(&api_id, ctx),
                Err(CommitError::Conflict) => self.reload(api_id, ctx),
                Err(CommitError::Store(error)) => self.failed(&api_id, &error),
            }
        }
        self.pump(ctx);
        self.tell_idle_waiters();
    }

    fn stored(&mut self, api_id: &ApiId, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some(trouble) = self.store_trouble.take() {
            let seconds = now.duration_since(trouble.since).as_secs();
            tracing::info!(seconds, "the store takes writes again");
        }
        if std::mem::take(&mut self.is_told_gone) {
            self.tell_that_the_store_is_back();
        }
        self.stored_at = Some(now);
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        entry.stored(now);
        self.write_what_is_left(api_id);
        self.offer(api_id, ctx);
    }

    fn write_what_is_left(&mut self, api_id: &ApiId) {
        let Some(entry) = self.entries.get(api_id) else { return };
        if !entry.changes.is_empty() || (entry.dirty && self.hurry) {
            self.queue_write(api_id);
        } else if entry.dirty {
            self.write_at_checkpoint(api_id);
        }
    }

    fn failed(&mut self, api_id: &ApiId, error: &StoreError) {
        let now = Instant::now();
        let a_person_must_act = matches!(error, StoreError::Misconfigured { .. });
        let mut is_its_own_fault = false;
        if let Some(entry) = self.entries.get_mut(api_id) {
            entry.failed(now, a_person_must_act);
            self.waiting.insert(api_id.clone());
            // Others went through meanwhile: then it is this record, and not the store.
            let began = entry.attempt.as_ref().map(|attempt| attempt.since);
            is_its_own_fault = self.store_trouble.is_none() && began < self.stored_at;
        }
        if is_its_own_fault {
            tracing::warn!(%error, %api_id, "one record was not written; it is tried again");
            return;
        }
        let waiting = self.waiting.len();
        let since_wall = self.time.wall();
        let trouble = self.store_trouble.get_or_insert_with(|| {
            tracing::error!(%error, %api_id, "the store does not take writes; probing goes on, changes wait in memory");
            let waits = Waits::new(RetryPolicy::STORE);
            let error = String::new();
            Trouble { since: now, since_wall, waits, not_before: now, last_said: now, error, is_told: false }
        });
        trouble.error = error.to_string();
        if trouble.not_before <= now {
            trouble.not_before = now + trouble.waits.next_wait();
        }
        if now.duration_since(trouble.last_said) >= SAY_EVERY {
            trouble.last_said = now;
            let seconds = now.duration_since(trouble.since).as_secs();
            tracing::error!(%error, seconds, waiting, "the store still does not take writes");
        }
    }

    /// A newer version wrote this record: nothing is written over it. It is looked at again, slowly, and holds up no other.
    fn leave_alone(&mut self, api_id: &ApiId, why: &str) {
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        if entry.waits.is_none() {
            tracing::error!(%api_id, why, "the stored record of this API cannot be read, and nothing is written over it; run the version that wrote it, or delete it");
        }
        entry.failed(Instant::now(), true);
        self.waiting.insert(api_id.clone());
    }

    /// The stored record has another version than expected: read it and decide again on top of it. A damaged one is set
    /// aside first, and what is known here is written anew.
    fn reload(&mut self, api_id: ApiId, ctx: &mut Context<Self>) {
        let store = std::sync::Arc::clone(&self.store);
        let load = async move {
            let mut loaded = store.load(api_id.clone()).await;
            if let Ok(Some(Err(record))) = &loaded
                && !record.is_newer
            {
                tracing::error!(%api_id, why = record.why, "the stored record of this API is damaged; it is set aside");
                loaded = store.set_aside(record.clone()).await.map(|()| None);
            }
            (api_id, loaded)
        };
        ctx.spawn(load.into_actor(self).map(|(api_id, loaded), keeper, ctx| {
            match loaded {
                Ok(Some(Err(record))) => keeper.leave_alone(&api_id, &record.why),
                Ok(stored) => keeper.rebase(&api_id, stored, ctx),
                Err(error) => keeper.failed(&api_id, &error),
            }
            keeper.pump(ctx);
            keeper.tell_idle_waiters();
        }));
    }

    fn rebase(&mut self, api_id: &ApiId, stored: Option<StoredState>, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        let by = Decider { instance: &self.instance, channels: &self.channel_names };
        let mut was_ours = false;
        if let Some(Ok(stored)) = stored {
            was_ours = entry.rebase(stored, by, Instant::now());
            if was_ours {
                tracing::debug!(%api_id, "the answer to a write was lost; the write was not");
            } else {
                tracing::warn!(%api_id, version = entry.state.version, "somebody else wrote this record; decided again on top of it. If this repeats, another api-health runs on this store");
            }
        } else {
            if entry.state.version > 0 {
                tracing::warn!(%api_id, "the stored record of this API is gone; it is written again");
            }
            entry.record_is_gone();
        }
        if entry.state.owed.is_empty() {
            self.owing.remove(api_id);
        } else {
            self.owing.insert(api_id.clone());
        }
        if was_ours {
            self.write_what_is_left(api_id);
        } else {
            self.queue_write(api_id);
        }
        self.offer(api_id, ctx);
    }
}
