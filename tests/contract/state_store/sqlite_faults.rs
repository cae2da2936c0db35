//! What goes wrong with a file, told by who must act.

use std::path::Path;
use std::sync::Arc;

use api_health::sqlite::{BUSY_TIMEOUT, SqliteFile};
use api_health::store::SqliteStateStore;
use api_health_actors::ports::{CommitError, StateStore, StateWrite, StoreError};

use super::worlds::{over_the_one_before, rich};
use crate::worlds::block_on;

#[test]
fn a_file_that_another_program_holds_is_waited_for_within_bounds_and_then_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let other = rusqlite::Connection::open(file.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    block_on(async {
        let began = tokio::time::Instant::now();
        let results = store.commit(vec![over_the_one_before(rich("a", 1)), over_the_one_before(rich("b", 1))]).await;
        let locked = StoreError::Unavailable(format!(
            "{} is locked by another program; `fuser '{}'` lists who has it open, this program too",
            file.name(),
            file.path().display()
        ));
        assert_eq!(results, [Err(CommitError::Store(locked.clone())), Err(CommitError::Store(locked))]);
        assert!(began.elapsed() < BUSY_TIMEOUT * 2);
        assert!(store.load_all().await.unwrap().states.is_empty(), "reading goes on");
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(store.commit(vec![over_the_one_before(rich("a", 1))]).await, [Ok(())]);
    });
}

#[test]
fn a_folder_that_may_not_be_written_to_is_told_at_the_start() {
    const CHILD_FOLDER: &str = "API_HEALTH_TEST_READ_ONLY_FOLDER";
    let told = |folder: &Path, name: &str| {
        let error = SqliteFile::open(folder.join(name)).unwrap_err();
        assert!(
            matches!(&error, StoreError::Misconfigured { what, .. } if what.contains("may not be written to")),
            "{error}"
        );
    };
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        told(Path::new(&folder), "new.db");
        told(Path::new(&folder), "old.db");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.db");
    drop(SqliteFile::open(&old).unwrap());
    // The file itself may be written to: it is the folder that refuses the journal beside it.
    std::fs::set_permissions(&old, PermissionsExt::from_mode(0o666)).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere, so the question is asked as nobody.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["state_store::sqlite_faults::a_folder_that_may_not_be_written_to_is_told_at_the_start", "--exact"])
            .env(CHILD_FOLDER, folder.path())
            .uid(65_534)
            .gid(65_534)
            .status();
        match status {
            Ok(status) => assert!(status.success()),
            Err(error) => eprintln!("skipped: the test cannot be run as nobody: {error}"),
        }
    } else {
        told(folder.path(), "new.db");
        told(folder.path(), "old.db");
    }
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_record_that_is_no_json_any_more_is_a_conflict_and_hurts_no_other_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let write = |name: &str, version: u64| over_the_one_before(rich(name, version));
    block_on(async {
        assert_eq!(store.commit(vec![write("a", 1), write("b", 1)]).await, [Ok(()), Ok(())]);
        let other = rusqlite::Connection::open(file.path()).unwrap();
        other.execute("UPDATE api_health_states SET record = 'no JSON' WHERE api_id = 'a'", []).unwrap();
        assert_eq!(store.commit(vec![write("a", 2), write("b", 2)]).await, [Err(CommitError::Conflict), Ok(())]);
        let found = store.load_all().await.unwrap().unreadable.remove(0);
        store.quarantine(found).await.unwrap();
        assert_eq!(
            store.commit(vec![StateWrite { expected_version: 0, state: Arc::new(rich("a", 2)) }]).await,
            [Ok(())]
        );
    });
}

#[test]
fn a_file_that_is_damaged_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    block_on(async {
        let store = SqliteStateStore::open(&file).unwrap();
        let states = (0..200).map(|n| over_the_one_before(rich(&format!("api-{n}"), 1))).collect();
        assert!(store.commit(states).await.iter().all(Result::is_ok));
    });
    let mut bytes = std::fs::read(file.path()).unwrap();
    assert!(bytes.len() > 20 * 4_096);
    bytes[4 * 4_096..].fill(0xA5);
    std::fs::write(file.path(), bytes).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let error = block_on(store.load_all()).unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured { what, .. } if what.ends_with("is damaged")), "{error}");
}
