//! `apis import` on both stores: the plan, the question on a terminal, pruning, and what others write meanwhile.

use std::process::Command;

use super::cli::{Place, Ran, finish};
use super::cloud::Cloud;
use crate::support::moto::Moto;
use crate::support::tools;

const ROWS: &str = "[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\ntimeout_seconds = 5\n\n\
                    [[api]]\napi_id = \"b\"\nurl = \"http://b.test/\"\n[api.headers]\nX-Key = \"hunter2\"\n";

/// Runs `sys.argv[3:]` on a terminal; when it asks, runs the shell command `sys.argv[1]` and then types `sys.argv[2]`.
const ON_A_TERMINAL: &str = "
import os, pty, subprocess, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
shown, answered = b'', False
while True:
    try:
        some = os.read(terminal, 65536)
    except OSError:
        break
    if not some:
        break
    shown += some
    if not answered and b'[y/N]' in shown:
        answered = True
        subprocess.run(['sh', '-c', sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
        os.write(terminal, sys.argv[2].encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// A place whose commands use one of the stores.
struct Store {
    place: Place,
    environment: Vec<(&'static str, String)>,
}

impl Store {
    fn each() -> [Self; 2] {
        let cloud = Cloud::new();
        let mut environment = Moto::shared().environment().to_vec();
        environment.push(("DDB_CONFIG_TABLE", cloud.config_table.clone()));
        environment.push(("DDB_STATE_TABLE", cloud.state_table.clone()));
        [Self { place: Place::new(), environment: Vec::new() }, Self { place: Place::new(), environment }]
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        finish(&mut self.command(args))
    }

    fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// Imports on a terminal; `meanwhile` is run in a shell when the question stands there.
    fn on_a_terminal(&self, args: &[&str], meanwhile: &str, answer: &str) -> Ran {
        let api_health = env!("CARGO_BIN_EXE_api-health");
        let mut command = Command::new(tools::path("venv/bin/python"));
        command.args(["-c", ON_A_TERMINAL, meanwhile, answer, api_health, "apis", "import"]).args(args);
        let like = self.command(&[]);
        command.current_dir(like.get_current_dir().unwrap()).env_clear();
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        finish(command.env("api_health", api_health))
    }
}

#[test]
fn the_plan_says_what_changes_and_shows_no_secret() {
    for store in Store::each() {
        store.place.write("rows.toml", ROWS);
        store.ok(&["apis", "import", "rows.toml", "--yes"]);
        store.ok(&["apis", "add", "--url", "http://old.test/", "--id", "old"]);
        let new = ROWS.replace("= 5", "= 7").replace("hunter2", "hunter3").replace("b.test", "c.test")
            + "[[api]]\napi_id = \"n\"\nurl = \"http://n.test/\"\n";
        store.place.write("rows.toml", &new);
        let before = store.ok(&["apis", "export"]);
        let plan = store.ok(&["apis", "import", "rows.toml", "--dry-run", "--prune"]);
        let (shown, summary) = plan.split_at(plan.find("- old").unwrap());
        assert_eq!(
            shown,
            "+ n  \"http://n.test/\"\n~ a\n    timeout_seconds: 5 -> 7\n~ b\n    \
             url: \"http://b.test/\" -> \"http://c.test/\"\n    \
             headers.X-Key: \"***\" -> \"***\" (it differs, and may be secret)\n"
        );
        assert!(summary.contains(": 1 to add, 2 to change, 1 to remove; 0 unchanged\n"), "{summary}");
        assert!(summary.ends_with("a dry run: nothing was written\n"), "{summary}");
        assert_eq!(store.ok(&["apis", "export"]), before);
    }
}

#[test]
fn rows_that_the_file_lacks_stay_unless_it_is_told_to_prune() {
    for store in Store::each() {
        store.ok(&["apis", "add", "--url", "http://old.test/", "--id", "old"]);
        store.place.write("rows.toml", ROWS);
        let done = store.ok(&["apis", "import", "rows.toml", "--yes"]);
        assert!(done.contains("1 kept that the file lacks (--prune removes them)"), "{done}");
        assert!(done.ends_with(": 2 added, 0 changed, 0 removed\n"), "{done}");
        assert!(store.ok(&["apis", "export"]).contains("old.test"), "it is kept");
        let again = store.ok(&["apis", "import", "rows.toml"]);
        assert!(again.contains("nothing to do; 2 unchanged, 1 kept"), "{again}");
        let pruned = store.ok(&["apis", "import", "rows.toml", "--prune", "--yes"]);
        assert!(pruned.contains("- old  \"http://old.test/\"\n") && pruned.contains("0 added, 0 changed, 1 removed"));
        assert_eq!(store.ok(&["apis", "export"]), ROWS);
        assert!(store.ok(&["apis", "import", "rows.toml", "--prune"]).contains("nothing to do; 2 unchanged\n"));

        store.place.write("rows.toml", "# by mistake\n");
        let emptied = store.run(&["apis", "import", "rows.toml", "--prune", "--yes"]);
        assert_eq!((emptied.code, emptied.out.as_str()), (64, ""));
        assert!(
            emptied.err.contains("rows.toml: no rows are there, and --prune would remove every API; write the rows")
        );
        assert_eq!(store.ok(&["apis", "export"]), ROWS);
    }
}

#[test]
fn without_a_terminal_a_yes_has_to_be_given_beforehand() {
    for store in Store::each() {
        store.place.write("rows.toml", ROWS);
        let ran = store.run(&["apis", "import", "rows.toml"]);
        assert_eq!(ran.code, 64, "{ran:?}");
        assert!(ran.out.contains("+ a  "), "the plan is shown all the same: {ran:?}");
        let lines: Vec<_> = ran.err.lines().collect();
        assert_eq!(lines.len(), 1, "{ran:?}");
        assert!(lines[0].contains("there is no terminal; write --yes") && lines[0].contains("--dry-run"), "{ran:?}");
        let both = store.run(&["apis", "import", "rows.toml", "--yes", "--dry-run"]);
        assert_eq!((both.code, both.out.as_str()), (64, ""), "one or the other");
        let text = store.run(&["apis", "list", "--json"]).out;
        assert!(text.contains("\"apis\": []"), "nothing was written: {text}");
    }
    let place = Place::new();
    let ran = place.run(&["apis", "import", "-"]);
    assert!(ran.code == 64 && ran.err.contains("standard input holds the rows; write --yes"), "{ran:?}");
    assert!(place.files().is_empty(), "a plan makes no store");
}

#[test]
fn on_a_terminal_it_asks_and_only_a_yes_is_a_yes() {
    for store in Store::each() {
        store.place.write("rows.toml", ROWS);
        for answer in ["n\n", "\n", "yess\n", "\u{4}"] {
            let ran = store.on_a_terminal(&["rows.toml"], "", answer);
            assert_eq!(ran.code, 75, "{answer:?}: {ran:?}");
            assert!(ran.out.contains("2 to add, 0 to change, 0 to remove. Write this? [y/N]"), "{ran:?}");
            assert!(ran.out.contains("nothing was written"), "{ran:?}");
        }
        assert!(store.run(&["apis", "list", "--json"]).out.contains("\"apis\": []"));
        let ran = store.on_a_terminal(&["rows.toml"], "", "Y\n");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("2 added, 0 changed, 0 removed"), "{ran:?}");
        let ran = store.on_a_terminal(&["rows.toml"], "false", "");
        assert!(ran.code == 0 && ran.out.contains("nothing to do"), "and it asks nothing: {ran:?}");
        let ran = store.on_a_terminal(&["-"], "false", ""); // and it does not wait for rows to be typed
        assert_eq!(ran.code, 64, "{ran:?}");
    }
}

#[test]
fn a_row_that_somebody_changes_while_the_question_stands_is_left_alone() {
    for store in Store::each() {
        store.place.write("rows.toml", ROWS);
        store.ok(&["apis", "import", "rows.toml", "--yes"]);
        store.ok(&["apis", "add", "--url", "http://old.test/", "--id", "old"]);
        store.place.write("rows.toml", &ROWS.replace("= 5", "= 7").replace("b.test", "c.test"));
        let theirs =
            "\"$api_health\" apis edit a --set timeout_seconds=9 && \"$api_health\" apis edit old --set name=Old";
        let ran = store.on_a_terminal(&["rows.toml", "--prune"], theirs, "y\n");
        assert_eq!(ran.code, 75, "{ran:?}");
        assert!(ran.out.contains("0 added, 1 changed, 0 removed"), "{ran:?}");
        assert!(ran.out.contains("a was changed by somebody else") && ran.out.contains("old was changed"), "{ran:?}");
        let rows = store.ok(&["apis", "export"]);
        for kept in ["timeout_seconds = 9", "http://c.test/", "name = \"Old\""] {
            assert!(rows.contains(kept), "{kept}: {rows}");
        }
        let again = store.ok(&["apis", "import", "rows.toml", "--prune", "--yes"]);
        assert!(
            again.contains("timeout_seconds: 9 -> 7") && again.contains("0 added, 1 changed, 1 removed"),
            "{again}"
        );
    }
}

#[test]
fn an_import_that_fails_midway_says_how_far_it_came_and_goes_on_from_there() {
    const COUNT: usize = 60;
    let place = Place::new();
    let rows: String =
        (0..COUNT).map(|n| format!("[[api]]\napi_id = \"a{n:02}\"\nurl = \"http://a.test/\"\n")).collect();
    place.write("rows.toml", &rows);
    place.ok(&["apis", "add", "--url", "http://old.test/", "--id", "old"]);
    let shell = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    shell
        .execute_batch(
            "CREATE TRIGGER t BEFORE INSERT ON api_health_configs WHEN NEW.api_id = 'a30' \
             BEGIN SELECT RAISE(ABORT, 'planted'); END",
        )
        .unwrap();
    let ran = place.run(&["apis", "import", "rows.toml", "--prune", "--yes"]);
    assert_eq!(ran.code, 64, "a person must mend it: {ran:?}");
    assert!(ran.err.contains("planted"), "{ran:?}");
    let (made, _) = ran.err.split_once(" of 61 changes were made, and the same import again goes on").unwrap();
    let made: usize = made.parse().unwrap();
    let there = || place.json(&["apis", "list"])["apis"].as_array().unwrap().len();
    assert_eq!(there(), made + 1, "what is said is so, and nothing is removed before all is there");
    assert!(made < COUNT && made >= 30, "{made}");
    shell.execute_batch("DROP TRIGGER t").unwrap();
    let again = place.ok(&["apis", "import", "rows.toml", "--prune", "--yes"]);
    assert!(again.contains(&format!("{} added, 0 changed, 1 removed", COUNT - made)), "{again}");
    assert!(again.contains("and 10 more (--dry-run names them all)") || COUNT - made <= 20 + 10, "{again}");
    assert_eq!(there(), COUNT);
}
