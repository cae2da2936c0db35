//! How the store in memory answers the program, by the fault that it was given.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{ApiId, ApiState, Heartbeat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{MemoryStore, StoreFault};
use crate::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredHeartbeat, StoredState,
    UnreadableState,
};
use crate::testkit::stage::{Event, Step};
use crate::testkit::{lock, misconfigured, unavailable};

/// What becomes of one write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    DoneUnsaid,
    Failed,
}

impl MemoryStore {
    fn fault_now(&self) -> StoreFault {
        let fault = lock(&self.line).fault;
        if fault == StoreFault::None { lock(&self.inner).fault } else { fault }
    }

    fn write(&self, write: &StateWrite, said: bool) -> Result<(), CommitError> {
        let written = lock(&self.inner).write(write);
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
                let mut line = lock(&self.line);
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
        let latency_ms_max = lock(&self.inner).latency_ms_max;
        self.stage.dawdle(latency_ms_max).await;
        match fault {
            StoreFault::Unavailable => Err(unavailable()),
            StoreFault::Misconfigured => Err(misconfigured()),
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

impl StateStore for MemoryStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        async move {
            self.stage.pass(Step::Any).await;
            if self.fault_now() == StoreFault::Hangs {
                return Err(unavailable());
            }
            self.reach_to_read().await?;
            let inner = lock(&self.inner);
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
            let unreadable = lock(&self.inner).unreadable.get(&api_id).cloned();
            let record = lock(&self.inner).records.get(&api_id).cloned();
            self.stage.note(Event::Read { api_id, record: record.clone() });
            Ok(unreadable.map(Err).or_else(|| record.map(|record| Ok((*record).clone()))))
        }
        .boxed()
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut inner = lock(&self.inner);
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
                let mut inner = lock(&self.inner);
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
            let mut inner = lock(&self.inner);
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
