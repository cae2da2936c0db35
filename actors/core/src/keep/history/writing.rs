//! What is written to history next, and what its answers mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::{HistoryQueue, HistorySetup, period_ms};
use crate::api::ApiId;
use crate::history::{HistoryItem, HistorySlot, Series, Story, UtcMonth};
use crate::keep::entry::Entry;
use crate::keep::{Effect, Keeper, Lease, LogEvent};
use crate::own::shards::{Shard, ShardSet};
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::store::StoreError;
use crate::time::{Monotonic, Timestamp};

/// A day is kept so long after its end; its month has it in short for ever.
const DAYS_KEPT: Duration = Duration::from_secs(62 * 86_400);

/// An incident is kept so long after its end.
const INCIDENTS_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// Reads, and batches of writes, under way at once.
const READS_MAX: usize = 4;
const WRITES_MAX: usize = 2;

/// Those whose turn it is are gathered for so long: each batch is a transaction, which takes more than an item does.
const TURNS_WITHIN: Duration = Duration::from_secs(5);

/// A process that stops, and a shard that is released, wait no longer for history than this.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// The story of an incident waits so long for the channels to take its end.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

impl HistoryQueue {
    /// Those whose turn came since the last call.
    fn whose_turn(&mut self, setup: &HistorySetup, now: Timestamp) -> Vec<ApiId> {
        let Some(before) = self.looked_at.filter(|before| *before <= now) else {
            self.looked_at = Some(now); // the first call, or a clock that was set back
            return Vec::new();
        };
        let passed = now.since(before);
        if passed < TURNS_WITHIN.min(setup.flush / 60) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        let period = period_ms(setup);
        let phase = |at: Timestamp| at.as_millis().rem_euclid(i64::try_from(period).unwrap_or(i64::MAX)).unsigned_abs();
        let (from, until) = (phase(before), phase(now));
        let of = |range: Range<u64>| {
            self.turns.range((range.start, None)..(range.end, None)).filter_map(|(_, id)| id.clone())
        };
        if passed.as_millis() >= u128::from(period) {
            of(0..u64::MAX).collect()
        } else if from <= until {
            of(from..until).collect()
        } else {
            of(from..u64::MAX).chain(of(0..until)).collect()
        }
    }
}

impl Keeper {
    /// Queues those whose turn it is, and stories that are complete, and writes what may be written.
    pub(in crate::keep) fn write_history(&mut self, now: Moment) {
        let Some(setup) = self.history.setup else { return };
        if self.history.waited_for_until.is_some_and(|until| until <= now.monotonic) {
            self.give_up_history(now);
        }
        for api_id in self.history.whose_turn(&setup, now.wall) {
            self.queue_history(&api_id);
            self.queue_month(&api_id, now.wall);
            self.note_waiting_for_history(&api_id);
        }
        if now.monotonic < self.history.paused_until {
            return self.pump_history(now);
        }
        for api_id in self.history.awaiting_history.clone() {
            if self.story_that_is_complete(&api_id, now.wall) {
                self.history.queue(&api_id);
            }
        }
        self.pump_history(now);
    }

    /// Queues the days of an API, if there is anything new in them.
    pub(super) fn queue_history(&mut self, api_id: &ApiId) {
        let recording = self.ledger.get(api_id).and_then(|entry| entry.recording.as_ref());
        if recording.is_some_and(|recording| recording.is_resumed && recording.recorder.is_unwritten()) {
            self.history.queue(api_id);
        }
    }

    fn story_that_is_complete(&self, api_id: &ApiId, now: Timestamp) -> bool {
        let Some(entry) = self.ledger.get(api_id).filter(|entry| entry.unstored_since().is_none()) else {
            return false;
        };
        entry.state.awaiting_history.iter().any(|story| is_complete(story, &entry.state, now) || self.shutting_down)
    }

