//! One process at a time watches by an SQLite file; a second one says who does, and leaves.

use rustix::process::Signal;

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::daemon::{Daemon, Ended, Home};
use crate::support::http::Server;

fn home(target: &Server) -> Home {
    Home::new("[notify.terminal]\n", &rows(target, &["shop"]))
}

fn pid(home: &Home) -> String {
    let text = std::fs::read_to_string(home.path().join("api-health.db.lock")).unwrap();
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    text.split_once(", pid ").unwrap().1.split_once(' ').unwrap().0.to_owned()
}

/// A daemon that watches.
fn watching(home: &Home) -> Daemon {
    let daemon = home.run();
    daemon.wait_for_log("states loaded");
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    daemon
}

fn assert_refused(ended: &Ended, pid: &str, command: &str) {
    assert_eq!(ended.code, Some(69), "{}", ended.log);
    assert!(ended.log.contains(&format!("is in use: {command}, pid {pid} on ")), "{}", ended.log);
    assert!(ended.log.contains(&format!("stop that one first: kill {pid}")), "{}", ended.log);
    assert!(ended.log.contains("write another store.path for this one"), "{}", ended.log);
    assert!(!ended.log.contains("states loaded"), "nothing was begun: {}", ended.log);
}

#[test]
fn a_second_process_on_one_file_refuses_to_start_and_says_who_holds_it() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::new(&receiver.settings(), &rows(&target, &["shop"]));
    let first = watching(&home);
    let holder = pid(&home);
    assert_refused(&home.run().wait(crate::daemon::SOON), &holder, "api-health run");
    assert_refused(&home.once(&[]), &holder, "api-health run");
    // By another name of the file.
    let elsewhere = Home::new(
        &format!("[store]\npath = \"{}/./api-health.db\"\n{}", home.path().display(), receiver.settings()),
        &rows(&target, &["shop"]),
    );
    assert_refused(&elsewhere.run().wait(crate::daemon::SOON), &holder, "api-health run");
    // Looking on, and editing, is free.
    for arguments in [&["status"][..], &["apis", "list"], &["alerts", "list"], &["settings", "show"]] {
        let ended = home.start(arguments).wait(crate::daemon::SOON);
        assert!(!ended.log.contains("is in use"), "{arguments:?}: {}", ended.log);
    }
    let ended = first.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "free again: {}", ended.log);
}

#[test]
fn the_lock_goes_with_the_process_also_when_it_is_killed() {
    let target = Server::start();
    let home = home(&target);
    for _ in 0..3 {
        let daemon = watching(&home);
        let holder = pid(&home);
        assert_refused(&home.run().wait(crate::daemon::SOON), &holder, "api-health run");
        assert_eq!(daemon.kill().code, None);
        assert_eq!(pid(&home), holder, "the text is stale");
        let next = home.run();
        next.wait_for_log("states loaded");
        assert_ne!(pid(&home), holder);
        // One that is stopped and not dead holds it still: it may go on any time.
        next.signal(Signal::STOP);
        let holder = pid(&home);
        assert_refused(&home.once(&[]), &holder, "api-health run");
        next.signal(Signal::CONT);
        next.kill();
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.path().join("api-health.db.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_round_of_cron_that_takes_too_long_keeps_the_next_one_away() {
    let target = Server::start();
    target.set("/shop", crate::support::http::Answer::Hang);
    let home = home(&target);
    let slow = home.start(&["run", "--once"]);
    slow.wait_for_log("states loaded");
    assert_refused(&home.once(&[]), &pid(&home), "api-health run --once");
    slow.kill();
}

#[test]
fn a_name_that_sqlite_would_keep_in_memory_is_a_file_like_any_other() {
    let target = Server::start();
    let home = Home::new("[store]\npath = \":memory:\"\n", &rows(&target, &["shop"]));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(home.path().join(":memory:").metadata().unwrap().len() > 0);
    let ended = home.start(&["status"]).wait(crate::daemon::SOON);
    assert!(ended.output.contains("shop"), "{} {}", ended.output, ended.log);
}
