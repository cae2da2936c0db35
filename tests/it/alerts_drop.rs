//! `alerts drop`, and what is owed to a channel that is set no more: it stays owed, loudly, until a person gives it up.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Ended, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

const WITHOUT_WEBHOOK: &str = "[apis]\nfile = \"apis.toml\"\n[notify.terminal]\n";

/// That alerts are owed to a channel that nobody has.
const FOREIGN: &str = "alerts are owed to a channel that no running api-health has";

fn with_webhook(receiver: &Receiver) -> String {
    format!("{}[notify.terminal]\n", receiver.settings())
}

fn drop_channel(home: &Home, channel: &str, more: &[&str]) -> Ended {
    home.start(&[&["alerts", "drop", "--channel", channel], more].concat()).wait(SOON)
}

fn list(home: &Home) -> Value {
    let ended = home.start(&["alerts", "list", "--json"]).wait(SOON);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.output).unwrap()
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.output).unwrap()
}

#[test]
fn a_daemon_forgets_what_it_owes_to_a_channel_that_is_given_up_and_nothing_else() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.answer(Answer::Status(404));
    for path in ["/shop", "/till"] {
        target.set(path, Answer::Status(503));
    }
    let home = Home::new(&with_webhook(&receiver), &rows(&target, &["shop", "till"]));
    let daemon = home.run();
    for api_id in ["shop", "till"] {
        home.wait_for_state(api_id, "owed to the webhook alone", |state| {
            state["owed"][0]["deliveries"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["channel"] == "terminal"))
        });
    }
    let nothing = drop_channel(&home, "webhoook", &[]);
    assert_eq!((nothing.code, nothing.output.as_str()), (Some(0), "nothing was owed to webhoook\n"), "{nothing:?}");
    assert_eq!(list(&home)["owed"].as_array().unwrap().len(), 2);

    let dropped = drop_channel(&home, "webhook", &[]);
    assert_eq!((dropped.code, dropped.output.as_str()), (Some(0), "2 owed alerts to webhook dropped\n"), "{dropped:?}");
    daemon.wait_for_log("asked over the control socket: this channel is no longer owed anything");
    for api_id in ["shop", "till"] {
        home.wait_for_state(api_id, "nothing owed", |state| state["owed"] == json!([]));
    }
    assert_eq!(list(&home)["owed"], json!([]));
    // The channel is still set: it is told what comes after.
    receiver.answer(Answer::Status(200));
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(receiver.told(), [("shop".into(), "up".into())]);
    assert_eq!(ended.output.matches("DOWN ").count(), 2, "the terminal had them: {}", ended.output);
}

#[test]
fn without_a_daemon_a_channel_is_given_up_without_being_tried_again() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.answer(Answer::Hang);
    target.set("/shop", Answer::Status(503));
    let home = Home::new(&with_webhook(&receiver), &rows(&target, &["shop"]));
    let daemon = home.run();
    home.wait_for_state("shop", "down", |state| state["status"] == "down");
    daemon.wait_for_log("alert not delivered yet");
    daemon.kill();
    let before = receiver.server.hits("/hook");
    let dropped = json_of(&drop_channel(&home, "webhook", &["--json"]));
    assert_eq!(dropped, json!({ "schema": 1, "channel": "webhook", "dropped": 1 }));
    assert_eq!(receiver.server.hits("/hook"), before, "it is not told what it is owed no more");
    let state = home.states().remove("shop").unwrap();
    assert_eq!((&state["owed"], &state["status"]), (&json!([]), &json!("down")));
    assert_eq!(json_of(&drop_channel(&home, "webhook", &["--json"]))["dropped"], 0);
    receiver.answer(Answer::Status(200));
    target.set("/shop", Answer::Status(200));
    let daemon = home.run();
    receiver.wait_for("shop", "up", SOON);
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["up"]);
}

#[test]
fn on_dynamodb_without_a_daemon_it_owns_everything_for_that() {
    let cloud = Cloud::new();
    let (_target, home) = cloud.outage_without_its_topic();
    let daemon = home.run();
    cloud.wait_for_status("shop", "down", 1);
    daemon.kill();
    assert_eq!(json_of(&drop_channel(&home, "sns", &["--json"]))["dropped"], 1);
    cloud.wait_for_status("shop", "down", 0);
}

#[test]
fn what_is_owed_to_a_channel_that_was_taken_out_stays_owed_and_is_said_until_it_is_back_or_given_up() {
    let (target, receiver) = (Server::start(), Receiver::start());
    receiver.server.refuse();
    target.set("/shop", Answer::Status(503));
    let home = Home::new(&with_webhook(&receiver), &rows(&target, &["shop", "till"]));
    let daemon = home.run();
    home.wait_for_state("shop", "down", |state| state["status"] == "down");
    assert_eq!(daemon.stop().code, Some(0));

    home.write("api-health.toml", WITHOUT_WEBHOOK);
    let daemon = home.run();
    daemon.wait_for_log(FOREIGN);
    let line = daemon.log().lines().find(|line| line.contains(FOREIGN)).unwrap().to_owned();
    assert!(line.contains("ERROR") && line.contains("webhook") && line.contains("alerts drop --channel"), "{line}");
    assert_eq!(list(&home)["owed"][0]["owed_to"], json!(["webhook"]));
    let shown = home.start(&["alerts", "list"]).wait(SOON).output;
    assert!(shown.contains("  webhook (not set here): "), "{shown}");
    // What comes now is owed to the channels of now.
    target.set("/till", Answer::Status(503));
    home.wait_for_state("till", "down and told", |state| state["status"] == "down" && state["owed"] == json!([]));
    assert_eq!(daemon.stop().code, Some(0), "what nobody can tell holds up no end");
    let round = home.once(&[]);
    assert!(round.code == Some(0) && round.log.contains(FOREIGN), "a round has told all that it can: {}", round.log);

    // The channel is back: it is told.
    receiver.server.listen();
    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{}", with_webhook(&receiver)));
    let daemon = home.run();
    receiver.wait_for("shop", "down", Duration::from_secs(90));
    home.wait_for_state("shop", "nothing owed", |state| state["owed"] == json!([]));
    // And gone again, with another alert owed to it.
    receiver.server.refuse();
    target.set("/shop", Answer::Status(200));
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains(FOREIGN), "{}", ended.log);
    home.write("api-health.toml", WITHOUT_WEBHOOK);
    let daemon = home.run();
    daemon.wait_for_log(FOREIGN);
    let dropped = drop_channel(&home, "webhook", &[]);
    assert_eq!(dropped.output, "1 owed alert to webhook dropped\n", "{dropped:?}");
    wait_for("an empty list", SOON, || (list(&home)["owed"] == json!([])).then_some(()));
    assert_eq!(daemon.stop().code, Some(0));
    let daemon = home.run();
    daemon.wait_for_log("configs applied");
    let_pass(Duration::from_secs(2));
    let ended = daemon.stop();
    assert!(ended.code == Some(0) && !ended.log.contains(FOREIGN), "{}", ended.log);
    assert_eq!(receiver.told(), [("shop".into(), "down".into())]);
}
