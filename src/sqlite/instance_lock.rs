//! Only one process at a time watches by an SQLite file: two would tell everything twice.
//!
//! The lock is the system's (`flock`) on a file beside the database, and goes with the process, however that ends. The text
//! in it is for people: who holds it. It may be older than the lock, so it is believed only while its process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api_health_actors::ports::StoreError;
use api_health_core::Timestamp;
use rustix::process::{Pid, test_kill_process};

use super::SqliteFile;
use crate::fault::{Fault, one_line};

/// What the lock's file is called, after the name of the database.
const SUFFIX: &str = ".lock";

/// How much of the text is read.
const TEXT_BYTES_MAX: u64 = 1_024;

/// A process that has just taken the lock has not written its name yet: the text is read so often, in so many steps.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A lock file may be replaced between opening and locking it; more often than this it is not by chance.
const TRIES: u32 = 5;

/// Holds the lock for as long as it lives.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Who asks for the lock.
#[derive(Clone, Debug)]
pub struct Holder<'a> {
    /// What it does: `api-health run`.
    pub command: &'a str,
    /// The machine that it runs on.
    pub host: &'a str,
    pub since: Timestamp,
}

impl InstanceLock {
    /// Takes the lock of the database at `path`, at once or not at all. `None` where there is nothing to lock, so that opening
    /// the database says why, or where the file system knows no locks, which is logged.
    ///
    /// # Errors
    /// Another process holds it (the text says which), or its file cannot be written.
    pub async fn take(path: &Path, holder: &Holder<'_>) -> Result<Option<Self>, StoreError> {
        let Some(lock) = lock_path(path) else { return Ok(None) };
        for _ in 0..TRIES {
            let mut file = match open(&lock) {
                Ok(file) => file,
                Err(error) => {
                    SqliteFile::open(path)?; // it knows better what is wrong with the folder
                    return Err(cannot(path, &lock, &error.to_string()).into());
                }
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(refusal(path, &mut file, holder.host).await.into()),
                Err(TryLockError::Error(error)) => {
                    let path = path.display().to_string();
                    tracing::warn!(path, %error, "this file system knows no locks: see to it that only one api-health runs on this file");
                    return Ok(None);
                }
            }
            match is_at(&lock, &file) {
                Ok(true) => {
                    write_text(&mut file, holder);
                    return Ok(Some(Self { _file: file }));
                }
                Ok(false) => {} // deleted or replaced meanwhile: a lock on it keeps nobody away
                Err(what) => return Err(cannot(path, &lock, what).into()),
            }
        }
        Err(cannot(path, &lock, "it is replaced again and again").into())
    }
}

/// The database itself, by whatever name or link it is called; `None` where there is or can be none.
pub(crate) fn real_path(path: &Path) -> Option<PathBuf> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => None,
        Ok(_) => path.canonicalize().ok(),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        }
    }
}

/// The file with `suffix` behind the name of the database itself.
pub(crate) fn beside(path: &Path, suffix: &str) -> Option<PathBuf> {
    let mut name = real_path(path)?.into_os_string();
    name.push(suffix);
    Some(name.into())
}

/// The lock's file, beside the database itself.
pub(crate) fn lock_path(path: &Path) -> Option<PathBuf> {
    beside(path, SUFFIX)
}

fn open(lock: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(lock)
}

/// Whether the file that was opened is the one at `lock`, and no link to another.
fn is_at(lock: &Path, file: &File) -> Result<bool, &'static str> {
    match (std::fs::symlink_metadata(lock), file.metadata()) {
        (Ok(there), _) if there.is_symlink() => Err("it is a symbolic link"),
        (Ok(there), Ok(ours)) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        (Err(error), _) if error.kind() == ErrorKind::NotFound => Ok(false),
        _ => Err("it cannot be looked at"),
    }
}

/// What cannot be written is not there to be read: the lock holds without it.
fn write_text(file: &mut File, holder: &Holder<'_>) {
    let text = format!("{}, pid {} on {} since {}\n", holder.command, std::process::id(), holder.host, holder.since);
    let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).and_then(|()| file.flush());
    if let Err(error) = written {
        tracing::debug!(%error, "the lock is held, and who holds it could not be written down");
    }
}

fn cannot(path: &Path, lock: &Path, why: &str) -> Fault {
    Fault::Person {
        place: SqliteFile::name_of(path),
        what: format!("cannot be kept from others: its lock file {}: {}", lock.display(), one_line(why)),
        remedy: "a path in a folder where this user may create files, or move that lock file away".into(),
    }
}

