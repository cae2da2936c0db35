//! The dead man's switch: beats go out while probing goes on and the store takes writes, from one worker alone.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::fleet::machine;
use crate::support::http::{Answer, Server};

/// So long nothing comes where nothing is to come: four beats.
const SILENT_FOR: Duration = Duration::from_secs(4);

/// A lease of a worker that is dead has to lapse; and the machine is busy.
const TAKEN_OVER: Duration = Duration::from_secs(120);

fn beats(server: &Server, path: &str, more: &str) -> String {
    format!("[heartbeat_out]\nurl = \"{}\"\nevery_seconds = 1\n{more}", server.url(path))
}

/// Two more have come than there were.
fn wait_for_beats(server: &Server, path: &str) {
    let before = server.hits(path);
    wait_for(&format!("beats to {path}"), SOON, || (server.hits(path) >= before + 2).then_some(()));
}

#[test]
fn beats_come_stop_when_the_store_takes_no_writes_or_nothing_runs_and_come_again() {
    let (target, switch) = (Server::start(), Server::start());
    let store = "[store]\npath = \"disk/api-health.db\"\ncheckpoint_seconds = 1\nheartbeat_seconds = 1\n";
    let form = "form = \"gatus\"\ntoken = \"${env:BEAT_TOKEN}\"\n";
    let mut home = Home::new(&format!("{store}{}", beats(&switch, "/core/external", form)), &rows(&target, &["shop"]));
    home.env("BEAT_TOKEN", "contract-token");
    std::fs::create_dir(home.path().join("disk")).unwrap();
    let daemon = home.run_through(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let path = "/core/external?success=true";
    wait_for_beats(&switch, path);
    let beat = switch.requests(path).remove(0);
    assert!(beat.head.starts_with("POST "), "{}", beat.head);
    assert_eq!(beat.header("authorization"), Some("Bearer contract-token"));

    let limit = |bytes| {
        let pid = Pid::from_raw(daemon.id().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    limit(Some(0));
    daemon.wait_for_log("\"why\":\"the store takes no writes\"");
    let (sent, probed) = (switch.hits(path), target.hits("/shop"));
    let_pass(SILENT_FOR);
    assert_eq!(switch.hits(path), sent, "no beat while the store takes no writes");
    assert!(target.hits("/shop") > probed, "probing goes on");
    limit(None);
    wait_for_beats(&switch, path);

    daemon.signal(Signal::STOP);
    let_pass(Duration::from_secs(1)); // what was under way arrives
    let sent = switch.hits(path);
    let_pass(SILENT_FOR);
    assert_eq!(switch.hits(path), sent, "no beat from a process that stands still");
    daemon.signal(Signal::CONT);
    wait_for_beats(&switch, path);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("contract-token") && !ended.log.contains("/core/external"), "{}", ended.log);
}

#[test]
fn no_beat_comes_while_nothing_is_probed_because_the_configuration_cannot_be_read() {
    let (target, switch) = (Server::start(), Server::start());
    let home = Home::new(&beats(&switch, "/beat", ""), "");
    let apis = home.path().join("apis.toml");
    std::fs::remove_file(&apis).unwrap();
    std::os::unix::fs::symlink(&apis, &apis).unwrap();
    let daemon = home.run();
    daemon.wait_for_log("\"why\":\"nothing is probed, since the configuration cannot be read\"");
    assert_eq!(switch.hits("/beat"), 0);
    std::fs::remove_file(&apis).unwrap();
    std::fs::write(&apis, rows(&target, &["shop"])).unwrap();
    wait_for_beats(&switch, "/beat");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_switch_that_refuses_or_hangs_is_said_once_and_delays_nothing() {
    let (target, switch) = (Server::start(), Server::start());
    switch.set("/push?status=up&msg=OK", Answer::Hang);
    let settings = beats(&switch, "/push?status=down&msg=example&ping=", "form = \"kuma\"\n");
    let home = Home::new(&settings, &rows(&target, &["shop"]));
    let daemon = home.run();
    wait_for_beats(&switch, "/push?status=up&msg=OK");
    wait_for("probing goes on", SOON, || (target.hits("/shop") >= 3).then_some(()));
    switch.set("/push?status=up&msg=OK", Answer::Status(404));
    daemon.wait_for_log("\"why\":\"the answer has status 404\"");
    wait_for_beats(&switch, "/push?status=up&msg=OK");
    switch.set("/push?status=up&msg=OK", Answer::Status(200));
    daemon.wait_for_log("the heartbeat goes out");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(ended.log.matches("the answer has status 404").count(), 1, "{}", ended.log);
}

#[test]
fn of_two_workers_the_owner_of_the_first_shard_beats_and_after_its_death_the_other() {
    let (cloud, receiver, switch) = (Cloud::new(), Receiver::start(), Server::start());
    let homes = [machine(&cloud, &receiver), machine(&cloud, &receiver)];
    for (home, path) in homes.iter().zip(["/a", "/b"]) {
        let settings = std::fs::read_to_string(home.path().join("api-health.toml")).unwrap();
        home.write("api-health.toml", &(settings + &beats(&switch, path, "")));
    }
    let [first, second] = [0, 1].map(|at| {
        let daemon = homes[at].run();
        if at == 0 {
            wait_for_beats(&switch, "/a");
        }
        daemon
    });
    second.wait_for_log("the heartbeat is sent by the worker that owns the first shard");
    wait_for_beats(&switch, "/a");
    assert_eq!(switch.hits("/b"), 0);
    first.kill();
    wait_for("the other one beats", TAKEN_OVER, || (switch.hits("/b") >= 2).then_some(()));
    second.stop();
}