    pub(super) fn pump_history(&mut self, now: Moment) {
        let Some(setup) = self.history.setup else { return };
        if self.lease != Lease::Valid || now.monotonic < self.history.paused_until {
            return;
        }
        while self.history.reads.len() < READS_MAX
            && let Some((api_id, wanted)) = self.history.to_read.pop_front()
        {
            let Some(entry) = self.ledger.get(&api_id) else { continue };
            let (slots, limit) = wanted.slots(&api_id, entry.alive_until, now.wall);
            let call = self.history.call_began();
            self.effects.push(Effect::ReadHistory { call, series: Series::Api(api_id.clone()), slots, limit });
            self.history.reads.insert(call, (api_id, wanted));
        }
        if self.history.to_read.is_empty() {
            self.history.to_read.shrink_to_fit(); // at the start all APIs are in it
        }
        while self.history.writes.len() < WRITES_MAX {
            let items = self.next_history(setup.batch_max.max(2), now);
            if items.is_empty() {
                break;
            }
            let call = self.history.call_began();
            let keys = items.iter().map(|item| (item.series.clone(), item.slot.clone())).collect();
            self.history.writes.insert(call, keys);
            self.effects.push(Effect::WriteHistory { call, items });
        }
    }

    /// The next batch.
    fn next_history(&mut self, batch_max: usize, now: Moment) -> Vec<HistoryItem> {
        let mut batch = Vec::new();
        loop {
            match self.history.groups.front() {
                Some(group) if batch.len() + group.len() > batch_max => return batch,
                Some(_) => batch.extend(self.history.groups.pop_front().unwrap_or_default()),
                None => match self.history.to_write.pop_front() {
                    Some(api_id) => self.group_history(&api_id, now),
                    None => return batch,
                },
            }
        }
    }

    /// Makes the items of an API. Its day goes with a story, so that both say the same.
    fn group_history(&mut self, api_id: &ApiId, now: Moment) {
        self.account_history(api_id, now);
        let (epoch, shutting_down) = (self.owned.epoch(api_id), self.shutting_down);
        let Some((entry, epoch)) = self.ledger.get_mut(api_id).zip(epoch) else {
            self.history.busy.remove(api_id);
            return;
        };
        let series = Series::Api(api_id.clone());
        let mut groups: Vec<Vec<HistoryItem>> = Vec::new();
        if let Some(recording) = entry.recording.as_mut().filter(|recording| recording.is_resumed) {
            for (day, bytes) in recording.recorder.items() {
                if recording.left_alone == Some(day) {
                    recording.recorder.stored(day);
                } else {
                    let kept_until = Some(day.ends_at().plus(DAYS_KEPT));
                    groups.push(vec![HistoryItem {
                        series: series.clone(),
                        slot: HistorySlot::Day(day),
                        epoch,
                        kept_until,
                        bytes,
                    }]);
                }
            }
        }
        let is_stored = entry.unstored_since().is_none();
        for story in entry.state.awaiting_history.iter().filter(|_| is_stored) {
            if shutting_down || is_complete(story, &entry.state, now.wall) {
                let slot = HistorySlot::Incident { started_at: story.began_at, api_id: api_id.clone() };
                let kept_until = Some(story.ended_at.plus(INCIDENTS_KEPT));
                let list = Series::Incidents(UtcMonth::of(story.began_at));
                let item = HistoryItem { series: series.clone(), slot, epoch, kept_until, bytes: story.encode() };
                groups.push(vec![HistoryItem { series: list, ..item.clone() }, item]);
            }
        }
        let count = groups.iter().map(Vec::len).sum();
        if count == 0 {
            self.history.busy.remove(api_id);
        } else {
            self.history.busy.insert(api_id.clone(), count);
            self.history.groups.extend(groups);
        }
    }

