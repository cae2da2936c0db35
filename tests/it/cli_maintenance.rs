//! `maintenance start`, `list` and `end`: with a daemon, and without one.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::apis::{row, row_with, rows};
use crate::daemon::{Ended, Home, SOON, let_pass};
use crate::support::http::{Answer, Server};

fn maintenance(home: &Home, words: &[&str]) -> Ended {
    home.start(&[&["maintenance"], words].concat()).wait(SOON)
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.output).unwrap()
}

#[test]
fn a_window_that_is_opened_without_a_daemon_holds_what_the_next_one_finds_until_it_is_ended() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop", "till"]));
    let daemon = home.run();
    for api_id in ["shop", "till"] {
        home.wait_for_state(api_id, "up", |state| state["status"] == "up");
    }
    assert_eq!(daemon.stop().code, Some(0));

    let opened = maintenance(&home, &["start", "--for", "1h", "--api", "shop", "--note", "new disks"]);
    assert_eq!(opened.code, Some(0), "{opened:?}");
    assert!(opened.output.starts_with("maintenance of 1 API until 20"), "{opened:?}");
    let open = json_of(&maintenance(&home, &["list", "--json"]));
    assert_eq!(open["open"].as_array().map(Vec::len), Some(1), "{open}");
    let window = &open["open"][0];
    assert_eq!(
        (&window["api_id"], &window["note"], &window["by_hand"]),
        (&json!("shop"), &json!("new disks"), &json!(true))
    );

    target.set("/shop", Answer::Status(503));
    target.set("/till", Answer::Status(503));
    let daemon = home.run();
    receiver.wait_for("till", "down", SOON);
    home.wait_for_state("shop", "down, and held", |state| state["status"] == "down" && state["held"]["changes"] == 1);
    let_pass(Duration::from_secs(2));
    assert_eq!(receiver.told(), [("till".into(), "down".into())]);
    let listed = maintenance(&home, &["list"]);
    assert!(listed.output.contains("shop") && listed.output.contains("new disks"), "{listed:?}");
    let status = home.start(&["status"]).wait(SOON);
    assert!(status.output.contains("alert held: maintenance until"), "{status:?}");

    let ended = json_of(&maintenance(&home, &["end", "--all", "--json"]));
    assert_eq!((&ended["apis"], &ended["until"]), (&json!(1), &Value::Null));
    daemon.wait_for_log("asked over the control socket: maintenance begins, or ends");
    receiver.wait_for("shop", "down", SOON);
    assert_eq!(maintenance(&home, &["list"]).output, "no maintenance window is open\n");
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_window_of_the_settings_holds_what_has_its_tag_and_without_it_what_is_left_is_told_once() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let shop = row_with("shop", &target.url("/shop"), "tags = [\"payments\"]");
    let window = "[maintenance]\nby_tag = { payments = [\"2020-01-01T00:00:00Z to 2099-01-01T00:00:00Z\"] }\n";
    let home = Home::new(&(receiver.settings() + window), &(shop + &row("till", &target.url("/till"))));
    let daemon = home.run();
    for api_id in ["shop", "till"] {
        home.wait_for_state(api_id, "up", |state| state["status"] == "up");
    }
    target.set("/shop", Answer::Status(503));
    target.set("/till", Answer::Status(503));
    receiver.wait_for("till", "down", SOON);
    home.wait_for_state("shop", "down, and held", |state| state["status"] == "down" && state["held"]["changes"] == 1);
    let open = json_of(&maintenance(&home, &["list", "--json"]));
    assert_eq!(open["open"].as_array().map(Vec::len), Some(1), "{open}");
    let window = &open["open"][0];
    assert_eq!((&window["api_id"], &window["by_hand"]), (&json!("shop"), &json!(false)));
    assert_eq!(window["until"], "2099-01-01T00:00:00.000Z");
    let shown = home.start(&["settings", "show"]).wait(SOON);
    assert!(shown.output.contains("maintenance.by_tag"), "{shown:?}");

    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{}", receiver.settings()));
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("started again: maintenance.by_tag (from ");
    assert_eq!(receiver.told(), [("till".into(), "down".into())]);
    assert_eq!(daemon.stop().code, Some(0));
    let daemon = home.run();
    receiver.wait_for("shop", "down", SOON);
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn what_cannot_be_meant_is_refused_all_at_once() {
    let target = Server::start();
    let home = Home::new("", &rows(&target, &["shop"]));
    let refused = |words: &[&str]| {
        let ended = maintenance(&home, words);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        ended.log
    };
    let said = refused(&["start", "--for", "1h", "--api", "shopp", "--tag", "eu"]);
    assert!(
        said.contains("--api \"shopp\" is configured nowhere") && said.contains("--tag \"eu\" is the tag of no API"),
        "{said}"
    );
    let said = refused(&["start", "--for", "ever", "--all"]);
    assert!(said.contains("\"ever\" is no time that a window can last; write a time such as 30m"), "{said}");
    let note = "x".repeat(101);
    let said = refused(&["start", "--for", "1h", "--all", "--note", &note]);
    assert!(said.contains("--note has 101 characters, more than 100"), "{said}");
    let many: Vec<&str> = std::iter::repeat_n(["--api", "shop"], 51).flatten().collect();
    let said = refused(&[&["end"][..], &many].concat());
    assert!(said.contains("are more than 50 of a kind"), "{said}");
    assert!(refused(&["start", "--for", "1h"]).contains("--all"), "nothing is meant by nothing");
}
