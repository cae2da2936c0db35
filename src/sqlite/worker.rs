//! A connection on a thread of its own: jobs go in, answers come out, and nobody who waits blocks an actor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;

use super::wal::Wal;
use super::{SqliteFile, classify};

/// Jobs that may wait for the thread; a caller beyond that waits for room.
const JOBS_WAITING_MAX: usize = 16;

/// How long its handle waits for the thread to close the file.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// How long the end of the process waits for all of them.
const CLOSE_ALL_MAX: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// The threads of this process.
static OPEN: Mutex<Vec<mpsc::WeakSender<Job>>> = Mutex::new(Vec::new());

/// Their connections.
static CONNECTIONS: Connections = Connections::new();

struct Connections {
    /// Of two that are closed at once, each would take the other for one that stays, and neither would move the write-ahead log into
    /// the file. A disk may hang meanwhile, so that nobody waits for this but who closes another.
    closing: Mutex<()>,
    open: Mutex<usize>,
    one_closed: Condvar,
}

impl Connections {
    const fn new() -> Self {
        Self { closing: Mutex::new(()), open: Mutex::new(0), one_closed: Condvar::new() }
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, connection: Connection) {
        let alone = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        drop(connection);
        drop(alone);
        self.closed();
    }

    fn closed(&self) {
        *self.count() -= 1;
        self.one_closed.notify_all();
    }

    /// Waits until all are closed, or for so long: a disk may hang.
    fn wait(&self, within: Duration) {
        let _ = self.one_closed.wait_timeout_while(self.count(), within, |open| *open > 0);
    }
}

/// Closes every connection of this process, so that the database is one file that can be copied: the last one to close it moves
/// the write-ahead log into it. Nothing is read or written after this; the process is about to end.
pub fn close_all() {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    for jobs in open.iter().filter_map(mpsc::WeakSender::upgrade) {
        let _ = jobs.try_send(Box::new(Db::close)); // a thread that hangs takes nothing
    }
    // Some are being closed already by threads of their own, whose handles were dropped elsewhere a moment ago.
    CONNECTIONS.wait(CLOSE_ALL_MAX);
}

/// What a job works with.
pub(crate) struct Db {
    pub(crate) connection: Connection,
    /// The file that it was opened on.
    pub(crate) file: SqliteFile,
    /// Room for the text of one record, kept from job to job.
    pub(crate) buffer: Vec<u8>,
    /// How its write-ahead log is.
    wal: Wal,
    /// Which file that was, to notice when another one, or none, is in its place.
    identity: Option<Identity>,
    is_closed: bool,
}

/// Device and inode.
type Identity = (u64, u64);

/// The handle of the thread. When it is dropped, the jobs that were taken are finished and the connection is closed.
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    /// Says nothing, and is closed when the thread ends.
    end: std::sync::Mutex<Receiver<()>>,
    file: SqliteFile,
}

impl Worker {
    /// Opens a connection and starts its thread, called `name` where threads are listed.
    pub(crate) fn start(file: &SqliteFile, name: &str) -> Result<Self, Fault> {
        Self::start_with(file, name, |_| Ok(()))
    }

    /// The same with a connection that `prepare` sets up in its own way.
    pub(crate) fn start_with(
        file: &SqliteFile,
        name: &str,
        prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, Fault> {
        let connection = file.connect()?;
        prepare(&connection).map_err(|error| classify(file, &error))?;
        let (wal, identity) = (Wal::default(), identity(file));
        let db = Db { connection, file: file.clone(), buffer: Vec::new(), wal, identity, is_closed: false };
        *CONNECTIONS.count() += 1;
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_WAITING_MAX);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|jobs| jobs.strong_count() > 0);
        open.push(jobs.downgrade());
        drop(open);
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let run = move || {
            // Dropped at the end of the thread, which is how its handle hears of that: after the connection, and so before it
            // in this order.
            let _ended = ended;
            let mut db = db;
            while let Some(job) = waiting.blocking_recv() {
                // A job that panics drops its answer, and its caller is told; the next job finds the thread alive.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut db)));
            }
            db.close();
        };
        std::thread::Builder::new().name(name.into()).spawn(run).map_err(|e| {
            CONNECTIONS.closed();
            Fault::Wait { place: file.name(), what: format!("got no thread: {e}") }
        })?;
        Ok(Self { jobs: Some(jobs), end: std::sync::Mutex::new(end), file: file.clone() })
    }

    /// Has `job` done on the thread. A caller that no longer waits does not stop it.
    pub(crate) async fn call<T, J>(&self, job: J) -> Result<T, Fault>
    where
        T: Send + 'static,
        J: FnOnce(&mut Db) -> Result<T, Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db: &mut Db| {
            let result = db.check_identity().and_then(|()| job(db));
            let _ = answer.send(result); // the caller may have gone
        });
        let died = || Fault::Wait { place: self.file.name(), what: "gave no answer: its thread failed".into() };
        let jobs = self.jobs.as_ref().ok_or_else(died)?;
        jobs.send(job).await.map_err(|_| died())?;
        answered.await.map_err(|_| died())?
    }
}

impl Drop for Worker {
    /// Waits for the thread, so that a file that was let go of is closed, but not without end: a disk that hangs must not keep
    /// a process from ending.
    fn drop(&mut self) {
        self.jobs = None;
        let end = self.end.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = end.recv_timeout(CLOSE_MAX); // closed: it ended; timed out: it hangs
    }
}

impl Db {
    fn close(&mut self) {
        if !self.is_closed
            && let Ok(nothing) = Connection::open_in_memory()
        {
            self.is_closed = true;
            CONNECTIONS.close(std::mem::replace(&mut self.connection, nothing));
        }
    }

    /// To be called after a write of states.
    pub(crate) fn look_at_wal(&mut self) {
        self.wal.look(&self.connection, &self.file.beside("-wal"));
    }

    /// SQLite goes on writing to a file that was deleted or replaced, and all of it would be lost: refuse that.
    fn check_identity(&self) -> Result<(), Fault> {
        if identity(&self.file) == self.identity {
            return Ok(());
        }
        Err(Fault::Person {
            place: self.file.name(),
            what: "was moved, deleted or replaced while it was in use".into(),
            remedy: "that file back to its place, or start api-health again".into(),
        })
    }
}

#[cfg(unix)]
fn identity(file: &SqliteFile) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file.path()).ok().map(|m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn identity(_: &SqliteFile) -> Option<Identity> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_hangs_while_a_connection_is_closed_keeps_no_process_from_ending() {
        static OURS: Connections = Connections::new();
        *OURS.count() += 2;
        let hangs = OURS.closing.lock().unwrap();
        let closers = [0, 1].map(|_| std::thread::spawn(|| OURS.close(Connection::open_in_memory().unwrap())));
        OURS.wait(Duration::from_millis(1));
        assert_eq!(*OURS.count(), 2, "nobody waited for the disk");
        drop(hangs);
        OURS.wait(Duration::MAX);
        assert_eq!(*OURS.count(), 0);
        closers.into_iter().for_each(|closer| closer.join().unwrap());
    }
}
