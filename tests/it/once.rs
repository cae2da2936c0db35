//! `run --once`, as cron drives it, from an empty directory.

use serde_json::json;

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::daemon::Home;
use crate::support::http::{Answer, Server};

#[test]
fn from_an_empty_directory_it_probes_stores_tells_once_and_says_that_it_worked() {
    let target = Server::start();
    let url = target.url("/health");
    let home = Home::empty();
    let ended = home.once(&[&url]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""), "{}", ended.log);
    let state = home.states().into_values().next().unwrap();
    assert_eq!((&state["status"], &state["last_status_code"]), (&json!("up"), &json!(200)));

    target.set("/health", Answer::Status(503));
    let told = home.once(&[&url]);
    assert_eq!(told.code, Some(0), "the run worked: {}", told.log);
    assert_eq!(told.output.matches("DOWN").count(), 1, "{}", told.output);
    assert!(told.output.contains("status 503 is not in 2xx"), "{}", told.output);
    let state = home.states().into_values().next().unwrap();
    assert_eq!((&state["status"], &state["owed"]), (&json!("down"), &json!([])));
    let again = home.once(&[&url]);
    assert_eq!((again.code, again.output.as_str()), (Some(0), ""), "{}", again.log);

    target.set("/health", Answer::Status(200));
    let back = home.once(&[&url]);
    assert_eq!(back.code, Some(0), "{}", back.log);
    assert_eq!((back.output.matches("UP").count(), back.output.matches("DOWN").count()), (1, 0), "{}", back.output);
}

#[test]
fn an_alert_that_a_dead_webhook_did_not_take_is_told_by_the_next_run() {
    let (target, receiver) = (Server::start(), Receiver::start());
    target.set("/shop", Answer::Status(500));
    receiver.server.refuse();
    let home = Home::new(&receiver.settings(), &row("shop", &target.url("/shop")));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(75), "{}", ended.log);
    assert_eq!(home.states()["shop"]["owed"].as_array().unwrap().len(), 1);

    receiver.server.listen();
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(receiver.told_of("shop"), ["down"]);
    assert_eq!(home.states()["shop"]["owed"], json!([]));
}

#[test]
fn a_round_that_a_signal_cut_short_stores_what_it_has_and_says_that_it_was_none() {
    let target = Server::start();
    target.set("/slow", Answer::Hang);
    let apis = row("good", &target.url("/good")) + &row_with("slow", &target.url("/slow"), "timeout_seconds = 60");
    let home = Home::new("[run]\nshutdown_seconds = 1\n", &apis);
    let daemon = home.start(&["run", "--once"]);
    home.wait_for_state("good", "stored", |state| state["status"] == "up");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(75), "{}", ended.log);
}

#[test]
fn bad_rows_show_in_the_exit_code_and_the_others_run() {
    let target = Server::start();
    let apis = row("good", &target.url("/good")) + &row_with("bad", &target.url("/bad"), "metod = \"GET\"");
    let home = Home::new("", &apis);
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    assert!(ended.log.contains("method, the nearest name that is known"), "{}", ended.log);
    assert_eq!(home.states()["good"]["status"], "up");
    assert_eq!((target.hits("/good"), target.hits("/bad")), (1, 0));

    home.write("apis.toml", "[[api");
    assert_eq!(home.once(&[]).code, Some(64));
    // A URL of the command line runs all the same, and the fault is not hidden.
    let ended = home.once(&[&target.url("/given")]);
    assert_eq!((ended.code, target.hits("/given")), (Some(64), 1), "{}", ended.log);
}
