//! `status` and `alerts …` from outside, over a store with states of every sort.

use std::sync::Arc;

use api_health::sqlite::SqliteFile;
use api_health::store::sqlite::SqliteStateStore;
use api_health_actors::ports::StateStore;
use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::state::{LastProbe, Streak};
use api_health_core::{Alert, AlertKind, ApiId, ApiState, Status, Timestamp};

use super::cli::Place;
use super::cli_probe::listener;

/// 2026-01-01.
const THEN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn state(api_id: &str, status: Status) -> ApiState {
    let verdict = if status == Status::Down { Verdict::Fail } else { Verdict::Pass };
    let error = (status == Status::Down).then(|| "status 503 is not in 2xx".to_owned());
    let last_probe = Some(LastProbe { at: THEN, verdict, latency_ms: Some(87), status_code: Some(200), error });
    let since = Some(THEN);
    ApiState { version: 1, status, since, last_probe, ..ApiState::unknown(ApiId::parse(api_id).unwrap()) }
}

/// One is down and owes an alert, one is up and suspect, one is up, and one record makes no sense.
fn store(place: &Place) {
    for id in ["a-up", "b-suspect", "c-down"] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id]);
    }
    let mut suspect = state("b-suspect", Status::Up);
    suspect.streak = Some(Streak { toward: AlertKind::Down, count: 1, first_at: THEN });
    suspect.missed_ticks = 3;
    let mut down = state("c-down", Status::Down);
    let incident_id = "c-down.1.1".to_owned();
    down.incident = Some(Incident {
        incident_id: incident_id.clone(),
        started_at: THEN,
        reason: "r".into(),
        name: "Shop".into(),
        url: "http://127.0.0.1:1/".into(),
    });
    down.last_told = Status::Down;
    let alert = Alert {
        alert_id: Alert::id(&incident_id, AlertKind::Down),
        incident_id,
        kind: AlertKind::Down,
        api_id: down.api_id.clone(),
        name: "Shop \u{1b}[31m".into(),
        url: "http://127.0.0.1:1/".into(),
        previous_status: Status::Up,
        happened_at: THEN,
        detected_at: THEN,
        incident_started_at: THEN,
        reason: "r".into(),
        changes_left_out: 0,
    };
    down.owed = vec![OwedAlert {
        alert,
        deliveries: vec![Delivery { channel: "terminal".into(), delivered: true, ..Delivery::default() }],
    }];
    let writes = [state("a-up", Status::Up), suspect, down, state("gone", Status::Up)].map(Arc::new).to_vec();
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(SqliteStateStore::open(&file).unwrap().commit(writes));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.execute("INSERT INTO api_health_states VALUES ('broken', 1, 'up', 'nonsense')", []).unwrap();
}

#[test]
fn the_table_has_what_is_down_first_and_names_what_cannot_be_read() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let ran = place.run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("API") && lines[1].starts_with("c-down"), "{}", ran.out);
    assert!(lines[1].contains("DOWN") && lines[1].contains("status 503 is not in 2xx; owes 1 alert to webhook"));
    assert!(
        lines[2].starts_with("b-suspect") && lines[2].contains("suspect: 1 of 2 fails; 3 missed ticks"),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("a-up") && lines[3].contains("87 ms") && lines[3].contains(" d "), "{}", lines[3]);
    assert!(lines[4].starts_with("gone") && lines[4].contains("not in the table or file"));
    assert_eq!(lines.last(), Some(&"1 down, 3 up; 1 suspect; 1 alert owed (api-health alerts list)"));
    assert!(ran.err.contains("broken") && ran.err.contains("nothing was probed for"), "{}", ran.err);
    let down = place.ok(&["status", "--down"]);
    assert!(down.contains("c-down") && !down.contains("a-up"), "{down}");
}

