//! States in an SQLite file: one transaction for each batch, each write of it conditional on the version before, and on no
//! higher epoch.

use api_health_actors::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredHeartbeat, StoredState,
    UnreadableState,
};
use api_health_core::{ApiId, Heartbeat};
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::RECORDS_MAX;
use super::record::heartbeat::{self, HeartbeatRecord};
use super::record::{self, StateRecord, Unreadable};
use crate::fault::Fault;
use crate::sqlite::{Db, SqliteFile, Worker, classify};

/// A transaction costs one flush to disk, however much is in it; 1,000 states take a few milliseconds. With one writer
/// to a file, a second batch under way would only wait.
const LIMITS: CommitLimits = CommitLimits { batch_max: 1_000, batches_in_flight_max: 1 };

/// The longest record that is read: DynamoDB's have 400 KB at most, and 50 owed alerts fit into that.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

const CREATE: &str = "INSERT INTO api_health_states (api_id, version, status, record) VALUES (?1, ?2, ?3, ?4)
                      ON CONFLICT (api_id) DO NOTHING";
/// What is no JSON is no record to replace: it is read, and set aside.
const REPLACE: &str = "UPDATE api_health_states SET version = ?2, status = ?3, record = ?4
                       WHERE api_id = ?1 AND version = ?5 AND CASE WHEN json_valid(record)
                           THEN coalesce(json_extract(record, '$.epoch'), 0) <= ?6 ELSE FALSE END";
const READ_ONE: &str = "SELECT version, record FROM api_health_states WHERE api_id = ?1";
/// Made when it is needed first: a file of the first release has none.
const SET_ASIDE_TABLE: &str = "CREATE TABLE IF NOT EXISTS api_health_states_set_aside (
                                   api_id TEXT NOT NULL, version INTEGER, record TEXT, why TEXT NOT NULL, at TEXT NOT NULL
                               ) STRICT";
const SET_ASIDE: &str = "INSERT INTO api_health_states_set_aside (api_id, version, record, why, at)
                         SELECT api_id, version, record, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                         FROM api_health_states WHERE api_id = ?1";
/// A table of its own, made when it is needed first, so that releases without heartbeats see nothing of it. One row.
const HEARTBEAT_TABLE: &str = "CREATE TABLE IF NOT EXISTS api_health_heartbeat (
                                   id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL
                               ) STRICT";
const WRITE_HEARTBEAT: &str = "INSERT OR REPLACE INTO api_health_heartbeat (id, record) VALUES (1, ?1)";
const READ_HEARTBEAT: &str = "SELECT record FROM api_health_heartbeat";
const HAS_TABLE: &str = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1";
const COUNT_SET_ASIDE: &str = "SELECT count(*) FROM api_health_states_set_aside";
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

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async { Ok(self.worker.call(move |db| load(db, &api_id)).await?) }.boxed()
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(self.worker.call(move |db| quarantine(db, &record)).await?) }.boxed()
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let count = writes.len();
            let job = move |db: &mut Db| commit(db, &writes).inspect(|_| db.look_at_wal());
            match self.worker.call(job).await {
                Ok(results) => results,
                Err(fault) => vec![Err(CommitError::Store(fault.into())); count],
            }
        }
        .boxed()
    }

    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(self.worker.call(move |db| write_heartbeat(db, &heartbeat)).await?) }.boxed()
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        async { Ok(self.worker.call(read_heartbeat).await?.into_iter().collect()) }.boxed()
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
                Err(unreadable) => loaded.unreadable.push(unreadable),
            }
        }
        if has_table(connection, "api_health_states_set_aside")? {
            loaded.quarantined = connection.query_row(COUNT_SET_ASIDE, [], |row| row.get::<_, u32>(0))? as usize;
        }
        Ok(())
    };
    read(&db.connection, &mut loaded).map_err(|e| classify(&db.file, &e))?;
    if loaded.states.len() + loaded.unreadable.len() > RECORDS_MAX {
        return Err(Fault::Person {
            place: db.file.name(),
            what: format!("holds more than {RECORDS_MAX} states"),
            remedy: "another path, or delete the states of APIs that are gone".into(),
        });
    }
    Ok(loaded)
}

pub(super) fn has_table(connection: &rusqlite::Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached(HAS_TABLE)?.query_row([name], |row| row.get(0))
}

fn load(db: &mut Db, api_id: &ApiId) -> Result<Option<StoredState>, Fault> {
    let read = |connection: &rusqlite::Connection| {
        connection
            .prepare_cached(READ_ONE)?
            .query_row([api_id.as_str()], |row| {
                Ok(read_record(api_id.as_str().as_bytes(), row.get(0)?, row.get_ref(1)?.as_bytes()?))
            })
            .optional()
    };
    read(&db.connection).map_err(|e| classify(&db.file, &e))
}

