//! The systemd unit under a real systemd: start, kill, hang, reload, stop.

mod deaths;
mod sandbox;
pub(crate) mod service;
mod stop;
mod text;

use serde_json::Value;

use crate::container::{Container, Network};
use crate::skip::skip;
use crate::support::http::{Answer, Server};
use service::{SECRET, Service, UNIT, row, told, tree, webhook};

/// Prints who owns the state directory, and its mode.
const STATE_MODE: &str = "stat -c '%U:%G %a' /var/lib/api-health";

/// A container; says why where there is none.
fn booted(test: &str) -> Option<Container> {
    Container::boot(Network::Shared).map_err(|because| skip(test, &because)).ok()
}

/// A service that watches `/one` of the server and tells its `/hook`, not started.
fn watching<'a>(container: &'a Container, server: &Server) -> Service<'a> {
    let service = Service::install(container, &webhook(server));
    service.credential("webhook", SECRET);
    service.apis(&row("one", &server.url("/one")));
    service
}

/// Waits until a path was asked for once more.
#[track_caller]
fn wait_for_a_probe(service: &Service<'_>, server: &Server, path: &str) {
    let before = server.hits(path);
    service.container.wait_for(&format!("a probe of {path}"), || (server.hits(path) > before).then_some(()));
}

#[test]
fn it_is_ready_when_the_probers_run_and_says_what_it_does() {
    let Some(container) = booted("it_is_ready_when_the_probers_run_and_says_what_it_does") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    server.set("/two", Answer::Status(500));
    service.apis(&[row("one", &server.url("/one")), row("two", &server.url("/two"))].concat());
    service.start();
    // `systemctl start` ends with READY=1: the configs are there, and the probers run.
    container.wait_for("the line of status", || service.property("StatusText").contains("2 APIs").then_some(()));
    wait_for_a_probe(&service, &server, "/one");
    let status = container.wait_for("the outage in the line of status", || {
        Some(service.property("StatusText")).filter(|status| status.contains("1 down"))
    });
    println!("status: {status}");
    container.wait_for("the alert", || (told(&server) == ["two down"]).then_some(()));
    // What all of it takes: the container's systemd may not count memory itself.
    let (rss, counted) = (service.status()["VmRSS"].clone(), service.property("MemoryCurrent"));
    println!("memory: {rss} resident (built for debugging), MemoryCurrent {counted}");
}

#[test]
fn a_reload_reads_the_configs_again_in_the_same_process_and_bad_ones_change_nothing() {
    let test = "a_reload_reads_the_configs_again_in_the_same_process_and_bad_ones_change_nothing";
    let Some(container) = booted(test) else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.settings(&format!("[apis]\nfile = \"apis.toml\"\nreload_seconds = 86400\n{}", webhook(&server)));
    service.start();
    let pid = service.pid();
    let add = |id: &str| {
        let url = server.url(&format!("/{id}"));
        let words = ["apis", "add", "--id", id, "--url", &url, "--set", "interval_seconds=1"];
        let output = service.as_the_daemon(&words);
        assert_eq!(output.code, Some(0), "{output:?}");
    };
    // Beside the running daemon, as its user and in its state directory.
    add("added");
    // systemd's own log is where its messages from the daemon are seen.
    container.ok(&["systemctl", "log-level", "debug"]);
    assert_eq!(service.systemctl("reload").code, Some(0));
    wait_for_a_probe(&service, &server, "/added");
    container.wait_for("the reload in systemd's log", || {
        container.run(&["journalctl", "--sync"]);
        let log = container.run(&["journalctl", "--output=cat", "_PID=1"]).stdout;
        let said = log.lines().filter(|line| line.contains(UNIT_SAID)).collect::<Vec<_>>();
        let begun = said.iter().position(|line| line.contains("RELOADING=1"))?;
        said[begun..].iter().any(|line| line.contains("READY=1")).then_some(())
    });
    container.ok(&["systemctl", "log-level", "info"]);
    assert_eq!((service.pid(), service.property("NRestarts").as_str()), (pid, "0"));
    assert_eq!(service.property("ActiveState"), "active");

    // A file that cannot be read: what it said when it could holds on.
    service.apis("[[api]\n");
    assert_eq!(service.systemctl("reload").code, Some(0));
    container.wait_for("the fault in the log", || service.log().contains("apis.toml").then_some(()));
    for path in ["/one", "/added"] {
        wait_for_a_probe(&service, &server, path);
    }
    assert_eq!((service.pid(), service.property("NRestarts").as_str()), (pid, "0"));
    assert_eq!(service.property("ActiveState"), "active");
}

/// Begins the line in which systemd tells what a service sent.
const UNIT_SAID: &str = "api-health.service: Got notification message";

