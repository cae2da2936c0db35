//! `alerts retry`: what is owed goes out now, by the daemon or without one, and nobody is told twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::apis::{row, rows};
use crate::cloud::Cloud;
use crate::daemon::{Ended, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// The longest attempt, the wait for what came of it, and a busy machine.
const RETRIED: Duration = Duration::from_secs(120);

/// What came of attempts is stored within a second.
const SOON_STORED: &str = "[store]\ncheckpoint_seconds = 1\n";

fn retry(home: &Home, more: &[&str]) -> Ended {
    home.start(&[&["alerts", "retry"], more].concat()).wait(RETRIED)
}

/// The results of `alerts retry --json`: channel, kind and what came of it.
fn results(ended: &Ended) -> Vec<(String, String, String)> {
    let all: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(all["schema"], 2, "{all}");
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let results = all["results"].as_array().unwrap().iter();
    results.map(|one| (text(one, "channel"), text(one, "kind"), text(one, "result"))).collect()
}

fn result(channel: &str, kind: &str, result: &str) -> (String, String, String) {
    (channel.into(), kind.into(), result.into())
}

/// What is owed; nothing while there is no store yet.
fn list(home: &Home) -> Value {
    let ended = home.start(&["alerts", "list", "--json"]).wait(SOON);
    serde_json::from_str(&ended.output).unwrap_or_default()
}

/// Waits until the list tells of a failed attempt, and gives the delivery that it is of.
fn wait_for_failure(home: &Home) -> Value {
    wait_for("a failed attempt in the list", SOON, || {
        let delivery = list(home)["owed"][0]["deliveries"][0].clone();
        (delivery["failures"].as_u64() >= Some(1)).then_some(delivery)
    })
}

#[test]
fn beside_a_daemon_that_one_hands_over_at_once_and_the_answer_is_shown() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.answer(Answer::Status(404)); // somebody must act: the daemon tries again in five minutes
    target.set("/shop", Answer::Status(503));
    let home = Home::new(&(receiver.settings() + SOON_STORED), &rows(&target, &["shop"]));
    let daemon = home.run();
    let delivery = wait_for_failure(&home);
    assert!(delivery["last_error"].as_str().unwrap().contains("404"), "{delivery}");
    assert!(delivery["next_try_at"].is_string(), "{delivery}");

    receiver.answer(Answer::Status(410));
    let before = receiver.server.hits("/hook");
    let refused = retry(&home, &[]);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.output.contains(".down  webhook   did not take it: the webhook at "), "{refused:?}");
    assert!(refused.log.contains("1 of 1 not delivered; what is owed stays owed"), "{refused:?}");
    assert_eq!(receiver.server.hits("/hook"), before + 1, "one attempt");

    receiver.answer(Answer::Status(200));
    let retried = retry(&home, &[]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    assert!(retried.output.contains(".down  webhook   took it over"), "{retried:?}");
    assert_eq!(daemon.log().matches("asked over the control socket: trying alerts again").count(), 2);
    assert_eq!(receiver.told_of("shop"), ["down"]);
    home.wait_for_state("shop", "nothing owed any more", |state| state["owed"] == json!([]));
    // The daemon waits for nothing that is over: the recovery goes out at once.
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    home.wait_for_state("shop", "nothing owed", |state| state["owed"] == json!([]));
    assert_eq!(retry(&home, &[]).output, "no alert is owed\n");
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    assert_eq!(home.start(&["run", "--once"]).wait(SOON).code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down", "up"], "a new process repeats nothing either");
}

#[test]
fn beside_a_daemon_that_does_not_answer_nothing_is_tried() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.answer(Answer::Status(404));
    target.set("/shop", Answer::Status(503));
    let home = Home::new(&(receiver.settings() + SOON_STORED), &rows(&target, &["shop"]));
    let daemon = home.run();
    wait_for_failure(&home);
    let before = receiver.server.hits("/hook");
    daemon.signal(Signal::STOP);
    receiver.answer(Answer::Status(200));
    for arguments in [&["alerts", "retry"][..], &["alerts", "drop", "--channel", "webhook"]] {
        let ended = home.start(arguments).wait(RETRIED);
        assert_eq!((ended.code, ended.output.as_str()), (Some(69), ""), "{ended:?}");
        assert!(ended.log.contains("the daemon does not answer within "), "{ended:?}");
        assert!(ended.log.contains("it owns the alerts, so nothing is tried beside it"), "{ended:?}");
    }
    assert_eq!(receiver.server.hits("/hook"), before);
    assert_eq!(list(&home)["owed"][0]["owed_to"], json!(["webhook"]));
    daemon.signal(Signal::CONT);
    assert_eq!(retry(&home, &[]).code, Some(0));
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down"]);
}

