//! The promises of `ConfigSource`, kept by every adapter: what rows *mean*, and who hears of the ones that mean nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api_health::clock::SystemClock;
use api_health::configs::defaults::ApiDefaults;
use api_health::configs::file;
use api_health::configs::raw::RawRow;
use api_health::configs::source::{FileSource, TableSource};
use api_health::configs::validate::RowRules;
use api_health_actors::ports::{ConfigSource, LoadedConfigs};
use serde_json::{Map, Value, json};

use super::worlds::World;
use crate::worlds::block_on;

/// A source of rows, and the pen to write them with.
enum Place {
    Table(World),
    File(tempfile::TempDir),
}

impl Place {
    fn source(&self) -> Arc<dyn ConfigSource> {
        let rules = Arc::new(RowRules::new(ApiDefaults::default(), Arc::new(SystemClock)));
        match self {
            Self::Table(world) => Arc::new(TableSource::new(world.open(), rules)),
            Self::File(folder) => Arc::new(FileSource::new(path(folder), rules)),
        }
    }

    /// Makes these all the rows that there are.
    async fn write(&self, rows: &[Value]) {
        let rows: Vec<Map<String, Value>> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        match self {
            Self::Table(world) => {
                let table = world.open();
                for old in table.rows().await.unwrap() {
                    table.delete(old.fields["api_id"].as_str().unwrap().to_owned()).await.unwrap();
                }
                for fields in rows {
                    table.put(fields).await.unwrap();
                }
            }
            Self::File(folder) => {
                let rows: Vec<RawRow> = rows.into_iter().map(|fields| RawRow { location: "".into(), fields }).collect();
                std::fs::write(path(folder), file::to_toml(&rows).unwrap()).unwrap();
            }
        }
    }
}

fn path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    Path::join(folder.path(), "apis.toml")
}

fn on_a_file<F: Future<Output = ()>>(promise: fn(Place) -> F) {
    block_on(async {
        let place = Place::File(tempfile::tempdir().unwrap());
        place.write(&[]).await;
        promise(place).await;
    });
}

/// Makes a test of each promise on each adapter.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod toml_file { $(#[test] fn $promise() { super::on_a_file(super::$promise); })* }
        mod sqlite { $(#[test] fn $promise() {
            crate::worlds::here(|world| super::$promise(super::Place::Table(world)));
        })* }
        mod dynamodb_on_moto { $(#[test] fn $promise() {
            crate::worlds::on_moto(|world| super::$promise(super::Place::Table(world)));
        })* }
        mod dynamodb_on_dynamodb_local { $(#[test] fn $promise() {
            crate::worlds::on_local(|world| super::$promise(super::Place::Table(world)));
        })* }
    };
}

promises! {
    a_source_without_rows_is_read_and_holds_none
    the_same_row_means_the_same_in_every_source
    a_bad_row_is_refused_with_all_its_faults_and_hides_no_other
    what_is_added_changed_and_removed_is_seen_at_the_next_load
    a_revision_where_there_is_one_differs_when_rows_differ_and_stays_when_they_do_not
    every_fault_names_the_source
}

fn good(api_id: &str) -> Value {
    json!({ "api_id": api_id, "url": format!("https://{api_id}.test/health") })
}

fn ids(loaded: &LoadedConfigs) -> Vec<String> {
    let mut ids: Vec<String> = loaded.good.iter().map(|api| api.api_id.to_string()).collect();
    ids.sort();
    ids
}

async fn a_source_without_rows_is_read_and_holds_none(place: Place) {
    let loaded = place.source().load().await.unwrap();
    assert!(loaded.good.is_empty() && loaded.refused.is_empty());
}

