//! Rows that a person writes with the `sqlite3` shell.

use api_health::configs::raw::RowTable;
use api_health::configs::sqlite_table::SqliteConfigTable;
use api_health::sqlite::SqliteFile;
use serde_json::json;

use crate::worlds::block_on;

#[test]
fn rows_from_the_shell_are_read_under_their_key_and_text_that_is_no_json_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let table = SqliteConfigTable::open(&file).unwrap();
    let shell = rusqlite::Connection::open(file.path()).unwrap();
    let insert = "INSERT INTO api_health_configs (api_id, row) VALUES (?1, ?2)";
    shell.execute(insert, ["a", r#"{"url":"http://a.test/"}"#]).unwrap();
    shell.execute(insert, ["b", r#"{"api_id":"other"}"#]).unwrap();
    let refused = shell.execute(insert, ["c", "{ no json"]).unwrap_err().to_string();
    assert!(refused.contains("row_is_a_json_object"), "{refused}");
    shell.execute_batch("PRAGMA ignore_check_constraints = on").unwrap();
    shell.execute(insert, ["c", "{ no json"]).unwrap();
    let fields: Vec<_> = block_on(table.rows()).unwrap().into_iter().map(|r| json!(r.fields)).collect();
    assert_eq!(
        fields,
        [
            json!({ "api_id": "a", "url": "http://a.test/" }),
            json!({ "api_id": "b" }),
            json!({ "api_id": "c", "row": "{ no json" })
        ]
    );
}

#[test]
fn a_file_that_went_away_is_told_and_has_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let table = SqliteConfigTable::open(&file).unwrap();
    assert!(block_on(table.revision()).is_some());
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(block_on(table.revision()), None);
    let error = block_on(table.rows()).unwrap_err().to_string();
    assert!(error.starts_with(&file.name()) && error.contains("was moved, deleted or replaced"), "{error}");
}
