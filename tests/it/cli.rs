//! The command line from outside: help, completions, man page, pipes, colour, settings.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::cli_probe::listener;
use super::daemon::{Home, SOON};

/// A folder to run the program in, with an environment of its own.
pub(crate) struct Place(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The names of the files in it.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_api-health")), args)
    }

    pub(crate) fn program(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TMPDIR", self.0.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finish(&mut self.command(args))
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ran(&child.wait_with_output().unwrap())
    }

    /// Runs it, and it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// Runs it with `--json`, and it must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }
}

pub(crate) fn finish(command: &mut Command) -> Ran {
    ran(&command.output().unwrap())
}

fn ran(output: &std::process::Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The ways to every command that does something.
const COMMANDS: [&[&str]; 25] = [
    &["run"],
    &["probe"],
    &["apis", "add"],
    &["apis", "list"],
    &["apis", "show"],
    &["apis", "edit"],
    &["apis", "rm"],
    &["apis", "import"],
    &["apis", "export"],
    &["apis", "validate"],
    &["apis", "schema"],
    &["status"],
    &["explain"],
    &["fleet"],
    &["alerts", "list"],
    &["alerts", "retry"],
    &["alerts", "test"],
    &["cost"],
    &["settings", "show"],
    &["settings", "schema"],
    &["doctor"],
    &["demo"],
    &["completions"],
    &["man"],
    &["apis", "remove"],
];

#[test]
fn every_command_has_help_that_says_what_it_does() {
    let place = Place::new();
    for command in COMMANDS {
        let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let help = place.ok(&args);
        let first = help.lines().next().unwrap_or_default();
        assert!(first.len() > 15, "{command:?} does not say what it does: {help}");
        assert!(help.contains("xample") || help.contains("Exit codes"), "{command:?} has no example: {help}");
        assert!(!help.contains('\u{1b}'), "colour in a pipe");
    }
    let help = place.ok(&["--help"]);
    for word in ["api-health demo", "Exit codes:", "64", "75"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
    assert!(place.files().is_empty(), "help writes nothing");
}

#[test]
fn a_run_ends_with_its_figures_in_the_log() {
    let place = Place::new();
    let url = format!("http://{}/", listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let ran = place.run(&["run", "--once", &url]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let figures: serde_json::Value = serde_json::from_str(ran.err.lines().next_back().unwrap()).unwrap();
    assert_eq!((&figures["message"], &figures["probes"]), (&"figures".into(), &1.into()), "{ran:?}");
    for name in ["seconds", "missed_ticks", "restarts", "alerts_delivered"] {
        assert!(figures[name].is_u64(), "{name}: {figures}");
    }
}

#[test]
fn a_bad_command_line_is_refused_with_64() {
    let place = Place::new();
    for args in [&["nonsense"][..], &["probe"], &["demo", "--seconds", "1"], &["apis", "add"], &["status", "--dwn"]] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{args:?}");
        assert!(ran.err.contains("Usage") || ran.err.contains("--help"), "{}", ran.err);
    }
}

#[test]
fn an_argument_that_is_not_utf8_is_named() {
    let place = Place::new();
    for args in [&["apis", "show"][..], &["--color", "never", "probe"]] {
        let ran = finish(place.command(args).arg(OsStr::from_bytes(b"caf\xe9")));
        let said = format!(
            "error: command line, argument {}: \"caf\u{fffd}\" is not UTF-8; write it in UTF-8\n",
            args.len() + 1
        );
        assert_eq!((ran.code, ran.err), (64, said));
    }
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        assert!(["api-health", "validate", "retry"].iter().all(|word| script.contains(word)), "{shell}");
    }
    let script = place.path("api-health.bash");
    std::fs::write(&script, place.ok(&["completions", "bash"])).unwrap();
    let checked = finish(place.program(Path::new("bash"), &["-n"]).arg(&script));
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
}

#[test]
fn the_man_page_has_every_command_and_renders() {
    let place = Place::new();
    let page = place.ok(&["man"]);
    for section in
        ["NAME", "SYNOPSIS", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS", "EXAMPLES"]
    {
        assert!(page.lines().any(|line| line.replace('"', "") == format!(".SH {section}")), "{section}");
    }
    for command in COMMANDS.iter().filter(|command| command[1..] != ["remove"]) {
        let heading = format!(".SS \"api-health {}", command.join(" "));
        assert!(page.lines().any(|line| line.starts_with(&heading)), "{heading}");
    }
    // Where groff is at hand, it must find nothing to complain of.
    if Command::new("groff").arg("--version").output().is_ok() {
        place.write("api-health.1", &page);
        let rendered =
            finish(&mut place.program(Path::new("groff"), &["-man", "-ww", "-Tascii", "-P-cbou", "api-health.1"]));
        assert_eq!((rendered.code, rendered.err.as_str()), (0, ""));
        assert!(rendered.out.contains("EXIT STATUS"));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let place = Place::new();
    let rows: String = (0..3_000).map(|n| format!("[[api]]\napi_id = \"a{n}\"\nurl = \"http://a.test/\"\n")).collect();
    place.write("apis.toml", &rows);
    place.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\n");
    for args in [&["apis", "list"][..], &["apis", "list", "--json"], &["man"], &["completions", "zsh"]] {
        let mut command = place.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        drop(child.stdout.take());
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn colour_comes_when_asked_for_and_never_by_itself_in_a_pipe() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/"]);
    assert!(!place.ok(&["apis", "list"]).contains('\u{1b}'));
    assert!(!place.ok(&["status"]).contains('\u{1b}'));
    assert!(place.ok(&["status", "--color", "always"]).contains('\u{1b}'));
    assert!(!place.ok(&["status", "--color", "never"]).contains('\u{1b}'));
    assert!(!place.ok(&["status", "--color", "always", "--json"]).contains('\u{1b}'), "never in JSON");
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() {
    let place = Place::new();
    place.write(
        "api-health.toml",
        "[notify.webhook]\nurl = \"https://hooks.example.com/hunter2\"\nsecret = \"hunter2\"\n[probe]\nspread = false\n",
    );
    let shown = finish(place.command(&["settings", "show"]).env("APP_ENVIRONMENT", "staging"));
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("staging") && shown.out.contains("APP_ENVIRONMENT"), "{}", shown.out);
    assert!(!shown.out.contains("hunter2"), "{}", shown.out);
    let json = place.json(&["settings", "show"]);
    assert_eq!(json["probe.spread"]["value"], false);
    assert_eq!(json["probe.spread"]["from"]["kind"], "file");
    assert!(!json.to_string().contains("hunter2"));
    assert!(!place.files().contains(&"api-health.db".to_owned()), "a look creates no store");
}

#[test]
fn every_fault_of_the_settings_is_told_at_once_by_every_command_that_needs_them() {
    let place = Place::new();
    place.write("api-health.toml", "[probe]\nspred = true\n[run]\nshutdown = 5\n");
    for args in [&["settings", "show"][..], &["status"], &["probe", "http://127.0.0.1:1/"], &["apis", "list"]] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{args:?}");
        assert_eq!(ran.err.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{}", ran.err);
    }
    place.ok(&["man"]); // which needs none
}

#[test]
fn a_pipe_that_nobody_writes_holds_no_command_up_and_one_with_a_writer_is_read() {
    let home = Home::empty();
    let pipe = home.path().join("pipe");
    let make = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    make(&pipe);
    home.write("settings.toml", "[apis]\nfile = \"pipe\"\n");
    let commands: [&[&str]; 8] = [
        &["--settings", "pipe", "settings", "show"],
        &["--settings", "pipe", "run"],
        &["--settings", "pipe", "status"],
        &["--settings", "settings.toml", "apis", "validate"],
        &["apis", "validate", "pipe"],
        &["apis", "import", "pipe", "--yes"],
        &["apis", "import", "--from", "gatus", "pipe", "--yes"],
        &["doctor", "--env-file", "pipe"],
    ];
    for (args, started) in commands.map(|args| (args, home.start(args))) {
        let ended = started.wait(SOON);
        assert_eq!(ended.log.matches("is a pipe into which nobody writes").count(), 1, "{args:?}: {ended:?}");
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
    }
    let started = home.start(&["apis", "validate", "pipe"]);
    std::fs::write(&pipe, "[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\n").unwrap();
    assert_eq!(started.wait(SOON).output, "pipe: 1 good\n");
}
