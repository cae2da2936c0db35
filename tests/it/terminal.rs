//! What a person at a terminal sees: nothing wider than it, colours where it has some, and no text from outside that moves a
//! cursor or turns the line round.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::cli::{Place, finish};
use crate::alerts::Receiver;
use crate::daemon::{SOON, wait_for};
use crate::support::http::Answer;

/// Everything that a command writes to a terminal of so many columns.
fn seen(mut command: Command, columns: u16) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(Path::new(name.to_str().unwrap())).unwrap();
    tcsetwinsize(&theirs, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let end = || theirs.try_clone().unwrap();
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop((command, theirs));
    let mut text = Vec::new();
    let _ = File::from(ours).read_to_end(&mut text); // it ends with an error, once nobody holds the other side
    child.wait().unwrap();
    String::from_utf8(text).unwrap().replace('\r', "")
}

/// Two APIs that are down, and owed to a webhook that refuses.
fn down(names: [&str; 2]) -> (Place, Receiver) {
    let (place, receiver) = (Place::new(), Receiver::start());
    receiver.answer(Answer::Status(413));
    let sources = "[apis]\nfile = \"apis.toml\"\nfrom_store = false\n[store]\ncheckpoint_seconds = 1\n[probe]\nfailure_threshold = 1\n";
    place.write("api-health.toml", &format!("{sources}{}", receiver.settings()));
    let row = |id, port| format!("[[api]]\napi_id = \"{id}\"\nurl = \"http://127.0.0.1:{port}/\"\nname = \"{id}\"\n");
    place.write("apis.toml", &format!("{}{}", row(names[0], 9), row(names[1], 1)));
    let mut daemon = place.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("two failed attempts", SOON, || {
        let ran = place.run(&["alerts", "list"]);
        (ran.out.matches("attempt failed").count() == 2).then_some(())
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    (place, receiver)
}

#[test]
fn no_line_is_wider_than_the_terminal_and_what_is_wrong_can_be_read() {
    let (place, _receiver) = down(["shop", "warehouse-in-the-north"]);
    for columns in [30, 40, 60, 80, 120] {
        for args in [&["status"][..], &["apis", "list"], &["alerts", "list"], &["cost"], &["settings", "show"]] {
            let mut command = place.command(args);
            command.env("LANG", "C.UTF-8");
            let text = seen(command, columns);
            for line in text.lines().filter(|line| line.chars().count() > usize::from(columns)) {
                // A path, a URL or a name that is to be copied stays whole.
                let words = line.trim_start().split(' ').count();
                assert!(words == 1 && args[0] != "status" && args[0] != "apis", "{args:?} at {columns}: {line:?}");
            }
        }
    }
    let mut command = place.command(&["status"]);
    command.env("LANG", "C.UTF-8");
    let narrow = seen(command, 40);
    assert!(narrow.contains("\n  connection to 127.0.0.1:9 refused"), "{narrow}");
    let mut command = place.command(&["alerts", "list"]);
    command.env("LANG", "C.UTF-8");
    let listed = seen(command, 300);
    assert!(listed.contains("and check url under [notify.webhook]; "), "the advice is whole: {listed}");
}

#[test]
fn colours_are_for_terminals_that_have_some() {
    let (place, _receiver) = down(["a", "b"]);
    let status = |name: &str, value: &str| {
        let mut command = place.command(&["status"]);
        command.env("TERM", "xterm-256color").env(name, value);
        seen(command, 80).contains('\u{1b}')
    };
    assert!(status("TERM", "xterm"));
    assert!(!status("TERM", "dumb") && !status("TERM", "") && !status("NO_COLOR", "1"));
    assert!(status("NO_COLOR", ""), "an empty one is none");
    for words in [&["--help"][..], &["nonsense"], &["apis", "add", "--help"]] {
        let has_colour = |term: &str, when: &str| {
            let mut command = place.command(&["--color", when]);
            command.args(words).env("TERM", term);
            seen(command, 80).contains('\u{1b}')
        };
        assert!(has_colour("xterm", "auto") && has_colour("dumb", "always"), "{words:?}");
        assert!(!has_colour("xterm", "never") && !has_colour("", "auto"), "{words:?}");
    }
    // One without an escape in it all shows each picture below the one before.
    let mut watch = place.program(Path::new("timeout"), &["3", env!("CARGO_BIN_EXE_api-health"), "status", "--watch"]);
    watch.env("TERM", "dumb");
    let shown = seen(watch, 80);
    assert!(shown.contains("2 down") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn no_text_from_outside_moves_a_cursor_or_turns_a_line_round() {
    let place = Place::new();
    let evil = "a\u{202e}gpj.exe\u{2066}b\u{61c}\u{200f}c\u{200b}d\u{feff}";
    let set = format!("name={evil}");
    place.ok(&[
        "apis",
        "add",
        "--url",
        "http://127.0.0.1:9/",
        "--id",
        "a",
        "--set",
        &set,
        "--set",
        "failure_threshold=1",
    ]);
    let told = place.run(&["run", "--once"]);
    let steers = |text: &str| {
        let is = |c| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        text.contains(is)
    };
    assert!(told.out.contains("DOWN a\u{fffd}gpj.exe") && !steers(&told.out), "{told:?}");
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["apis", "list"],
        &["apis", "list", "--json"],
        &["apis", "show", "a"],
        &["apis", "show", "a", "--json"],
        &["alerts", "list", "--json"],
        &["probe", "a"],
        &["probe", "a", "--json"],
        &["settings", "show"],
    ] {
        let ran = place.run(args);
        assert!(!steers(&ran.out) && !steers(&ran.err), "{args:?}: {ran:?}");
    }
    assert_eq!(place.json(&["apis", "show", "a"])["fields"]["name"], evil, "JSON has it escaped, and means the same");
    assert!(place.ok(&["apis", "export"]).contains(evil), "an export is data");
    assert!(!steers(&seen(place.command(&["apis", "export"]), 80)), "on a terminal it is not");
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_fault_with_its_name() {
    let place = Place::new();
    place.write("api-health.toml", "[log]\nformat = \"nonsense\"\n");
    for name in [
        "APP_ENVIRONMENT",
        "SNS_TOPIC_ARN",
        "DDB_STATE_TABLE",
        "AWS_REGION",
        "AWS_PROFILE",
        "API_HEALTH_LOG",
        "STATE_DIRECTORY",
    ] {
        for args in [&["settings", "show"][..], &["status"], &["run", "--once"], &["apis", "list"], &["doctor"]] {
            let mut command = place.command(args);
            let ran = finish(command.env(name, std::ffi::OsStr::from_bytes(b"hunter2\xe9")));
            let said = format!("{}{}", ran.out, ran.err);
            assert_eq!(ran.code, 64, "{name} {args:?}: {ran:?}");
            assert!(said.contains(&format!("environment variable {name}: its value is not UTF-8")), "{said}");
            assert!(said.contains("log.format"), "every fault at once: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
    place.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\n");
    place.write("apis.toml", "[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\nheaders.X = \"${env:SHOP_TOKEN}\"\n");
    let mut command = place.command(&["apis", "validate"]);
    let ran = finish(command.env("SHOP_TOKEN", std::ffi::OsStr::from_bytes(b"hunter2\xe9")));
    assert!(ran.code == 64 && ran.err.contains("${env:SHOP_TOKEN} is not UTF-8"), "{ran:?}");
    let mut command = place.command(&["apis", "list"]);
    let ran = finish(command.env("LANG", std::ffi::OsStr::from_bytes(b"caf\xe9")));
    assert_eq!(ran.code, 0, "it says how a terminal looks, and no more: {ran:?}");
}
