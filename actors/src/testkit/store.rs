//! A store in memory that can be made to fail in the ways in which stores fail.

mod answers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::{ApiId, ApiState, Heartbeat};

use super::stage::{Event, Stage};
use super::{VirtualClock, lock, misconfigured, unavailable};
use crate::ports::{CommitError, StateWrite, UnreadableState};

/// How the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreFault {
    #[default]
    None,
    /// It refuses at once.
    Unavailable,
    /// It never answers.
    Hangs,
    /// It writes, and the answer is lost.
    AnswerLost,
    /// A person must act.
    Misconfigured,
    /// It answers after up to 8 s.
    Dawdles,
    /// It works, and each call takes this long.
    Slow(Duration),
    /// It takes every other write of a batch, and one batch of one out of two.
    Throttled,
    /// Nothing for up to 20 s, the time that an adapter allows itself, and then an error; half of the writes are done.
    HangsForAWhile,
    /// Each write on its own: done, done with the answer lost, or failed.
    Flaky,
    /// The next batch is written, and then it panics; from then on it works.
    PanicsOnce,
}

#[derive(Clone)]
pub struct MemoryStore {
    stage: Stage,
    inner: Arc<Mutex<Inner>>,
    line: Arc<Mutex<Line>>,
}

/// What one process reaches it by.
#[derive(Default)]
struct Line {
    fault: StoreFault,
    holds_writes: bool,
    delayed: Vec<StateWrite>,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<ApiId, Arc<ApiState>>,
    fault: StoreFault,
    latency_ms_max: u64,
    writes: usize,
    /// Writes that it was asked for.
    asked: usize,
    /// APIs whose record it never takes.
    refused: BTreeSet<ApiId>,
    heartbeat: Option<Heartbeat>,
    heartbeats: usize,
    /// Heartbeats that it was asked for.
    heartbeats_asked: usize,
    /// How it fails for heartbeats alone.
    heartbeat_fault: Option<StoreFault>,
    /// Records that cannot be read, in the place of those that can.
    unreadable: BTreeMap<ApiId, UnreadableState>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::on(Stage::new(VirtualClock::suspended(), 0))
    }
}

impl MemoryStore {
    /// An empty store that works.
    pub fn on(stage: Stage) -> Self {
        Self { stage, inner: Arc::default(), line: Arc::default() }
    }

    /// The same store as another process reaches it.
    #[must_use]
    pub fn line(&self, stage: Stage) -> Self {
        Self { stage, inner: Arc::clone(&self.inner), line: Arc::default() }
    }

    /// This process alone meets that from now on.
    pub fn set_line_fault(&self, fault: StoreFault) {
        lock(&self.line).fault = fault;
    }

    /// Writes of this process are delayed on their way from now on, and have no answer; or no more are.
    pub fn delay_writes(&self, holds_writes: bool) {
        lock(&self.line).holds_writes = holds_writes;
    }

    /// Writes that were delayed arrive now, whether or not the process still lives.
    pub fn deliver(&self) {
        let delayed = std::mem::take(&mut lock(&self.line).delayed);
        for write in delayed {
            if lock(&self.inner).write(&write).is_ok() {
                self.stage.record(Event::Written { record: write.state, said: false });
            }
        }
    }

    pub fn set_fault(&self, fault: StoreFault) {
        lock(&self.inner).fault = fault;
    }

    /// Each call takes up to this long from now on.
    pub fn set_latency(&self, millis_max: u64) {
        lock(&self.inner).latency_ms_max = millis_max;
    }

    /// What is stored of an API.
    pub fn record(&self, id: &str) -> Option<ApiState> {
        lock(&self.inner).records.get(id).map(|record| (**record).clone())
    }

    /// The last heartbeat.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        lock(&self.inner).heartbeat.clone()
    }

    /// Heartbeats that were written.
    pub fn heartbeats(&self) -> usize {
        lock(&self.inner).heartbeats
    }

    /// Heartbeats that it was asked for, whatever came of them.
    pub fn heartbeats_asked(&self) -> usize {
        lock(&self.inner).heartbeats_asked
    }

    /// Heartbeats meet this fault from now on, whatever the others meet; `None`: the same as they.
    pub fn set_heartbeat_fault(&self, fault: Option<StoreFault>) {
        lock(&self.inner).heartbeat_fault = fault;
    }

    /// Deletes all records and the heartbeat, as a table that was made again has none.
    pub fn empty(&self) {
        lock(&self.inner).heartbeat = None;
        let ids: Vec<ApiId> = lock(&self.inner).records.keys().cloned().collect();
        ids.iter().for_each(|api_id| self.delete(api_id));
    }

    /// Writes as somebody else would: over whatever is there.
    pub fn overwrite(&self, state: ApiState) {
        let record = Arc::new(state);
        lock(&self.inner).records.insert(record.api_id.clone(), Arc::clone(&record));
        self.stage.note(Event::Overwritten { record });
    }

    /// Deletes a record as somebody else would.
    pub fn delete(&self, api_id: &ApiId) {
        if lock(&self.inner).records.remove(api_id).is_some() {
            self.stage.note(Event::Deleted { api_id: api_id.clone() });
        }
    }

    /// Never takes the record of this API from now on.
    pub fn refuse(&self, api_id: ApiId) {
        lock(&self.inner).refused.insert(api_id);
    }

    /// Makes the record of an API unreadable: damaged, or written by a newer version.
    pub fn damage(&self, api_id: &ApiId, is_newer: bool) {
        let why = "planted".into();
        let record = UnreadableState { api_id: api_id.to_string(), why, is_newer };
        lock(&self.inner).unreadable.insert(api_id.clone(), record);
    }

    /// Writes that it was asked for, whatever came of them.
    pub fn asked(&self) -> usize {
        lock(&self.inner).asked
    }

    /// Writes that went through.
    pub fn writes(&self) -> usize {
        lock(&self.inner).writes
    }
}

impl Inner {
    fn write(&mut self, StateWrite { expected_version, state }: &StateWrite) -> Result<(), CommitError> {
        self.asked += 1;
        if self.refused.contains(&state.api_id) {
            return Err(CommitError::Store(misconfigured()));
        }
        if self.unreadable.contains_key(&state.api_id) {
            return Err(CommitError::Conflict);
        }
        if self.fault == StoreFault::Throttled && self.asked.is_multiple_of(2) {
            return Err(CommitError::Store(unavailable()));
        }
        let (version, epoch) = self.records.get(&state.api_id).map_or((0, 0), |record| (record.version, record.epoch));
        if version != *expected_version || epoch > state.epoch || state.version <= *expected_version {
            return Err(CommitError::Conflict);
        }
        self.records.insert(state.api_id.clone(), Arc::clone(state));
        self.writes += 1;
        Ok(())
    }
}
