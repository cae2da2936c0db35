//! Many APIs go down at once while the channel takes its time, and asks for patience: none is told twice, and it is said how long it
//! will take.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::apis::rows;
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

const APIS: usize = 60;

/// How long the channel takes for each alert.
const SLOW: Duration = Duration::from_secs(3);

/// So many attempts are under way through one channel.
const SIDE_BY_SIDE: usize = 16;

fn names() -> Vec<String> {
    (0..APIS).map(|n| format!("api-{n:02}")).collect()
}

/// All of them are down, and alerts go out one by one.
fn storm(target: &Server, receiver: &Server) -> Home {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        target.set(&format!("/{name}"), Answer::Status(503));
    }
    let settings = format!(
        "[notify]\ndigest_above = 0\n[[notify.channel]]\nname = \"slow\"\nkind = \"webhook\"\nurl = \"{}\"\n",
        receiver.url("/slow")
    );
    Home::new(&settings, &rows(target, &names))
}

/// The ids of the alerts that were taken, in order.
fn taken(receiver: &Server) -> Vec<String> {
    let all = receiver.requests("/slow").into_iter().filter(|request| request.answered == 200);
    let id = |body: String| serde_json::from_str::<Value>(&body).unwrap()["alert_id"].as_str().unwrap().to_owned();
    all.map(|request| id(request.body)).collect()
}

fn each_was_taken_once(receiver: &Server) {
    wait_for("all are told", SOON * 2, || (taken(receiver).len() >= APIS).then_some(()));
    let taken = taken(receiver);
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (APIS, APIS));
}

#[test]
fn a_slow_channel_is_told_of_each_once_and_it_is_said_how_long_that_takes() {
    let (target, receiver) = (Server::start(), Server::start());
    receiver.set("/slow", Answer::Slow(SLOW));
    let home = storm(&target, &receiver);
    let daemon = home.run();
    wait_for("some are told", SOON, || (receiver.hits("/slow") > SIDE_BY_SIDE).then_some(()));
    let said = wait_for("the list says how long", SOON, || {
        let ended = home.start(&["alerts", "list"]).wait(SOON);
        ended.log.contains(" more at the pace of the ").then_some(ended.log)
    });
    assert!(said.contains(" alerts to slow, the oldest first: "), "{said}");
    each_was_taken_once(&receiver);
    let lines = daemon.stop().lines();
    let said = lines.iter().find(|line| line["message"].as_str().is_some_and(|m| m.starts_with("many alerts wait")));
    let said = said.expect("the log says how long");
    assert!(said["channel"] == "slow" && said["alerts"].as_u64().is_some_and(|alerts| alerts >= 20), "{said}");
    assert!(said["seconds_left"].as_u64().is_some_and(|seconds| seconds <= 60), "{said}");
}

#[test]
fn patience_that_a_channel_asks_for_is_had_with_every_alert_in_seconds_and_as_a_date() {
    for as_date in [false, true] {
        let (target, receiver) = (Server::start(), Server::start());
        // A date has no parts of a second.
        let until = receiver.set("/slow", Answer::Hang) + Duration::from_secs(20);
        let wait = if as_date { httpdate::fmt_http_date(until) } else { "7".to_owned() };
        receiver.set("/slow", Answer::Busy(wait));
        let home = storm(&target, &receiver);
        let daemon = home.run();
        let first = wait_for("it is asked", SOON, || receiver.requests("/slow").first().map(|request| request.at));
        // Those that were on their way before it was known are answered alike.
        let known = tokio::time::Instant::now() + Duration::from_secs(1);
        wait_for("a second", SOON, || (tokio::time::Instant::now() > known).then_some(()));
        receiver.set("/slow", Answer::Status(200));
        each_was_taken_once(&receiver);
        let requests = receiver.requests("/slow");
        let busy = requests.iter().filter(|request| request.answered == 429).count();
        let next = requests.iter().find(|request| request.answered == 200).unwrap().at;
        let waited = next.duration_since(first).unwrap();
        assert!(busy <= SIDE_BY_SIDE, "{busy} attempts before it was known");
        let patience = if as_date { until.duration_since(first).unwrap_or_default() } else { Duration::from_secs(7) };
        assert!(waited + Duration::from_secs(1) >= patience, "{waited:?} of {patience:?}");
        assert_eq!(daemon.stop().code, Some(0));
    }
}
