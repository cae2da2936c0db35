//! The webhook is dead while an API goes down and comes back: both are told, in order, when it is back.

use std::time::Duration;

use serde_json::json;

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Home, let_pass};
use crate::support::http::{Answer, Server};

/// The next try comes within a minute, however long the channel was dead.
const BACK: Duration = Duration::from_secs(90);

/// Ways in which a channel is dead.
#[derive(Clone, Copy, Debug)]
enum Dead {
    Refuses,
    Hangs,
    Fails,
}

impl Dead {
    fn begin(self, receiver: &Receiver) {
        match self {
            Self::Refuses => receiver.server.refuse(),
            Self::Hangs => receiver.answer(Answer::Hang),
            Self::Fails => receiver.answer(Answer::Status(500)),
        }
    }

    fn end(self, receiver: &Receiver) {
        match self {
            Self::Refuses => receiver.server.listen(),
            Self::Hangs | Self::Fails => receiver.answer(Answer::Status(200)),
        }
    }
}

fn both_are_told_in_order(dead: Dead, with_a_kill: bool) {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let mut daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    dead.begin(&receiver);
    target.set("/shop", Answer::Status(503));
    home.wait_for_state("shop", "down", |state| state["status"] == "down");
    if with_a_kill {
        daemon.kill();
        daemon = home.run();
    }
    target.set("/shop", Answer::Status(200));
    let state = home.wait_for_state("shop", "up again", |state| state["status"] == "up");
    assert_eq!(state["owed"].as_array().unwrap().len(), 2, "{dead:?}: {state}");
    assert_eq!(receiver.told(), []);
    daemon.wait_for_log("alert not delivered yet");
    if with_a_kill {
        daemon.kill(); // now both are owed from the very start
        daemon = home.run();
        daemon.wait_for_log("alert not delivered yet");
    }

    dead.end(&receiver);
    receiver.wait_for("shop", "up", BACK);
    home.wait_for_state("shop", "nothing owed", |state| state["owed"] == json!([]));
    let_pass(Duration::from_secs(1));
    assert_eq!(receiver.told_of("shop"), ["down", "up"], "{dead:?}");
    let (down, up) = (&receiver.received()[0], &receiver.received()[1]);
    assert_eq!(down.text("incident_id"), up.text("incident_id"));
    assert!(down.alert["late_seconds"].as_u64().unwrap() >= 1, "{down:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

/// All at once: each of them mostly waits.
fn in_every_way(with_a_kill: bool) {
    std::thread::scope(|scope| {
        for dead in [Dead::Refuses, Dead::Hangs, Dead::Fails] {
            scope.spawn(move || both_are_told_in_order(dead, with_a_kill));
        }
    });
}

#[test]
fn a_webhook_that_refuses_hangs_or_fails_gets_down_and_up_in_order_when_it_is_back() {
    in_every_way(false);
}

#[test]
fn and_through_a_kill_after_the_down_and_another_after_the_up() {
    in_every_way(true);
}

#[test]
fn alerts_owed_through_a_dead_webhook_go_to_the_one_that_replaces_it() {
    let (target, dead, other) = (Server::start(), Receiver::start(), Receiver::start());
    dead.answer(Answer::Hang);
    target.set("/first", Answer::Status(500));
    let home = Home::new(&dead.settings(), &rows(&target, &["first", "second"]));
    let daemon = home.run();
    home.wait_for_state("first", "down", |state| state["status"] == "down");
    daemon.wait_for_log("alert not delivered yet");
    daemon.kill();
    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{}", other.settings()));
    target.set("/second", Answer::Status(500));
    let daemon = home.run();
    other.wait_for("first", "down", BACK);
    other.wait_for("second", "down", BACK);
    home.wait_for_state("first", "nothing owed", |state| state["owed"] == json!([]));
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!((other.told_of("first").len(), other.told_of("second").len()), (1, 1));
}

#[test]
fn an_alert_for_a_topic_that_is_not_there_is_said_loudly_and_kept_for_the_right_one() {
    let cloud = Cloud::new();
    let (_target, mut home) = cloud.outage_without_its_topic();
    let daemon = home.run();
    daemon.wait_for_log("alert not delivered: somebody must act");
    cloud.wait_for_status("shop", "down", 1);
    assert_eq!(daemon.stop().code, Some(0), "what is owed is stored");
    home.env("SNS_TOPIC_ARN", &cloud.topic_arn);
    let daemon = home.run();
    cloud.wait_for("shop", "down", BACK);
    cloud.wait_for_status("shop", "down", 0);
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(cloud.told(), [("shop".into(), "down".into())]);
}