#[test]
fn without_a_daemon_it_hands_over_what_a_killed_one_left_behind_in_order() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&(receiver.settings() + SOON_STORED), &rows(&target, &["shop"]));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    receiver.server.refuse();
    target.set("/shop", Answer::Status(503));
    home.wait_for_state("shop", "down", |state| state["status"] == "down");
    target.set("/shop", Answer::Status(200));
    home.wait_for_state("shop", "up again", |state| state["status"] == "up");
    daemon.kill();
    let hits = target.hits("/shop");

    let refused = retry(&home, &["--json"]);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert_eq!(
        results(&refused),
        [result("webhook", "down", "failed"), result("webhook", "up", "not_tried")],
        "{refused:?}"
    );
    let all: Value = serde_json::from_str(&refused.output).unwrap();
    assert!(all["results"][0]["why"].as_str().unwrap().contains("refused"), "{all}");
    assert_eq!(all["results"][1]["delivered"], false);
    assert!(refused.log.contains("2 of 2 not delivered; what is owed stays owed"), "{refused:?}");
    let said = retry(&home, &[]);
    assert!(said.output.contains(".up  webhook   not tried: an alert before it was not taken"), "{said:?}");

    receiver.server.listen();
    let_pass(Duration::from_secs(2)); // so that they are told late
    let down = all["results"][0]["alert_id"].as_str().unwrap();
    let retried = retry(&home, &[down]);
    assert_eq!((retried.code, retried.output.lines().count()), (Some(0), 1), "{retried:?}");
    assert_eq!(receiver.told_of("shop")[0], "down");
    let again = retry(&home, &[down, "nonsense"]);
    assert_eq!((again.code, again.output.as_str()), (Some(64), ""), "{again:?}");
    assert!(
        again.log.contains(down) && again.log.contains("is not owed") && again.log.contains("nonsense"),
        "{again:?}"
    );
    assert_eq!(retry(&home, &[]).code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    let (down, up) = (&receiver.received()[0], &receiver.received()[1]);
    assert!(down.time("happened_at") < up.time("happened_at"), "each has its own time");
    assert!(down.alert["late_seconds"].as_u64() >= Some(1) && up.alert["late_seconds"].as_u64() >= Some(1));
    assert_eq!(list(&home)["owed"], json!([]));
    assert_eq!(target.hits("/shop"), hits, "a command probes nothing");
    assert_eq!(home.states()["shop"]["status"], "up", "and changes no status");

    let daemon = home.run();
    daemon.wait_for_log("configs applied");
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
}

#[test]
fn one_api_s_alert_that_hangs_holds_up_no_other_and_the_terminal_keeps_out_of_the_json() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.answer(Answer::Hang);
    let ids: Vec<String> = (0..12).map(|n| format!("api-{n:02}")).collect();
    let mut apis = String::new();
    for id in &ids {
        target.set(&format!("/{id}"), Answer::Status(503));
        apis += &row(id, &target.url(&format!("/{id}")));
    }
    let home = Home::new(&(receiver.settings() + SOON_STORED), &apis);
    let daemon = home.run();
    for id in &ids {
        home.wait_for_state(id, "down", |state| state["status"] == "down");
    }
    daemon.kill();
    // Version 0.1.0 noted no channels: its alerts are owed to those that are set now. The webhook still hangs, and there is a
    // second channel.
    let forget = "UPDATE api_health_states SET record = json_remove(record, '$.owed[0].owed_to') WHERE status = 'down'";
    assert_eq!(home.open_database().unwrap().execute(forget, []).unwrap(), 12);
    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{}[notify.terminal]\n", receiver.settings()));
    let retried = retry(&home, &["--json"]);
    assert_eq!(retried.code, Some(69), "{retried:?}");
    let all = results(&retried);
    let of = |channel: &str, result: &str| all.iter().filter(|one| one.0 == channel && one.2 == result).count();
    assert_eq!((of("webhook", "failed"), of("terminal", "taken_over")), (12, 12), "{all:?}");
    assert_eq!(retried.log.matches("DOWN api-").count(), 12, "{retried:?}");
}

#[test]
fn on_dynamodb_it_asks_the_daemon_and_hands_over_itself_when_that_one_is_gone() {
    let cloud = Cloud::new();
    let (_target, mut home) = cloud.outage_without_its_topic();
    let folder = tempfile::tempdir().unwrap();
    home.env("XDG_RUNTIME_DIR", folder.path().to_str().unwrap());
    home.write("api-health.toml", SOON_STORED);
    let daemon = home.run();
    let delivery = wait_for_failure(&home);
    assert_eq!(delivery["channel"], "sns");
    // The command knows the right topic. The daemon does not, and it is the one that hands over.
    home.env("SNS_TOPIC_ARN", &cloud.topic_arn);
    let refused = retry(&home, &[]);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.output.contains("sns       did not take it"), "{refused:?}");
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(cloud.told(), []);

    let retried = retry(&home, &[]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    assert!(retried.output.contains("sns       took it over"), "{retried:?}");
    cloud.wait_for("shop", "down", SOON);
    cloud.wait_for_status("shop", "down", 0);
    let daemon = home.run();
    daemon.wait_for_log("configs applied");
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(cloud.told().len(), 1, "a new process repeats nothing");
}
