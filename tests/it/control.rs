//! The control socket of a running daemon: who may use it, what it answers, and what happens to it at the end of a life.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use api_health::control::client::{self, ControlError};
use api_health::control::protocol::{Alerts, Answer, Request, Who};
use rustix::process::Signal;
use serde_json::Value;

use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Daemon, Home, SOON, wait_for};
use crate::support::http::Server;

const SETTINGS: &str =
    "[notify.webhook]\nurl = \"http://127.0.0.1:1/hunter2\"\nsecret = \"hunter2\"\n[notify.terminal]\n";

fn socket(home: &Home) -> PathBuf {
    home.path().join("api-health.db.sock")
}

fn ask(path: &Path, request: &Request) -> Result<Option<Answer>, ControlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client::ask(path, request))
}

fn who(path: &Path) -> Option<Who> {
    match ask(path, &Request::Who) {
        Ok(None) => None,
        Ok(Some(Answer::Who(who))) => Some(who),
        other => panic!("{other:?}"),
    }
}

/// Waits until this daemon answers there.
fn wait_for_answer(daemon: &Daemon, path: &Path) -> Who {
    wait_for("an answer of the daemon", SOON, || who(path).filter(|who| who.pid == daemon.pid()))
}

/// What `settings show` says beside the settings.
fn beside_the_settings(home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let shown = home.start_with(&[&["settings", "show"], arguments].concat(), environment).wait(SOON);
    assert_eq!(shown.code, Some(0), "{}", shown.log);
    assert!(!(shown.output + &shown.log).contains("hunter2"));
    shown.log
}

#[test]
fn a_daemon_answers_its_user_alone_and_takes_its_socket_along() {
    let target = Server::start();
    let home = Home::new(SETTINGS, &rows(&target, &["shop"]));
    let daemon = home.run();
    let path = socket(&home);
    let who = wait_for_answer(&daemon, &path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let database = home.path().canonicalize().unwrap().join("api-health.db");
    assert_eq!(who.store, format!("SQLite file {}", database.display()));
    assert_eq!(who.version, env!("CARGO_PKG_VERSION"));
    assert!(who.instance.contains(&format!(":{}:", daemon.pid())), "{who:?}");
    assert!(api_health_core::Timestamp::parse(&who.since).is_some(), "{who:?}");

    let Ok(Some(Answer::Settings { settings })) = ask(&path, &Request::Settings) else { panic!("no settings") };
    assert_eq!(settings["apis.file"]["value"], "apis.toml");
    assert!(!settings.to_string().contains("hunter2"), "{settings}");
    let shown: Value = serde_json::from_str(&home.start(&["settings", "show", "--json"]).wait(SOON).output).unwrap();
    assert_eq!(settings, shown);

    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    home.write("apis.toml", &rows(&target, &["shop", "till"]));
    match ask(&path, &Request::Reload) {
        Ok(Some(Answer::Reload(reloaded))) => assert_eq!((reloaded.apis, reloaded.refused), (2, 0)),
        other => panic!("{other:?}"),
    }
    for alerts in [Alerts::All, Alerts::These(vec!["nonsense".into()])] {
        assert_eq!(ask(&path, &Request::Retry { alerts }), Ok(Some(Answer::Retry { alerts: 0 })));
    }
    let nothing_owed = Request::DropChannel { channel: "nonsense".into() };
    assert_eq!(ask(&path, &nothing_owed), Ok(Some(Answer::DropChannel { alerts: 0 })));
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!path.exists());
    assert_eq!(ask(&path, &Request::Who), Ok(None));
}

#[test]
fn what_a_killed_daemon_left_is_replaced_and_two_stores_have_two_sockets() {
    let target = Server::start();
    let homes = [Home::new(SETTINGS, &rows(&target, &["shop"])), Home::new(SETTINGS, &rows(&target, &["till"]))];
    let [first, second] = [homes[0].run(), homes[1].run()];
    let other = wait_for_answer(&second, &socket(&homes[1]));
    let path = socket(&homes[0]);
    wait_for_answer(&first, &path);
    first.kill();
    assert!(path.exists(), "a kill leaves the file");
    assert_eq!(who(&path), None);
    let next = homes[0].run();
    wait_for_answer(&next, &path);
    assert_eq!(who(&socket(&homes[1])), Some(other), "nobody else noticed");
    assert_eq!(next.stop().code, Some(0));
    assert_eq!(second.stop().code, Some(0));
}

