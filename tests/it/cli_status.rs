//! `status` from outside, over a store with states of every sort.

use std::io::{BufRead, BufReader};

use api_health_core::incident::Incident;
use api_health_core::{ApiId, Status};

use super::cli::Place;
use super::cli_probe::listener;
use super::stored::{THEN, only, owing, state, store};

#[test]
fn the_table_has_what_is_down_first_and_names_what_cannot_be_read() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let ran = place.run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("API") && lines[1].starts_with("c-down"), "{}", ran.out);
    assert!(lines[1].contains("Down") && lines[1].contains(" ago); owes 1 alert to webhook"));
    assert!(
        lines[1].contains("status 503 is not in 2xx (as of "),
        "its age is told where the row is behind: {}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("b-suspect") && lines[2].contains("suspect: 1 of 2 fails; 3 missed ticks (as of "),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("a-up") && lines[3].contains("87 ms") && lines[3].contains(" d "), "{}", lines[3]);
    assert!(lines[4].starts_with("gone") && lines[4].contains("not in the table or file"));
    assert_eq!(lines.last(), Some(&"1 down, 1 checking again, 2 up; 1 alert owed (api-health alerts list)"));
    assert!(ran.err.contains("broken") && ran.err.contains("nothing was probed for"), "{}", ran.err);
    let down = place.ok(&["status", "--down"]);
    assert!(down.contains("c-down") && !down.contains("a-up"), "{down}");
}

#[test]
fn json_has_the_documented_names() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let status = place.json(&["status"]);
    assert_eq!(status["schema"], 1);
    assert_eq!(status["summary"]["down"], 1);
    assert_eq!(status["summary"]["up"], 3);
    assert_eq!(status["summary"]["owed_alerts"], 1);
    assert_eq!((&status["conditions"]["down"], &status["conditions"]["suspect"]), (&1.into(), &1.into()));
    assert_eq!(status["unreadable"][0]["api_id"], "broken");
    let down = &status["apis"][0];
    assert_eq!((&down["api_id"], &down["status"]), (&"c-down".into(), &"down".into()));
    assert_eq!((&down["condition"], &status["apis"][1]["condition"]), (&"down".into(), &"suspect".into()));
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
fn the_monitor_s_own_states_are_no_apis_and_say_what_is_not_probed() {
    let place = Place::new();
    for id in ["shop", "well"] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id]);
    }
    let own = |api_id: ApiId, name: &str, reason: &str| {
        let mut own = state("x", Status::Down);
        own.incident = Some(Box::new(Incident {
            incident_id: format!("{api_id}.1.1"),
            started_at: THEN,
            reason: reason.into(),
            name: name.into(),
            url: String::new(),
            owed_to: vec![],
            evidence: None,
            reminders: 0,
            confirmed_at: None,
            delivered: Vec::new(),
        }));
        own.last_alerted = Status::Down;
        own.owed = vec![owing(api_id.clone(), &format!("{api_id}.1.1.down"), &["terminal"], vec![])];
        own.api_id = api_id;
        own
    };
    let shop = ApiId::parse("shop").unwrap();
    only(
        &place,
        vec![
            state("shop", Status::Up),
            state("well", Status::Up),
            own(ApiId::monitor_prober(&shop), "api-health's prober of Shop", "it died 5 times: Panicked"),
            own(ApiId::monitor_store(), "api-health's store (SQLite file x)", "it takes no writes: disk full"),
        ],
    );
    let ran = place.run(&["status"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[1].starts_with("shop  Not watched") && lines[1].contains("not probed: it died 5 times"),
        "{}",
        ran.out
    );
    assert!(lines[2].starts_with("well  Up"), "{}", ran.out);
    assert_eq!(lines.last(), Some(&"1 not watched, 1 up; 2 alerts owed (api-health alerts list)"));
    assert_eq!(lines.len(), 5, "{}", ran.out);
    assert!(
        ran.err.contains("api-health's store (SQLite file x), since") && ran.err.contains("disk full"),
        "{}",
        ran.err
    );
    let status = place.json(&["status"]);
    assert_eq!(status["apis"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(
        (&status["summary"]["up"], &status["summary"]["down"], &status["summary"]["unknown"]),
        (&1.into(), &0.into(), &1.into())
    );
    let shop = &status["apis"][0];
    assert_eq!(
        (&shop["status"], &shop["not_probed"]["reason"]),
        (&"unknown".into(), &"it died 5 times: Panicked".into())
    );
    assert_eq!(shop["since"], THEN.to_string());
    assert_eq!(status["apis"][1]["not_probed"], serde_json::Value::Null);
    assert_eq!(status["store_trouble"]["reason"], "it takes no writes: disk full");
}

#[test]
fn without_a_store_it_says_what_to_do_and_creates_none() {
    let place = Place::new();
    for args in [&["status"][..], &["status", "--json"], &["alerts", "list"], &["alerts", "retry"], &["apis", "export"]]
    {
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

#[test]
fn it_changes_nothing_and_needs_no_permission_to_write() {
    let place = Place::new();
    place.write("api-health.db", "");
    assert_eq!(place.run(&["status"]).code, 1, "an empty file holds nothing");
    assert_eq!(std::fs::metadata(place.path("api-health.db")).unwrap().len(), 0);
    std::fs::remove_file(place.path("api-health.db")).unwrap();
    store(&place);
    let (before, files) = (std::fs::read(place.path("api-health.db")).unwrap(), place.files());
    place.ok(&["status"]);
    assert!(std::fs::read(place.path("api-health.db")).unwrap() == before);
    assert_eq!(place.files(), files);
}

#[test]
fn watched_in_a_pipe_it_says_how_all_is_and_then_each_change_until_nobody_reads() {
    let place = Place::new();
    store(&place);
    let mut child = place.command(&["status", "--watch"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.ends_with("1 down, 1 checking again, 2 up; 1 alert owed (api-health alerts list)"), "{first}");
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    let up = |id: &str| {
        let set = "UPDATE api_health_states SET record = json_remove(json_set(record, '$.status', 'up'), '$.incident', '$.streak') WHERE api_id = ?1";
        assert_eq!(connection.execute(set, [id]).unwrap(), 1);
    };
    up("b-suspect");
    let change = lines.next().unwrap();
    assert!(change.contains(" b-suspect Up"), "{change}");
    drop(lines);
    connection.execute("DELETE FROM api_health_states WHERE api_id = 'gone'", []).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
