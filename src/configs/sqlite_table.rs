//! Config rows in the SQLite file: one JSON object for each, under its `api_id`.

use api_health_actors::ports::SourceError;
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::{OptionalExtension, TransactionBehavior};
use serde_json::{Map, Value};

use super::fields::API_ID;
use super::raw::{RawRow, RowChange, RowTable, api_id_of};
use crate::fault::Fault;
use crate::sqlite::{Db, SqliteFile, Worker, classify};
use crate::store::RECORDS_MAX;

const READ_ALL: &str = "SELECT api_id, row FROM api_health_configs ORDER BY api_id LIMIT ?1";
const READ_ONE: &str = "SELECT row FROM api_health_configs WHERE api_id = ?1";
const PUT: &str = "INSERT INTO api_health_configs (api_id, row) VALUES (?1, ?2)
                   ON CONFLICT (api_id) DO UPDATE SET row = excluded.row";
const DELETE: &str = "DELETE FROM api_health_configs WHERE api_id = ?1";
const REVISION: &str = "SELECT value FROM api_health_meta WHERE name = 'configs_revision'";

/// The longest row, as JSON: twice what the longest good row needs, each of its characters escaped.
pub const ROW_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The config rows in a file.
pub struct SqliteConfigTable {
    worker: Worker,
    name: String,
}

impl SqliteConfigTable {
    /// Opens a connection of its own.
    ///
    /// # Errors
    /// Those of [`SqliteFile::open`].
    pub fn open(file: &SqliteFile) -> Result<Self, SourceError> {
        Ok(Self { worker: Worker::start(file, "configs")?, name: file.name() })
    }
}

impl RowTable for SqliteConfigTable {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        async { Ok(self.worker.call(rows).await?) }.boxed()
    }

    fn get(&self, api_id: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>> {
        async { Ok(self.worker.call(move |db| get(db, &api_id)).await?) }.boxed()
    }

    fn put(&self, fields: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>> {
        async { Ok(self.worker.call(move |db| put(db, fields)).await?) }.boxed()
    }

    fn delete(&self, api_id: String) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(self.worker.call(move |db| delete(db, &api_id)).await?) }.boxed()
    }

    fn apply(&self, change: RowChange) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(self.worker.call(move |db| apply(db, &change)).await?) }.boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { self.worker.call(revision).await.ok() }.boxed()
    }
}

fn rows(db: &mut Db) -> Result<Vec<RawRow>, Fault> {
    let location = db.file.name();
    let read = || -> rusqlite::Result<Vec<RawRow>> {
        let mut statement = db.connection.prepare_cached(READ_ALL)?;
        let limit = i64::try_from(RECORDS_MAX + 1).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| {
            Ok(raw_row(&location, row.get_ref(0)?.as_bytes()?, row.get_ref(1)?.as_bytes()?))
        })?;
        rows.collect()
    };
    let rows = read().map_err(|e| classify(&db.file, &e))?;
    if rows.len() > RECORDS_MAX {
        return Err(Fault::Person {
            place: location,
            what: format!("holds more than {RECORDS_MAX} rows"),
            remedy: "another path, or delete rows that are not needed".into(),
        });
    }
    Ok(rows)
}

fn get(db: &mut Db, api_id: &str) -> Result<Option<RawRow>, Fault> {
    let location = db.file.name();
    let read = || {
        db.connection
            .prepare_cached(READ_ONE)?
            .query_row([api_id], |row| Ok(raw_row(&location, api_id.as_bytes(), row.get_ref(0)?.as_bytes()?)))
            .optional()
    };
    read().map_err(|e| classify(&db.file, &e))
}

/// A row that is no JSON object is given as one field of that text, which validation refuses by name. The key wins over
/// a field `api_id` that says something else: it is what `get` and `delete` go by.
fn raw_row(location: &str, api_id: &[u8], row: &[u8]) -> RawRow {
    let mut fields = match serde_json::from_slice(&row[..row.len().min(ROW_BYTES_MAX + 1)]) {
        _ if row.len() > ROW_BYTES_MAX => {
            Map::from_iter([(format!("a row of {} bytes, more than {ROW_BYTES_MAX}", row.len()), Value::Null)])
        }
        Ok(Value::Object(fields)) => fields,
        _ => Map::from_iter([("row".to_owned(), Value::String(String::from_utf8_lossy(row).into_owned()))]),
    };
    fields.insert(API_ID.name.into(), Value::String(String::from_utf8_lossy(api_id).into_owned()));
    RawRow { location: location.into(), fields }
}

fn put(db: &mut Db, fields: Map<String, Value>) -> Result<(), Fault> {
    let Some(api_id) = api_id_of(&fields).map(str::to_owned) else {
        return Err(no_key(db.file.name()));
    };
    let text = Value::Object(fields).to_string();
    let write = || db.connection.prepare_cached(PUT)?.execute([&api_id, &text]);
    write().map(drop).map_err(|e| classify(&db.file, &e))
}

/// What a row without a key gives, which the command line does not let through.
pub(super) fn no_key(place: String) -> Fault {
    Fault::Person {
        place,
        what: "cannot hold a row without an api_id".into(),
        remedy: "an api_id, such as \"shop\"".into(),
    }
}

fn delete(db: &mut Db, api_id: &str) -> Result<bool, Fault> {
    let write = || db.connection.prepare_cached(DELETE)?.execute([api_id]);
    write().map(|changed| changed > 0).map_err(|e| classify(&db.file, &e))
}

/// In one transaction that nobody can write beside.
fn apply(db: &mut Db, change: &RowChange) -> Result<bool, Fault> {
    let Some(api_id) = change.api_id() else { return Err(no_key(db.file.name())) };
    let Db { connection, file, .. } = db;
    let location = file.name();
    let mut work = || -> rusqlite::Result<bool> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let there = transaction
            .prepare_cached(READ_ONE)?
            .query_row([api_id], |row| Ok(raw_row(&location, api_id.as_bytes(), row.get_ref(0)?.as_bytes()?)))
            .optional()?;
        if let Some(answer) = change.answer_without_write(there.as_ref().map(|row| &row.fields)) {
            return Ok(answer);
        }
        match change.wanted() {
            Some(new) => {
                let text = Value::Object(new.clone()).to_string();
                transaction.prepare_cached(PUT)?.execute([api_id, &text])?;
            }
            None => {
                transaction.prepare_cached(DELETE)?.execute([api_id])?;
            }
        }
        transaction.commit().map(|()| true)
    };
    work().map_err(|e| classify(file, &e))
}

fn revision(db: &mut Db) -> Result<u64, Fault> {
    let read = || db.connection.prepare_cached(REVISION)?.query_row([], |row| row.get::<_, i64>(0));
    // The bits matter, not the number: it is compared for being another.
    read().map(i64::cast_unsigned).map_err(|e| classify(&db.file, &e))
}
