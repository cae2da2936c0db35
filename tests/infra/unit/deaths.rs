//! The daemon is killed, freezes, or moves no longer in a part: it is started again, and tells nothing twice.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

use super::service::{Service, alerts, told};
use super::{booted, wait_for_a_probe, watching};
use crate::support::http::{Answer, Server};

/// The watchdog of the test: a tenth of the unit's own.
const WATCHDOG: &str = "[Service]\nWatchdogSec=3s\n";

/// Waits until the server's `/one` was told down, once.
fn wait_for_the_outage(service: &Service<'_>, server: &Server) {
    server.set("/one", Answer::Status(500));
    service.container.wait_for("the outage", || (told(server) == ["one down"]).then_some(()));
}

/// Ends the outage: its recovery is told, nothing was told in between, and both are of the same incident.
fn ends_as_the_same_outage(service: &Service<'_>, server: &Server) {
    wait_for_a_probe(service, server, "/one");
    assert_eq!(told(server), ["one down"], "what was told before is not told again");
    server.set("/one", Answer::Status(200));
    service.container.wait_for("the recovery", || (told(server).len() > 1).then_some(()));
    assert_eq!(told(server), ["one down", "one up"]);
    let alerts = alerts(server);
    assert_eq!(alerts[0]["incident_id"], alerts[1]["incident_id"]);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock, for a figure")]
fn killed_it_probes_again_at_once_and_the_outage_is_the_same() {
    let Some(container) = booted("killed_it_probes_again_at_once_and_the_outage_is_the_same") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.start();
    wait_for_the_outage(&service, &server);
    for restarts in 1..=3 {
        let pid = service.pid().to_string();
        container.ok(&["kill", "-KILL", &pid]);
        let (killed, before) = (Instant::now(), server.hits("/one"));
        container.wait_for("a probe", || (server.hits("/one") > before).then_some(()));
        let span = killed.elapsed();
        // Two seconds of it are RestartSec.
        println!("killed, and probed again after {:.2} s", span.as_secs_f64());
        service.wait_for_restart(restarts);
        assert_eq!(service.property("Result"), "success", "it runs");
        assert_ne!(service.pid().to_string(), pid);
    }
    ends_as_the_same_outage(&service, &server);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock, for a figure")]
fn frozen_it_is_started_again_by_the_watchdog() {
    let Some(container) = booted("frozen_it_is_started_again_by_the_watchdog") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.edit("watchdog", WATCHDOG);
    service.start();
    wait_for_the_outage(&service, &server);
    let pid = service.pid().to_string();
    container.ok(&["kill", "-STOP", &pid]);
    let frozen = Instant::now();
    service.wait_for_restart(1);
    println!("frozen, and ready again after {:.2} s (WatchdogSec=3s)", frozen.elapsed().as_secs_f64());
    assert!(service.log().contains("Watchdog timeout"), "{}", service.log());
    ends_as_the_same_outage(&service, &server);
}

#[test]
fn with_its_main_thread_stuck_it_is_started_again_by_the_watchdog() {
    let Some(container) = booted("with_its_main_thread_stuck_it_is_started_again_by_the_watchdog") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.edit("watchdog", WATCHDOG);
    service.start();
    wait_for_the_outage(&service, &server);
    let pid = service.pid();
    let mut stall = stall(&service, &[pid]);
    // The probers go on by themselves; a timer thread would feed the watchdog for ever.
    wait_for_a_probe(&service, &server, "/one");
    service.wait_for_restart(1);
    assert!(service.log().contains("Watchdog timeout"), "{}", service.log());
    assert!(stall.wait().unwrap().success());
    ends_as_the_same_outage(&service, &server);
}

#[test]
fn with_its_probers_stuck_it_is_started_again() {
    let Some(container) = booted("with_its_probers_stuck_it_is_started_again") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.edit("watchdog", WATCHDOG);
    service.start();
    wait_for_the_outage(&service, &server);
    let pid = service.pid();
    // All threads of actors were started one after the other, those of the probers last, one for each core.
    let arbiters = container.sh(&format!("cd /proc/{pid}/task; grep -l '^actix-rt' */comm | cut -d/ -f1 | sort -n"));
    let arbiters: Vec<u32> = arbiters.lines().map(|tid| tid.parse().unwrap()).collect();
    let cores: usize = container.ok(&["nproc"]).parse().unwrap();
    let mut stall = stall(&service, &arbiters[arbiters.len() - cores..]);
    service.wait_for_restart(1);
    // The watchdog, or the program itself, which leaves a stuck thread behind and ends when it is not the only one.
    let log = service.log();
    let by_itself = log.contains("status=70");
    println!("stuck probers: {}", if by_itself { "the program ended itself (70)" } else { "the watchdog ended it" });
    assert!(by_itself || log.contains("Watchdog timeout"), "{log}");
    assert!(stall.wait().unwrap().success());
    ends_as_the_same_outage(&service, &server);
}

/// Stops these threads of the process for good.
fn stall(service: &Service<'_>, tids: &[u32]) -> Child {
    let tids: Vec<String> = tids.iter().map(u32::to_string).collect();
    let mut words = vec!["python3", "-c", include_str!("stall.py")];
    words.extend(tids.iter().map(String::as_str));
    let mut stall = service.container.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(stall.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "stopped\n");
    stall
}
