//! History in the SQLite file of the states: one table, over a connection and a thread of its own.
//!
//! An item that is written again is appended anew, and not changed in its place: items grow while their day lasts, and in its place each
//! growth would split a page and leave two half full. So days that are over lie close, and what expires together lies together.

use std::ops::RangeInclusive;
use std::sync::Arc;

use api_health_actors::ports::{Clock, HistoryStore, StoreError};
use api_health_core::Timestamp;
use api_health_core::history::item::ITEM_BYTES_MAX;
use api_health_core::history::{HistoryItem, HistorySlot, Series};
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::{BATCH_MAX, READ_MAX, refusal};
use crate::fault::Fault;
use crate::sqlite::{Db, SqliteFile, Worker, classify};
use crate::store::sqlite::has_table;

/// Expired items that are deleted with each batch: twice as many as it adds, so that what is left over is caught up with.
const EXPIRED_PER_BATCH: i64 = 2 * BATCH_MAX as i64;

/// Made when it is needed first: a file of an earlier release has none, and such a release passes it over. `kept_until` counts
/// milliseconds since 1970.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS api_health_history (
                         series TEXT NOT NULL, slot TEXT NOT NULL, epoch INTEGER NOT NULL, kept_until INTEGER,
                         bytes BLOB NOT NULL, PRIMARY KEY (series, slot)
                     ) STRICT;
                     CREATE INDEX IF NOT EXISTS api_health_history_kept_until
                         ON api_health_history (kept_until) WHERE kept_until IS NOT NULL";
const WRITE: &str = "INSERT OR REPLACE INTO api_health_history (series, slot, epoch, kept_until, bytes)
                     SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
                         SELECT 1 FROM api_health_history WHERE series = ?1 AND slot = ?2 AND epoch > ?3)";
const DELETE_EXPIRED: &str = "DELETE FROM api_health_history WHERE rowid IN (
                                  SELECT rowid FROM api_health_history WHERE kept_until <= ?1 ORDER BY kept_until LIMIT ?2)";
const READ: &str = "SELECT slot, epoch, kept_until, bytes FROM api_health_history
                    WHERE series = ?1 AND slot BETWEEN ?2 AND ?3 ORDER BY slot DESC";

/// The history in a file.
pub struct SqliteHistoryStore {
    worker: Worker,
    /// By it items expire.
    clock: Arc<dyn Clock>,
}

impl SqliteHistoryStore {
    /// Opens a connection of its own.
    ///
    /// # Errors
    /// Those of [`SqliteFile::open`].
    pub fn open(file: &SqliteFile, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let worker = Worker::start_with(file, "history", |connection| {
            // A commit waits for no disk while it holds the lock that states wait for. It survives the death of the process in any case;
            // and the next commit of a state, which does wait, takes all to the disk that stands before it in the same log. So an
            // incident that left the record of its state, since it is here, is not lost with the power either.
            connection.pragma_update(None, "synchronous", "normal")
        })?;
        Ok(Self { worker, clock })
    }
}

impl HistoryStore for SqliteHistoryStore {
    fn write(&self, items: Vec<HistoryItem>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        async move {
            let (count, now) = (items.len(), self.clock.now());
            match self.worker.call(move |db| write(db, &items, now)).await {
                Ok(results) => results,
                Err(fault) => vec![Err(fault.into()); count],
            }
        }
        .boxed()
    }

    fn read(
        &self,
        series: Series,
        slots: RangeInclusive<HistorySlot>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryItem>, StoreError>> {
        async move { Ok(self.worker.call(move |db| read(db, &series, &slots, limit)).await?) }.boxed()
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }
}

/// One transaction: a fault of the file takes all of it back.
fn write(db: &mut Db, items: &[HistoryItem], now: Timestamp) -> Result<Vec<Result<(), StoreError>>, Fault> {
    let Db { connection, file, .. } = db;
    let place = file.name();
    let results: Vec<_> = items.iter().map(|item| refusal(&place, item).map_or(Ok(()), Err)).collect();
    let mut write_all = || -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !has_table(&transaction, "api_health_history")? {
            transaction.execute_batch(TABLE)?;
        }
        {
            let mut write = transaction.prepare_cached(WRITE)?;
            for (item, _) in items.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
                let HistoryItem { series, slot, epoch, kept_until, bytes } = item;
                // SQLite counts to i64::MAX. No real epoch comes near.
                let epoch = i64::try_from(*epoch).unwrap_or(i64::MAX);
                let kept_until = kept_until.map(Timestamp::as_millis);
                write.execute(params![series.to_string(), slot.to_string(), epoch, kept_until, bytes])?;
            }
        }
        transaction.prepare_cached(DELETE_EXPIRED)?.execute(params![now.as_millis(), EXPIRED_PER_BATCH])?;
        transaction.commit()
    };
    write_all().map_err(|e| classify(file, &e))?;
    Ok(results)
}

fn read(
    db: &mut Db,
    series: &Series,
    slots: &RangeInclusive<HistorySlot>,
    limit: usize,
) -> Result<Vec<HistoryItem>, Fault> {
    let read = |connection: &Connection| -> rusqlite::Result<Vec<HistoryItem>> {
        let mut items = Vec::new();
        if !has_table(connection, "api_health_history")? {
            return Ok(items);
        }
        let mut statement = connection.prepare_cached(READ)?;
        let (first, last) = (slots.start().to_string(), slots.end().to_string());
        let mut rows = statement.query([series.to_string(), first, last])?;
        // The limit counts those that can be read.
        while items.len() < limit.min(READ_MAX) {
            let Some(row) = rows.next()? else { break };
            items.extend(read_row(series, row)?);
        }
        items.reverse();
        Ok(items)
    };
    read(&db.connection).map_err(|e| classify(&db.file, &e))
}

/// `None`: it cannot be read.
fn read_row(series: &Series, row: &Row<'_>) -> rusqlite::Result<Option<HistoryItem>> {
    let slot = row.get_ref(0)?.as_str().ok().and_then(HistorySlot::parse);
    let bytes = row.get_ref(3)?.as_blob()?;
    let (Some(slot), Ok(epoch)) = (slot, u64::try_from(row.get::<_, i64>(1)?)) else { return Ok(None) };
    if bytes.len() > ITEM_BYTES_MAX {
        return Ok(None);
    }
    let kept_until = row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis);
    Ok(Some(HistoryItem { series: series.clone(), slot, epoch, kept_until, bytes: bytes.to_vec() }))
}
