//! Which process watches by the store: one that answers on its control socket says so itself. Who holds the SQLite file
//! without answering is looked up in the kernel's list of locks, since taking the lock, even for a moment, could keep a
//! daemon from starting.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::report::Finding;
use crate::cli::checks::Check;
use crate::cli::settings::{self, Other};
use crate::cli::text::line;
use crate::control::client::{ControlError, Found};
use crate::settings::LoadedSettings;
use crate::sqlite::lock_path;

/// The kernel's list (proc_locks(5)).
const LOCKS: &str = "/proc/locks";

/// The process that watches.
#[derive(Debug)]
pub(in crate::cli) struct Watcher {
    pub(in crate::cli) pid: u32,
    pub(super) uid: Option<u32>,
    /// Its version, and since when it runs, if it answers.
    pub(super) about: Option<String>,
}

impl Watcher {
    fn new(pid: u32, about: Option<String>) -> Self {
        let uid = std::fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid());
        Self { pid, uid, about }
    }

    /// One that answers.
    pub(super) fn that_answers(found: &Found) -> Self {
        let who = &found.who;
        Self::new(who.pid, Some(line(&format!("version {}, since {}", who.version, who.since))))
    }
}

/// Who holds the lock of the SQLite file at `path`, if anybody does.
pub(in crate::cli) fn find(path: &Path) -> Result<Option<Watcher>, String> {
    let Some(Ok(lock)) = lock_path(path).map(std::fs::metadata) else { return Ok(None) };
    let locks = std::fs::read_to_string(LOCKS).map_err(|error| format!("{LOCKS} cannot be read: {error}"))?;
    Ok(holder(&locks, &lock).map(|pid| Watcher::new(pid, None)))
}

/// What is told of it.
pub(super) fn finding(found: &Result<Option<Watcher>, String>, name: impl Fn(u32) -> String) -> Finding {
    match found {
        Ok(None) => Finding::ok(Check::Daemon, "no process watches by this file just now"),
        Ok(Some(Watcher { pid, uid, about })) => {
            let user = uid.map(|uid| format!(" of {}", name(uid))).unwrap_or_default();
            let about = about.as_ref().map(|about| format!(": {about}")).unwrap_or_default();
            Finding::ok(Check::Daemon, format!("process {pid}{user} watches by this store{about}"))
        }
        Err(why) => Finding::not_checked(Check::Daemon, why.clone()),
    }
}

/// What is told of a daemon that listens and does not answer.
pub(super) fn does_not_answer(error: &ControlError) -> Option<Finding> {
    // Another user's socket tells nothing of the daemon.
    let is_its_fault = *error != ControlError::NotOurs;
    is_its_fault.then(|| {
        let todo = "see what it does, and restart it if it does nothing: systemctl status api-health";
        Finding::warn(Check::Daemon, line(&error.to_string()), todo)
    })
}

/// What it has otherwise than it is written, as far as it says so.
pub(super) async fn other_settings(loaded: &LoadedSettings, found: &Found) -> Option<Finding> {
    let others = settings::others(loaded, found).await.ok()??;
    let what = format!("it runs with other settings than are written: {}", Other::words(&others));
    (!others.is_empty()).then(|| Finding::warn(Check::Daemon, what, "restart it: systemctl restart api-health"))
}

/// A line is `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: process, device, inode. A file system may give its files
/// another device than that, so the inode decides.
fn holder(locks: &str, lock: &Metadata) -> Option<u32> {
    holder_of(locks, lock.ino())
}

fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else { return None };
        let is_it = place.rsplit(':').next()?.parse() == Ok(inode);
        pid.parse().ok().filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_by_the_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 00:2f:42 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 00:2f:42 0 EOF\nodd\n";
        assert_eq!(holder_of(locks, 42), Some(1234));
        assert_eq!(holder_of(locks, 43), None);
    }

    #[test]
    fn a_lock_of_our_own_is_found_and_looking_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert!(find(&path).unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let lock = std::fs::File::create(folder.path().join("a.db.lock")).unwrap();
        assert!(find(&path).unwrap().is_none(), "a file that nobody holds");
        lock.try_lock().unwrap();
        assert_eq!(find(&path).unwrap().unwrap().pid, std::process::id());
    }
}
