//! Stored records that make no sense, and whether the program says that it is ready.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::daemon::{Home, let_pass};
use crate::support::http::{Answer, Server};

/// Writes over the record of an API as somebody else would.
fn write_record(home: &Home, api_id: &str, record: &str, version: i64) {
    let write = "UPDATE api_health_states SET record = ?2, version = ?3 WHERE api_id = ?1";
    assert_eq!(home.open_database().unwrap().execute(write, rusqlite::params![api_id, record, version]).unwrap(), 1);
}

fn read_record(home: &Home, api_id: &str) -> String {
    let read = "SELECT record FROM api_health_states WHERE api_id = ?1";
    home.open_database().unwrap().query_row(read, [api_id], |row| row.get(0)).unwrap()
}

/// `(api_id, record, why)` of what was set aside, as a person is told to look at it.
fn quarantined(home: &Home) -> Vec<(String, String, String)> {
    let connection = home.open_database().unwrap();
    let Ok(mut statement) = connection.prepare("SELECT api_id, record, why FROM api_health_states_set_aside") else {
        return vec![]; // none was ever
    };
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn is_down_and_told(state: &Value) -> bool {
    state["status"] == "down" && state["owed"] == json!([])
}

#[test]
fn a_damaged_record_is_set_aside_at_the_start_and_its_api_is_not_told_again_and_again() {
    let (target, receiver) = (Server::start(), Receiver::start());
    target.set("/shop", Answer::Status(500));
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop", "other"]));
    let daemon = home.run();
    home.wait_for_state("shop", "told", is_down_and_told);
    home.wait_for_state("other", "up", |state| state["status"] == "up");
    assert_eq!(daemon.stop().code, Some(0));
    let torn = read_record(&home, "shop").replace("\"status\":\"down\",", "");
    write_record(&home, "shop", &torn, 40);

    let daemon = home.run();
    daemon.wait_for_log("a stored state is damaged; it is set aside, and its API starts as unknown");
    let line = daemon.lines().into_iter().find(|l| l["message"].as_str().unwrap().contains("set aside")).unwrap();
    assert_eq!((&line["api_id"], &line["level"]), (&json!("shop"), &json!("ERROR")), "{line}");
    assert!(line["why"].as_str().unwrap().contains("missing field `status`"), "{line}");
    // What is known of it is gone, so that it is down is news once more.
    home.wait_for_state("shop", "told", is_down_and_told);
    assert_eq!(receiver.told_of("shop"), ["down", "down"]);
    let kept = quarantined(&home);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&*kept[0].0, &kept[0].1), ("shop", &torn));
    assert!(kept[0].2.contains("missing field `status`"));
    assert_eq!(daemon.stop().code, Some(0));

    let daemon = home.run();
    let hits = target.hits("/shop");
    crate::daemon::wait_for("three probes", crate::daemon::SOON, || (target.hits("/shop") >= hits + 3).then_some(()));
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("set aside"), "{}", ended.log);
    assert_eq!(receiver.told_of("shop"), ["down", "down"], "once, and not at each start");
    assert_eq!(receiver.told_of("other"), [""; 0]);
    let status = home.start(&["status"]).wait(crate::daemon::SOON);
    assert!(status.output.contains("shop") && status.output.contains("other"), "{}", status.output);
}

#[test]
fn a_record_that_is_damaged_in_use_is_set_aside_and_what_is_known_is_written_again() {
    let (target, receiver) = (Server::start(), Receiver::start());
    target.set("/shop", Answer::Status(500));
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let daemon = home.run();
    home.wait_for_state("shop", "told", is_down_and_told);
    write_record(&home, "shop", "{}", 400);
    target.set("/shop", Answer::Status(200));
    daemon.wait_for_log("the stored record of this API is damaged; it is set aside");
    receiver.wait_for("shop", "up", crate::daemon::SOON);
    home.wait_for_state("shop", "up", |state| state["status"] == "up" && state["owed"] == json!([]));
    assert_eq!(quarantined(&home).len(), 1);
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
}

#[test]
fn a_record_of_a_newer_version_is_left_alone_and_hurts_nobody_else() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop", "other"]));
    let daemon = home.run();
    for api_id in ["shop", "other"] {
        home.wait_for_state(api_id, "up", |state| state["status"] == "up");
    }
    assert_eq!(daemon.stop().code, Some(0));
    let newer = r#"{"schema":99,"api_id":"shop","version":7,"colour":"blue"}"#;
    write_record(&home, "shop", newer, 7);
    let daemon = home.run();
    daemon.wait_for_log("a stored state cannot be read; it is left alone, and its API starts as unknown");
    target.set("/other", Answer::Status(500));
    receiver.wait_for("other", "down", crate::daemon::SOON);
    home.wait_for_state("other", "told", is_down_and_told);
    daemon.wait_for_log("run the version that wrote it, or delete it");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(69), "one record could not be written: {}", ended.log);
    assert_eq!(read_record(&home, "shop"), newer);
    assert_eq!(quarantined(&home), []);
    assert!(!ended.log.contains("the store still does not take writes"), "{}", ended.log);
}

#[test]
fn readiness_is_said_when_it_changes_and_not_for_a_blip() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let daemon = home.run();
    daemon.wait_for_log("ready: configs are read, and the store takes writes");
    let holder = home.open_database().unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    target.set("/shop", Answer::Status(500)); // something to write
    daemon.wait_for_log("not ready");
    holder.execute_batch("ROLLBACK").unwrap();
    home.wait_for_state("shop", "told", is_down_and_told);
    let count = || daemon.log().matches("ready: configs").count();
    crate::daemon::wait_for("ready again", crate::daemon::SOON, || (count() == 2).then_some(()));
    let_pass(Duration::from_secs(2));
    assert_eq!((count(), daemon.log().matches("\"not ready\"").count()), (2, 1), "{}", daemon.log());
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn so_many_damaged_records_are_named_at_a_start() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    assert_eq!(daemon.stop().code, Some(0));
    let database = home.open_database().unwrap();
    for n in 0..150 {
        let insert = "INSERT INTO api_health_states VALUES (?1, 1, 'up', 'nonsense')";
        database.execute(insert, [format!("damaged-{n}")]).unwrap();
    }
    let daemon = home.run();
    daemon.wait_for_log("some stored states could not be read");
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    let named = daemon.lines().iter().filter(|l| l["message"].as_str().unwrap().contains("is damaged")).count();
    assert_eq!((named, quarantined(&home).len()), (5, 150));
    assert_eq!(daemon.stop().code, Some(0));
}
