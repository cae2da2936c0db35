//! Sources of configs at their bounds: files, tables, settings and the command line.

use std::io::Write;
use std::sync::Arc;

use api_health::configs::file::{self, FILE_BYTES_MAX};
use api_health::configs::files::{self, FILES_MAX};
use api_health::configs::raw::{RawRow, RowChange, RowTable};
use api_health::configs::source::{FileSource, ROWS_MAX, TableSource};
use api_health::configs::sqlite_table::{ROW_BYTES_MAX, SqliteConfigTable};
use api_health::configs::toml_text::{RECOVERY_BYTES_MAX, SYNTAX_FAULTS_MAX};
use api_health::configs::urls;
use api_health::configs::validate::FAULTS_PER_SOURCE_MAX;
use api_health::settings::load;
use api_health::sqlite::SqliteFile;
use api_health_actors::ports::{ConfigSource, SourceError};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{memory_peak, row, rules};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_file_has_so_many_bytes_at_most() {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(&vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap()]).unwrap();
    assert_eq!(file::parse("t", &file::read_text(on_disk.path()).unwrap()).unwrap(), []);
    on_disk.write_all(b"#").unwrap();
    let error = file::read_text(on_disk.path()).unwrap_err().to_string();
    assert!(error.contains("is longer than 16777216 bytes"), "{error}");
}

#[test]
fn a_file_has_so_many_rows_at_most() {
    let error = file::parse("t", &format!("api = [{}]", "1,".repeat(ROWS_MAX + 1))).unwrap_err().to_string();
    assert!(error.contains("1000001 APIs are more than 1000000"), "{error}");
}

/// A table of so many rows with nothing in them.
struct Empty(usize);

impl RowTable for Empty {
    fn name(&self) -> String {
        "t".into()
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        async { Ok(vec![RawRow { location: "".into(), fields: Map::new() }; self.0]) }.boxed()
    }

    fn get(&self, _: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>> {
        async { Ok(None) }.boxed()
    }

    fn put(&self, _: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>> {
        async { Ok(()) }.boxed()
    }

    fn delete(&self, _: String) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(false) }.boxed()
    }

    fn apply(&self, _: RowChange) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(false) }.boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { None }.boxed()
    }
}

#[test]
fn a_table_has_so_many_rows_at_most() {
    let source = TableSource::new(Arc::new(Empty(ROWS_MAX + 1)), Arc::new(rules()));
    let error = block_on(source.load()).unwrap_err().to_string();
    assert!(error.contains("1000001 rows are more than 1000000"), "{error}");
}

#[test]
fn the_faults_of_one_source_are_told_up_to_a_bound() {
    // Each row has two faults; past the bound each tells its first.
    let rows: Vec<RawRow> = (0..8_000).map(|_| row(Map::new())).collect();
    let loaded = rules().check_all(&rows);
    let told: usize = loaded.refused.iter().map(|refused| refused.faults.len()).sum();
    assert_eq!(loaded.refused.len(), 8_000, "none is left out");
    assert_eq!(told, FAULTS_PER_SOURCE_MAX + 3_000);
}

#[test]
fn a_row_of_sqlite_has_so_many_bytes_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let table = SqliteConfigTable::open(&file).unwrap();
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    for (id, bytes) in [("a", ROW_BYTES_MAX), ("b", ROW_BYTES_MAX + 1)] {
        let row = format!("{{\"url\":\"{}\"}}", "x".repeat(bytes - 10));
        assert_eq!(row.len(), bytes);
        connection.execute("INSERT INTO api_health_configs (api_id, row) VALUES (?1, ?2)", [id, &row]).unwrap();
    }
    let rows = block_on(table.rows()).unwrap();
    assert!(rows[0].fields["url"].is_string());
    let fault = rules().check(&rows[1]).unwrap_err().faults[0].to_string();
    assert!(fault.contains("a row of 2097153 bytes, more than 2097152"), "{fault}");
}

#[test]
fn syntax_faults_are_looked_for_up_to_a_bound() {
    let faults = |bytes: usize| {
        let error = file::parse("t", &"=\n".repeat(bytes / 2)).unwrap_err().to_string();
        error.split(" more faults").next().unwrap().rsplit(' ').next().unwrap().parse::<usize>().ok()
    };
    assert_eq!(faults(RECOVERY_BYTES_MAX), Some(SYNTAX_FAULTS_MAX - 1));
    let before = memory_peak();
    assert_eq!(faults(4 * 1024 * 1024), None, "the first alone");
    let grown = memory_peak().saturating_sub(before);
    assert!(grown < 500, "{grown} MiB"); // it was 1,600
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apis.toml");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let source = FileSource::new(&path, Arc::new(rules()));
    let error = block_on(async {
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, source.revision()).await.expect("no pipe is opened");
        tokio::time::timeout(patience, source.load()).await.expect("no pipe is opened").unwrap_err()
    });
    assert!(error.to_string().contains("is a pipe or a device"), "{error}");
}

