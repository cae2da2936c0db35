//! The sources that rows come from: files, folders, the command line, a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use api_health::clock::SystemClock;
use api_health::configs::defaults::ApiDefaults;
use api_health::configs::file;
use api_health::configs::raw::{RawRow, RowChange, RowTable};
use api_health::configs::source::{FileSource, TableSource, UrlSource};
use api_health::configs::validate::RowRules;
use api_health_actors::ports::{Clock, ConfigSource, SourceError};
use api_health_core::Timestamp;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::bad_input::rules;
use super::configs::row;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_file_tells_of_every_change_and_is_loaded_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apis.toml");
    let source = FileSource::new(&path, Arc::new(rules()));
    run(async {
        let gone = source.revision().await;
        assert!(matches!(source.load().await, Err(SourceError::Misconfigured(_))));
        let mut revisions = vec![gone];
        for id in ["a", "b", "c"] {
            // The same length each time, and perhaps within one tick of the clock that stamps files.
            std::fs::write(&path, format!("[[api]]\napi_id = \"{id}\"\nurl = \"https://a.test\"\n")).unwrap();
            let revision = source.revision().await;
            assert!(revision.is_some() && !revisions.contains(&revision), "{revisions:?} {revision:?}");
            assert_eq!(source.revision().await, revision, "it stays while the file stays");
            revisions.push(revision);
            assert_eq!(source.load().await.unwrap().good[0].api_id.as_str(), id);
        }
        std::fs::write(&path, "[[api]\n").unwrap();
        let Err(SourceError::Misconfigured(fault)) = source.load().await else { panic!("it is not TOML") };
        assert!(fault.location.ends_with("apis.toml, line 1, column 7"), "{fault}");
    });
}

/// The ids of the good rows, and the faults of the others.
fn told(source: &FileSource) -> (Vec<String>, Vec<String>) {
    let loaded = run(source.load()).unwrap();
    let good = loaded.good.iter().map(|api| api.api_id.to_string()).collect();
    (good, loaded.refused.iter().flat_map(|row| &row.faults).map(ToString::to_string).collect())
}

#[test]
fn files_and_folders_are_one_source_and_one_with_a_fault_hurts_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, ids: &[&str]| {
        let rows = ids.iter().map(|id| format!("[[api]]\napi_id = \"{id}\"\nurl = \"https://a.test\"\n"));
        std::fs::write(at(name), rows.collect::<String>()).unwrap();
    };
    std::fs::create_dir(at("apis.d")).unwrap();
    write("apis.toml", &["z"]);
    write("apis.d/b.toml", &["b"]);
    write("apis.d/a.toml", &["a", "c"]);
    write("apis.d/.hidden.toml", &["hidden"]);
    write("apis.d/notes.txt", &["notes"]);
    let source = FileSource::of(vec![at("apis.toml"), at("apis.d")], Arc::new(rules()));
    assert_eq!(told(&source), (["z", "a", "c", "b"].map(str::to_owned).to_vec(), vec![]));

    let before = run(source.revision());
    write("apis.d/d.toml", &["z"]); // it is in the other file as well
    assert_ne!(run(source.revision()), before, "a file that comes is noticed");
    let (good, faults) = told(&source);
    assert_eq!(good, ["a", "c", "b"]);
    assert!(faults[0].contains("apis.toml, line 1") && faults[0].contains("d.toml, line 1"), "both places: {faults:?}");
    std::fs::remove_file(at("apis.d/d.toml")).unwrap();

    std::fs::write(at("apis.d/b.toml"), "[[api]]\napi_id = \"b\"\n[[api]\n").unwrap();
    let loaded = run(source.load()).unwrap();
    assert_eq!((loaded.good.len(), loaded.refused.len(), loaded.refused[0].api_id.as_ref()), (3, 1, None));
    assert!(loaded.refused[0].faults[0].to_string().contains("b.toml, line 3"), "{:?}", loaded.refused);
    write("apis.d/b.toml", &["b"]);
    std::fs::remove_file(at("apis.toml")).unwrap();
    assert!(told(&source).1[0].contains("apis.toml: the file is not there"), "one that is named is missed");
    write("apis.toml", &["z"]);

    write("apis.d/a.toml", &[]);
    assert!(told(&source).1[0].contains("is empty all at once"), "{:?}", told(&source));
    std::fs::remove_file(at("apis.d/a.toml")).unwrap();
    assert_eq!(told(&source), (vec!["z".to_owned(), "b".to_owned()], vec![]), "one that is gone from a folder is gone");
}

