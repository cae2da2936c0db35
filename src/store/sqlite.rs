//! States in an SQLite file: one transaction for each batch, each write of it conditional on the version before.

use api_health_actors::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, UnreadableState,
};
use api_health_core::{ApiId, ApiState};
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::RECORDS_MAX;
use super::fault::{self, Fault};
use super::record::{self, Record};
use crate::sqlite::{Db, SqliteFile, Worker, classify};

/// A transaction costs one flush to disk, however much is in it; 1,000 states take a few milliseconds. With one writer
/// to a file, a second batch under way would only wait.
const LIMITS: CommitLimits = CommitLimits { batch_max: 1_000, batches_in_flight_max: 1 };

const CREATE: &str = "INSERT INTO api_health_states (api_id, version, status, record) VALUES (?1, ?2, ?3, ?4)
                      ON CONFLICT (api_id) DO NOTHING";
const REPLACE: &str = "UPDATE api_health_states SET version = ?2, status = ?3, record = ?4
                       WHERE api_id = ?1 AND version = ?5";
const READ_ONE: &str = "SELECT version, record FROM api_health_states WHERE api_id = ?1";
const READ_ALL: &str = "SELECT api_id, version, record FROM api_health_states ORDER BY api_id LIMIT ?1";

/// The states in a file.
pub struct SqliteStateStore {
    worker: Worker,
}

impl SqliteStateStore {
    /// Opens a connection of its own.
    ///
    /// # Errors
    /// Those of [`SqliteFile::open`].
    pub fn open(file: &SqliteFile) -> Result<Self, StoreError> {
        Ok(Self { worker: Worker::start(file, "states")? })
    }
}

impl StateStore for SqliteStateStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        async { Ok(self.worker.call(load_all).await?) }.boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<ApiState>, StoreError>> {
        async { Ok(self.worker.call(move |db| load(db, &api_id)).await?) }.boxed()
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let count = writes.len();
            match self.worker.call(move |db| commit(db, &writes)).await {
                Ok(results) => results,
                Err(fault) => vec![Err(CommitError::Store(fault.into())); count],
            }
        }
        .boxed()
    }

    fn limits(&self) -> CommitLimits {
        LIMITS
    }
}

fn load_all(db: &mut Db) -> Result<LoadedStates, Fault> {
    let mut loaded = LoadedStates::default();
    let read = |connection: &rusqlite::Connection, loaded: &mut LoadedStates| -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(READ_ALL)?;
        let mut rows = statement.query([i64::try_from(RECORDS_MAX + 1).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let api_id = row.get_ref(0)?.as_bytes()?;
            match read_record(api_id, row.get(1)?, row.get_ref(2)?.as_bytes()?) {
                Ok(state) => loaded.states.push(state),
                Err(why) => loaded
                    .unreadable
                    .push(UnreadableState { api_id: String::from_utf8_lossy(api_id).into_owned(), why }),
            }
        }
        Ok(())
    };
    read(&db.connection, &mut loaded).map_err(|e| classify(&db.file, &e))?;
    if loaded.states.len() + loaded.unreadable.len() > RECORDS_MAX {
        return Err(Fault::Person {
            place: db.file.name(),
            what: format!("holds more than {RECORDS_MAX} states"),
            instead: "another path, or delete the states of APIs that are gone".into(),
        });
    }
    Ok(loaded)
}

fn load(db: &mut Db, api_id: &ApiId) -> Result<Option<ApiState>, Fault> {
    let read = |connection: &rusqlite::Connection| {
        connection
            .prepare_cached(READ_ONE)?
            .query_row([api_id.as_str()], |row| {
                Ok(read_record(api_id.as_str().as_bytes(), row.get(0)?, row.get_ref(1)?.as_bytes()?))
            })
            .optional()
    };
    match read(&db.connection).map_err(|e| classify(&db.file, &e))? {
        None => Ok(None),
        Some(Ok(state)) => Ok(Some(state)),
        Some(Err(why)) => Err(fault::unreadable(db.file.name(), api_id, &why)),
    }
}

fn read_record(api_id: &[u8], version: i64, text: &[u8]) -> Result<ApiState, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the record is not UTF-8".to_owned())?;
    let state = record::read_text(text)?;
    if state.api_id.as_str().as_bytes() != api_id {
        return Err(format!("the record is that of {}", state.api_id));
    }
    if u64::try_from(version) != Ok(state.version) {
        return Err(format!("the column version is {version}, and the record's is {}", state.version));
    }
    Ok(state)
}

/// One transaction. A conflict is one write's own; a fault of the file takes all of them back.
fn commit(db: &mut Db, writes: &[StateWrite]) -> Result<Vec<Result<(), CommitError>>, Fault> {
    let Db { connection, file, buffer, .. } = db;
    let mut write_all = || -> rusqlite::Result<Vec<Result<(), CommitError>>> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(writes.len());
        {
            let mut create = transaction.prepare_cached(CREATE)?;
            let mut replace = transaction.prepare_cached(REPLACE)?;
            for state in writes {
                results.push(write_one(&mut create, &mut replace, state, buffer)?);
            }
        }
        transaction.commit()?;
        Ok(results)
    };
    write_all().map_err(|e| classify(file, &e))
}

fn write_one(
    create: &mut rusqlite::Statement<'_>,
    replace: &mut rusqlite::Statement<'_>,
    state: &ApiState,
    buffer: &mut Vec<u8>,
) -> rusqlite::Result<Result<(), CommitError>> {
    // SQLite counts to i64::MAX. No real version comes near; and none is 0, which is that of a state never stored.
    let Ok(version @ 1..) = i64::try_from(state.version) else {
        return Ok(Err(CommitError::Conflict));
    };
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &Record::from(state))
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let text = std::str::from_utf8(buffer)?;
    let (api_id, status) = (state.api_id.as_str(), state.status.as_str());
    let changed = match version {
        1 => create.execute(params![api_id, version, status, text])?,
        _ => replace.execute(params![api_id, version, status, text, version - 1])?,
    };
    Ok(if changed == 1 { Ok(()) } else { Err(CommitError::Conflict) })
}