#[test]
fn a_bad_configuration_is_tried_again_for_ever_and_heals_without_a_hand() {
    let Some(container) = booted("a_bad_configuration_is_tried_again_for_ever_and_heals_without_a_hand") else {
        return;
    };
    let server = Server::start();
    let service = watching(&container, &server);
    // Faster than the unit's own, so that twice as often as systemd's own limit (5 within 10 s) is soon there.
    service.edit("fast", "[Service]\nRestartSec=50ms\n");
    let good = container.ok(&["cat", "/etc/api-health/api-health.toml"]);
    service.settings("[apis]\nreload_seconds = \"often\"\n");
    let output = service.systemctl("start");
    assert_ne!(output.code, Some(0), "who starts it is told at once");
    container.wait_for("ten restarts", || (service.property("NRestarts").parse::<u32>().unwrap() >= 10).then_some(()));
    assert_ne!(service.property("ActiveState"), "failed");
    let log = service.log();
    assert!(log.contains("status=64") && log.contains("reload_seconds"), "the journal says why: {log}");
    service.settings(&good);
    container.wait_for("a start without a hand", || (service.property("ActiveState") == "active").then_some(()));
    wait_for_a_probe(&service, &server, "/one");
}

#[test]
fn nothing_has_to_be_there_but_the_settings_file() {
    let Some(container) = booted("nothing_has_to_be_there_but_the_settings_file") else { return };
    let service = Service::install(&container, "");
    container.sh("rm /etc/api-health/apis.toml");
    service.settings("");
    service.start();
    assert_eq!(container.sh("ls /etc/api-health"), "api-health.toml");
    assert_eq!(container.sh(STATE_MODE), "api-health:api-health 700");
    let shown = service.as_the_daemon(&["settings", "show", "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    assert!(shown.to_string().contains("/var/lib/api-health/api-health.db"), "{shown}");
    // Alerts are lines of the journal.
    let server = Server::start();
    server.set("/down", Answer::Status(500));
    let words = ["apis", "add", "--id", "down", "--url", &server.url("/down"), "--set", "recheck_seconds=1"];
    assert_eq!(service.as_the_daemon(&words).code, Some(0));
    assert_eq!(service.systemctl("reload").code, Some(0));
    container.wait_for("the alert in the journal", || service.log().contains("DOWN").then_some(()));
    let warnings = container.ok(&["journalctl", "--output=cat", "--priority=warning", "--unit", UNIT]);
    assert!(warnings.lines().any(|line| line.starts_with("DOWN")), "an outage is a warning: {warnings}");
}

#[test]
fn what_the_readme_says_to_type_works() {
    let Some(container) = booted("what_the_readme_says_to_type_works") else { return };
    let readme = std::fs::read_to_string(tree("infra/systemd/README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [by_hand, as_the_daemon] = blocks[..] else { panic!("two blocks of commands, not {}", blocks.len()) };
    container.copy_in(env!("CARGO_BIN_EXE_api-health"), "/srv/build/api-health", "755");
    for file in ["api-health.service", "api-health.sysusers"] {
        container.copy_in(tree(&format!("infra/systemd/{file}")), &format!("/srv/build/{file}"), "644");
    }
    container.sh(&format!("cd /srv/build\n{by_hand}"));
    assert_eq!(container.unit_property(UNIT, "ActiveState"), "active");
    assert_eq!(container.ok(&["systemctl", "is-enabled", UNIT]), "enabled");
    // There is no terminal here.
    let status = container.run(&["sh", "-euc", &as_the_daemon.replace("--pty", "--pipe")]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(!status.stdout.is_empty());
    assert_eq!(
        container.sh(STATE_MODE),
        "api-health:api-health 700",
        "systemd gives the folder the mode of who asked last"
    );
}

#[test]
fn a_flood_of_lines_is_stored_whole() {
    let Some(container) = booted("a_flood_of_lines_is_stored_whole") else { return };
    let limits = |unit: &str| -> Vec<String> {
        let unit = std::fs::read_to_string(tree(&format!("infra/systemd/{unit}"))).unwrap();
        unit.lines().filter(|line| line.starts_with("LogRateLimit")).map(str::to_owned).collect()
    };
    let ours = limits(UNIT);
    assert_eq!(ours, limits("api-health-once.service"));
    // Twice what journald takes of its own accord from one unit on a machine with much free disk.
    let lines = 60_000;
    let flood = |name: &str, limits: &[String]| {
        let properties = limits.iter().map(|limit| format!("--property={limit} ")).collect::<String>();
        container
            .sh(&format!("systemd-run --quiet --wait --unit={name} {properties} seq --format='line %.0f' {lines}"));
    };
    let stored = |name: &str| {
        let count = format!("journalctl --sync; journalctl --output=cat --unit={name} | grep -c '^line ' || true");
        container.sh(&count).parse::<u32>().unwrap()
    };
    flood("flood-ours", &ours);
    container.wait_for("all of the flood in the journal", || (stored("flood-ours") == lines).then_some(()));
    // Or this flood is none.
    flood("flood-usual", &[]);
    let mut before = None;
    let usual = container.wait_for("the end of the other flood", || {
        let now = stored("flood-usual");
        (before.replace(now) == Some(now)).then_some(now)
    });
    println!("of {lines} lines without these two lines {usual} are stored");
    assert!(usual < lines);
}
