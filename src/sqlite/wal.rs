//! The write-ahead log, the file `-wal` beside the database: SQLite writes into it first, and begins it again when nobody reads what
//! was there before. So a program that keeps one reading open (a backup, a forgotten shell) makes it grow with each write.
//! Nothing but its end helps; it is said, and the file shrinks again after it.

use std::path::Path;
use std::time::Duration;

use api_health_core::throttle::LogThrottle;
use rusqlite::Connection;

use crate::clock::since_boot;

/// The file keeps no more than this when it begins again.
pub(super) const BYTES_KEPT: i64 = 4 * 1024 * 1024;

/// One that is longer than this is looked into. Without a reader it is as long as a few batches.
const BYTES_LONG: u64 = 8 * 1024 * 1024;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was seen of it.
#[derive(Default)]
pub(crate) struct Wal {
    looked_at: Duration,
    /// At the last look somebody read what should be gone.
    is_pinned: bool,
    said: LogThrottle,
}

impl Wal {
    /// Says it if somebody has kept it from beginning again, now and at the look before. To be called after a write.
    pub(crate) fn look(&mut self, connection: &Connection, path: &Path) {
        let now = since_boot();
        if now.saturating_sub(self.looked_at) < LOOK_EVERY {
            return;
        }
        self.looked_at = now;
        let was_pinned = std::mem::replace(&mut self.is_pinned, is_pinned(connection, path));
        if was_pinned && self.is_pinned && self.said.allow(now).is_some() {
            let (mib, wal) = (length(path) >> 20, path.display());
            tracing::warn!(
                "{wal} has {mib} MiB and grows with each write: another program has been reading the database without an end; \
                 end it (fuser {wal})"
            );
        }
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// Whether most of a long log cannot be moved into the database, since somebody reads what was there before.
fn is_pinned(connection: &Connection, path: &Path) -> bool {
    if length(path) < BYTES_LONG {
        return false;
    }
    // Waits for nobody.
    let moved = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
    moved.is_ok_and(|(pages, moved)| moved < pages / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteFile;

    #[test]
    fn a_long_reader_is_noticed_and_the_log_is_short_again_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
        let wal = file.beside("-wal");
        let (writer, reader) = (file.connect().unwrap(), file.connect().unwrap());
        let write = || {
            let row = format!("{{\"x\":\"{}\"}}", "x".repeat(100_000));
            let put = "INSERT OR REPLACE INTO api_health_configs (api_id, row) VALUES ('a', ?1)";
            writer.execute(put, [row]).unwrap();
        };
        writer.pragma_update(None, "synchronous", "off").unwrap(); // nothing here has to survive
        write();
        reader.execute_batch("BEGIN").unwrap();
        reader.query_row("SELECT count(*) FROM api_health_configs", [], |row| row.get::<_, i64>(0)).unwrap();
        while length(&wal) < 2 * BYTES_LONG {
            write();
        }
        assert!(is_pinned(&writer, &wal));
        reader.execute_batch("COMMIT").unwrap();
        assert!(!is_pinned(&writer, &wal), "nobody reads any more");
        (0..100).for_each(|_| write());
        assert!(length(&wal) <= BYTES_LONG, "{} bytes", length(&wal));
    }
}
