//! An API's row changes while it is down and its alert is owed: what becomes of the incident, and of what is owed.
//!
//! In each test the channel is dead from before the outage until after the change, so that what was owed before the
//! change has to survive it. A second API is there throughout: a source that loses its last row changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alerts::{Received, Receiver};
use crate::apis::{row, row_with};
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// The next try comes within a minute, however long the channel was dead.
const BACK: Duration = Duration::from_secs(90);

struct Scene {
    target: Server,
    receiver: Receiver,
    home: Home,
    daemon: Option<Daemon>,
}

impl Scene {
    /// `shop` is down, which is owed through a dead channel; `other` is well.
    fn down() -> Self {
        let scene = Self::start("[apis]\nfile = \"apis.toml\"\n");
        scene.write(&row("shop", &scene.target.url("/shop")));
        scene.goes_down()
    }

    /// The same, with the rows in the table of the SQLite file.
    fn down_in_table() -> Self {
        let mut scene = Self::start("");
        scene.daemon = None; // the rows come first
        for id in ["shop", "other"] {
            let url = scene.target.url(&format!("/{id}"));
            let fields = ["--set", "interval_seconds=1", "--set", "recheck_seconds=1"];
            scene.apis(&[&["add", "--id", id, "--url", url.as_str()][..], &fields].concat());
        }
        scene.goes_down()
    }

    fn start(settings: &str) -> Self {
        let (target, receiver) = (Server::start(), Receiver::start());
        receiver.answer(Answer::Status(500));
        target.set("/shop", Answer::Status(503));
        let home = Home::empty();
        home.write("api-health.toml", &format!("{settings}{}", receiver.settings()));
        Self { target, receiver, home, daemon: None }
    }

    fn goes_down(mut self) -> Self {
        self.daemon = Some(self.home.run());
        self.wait_for("down", 1);
        self.home.wait_for_state("other", "up", |state| state["status"] == "up");
        self
    }

    /// The rows of the file: these, and that of the other API.
    fn write(&self, rows: &str) {
        self.home.write("apis.toml", &(rows.to_owned() + &row("other", &self.target.url("/other"))));
    }

    fn apis(&self, arguments: &[&str]) {
        let ended = self.home.start(&[&["apis"], arguments].concat()).wait(SOON);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    fn wait_for(&self, status: &str, owed: usize) -> Value {
        self.home.wait_for_state("shop", &format!("{status}, {owed} owed"), |state| {
            state["status"] == status && state["owed"].as_array().is_some_and(|all| all.len() == owed)
        })
    }

    fn wait_for_probes(&self, path: &str, count: usize) {
        let before = self.target.hits(path);
        wait_for(&format!("{count} probes of {path}"), SOON, || {
            (self.target.hits(path) >= before + count).then_some(())
        });
    }

    /// The channel works again: what was told of `api_id` when nothing is owed any more.
    fn told_of(&self, api_id: &str, kinds: &[&str]) -> Vec<Received> {
        self.receiver.answer(Answer::Status(200));
        wait_for(&format!("{kinds:?} of {api_id}"), BACK, || {
            (self.receiver.told_of(api_id).len() >= kinds.len()).then_some(())
        });
        self.home.wait_for_state(api_id, "nothing owed", |state| state["owed"] == json!([]));
        let_pass(Duration::from_secs(2)); // nothing more comes
        assert_eq!(self.receiver.told_of(api_id), kinds);
        assert_eq!(self.receiver.told_of("other"), [""; 0], "nobody else feels it");
        self.receiver.received().into_iter().filter(|received| received.text("api_id") == api_id).collect()
    }

    /// SIGTERM, and what happens while it is off comes before the next start.
    fn stop(&mut self) {
        assert_eq!(self.daemon.take().unwrap().stop().code, Some(0));
    }

    fn log(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }
}

fn is_one_incident(told: &[Received]) {
    assert!(told.iter().all(|r| r.text("incident_id") == told[0].text("incident_id")), "{told:?}");
}

#[test]
fn an_edited_name_or_threshold_leaves_the_incident_as_it_is_and_the_recovery_has_the_new_name() {
    let scene = Scene::down();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "name = \"New name\"\nfailure_threshold = 5"));
    scene.wait_for_probes("/shop", 4);
    scene.wait_for("down", 1);
    scene.target.set("/shop", Answer::Status(200));
    scene.wait_for("up", 2);
    let told = scene.told_of("shop", &["down", "up"]);
    is_one_incident(&told);
    assert_eq!((told[0].text("name"), told[1].text("name")), ("shop", "New name"));
}

