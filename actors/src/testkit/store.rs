//! A store in memory that can be made to fail in the ways in which stores fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// It works, and each write takes this long.
    Slow(Duration),
    /// It takes every other write of a batch, and one batch of one out of two.
    Throttled,
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
    /// Writes that it was asked for.
    asked: usize,
    /// APIs whose record it never takes.
    refused: BTreeSet<ApiId>,
    /// Records that cannot be read, in the place of those that can.
    unreadable: BTreeMap<ApiId, UnreadableState>,
}

impl MemoryStore {
    /// Never takes the record of this API from now on.
    pub fn refuse(&self, id: ApiId) {
        self.lock().refused.insert(id);
    }

    /// Deletes the record of an API.
    pub fn delete(&self, id: &str) {
        self.lock().records.remove(id);
    }

    /// Makes the record of an API unreadable: damaged, or written by a newer version.
    pub fn damage(&self, id: &ApiId, is_newer: bool) {
        let why = "planted".into();
        self.lock().unreadable.insert(id.clone(), UnreadableState { api_id: id.to_string(), why, is_newer });
    }

    /// Writes that it was asked for, whatever came of them.
    pub fn asked(&self) -> usize {
        self.lock().asked
    }

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
        self.asked += 1;
        if self.refused.contains(&state.api_id) {
            let (what, instead) = ("planted".into(), "mend it".into());
            return Err(CommitError::Store(StoreError::Misconfigured { what, instead }));
        }
        if self.unreadable.contains_key(&state.api_id) {
            return Err(CommitError::Conflict);
        }
        if self.fault == StoreFault::Throttled && self.asked.is_multiple_of(2) {
            return Err(CommitError::Store(unavailable()));
        }
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
                StoreFault::Unavailable | StoreFault::Hangs => Err(unavailable()),
                _ => {
                    let readable = |state: &&ApiState| !inner.unreadable.contains_key(&state.api_id);
                    Ok(LoadedStates {
                        states: inner.records.values().filter(readable).cloned().collect(),
                        unreadable: inner.unreadable.values().cloned().collect(),
                    })
                }
            }
        }
        .boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async move {
            let inner = self.lock();
            match inner.fault {
                StoreFault::Unavailable | StoreFault::Hangs => Err(unavailable()),
                _ => match inner.unreadable.get(&api_id) {
                    Some(unreadable) => Ok(Some(Err(unreadable.clone()))),
                    None => Ok(inner.records.get(&api_id).cloned().map(Ok)),
                },
            }
        }
        .boxed()
    }

    fn set_aside(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
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
            let fault = self.lock().fault;
            match fault {
                StoreFault::None | StoreFault::Throttled => {
                    writes.iter().map(|state| self.lock().write(state)).collect()
                }
                StoreFault::Slow(span) => {
                    tokio::time::sleep(span).await;
                    writes.iter().map(|state| self.lock().write(state)).collect()
                }
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