#[test]
fn json_has_the_documented_names() {
    let place = Place::new();
    store(&place);
    let status = place.json(&["status"]);
    assert_eq!(status["schema"], 1);
    assert_eq!(status["summary"]["down"], 1);
    assert_eq!(status["summary"]["up"], 3);
    assert_eq!(status["summary"]["owed_alerts"], 1);
    assert_eq!(status["unreadable"][0]["api_id"], "broken");
    let down = &status["apis"][0];
    assert_eq!((&down["api_id"], &down["status"]), (&"c-down".into(), &"down".into()));
    assert_eq!(down["since"], "2026-01-01T00:00:00.000Z");
    assert_eq!(down["last_probe"]["error"], "status 503 is not in 2xx");
    assert_eq!(down["incident"]["incident_id"], "c-down.1.1");
    let suspect = &status["apis"][1]["suspect"];
    assert_eq!((&suspect["count"], &suspect["needed"], &suspect["toward"]), (&1.into(), &2.into(), &"down".into()));
    // The help names every field that there is.
    let help = place.ok(&["status", "--help"]);
    for (name, _) in status.as_object().unwrap().iter().chain(down.as_object().unwrap()) {
        assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
    }

    let alerts = place.json(&["alerts", "list"]);
    let owed = &alerts["owed"][0];
    assert_eq!((&owed["alert_id"], &owed["kind"]), (&"c-down.1.1.down".into(), &"down".into()));
    assert_eq!(owed["detected_at"], "2026-01-01T00:00:00.000Z");
    let help = place.ok(&["alerts", "list", "--help"]).split_whitespace().collect::<String>();
    for (name, _) in owed.as_object().unwrap() {
        assert!(help.contains(name.as_str()), "{name} is not in the help");
    }
}

#[test]
fn owed_alerts_are_listed_with_the_channels_that_lack_them() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let list = place.ok(&["alerts", "list"]);
    let line = list.lines().nth(1).unwrap();
    assert!(line.starts_with("c-down  DOWN") && line.contains("webhook") && !line.contains("terminal"), "{list}");
    assert!(!list.contains('\u{1b}'), "a name cannot colour the terminal");
}

#[test]
fn without_a_store_it_says_what_to_do_and_creates_none() {
    let place = Place::new();
    for args in [&["status"][..], &["status", "--json"], &["alerts", "list"], &["apis", "export"]] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
        assert!(ran.err.contains("api-health.db is not there") && ran.err.contains("write `api-health"), "{}", ran.err);
    }
    assert!(place.files().is_empty());
    place.write("api-health.db", "this is not a database, but it is long enough to be looked at as if it were one");
    let ran = place.run(&["status"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.err.contains("is not an SQLite file"), "{}", ran.err);
}

#[test]
fn a_test_alert_is_told_for_each_channel() {
    let place = Place::new();
    let out = place.ok(&["alerts", "test"]);
    assert!(out.contains("DOWN api-health test alert") && out.contains("nothing is down"), "{out}");
    assert!(out.contains("terminal  took it over in"), "{out}");
    let taken = listener("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    place.write("api-health.toml", &format!("[notify.webhook]\nurl = \"http://{taken}/hunter2\"\n"));
    assert!(place.ok(&["alerts", "test"]).contains("webhook   took it over in"));
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/hunter2\"\n[notify.terminal]\n");
    let ran = place.run(&["alerts", "test"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.out.contains("webhook   did not take it") && ran.out.contains("terminal  took it"), "{}", ran.out);
    assert!(ran.err.contains("1 of 2 channels") && !(ran.out + &ran.err).contains("hunter2"));
    assert_eq!(place.files(), ["api-health.toml"], "nothing is stored of a test");
}

/// Ends the program with the test, however the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test that waits for another process")]
fn it_works_while_the_daemon_runs() {
    let place = Place::new();
    let url = format!("http://{}/", listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let mut command = place.command(&["run", &url]);
    let quiet = std::process::Stdio::null;
    let mut daemon = Running(command.stdout(quiet()).stderr(quiet()).spawn().unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let ran = place.run(&["status", "--json"]);
        let status: Option<serde_json::Value> = serde_json::from_str(&ran.out).ok();
        if status.is_some_and(|status| status["apis"][0]["status"] == "up" && status["apis"][0]["configured"] == false)
        {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "never up: {ran:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(daemon.0.try_wait().unwrap().is_none(), "the daemon goes on");
}