#[test]
fn a_changed_url_leaves_the_incident_open_and_the_one_recovery_names_the_new_url() {
    let scene = Scene::down();
    let moved = scene.target.url("/moved");
    scene.write(&row("shop", &moved));
    scene.wait_for("up", 2);
    let told = scene.told_of("shop", &["down", "up"]);
    is_one_incident(&told);
    assert_eq!((told[0].text("url"), told[1].text("url")), (scene.target.url("/shop").as_str(), moved.as_str()));
}

#[test]
fn a_disabled_row_closes_the_incident_and_says_so_after_what_was_owed() {
    let scene = Scene::down();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "enabled = false"));
    let state = scene.wait_for("unknown", 2);
    assert_eq!((&state["incident"], &state["last_told_status"]), (&Value::Null, &json!("unknown")));
    let told = scene.told_of("shop", &["down", "closed"]);
    is_one_incident(&told);
    assert_eq!(told[1].text("status"), "unknown");
    assert!(told[1].text("reason").contains("it was disabled") && told[1].text("reason").contains("503"), "{told:?}");
}

#[test]
fn a_disabled_row_that_is_enabled_again_begins_as_unknown_and_a_lasting_outage_is_a_new_incident() {
    let scene = Scene::down();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "enabled = false"));
    scene.wait_for("unknown", 2);
    scene.write(&row("shop", &scene.target.url("/shop")));
    scene.wait_for("down", 3);
    scene.target.set("/shop", Answer::Status(200));
    scene.wait_for("up", 4);
    let told = scene.told_of("shop", &["down", "closed", "down", "up"]);
    is_one_incident(&told[..2]);
    is_one_incident(&told[2..]);
    assert_ne!(told[0].text("incident_id"), told[2].text("incident_id"));
}

#[test]
fn a_disabled_row_that_is_enabled_again_when_all_is_well_tells_no_recovery() {
    let scene = Scene::down();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "enabled = false"));
    scene.wait_for("unknown", 2);
    scene.target.set("/shop", Answer::Status(200));
    scene.write(&row("shop", &scene.target.url("/shop")));
    scene.wait_for("up", 2);
    scene.told_of("shop", &["down", "closed"]);
}

#[test]
fn a_deleted_row_closes_the_incident_and_says_so_after_what_was_owed() {
    let scene = Scene::down();
    scene.write("");
    scene.wait_for("unknown", 2);
    let told = scene.told_of("shop", &["down", "closed"]);
    is_one_incident(&told);
    assert!(told[1].text("reason").contains("its row was removed"), "{told:?}");
    assert_eq!(told[1].text("url"), scene.target.url("/shop"));
}

#[test]
fn a_renamed_id_closes_the_old_incident_and_opens_one_of_its_own() {
    let scene = Scene::down();
    scene.write(&row("renamed", &scene.target.url("/shop")));
    scene.wait_for("unknown", 2);
    scene.home.wait_for_state("renamed", "down", |state| state["status"] == "down");
    scene.target.set("/shop", Answer::Status(200));
    scene.home.wait_for_state("renamed", "up", |state| state["status"] == "up");
    let old = scene.told_of("shop", &["down", "closed"]);
    let new = scene.told_of("renamed", &["down", "up"]);
    is_one_incident(&new);
    assert_ne!(old[0].text("incident_id"), new[0].text("incident_id"));
}

#[test]
fn a_row_that_breaks_runs_on_as_it_was_and_its_incident_goes_on() {
    let scene = Scene::down();
    scene.write(&row_with("shop", &scene.target.url("/never"), "timout_seconds = 3"));
    scene.log().wait_for_log("timout_seconds");
    scene.wait_for_probes("/shop", 3);
    scene.wait_for("down", 1);
    scene.target.set("/shop", Answer::Status(200));
    scene.wait_for("up", 2);
    is_one_incident(&scene.told_of("shop", &["down", "up"]));
}

#[test]
fn a_file_that_is_empty_unreadable_or_gone_closes_nothing() {
    let scene = Scene::down();
    for (said, text) in [
        ("the source is empty all at once", Some("")),
        ("is not TOML", Some("[[api]]\napi_id = ")),
        ("the file is not there", None),
    ] {
        match text {
            Some(text) => scene.home.write("apis.toml", text),
            None => std::fs::remove_file(scene.home.path().join("apis.toml")).unwrap(),
        }
        scene.log().wait_for_log(said);
        scene.wait_for_probes("/shop", 3);
        scene.wait_for("down", 1);
    }
    scene.target.set("/shop", Answer::Status(200));
    scene.wait_for("up", 2);
    is_one_incident(&scene.told_of("shop", &["down", "up"]));
}