async fn the_same_row_means_the_same_in_every_source(place: Place) {
    place
        .write(&[json!({
            "api_id": "shop",
            "name": "Käse 🦀",
            "url": "https://shop.test/health?a=1",
            "method": "POST",
            "headers": { "X-Key": "abc" },
            "body": "{}",
            "expected_status": "200-204,404",
            "timeout_seconds": 7,
            "schedule": "*/5 * * * *",
            "timezone": "Europe/Berlin",
            "enabled": false,
            "failure_threshold": 3,
            "success_threshold": 4,
            "recheck_seconds": 9,
            "max_redirects": 2,
            "ip_family": "ipv6",
            "tags": ["eu", "shop"],
            "public": true,
        })])
        .await;
    let loaded = place.source().load().await.unwrap();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let api = &loaded.good[0];
    assert_eq!((api.api_id.as_str(), &*api.name, api.method.as_str()), ("shop", "Käse 🦀", "POST"));
    assert_eq!((api.url.as_str(), api.enabled, api.public), ("https://shop.test/health?a=1", false, true));
    assert_eq!((api.headers[0].0.as_str(), api.headers[0].1.reveal()), ("X-Key", "abc"));
    assert_eq!(api.body.as_ref().map(|body| body.reveal()), Some("{}"));
    assert!(api.expected_status.contains(404) && !api.expected_status.contains(205));
    assert_eq!((api.timeout.as_secs(), api.recheck.as_secs()), (7, 9));
    assert_eq!((api.failure_threshold, api.success_threshold, api.max_redirects), (3, 4, 2));
    assert_eq!(api.schedule.to_string(), "*/5 * * * * Europe/Berlin");
    assert_eq!((&api.tags[..], api.ip_family.as_str()), (&["eu".to_owned(), "shop".to_owned()][..], "ipv6"));
}

async fn a_bad_row_is_refused_with_all_its_faults_and_hides_no_other(place: Place) {
    let bad = json!({ "api_id": "bad", "url": "ftp://x/", "timeout_seconds": 0, "timout": 5 });
    place.write(&[good("a"), bad, json!({ "api_id": "no url" }), good("z")]).await;
    let loaded = place.source().load().await.unwrap();
    assert_eq!(ids(&loaded), ["a", "z"]);
    let faults: BTreeMap<Option<String>, usize> =
        loaded.refused.iter().map(|row| (row.api_id.as_ref().map(ToString::to_string), row.faults.len())).collect();
    assert_eq!(faults, BTreeMap::from([(None, 2), (Some("bad".to_owned()), 3)]), "{:#?}", loaded.refused);
}

async fn what_is_added_changed_and_removed_is_seen_at_the_next_load(place: Place) {
    let source = place.source();
    place.write(&[good("a"), good("b")]).await;
    let before = source.load().await.unwrap();
    assert_eq!(ids(&before), ["a", "b"]);
    let mut changed = good("b");
    changed["timeout_seconds"] = json!(3);
    place.write(&[changed, good("c")]).await;
    let after = source.load().await.unwrap();
    assert_eq!(ids(&after), ["b", "c"]);
    let b = |loaded: &LoadedConfigs| loaded.good.iter().find(|api| api.api_id.as_str() == "b").cloned().unwrap();
    assert_ne!(b(&before), b(&after));
    assert_eq!(source.load().await.unwrap().good, after.good, "and what did not change is equal");
}

async fn a_revision_where_there_is_one_differs_when_rows_differ_and_stays_when_they_do_not(place: Place) {
    let source = place.source();
    place.write(&[good("a")]).await;
    let first = source.revision().await;
    assert_eq!(first, source.revision().await);
    place.write(&[good("a"), good("b")]).await;
    let second = source.revision().await;
    match &place {
        // Only a scan tells: the supervisor reads such a source every `reload_seconds`.
        Place::Table(world) if !world.is_sqlite() => assert_eq!((first, second), (None, None)),
        _ => assert!(first.is_some() && second.is_some() && first != second, "{first:?} {second:?}"),
    }
}

async fn every_fault_names_the_source(place: Place) {
    place.write(&[json!({ "api_id": "bad", "url": 5 })]).await;
    let source = place.source();
    let loaded = source.load().await.unwrap();
    let fault = &loaded.refused[0].faults[0];
    assert!(fault.location.contains(&source.name()) && fault.location.contains("bad"), "{}", fault.location);
    for part in [&fault.what, &fault.why, &fault.remedy] {
        assert!(!part.is_empty(), "{fault:?}");
    }
}
