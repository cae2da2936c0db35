//! Promise 1 on a file: a write that was acknowledged survives kill -9. A child process writes and says what was acknowledged; it is
//! killed in the middle of it, and the file is looked at.

use std::path::Path;
use std::sync::Arc;

use api_health::clock::SystemClock;
use api_health::sqlite::SqliteFile;
use api_health::store::history::SqliteHistoryStore;
use api_health_core::history::{HistoryItem, HistorySlot};

use super::{all_days, day, item, shop, write};
use crate::worlds::{block_on, kill_after, say_acknowledged};

const TEST: &str = "history_store::durability::a_write_that_was_acknowledged_survives_kill_9";
/// Names the file to the child, which is this very test in another process.
const CHILD_FILE: &str = "API_HEALTH_TEST_HISTORY_FILE";
const KILLS: u64 = 5;
const ITEMS: i32 = 20;

#[test]
fn a_write_that_was_acknowledged_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD_FILE) {
        write_without_end(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-health.db");
    let mut acknowledged = 0;
    for kill in 1..=KILLS {
        acknowledged = acknowledged.max(kill_after(TEST, CHILD_FILE, &path, acknowledged + 7 * kill));
        let found = block_on(all_days(&open(&path)));
        assert_eq!(found, batch(found[0].epoch), "a batch is there whole or not at all");
        assert!(found[0].epoch >= acknowledged, "{acknowledged} was acknowledged, {} is there", found[0].epoch);
        acknowledged = found[0].epoch;
    }
}

fn open(path: &Path) -> SqliteHistoryStore {
    SqliteHistoryStore::open(&SqliteFile::open(path).unwrap(), Arc::new(SystemClock)).unwrap()
}

fn batch(epoch: u64) -> Vec<HistoryItem> {
    let of = |n| HistoryItem {
        epoch,
        ..item(shop(), HistorySlot::Day(day("2026-11-01").plus_days(n)), format!("{epoch}").repeat(50).as_bytes())
    };
    (0..ITEMS).map(of).collect()
}

/// Raises the epoch of all by one, batch after batch, and says each that was acknowledged.
fn write_without_end(path: &Path) -> ! {
    let store = open(path);
    block_on(async {
        let first = all_days(&store).await.first().map_or(1, |item| item.epoch + 1);
        for epoch in first.. {
            write(&store, &batch(epoch)).await;
            say_acknowledged(epoch);
        }
    });
    unreachable!("it is killed")
}
