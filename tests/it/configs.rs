//! Rows to APIs: defaults, planted faults, any JSON at all; and the sources that rows come from.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::configs::defaults::{ApiDefaults, DefaultSchedule};
use api_health::configs::fields::FIELDS;
use api_health::configs::file;
use api_health::configs::raw::{RawRow, RowChange, RowTable};
use api_health::configs::secrets::SecretSource;
use api_health::configs::source::{FileSource, TableSource, UrlSource};
use api_health::configs::validate::{FAULTS_PER_ROW_MAX, RowRules};
use api_health_actors::ports::{Clock, ConfigSource, SourceError};
use api_health_core::{IpFamily, Method, Timestamp};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::bad_input::rules;

struct Vault;

impl SecretSource for Vault {
    fn env(&self, name: &str) -> Result<String, String> {
        (name == "TOKEN").then(|| "hunter2".into()).ok_or_else(|| "is not set in the environment of api-health".into())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        if path == Path::new("/run/body") { Ok("the body".into()) } else { Err("is not there".into()) }
    }
}

fn vault_rules() -> RowRules {
    RowRules { secrets: Arc::new(Vault), ..rules() }
}

fn row(fields: Value) -> RawRow {
    let Value::Object(fields) = fields else { panic!("a row is a table") };
    RawRow { location: "t".into(), fields }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_short_row_means_the_defaults() {
    let api = rules().check(&row(json!({"api_id": "a", "url": "https://a.test"}))).unwrap();
    assert_eq!((&*api.name, api.url.as_str(), api.method), ("a", "https://a.test/", Method::Get));
    assert_eq!((api.timeout, api.recheck), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((api.failure_threshold, api.success_threshold, api.max_redirects, api.enabled), (2, 2, 0, true));
    assert_eq!(
        (api.schedule.to_string().as_str(), api.expected_status.to_string().as_str()),
        ("*/2 * * * * UTC", "2xx")
    );
    assert!(api.headers.is_empty() && api.body.is_none() && api.tags.is_empty());
}

#[test]
fn the_defaults_of_the_settings_are_taken_and_a_row_wins_over_them() {
    let defaults = ApiDefaults {
        timeout: Duration::from_secs(3),
        when: DefaultSchedule::Every(Duration::from_secs(30)),
        timezone: "Europe/Berlin".into(),
        max_redirects: 4,
        ..ApiDefaults::default()
    };
    let rules = RowRules::new(defaults, Arc::new(SystemClock));
    let api = rules.check(&row(json!({"api_id": "a", "url": "https://a.test"}))).unwrap();
    assert_eq!((api.timeout.as_secs(), api.max_redirects, api.schedule.to_string()), (3, 4, "every 30 s".into()));
    let own = json!({"api_id": "a", "url": "https://a.test", "schedule": "0  9 * * *", "timeout_seconds": 4.0});
    let api = rules.check(&row(own)).unwrap();
    assert_eq!((api.timeout.as_secs(), api.schedule.to_string()), (4, "0 9 * * * Europe/Berlin".into()));
    let refused = rules.check(&row(json!({"api_id": "a", "url": "https://a.test", "timezone": "UTC"}))).unwrap_err();
    assert!(refused.faults[0].why.contains("the default is an interval"), "{refused:?}");
}

#[test]
fn a_full_row_is_read_in_full_and_its_secrets_are_never_printed() {
    let api = vault_rules()
        .check(&row(json!({
            "api_id": "shop", "name": "Shop", "url": "http://127.0.0.1:8080/x?y=1", "method": "post",
            "headers": {"Authorization": "Bearer ${env:TOKEN}", "Accept": "*/*"}, "body": "${file:/run/body} $${x}",
            "expected_status": 204, "timeout_seconds": 300, "interval_seconds": 86400, "enabled": false,
            "failure_threshold": 20, "success_threshold": 1, "recheck_seconds": 3600, "max_redirects": 10,
            "ip_family": "ipv4", "tags": ["a", "b"],
        })))
        .unwrap();
    assert_eq!(api.headers[1].1.reveal(), "Bearer hunter2");
    assert_eq!(api.body.as_ref().unwrap().reveal(), "the body ${x}");
    assert_eq!((api.expected_status.to_string().as_str(), api.method, api.enabled), ("204", Method::Post, false));
    assert_eq!((api.schedule.to_string(), api.ip_family), ("every 86400 s".into(), IpFamily::Ipv4));
    let printed = format!("{api:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("the body"), "{printed}");
}

#[test]
fn a_family_that_does_not_fit_the_address_in_the_url_is_refused() {
    let check = |url: &str, family: &str| {
        let checked = rules().check(&row(json!({"api_id": "a", "url": url, "ip_family": family})));
        checked.map(|api| api.ip_family).map_err(|refused| refused.faults[0].to_string())
    };
    assert_eq!(check("http://[::1]/", "ipv6"), Ok(IpFamily::Ipv6));
    assert_eq!(check("http://a.test/", "ipv6"), Ok(IpFamily::Ipv6));
    assert_eq!(check("http://127.0.0.1/", "any"), Ok(IpFamily::Any));
    let said = check("http://127.0.0.1/", "ipv6").unwrap_err();
    assert!(said.contains("ip_family: \"ipv6\" does not fit url, in which an IPv4 address stands"), "{said}");
}

#[test]
fn the_named_schedules_of_the_reference_page_are_read() {
    for name in ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "30 0 9 * * MON-FRI", "0 0 29 2 *"] {
        let read = rules().check(&row(json!({"api_id": "a", "url": "https://a.test", "schedule": name})));
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}

#[test]
fn rows_with_one_schedule_share_it() {
    let rows: Vec<_> = (0..3).map(|n| row(json!({"api_id": format!("a{n}"), "url": "https://a.test"}))).collect();
    let good = rules().check_all(&rows).good;
    assert!(Arc::ptr_eq(&good[0].schedule, &good[1].schedule) && Arc::ptr_eq(&good[1].schedule, &good[2].schedule));
}

#[test]
fn a_bad_row_hurts_itself_alone_and_says_whose_it_is() {
    let loaded = rules().check_all(&[
        row(json!({"api_id": "good", "url": "https://a.test"})),
        row(json!({"api_id": "bad", "url": "https://a.test", "timeout_seconds": 0})),
        row(json!({"url": 5})),
    ]);
    assert_eq!(loaded.good.len(), 1);
    assert_eq!(loaded.refused[0].api_id.as_ref().map(ToString::to_string).as_deref(), Some("bad"));
    assert_eq!(loaded.refused[1].api_id, None);
    assert_eq!(loaded.refused[1].faults.len(), 2);
}

#[test]
fn a_row_of_a_thousand_unknown_fields_is_told_briefly() {
    let mut fields: Map<String, Value> = (0..1_000).map(|n| (format!("f{n}"), Value::Null)).collect();
    fields.insert("api_id".into(), "a".into());
    let faults = rules().check(&row(Value::Object(fields))).unwrap_err().faults;
    assert_eq!(faults.len(), FAULTS_PER_ROW_MAX + 1);
    assert_eq!(faults.last().unwrap().what, "951 more faults");
}

/// Field, a bad value, and a part of what must be said of it.
fn faults() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("api_id", json!("a b"), "has the character ' '"),
        ("name", json!(""), "is empty"),
        ("url", json!("gopher://a.test"), "is neither http nor https"),
        ("method", json!("BREW"), "is not a method"),
        ("headers", json!({"Expect": "x"}), "is set by the HTTP client"),
        ("body", json!({}), "a table is not text"),
        ("expected_status", json!("0xx"), "1xx to 9xx"),
        ("timeout_seconds", json!(301), "is not from 1 to 300"),
        ("schedule", json!("* *"), "has 2 fields"),
        ("interval_seconds", json!("30"), "write 30, without quotes"),
        ("enabled", json!(null), "null is not true or false"),
        ("failure_threshold", json!(21), "is not from 1 to 20"),
        ("success_threshold", json!([]), "a list is not a number"),
        ("recheck_seconds", json!(1.5), "is not a whole number"),
        ("max_redirects", json!(-1), "is not from 0 to 10"),
        ("ip_family", json!("IPv5"), "is not known; write \"ipv6\""),
        ("tags", json!(["x".repeat(65)]), "has 65 characters, more than 64"),
        ("timout", json!(1), "the nearest name that is known"),
        ("proxy", json!("socks5://a:1"), "neither the URL of an http proxy nor"),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[0-9*/,LW#?@ -]{0,20}".prop_map(Value::from),
        "(https?://)?[a-z0-9.:@/#?$\\[\\]{} ]{0,20}".prop_map(Value::from),
        "[${}a-z:/\r\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_planted_fault_is_reported_with_its_field(chosen in prop::collection::btree_set(0..faults().len(), 1..=faults().len())) {
        let mut fields = json!({"api_id": "a", "url": "https://a.test"});
        let all = faults();
        for index in &chosen {
            fields[all[*index].0] = all[*index].1.clone();
        }
        let faults = rules().check(&row(fields)).unwrap_err().faults;
        for index in &chosen {
            let (field, _, said) = &all[*index];
            let found = faults.iter().any(|i| i.to_string().contains(field) && i.to_string().contains(said));
            prop_assert!(found, "{} {}: {:#?}", field, said, faults);
        }
        // Beside the planted ones there is only what schedule and interval_seconds say of each other.
        let both = chosen.contains(&8) && chosen.contains(&9);
        prop_assert_eq!(faults.len(), chosen.len() + usize::from(both), "{:#?}", faults);
    }

    #[test]
    fn any_row_at_all_is_read_or_refused_with_reasons(
        fields in prop::collection::btree_map(
            prop_oneof![
                prop::sample::select(FIELDS).prop_map(|field| field.name.to_owned()),
                "\\PC{0,10}",
            ],
            any_json(),
            0..10,
        )
    ) {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        let rules = vault_rules();
        if let Err(refused) = rules.check(&row(Value::Object(fields.clone()))) {
            prop_assert!(!refused.faults.is_empty());
        }
        // Once more with a good key and URL, so that the other fields decide.
        fields.insert("api_id".into(), "a".into());
        fields.insert("url".into(), "https://a.test".into());
        match rules.check(&row(Value::Object(fields))) {
            Ok(api) => prop_assert!(api.timeout >= Duration::from_secs(1) && api.failure_threshold >= 1),
            Err(refused) => prop_assert!(refused.faults.iter().all(|i| !i.why.is_empty() && !i.remedy.is_empty())),
        }
    }
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
