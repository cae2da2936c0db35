//! Configs changed while the daemon runs, in a file, in SQLite's table and in DynamoDB's.

use std::time::Duration;

use rustix::process::Signal;

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// Waits until `path` was probed `count` times more.
fn wait_for_probes(target: &Server, path: &str, count: usize) {
    let before = target.hits(path);
    wait_for(&format!("{count} probes of {path}"), SOON, || (target.hits(path) >= before + count).then_some(()));
}

/// Waits until `path` is not probed any more.
fn wait_for_silence(target: &Server, path: &str) {
    wait_for(&format!("the end of the probes of {path}"), SOON, || {
        let before = target.hits(path);
        let_pass(Duration::from_millis(2_500));
        (target.hits(path) == before).then_some(())
    });
}

#[test]
fn rows_added_changed_disabled_and_removed_in_the_file_take_effect_and_no_other_row_feels_it() {
    let (target, receiver) = (Server::start(), Receiver::start());
    // Every four seconds: a prober that was started anew would probe at once, and too soon.
    let slow = |url: String| format!("[[api]]\napi_id = \"unchanged\"\nurl = \"{url}\"\ninterval_seconds = 4\n");
    let unchanged = slow(target.url("/unchanged"));
    let one = |id: &str| row(id, &target.url(&format!("/{id}")));
    let home = Home::new(&receiver.settings(), &[unchanged.clone(), one("changed"), one("ill"), one("gone")].concat());
    let daemon = home.run();
    for path in ["/unchanged", "/changed", "/ill", "/gone"] {
        wait_for_probes(&target, path, 1);
    }
    let with = |rows: &[String]| home.write("apis.toml", &(unchanged.clone() + &rows.concat()));

    with(&[one("changed"), one("ill"), one("gone"), one("added")]);
    wait_for_probes(&target, "/added", 2);
    let other = row("changed", &target.url("/elsewhere"));
    with(&[other.clone(), one("ill"), one("gone"), one("added")]);
    wait_for_probes(&target, "/elsewhere", 2);
    wait_for_silence(&target, "/changed");
    with(&[other.clone(), one("ill"), one("added")]);
    wait_for_silence(&target, "/gone");
    with(&[other.clone(), one("ill"), row_with("added", &target.url("/added"), "enabled = false")]);
    wait_for_silence(&target, "/added");
    // A row that turns bad runs on as it was when it was good.
    with(&[other, row_with("ill", &target.url("/never"), "timout_seconds = 3")]);
    daemon.wait_for_log("timout_seconds");
    wait_for_probes(&target, "/ill", 2);
    assert_eq!(target.hits("/never"), 0);

    let gaps: Vec<f64> = target
        .requests("/unchanged")
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at).unwrap_or_default().as_secs_f64())
        .collect();
    // The first one is from the probe at the start to the API's own slot.
    assert!(gaps.len() >= 3 && gaps[1..].iter().all(|gap| (2.5..5.5).contains(gap)), "{gaps:?}");
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told(), []);
}

#[test]
fn a_file_that_breaks_empties_or_vanishes_stops_nothing_and_the_streak_of_its_rows_goes_on() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let good = row("shop", &target.url("/shop")) + &row("other", &target.url("/other"));
    let home = Home::new(&receiver.settings(), &good);
    let daemon = home.run();
    wait_for_probes(&target, "/shop", 2);
    for (said, text) in [
        ("is not TOML", Some("[[api]\napi_id = ")),
        ("the source is empty all at once", Some("")),
        ("the file is not there", None),
    ] {
        match text {
            Some(text) => home.write("apis.toml", text),
            None => std::fs::remove_file(home.path().join("apis.toml")).unwrap(),
        }
        daemon.wait_for_log(said);
        wait_for_probes(&target, "/shop", 3);
        home.write("apis.toml", &good);
        wait_for_probes(&target, "/shop", 2);
    }
    home.write("apis.toml", "what is this");
    target.set("/shop", Answer::Status(500));
    receiver.wait_for("shop", "down", SOON);
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(receiver.told_of("shop"), ["down"]);
}

