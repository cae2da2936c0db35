//! `doctor` from outside: what it finds on a machine that is well, and on one that is not, and that it writes nothing.

use std::process::Stdio;

use serde_json::Value;

use super::cli::{Place, Ran, finish};
use super::cli_probe::listener;
use crate::daemon::Home;

/// What was found, by check.
pub(crate) struct Found {
    pub(crate) code: i32,
    pub(crate) json: Value,
}

impl Found {
    pub(crate) fn new(code: i32, out: &str) -> Self {
        Self { code, json: serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out:?}")) }
    }

    /// `(result, what, todo)` of every finding of a check.
    pub(crate) fn all(&self, check: &str) -> Vec<(&str, &str, &str)> {
        let findings = self.json["findings"].as_array().unwrap();
        findings
            .iter()
            .filter(|finding| finding["check"] == check)
            .map(|finding| {
                let of = |name: &str| finding[name].as_str().unwrap_or_default();
                (of("result"), of("what"), of("todo"))
            })
            .collect()
    }

    /// The only finding of a check.
    pub(crate) fn one(&self, check: &str) -> (&str, &str, &str) {
        let all = self.all(check);
        assert_eq!(all.len(), 1, "{check}: {}", self.json);
        all[0]
    }

    /// The checks that found something of that sort.
    pub(crate) fn checks(&self, result: &str) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings.filter(|f| f["result"] == result).map(|f| f["check"].as_str().unwrap()).collect()
    }
}

fn doctor(place: &Place) -> Found {
    let ran = place.run(&["doctor", "--json"]);
    assert_eq!(ran.err, "", "{ran:?}");
    Found::new(ran.code, &ran.out)
}

#[test]
fn a_laptop_with_nothing_set_is_well_and_nothing_is_made() {
    let place = Place::new();
    let found = doctor(&place);
    assert_eq!(found.code, 0, "{}", found.json);
    assert_eq!(found.one("settings").0, "ok");
    assert!(found.one("sqlite_file").1.contains("is not there yet"), "{}", found.json);
    assert_eq!(found.one("daemon").1, "no process watches by this file just now");
    assert!(found.one("apis").2.contains("api-health apis add"), "{}", found.json);
    for check in ["region", "credentials", "states_table", "topic", "webhook", "clock", "test_message"] {
        assert!(found.all(check).is_empty(), "{check} does not fit these settings: {}", found.json);
    }
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert_eq!(found.json["summary"]["fault"], 0);
}

#[test]
fn lines_are_aligned_plain_in_a_pipe_and_coloured_when_asked_for() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "a"]);
    let out = place.ok(&["doctor"]);
    assert!(!out.contains('\u{1b}'), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    let column = lines[0].find("valid").unwrap();
    for line in &lines[..lines.len() - 1] {
        assert!(["ok  ", "!!  ", "xx  ", "--  ", "    "].iter().any(|sign| line.starts_with(sign)), "{out}");
        assert_eq!(line.as_bytes()[column - 1], b' ', "{out}");
    }
    assert!(lines.iter().any(|line| line.starts_with("ok  apis ") && line.ends_with("1 API to watch")), "{out}");
    assert!(lines.last().unwrap().starts_with("no fault, "), "{out}");
    assert!(place.ok(&["doctor", "--color", "always"]).contains("\u{1b}[32mok"));
    assert!(!place.ok(&["doctor", "--json", "--color", "always"]).contains('\u{1b}'));
}

#[test]
fn every_fault_of_the_settings_is_a_finding_and_the_code_is_64() {
    let place = Place::new();
    place.write("api-health.toml", "[probe]\nspred = true\n[run]\nshutdown = 5\n");
    let found = doctor(&place);
    assert_eq!(found.code, 64);
    let faults = found.all("settings");
    assert_eq!(faults.len(), 2, "{}", found.json);
    assert!(faults[0].1.contains("api-health.toml, line 2") && faults[0].2.contains("spread"), "{faults:?}");
    assert_eq!(found.one("user").0, "ok");
    let ran = place.run(&["doctor"]);
    assert_eq!((ran.code, ran.out.lines().filter(|line| line.starts_with("xx  settings")).count()), (64, 2), "{ran:?}");
    assert_eq!(place.run(&["--settings", "none.toml", "doctor"]).code, 64);
}

