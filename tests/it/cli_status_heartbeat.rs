//! `status` and the heartbeat: what it vouches for, and what it says when there is none.

use std::sync::Arc;
use std::time::Duration;

use api_health::sqlite::SqliteFile;
use api_health::store::sqlite::SqliteStateStore;
use api_health_actors::ports::StateStore;
use api_health_core::store::StateWrite;
use api_health_core::{ApiId, Heartbeat, Timestamp};

use super::cli::Place;
use super::cli_probe::listener;
use super::stored::{now, store};

/// Writes a heartbeat so many seconds before now.
fn heartbeat(place: &Place, age_seconds: u64, change: impl FnOnce(&mut Heartbeat)) {
    let now = now();
    let at = Timestamp::from_millis(now.as_millis() - i64::try_from(age_seconds * 1_000).unwrap());
    let mut heartbeat = Heartbeat {
        at,
        instance: "ip-10-0-1-7:4711:1795332600250".into(),
        version: "0.1.0".into(),
        period: Some(Duration::from_secs(60)),
        checkpoint: Duration::from_secs(3_600),
        apis: 1_000,
        up: 999,
        down: 1,
        unknown: 0,
        owed: 0,
        probes: 1_000,
        probes_since: at,
        late: 0,
        late_api_ids: vec![],
        inconclusive: 0,
        inconclusive_api_ids: vec![],
    };
    change(&mut heartbeat);
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(SqliteStateStore::open(&file).unwrap().write_heartbeat(heartbeat)).unwrap();
}

/// Has these rows say that their last probe was so many seconds before now.
fn probed(place: &Place, ids: &[&str], age_seconds: u64) {
    let at = now().as_millis() - i64::try_from(age_seconds * 1_000).unwrap();
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for id in ids {
        let stored = runtime.block_on(store.load(ApiId::parse(id).unwrap())).unwrap();
        let mut state = stored.unwrap().unwrap();
        let over = state.version;
        state.version += 1;
        state.last_probe.as_mut().unwrap().at = Timestamp::from_millis(at);
        let write = StateWrite { expected_version: over, state: Arc::new(state) };
        assert!(runtime.block_on(store.commit(vec![write])).iter().all(Result::is_ok));
    }
}

#[test]
fn a_fresh_heartbeat_says_that_old_rows_are_of_apis_that_are_probed_on_time() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up", "b-suspect", "gone"], 1_800);
    heartbeat(&place, 12, |heartbeat| {
        heartbeat.late = 1;
        heartbeat.late_api_ids = vec![ApiId::parse("b-suspect").unwrap()];
    });
    let ran = place.run(&["status"]);
    let line = |id: &str| ran.out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains("on time") && line("a-up").contains("87 ms, "), "{}", ran.out);
    assert!(line("b-suspect").contains(" ago, late"), "{}", ran.out);
    assert!(!line("gone").contains("on time"), "of what is not configured it says nothing: {}", ran.out);
    let footer = ran.out.lines().last().unwrap();
    assert!(footer.starts_with("watched by ip-10-0-1-7, "), "{footer}");
    assert!(footer.ends_with(" ago: 1,000 APIs, 1 late (b-suspect)"), "{footer}");
    assert!(!ran.err.contains("nothing was probed for") && !ran.err.contains("heartbeat"), "{}", ran.err);
    let status = place.json(&["status"]);
    let api = |id: &str| status["apis"].as_array().unwrap().iter().find(|api| api["api_id"] == id).unwrap().clone();
    assert_eq!((&api("a-up")["on_time"], &api("b-suspect")["on_time"]), (&true.into(), &false.into()));
    assert!(api("gone")["on_time"].is_null());
    let heartbeat = &status["heartbeat"];
    assert_eq!(
        (&heartbeat["apis"], &heartbeat["late"], &heartbeat["is_overdue"]),
        (&1_000.into(), &1.into(), &false.into())
    );
    assert_eq!(heartbeat["late_api_ids"][0], "b-suspect");
    let help = place.ok(&["status", "--help"]);
    for (name, _) in heartbeat.as_object().unwrap() {
        assert!(help.contains(name.as_str()), "{name} is not in the help");
    }
}

#[test]
fn whose_last_probe_could_not_tell_is_never_on_time_and_is_counted() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up", "b-suspect"], 1_800);
    let blind = |count, named: &[&str]| {
        heartbeat(&place, 12, |heartbeat| {
            heartbeat.inconclusive = count;
            heartbeat.inconclusive_api_ids = named.iter().map(|id| ApiId::parse(id).unwrap()).collect();
        });
        (place.run(&["status"]).out, place.json(&["status"]))
    };
    let (out, status) = blind(1, &["a-up"]);
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains(" ago, now it cannot be told") && !line("a-up").contains("on time"), "{out}");
    assert!(line("b-suspect").contains("on time"), "{out}");
    assert!(out.lines().last().unwrap().ends_with(": 1,000 APIs, 0 late, 1 could not be told (a-up)"), "{out}");
    let on_time = |status: &serde_json::Value, id: &str| {
        let apis = status["apis"].as_array().unwrap();
        apis.iter().find(|api| api["api_id"] == id).unwrap()["on_time"].clone()
    };
    assert!(on_time(&status, "a-up").is_null() && on_time(&status, "b-suspect") == true, "{status}");
    assert_eq!(
        (&status["heartbeat"]["inconclusive"], &status["heartbeat"]["inconclusive_api_ids"][0]),
        (&1.into(), &"a-up".into())
    );
    // Not all of them are named, so any may be one.
    let (out, status) = blind(1_000, &["a-up"]);
    assert!(!out.contains("on time") && out.contains("1,000 could not be told (a-up, …)"), "{out}");
    assert!(on_time(&status, "b-suspect").is_null());
}

