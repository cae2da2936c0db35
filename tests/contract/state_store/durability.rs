//! Promise 1 on a file: a write that was acknowledged survives kill -9. A child process writes and says what was
//! acknowledged; it is killed in the middle of it, and the file is looked at.

use std::collections::HashMap;
use std::path::Path;

use api_health::sqlite::SqliteFile;
use api_health::store::SqliteStateStore;
use api_health_actors::ports::StateStore;

use super::worlds::{over_the_one_before, rich};
use crate::worlds::{block_on, kill_after, say_acknowledged};

const TEST: &str = "state_store::durability::a_write_that_was_acknowledged_survives_kill_9";
/// Names the file to the child, which is this very test in another process.
const CHILD_FILE: &str = "API_HEALTH_TEST_DURABILITY_FILE";
const APIS: usize = 20;
const KILLS: u64 = 5;

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
        let store = SqliteStateStore::open(&SqliteFile::open(&path).unwrap()).unwrap();
        let loaded = block_on(store.load_all()).unwrap();
        assert_eq!((loaded.states.len(), loaded.unreadable.len()), (APIS, 0));
        let versions: HashMap<u64, usize> = loaded.states.iter().fold(HashMap::new(), |mut count, state| {
            *count.entry(state.version).or_default() += 1;
            count
        });
        assert_eq!(versions.len(), 1, "a batch is there whole or not at all: {versions:?}");
        for state in loaded.states {
            assert!(
                state.version >= acknowledged,
                "version {acknowledged} was acknowledged, {} is there",
                state.version
            );
            assert_eq!(state, rich(state.api_id.as_str(), state.version));
            acknowledged = acknowledged.max(state.version);
        }
    }
}

/// Raises all versions by one, batch after batch, and says each that was acknowledged.
fn write_without_end(path: &Path) -> ! {
    let store = SqliteStateStore::open(&SqliteFile::open(path).unwrap()).unwrap();
    block_on(async {
        let first = store.load_all().await.unwrap().states.first().map_or(1, |state| state.version + 1);
        for version in first.. {
            let batch = (0..APIS).map(|n| over_the_one_before(rich(&format!("api-{n}"), version))).collect();
            assert!(store.commit(batch).await.iter().all(Result::is_ok));
            say_acknowledged(version);
        }
    });
    unreachable!("it is killed")
}
