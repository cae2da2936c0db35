//! What is recorded for people, on its way to where history is kept: written each few minutes or hours, and never waited for.
//!
//! An incident that is over stays in the record of its API until history has it. All else may be lost, so what cannot be written in time
//! is dropped and counted. What an earlier process stored of the last days is read back once an API has been probed, and gone on from.

mod reading;
mod writing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::ops::Range;
use std::time::Duration;

use super::{Keeper, LogEvent};
use crate::api::{ApiConfig, ApiId};
use crate::decide::Decision;
use crate::history::story::{AWAITING_HISTORY_MAX, Story};
use crate::history::{HistoryItem, HistorySlot, Recorder, Series, UtcDay, UtcMonth};
use crate::maintenance;
use crate::outcome::Outcome;
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::status::Status;
use crate::store::StoreError;
use crate::throttle::LogThrottle;
use crate::time::{Monotonic, Timestamp};
use reading::Wanted;

/// The longest pause after a call that failed; the first takes a second, and each further one twice as long.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How history is written.
#[derive(Clone, Copy, Debug)]
pub struct HistorySetup {
    /// How often the days of each API are.
    pub flush: Duration,
    /// Items in one batch.
    pub batch_max: usize,
}

/// What is recorded of one API in memory.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    /// What an earlier process stored is taken in, so that nothing is written over it.
    is_resumed: bool,
    /// A newer version wrote this day, and it is left alone.
    left_alone: Option<UtcDay>,
    /// The last month that is known to be stored in short.
    month_stored: Option<UtcMonth>,
    /// The month before is being read.
    is_month_asked: bool,
}

/// The way of all APIs' history to the store.
#[derive(Clone, Debug, Default)]
pub(super) struct HistoryQueue {
    setup: Option<HistorySetup>,
    /// Some process watched until then, as the heartbeats say.
    alive_until: Option<Timestamp>,
    /// When in each period it is whose turn, in milliseconds: by the id, so that there is no herd.
    turns: BTreeSet<(u64, Option<ApiId>)>,
    looked_at: Option<Timestamp>,
    /// APIs with incidents that are over and not stored.
    awaiting_history: BTreeSet<ApiId>,
    to_read: VecDeque<(ApiId, Wanted)>,
    reads: HashMap<u64, (ApiId, Wanted)>,
    to_write: VecDeque<ApiId>,
    /// Items that are written together or not at all.
    groups: VecDeque<Vec<HistoryItem>>,
    writes: HashMap<u64, Vec<(Series, HistorySlot)>>,
    /// APIs that wait for their write, and how many of their items are not answered.
    busy: HashMap<ApiId, usize>,
    next_call: u64,
    failures: u32,
    paused_until: Monotonic,
    /// Whoever waits for history waits no longer than until then.
    waited_for_until: Option<Monotonic>,
    dropped: u64,
    failing: LogThrottle,
    dropping: LogThrottle,
}

impl HistoryQueue {
    pub(super) fn new(setup: Option<HistorySetup>) -> Self {
        Self { setup, ..Self::default() }
    }

    /// It has another owner.
    pub(super) fn forget(&mut self, api_id: &ApiId) {
        if let Some(turn) = self.turn(api_id) {
            self.turns.remove(&(turn, Some(api_id.clone())));
        }
        self.awaiting_history.remove(api_id);
        self.busy.remove(api_id);
    }

    fn turn(&self, api_id: &ApiId) -> Option<u64> {
        self.setup.map(|setup| api_id.stable_hash() % period_ms(&setup))
    }

    /// Whether somebody still waits for what is under way.
    pub(super) fn is_waited_for(&self) -> bool {
        let is_idle = self.busy.is_empty() && self.to_read.is_empty() && self.reads.is_empty();
        self.waited_for_until.is_some() && !is_idle
    }

    /// The APIs that are waited for.
    pub(super) fn waited_for(&self) -> impl Iterator<Item = &ApiId> {
        self.busy.keys().filter(|_| self.waited_for_until.is_some())
    }

    fn queue(&mut self, api_id: &ApiId) {
        if !self.busy.contains_key(api_id) {
            self.busy.insert(api_id.clone(), 0);
            self.to_write.push_back(api_id.clone());
        }
    }

    /// Some were not answered with success, and are tried again later.
    fn pause(&mut self, error: &StoreError, now: Monotonic, log: &mut Vec<LogEvent>) {
        let wait = match error {
            StoreError::Unavailable(_) => Duration::from_secs(1 << self.failures.min(6)).min(PAUSE_MAX),
            StoreError::Misconfigured { .. } => PAUSE_MAX,
        };
        self.failures = self.failures.saturating_add(1);
        self.paused_until = now.saturating_add(wait);
        if let Some(lines_left_out) = self.failing.allow(now) {
            log.push(LogEvent::HistoryFailed { error: error.to_string(), lines_left_out });
        }
    }

    fn call_began(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call
    }
}

fn period_ms(setup: &HistorySetup) -> u64 {
    u64::try_from(setup.flush.as_millis()).unwrap_or(u64::MAX).max(1_000)
}

