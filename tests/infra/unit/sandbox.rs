//! The sandbox for real: what the daemon's process may and may not do under the unit.

use std::collections::BTreeMap;

use super::service::{SECRET, Service, UNIT, told};
use super::{booted, wait_for_a_probe, watching};
use crate::container::Container;
use crate::support::http::{Answer, Server};

/// What is tried, what comes of it in the unit, and what comes of it as the same user outside: the difference is the unit's.
const ATTEMPTS: [(&str, &str, &str); 21] = [
    ("write into its state directory", "ok", "ok"),
    ("write where everybody may", "EROFS", "ok"),
    ("leave a file for others in /tmp", "ok", "ok"), // looked at below
    ("list a home that everybody may", "EACCES", "ok"),
    ("read its credential", "ok", "ENOENT"),
    ("change its credential", "EROFS", "ENOENT"),
    ("read the folder that credentials come from", "EACCES", "EACCES"),
    ("see other processes", "none", "some"),
    ("read the kernel's figures", "ENOENT", "ok"),
    ("signal process 1", "EPERM", "EPERM"),
    ("talk TCP", "ok", "ok"),
    ("talk TCP over IPv6", "ok", "ok"),
    ("talk to the kernel (netlink)", "EAFNOSUPPORT", "ok"),
    ("make a namespace", "EPERM", "ok"),
    ("write and run a page", "EPERM", "ok"),
    ("change its personality", "EPERM", "ok"),
    ("make a set-user-id file", "EPERM", "ok"),
    ("set its priority", "EPERM", "ok"),
    ("trace a process", "EPERM", "ok"),
    ("see disks and terminals", "none", "some"),
    ("dump its memory", "no", "yes"),
];

const SCRIPT: &str = "/usr/local/lib/attempts.py";

#[test]
fn it_may_do_what_it_needs_and_nothing_else() {
    let Some(container) = booted("it_may_do_what_it_needs_and_nothing_else") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    container.write(SCRIPT, include_str!("attempts.py"), "644");
    container.sh("install -d -m 777 /srv/for-everybody /home/somebody; touch /home/somebody/file");
    // The same unit with another program in it.
    service.edit(
        "attempts",
        &format!("[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/bin/python3 {SCRIPT}\n"),
    );
    assert_eq!(service.systemctl("start").code, Some(0), "{}", service.log());
    let inside = tried(&service.log());
    assert_eq!(container.sh("ls -d /tmp/from-api-health || true"), "", "its /tmp is its own");
    let words = ["systemd-run", "--quiet", "--pipe", "--wait", "--property=User=api-health"];
    let state = "--property=StateDirectory=api-health";
    let outside = tried(&container.ok(&[&words[..], &[state, "/usr/bin/python3", SCRIPT]].concat()));
    let expected = |pick: fn(&(&'static str, &'static str, &'static str)) -> &'static str| -> BTreeMap<String, String> {
        ATTEMPTS.iter().map(|attempt| (attempt.0.to_owned(), pick(attempt).to_owned())).collect()
    };
    assert_eq!(inside, expected(|attempt| attempt.1), "inside the unit");
    assert_eq!(outside, expected(|attempt| attempt.2), "outside, or these attempts tell nothing");
}

fn tried(output: &str) -> BTreeMap<String, String> {
    let line = output.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no attempts: {output}"));
    serde_json::from_str(line).unwrap()
}

#[test]
fn the_running_daemon_has_no_privilege_and_its_secrets_are_its_own() {
    let Some(container) = booted("the_running_daemon_has_no_privilege_and_its_secrets_are_its_own") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.start();
    let status = service.status();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("1", "2"));
    assert_eq!(container.sh(&format!("stat -c %U /proc/{}", service.pid())), "api-health");
    let environment = service.proc("environ");
    assert!(!environment.contains(SECRET), "a secret in the environment");
    let limits = service.proc("limits");
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    println!("{}", limit("Max open files"));
    its_credential_is_seen_by_nobody_else(&container);

    // The secret that only root may read has signed the alert (`told` checks that), and is nowhere to be read.
    server.set("/one", Answer::Status(500));
    container.wait_for("the alert", || (told(&server) == ["one down"]).then_some(()));
    assert!(!service.log().contains(SECRET));
    assert!(!container.ok(&["systemctl", "show", UNIT]).contains(SECRET));
    assert_eq!(service.systemctl("stop").code, Some(0));
    let found = container.run(&["grep", "-rlF", SECRET, "/var/lib/api-health", "/run", "/var/log", "/tmp"]);
    assert_eq!(found.stdout, "", "left behind");
}

fn its_credential_is_seen_by_nobody_else(container: &Container) {
    let path = format!("/run/credentials/{UNIT}/secrets_webhook");
    let read_as = |user: &str| container.run(&["setpriv", "--reuid", user, "--clear-groups", "cat", &path]);
    assert_eq!(read_as("api-health").stdout, SECRET);
    assert_ne!(read_as("nobody").code, Some(0));
}

#[test]
fn a_secret_that_is_not_there_is_named_and_one_that_comes_later_is_found() {
    let Some(container) = booted("a_secret_that_is_not_there_is_named_and_one_that_comes_later_is_found") else {
        return;
    };
    let server = Server::start();
    let service: Service<'_> = watching(&container, &server);
    container.sh("rm -r /etc/api-health/credentials");
    assert_ne!(service.systemctl("start").code, Some(0));
    container
        .wait_for("the reference in the log", || Some(()).filter(|()| service.log().contains("${credential:webhook}")));
    service.credential("webhook", SECRET);
    container.wait_for("a start", || (service.property("ActiveState") == "active").then_some(()));
    wait_for_a_probe(&service, &server, "/one");
}

/// `SocketBindDeny=` needs a BPF that this kernel or container may lack. A filter of the call itself is stricter, and works
/// everywhere: what the daemon does under it, it does under that. There is no page then, and nothing else is missing.
#[test]
fn it_needs_no_port_of_its_own() {
    let Some(container) = booted("it_needs_no_port_of_its_own") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.edit("no-bind", "[Service]\nSystemCallFilter=~bind listen\n");
    service.start();
    wait_for_a_probe(&service, &server, "/one");
    server.set("/one", Answer::Status(500));
    container.wait_for("the outage", || (told(&server) == ["one down"]).then_some(()));
}

/// The unit opens the port of the page, on which it answers this machine.
#[test]
fn its_page_is_on_the_port_that_the_unit_opens() {
    let Some(container) = booted("its_page_is_on_the_port_that_the_unit_opens") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.start();
    const ASK: &str =
        "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8462/healthz').read().decode())";
    let answer = container.wait_for("the page", || {
        Some(container.run(&["/usr/bin/python3", "-c", ASK])).filter(|ran| ran.code == Some(0))
    });
    assert_eq!(answer.stdout.trim(), "ok");
    let unit = include_str!("../../../infra/systemd/api-health.service");
    let [only] = unit.lines().filter(|line| line.starts_with("SocketBindAllow=")).collect::<Vec<_>>()[..] else {
        panic!("one port is opened")
    };
    assert_eq!(only, "SocketBindAllow=tcp:8462", "that of web.listen, where nothing is written");
}
