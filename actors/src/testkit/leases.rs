//! Leases in memory: one world that several workers share, each by a line of its own that can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::own::records::{Assignment, Key, LeaseRecord, WorkerId, WorkerRecord};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::stage::{Event, Stage};
use super::{lock, misconfigured, unavailable};
use crate::leases::Leases;
use crate::ports::{CommitError, StoreError};

/// How a line fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFault {
    #[default]
    None,
    /// Nothing arrives, and that is said at once.
    Cut,
    /// Nothing arrives, and nothing is ever said.
    Hangs,
    /// The store refuses this worker.
    Refused,
    /// What is sent is carried out, and the answer is lost.
    AnswersLost,
    /// It works, and each answer comes so much later.
    Slow(Duration),
    /// Writes are delayed until they are delivered, and have no answer. Reads work.
    HoldsWrites,
}

#[derive(Clone, Default)]
pub struct MemoryLeases(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    records: BTreeMap<Key, LeaseRecord>,
    /// Shards that changed hands.
    takings: usize,
    /// Whether an epoch ever fell, or was used twice.
    epoch_fell: bool,
}

/// What one worker reaches it by.
#[derive(Clone, Default)]
pub struct LeaseLine {
    world: MemoryLeases,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    /// Where what is written through it is noted.
    stage: Option<Stage>,
    fault: LineFault,
    delayed: Vec<(LeaseRecord, u64)>,
    reads: usize,
    writes: usize,
}

impl MemoryLeases {
    /// A line for one more worker.
    pub fn line(&self) -> LeaseLine {
        LeaseLine { world: self.clone(), ..LeaseLine::default() }
    }

    /// The same, for a process whose writes are noted in the journal of its world.
    pub fn line_of(&self, stage: Stage) -> LeaseLine {
        let line = self.line();
        lock(&line.line).stage = Some(stage);
        line
    }

    /// The assignment, if there is one.
    pub fn assignment(&self) -> Option<Assignment> {
        match lock(&self.0).records.get(&Key::Assignment)? {
            LeaseRecord::Assignment(assignment) => Some((**assignment).clone()),
            LeaseRecord::Worker(_) => None,
        }
    }

    /// The record of a worker, if there is one.
    pub fn worker(&self, worker: &WorkerId) -> Option<WorkerRecord> {
        match lock(&self.0).records.get(&Key::Worker(worker.clone()))? {
            LeaseRecord::Worker(record) => Some((**record).clone()),
            LeaseRecord::Assignment(_) => None,
        }
    }

    /// Writes as a hand in the table would: over whatever is there.
    pub fn overwrite(&self, record: LeaseRecord) {
        lock(&self.0).records.insert(record.key(), record);
    }

    /// Deletes as a hand in the table would.
    pub fn delete(&self, key: &Key) {
        lock(&self.0).records.remove(key);
    }

    /// How often a shard was taken.
    pub fn takings(&self) -> usize {
        lock(&self.0).takings
    }

    /// Whether a written assignment ever had a lower epoch than the one before, or the same one for another owner.
    pub fn epoch_fell(&self) -> bool {
        lock(&self.0).epoch_fell
    }

    fn put(&self, record: LeaseRecord, expected_version: u64) -> Result<(), CommitError> {
        let mut world = lock(&self.0);
        let stored = world.records.get(&record.key());
        if stored.map_or(0, LeaseRecord::version) != expected_version || record.version() != expected_version + 1 {
            return Err(CommitError::Conflict);
        }
        if let LeaseRecord::Assignment(after) = &record {
            let before = match stored {
                Some(LeaseRecord::Assignment(before)) => before.owners.clone(),
                _ => vec![Default::default(); after.owners.len()],
            };
            let changed = before.iter().zip(&after.owners).filter(|(before, after)| before != after);
            let taken: Vec<_> = changed.filter(|(_, after)| after.owner.is_some()).collect();
            let fell = before.iter().zip(&after.owners).any(|(before, after)| after.epoch < before.epoch)
                || taken.iter().any(|(before, after)| after.epoch == before.epoch);
            let takings = taken.len();
            world.takings += takings;
            world.epoch_fell |= fell;
        }
        world.records.insert(record.key(), record);
        Ok(())
    }
}

impl LeaseLine {
    pub fn set_fault(&self, fault: LineFault) {
        lock(&self.line).fault = fault;
    }

    /// Writes that were delayed arrive now, in their order.
    pub fn deliver(&self) {
        let delayed = std::mem::take(&mut lock(&self.line).delayed);
        for (record, expected_version) in delayed {
            let _ = self.write(record, expected_version); // nobody waits for the answer
        }
    }

    fn write(&self, record: LeaseRecord, expected_version: u64) -> Result<(), CommitError> {
        self.world.put(record.clone(), expected_version)?;
        if let Some(stage) = &lock(&self.line).stage {
            stage.record(Event::Leased { record: Box::new(record) });
        }
        Ok(())
    }

    /// Keys that were read through it, and writes that it was asked for, whatever came of them.
    pub fn calls(&self) -> (usize, usize) {
        let line = lock(&self.line);
        (line.reads, line.writes)
    }

    /// The fault, once it has let the call through; `Err` where it does not.
    async fn pass(&self) -> Result<LineFault, StoreError> {
        let fault = lock(&self.line).fault;
        match fault {
            LineFault::Cut => Err(unavailable()),
            LineFault::Hangs => std::future::pending().await,
            LineFault::Refused => Err(misconfigured()),
            fault => Ok(fault),
        }
    }
}

/// What happens to an answer on its way back.
async fn come_back(fault: LineFault) -> Result<(), StoreError> {
    match fault {
        LineFault::AnswersLost => Err(unavailable()),
        LineFault::Slow(span) => {
            tokio::time::sleep(span).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Leases for LeaseLine {
    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<LeaseRecord>, StoreError>> {
        async move {
            lock(&self.line).reads += keys.len();
            let fault = self.pass().await?;
            let found = keys.iter().filter_map(|key| lock(&self.world.0).records.get(key).cloned()).collect();
            come_back(fault).await?;
            Ok(found)
        }
        .boxed()
    }

    fn put(&self, record: LeaseRecord, expected_version: u64) -> BoxFuture<'_, Result<(), CommitError>> {
        async move {
            lock(&self.line).writes += 1;
            let fault = self.pass().await.map_err(CommitError::Store)?;
            if fault == LineFault::HoldsWrites {
                lock(&self.line).delayed.push((record, expected_version));
                return Err(CommitError::Store(unavailable()));
            }
            let written = self.write(record, expected_version);
            come_back(fault).await.map_err(CommitError::Store)?;
            written
        }
        .boxed()
    }
}