#[test]
fn a_folder_that_is_none_is_told_with_what_to_do() {
    let place = Place::new();
    place.write("file", "");
    place.write("api-health.toml", "[store]\npath = \"file/a.db\"\n");
    let found = doctor(&place);
    assert_eq!(found.code, 69, "{}", found.json);
    let (result, what, todo) = found.one("sqlite_file");
    assert_eq!(result, "fault");
    assert!(what.starts_with("no file can be made in ") && what.contains("Not a directory"), "{what}");
    assert!(todo.contains("store.path"), "{todo}");
    assert!(found.checks("ok").contains(&"user"), "the others ran: {}", found.json);
}

/// The disk is one of 1 MiB that only this process has.
#[test]
fn a_disk_without_room_is_told() {
    let place = Place::new();
    let unshare = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        let program = env!("CARGO_BIN_EXE_api-health");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", program]);
        finish(command.current_dir(place.path("")))
    };
    let mount = "mkdir -p disk && mount -t tmpfs -o size=1m none disk && cd disk";
    let can = unshare(mount);
    if can.code != 0 {
        eprintln!("skipped: this user may not mount a disk of its own: {can:?}");
        return;
    }
    let doctor = |fill: &str| {
        let ran = unshare(&format!("{mount} && {{ {fill}; }} 2>/dev/null; exec env -i \"$1\" doctor --json"));
        Found::new(ran.code, &ran.out)
    };
    let low = doctor("true");
    let (result, what, _) = low.one("sqlite_file");
    assert!(result == "warn" && what.contains("bytes of space are left"), "{what}");
    let full = doctor("cat /dev/zero > filler");
    let (result, what, todo) = full.one("sqlite_file");
    assert!(result == "fault" && what.contains("the disk is full") && todo.contains("df -h"), "{what} {todo}");
    assert_eq!(full.code, 69);
}

#[test]
fn a_file_that_is_no_database_is_told() {
    let place = Place::new();
    place.write("api-health.db", "this is not a database, but it is long enough to be looked at as if it were one");
    let found = doctor(&place);
    assert_eq!(found.code, 69);
    assert!(found.one("states").1.contains("is not an SQLite file"), "{}", found.json);
}

#[test]
fn secrets_that_lie_open_are_told_and_not_shown() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let url =
        format!("http://{}/hunter2?token=hunter2", listener("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"));
    place.write(
        "api-health.toml",
        &format!("[apis]\nfile = \"apis.toml\"\n[notify.webhook]\nurl = \"{url}\"\nsecret = \"hunter2\"\n"),
    );
    let row =
        "[[api]]\napi_id = \"a\"\nurl = \"http://127.0.0.1:1/\"\nheaders = { Authorization = \"Bearer hunter2\" }\n";
    place.write("apis.toml", row);
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("api-health.toml", 0o644);
    chmod("apis.toml", 0o644);
    let found = doctor(&place);
    assert_eq!(found.code, 0, "these are warnings: {}", found.json);
    for (check, file) in [("settings_file", "api-health.toml"), ("apis_file", "apis.toml")] {
        let (result, what, todo) = found.one(check);
        assert_eq!(result, "warn", "{}", found.json);
        assert!(what.contains("mode 644") && todo.starts_with("chmod 640 ") && todo.contains(file), "{what} {todo}");
    }
    assert_eq!(found.one("webhook").0, "ok", "{}", found.json);
    assert!(!found.json.to_string().contains("hunter2"), "{}", found.json);
    chmod("api-health.toml", 0o640);
    chmod("apis.toml", 0o646);
    let found = doctor(&place);
    assert_eq!((found.one("settings_file").0, found.one("apis_file").2), ("ok", found.one("apis_file").2));
    assert!(found.one("apis_file").2.starts_with("chmod o-w "), "{}", found.json);
}

#[test]
fn nothing_is_sent_to_a_webhook_unless_that_is_asked_for() {
    let server = crate::support::http::Server::start();
    let home = Home::new(&format!("[notify.webhook]\nurl = \"{}\"\n", server.url("/hook")), "");
    let ended = home.start(&["doctor", "--json"]).wait(crate::daemon::SOON);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    assert_eq!(found.one("webhook").0, "ok", "{}", found.json);
    assert_eq!(server.hits("/hook"), 0);

    let ended = home.start(&["doctor", "--json", "--send-test-message"]).wait(crate::daemon::SOON);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    assert!(found.one("test_message").1.starts_with("webhook took it over in "), "{}", found.json);
    let posted = server.requests("/hook");
    assert_eq!(posted.len(), 1);
    assert!(posted[0].body.contains("nothing is down"), "{}", posted[0].body);

    server.refuse();
    let ended = home.start(&["doctor", "--json", "--send-test-message"]).wait(crate::daemon::SOON);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    assert_eq!(found.code, 69);
    assert!(found.one("webhook").1.contains("refused"), "{}", found.json);
    assert!(found.one("test_message").1.starts_with("webhook did not take it"), "{}", found.json);
}