/// Who holds it, as far as that can be believed.
async fn refusal(path: &Path, file: &mut File, host: &str) -> Fault {
    let mut holder = None;
    for _ in 0..LOOKS {
        holder = read_text(file).filter(|text| is_alive(text, host));
        if holder.is_some() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (who, how) = match holder {
        Some(text) => {
            let here = named(&text).filter(|(_, on)| *on == host);
            (text.clone(), here.map(|(pid, _)| format!(": kill {}", pid.as_raw_nonzero())).unwrap_or_default())
        }
        None => ("another api-health, which did not write down who it is".into(), String::new()),
    };
    Fault::Person {
        place: SqliteFile::name_of(path),
        what: format!("is in use: {who}"),
        remedy: format!("another store.path for this one, or stop that one first{how}"),
    }
}

fn read_text(file: &mut File) -> Option<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(one_line(&String::from_utf8_lossy(&bytes))).filter(|text| !text.is_empty())
}

/// The process and the machine that a text names.
fn named(text: &str) -> Option<(Pid, &str)> {
    let (pid, rest) = text.split_once(", pid ")?.1.split_once(" on ")?;
    Some((Pid::from_raw(pid.parse().ok()?)?, rest.split_once(" since ")?.0))
}

/// Nothing can be said of a process of another machine.
fn is_alive(text: &str, host: &str) -> bool {
    named(text).is_some_and(|(pid, on)| on != host || test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Holder<'_> = Holder { command: "api-health run", host: "here", since: Timestamp::from_millis(0) };

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn take(path: &Path) -> Result<Option<InstanceLock>, String> {
        block_on(InstanceLock::take(path, &US)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_second_is_refused_by_any_name_of_the_file_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let first = take(&path).unwrap().unwrap();
        let pid = std::process::id();
        assert_eq!(
            take(&path).unwrap_err(),
            format!(
                "SQLite file {} is in use: api-health run, pid {pid} on here since 1970-01-01T00:00:00.000Z; \
                 write another store.path for this one, or stop that one first: kill {pid}",
                path.display()
            )
        );
        std::fs::write(&path, "").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        take(&link).unwrap_err();
        assert!(take(&folder.path().join("b.db")).unwrap().is_some(), "another file is another's");
        drop(first);
        assert!(take(&link).unwrap().is_some());
        let lock = std::fs::metadata(folder.path().join("a.db.lock")).unwrap();
        assert_eq!(lock.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_stale_text_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock) = (folder.path().join("a.db"), folder.path().join("a.db.lock"));
        let dead = std::process::Command::new("true").spawn().map(|mut child| {
            child.wait().unwrap();
            child.id()
        });
        let stale = format!("api-health run, pid {} on here since 2026-01-01T00:00:00.000Z\n", dead.unwrap());
        std::fs::write(&lock, &stale).unwrap();
        let held = open(&lock).unwrap();
        held.try_lock().unwrap();
        let refused = take(&path).unwrap_err();
        assert!(refused.contains("is in use: another api-health, which did not write down who it is;"), "{refused}");
        drop(held);
        let held = take(&path).unwrap().unwrap();
        assert!(std::fs::read_to_string(&lock).unwrap().contains(&format!("pid {}", std::process::id())));
        // A lock file that was deleted keeps nobody away: whoever comes next must not think that it does.
        std::fs::remove_file(&lock).unwrap();
        assert!(!is_at(&lock, &held._file).unwrap());
        // Of another machine's process nothing is known.
        drop(held);
        std::fs::write(&lock, stale.replace("on here", "on there")).unwrap();
        let held = open(&lock).unwrap();
        held.try_lock().unwrap();
        let refused = take(&path).unwrap_err();
        assert!(refused.contains("on there since") && refused.ends_with("stop that one first"), "{refused}");
    }

    #[test]
    fn of_a_text_without_an_end_no_more_is_told_than_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("a.db.lock");
        let text = format!("api-health run, pid 1 on there since {}\n\u{1b}[2J", "9".repeat(100_000));
        std::fs::write(&lock, text).unwrap();
        let held = open(&lock).unwrap();
        held.try_lock().unwrap();
        let refused = take(&folder.path().join("a.db")).unwrap_err();
        assert!(refused.len() < 600 && refused.contains("999…"), "{} {refused}", refused.len());
        assert!(read_text(&mut open(&lock).unwrap()).unwrap().chars().all(|c| !c.is_control()));
    }

    #[test]
    fn where_there_is_nothing_to_lock_opening_says_so_and_a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        assert!(take(folder.path()).unwrap().is_none(), "a folder");
        assert!(take(&folder.path().join("no/such/a.db")).unwrap().is_none());
        assert!(take(Path::new("")).unwrap().is_none());
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, folder.path().join("a.db.lock")).unwrap();
        let refused = take(&folder.path().join("a.db")).unwrap_err();
        assert!(refused.contains("it is a symbolic link; write a path in a folder"), "{refused}");
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
    }
}
