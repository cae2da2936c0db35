//! The store is dead for a while: probing goes on, alerts come, and nothing is lost or told twice when it is back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;

/// An owed alert that could not be stored is told after 30 s; and a busy machine.
const TOLD_UNSTORED: Duration = Duration::from_secs(75);

/// Fails if an API that is probed every second was probed much less often than that.
fn assert_cadence(target: &Server, path: &str, hits_before: usize, since: Instant) {
    let (hits, seconds) = (target.hits(path) - hits_before, since.elapsed().as_secs_f64());
    assert!(hits as f64 >= seconds * 0.6 - 1.0, "{path}: {hits} probes in {seconds:.0} s");
}

/// DynamoDB behind a proxy that breaks in one way. `shop` goes down; `blink` goes down and comes back.
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn dynamodb_is_gone(fault: &Fault) {
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    let port = Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap();
    let proxy = HttpProxy::to(port);
    for api_id in ["steady", "shop", "blink"] {
        cloud.put_row(api_id, &target.url(&format!("/{api_id}")), &[]);
    }
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url(""));
    home.write("api-health.toml", &format!("[apis]\nreload_seconds = 5\n{}", receiver.settings()));
    let daemon = home.run();
    for api_id in ["steady", "shop", "blink"] {
        cloud.wait_for_status(api_id, "up", 0);
    }

    let version_before = cloud.states()["shop"]["version"].as_n().unwrap().clone();
    proxy.strike(fault.clone());
    let (began, hits) = (Instant::now(), target.hits("/steady"));
    target.set("/shop", Answer::Status(503));
    target.set("/blink", Answer::Status(503));
    let changed = |api_id: &str, to: &str| {
        wait_for(&format!("{api_id} is seen {to}"), SOON, || {
            let seen = daemon.lines().iter().any(|l| {
                l["message"] == "status changed" && l["api_id"] == api_id && l["from"] != "unknown" && l["to"] == to
            });
            seen.then_some(())
        });
    };
    changed("blink", "down");
    target.set("/blink", Answer::Status(200));
    changed("blink", "up");
    assert_eq!(receiver.told(), [], "{fault:?}: what is not stored is not told at once");
    let down = receiver.wait_for("shop", "down", TOLD_UNSTORED);
    let waited = down.at.duration_since(down.time("detected_at")).unwrap();
    assert!((25..=60).contains(&waited.as_secs()), "{fault:?}: told after {waited:?}");
    assert_cadence(&target, "/steady", hits, began);
    receiver.wait_for("blink", "up", TOLD_UNSTORED);
    receiver.wait_for("api-health:store", "down", TOLD_UNSTORED);
    daemon.wait_for_log("the store does not take writes");
    daemon.wait_for_log("the configs cannot be read");
    let stored = cloud.states().remove("shop").unwrap();
    assert_eq!(stored["status"].as_s().unwrap(), "up", "{fault:?}: the store was really gone");
    // The first write, of the suspicion or of a figure, took effect, and stays unanswered; the next waits for its answer.
    let version = stored["version"].as_n().unwrap();
    assert_eq!(*version != version_before, fault.takes_effect(), "{fault:?}: {version_before}, {stored:?}");

    proxy.mend();
    cloud.wait_for_status("shop", "down", 0);
    cloud.wait_for_status("blink", "up", 0);
    daemon.wait_for_log("the store takes writes again");
    receiver.wait_for("api-health:store", "up", SOON);
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    cloud.wait_for_status("shop", "up", 0);
    let_pass(Duration::from_secs(2));
    assert_eq!(receiver.told_of("shop"), ["down", "up"], "{fault:?}");
    assert_eq!(receiver.told_of("blink"), ["down", "up"], "{fault:?}");
    assert_eq!(receiver.told_of("steady"), [""; 0]);
    assert_eq!(receiver.told_of("api-health:store"), ["down", "up"], "{fault:?}: the monitor tells of itself");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{fault:?}: {}", ended.log);
}

/// An answer of DynamoDB's own with an error.
fn error(status: &str, code: &str) -> Fault {
    let body = format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"no\"}}");
    Fault::answer(status, "content-type: application/x-amz-json-1.0\r\n", &body)
}

/// An answer with status 200 that DynamoDB never gives.
fn nonsense(kind: &str, body: &str) -> Fault {
    Fault::answer("200 OK", &format!("content-type: {kind}\r\n"), body)
}

#[test]
fn without_dynamodb_probing_goes_on_alerts_come_and_nothing_is_lost_or_told_twice() {
    let faults = [
        Fault::Refuse,
        Fault::Hang,
        Fault::Reset,
        Fault::Close,
        Fault::LoseAnswer,
        Fault::Trickle(Duration::from_millis(400)),
        Fault::CutHead,
        Fault::CutBody,
        Fault::garbage(),
    ];
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || dynamodb_is_gone(fault)))));
}

#[test]
fn with_dynamodb_throttled_failing_or_replaced_by_something_else_as_well() {
    let faults = [
        error("400 Bad Request", "ProvisionedThroughputExceededException"),
        error("400 Bad Request", "ThrottlingException"),
        error("500 Internal Server Error", "InternalServerError"),
        Fault::answer("503 Service Unavailable", "content-type: text/html\r\n", "<h1>503</h1>"),
        Fault::html_page(),
        nonsense("application/x-amz-json-1.0", "[1, 2"),
        nonsense("application/x-amz-json-1.0", "\"yes\""),
        nonsense("application/x-amz-json-1.0", "{}"),
        nonsense("text/plain", ""),
    ];
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || dynamodb_is_gone(fault)))));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn while_another_process_holds_the_sqlite_file_probing_goes_on_and_nothing_is_lost() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["steady", "shop"]));
    let daemon = home.run();
    for api_id in ["steady", "shop"] {
        home.wait_for_state(api_id, "up", |state| state["status"] == "up");
    }
    let holder = home.open_database().unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (began, hits) = (Instant::now(), target.hits("/steady"));
    target.set("/shop", Answer::Status(503));
    daemon.wait_for_log("the store does not take writes");
    let_pass(Duration::from_secs(3));
    assert_cadence(&target, "/steady", hits, began);
    assert_eq!(receiver.told(), []);
    holder.execute_batch("ROLLBACK").unwrap();
    receiver.wait_for("shop", "down", SOON);
    home.wait_for_state("shop", "told", |state| state["status"] == "down" && state["owed"] == json!([]));
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
}