#[test]
fn the_terminal_s_test_message_leaves_the_json_alone() {
    let place = Place::new();
    let ran = place.run(&["doctor", "--json", "--send-test-message"]);
    let found = Found::new(ran.code, &ran.out);
    assert!(found.one("test_message").1.starts_with("terminal took it over"), "{}", found.json);
    assert!(ran.err.contains("DOWN api-health test alert"), "{}", ran.err);
}

#[test]
fn a_daemon_that_watches_is_named_and_not_disturbed() {
    let server = crate::support::http::Server::start();
    let home = Home::empty();
    let daemon = home.start(&["run", &server.url("/")]);
    crate::daemon::wait_for("a first state", crate::daemon::SOON, || (!home.states().is_empty()).then_some(()));
    let ended = home.start(&["doctor", "--json"]).wait(crate::daemon::SOON);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    assert_eq!(found.code, 0, "{}", found.json);
    let (_, what, _) = found.one("daemon");
    assert!(what.starts_with(&format!("process {} of ", daemon.pid())), "{what}");
    assert_eq!(found.one("states").0, "ok", "{}", found.json);
    assert_eq!(found.one("heartbeat").0, "ok", "{}", found.json);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_daemon_that_stores_nothing_is_a_fault() {
    let server = crate::support::http::Server::start();
    let home = Home::empty();
    home.write("api-health.toml", "[store]\ncheckpoint_seconds = 1\n[probe]\ninterval_seconds = 1\n");
    let _daemon = home.start(&["run", &server.url("/")]);
    crate::daemon::wait_for("a first state", crate::daemon::SOON, || (!home.states().is_empty()).then_some(()));
    std::fs::remove_file(home.database()).unwrap();
    let what = crate::daemon::wait_for("a fault", crate::daemon::SOON, || {
        let ended = home.start(&["doctor", "--json"]).wait(crate::daemon::SOON);
        let found = Found::new(ended.code.unwrap(), &ended.output);
        let fault = found.all("daemon").into_iter().find(|(result, ..)| *result == "fault");
        fault.map(|(_, what, _)| (found.code, what.to_owned()))
    });
    assert_eq!(what, (69, "it stores nothing: the store takes no writes".to_owned()));
}

#[test]
fn damaged_records_refused_rows_and_hosts_without_an_address_are_counted() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://no-such-host.invalid/", "--id", "lost"]);
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "bad", "--set", "headers.A=${env:NOT_SET}"]);
    let database = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    let insert = "INSERT INTO api_health_states (api_id, version, status, record) VALUES ('x', 1, 'up', '{')";
    database.execute(insert, []).unwrap();
    let found = doctor(&place);
    assert_eq!(found.code, 0, "{}", found.json);
    let states = found.all("states");
    assert!(states.iter().any(|f| f.0 == "warn" && f.1 == "1 record cannot be read: x"), "{}", found.json);
    assert_eq!(found.one("apis").1, "1 row refused, and not watched as written: bad");
    let (result, what, _) = found.one("api_hosts");
    assert_eq!((result, what), ("warn", "1 of 1 host tried, 1 without an address: no-such-host.invalid"));
    // `run` sets it aside, and that is told until somebody looks.
    place.run(&["run", "--once"]);
    let found = doctor(&place);
    assert!(found.all("states").iter().any(|f| f.1 == "1 damaged record set aside"), "{}", found.json);
}

#[test]
fn a_file_without_a_byte_stays_without_one() {
    let place = Place::new();
    place.write("api-health.db", "");
    let found = doctor(&place);
    assert_eq!(found.code, 0, "{}", found.json);
    assert!(found.one("states").1.starts_with("nothing is stored yet"), "{}", found.json);
    assert_eq!(std::fs::metadata(place.path("api-health.db")).unwrap().len(), 0);
    assert_eq!(place.files(), ["api-health.db"]);
    // Tables of somebody else, and none at all, are left as they are too.
    rusqlite::Connection::open(place.path("api-health.db"))
        .unwrap()
        .execute_batch("VACUUM; PRAGMA user_version = 0")
        .unwrap();
    let before = std::fs::read(place.path("api-health.db")).unwrap();
    doctor(&place);
    assert_eq!(std::fs::read(place.path("api-health.db")).unwrap(), before);
}

