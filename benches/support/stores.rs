//! The store under the actors, and a layer over it that notes what became durable.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use api_health::clock::SystemClock;
use api_health::sqlite::SqliteFile;
use api_health::store::history::SqliteHistoryStore;
use api_health::store::sqlite::SqliteStateStore;
use api_health_actors::ports::{
    CommitError, CommitLimits, HistoryStore, LoadedStates, StateStore, StateWrite, StoreError, StoredHeartbeat,
    StoredState, UnreadableState,
};
use api_health_core::{ApiId, ApiState, Heartbeat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::process::monotonic_ns;

/// The embedded store, in a file in `folder`.
pub fn embedded(folder: &Path) -> Arc<dyn StateStore> {
    let file = SqliteFile::open(folder.join("api-health.db")).expect("the folder can be written to");
    Arc::new(SqliteStateStore::open(&file).expect("a new file is good"))
}

/// The same with the history beside it, as the program has both.
pub fn with_history(folder: &Path) -> (Arc<dyn StateStore>, Arc<dyn HistoryStore>) {
    let store = embedded(folder);
    let file = SqliteFile::open(folder.join("api-health.db")).expect("it is there");
    let history = SqliteHistoryStore::open(&file, Arc::new(SystemClock)).expect("it is good");
    (store, Arc::new(history))
}

/// Writes states that are not there yet, in batches as the store likes them.
pub async fn fill(store: &dyn StateStore, states: &[ApiState]) {
    for batch in states.chunks(store.limits().batch_max) {
        let writes: Vec<StateWrite> =
            batch.iter().map(|state| StateWrite { expected_version: 0, state: Arc::new(state.clone()) }).collect();
        for result in store.commit(writes).await {
            result.expect("nobody else writes");
        }
    }
}

/// What the store has, read back.
pub async fn read_back(store: &dyn StateStore) -> Vec<ApiState> {
    let loaded = store.load_all().await.expect("the store is there");
    assert!(loaded.unreadable.is_empty(), "what was written can be read");
    loaded.states
}

/// States in memory, which several workers in one process share: what stands between them and a store costs nothing.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<ApiId, Arc<ApiState>>>);

impl Memory {
    fn states(&self) -> std::sync::MutexGuard<'_, HashMap<ApiId, Arc<ApiState>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, write: StateWrite) -> Result<(), CommitError> {
        let mut states = self.states();
        let stored = states.get(&write.state.api_id);
        if stored.map_or(0, |state| state.version) != write.expected_version
            || stored.is_some_and(|state| state.epoch > write.state.epoch)
        {
            return Err(CommitError::Conflict);
        }
        states.insert(write.state.api_id.clone(), write.state);
        Ok(())
    }
}

impl StateStore for Memory {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        let states = self.states().values().map(|state| ApiState::clone(state)).collect();
        async { Ok(LoadedStates { states, ..LoadedStates::default() }) }.boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        let state = self.states().get(&api_id).map(|state| Ok(ApiState::clone(state)));
        async { Ok(state) }.boxed()
    }

    fn quarantine(&self, _: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("all that is in it can be read")
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        let results = writes.into_iter().map(|write| self.write(write)).collect();
        async { results }.boxed()
    }

    fn write_heartbeat(&self, _: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        async { Ok(vec![]) }.boxed()
    }

    fn limits(&self) -> CommitLimits {
        CommitLimits { batch_max: 1_000, batches_in_flight_max: 8 }
    }
}

/// Counts the writes that became durable, and notes when each API's first one did.
pub struct Watched {
    inner: Arc<dyn StateStore>,
    durable: AtomicUsize,
    first_at_ns: Option<Mutex<HashMap<ApiId, u64>>>,
}

impl Watched {
    /// A layer over `inner` that counts.
    pub fn counting(inner: Arc<dyn StateStore>) -> Arc<Self> {
        Arc::new(Self { inner, durable: AtomicUsize::new(0), first_at_ns: None })
    }

    /// A layer over `inner` that counts and takes times, which costs a little.
    pub fn timing(inner: Arc<dyn StateStore>) -> Arc<Self> {
        Arc::new(Self { inner, durable: AtomicUsize::new(0), first_at_ns: Some(Mutex::default()) })
    }

    /// Writes that became durable.
    pub fn durable(&self) -> usize {
        self.durable.load(Ordering::Relaxed)
    }

    /// When each API's first write became durable.
    pub fn first_at_ns(&self) -> HashMap<ApiId, u64> {
        let first = self.first_at_ns.as_ref().map(|first| first.lock().unwrap_or_else(PoisonError::into_inner).clone());
        first.unwrap_or_default()
    }
}

impl StateStore for Watched {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        self.inner.load_all()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        self.inner.load(api_id)
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.quarantine(record)
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let wanted = if self.first_at_ns.is_some() { &writes[..] } else { &[] };
            let ids: Vec<ApiId> = wanted.iter().map(|write| write.state.api_id.clone()).collect();
            let results = self.inner.commit(writes).await;
            self.durable.fetch_add(results.iter().filter(|result| result.is_ok()).count(), Ordering::Relaxed);
            if let Some(first) = &self.first_at_ns {
                let at = monotonic_ns();
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, _) in ids.into_iter().zip(&results).filter(|(_, result)| result.is_ok()) {
                    first.entry(id).or_insert(at);
                }
            }
            results
        }
        .boxed()
    }

    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.write_heartbeat(heartbeat)
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        self.inner.read_heartbeats()
    }

    fn limits(&self) -> CommitLimits {
        self.inner.limits()
    }
}
