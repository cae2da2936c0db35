//! History in memory that can be made to fail. It draws nothing from chance, so that what a seed means does not hang on it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use api_health_core::history::{HistoryItem, HistorySlot, Series};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::lock;
use crate::ports::{HistoryStore, StoreError};

/// How it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryFault {
    #[default]
    None,
    /// It refuses at once.
    Unavailable,
    /// It never answers.
    Hangs,
    /// It writes, and says that it did not.
    AnswerLost,
    /// It takes every other item.
    Half,
}

#[derive(Clone, Default)]
pub struct MemoryHistory {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    items: BTreeMap<(Series, HistorySlot), HistoryItem>,
    fault: HistoryFault,
    asked: usize,
    writes: usize,
    reads: usize,
}

impl MemoryHistory {
    pub fn set_fault(&self, fault: HistoryFault) {
        lock(&self.inner).fault = fault;
    }

    /// All that is stored, in the order of its keys.
    pub fn items(&self) -> Vec<HistoryItem> {
        lock(&self.inner).items.values().cloned().collect()
    }

    /// What is stored of one API.
    pub fn of(&self, api_id: &str) -> Vec<HistoryItem> {
        let is_of = |series: &Series| matches!(series, Series::Api(api) if api.as_str() == api_id);
        self.items().into_iter().filter(|item| is_of(&item.series)).collect()
    }

    /// Puts an item in as another process would.
    pub fn put(&self, item: HistoryItem) {
        lock(&self.inner).items.insert((item.series.clone(), item.slot.clone()), item);
    }

    /// Items that were stored.
    pub fn writes(&self) -> usize {
        lock(&self.inner).writes
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        lock(&self.inner).reads
    }

    async fn reach(&self) -> Result<HistoryFault, StoreError> {
        let fault = lock(&self.inner).fault;
        match fault {
            HistoryFault::Unavailable => Err(unavailable()),
            HistoryFault::Hangs => std::future::pending().await,
            _ => Ok(fault),
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("planted in history".into())
}

impl HistoryStore for MemoryHistory {
    fn write(&self, items: Vec<HistoryItem>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        async move {
            let fault = match self.reach().await {
                Ok(fault) => fault,
                Err(error) => return vec![Err(error); items.len()],
            };
            let mut inner = lock(&self.inner);
            let write = |item: HistoryItem| {
                inner.asked += 1;
                if fault == HistoryFault::Half && inner.asked.is_multiple_of(2) {
                    return Err(unavailable());
                }
                let key = (item.series.clone(), item.slot.clone());
                if inner.items.get(&key).is_none_or(|stored| stored.epoch <= item.epoch) {
                    inner.items.insert(key, item);
                    inner.writes += 1;
                }
                if fault == HistoryFault::AnswerLost { Err(unavailable()) } else { Ok(()) }
            };
            items.into_iter().map(write).collect()
        }
        .boxed()
    }

    fn read(
        &self,
        series: Series,
        slots: RangeInclusive<HistorySlot>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryItem>, StoreError>> {
        async move {
            self.reach().await?;
            let mut inner = lock(&self.inner);
            inner.reads += 1;
            let keys = (series.clone(), slots.start().clone())..=(series, slots.end().clone());
            let found: Vec<HistoryItem> = inner.items.range(keys).map(|(_, item)| item.clone()).collect();
            Ok(found[found.len().saturating_sub(limit)..].to_vec())
        }
        .boxed()
    }

    fn batch_max(&self) -> usize {
        25
    }
}
