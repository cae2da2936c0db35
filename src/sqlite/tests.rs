//! What becomes of a file that is new, and what one is refused for.

use super::*;

fn refusal(path: &Path) -> String {
    match SqliteFile::open(path).unwrap_err() {
        StoreError::Misconfigured { what, remedy } => {
            let name = format!("SQLite file {}", path.display());
            format!("{}; {remedy}", what.strip_prefix(&name).unwrap().trim())
        }
        StoreError::Unavailable(what) => panic!("waiting would not help: {what}"),
    }
}

#[test]
fn a_new_file_is_made_once_and_found_good_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    // Many meet at a new file, many times: none may take the half of another's work for a stranger's file.
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.db"));
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..4).map(|_| scope.spawn(|| SqliteFile::open(&path))).collect();
            for result in opened {
                result.join().unwrap().unwrap();
            }
        });
    }
    let connection = SqliteFile::open(&path).unwrap().connect().unwrap();
    assert_eq!(pragma::<i32>(&connection, "user_version").unwrap(), USER_VERSION);
    assert_eq!(pragma::<String>(&connection, "journal_mode").unwrap(), "wal");
    assert_eq!(pragma::<i32>(&connection, "synchronous").unwrap(), 2, "full");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn names_that_sqlite_reads_otherwise_are_names_of_files_like_any_other() {
    for name in [":memory:", "file:a.db?mode=memory"] {
        let file = SqliteFile { path: name.into(), access: Access::Write };
        assert_eq!(file.plain_path(), Path::new(".").join(name));
    }
    assert_eq!(SqliteFile { path: "/a.db".into(), access: Access::Write }.plain_path(), Path::new("/a.db"));
}

#[test]
fn a_file_that_will_not_do_is_refused_with_what_to_write_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    std::fs::write(at("notes.txt"), "x".repeat(5_000)).unwrap();
    assert_eq!(refusal(&at("notes.txt")), "is not an SQLite file; write another path, or move that file away");
    assert_eq!(std::fs::read_to_string(at("notes.txt")).unwrap(), "x".repeat(5_000));

    assert_eq!(
        refusal(&at("no/such/a.db")),
        format!(
            "cannot be created: there is no folder {}; write a path in a folder that exists",
            at("no/such").display()
        )
    );
    assert_eq!(refusal(folder.path()), "is a folder; write the path of a file");
    std::os::unix::fs::symlink("nowhere", at("link.db")).unwrap();
    assert_eq!(refusal(&at("link.db")), "is a link to nowhere; write the path of a file, or remove the link");
    assert!(std::process::Command::new("mkfifo").arg(at("pipe.db")).status().unwrap().success());
    assert_eq!(refusal(&at("pipe.db")), "is a pipe, a socket or a device; write the path of a file");

    let other = Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE songs (title)").unwrap();
    assert_eq!(refusal(&at("other.db")), "belongs to another program; write another path");
    let journal: String = pragma(&other, "journal_mode").unwrap();
    assert_eq!(journal, "delete", "not even its journal was changed");

    SqliteFile::open(at("newer.db")).unwrap().connect().unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert_eq!(
        refusal(&at("newer.db")),
        "was written by a newer version of api-health (form 9, this version knows 1); write another path, or run that version"
    );
}

#[test]
fn the_view_shows_states_to_people_and_minds_no_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    let connection = SqliteFile::open(folder.path().join("a.db")).unwrap().connect().unwrap();
    let insert = "INSERT INTO api_health_states VALUES (?1, 1, ?2, ?3)";
    connection.execute(insert, ["b", "up", "{ no json"]).unwrap();
    connection.execute(insert, ["a", "down", r#"{"last_error":"refused","owed":[1,2]}"#]).unwrap();
    let mut statement =
        connection.prepare("SELECT api_id, status, last_error, alerts_owed FROM api_health_overview").unwrap();
    let rows: Vec<(String, String, Option<String>, i64)> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(rows, [("a".into(), "down".into(), Some("refused".into()), 2), ("b".into(), "up".into(), None, 0)]);
}

#[test]
fn a_worker_ends_with_its_handle_and_outlives_a_job_that_panics() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let worker = Worker::start(&file, "test").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let panicked = runtime.block_on(worker.call(|_| -> Result<(), Fault> { panic!("on purpose") })).unwrap_err();
    assert!(matches!(panicked, Fault::Wait { .. }), "{panicked:?}");
    assert_eq!(runtime.block_on(worker.call(|_| Ok(7))), Ok(7));
    drop(worker);
    assert!(!folder.path().join("a.db-wal").exists(), "the connection was closed, so its journal is folded in");
}

#[test]
fn a_file_that_is_looked_at_is_neither_made_nor_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let refused = || SqliteFile::open_to_read(&path).unwrap_err().to_string();
    refused();
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(refused().contains("has no tables of api-health yet"), "{}", refused());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    SqliteFile::open(&path).unwrap();
    let connection = SqliteFile::open_to_read(&path).unwrap().connect().unwrap();
    let error = connection.execute("INSERT INTO api_health_states VALUES ('a', 1, 'up', '{}')", []).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly));
    assert_eq!(connection.query_row("SELECT count(*) FROM api_health_states", [], |row| row.get::<_, i64>(0)), Ok(0));
}

#[test]
#[cfg(unix)]
fn a_file_that_was_deleted_or_replaced_takes_no_more_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let file = SqliteFile::open(&path).unwrap();
    let worker = Worker::start(&file, "test").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    std::fs::remove_file(&path).unwrap();
    let gone = runtime.block_on(worker.call(|_| Ok(()))).unwrap_err();
    assert!(StoreError::from(gone).to_string().contains("was moved, deleted or replaced"));
    SqliteFile::open(&path).unwrap();
    assert!(runtime.block_on(worker.call(|_| Ok(()))).is_err(), "another file in its place is not it");
}

#[test]
fn a_full_disk_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let connection = file.connect().unwrap();
    // SQLite takes the present size for a bound below it.
    let _: i64 = connection.query_row("PRAGMA max_page_count = 1", [], |row| row.get(0)).unwrap();
    let large = "x".repeat(100_000);
    let error = connection.execute("INSERT INTO api_health_states VALUES ('a', 1, 'up', ?1)", [&large]).unwrap_err();
    let told = StoreError::from(classify(&file, &error)).to_string();
    let expected = "cannot grow: the disk is full; write a path on another disk, or free space on this one";
    assert!(told.ends_with(expected), "{told}");
}