#[test]
fn files_of_the_environment_and_of_the_store_that_lie_open_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "a"]);
    place.write("env", "AWS_REGION=eu-central-1\nSHOP_TOKEN=hunter2\n");
    let looked = |env_mode, store_mode| {
        for (name, mode) in [("env", env_mode), ("api-health.db", store_mode)] {
            std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let ran = place.run(&["doctor", "--json", "--env-file", "env"]);
        assert!(!ran.out.contains("hunter2"), "{ran:?}");
        Found::new(ran.code, &ran.out)
    };
    let well = looked(0o640, 0o600);
    assert_eq!((well.one("env_file").0, well.one("sqlite_file").0), ("ok", "ok"), "{}", well.json);
    let open = looked(0o644, 0o644);
    assert_eq!((open.one("env_file").0, open.one("sqlite_file").0), ("warn", "warn"), "{}", open.json);
    assert!(open.one("env_file").1.ends_with("(mode 644), and SHOP_TOKEN in it looks secret"), "{}", open.json);
    assert_eq!(open.one("env_file").2, "chmod 640 env");
    assert!(open.one("sqlite_file").2.starts_with("chmod o-rw "), "{}", open.json);
    assert!(looked(0o646, 0o600).one("env_file").1.contains("may be changed by every user"));
    place.write("env", "AWS_REGION=eu-central-1\n");
    assert_eq!(looked(0o644, 0o600).one("env_file").0, "ok");
}

#[test]
fn some_hosts_are_looked_up_and_few_are_named() {
    let place = Place::new();
    place.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\n");
    let row = |n| format!("[[api]]\napi_id = \"a{n:02}\"\nurl = \"http://no-such-host-{n:02}.invalid/\"\n");
    place.write("apis.toml", &(0..30).map(row).collect::<String>());
    let found = doctor(&place);
    let (result, what, _) = found.one("api_hosts");
    assert_eq!(result, "fault", "{}", found.json);
    assert_eq!(
        what,
        "10 of 30 hosts tried, 10 without an address: no-such-host-00.invalid, no-such-host-03.invalid, \
         no-such-host-06.invalid, no-such-host-09.invalid, no-such-host-12.invalid, 5 more"
    );
}

#[test]
fn an_environment_file_is_the_whole_environment() {
    let place = Place::new();
    place.write("env", "# the daemon's\nAPP_ENVIRONMENT='pro duction'\nHOOK=http://127.0.0.1:1/hunter2\n");
    place.write("api-health.toml", "[notify.webhook]\nurl = \"${env:HOOK}\"\n");
    let missing = place.run(&["doctor", "--json"]);
    assert_eq!(missing.code, 64, "{missing:?}");
    let with = |args: &[&str]| -> Ran {
        let mut command = place.command(args);
        command.env("DDB_STATE_TABLE", "of-this-shell").env("SNS_TOPIC_ARN", "of-this-shell");
        finish(&mut command)
    };
    let ran = with(&["--color", "always", "doctor", "--json", "--env-file", "env"]);
    let found = Found::new(ran.code, &ran.out);
    assert_eq!(found.code, 69, "nothing listens there: {}", found.json);
    assert!(found.one("user").1.contains("with the environment of env"), "{}", found.json);
    assert!(
        found.one("webhook").1.starts_with("webhook at http://127.0.0.1:1: connection to 127.0.0.1:1 refused"),
        "{}",
        found.json
    );
    assert!(found.all("states_table").is_empty(), "this shell's table is not the daemon's: {}", found.json);
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));

    // From standard input, as the environment of a process.
    let mut command = place.command(&["doctor", "--json", "--env-file", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"A=b\0HOOK=http://127.0.0.1:1/hunter2\0").unwrap();
    let output = child.wait_with_output().unwrap();
    let found = Found::new(output.status.code().unwrap(), &String::from_utf8(output.stdout).unwrap());
    assert!(found.one("user").1.contains("environment of standard input"), "{}", found.json);
    assert_eq!(found.one("webhook").0, "fault");

    let ran = with(&["doctor", "--env-file", "none"]);
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("--env-file none: the file cannot be read"), "{}", ran.err);
}

#[test]
fn the_help_lists_every_check_that_is_ever_reported() {
    let help = Place::new().ok(&["doctor", "--help"]);
    let (_, list) = help.split_once("none of AWS):\n").unwrap();
    let listed: Vec<&str> = list.lines().map_while(|line| line.strip_prefix("  ")?.split("  ").next()).collect();
    assert_eq!(listed.len(), 30, "{listed:?}");
    for word in ["Exit codes: 0", "69", "64", "--send-test-message", "--env-file", "leaves nothing behind"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
}
