//! Writing: what is written when, what happens to a write that fails.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::{ApiId, Status, Timestamp};
use tokio::time::Instant;

use super::StateKeeper;
use super::entry::{Decider, Entry, Rebased, Writing};
use super::seldom::Seldom;
use crate::ports::{CommitError, StateWrite, StoreError, StoredState};
use crate::retry::{RetryPolicy, Waits};

/// A call that has no answer for this long counts as failed already, whatever comes of it: DynamoDB's are cut before.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A store that has taken no write for this long is gone: that is told, once.
pub const STORE_GONE_AFTER: Duration = Duration::from_secs(30);

/// Records that are written again in a second when the store has lost them. Other writes go between them.
const ANEW_PER_SECOND: usize = 500;

/// Lines of the log about the store that would otherwise come with each write.
#[derive(Debug, Default)]
pub(super) struct Lines {
    trouble: Seldom,
    one_record: Seldom,
    somebody_else: Seldom,
}

/// The store does not take writes just now.
#[derive(Debug)]
pub(super) struct Trouble {
    since: Instant,
    since_wall: Timestamp,
    waits: Waits,
    not_before: Instant,
    error: String,
    /// Writes of states fail, and not heartbeats alone.
    is_of_states: bool,
    /// It stands in the log.
    is_said: bool,
    /// It was told through the channels.
    is_told: bool,
}

impl Trouble {
    /// What to tell, and since when it has been so, if it is time and was not told yet.
    pub(super) fn take_what_to_tell(&mut self) -> Option<(String, Timestamp)> {
        if self.is_told || self.since.elapsed() < STORE_GONE_AFTER {
            return None;
        }
        self.is_told = true;
        Some((format!("it takes no writes: {}", self.error), self.since_wall))
    }
}

impl StateKeeper {
    /// Puts an API into the queue, unless its write is under way: then it is queued again when that has an answer.
    pub(super) fn queue_write(&mut self, api_id: &ApiId) {
        if let Some(entry) = self.entries.get_mut(api_id)
            && matches!(entry.writing, Writing::Idle | Writing::Lazy(_))
        {
            if let Writing::Lazy(due) = entry.writing {
                self.lazy.remove(&(due, api_id.clone()));
            }
            entry.writing = Writing::Queued;
            self.queue.push_back(api_id.clone());
        }
    }

    /// Only figures moved: the write may wait, and waits for the next whole second, so that many share one commit.
    pub(super) fn write_at_checkpoint(&mut self, api_id: &ApiId) {
        self.write_within(api_id, self.checkpoint);
    }

    fn write_within(&mut self, api_id: &ApiId, span: Duration) {
        let due = self.began + Duration::from_secs((self.began.elapsed() + span).as_secs() + 1);
        if let Some(entry) = self.entries.get_mut(api_id)
            && entry.writing == Writing::Idle
        {
            entry.writing = Writing::Lazy(due);
            self.lazy.insert((due, api_id.clone()));
        }
    }

