//! What the log looks like: JSON for machines, text when asked for, and each probe in a span of its own.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use crate::alerts::Receiver;
use crate::apis::row;
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

#[test]
fn the_log_is_json_where_nobody_sits_and_each_probe_has_its_span() {
    let target = Server::start();
    let apis = row("shop", &target.url("/shop")) + &row("bank", &target.url("/bank"));
    let home = Home::new("[log]\nlevel = \"debug\"\n", &apis);
    target.set("/bank", Answer::Status(500));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let lines = ended.lines();
    assert_eq!(lines.len(), ended.log.lines().count(), "every line is JSON: {}", ended.log);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    for (api_id, verdict, times) in [("shop", "pass", 1), ("bank", "fail", 2)] {
        let of = |line: &&serde_json::Value| {
            line["message"] == verdict && line["span"]["name"] == "probe" && line["span"]["api_id"] == api_id
        };
        assert_eq!(lines.iter().filter(of).count(), times, "{api_id}: {}", ended.log);
    }
}

#[test]
fn the_log_is_text_when_asked_for_without_colour_where_there_is_no_terminal() {
    let target = Server::start();
    target.set("/shop", Answer::Status(500));
    let home = Home::new("[log]\nformat = \"text\"\nlevel = \"debug\"\n", &row("shop", &target.url("/shop")));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.lines().is_empty(), "{}", ended.log);
    assert!(ended.log.contains("probe{api_id=shop}:") && ended.log.contains("fail reason="), "{}", ended.log);
    assert!(ended.log.contains("suspect: probed again soon api_id=shop"), "{}", ended.log);
    assert!(!ended.log.contains('\u{1b}') && !ended.output.contains('\u{1b}'), "{}", ended.log);
}

#[test]
fn limits_of_the_process_that_are_too_low_are_said_at_the_start_with_what_to_write() {
    let target = Server::start();
    let home = Home::new("", &row("shop", &target.url("/shop")));
    let daemon = home.run_through(&["sh", "-c", "ulimit -n 100; exec \"$@\"", "sh"]);
    daemon.wait_for_log("may open 100 files, and 1 probe at once may need 130; write LimitNOFILE=130 into the unit");
    assert_eq!(daemon.stop().code, Some(0));
}

/// A pipe with a name that is full, and that nobody reads.
fn full_pipe(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap();
    while pipe.write(b"x").is_ok() {}
    pipe
}

#[test]
fn a_standard_error_that_nobody_reads_holds_up_no_probe_no_alert_and_no_end() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let home =
        Home::new(&format!("[log]\nlevel = \"debug\"\n{}", receiver.settings()), &row("shop", &target.url("/shop")));
    let mut pipe = full_pipe(&home.path().join("log"));
    let daemon = home.run_through(&["sh", "-c", "exec \"$@\" 2> log", "sh"]);
    wait_for("it probes", SOON, || (target.hits("/shop") > 1).then_some(()));
    target.set("/shop", Answer::Status(500));
    receiver.wait_for("shop", "down", SOON);
    // Room for a part of what was said, and then none again: the rest is said to nobody.
    pipe.read_exact(&mut [0; 4_096]).unwrap();
    let before = target.hits("/shop");
    wait_for("it probes on", SOON, || (target.hits("/shop") > before).then_some(()));
    assert_eq!(daemon.stop().code, Some(0));
}