#[test]
fn a_file_that_is_gone_at_the_start_closes_nothing_and_what_is_owed_goes_out() {
    let mut scene = Scene::down();
    scene.stop();
    // The table of the SQLite file is a source as well, and can be read: the file alone cannot.
    std::fs::rename(scene.home.path().join("apis.toml"), scene.home.path().join("elsewhere.toml")).unwrap();
    let url = scene.target.url("/other");
    scene.apis(&["add", "--id", "other", "--url", &url, "--set", "interval_seconds=1"]);
    scene.daemon = Some(scene.home.run());
    scene.log().wait_for_log("the file is not there");
    scene.wait_for_probes("/other", 3);
    scene.wait_for("down", 1);
    scene.told_of("shop", &["down"]);
    std::fs::rename(scene.home.path().join("elsewhere.toml"), scene.home.path().join("apis.toml")).unwrap();
    scene.target.set("/shop", Answer::Status(200));
    scene.receiver.wait_for("shop", "up", SOON);
    is_one_incident(&scene.told_of("shop", &["down", "up"]));
}

#[test]
fn a_row_deleted_while_the_daemon_was_off_closes_the_incident_at_the_start() {
    let mut scene = Scene::down();
    scene.stop();
    scene.write("");
    scene.daemon = Some(scene.home.run());
    scene.wait_for("unknown", 2);
    let told = scene.told_of("shop", &["down", "closed"]);
    is_one_incident(&told);
    assert!(told[1].text("reason").contains("it is no longer configured"), "{told:?}");
}

#[test]
fn a_row_disabled_while_the_daemon_was_off_closes_the_incident_at_the_start() {
    let mut scene = Scene::down();
    scene.stop();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "enabled = false"));
    scene.daemon = Some(scene.home.run());
    scene.wait_for("unknown", 2);
    is_one_incident(&scene.told_of("shop", &["down", "closed"]));
}

#[test]
fn a_row_that_broke_while_the_daemon_was_off_closes_nothing() {
    let mut scene = Scene::down();
    scene.stop();
    scene.write(&row_with("shop", &scene.target.url("/shop"), "timout_seconds = 3"));
    scene.daemon = Some(scene.home.run());
    scene.log().wait_for_log("timout_seconds");
    scene.wait_for_probes("/other", 3);
    scene.wait_for("down", 1);
    scene.told_of("shop", &["down"]);
}

#[test]
fn a_row_removed_from_the_table_closes_the_incident() {
    let scene = Scene::down_in_table();
    scene.apis(&["rm", "shop"]);
    scene.wait_for("unknown", 2);
    is_one_incident(&scene.told_of("shop", &["down", "closed"]));
}

#[test]
fn a_row_disabled_and_enabled_again_in_the_table_closes_one_incident_and_opens_another() {
    let scene = Scene::down_in_table();
    scene.apis(&["edit", "shop", "--set", "enabled=false"]);
    scene.wait_for("unknown", 2);
    scene.apis(&["edit", "shop", "--set", "enabled=true"]);
    scene.wait_for("down", 3);
    let told = scene.told_of("shop", &["down", "closed", "down"]);
    assert_ne!(told[0].text("incident_id"), told[2].text("incident_id"));
}

#[test]
fn the_last_rows_of_the_table_removed_all_at_once_close_nothing() {
    let scene = Scene::down_in_table();
    let database = scene.home.open_database().unwrap();
    database.execute("DELETE FROM api_health_configs", []).unwrap();
    scene.log().wait_for_log("the source is empty all at once");
    scene.wait_for_probes("/shop", 3);
    scene.wait_for("down", 1);
    scene.target.set("/shop", Answer::Status(200));
    scene.wait_for("up", 2);
    is_one_incident(&scene.told_of("shop", &["down", "up"]));
}

#[test]
fn a_url_on_the_command_line_closes_nothing_of_what_is_not_there() {
    let mut scene = Scene::down();
    scene.stop();
    scene.home.write("api-health.toml", &scene.receiver.settings());
    scene.daemon = Some(scene.home.start(&["run", &scene.target.url("/only-this")]));
    wait_for("a probe", SOON, || (scene.target.hits("/only-this") > 0).then_some(()));
    scene.told_of("shop", &["down"]);
    scene.wait_for("down", 0);
}
