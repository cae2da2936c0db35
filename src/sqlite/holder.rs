//! Which process holds the lock of an SQLite file, by the kernel's list of locks: to take the lock, even for a moment, could keep a
//! daemon from starting.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::instance_lock::lock_path;

/// The kernel's list (proc_locks(5)).
const LOCKS: &str = "/proc/locks";

/// The process that holds the lock of the file at `path`, if one does.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn holder(path: &Path) -> Result<Option<u32>, String> {
    let Some(Ok(lock)) = lock_path(path).map(std::fs::metadata) else { return Ok(None) };
    let locks = std::fs::read_to_string(LOCKS).map_err(|error| format!("{LOCKS} cannot be read: {error}"))?;
    Ok(holder_of(&locks, lock.ino()))
}

/// A line is `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: process, device, inode. A file system may give its files
/// another device than that, so the inode decides.
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
        assert_eq!(holder(&path), Ok(None));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let lock = std::fs::File::create(folder.path().join("a.db.lock")).unwrap();
        assert_eq!(holder(&path), Ok(None), "a file that nobody holds");
        lock.try_lock().unwrap();
        assert_eq!(holder(&path), Ok(Some(std::process::id())));
    }
}