    /// Queues checkpoints that are due and failed writes whose wait is over; everything, when in a hurry.
    pub(super) fn queue_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some((due, api_id)) = self.lazy.first()
            && (*due <= now || self.hurry)
        {
            let api_id = api_id.clone();
            self.queue_write(&api_id);
        }
        let idle = self.calls.is_empty() && self.queue.is_empty();
        if idle && self.store_trouble.as_ref().is_some_and(|trouble| trouble.not_before <= now) {
            self.try_another();
        }
        // A process that is about to end asks at every look: there may be none after this one.
        let (entries, queue, hurry) = (&mut self.entries, &mut self.queue, self.hurry);
        self.waiting.retain(|api_id| {
            let Some(entry) = entries.get_mut(api_id) else { return false };
            match entry.writing {
                Writing::Waiting(until) if until > now && !hurry => true,
                Writing::Waiting(_) => {
                    entry.writing = Writing::Queued;
                    queue.push_back(api_id.clone());
                    false
                }
                _ => false,
            }
        });
    }

    /// A record that can never be written, a heartbeat among them, must not pass for a dead store: another one is tried
    /// beside it, as it is if nothing has to be written.
    fn try_another(&mut self) {
        let other = self.lazy.first().map(|(_, api_id)| api_id.clone()).or_else(|| {
            let may_be_written = |(api_id, entry): &(&ApiId, &Entry)| {
                entry.writing == Writing::Idle && entry.state.version > 0 && (entry.watched || api_id.is_own())
            };
            let entries = self.waiting.is_empty().then_some(&self.entries)?;
            entries.iter().find(may_be_written).map(|(api_id, _)| api_id.clone())
        });
        if let Some(api_id) = other {
            self.queue_write(&api_id);
        }
    }

    /// Sends as many batches as the store takes at once.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let limits = self.store.limits();
        if !self.hurry && self.store_trouble.as_ref().is_some_and(|trouble| trouble.not_before > Instant::now()) {
            return;
        }
        while self.calls.len() < limits.batches_in_flight_max && !self.queue.is_empty() {
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

    fn call_began(&mut self) -> u64 {
        self.next_call += 1;
        self.calls.insert(self.next_call, Instant::now());
        self.next_call
    }

    /// A store that gives no answer takes no writes, even if it never says so.
    pub(super) fn notice_a_store_that_hangs(&mut self) {
        let no_answer = |since: Instant, name: &str| {
            let seconds = since.elapsed().as_secs();
            StoreError::Unavailable(format!("{name} has given no answer for {seconds} s"))
        };
        let hangs = |since: &Instant| since.elapsed() >= ANSWER_MAX;
        if let Some(oldest) = self.calls.values().min().copied().filter(hangs) {
            self.trouble(&no_answer(oldest, &self.store_name));
        } else if let Some(since) = self.heartbeats.under_way_since().filter(hangs) {
            self.beat_failed(since, &no_answer(since, &self.store_name));
        }
    }

    fn send(&mut self, batch: Vec<StateWrite>, ctx: &mut Context<Self>) {
        let call = self.call_began();
        let store = std::sync::Arc::clone(&self.store);
        let commit = async move {
            let ids: Vec<ApiId> = batch.iter().map(|state| state.api_id.clone()).collect();
            let results = store.commit(batch).await;
            (ids, results)
        };
        ctx.spawn(commit.into_actor(self).map(move |(ids, results), keeper, ctx| {
            keeper.calls.remove(&call);
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
        self.store_is_well();
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        entry.stored();
        entry.stored_in = self.generation;
        self.write_what_is_left(api_id);
        self.offer(api_id, ctx);
    }

    /// A write went through, or was refused for what is in the store.
    fn store_is_well(&mut self) {
        self.stored_at = Some(Instant::now());
        self.trouble_is_over();
    }

    fn trouble_is_over(&mut self) {
        let now = Instant::now();
        if let Some(trouble) = self.store_trouble.take()
            && trouble.is_said
        {
            let seconds = now.duration_since(trouble.since).as_secs();
            tracing::info!(seconds, "the store takes writes again");
        }
        if std::mem::take(&mut self.is_told_gone) {
            self.tell_that_the_store_is_back();
        }
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
            if let Some(lines_left_out) = self.lines.one_record.say(now) {
                tracing::warn!(%error, %api_id, lines_left_out, "one record was not written, and others were; it is tried again");
            }
            return;
        }
        self.trouble(error);
    }

    /// The store takes no writes just now.
    fn trouble(&mut self, error: &StoreError) {
        self.note_trouble(error, true);
    }

    /// A heartbeat that was sent then was not taken. Where checkpoints are far apart nothing else may be written for long, so
    /// that is trouble, unless states were written meanwhile. [`Self::try_another`] soon says whether it is the heartbeat alone.
    pub(super) fn beat_failed(&mut self, sent: Instant, error: &StoreError) {
        if self.stored_at.is_none_or(|at| at < sent) {
            self.note_trouble(error, false);
        }
    }

    /// A heartbeat was taken. That says nothing where writes of states fail: it goes over whatever is there, and is small.
    pub(super) fn beat_taken(&mut self) {
        if self.store_trouble.as_ref().is_none_or(|trouble| !trouble.is_of_states) {
            self.trouble_is_over();
        }
    }

    fn note_trouble(&mut self, error: &StoreError, is_of_states: bool) {
        // The first heartbeat that fails has its own line; whether it is the store is not known yet.
        let is_certain = is_of_states || self.store_trouble.is_some();
        let now = Instant::now();
        let waiting = self.waiting.len();
        let since_wall = self.time.wall();
        let trouble = self.store_trouble.get_or_insert_with(|| {
            let waits = Waits::new(RetryPolicy::STORE);
            Trouble {
                since: now,
                since_wall,
                waits,
                not_before: now,
                error: String::new(),
                is_of_states,
                is_said: false,
                is_told: false,
            }
        });
        trouble.error = error.to_string();
        trouble.is_of_states |= is_of_states;
        // Under throttling it comes and goes many times in a second.
        if is_certain && let Some(lines_left_out) = self.lines.trouble.say(now) {
            let seconds = now.duration_since(trouble.since).as_secs();
            if trouble.is_said {
                tracing::error!(%error, seconds, waiting, "the store still does not take writes");
            } else {
                tracing::error!(%error, lines_left_out, "the store does not take writes; probing goes on, changes wait in memory");
            }
            trouble.is_said = true;
        }
        // Heartbeats have their own pace, and hold up no write.
        if is_of_states && trouble.not_before <= now {
            trouble.not_before = now + trouble.waits.next_wait();
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
        let call = self.call_began();
        let store = std::sync::Arc::clone(&self.store);
        let load = async move {
            let mut loaded = store.load(api_id.clone()).await;
            let is_gone = matches!(loaded, Ok(None));
            if let Ok(Some(Err(record))) = &loaded
                && !record.is_newer
            {
                let why = record.why.clone();
                loaded = store.set_aside(record.clone()).await.map(|()| None);
                // Where that failed, the trouble of the store is told, and it is tried again.
                if loaded.is_ok() {
                    tracing::error!(%api_id, why, "the stored record of this API is damaged; it is set aside");
                }
            }
            (api_id, loaded, is_gone)
        };
        ctx.spawn(load.into_actor(self).map(move |(api_id, loaded, is_gone), keeper, ctx| {
            keeper.calls.remove(&call);
            if loaded.is_ok() {
                keeper.store_is_well();
            }
            if is_gone {
                keeper.notice_a_store_that_was_emptied(&api_id);
            }
            match loaded {
                Ok(Some(Err(record))) => keeper.leave_alone(&api_id, &record.why),
                Ok(stored) => keeper.rebase(&api_id, stored, ctx),
                Err(error) => keeper.failed(&api_id, &error),
            }
            keeper.pump(ctx);
            keeper.tell_idle_waiters();
        }));
    }

    /// A record is gone that was there. Perhaps all are, in a table that was made anew: each is written again, those first
    /// that say more than that all is well, so that a restart forgets nothing. What was stored since then and is gone again
    /// begins this anew.
    fn notice_a_store_that_was_emptied(&mut self, api_id: &ApiId) {
        let was_there = |entry: &Entry| entry.state.version > 0 && entry.stored_in == self.generation;
        if !self.entries.get(api_id).is_some_and(was_there) {
            return;
        }
        self.generation += 1;
        let mut others: Vec<(bool, ApiId, Option<Instant>)> = Vec::new();
        for (other_id, entry) in &mut self.entries {
            let lazy = match entry.writing {
                Writing::Idle => None,
                Writing::Lazy(due) => Some(due),
                // It finds out by itself.
                Writing::Queued | Writing::InFlight | Writing::Waiting(_) => continue,
            };
            if entry.state.version > 0 {
                entry.writing = Writing::Idle;
                entry.dirty = true;
                let is_quiet =
                    entry.state.status == Status::Up && entry.state.owed.is_empty() && !entry.state.is_suspect();
                others.push((is_quiet, other_id.clone(), lazy));
            }
        }
        others.sort_unstable();
        tracing::warn!(%api_id, others = others.len(), "a stored record is gone; the others are written anew, in case they are gone as well");
        for (number, (_, other_id, lazy)) in others.into_iter().enumerate() {
            if let Some(due) = lazy {
                self.lazy.remove(&(due, other_id.clone()));
            }
            self.write_within(&other_id, Duration::from_secs((number / ANEW_PER_SECOND) as u64));
        }
    }

    fn rebase(&mut self, api_id: &ApiId, stored: Option<StoredState>, ctx: &mut Context<Self>) {
        let by = Decider { instance: &self.instance, channels: &self.channel_names, now: self.time.wall() };
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        let mut rebased = Rebased::DecidedAgain;
        if let Some(Ok(stored)) = stored {
            rebased = entry.rebase(&stored, by);
            if rebased == Rebased::WasOurs {
                tracing::debug!(%api_id, "the answer to a write was lost; the write was not");
            } else if let Some(lines_left_out) = self.lines.somebody_else.say(Instant::now()) {
                let version = entry.state.version;
                tracing::warn!(%api_id, version, lines_left_out, "somebody else wrote this record; what is not stored yet was decided again on top of it. If this repeats, another api-health runs on this store: nothing is lost or told twice, but each of them probes every API; stop one, unless two are meant");
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
        self.forget_waits(api_id);
        match rebased {
            Rebased::WasOurs => self.write_what_is_left(api_id),
            Rebased::TakenOver => {}
            Rebased::DecidedAgain => self.queue_write(api_id),
        }
        self.offer(api_id, ctx);
    }
}

#[cfg(test)]
mod tests;
