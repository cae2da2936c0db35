//! The SQLite file that holds states and configs when there is no AWS: how it is created, checked and opened.
//!
//! It is in WAL mode with `synchronous = FULL`: what was acknowledged survives kill -9 and loss of power. Each user of
//! the file has a connection of its own, on a thread of its own ([`Worker`]), since SQLite blocks.

mod errors;
mod holder;
mod instance_lock;
mod wal;
mod worker;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use api_health_actors::ports::StoreError;

use crate::fault::Fault;

pub(crate) use errors::classify;
pub(crate) use holder::holder;
pub use instance_lock::{Holder, InstanceLock};
pub(crate) use instance_lock::{beside, real_path};
pub use worker::close_all;
pub(crate) use worker::{Db, Worker};

/// How long a statement waits for another program's lock before the file counts as locked.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `PRAGMA user_version`: the form of the tables.
const USER_VERSION: i32 = 1;

/// `PRAGMA application_id`: "apih" in ASCII. It tells our files from those of other programs.
const APPLICATION_ID: i32 = 0x6170_6968;

/// How often the switch to WAL is tried while others try the same.
const WAL_ATTEMPTS: u32 = 10;

/// The tables, triggers and the view.
const SCHEMA: &str = include_str!("schema.sql");

/// How much of the file a connection keeps in memory: the inner pages of its trees. All else is read from the system's cache, which takes about 2 µs more a
/// row in a batch of 167.
const CACHE_KIB: i32 = 200;

/// Statements that a connection keeps prepared; more than any user of the file has.
const STATEMENT_CACHE: usize = 16;

/// A file that was found good: it is ours, of a form that this program knows, and may be written to.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    path: PathBuf,
    access: Access,
}

/// What may be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Write,
    /// Looked at only: nothing is made or changed in it.
    Read,
}

impl SqliteFile {
    /// Opens the file at `path`, or creates it, readable and writable for its owner alone: config rows may hold secrets.
    /// Blocks for as long as the disk takes, and for [`BUSY_TIMEOUT`] at most where another program holds the file.
    ///
    /// # Errors
    /// The folder is not there, the file may not be written to, is no SQLite file, belongs to another program, or was
    /// written by a newer version of this one.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let file = Self { path: path.into(), access: Access::Write };
        file.create_if_missing()?;
        file.connect()?;
        Ok(file)
    }

    /// Opens the file at `path` to look at it: it is not created, gets no tables, and its user needs no permission to write.
    /// SQLite itself may move what a killed process left in the `-wal` file beside it into the file.
    ///
    /// # Errors
    /// Those of [`Self::open`]; and it is not there, or has no tables of ours yet.
    pub fn open_to_read(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let file = Self { path: path.into(), access: Access::Read };
        file.connect()?;
        Ok(file)
    }

    /// What people call it: `SQLite file api-health.db`.
    pub fn name(&self) -> String {
        Self::name_of(&self.path)
    }

    fn name_of(path: &Path) -> String {
        format!("SQLite file {}", path.display())
    }

    /// The path as SQLite is given it: to SQLite itself, `:memory:` and `file:…` are no names of files.
    fn plain_path(&self) -> PathBuf {
        if self.path.is_relative() { Path::new(".").join(&self.path) } else { self.path.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of SQLite's beside it whose name ends so.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// SQLite itself would create it readable for all.
    fn create_if_missing(&self) -> Result<(), Fault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(errors::cannot_open(self, &error)),
        }
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Result<Connection, Fault> {
        if std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let (what, remedy) = ("is a pipe, a socket or a device".into(), "the path of a file".into());
            return Err(Fault::Person { place: self.name(), what, remedy });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(self.plain_path(), flags).map_err(|e| classify(self, &e))?;
        self.prepare(&mut connection).map_err(|refusal| match refusal {
            Refusal::Sqlite(error) => classify(self, &error),
            Refusal::Empty => Fault::Person {
                place: self.name(),
                what: "has no tables of api-health yet, so nothing was watched by it".into(),
                remedy: "another path, or start `api-health run`, which makes them".into(),
            },
            Refusal::Foreign => Fault::Person {
                place: self.name(),
                what: "belongs to another program".into(),
                remedy: "another path".into(),
            },
            Refusal::Newer(found) => Fault::Person {
                place: self.name(),
                what: format!(
                    "was written by a newer version of api-health (form {found}, this version knows {USER_VERSION})"
                ),
                remedy: "another path, or run that version".into(),
            },
        })?;
        Ok(connection)
    }

    fn prepare(&self, connection: &mut Connection) -> Result<(), Refusal> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // In one transaction, or another process that makes the tables just now would show half of them.
        let transaction = connection.transaction()?;
        let current = is_current(&transaction)?;
        drop(transaction);
        if self.access == Access::Read {
            // Whatever is asked of the connection later.
            connection.pragma_update(None, "query_only", true)?;
            return if current { Ok(()) } else { Err(Refusal::Empty) };
        }
        if !current {
            // Nothing was written before this, so that a file of another program stays as it is.
            create_tables(connection)?;
        }
        use_wal(connection)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", wal::BYTES_KEPT)?;
        // Opens for writing, so that a file or folder without permission is told now and not at the first commit.
        connection.execute_batch("BEGIN IMMEDIATE; UPDATE api_health_meta SET value = value WHERE 0; ROLLBACK;")?;
        Ok(())
    }
}

/// Why a connection is not used.
enum Refusal {
    Sqlite(rusqlite::Error),
    Empty,
    Foreign,
    Newer(i32),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Whether the file has our tables in the present form; `false` for an empty file, which may become ours.
fn is_current(connection: &Connection) -> Result<bool, Refusal> {
    let (application, version) =
        (pragma::<i32>(connection, "application_id")?, pragma::<i32>(connection, "user_version")?);
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if objects == 0 => Ok(false),
        (APPLICATION_ID, USER_VERSION) => Ok(true),
        (APPLICATION_ID, newer) if newer > USER_VERSION => Err(Refusal::Newer(newer)),
        _ => Err(Refusal::Foreign),
    }
}

/// The mode is a property of the file, so the first one sets it for all. Where two are first, SQLite refuses one of them
/// at once instead of letting it wait; so wait for the other one's lock, and look again.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..WAL_ATTEMPTS {
        if pragma::<String>(connection, "journal_mode")? == "wal" {
            return Ok(());
        }
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
            }
            done => return done,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

/// All or nothing, and once only, however many processes meet at a new file.
fn create_tables(connection: &mut Connection) -> Result<(), Refusal> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !is_current(&transaction)? {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", USER_VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