impl Keeper {
    /// What the heartbeats say: some process watched until then.
    pub fn set_alive_until(&mut self, at: Option<Timestamp>) {
        self.history.alive_until = at;
    }

    /// Until when an API was watched by whoever did it before, as far as its record and the heartbeats say.
    pub(super) fn alive_until(&self, state: &ApiState) -> Option<Timestamp> {
        let last = state.last_probe.as_ref()?.at;
        let heartbeat = self.history.alive_until.filter(|_| state.status != Status::Unknown);
        Some(heartbeat.map_or(last, |heartbeat| heartbeat.max(last)))
    }

    /// Notes an outcome in the present day of its API.
    pub(super) fn note_history(&mut self, api: &ApiConfig, outcome: &Outcome, missed: u64, now: Moment) {
        let Some(setup) = self.history.setup else { return };
        let Some(entry) = self.ledger.get_mut(&api.api_id) else { return };
        let vouches = entry.late_after.map_or(Duration::ZERO, |late| late.saturating_sub(now.monotonic));
        let is_new = entry.recording.is_none();
        let (state, recording) = (&entry.state, &mut entry.recording);
        let recording = recording.get_or_insert_with(|| Box::new(Recording::new(outcome.started_at)));
        let dropped = recording.recorder.note(outcome, missed, now.wall.plus(vouches), &windows_of(Some(api), state));
        self.note_dropped(dropped, now.monotonic);
        if is_new {
            let turn = api.api_id.stable_hash() % period_ms(&setup);
            self.history.turns.insert((turn, Some(api.api_id.clone())));
            self.history.to_read.push_back((api.api_id.clone(), Wanted::Resume));
        }
    }

    /// Accounts for the time until now with what is known before it changes.
    pub(super) fn account_history(&mut self, api_id: &ApiId, now: Moment) {
        let Some(entry) = self.ledger.get_mut(api_id) else { return };
        let Some(recording) = &mut entry.recording else { return };
        let dropped = recording.recorder.account(now.wall, &windows_of(entry.api.as_deref(), &entry.state));
        self.note_dropped(dropped, now.monotonic);
    }

    /// It is watched no longer.
    pub(super) fn stop_recording(&mut self, api_id: &ApiId, now: Moment) {
        self.account_history(api_id, now);
        if let Some(recording) = self.ledger.get_mut(api_id).and_then(|entry| entry.recording.as_mut()) {
            recording.recorder.stop();
        }
    }

    fn note_dropped(&mut self, days: usize, now: Monotonic) {
        self.history.dropped += days as u64;
        if self.history.dropped > 0 && self.history.dropping.allow(now).is_some() {
            self.log.push(LogEvent::HistoryDropped { days: mem::take(&mut self.history.dropped) });
        }
    }

    /// If a decision ends an incident, its story goes into the same record.
    pub(super) fn note_for_history(&mut self, api_id: &ApiId, decision: &mut Decision, now: Moment) {
        if self.history.setup.is_none() || api_id.is_self_monitoring() {
            return;
        }
        let story = self.ledger.get(api_id).and_then(|entry| Story::of(&entry.state, &decision.next, now.wall));
        let Some(mut story) = story else { return };
        self.account_history(api_id, now);
        if let Some(recording) = self.ledger.get(api_id).and_then(|entry| entry.recording.as_ref()) {
            story.excluded_ms = recording.recorder.excluded_ms(&(story.began_at..story.ended_at));
        }
        let waiting = &mut decision.next.awaiting_history;
        waiting.push(story);
        if waiting.len() > AWAITING_HISTORY_MAX {
            let dropped = waiting.remove(0);
            let incident_id = dropped.incident.incident_id;
            self.log.push(LogEvent::IncidentDropped { api_id: api_id.clone(), incident_id });
        }
        self.history.awaiting_history.insert(api_id.clone());
    }

    /// Another record is known of this API.
    pub(super) fn note_waiting_for_history(&mut self, api_id: &ApiId) {
        let is_waiting = self.ledger.get(api_id).is_some_and(|entry| !entry.state.awaiting_history.is_empty());
        if is_waiting && self.history.setup.is_some() {
            self.history.awaiting_history.insert(api_id.clone());
        }
    }
}

impl Recording {
    fn new(at: Timestamp) -> Self {
        Self {
            recorder: Recorder::new(at),
            is_resumed: false,
            left_alone: None,
            month_stored: None,
            is_month_asked: false,
        }
    }
}

/// The windows of maintenance of an API before the end of a stretch.
fn windows_of<'a>(
    api: Option<&'a ApiConfig>,
    state: &'a ApiState,
) -> impl Fn(Range<Timestamp>) -> Vec<Range<Timestamp>> + 'a {
    move |part| {
        let configured = api.map_or(&[][..], |api| &api.alerting.maintenance);
        if configured.is_empty() && state.maintenance.is_none() {
            return Vec::new();
        }
        maintenance::last_open(configured, state.maintenance.as_deref(), part.end)
    }
}
