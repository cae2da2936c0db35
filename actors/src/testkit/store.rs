//! A store in memory that can be made to fail in the ways in which stores fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_core::{ApiId, ApiState, Heartbeat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::VirtualClock;
use super::stage::{Event, Stage, Step};
use crate::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredHeartbeat, StoredState,
    UnreadableState,
};

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

/// What becomes of one write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    DoneUnsaid,
    Failed,
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
        self.lock_line().fault = fault;
    }

    /// Writes of this process are delayed on their way from now on, and have no answer; or no more are.
    pub fn delay_writes(&self, holds_writes: bool) {
        self.lock_line().holds_writes = holds_writes;
    }

    /// Writes that were delayed arrive now, whether or not the process still lives.
    pub fn deliver(&self) {
        let delayed = std::mem::take(&mut self.lock_line().delayed);
        for write in delayed {
            if self.lock().write(&write).is_ok() {
                self.stage.record(Event::Written { record: write.state, said: false });
            }
        }
    }

    fn lock_line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault_now(&self) -> StoreFault {
        let fault = self.lock_line().fault;
        if fault == StoreFault::None { self.lock().fault } else { fault }
    }

    pub fn set_fault(&self, fault: StoreFault) {
        self.lock().fault = fault;
    }

    /// Each call takes up to this long from now on.
    pub fn set_latency(&self, millis_max: u64) {
        self.lock().latency_ms_max = millis_max;
    }

    /// What is stored of an API.
    pub fn record(&self, id: &str) -> Option<ApiState> {
        self.lock().records.get(id).map(|record| (**record).clone())
    }

    /// The last heartbeat.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        self.lock().heartbeat.clone()
    }

    /// Heartbeats that were written.
    pub fn heartbeats(&self) -> usize {
        self.lock().heartbeats
    }

    /// Heartbeats that it was asked for, whatever came of them.
    pub fn heartbeats_asked(&self) -> usize {
        self.lock().heartbeats_asked
    }

    /// Heartbeats meet this fault from now on, whatever the others meet; `None`: the same as they.
    pub fn set_heartbeat_fault(&self, fault: Option<StoreFault>) {
        self.lock().heartbeat_fault = fault;
    }

    /// Deletes all records and the heartbeat, as a table that was made again has none.
    pub fn empty(&self) {
        self.lock().heartbeat = None;
        let ids: Vec<ApiId> = self.lock().records.keys().cloned().collect();
        ids.iter().for_each(|api_id| self.delete(api_id));
    }

    /// Writes as somebody else would: over whatever is there.
    pub fn overwrite(&self, state: ApiState) {
        let record = Arc::new(state);
        self.lock().records.insert(record.api_id.clone(), Arc::clone(&record));
        self.stage.note(Event::Overwritten { record });
    }

    /// Deletes a record as somebody else would.
    pub fn delete(&self, api_id: &ApiId) {
        if self.lock().records.remove(api_id).is_some() {
            self.stage.note(Event::Deleted { api_id: api_id.clone() });
        }
    }

    /// Never takes the record of this API from now on.
    pub fn refuse(&self, api_id: ApiId) {
        self.lock().refused.insert(api_id);
    }

    /// Makes the record of an API unreadable: damaged, or written by a newer version.
    pub fn damage(&self, api_id: &ApiId, is_newer: bool) {
        let why = "planted".into();
        let record = UnreadableState { api_id: api_id.to_string(), why, is_newer };
        self.lock().unreadable.insert(api_id.clone(), record);
    }

    /// Writes that it was asked for, whatever came of them.
    pub fn asked(&self) -> usize {
        self.lock().asked
    }

    /// Writes that went through.
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, write: &StateWrite, said: bool) -> Result<(), CommitError> {
        let written = self.lock().write(write);
        self.stage.note(match written {
            Ok(()) => Event::Written { record: Arc::clone(&write.state), said },
            Err(ref error) => {
                Event::NotWritten { api_id: write.state.api_id.clone(), conflict: *error == CommitError::Conflict }
            }
        });
        written
    }

    async fn write_all(&self, writes: &[StateWrite], fault: StoreFault) -> Vec<Result<(), CommitError>> {
        let mut results = Vec::with_capacity(writes.len());
        for write in writes {
            let fate = match fault {
                StoreFault::AnswerLost => Fate::DoneUnsaid,
                StoreFault::HangsForAWhile => *self.stage.draw(|chance| chance.pick(&[Fate::DoneUnsaid, Fate::Failed])),
                StoreFault::Flaky => self.stage.draw(|chance| match chance.below(10) {
                    0..=1 => Fate::DoneUnsaid,
                    2..=4 => Fate::Failed,
                    _ => Fate::Done,
                }),
                _ => Fate::Done,
            };
            if fate == Fate::Failed {
                self.stage.note(Event::NotWritten { api_id: write.state.api_id.clone(), conflict: false });
                results.push(Err(CommitError::Store(unavailable())));
                continue;
            }
            self.stage.pass(Step::BeforeWrite).await;
            {
                let mut line = self.lock_line();
                if line.holds_writes {
                    line.delayed.push(write.clone());
                    results.push(Err(CommitError::Store(unavailable())));
                    continue;
                }
            }
            let said = fate == Fate::Done;
            let result = self.write(write, said);
            self.stage.pass(Step::AfterWrite).await;
            results.push(if said { result } else { result.and(Err(CommitError::Store(unavailable()))) });
        }
        results
    }

    /// Waits as this fault makes one wait, and refuses as it refuses.
    async fn reach(&self, fault: StoreFault) -> Result<(), StoreError> {
        let latency_ms_max = self.lock().latency_ms_max;
        self.stage.dawdle(latency_ms_max).await;
        match fault {
            StoreFault::Unavailable => Err(unavailable()),
            StoreFault::Misconfigured => {
                Err(StoreError::Misconfigured { what: "planted".into(), remedy: "mend it".into() })
            }
            StoreFault::Hangs => std::future::pending().await,
            StoreFault::Dawdles => {
                self.stage.dawdle(8_000).await;
                Ok(())
            }
            StoreFault::Slow(span) => {
                tokio::time::sleep(span).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// As [`Self::reach`], for a call that reads: nothing half is done there.
    async fn reach_to_read(&self) -> Result<(), StoreError> {
        let fault = self.fault_now();
        self.reach(fault).await?;
        match fault {
            StoreFault::HangsForAWhile => {
                self.stage.dawdle(20_000).await;
                Err(unavailable())
            }
            StoreFault::Flaky if self.stage.draw(|chance| chance.percent(30)) => Err(unavailable()),
            _ => Ok(()),
        }
    }
}

impl Inner {
    fn write(&mut self, StateWrite { expected_version, state }: &StateWrite) -> Result<(), CommitError> {
        self.asked += 1;
        if self.refused.contains(&state.api_id) {
            let (what, remedy) = ("planted".into(), "mend it".into());
            return Err(CommitError::Store(StoreError::Misconfigured { what, remedy }));
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

fn unavailable() -> StoreError {
    StoreError::Unavailable("planted".into())
}

impl StateStore for MemoryStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        async move {
            self.stage.pass(Step::Any).await;
            if self.fault_now() == StoreFault::Hangs {
                return Err(unavailable());
            }
            self.reach_to_read().await?;
            let inner = self.lock();
            let readable = |record: &&Arc<ApiState>| !inner.unreadable.contains_key(&record.api_id);
            let states = inner.records.values().filter(readable).map(|record| (**record).clone()).collect();
            self.stage.note(Event::AllRead);
            Ok(LoadedStates { states, unreadable: inner.unreadable.values().cloned().collect(), quarantined: 0 })
        }
        .boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async move {
            self.stage.pass(Step::Any).await;
            if self.fault_now() == StoreFault::Hangs {
                return Err(unavailable());
            }
            let call = self.stage.number();
            self.stage.note(Event::CommitBegan { call, writes: 0 });
            let reached = self.reach_to_read().await;
            self.stage.note(Event::CommitEnded { call, all_well: reached.is_ok() });
            reached?;
            let unreadable = self.lock().unreadable.get(&api_id).cloned();
            let record = self.lock().records.get(&api_id).cloned();
            self.stage.note(Event::Read { api_id, record: record.clone() });
            Ok(unreadable.map(Err).or_else(|| record.map(|record| Ok((*record).clone()))))
        }
        .boxed()
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut inner = self.lock();
            if let Ok(api_id) = ApiId::parse_stored(&record.api_id)
                && inner.unreadable.get(&api_id).is_some_and(|found| !found.is_newer)
            {
                inner.unreadable.remove(&api_id);
                inner.records.remove(&api_id);
            }
            Ok(())
        }
        .boxed()
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            self.stage.pass(Step::Any).await;
            let call = self.stage.number();
            self.stage.note(Event::CommitBegan { call, writes: writes.len() });
            let fault = self.fault_now();
            let results = match self.reach(fault).await {
                Ok(()) => self.write_all(&writes, fault).await,
                Err(error) => writes.iter().map(|_| Err(CommitError::Store(error.clone()))).collect(),
            };
            if fault == StoreFault::PanicsOnce {
                self.set_fault(StoreFault::None);
                self.stage.note(Event::CommitEnded { call, all_well: false });
                panic!("planted in the store");
            }
            if fault == StoreFault::HangsForAWhile {
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
            let all_well = results.iter().all(|result| !matches!(result, Err(CommitError::Store(_))));
            self.stage.note(Event::CommitEnded { call, all_well });
            results
        }
        .boxed()
    }

    /// It draws nothing from chance and passes no trap: what a seed means does not hang on heartbeats.
    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let fault = {
                let mut inner = self.lock();
                inner.heartbeats_asked += 1;
                inner.heartbeat_fault.unwrap_or(inner.fault)
            };
            match fault {
                StoreFault::None | StoreFault::AnswerLost | StoreFault::Flaky | StoreFault::PanicsOnce => {}
                StoreFault::Slow(span) => tokio::time::sleep(span).await,
                StoreFault::Dawdles => tokio::time::sleep(Duration::from_secs(4)).await,
                StoreFault::Unavailable | StoreFault::Throttled | StoreFault::Misconfigured => {
                    return Err(unavailable());
                }
                StoreFault::Hangs => std::future::pending().await,
                StoreFault::HangsForAWhile => {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    return Err(unavailable());
                }
            }
            if self.stage.is_frozen() {
                std::future::pending::<()>().await;
            }
            self.stage.note(Event::Heartbeat { heartbeat: Box::new(heartbeat.clone()) });
            let mut inner = self.lock();
            inner.heartbeat = Some(heartbeat);
            inner.heartbeats += 1;
            Ok(())
        }
        .boxed()
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        async { Ok(self.heartbeat().into_iter().map(Ok).collect()) }.boxed()
    }

    fn limits(&self) -> CommitLimits {
        CommitLimits { batch_max: 100, batches_in_flight_max: 2 }
    }
}