#[test]
fn a_folder_that_is_empty_all_at_once_beside_a_file_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (file, apis_d) = (folder.path().join("apis.toml"), folder.path().join("apis.d"));
    let row = |id: &str| format!("[[api]]\napi_id = \"{id}\"\nurl = \"https://a.test\"\n");
    std::fs::create_dir(&apis_d).unwrap();
    std::fs::write(&file, row("z")).unwrap();
    for id in ["a", "b"] {
        std::fs::write(apis_d.join(format!("{id}.toml")), row(id)).unwrap();
    }
    let source = FileSource::of(vec![file, apis_d.clone()], Arc::new(rules()));
    assert_eq!(told(&source), (["z", "a", "b"].map(str::to_owned).to_vec(), vec![]));
    let empty = |id: &str| std::fs::write(apis_d.join(format!("{id}.toml")), "").unwrap();
    let remove = |id: &str| std::fs::remove_file(apis_d.join(format!("{id}.toml"))).unwrap();
    for go in [&empty as &dyn Fn(&str), &remove] {
        ["a", "b"].into_iter().for_each(go);
        for _ in 0..2 {
            let loaded = run(source.load()).unwrap();
            assert_eq!((loaded.good.len(), loaded.refused.len(), loaded.refused[0].api_id.as_ref()), (1, 1, None));
            let said = loaded.refused[0].faults[0].to_string();
            assert!(said.contains("apis.d: the folder is empty all at once"), "{said}");
        }
    }
    // One after the other they may go.
    std::fs::write(apis_d.join("a.toml"), row("a")).unwrap();
    assert_eq!(told(&source), (["z", "a"].map(str::to_owned).to_vec(), vec![]));
    remove("a");
    assert_eq!(told(&source), (vec!["z".to_owned()], vec![]));
}

/// The time of this machine, and so many milliseconds.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn of_a_file_that_became_shorter_the_last_row_may_be_cut_until_nobody_has_written_it_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1.toml"), folder.path().join("2.toml"));
    let row = |id: &str, more: &str| format!("[[api]]\napi_id = \"{id}\"\nurl = \"https://a.test\"\n{more}");
    let more = "expected_status = 404\n";
    std::fs::write(&first, row("a", "") + &row("b", more)).unwrap();
    std::fs::write(&second, row("c", more)).unwrap();
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let rules = RowRules::new(ApiDefaults::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    let source = FileSource::of(vec![first.clone(), second.clone()], Arc::new(rules));
    let cut = || run(source.load()).unwrap().partial_rows.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(cut(), [""; 0]);
    std::fs::write(&second, row("c", "expected_status = 405\n")).unwrap();
    assert_eq!(cut(), [""; 0], "it was edited");
    std::fs::write(&first, row("a", "") + &row("b", "")).unwrap();
    assert_eq!((cut(), cut()), (vec!["b".to_owned()], vec!["b".to_owned()]), "the last row, and of that file alone");
    std::fs::write(&first, row("a", "")).unwrap();
    assert_eq!(cut(), ["a"], "and a row is missing");
    clock.0.store(20_000, Ordering::SeqCst);
    assert_eq!(cut(), ["a"], "this look is the one that agrees");
    assert_eq!(cut(), [""; 0], "that is all of it");
    std::fs::write(&first, row("a", more) + &row("b", "")).unwrap();
    assert_eq!(cut(), [""; 0], "there is more of it");
}