#[test]
fn so_many_files_of_apis_are_read_at_most() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..FILES_MAX {
        std::fs::File::create(folder.path().join(format!("{n}.toml"))).unwrap();
    }
    assert_eq!(files::files_of(&[folder.path().to_owned()]).len(), FILES_MAX);
    std::fs::File::create(folder.path().join("more.toml")).unwrap();
    let error = block_on(FileSource::new(folder.path(), Arc::new(rules())).load()).unwrap_err().to_string();
    assert!(error.contains("has more than 10000 files"), "{error}");
    let listed = |count: usize| {
        let list = vec!["\"a.toml\""; count].join(",");
        std::fs::write(folder.path().join("api-health.toml"), format!("[apis]\nfile = [{list}]")).unwrap();
        load::load(None, folder.path(), &|_| None).err().map(|faults| faults[0].to_string())
    };
    assert_eq!(listed(1_000), None);
    let fault = listed(1_001).unwrap();
    assert!(fault.contains("a list of 1001 is more than 1000"), "{fault}");
}

#[test]
fn the_faults_of_a_settings_file_are_told_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let junk: String = (0..50_000).map(|n| format!("timeout{n} = 1\n")).collect();
    std::fs::write(folder.path().join("api-health.toml"), junk).unwrap();
    let faults = load::load(None, folder.path(), &|_| None).unwrap_err();
    assert_eq!(faults.len(), 51);
    assert_eq!(faults[50].what, "49950 more faults");
}

#[test]
fn a_secret_that_is_read_again_has_the_bound_that_it_had_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x".repeat(1024)).unwrap();
    let settings =
        format!("[notify.webhook]\nurl = \"http://127.0.0.1/\"\nsecret = \"${{file:{}}}\"\n", secret.display());
    std::fs::write(folder.path().join("api-health.toml"), settings).unwrap();
    let loaded = load::load(None, folder.path(), &|_| None).unwrap();
    let in_files = &loaded.settings.notify.in_files["webhook"];
    assert!(in_files.read_again().is_some());
    std::fs::write(&secret, "x".repeat(1025)).unwrap();
    assert!(in_files.read_again().is_none());
}

#[test]
fn a_setting_has_so_many_characters_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let why = |name: &'static str, value: String| {
        let env = move |asked: &str| (asked == name).then(|| value.clone());
        load::load(None, folder.path(), &env).err().map(|faults| faults[0].why.clone())
    };
    assert_eq!(why("APP_ENVIRONMENT", "x".repeat(64)), None);
    assert_eq!(why("APP_ENVIRONMENT", "x".repeat(65)).as_deref(), Some("has 65 characters, more than 64"));
    assert_eq!(why("API_HEALTH_LOG", "x".repeat(1_025)).as_deref(), Some("has 1025 characters, more than 1024"));
    let written = |text: &str| {
        std::fs::write(folder.path().join("api-health.toml"), text).unwrap();
        load::load(None, folder.path(), &|_| None).err().map(|faults| faults[0].why.clone())
    };
    let secret = |bytes| format!("[notify.webhook]\nurl = \"https://a.test/\"\nsecret = \"{}\"", "x".repeat(bytes));
    assert_eq!(written(&secret(1_024)), None);
    assert_eq!(written(&secret(1_025)).as_deref(), Some("has 1025 bytes, more than 1024"));
    let path = |chars| format!("[store]\npath = \"{}\"", "x".repeat(chars));
    assert_eq!(written(&path(4_096)), None);
    assert_eq!(written(&path(4_097)).as_deref(), Some("has 4097 characters, more than 4096"));
    std::fs::remove_file(folder.path().join("api-health.toml")).unwrap();
    // As a regular expression this would have more states than there is memory.
    let filter = format!("api_health[{{x=(a|b)*a{}}}]=debug", "(a|b)".repeat(190));
    assert_eq!(why("API_HEALTH_LOG", filter), None);
}

#[test]
fn thousands_of_urls_of_one_name_are_told_apart_in_bounded_time() {
    // The same letters with other signs between them: one slug.
    let urls: Vec<String> = (0..20_000_u32)
        .map(|n| format!("a.test/{}", (0..15).map(|bit| if n >> bit & 1 == 0 { '!' } else { '$' }).collect::<String>()))
        .collect();
    let rows = urls::rows(&urls);
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[19_999].fields["api_id"], "a.test-20000");
}