#[test]
fn a_heartbeat_vouches_for_no_api_that_nobody_watches() {
    let place = Place::new();
    store(&place);
    // A checkpoint, the gap, twice the timeout and some slack: with the defaults, an hour and two minutes at most.
    probed(&place, &["a-up"], 3_630);
    probed(&place, &["b-suspect"], 4_000);
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "new"]);
    heartbeat(&place, 12, |_| {});
    let out = place.run(&["status"]).out;
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains("on time"), "{out}");
    assert!(!line("b-suspect").contains("on time") && line("b-suspect").contains(" ago"), "{out}");
    // One that is not known, although its row is as fresh as can be.
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    let unknown = "UPDATE api_health_states SET status = 'unknown', record = json_set(record, '$.status', 'unknown') WHERE api_id = 'a-up'";
    assert_eq!(connection.execute(unknown, []).unwrap(), 1);
    let status = place.json(&["status"]);
    for id in ["a-up", "b-suspect", "new"] {
        let api = status["apis"].as_array().unwrap().iter().find(|api| api["api_id"] == id).unwrap();
        assert!(api["on_time"].is_null(), "{api}");
    }
}

#[test]
fn heartbeats_that_were_switched_off_are_no_alarm() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up"], 5);
    heartbeat(&place, 86_400, |_| {});
    assert!(place.run(&["status"]).err.contains("does not run"), "they are expected");
    place.write("api-health.toml", "[store]\nheartbeat_seconds = 0\n");
    let ran = place.run(&["status"]);
    assert!(!ran.err.contains("heartbeat") && !ran.err.contains("does not run"), "{}", ran.err);
    let footer = ran.out.lines().last().unwrap();
    assert!(
        footer.starts_with("heartbeats are off (store.heartbeat_seconds = 0); the last one came from ip-10-0-1-7, 1 d"),
        "{footer}"
    );
    assert_eq!(place.json(&["status"])["heartbeat"]["is_overdue"], false);
    probed(&place, &["a-up"], 86_400);
    assert!(place.run(&["status"]).err.contains("nothing was probed for"), "the rows themselves still tell");
}

#[test]
fn an_old_heartbeat_says_that_nobody_watches_and_vouches_for_nothing() {
    let place = Place::new();
    store(&place);
    heartbeat(&place, 3_600, |_| {});
    let ran = place.run(&["status"]);
    assert!(!ran.out.contains("on time"), "{}", ran.out);
    assert!(
        ran.err.contains("the last heartbeat is 1 h") && ran.err.contains("does not run on ip-10-0-1-7"),
        "{}",
        ran.err
    );
    let status = place.json(&["status"]);
    assert_eq!(status["heartbeat"]["is_overdue"], true);
    assert!(status["apis"].as_array().unwrap().iter().all(|api| api["on_time"].is_null()));
}

#[test]
fn the_heartbeat_of_a_single_round_is_never_overdue_and_vouches_for_nothing() {
    let place = Place::new();
    store(&place);
    heartbeat(&place, 86_400, |heartbeat| heartbeat.period = None);
    let ran = place.run(&["status"]);
    assert!(ran.out.lines().last().unwrap().starts_with("a single round by ip-10-0-1-7, 1 d"), "{}", ran.out);
    assert!(!ran.out.contains("on time") && !ran.err.contains("heartbeat"), "{ran:?}");
    assert!(ran.err.contains("nothing was probed for"), "{}", ran.err);
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    connection.execute("UPDATE api_health_heartbeat SET record = '{'", []).unwrap();
    let ran = place.run(&["status"]);
    assert!(ran.code == 0 && ran.err.contains("the heartbeat cannot be read"), "{ran:?}");
}

#[test]
fn a_round_of_cron_leaves_a_heartbeat() {
    let place = Place::new();
    let url = format!("http://{}/", listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    place.ok(&["apis", "add", "--url", &url, "--id", "shop"]);
    assert!(place.json(&["status"])["heartbeat"].is_null());
    place.ok(&["run", "--once"]);
    let heartbeat = place.json(&["status"])["heartbeat"].clone();
    assert_eq!(
        (&heartbeat["apis"], &heartbeat["up"], &heartbeat["late"]),
        (&1.into(), &1.into(), &0.into()),
        "{heartbeat}"
    );
    assert!(heartbeat["heartbeat_seconds"].is_null());
}