fn read_record(api_id: &[u8], version: i64, text: &[u8]) -> StoredState {
    let read = || -> Result<_, Unreadable> {
        if text.len() > RECORD_BYTES_MAX {
            return Err(format!("the record has more than {RECORD_BYTES_MAX} bytes").into());
        }
        let text = std::str::from_utf8(text).map_err(|_| "the record is not UTF-8".to_owned())?;
        let state = record::read_text(text)?;
        if state.api_id.as_str().as_bytes() != api_id {
            return Err(format!("the record is that of {}", state.api_id).into());
        }
        if u64::try_from(version) != Ok(state.version) {
            return Err(format!("the column version is {version}, and the record's is {}", state.version).into());
        }
        Ok(state)
    };
    read().map_err(|unreadable| unreadable.of(String::from_utf8_lossy(api_id).into_owned()))
}

/// In one transaction, so that the record is in one place or the other, and looked at again in it.
fn quarantine(db: &mut Db, record: &UnreadableState) -> Result<(), Fault> {
    let Db { connection, file, .. } = db;
    let mut move_it = || -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_damaged = transaction
            .query_row(READ_ONE, [&record.api_id], |row| {
                let stored = read_record(record.api_id.as_bytes(), row.get(0)?, row.get_ref(1)?.as_bytes()?);
                Ok(stored.is_err_and(|unreadable| !unreadable.is_newer))
            })
            .optional()?;
        if is_damaged == Some(true) {
            transaction.execute_batch(SET_ASIDE_TABLE)?;
            transaction.execute(SET_ASIDE, [&record.api_id, &record.why])?;
            transaction.execute("DELETE FROM api_health_states WHERE api_id = ?1", [&record.api_id])?;
        }
        transaction.commit()
    };
    move_it().map_err(|e| classify(file, &e))
}

/// One transaction of its own, so that a fault of it takes no state's write back.
fn write_heartbeat(db: &mut Db, heartbeat: &Heartbeat) -> Result<(), Fault> {
    let Db { connection, file, .. } = db;
    let mut write = || -> rusqlite::Result<()> {
        let text = serde_json::to_string(&HeartbeatRecord::from(heartbeat))
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(HEARTBEAT_TABLE)?;
        transaction.prepare_cached(WRITE_HEARTBEAT)?.execute([text])?;
        transaction.commit()
    };
    write().map_err(|e| classify(file, &e))
}

fn read_heartbeat(db: &mut Db) -> Result<Option<StoredHeartbeat>, Fault> {
    let read = |connection: &rusqlite::Connection| -> rusqlite::Result<Option<StoredHeartbeat>> {
        if !has_table(connection, "api_health_heartbeat")? {
            return Ok(None);
        }
        connection.query_row(READ_HEARTBEAT, [], |row| Ok(heartbeat::read_text(row.get_ref(0)?.as_bytes()?))).optional()
    };
    read(&db.connection).map_err(|e| classify(&db.file, &e))
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
            for write in writes {
                results.push(write_one(&mut create, &mut replace, write, buffer)?);
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
    StateWrite { expected_version, state }: &StateWrite,
    buffer: &mut Vec<u8>,
) -> rusqlite::Result<Result<(), CommitError>> {
    // SQLite counts to i64::MAX. No real version or epoch comes near.
    let numbers = (i64::try_from(state.version), i64::try_from(*expected_version), i64::try_from(state.epoch));
    let (Ok(version), Ok(expected_version), Ok(epoch)) = numbers else { return Ok(Err(CommitError::Conflict)) };
    if version <= expected_version {
        return Ok(Err(CommitError::Conflict));
    }
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &StateRecord::from(&**state))
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let text = std::str::from_utf8(buffer)?;
    let (api_id, status) = (state.api_id.as_str(), state.status.as_str());
    let changed = match expected_version {
        0 => create.execute(params![api_id, version, status, text])?,
        _ => replace.execute(params![api_id, version, status, text, expected_version, epoch])?,
    };
    Ok(if changed == 1 { Ok(()) } else { Err(CommitError::Conflict) })
}

#[cfg(test)]
mod tests {
    use api_health_core::ApiState;

    use super::*;

    #[test]
    fn a_record_has_so_many_bytes_at_most() {
        let record = |note: usize| {
            let mut json = serde_json::to_value(StateRecord::from(&ApiState {
                version: 1,
                ..ApiState::unknown(ApiId::parse("a").unwrap())
            }))
            .unwrap();
            json["note"] = "x".repeat(note).into();
            json.to_string()
        };
        let room = RECORD_BYTES_MAX - record(0).len();
        assert!(read_record(b"a", 1, record(room).as_bytes()).is_ok());
        let why = read_record(b"a", 1, record(room + 1).as_bytes()).unwrap_err().why;
        assert!(why.contains("more than 1048576 bytes"), "{why}");
    }
}
