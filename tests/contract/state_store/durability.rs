//! Promise 1 on a file: a write that was acknowledged survives kill -9. A child process writes and says what was
//! acknowledged; it is killed in the middle of it, and the file is looked at.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use api_health::sqlite::SqliteFile;
use api_health::store::SqliteStateStore;
use api_health_actors::ports::StateStore;

use super::worlds::{block_on, over_the_one_before, rich};

/// Names the file to the child, which is this very test in another process.
const CHILD_FILE: &str = "API_HEALTH_TEST_DURABILITY_FILE";
const APIS: usize = 20;
const KILLS: usize = 5;

#[test]
fn a_write_that_was_acknowledged_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD_FILE) {
        write_without_end(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-health.db");
    let mut acknowledged = 0;
    for kill in 1..=KILLS {
        acknowledged = acknowledged.max(kill_after(&path, acknowledged + 7 * kill as u64));
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

/// Has a child write until it acknowledged `version`, and kills it. Returns what it acknowledged last.
fn kill_after(path: &Path, version: u64) -> u64 {
    let name = "state_store::durability::a_write_that_was_acknowledged_survives_kill_9";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = |until: u64| {
        for line in lines.by_ref() {
            if let Some(text) = line.unwrap().strip_prefix("acknowledged ") {
                last = text.parse().unwrap();
                if last >= until {
                    break;
                }
            }
        }
        last
    };
    assert!(read(version) >= version, "the child ended by itself");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    read(u64::MAX) // what it said before it was killed
}

/// Raises all versions by one, batch after batch, and says each that was acknowledged.
fn write_without_end(path: &Path) -> ! {
    let store = SqliteStateStore::open(&SqliteFile::open(path).unwrap()).unwrap();
    block_on(async {
        let first = store.load_all().await.unwrap().states.first().map_or(1, |state| state.version + 1);
        for version in first.. {
            let batch = (0..APIS).map(|n| over_the_one_before(rich(&format!("api-{n}"), version))).collect();
            assert!(store.commit(batch).await.iter().all(Result::is_ok));
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {version}").unwrap();
            out.flush().unwrap();
        }
    });
    unreachable!("it is killed")
}
