//! kill -9 and start again: nothing is told twice, nothing stays untold.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// Waits until the target was probed `count` times more.
fn wait_for_probes(target: &Server, path: &str, count: usize) {
    let before = target.hits(path);
    wait_for(&format!("{count} probes of {path}"), SOON, || (target.hits(path) >= before + count).then_some(()));
}

#[test]
fn a_kill_in_an_outage_tells_no_second_down_and_the_up_comes() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop", "other"]));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    home.wait_for_state("other", "up", |state| state["status"] == "up");
    target.set("/shop", Answer::Status(500));
    let down = receiver.wait_for("shop", "down", SOON);
    home.wait_for_state("shop", "told", |state| state["owed"] == json!([]) && state["status"] == "down");
    assert_eq!(daemon.kill().code, None);

    // What goes down while nobody looks is told at the next start.
    target.set("/other", Answer::Status(404));
    let daemon = home.run();
    wait_for_probes(&target, "/shop", 3);
    receiver.wait_for("other", "down", SOON);
    assert_eq!(receiver.told_of("shop"), ["down"]);
    home.wait_for_state("other", "told", |state| state["owed"] == json!([]) && state["status"] == "down");
    assert_eq!(daemon.kill().code, None);

    // And what comes back while nobody looks as well.
    target.set("/shop", Answer::Status(200));
    let daemon = home.run();
    let up = receiver.wait_for("shop", "up", SOON);
    assert_eq!(up.text("incident_id"), down.text("incident_id"), "the same outage, through two deaths");
    assert_eq!(up.time("incident_started_at"), down.time("happened_at"));
    let_pass(Duration::from_secs(2));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    assert_eq!(receiver.told_of("other"), ["down"]);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn kills_at_any_moment_repeat_an_alert_under_the_same_id_at_most() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    daemon.kill();
    let mut order = Vec::new();
    for round in 0..2 {
        for (answer, kind) in [(Answer::Status(500), "down"), (Answer::Status(200), "up")] {
            target.set("/shop", answer);
            let daemon = home.run();
            let count = |told: Vec<String>| told.iter().filter(|k| *k == kind).count();
            wait_for(&format!("{kind} of round {round}"), SOON, || {
                let ids: HashSet<_> = receiver
                    .received()
                    .iter()
                    .filter(|r| r.text("kind") == kind)
                    .map(|r| r.text("alert_id").to_owned())
                    .collect();
                (ids.len() > round).then_some(())
            });
            assert!(count(receiver.told_of("shop")) > round);
            daemon.kill(); // right when it is told: whether that is stored is a matter of luck
            order.push(kind);
        }
    }
    let mut seen = HashSet::new();
    let first_of_each: Vec<_> = receiver
        .received()
        .into_iter()
        .filter(|r| seen.insert(r.text("alert_id").to_owned()))
        .map(|r| r.text("kind").to_owned())
        .collect();
    assert_eq!(first_of_each, order, "{:?}", receiver.received());
}

#[test]
fn the_same_binary_keeps_the_same_promises_against_dynamodb_and_sns_by_environment_alone() {
    let cloud = Cloud::new();
    let target = Server::start();
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let home = cloud.home();
    let daemon = home.run();
    cloud.wait_for_status("shop", "up", 0);
    target.set("/shop", Answer::Status(500));
    let down = cloud.wait_for("shop", "down", SOON);
    cloud.wait_for_status("shop", "down", 0);
    assert_eq!(daemon.kill().code, None);
    assert!(!home.database().exists(), "no SQLite file beside DynamoDB");

    let daemon = home.run();
    wait_for_probes(&target, "/shop", 3);
    target.set("/shop", Answer::Status(200));
    let up = cloud.wait_for("shop", "up", SOON);
    cloud.wait_for_status("shop", "up", 0);
    let_pass(Duration::from_secs(2));
    assert_eq!(cloud.told(), [("shop".into(), "down".into()), ("shop".into(), "up".into())]);
    assert_eq!((&up["incident_id"], &up["environment"]), (&down["incident_id"], &json!("e2e-cloud")));
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}