    /// The results of a batch, one for each item, in order.
    pub fn on_history_written(&mut self, call: u64, results: Vec<Result<(), StoreError>>, now: Moment) {
        let Some(keys) = self.history.writes.remove(&call) else { return };
        let missing = std::iter::repeat_with(|| Err(StoreError::Unavailable("history gave no answer".into())));
        let mut stories: BTreeMap<(ApiId, Timestamp), bool> = BTreeMap::new();
        let (mut error, mut is_any_stored, mut failed) = (None, false, BTreeSet::new());
        for ((series, slot), result) in keys.into_iter().zip(results.into_iter().chain(missing)) {
            let api_id = match (&series, &slot) {
                (Series::Api(api_id), _) | (_, HistorySlot::Incident { api_id, .. }) => api_id.clone(),
                _ => continue,
            };
            let is_stored = result.is_ok();
            is_any_stored |= is_stored;
            if let Err(why) = result {
                failed.insert(api_id.clone());
                error = Some(why);
            }
            if let Some(left) = self.history.busy.get_mut(&api_id) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.history.busy.remove(&api_id);
                }
            }
            let recording = self.ledger.get_mut(&api_id).and_then(|entry| entry.recording.as_mut());
            match (slot, recording) {
                (HistorySlot::Incident { started_at, .. }, _) => {
                    *stories.entry((api_id, started_at)).or_insert(true) &= is_stored;
                }
                (HistorySlot::Day(day), Some(recording)) if is_stored => recording.recorder.stored(day),
                (HistorySlot::Day(_), Some(recording)) => recording.recorder.not_stored(),
                (HistorySlot::Month(month), Some(recording)) if is_stored => recording.month_stored = Some(month),
                _ => {}
            }
        }
        for ((api_id, began_at), _) in stories.into_iter().filter(|(_, is_stored)| *is_stored) {
            self.story_stored(&api_id, began_at, now.monotonic);
        }
        match error {
            Some(error) if !is_any_stored => {
                failed.iter().for_each(|api_id| self.queue_history(api_id));
                self.history.pause(&error, now.monotonic, &mut self.log);
            }
            // One that fails among others waits for its next turn.
            Some(error) => {
                self.history.awaiting_history.retain(|api_id| !failed.contains(api_id));
                if let Some(lines_left_out) = self.history.failing.allow(now.monotonic) {
                    self.log.push(LogEvent::HistoryFailed { error: error.to_string(), lines_left_out });
                }
            }
            None => self.history.failures = 0,
        }
        self.pump_history(now);
        self.write_queued(now);
        self.answer_waiters();
    }

    /// History has it: its record need not keep it any longer. That may wait for the next checkpoint, since it would only be written again.
    fn story_stored(&mut self, api_id: &ApiId, began_at: Timestamp, now: Monotonic) {
        let Some(entry) = self.ledger.get_mut(api_id) else { return };
        entry.state.awaiting_history.retain(|story| story.began_at != began_at);
        entry.dirty = true;
        if entry.state.awaiting_history.is_empty() {
            self.history.awaiting_history.remove(api_id);
        }
        if self.flushing {
            self.ledger.queue(api_id);
        } else {
            self.ledger.write_at_checkpoint(api_id, now);
        }
    }

    /// The process stops, or these shards are released (`None`: all): their days are written now, for as long as is waited for it.
    pub(in crate::keep) fn flush_history(&mut self, shards: Option<&ShardSet>, now: Moment) {
        if self.history.setup.is_none() {
            return;
        }
        let is_meant = |shard: &Shard| shards.is_none_or(|shards| shards.contains(shard));
        let has_any = |entry: &Entry| entry.recording.is_some() || !entry.state.awaiting_history.is_empty();
        let ids = self.matching_ids(|entry| has_any(entry) && is_meant(&self.owned.shard(&entry.state.api_id)));
        for api_id in ids {
            self.account_history(&api_id, now);
            self.queue_history(&api_id);
            self.note_waiting_for_history(&api_id);
        }
        // A process that stops releases its shards after that, and has waited already.
        // While its store fails nobody waits: it would not be written in time.
        if (shards.is_none() || !self.shutting_down) && now.monotonic >= self.history.paused_until {
            self.history.waited_for_until = Some(now.monotonic.saturating_add(STOP_WITHIN));
        }
    }

    /// It took too long: nobody waits for it any longer.
    fn give_up_history(&mut self, now: Moment) {
        self.history.waited_for_until = None;
        if self.shutting_down {
            let lost =
                self.matching_ids(|entry| entry.recording.as_ref().is_some_and(|kept| kept.recorder.is_unwritten()));
            self.history.dropped += lost.len().max(self.history.busy.len()) as u64;
            self.note_dropped(0, now.monotonic);
        }
    }
}

/// Nobody is owed anything of it, or has not been for long.
fn is_complete(story: &Story, state: &ApiState, now: Timestamp) -> bool {
    let is_owed = state.owed.iter().any(|owed| owed.alert.incident_id == story.incident.incident_id);
    !is_owed || now.since(story.end_confirmed_at) >= DELIVERED_WITHIN
}
