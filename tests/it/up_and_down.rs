//! Up, down, up again: what people are told, judged by what a webhook gets.

use std::time::{Duration, SystemTime};

use crate::alerts::Receiver;
use crate::apis::{row, row_with, rows};
use crate::daemon::{Home, SOON, let_pass};
use crate::support::http::{Answer, Server};

/// How far a time in an alert may be from the true one: a tick, and a busy machine.
const NEAR: Duration = Duration::from_secs(10);
/// How long a probe may take on a busy machine.
const PROBE: Duration = Duration::from_secs(3);

fn is_near(told: SystemTime, happened: SystemTime) -> bool {
    // A change is dated to the beginning of the probe that saw it, which may have begun before the answer changed.
    told + PROBE >= happened && told < happened + NEAR
}

#[test]
fn an_api_that_goes_down_and_comes_back_is_told_once_each_with_the_right_times() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let apis = row_with("shop", &target.url("/shop"), "name = \"Shop ü\"\nfailure_threshold = 2");
    let home = Home::new(&receiver.settings(), &apis);
    home.write(
        "api-health.toml",
        &format!("environment = \"e2e\"\n[apis]\nfile = \"apis.toml\"\n{}", receiver.settings()),
    );
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");

    let went_down = target.set("/shop", Answer::Status(503));
    let down = receiver.wait_for("shop", "down", SOON);
    let came_back = target.set("/shop", Answer::Status(200));
    let up = receiver.wait_for("shop", "up", SOON);
    home.wait_for_state("shop", "nothing owed", |state| state["owed"] == serde_json::json!([]));
    let_pass(Duration::from_secs(3)); // and then nothing more
    assert_eq!(receiver.told(), [("shop".into(), "down".into()), ("shop".into(), "up".into())]);

    for (received, status, previous) in [(&down, "down", "up"), (&up, "up", "down")] {
        assert_eq!(received.alert["schema"], 1);
        assert_eq!((received.text("status"), received.text("previous_status")), (status, previous));
        assert_eq!((received.text("name"), received.text("environment")), ("Shop ü", "e2e"));
        assert_eq!(received.text("url"), target.url("/shop"));
        assert_eq!(received.text("reason"), "status 503 is not in 2xx");
        assert_eq!(received.text("incident_id"), down.text("incident_id"));
        assert!(received.time("detected_at") >= received.time("happened_at"));
        assert!(is_near(received.at, received.time("detected_at")), "{received:?}");
        assert!(received.alert["late_seconds"].as_u64().unwrap() < NEAR.as_secs());
    }
    assert_ne!(down.text("alert_id"), up.text("alert_id"));
    assert!(is_near(down.time("happened_at"), went_down), "{down:?}, {went_down:?}");
    assert!(is_near(up.time("happened_at"), came_back), "{up:?}, {came_back:?}");
    assert_eq!(up.time("incident_started_at"), down.time("happened_at"));
    let lasted = up.time("happened_at").duration_since(down.time("happened_at")).unwrap();
    assert_eq!(up.alert["duration_seconds"], lasted.as_secs());
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn every_way_of_failing_is_told_in_its_own_words() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let gone = Server::start();
    target.set("/hang", Answer::Hang);
    target.set("/close", Answer::Close);
    gone.refuse();
    let timeout = "timeout_seconds = 1";
    let apis = [
        row("refused", &gone.url("/")),
        row("close", &target.url("/close")),
        row_with("hang", &target.url("/hang"), timeout),
        row("name", "http://no-such-name.invalid/"),
        row("good", &target.url("/good")),
    ];
    let home = Home::new(&receiver.settings(), &apis.concat());
    let daemon = home.run();
    for (api_id, words) in [
        ("refused", "refused"),
        ("close", "closed"),
        ("hang", "timed out after 1 s while waiting"),
        ("name", "no-such-name.invalid"),
    ] {
        let down = receiver.wait_for(api_id, "down", SOON);
        assert!(down.text("reason").contains(words), "{api_id}: {}", down.text("reason"));
        assert_eq!(down.text("previous_status"), "unknown");
    }
    assert_eq!(receiver.told_of("good"), [""; 0]);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_single_failed_probe_is_told_to_nobody() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["blip"]));
    let daemon = home.run();
    for _ in 0..2 {
        let before = target.hits("/blip");
        crate::daemon::wait_for("two passes", SOON, || (target.hits("/blip") >= before + 2).then_some(()));
        target.set("/blip", Answer::Status(500));
        let failed = || target.requests("/blip").iter().any(|r| r.answered == 500).then_some(());
        crate::daemon::wait_for("one fail", SOON, failed);
        target.set("/blip", Answer::Status(200));
    }
    home.wait_for_state("blip", "up and not suspect", |state| state["status"] == "up" && state["streak"].is_null());
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told(), []);
}