#[test]
fn a_socket_that_cannot_be_made_is_said_once_and_costs_nothing_else() {
    let target = Server::start();
    // Two daemons that are given one folder: the first keeps its socket.
    let folder = tempfile::tempdir().unwrap();
    let environment = [("RUNTIME_DIRECTORY", folder.path().to_str().unwrap())];
    let homes = [(); 2].map(|()| Home::new(SETTINGS, &rows(&target, &["shop"])));
    let path = folder.path().join("api-health.sock");
    let first = homes[0].start_with(&["run"], &environment);
    wait_for_answer(&first, &path);
    let second = homes[1].start_with(&["run"], &environment);
    second.wait_for_log("another process listens there");
    homes[1].wait_for_state("shop", "up", |state| state["status"] == "up");
    let ended = second.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(ended.log.matches("the control socket cannot be made").count(), 1, "{}", ended.log);
    wait_for_answer(&first, &path);
    // It is the daemon of another store, which is not the one that these settings mean.
    assert_eq!(beside_the_settings(&homes[1], &[], &environment), "");
    assert!(beside_the_settings(&homes[0], &[], &environment).contains(" runs with these settings"));

    // A path that is too long for the kernel.
    let long = "x".repeat(100);
    let home = Home::new(&format!("[store]\npath = \"{long}/a.db\"\n{SETTINGS}"), &rows(&target, &["shop"]));
    std::fs::create_dir(home.path().join(&long)).unwrap();
    let daemon = home.run();
    daemon.wait_for_log("and that of a socket may have 107");
    let before = target.hits("/shop");
    wait_for("a probe", SOON, || (target.hits("/shop") > before + 2).then_some(()));
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn hostile_clients_cost_the_daemon_nothing() {
    let target = Server::start();
    let home = Home::new(SETTINGS, &rows(&target, &["shop"]));
    let daemon = home.run();
    let path = socket(&home);
    wait_for_answer(&daemon, &path);
    let sent: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\xff\n",
        b"{\"v\":1,\"ask\":",
        b"{\"v\":1,\"ask\":\"settings\"}\n",
        b"{\"v\":1,\"ask\":\"stop\"}\n",
        b"",
    ];
    let mut clients = Vec::new();
    for n in 0..100 {
        let mut stream = UnixStream::connect(&path).unwrap();
        let _ = stream.write_all(sent[n % sent.len()]); // some are turned away at once
        clients.push(stream);
    }
    let before = target.hits("/shop");
    wait_for("two probes meanwhile", SOON, || (target.hits("/shop") >= before + 2).then_some(()));
    wait_for("room for others", SOON, || matches!(ask(&path, &Request::Who), Ok(Some(_))).then_some(()));
    for mut client in clients {
        client.set_read_timeout(Some(SOON)).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer); // a reset comes after what was sent
        assert!(answer.ends_with(b"\n"), "each was told why: {}", String::from_utf8_lossy(&answer));
    }
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn settings_show_says_whether_the_daemon_has_others() {
    let target = Server::start();
    let home = Home::new(SETTINGS, &rows(&target, &["shop"]));
    assert_eq!(beside_the_settings(&home, &[], &[]), "", "nobody runs");
    let daemon = home.run();
    wait_for_answer(&daemon, &socket(&home));
    let the_daemon = format!("the daemon (pid {}, since ", daemon.pid());
    let said = beside_the_settings(&home, &["--json"], &[]);
    assert!(said.starts_with(&the_daemon) && said.ends_with(") runs with these settings (secrets are not compared)\n"));
    // The same file by another name is the same setting.
    let file = home.path().join("api-health.toml");
    let elsewhere = Home::empty();
    let shown = elsewhere.start(&["--settings", file.to_str().unwrap(), "settings", "show"]).wait(SOON);
    assert!(!shown.log.contains("other settings"), "{}", shown.log);
    // Written, and not in force before a restart.
    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{SETTINGS}[probe]\ntimeout_seconds = 9\n"));
    let said = beside_the_settings(&home, &[], &[("APP_ENVIRONMENT", "staging")]);
    assert!(said.starts_with(&the_daemon), "{said}");
    let others =
        "environment (it has \"local\", written is \"staging\"), probe.timeout_seconds (it has 10, written is 9)\n";
    assert!(said.ends_with(&format!(") runs with other settings than are written: {others}")), "{said}");
    let shown: Value = serde_json::from_str(&home.start(&["settings", "show", "--json"]).wait(SOON).output).unwrap();
    let of_the_daemon = serde_json::json!({ "value": 10, "from": { "kind": "daemon", "pid": daemon.pid() } });
    assert_eq!(shown["probe.timeout_seconds"], of_the_daemon, "what it has");
    let looked = home.start(&["doctor"]).wait(SOON).output;
    assert!(looked.contains("written: probe.timeout_seconds (it has 10, written is 9)"), "{looked}");
    // One that is stopped listens and does not answer.
    daemon.signal(Signal::STOP);
    assert_eq!(beside_the_settings(&home, &[], &[]), "the daemon does not answer within 7 s\n");
    daemon.signal(Signal::CONT);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn with_dynamodb_the_socket_is_in_the_folder_of_the_user() {
    let cloud = Cloud::new();
    let target = Server::start();
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.env("XDG_RUNTIME_DIR", folder.path().to_str().unwrap());
    let daemon = home.run();
    let path = wait_for("a socket", SOON, || std::fs::read_dir(folder.path()).unwrap().next()).unwrap().path();
    let who = wait_for_answer(&daemon, &path);
    assert!(who.store.starts_with(&format!("DynamoDB table {} in ", cloud.state_table)), "{who:?}");
    let looked = home.start(&["doctor"]).wait(SOON);
    let line = format!("process {} of ", daemon.pid());
    assert!(
        looked.output.contains(&line) && looked.output.contains(" watches by this store: version "),
        "{}",
        looked.output
    );
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_round_has_no_socket() {
    let target = Server::start();
    let home = Home::new(SETTINGS, &rows(&target, &["shop"]));
    target.set("/shop", crate::support::http::Answer::Hang);
    let round = home.start(&["run", "--once"]);
    wait_for("a probe", SOON, || (target.hits("/shop") > 0).then_some(()));
    assert!(!socket(&home).exists());
    round.kill();
}