#[test]
fn a_secret_that_changes_changes_the_revision_of_the_rows_that_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, secret) = (folder.path().join("apis.toml"), folder.path().join("token"));
    std::fs::write(&secret, "one").unwrap();
    let reference = format!("${{file:{}}}", secret.display());
    let rules = Arc::new(RowRules::new(ApiDefaults::default(), Arc::new(SystemClock)));
    let text = format!("[[api]]\napi_id = \"a\"\nurl = \"https://a.test\"\nheaders = {{ X = \"{reference}\" }}\n");
    std::fs::write(&path, text).unwrap();
    let fields = json!({"api_id": "a", "url": "https://a.test", "headers": {"X": reference}});
    let table = TableSource::new(Arc::new(Rows(vec![row(fields)])), Arc::clone(&rules));
    let file = FileSource::new(&path, rules);
    for source in [&file as &dyn ConfigSource, &table] {
        std::fs::write(&secret, "one").unwrap();
        assert_eq!(run(source.load()).unwrap().good[0].headers[0].1.reveal(), "one");
        let before = run(source.revision());
        assert_eq!(run(source.revision()), before);
        std::fs::write(&secret, "the next").unwrap();
        assert_ne!(run(source.revision()), before);
        assert_eq!(run(source.load()).unwrap().good[0].headers[0].1.reveal(), "the next");
    }
}

#[test]
fn urls_of_the_command_line_are_watched_with_the_defaults() {
    let urls = vec!["example.test/health".to_owned(), "http://127.0.0.1:8080".into(), "ftp://x".into()];
    let loaded = run(UrlSource::new(urls, Arc::new(rules())).load()).unwrap();
    let good: Vec<_> = loaded.good.iter().map(|api| (api.api_id.as_str(), api.url.as_str())).collect();
    assert_eq!(
        good,
        [("example.test-health", "https://example.test/health"), ("127.0.0.1-8080", "http://127.0.0.1:8080/")]
    );
    assert!(loaded.refused[0].faults[0].to_string().starts_with("command line, URL 3, api \"x\": url: \"ftp://x\""));
}

/// A table in memory.
struct Rows(Vec<RawRow>);

impl RowTable for Rows {
    fn name(&self) -> String {
        "table t".into()
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        std::future::ready(Ok(self.0.clone())).boxed()
    }

    fn get(&self, _: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>> {
        std::future::ready(Err(SourceError::Unavailable("not asked".into()))).boxed()
    }

    fn put(&self, _: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>> {
        std::future::ready(Err(SourceError::Unavailable("not asked".into()))).boxed()
    }

    fn delete(&self, _: String) -> BoxFuture<'_, Result<bool, SourceError>> {
        std::future::ready(Err(SourceError::Unavailable("not asked".into()))).boxed()
    }

    fn apply(&self, _: RowChange) -> BoxFuture<'_, Result<bool, SourceError>> {
        std::future::ready(Err(SourceError::Unavailable("not asked".into()))).boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        std::future::ready(Some(7)).boxed()
    }
}

#[test]
fn a_table_gives_its_rows_and_its_revision() {
    let rows = vec![row(json!({"api_id": "a", "url": "https://a.test"})), row(json!({"api_id": "b"}))];
    let source = TableSource::new(Arc::new(Rows(rows)), Arc::new(rules()));
    let loaded = run(source.load()).unwrap();
    assert_eq!((loaded.good.len(), loaded.refused.len(), run(source.revision())), (1, 1, Some(7)));
    assert_eq!(source.name(), "table t");
}

#[test]
fn ten_thousand_rows_are_exported_and_imported_and_read() {
    let rows: Vec<_> = (0..10_000)
        .map(|n| row(json!({"api_id": format!("a{n}"), "url": "https://a.test", "headers": {"X-N": n.to_string()}})))
        .collect();
    let text = file::to_toml(&rows).unwrap();
    let again = file::parse("apis.toml", &text).unwrap();
    assert_eq!(&*again[1].location, "apis.toml, line 7");
    assert_eq!(rules().check_all(&again).good.len(), 10_000);
}
