//! SIGTERM and SIGINT: under load, in time, with everything stored; and a second one ends it at once.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::apis::row_with;
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

const APIS: usize = 300;
const HANGING: usize = 30;
const SHUTDOWN: Duration = Duration::from_secs(3);

/// A home of 300 APIs at one probe a second, of which 30 hang.
fn under_load(target: &Server) -> Home {
    let mut rows = String::new();
    for n in 0..APIS {
        let path = format!("/{n}");
        if n < HANGING {
            target.set(&path, Answer::Hang);
        }
        rows.push_str(&row_with(&format!("api-{n}"), &target.url(&path), "timeout_seconds = 120"));
    }
    Home::new(&format!("[run]\nshutdown_seconds = {}\n", SHUTDOWN.as_secs()), &rows)
}

#[test]
fn after_a_clean_stop_the_database_is_one_file_that_can_be_copied() {
    let target = Server::start();
    let home = Home::new("", &row_with("shop", &target.url("/shop"), ""));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    let beside = |end: &str| home.path().join(format!("api-health.db{end}")).exists();
    assert!(beside("-wal") && beside("-shm"), "while it runs");
    assert_eq!(daemon.stop().code, Some(0));
    assert!(!beside("-wal") && !beside("-shm"));
    let copy = home.path().join("copy.db");
    std::fs::copy(home.database(), &copy).unwrap();
    assert_eq!(crate::daemon::states_in(&copy)["shop"]["status"], "up");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn a_stop_under_load_is_clean_and_in_time_and_stores_every_state() {
    for signal in [Signal::TERM, Signal::INT] {
        let target = Server::start();
        let home = under_load(&target);
        let daemon = home.run();
        let all_probed = || (0..APIS).all(|n| target.hits(&format!("/{n}")) >= if n < HANGING { 1 } else { 2 });
        wait_for("all are probed", SOON, || all_probed().then_some(()));
        let began = Instant::now();
        daemon.signal(signal);
        let ended = daemon.wait(SOON);
        let took = began.elapsed();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        // The deadline, 5 s for storing at the most, and a busy machine.
        assert!(took < SHUTDOWN + Duration::from_secs(15), "{took:?}");
        assert!(ended.log.contains("everything is stored"), "{}", ended.log);
        assert!(ended.log.contains("probes under way are cut at the deadline"), "{}", ended.log);
        let states = home.states();
        for n in HANGING..APIS {
            let state = states.get(&format!("api-{n}")).unwrap_or_else(|| panic!("api-{n} is not stored"));
            assert_eq!(state["status"], "up", "{state}");
            // Also what only moved a figure: the last probe that was answered is in the record.
            let checked = state["last_checked_at"].as_str().unwrap();
            let checked = api_health_core::Timestamp::parse(checked).unwrap().as_millis();
            let last = target.requests(&format!("/{n}")).last().unwrap().at;
            let last = last.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
            assert!(i128::from(checked) + 1 >= i128::try_from(last).unwrap(), "api-{n}: {checked} < {last}");
        }
        assert!((0..HANGING).all(|n| !states.contains_key(&format!("api-{n}"))), "a cut probe is no outcome");
        let hits: usize = (0..APIS).map(|n| target.hits(&format!("/{n}"))).sum();
        crate::daemon::let_pass(Duration::from_millis(1_500));
        assert_eq!(hits, (0..APIS).map(|n| target.hits(&format!("/{n}"))).sum::<usize>(), "no probe after the end");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn a_second_signal_ends_it_at_once() {
    let target = Server::start();
    target.set("/hang", Answer::Hang);
    let home =
        Home::new("[run]\nshutdown_seconds = 300\n", &row_with("hang", &target.url("/hang"), "timeout_seconds = 300"));
    let daemon = home.run();
    wait_for("a probe under way", SOON, || (target.hits("/hang") > 0).then_some(()));
    daemon.signal(Signal::TERM);
    daemon.wait_for_log("stopping");
    let began = Instant::now();
    daemon.signal(Signal::INT);
    let ended = daemon.wait(SOON);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(ended.log.contains("a second signal"), "{}", ended.log);
    assert_ne!(ended.code, Some(0), "not everything may be stored, and that is said");
}

#[test]
fn a_stop_that_the_store_does_not_follow_ends_in_time_and_says_so() {
    let target = Server::start();
    let home = Home::new("[run]\nshutdown_seconds = 1\n", &row_with("shop", &target.url("/shop"), ""));
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    let holder = home.open_database().unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    target.set("/shop", Answer::Status(500));
    daemon.wait_for_log("status changed\",\"api_id\":\"shop\",\"from\":\"up\"");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(69), "{}", ended.log);
    assert!(ended.log.contains("the store did not take everything"), "{}", ended.log);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn a_signal_is_heard_while_the_start_waits_for_a_store_that_is_gone() {
    let mut home = Home::empty();
    let nobody = crate::support::ports::free();
    home.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{nobody}"))
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("DDB_STATE_TABLE", "states");
    let daemon = home.run();
    daemon.wait_for_log("the store does not answer");
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    let ended = daemon.wait(SOON);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(ended.code, Some(0), "nothing was begun, so nothing is left undone: {}", ended.log);
}
