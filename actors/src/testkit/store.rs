//! A store in memory that can be made to fail in the ways in which stores fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api_health_core::{ApiId, ApiState};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredState, UnreadableState,
};

/// How the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreFault {
    /// It works.
    #[default]
    None,
    /// It refuses at once.
    Unavailable,
    /// It never answers.
    Hangs,
    /// It writes, and the answer is lost.
    AnswerLost,
    /// The next batch is written, and then it panics; from then on it works.
    PanicsOnce,
}

/// The store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    records: BTreeMap<ApiId, ApiState>,
    fault: StoreFault,
    writes: usize,
}

impl MemoryStore {
    /// From now on.
    pub fn set_fault(&self, fault: StoreFault) {
        self.lock().fault = fault;
    }

    /// What is stored of an API.
    pub fn record(&self, id: &str) -> Option<ApiState> {
        self.lock().records.get(id).cloned()
    }

    /// Writes as somebody else would: over whatever is there.
    pub fn overwrite(&self, state: ApiState) {
        self.lock().records.insert(state.api_id.clone(), state);
    }

    /// Writes that went through.
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, state: &ApiState) -> Result<(), CommitError> {
        let stored = self.records.get(&state.api_id).map_or(0, |record| record.version);
        if stored + 1 != state.version {
            return Err(CommitError::Conflict);
        }
        self.records.insert(state.api_id.clone(), state.clone());
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
            let inner = self.lock();
            match inner.fault {
                StoreFault::None | StoreFault::AnswerLost | StoreFault::PanicsOnce => {
                    Ok(LoadedStates { states: inner.records.values().cloned().collect(), unreadable: vec![] })
                }
                _ => Err(unavailable()),
            }
        }
        .boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async move {
            let inner = self.lock();
            match inner.fault {
                StoreFault::None | StoreFault::AnswerLost | StoreFault::PanicsOnce => {
                    Ok(inner.records.get(&api_id).cloned().map(Ok))
                }
                _ => Err(unavailable()),
            }
        }
        .boxed()
    }

    fn set_aside(&self, _: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(()) }.boxed() // every record in memory can be read
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let fault = self.lock().fault;
            match fault {
                StoreFault::None => writes.iter().map(|state| self.lock().write(state)).collect(),
                StoreFault::PanicsOnce => {
                    self.set_fault(StoreFault::None);
                    for state in &writes {
                        let _ = self.lock().write(state);
                    }
                    panic!("planted in the store");
                }
                StoreFault::Unavailable => writes.iter().map(|_| Err(CommitError::Store(unavailable()))).collect(),
                StoreFault::Hangs => std::future::pending().await,
                StoreFault::AnswerLost => writes
                    .iter()
                    .map(|state| self.lock().write(state).and(Err(CommitError::Store(unavailable()))))
                    .collect(),
            }
        }
        .boxed()
    }

    fn limits(&self) -> CommitLimits {
        CommitLimits { batch_max: 100, batches_in_flight_max: 2 }
    }
}