#[test]
fn a_file_of_apis_that_is_cut_closes_nothing_and_a_row_that_is_removed_is_told() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let rows: Vec<String> = (0..6).map(|n| row(&format!("a{n}"), &target.url(&format!("/{n}")))).collect();
    target.set("/5", Answer::Status(503));
    let home = Home::new(&receiver.settings(), &rows.concat());
    let daemon = home.run();
    receiver.wait_for("a5", "down", SOON);
    for cut in [rows[..3].concat(), rows[..3].concat() + "[[api]]\n"] {
        // As many editors and tools do it: into the file that is there.
        std::fs::write(home.path().join("apis.toml"), cut).unwrap();
        let_pass(Duration::from_secs(3));
        std::fs::write(home.path().join("apis.toml"), rows.concat()).unwrap();
        wait_for_probes(&target, "/5", 3);
    }
    assert!(daemon.log().contains("rows are missing; they run on"), "{}", daemon.log());
    assert_eq!(receiver.told_of("a5"), ["down"]);
    home.write("apis.toml", &rows[..5].concat());
    receiver.wait_for("a5", "closed", SOON);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn on_sighup_a_changed_setting_is_taken_over_or_said_to_need_a_restart_and_a_broken_one_is_said() {
    let target = Server::start();
    let home = Home::new("", &row("shop", &target.url("/shop")));
    let daemon = home.run();
    wait_for_probes(&target, "/shop", 1);
    let hang_up = |more: &str| {
        home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{more}"));
        daemon.signal(Signal::HUP);
    };
    hang_up("[log]\nlevel = \"debug\"\n[probe]\nmax_in_flight = 7\n");
    daemon.wait_for_log("the level of the log is another from now on");
    daemon.wait_for_log("started again: probe.max_in_flight (from 4096 to 7)");
    wait_for("lines of debug", SOON, || daemon.lines().iter().any(|line| line["level"] == "DEBUG").then_some(()));
    let shown = home.start(&["settings", "show"]).wait(SOON).log;
    assert!(shown.contains("probe.max_in_flight") && !shown.contains("log.level"), "what the daemon has: {shown}");
    hang_up("[log]\nlevel = \"loud\"\n");
    daemon.wait_for_log("those from before stay in force: api-health.toml, line 4: log.level");
    wait_for_probes(&target, "/shop", 2);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn settings_that_became_a_pipe_are_not_opened_on_sighup_and_hold_up_nothing() {
    let target = Server::start();
    let home = Home::new("", &row("shop", &target.url("/shop")));
    let daemon = home.run();
    wait_for_probes(&target, "/shop", 1);
    let settings = home.path().join("api-health.toml");
    std::fs::remove_file(&settings).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&settings).status().unwrap().success());
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("those from before stay in force: api-health.toml: the file is a pipe or a device");
    wait_for_probes(&target, "/shop", 2);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn rows_written_to_the_sqlite_table_are_noticed_within_seconds() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home = Home::empty();
    home.write("api-health.toml", &receiver.settings());
    let daemon = home.run();
    daemon.wait_for_log("nothing to watch yet");
    let database = home.open_database().unwrap();
    let fields = |path: &str| {
        serde_json::json!({ "url": target.url(path), "interval_seconds": 1, "recheck_seconds": 1 }).to_string()
    };
    database.execute("INSERT INTO api_health_configs VALUES ('shop', ?1)", [fields("/one")]).unwrap();
    wait_for_probes(&target, "/one", 2);
    database.execute("UPDATE api_health_configs SET row = ?1", [fields("/two")]).unwrap();
    wait_for_probes(&target, "/two", 2);
    wait_for_silence(&target, "/one");
    target.set("/two", Answer::Status(500));
    receiver.wait_for("shop", "down", SOON);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn sighup_reads_dynamodb_again_at_once() {
    let cloud = Cloud::new();
    let target = Server::start();
    cloud.put_row("one", &target.url("/one"), &[]);
    let home = cloud.home();
    home.write("api-health.toml", "[apis]\nreload_seconds = 3600\n");
    let daemon = home.run();
    wait_for_probes(&target, "/one", 2);
    cloud.put_row("two", &target.url("/two"), &[]);
    let_pass(Duration::from_secs(3));
    assert_eq!(target.hits("/two"), 0, "nobody has told it yet");
    daemon.signal(Signal::HUP);
    wait_for_probes(&target, "/two", 2);
    assert!(daemon.log().contains("SIGHUP"));
    wait_for_probes(&target, "/one", 1);
    assert_eq!(daemon.stop().code, Some(0));
}
