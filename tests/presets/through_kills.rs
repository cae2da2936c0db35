//! The built binary over all presets at once, with SQLite: their services are busy, refuse, fail and hang, and it is killed meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::apis::row;
use crate::daemon::{Daemon, Home, SOON, wait_for};
use crate::sink::{Mood, Sink};
use crate::support::http::{Answer, Server};
use crate::vendors::{VENDORS, Vendor};

/// A settings file holds no more channels than this.
const AT_ONCE: usize = 9;

/// `[[notify.channel]]` of one preset.
fn channel(vendor: &Vendor, sink: &Sink) -> String {
    let settings = vendor.settings(sink.port, Duration::from_secs(1));
    let keys = settings.keys.iter().map(|(name, value)| format!("{name} = \"{}\"\n", value.reveal()));
    let keys: String = keys.collect();
    format!(
        "[[notify.channel]]\nname = \"to-{}\"\nkind = \"{}\"\ntimeout_seconds = 1\n{keys}",
        vendor.kind, vendor.kind
    )
}

/// The id of the alert that these words tell; that of its incident is a part of it.
fn alert_id(words: &str) -> String {
    let id = |at| words[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect::<String>();
    let mut ids = words.match_indices("shop.1").map(|(at, _)| id(at));
    ids.find(|id| id.ends_with(".down") || id.ends_with(".up")).unwrap_or_else(|| panic!("no alert id in {words}"))
}

struct World {
    home: Home,
    target: Server,
    sinks: Vec<(&'static Vendor, Sink)>,
}

impl World {
    fn new(vendors: &'static [Vendor]) -> Self {
        let target = Server::start();
        let sinks: Vec<_> = vendors.iter().map(|vendor| (vendor, Sink::start(vendor))).collect();
        let settings: String = sinks.iter().map(|(vendor, sink)| channel(vendor, sink)).collect();
        let home = Home::new(&settings, &row("shop", &target.url("/shop")));
        Self { home, target, sinks }
    }

    /// Runs the daemon while all services are in this mood, until each was asked. Those that wait for a person, or for as long as they
    /// asked for, are asked at once.
    fn run_until_each_was_asked(&self, mood: Option<Mood>) -> Daemon {
        let before: Vec<usize> = self.sinks.iter().map(|(_, sink)| sink.state().asked).collect();
        for (_, sink) in &self.sinks {
            sink.state().always = mood;
        }
        let daemon = self.home.run();
        daemon.wait_for_log("watching");
        wait_for("each service is asked", SOON, || {
            self.home.start(&["alerts", "retry"]).wait(SOON);
            let all = self.sinks.iter().zip(&before).all(|((_, sink), before)| sink.state().asked > *before);
            all.then_some(())
        });
        daemon
    }

    fn until_nothing_is_owed(&self) {
        self.home.wait_for_state("shop", "nothing owed", |state| state["owed"] == json!([]));
    }

    /// The alerts that each service took, repeats included.
    fn told(&self) -> Vec<(&'static Vendor, Vec<String>)> {
        let told = |sink: &Sink| sink.state().taken.iter().map(|taken| alert_id(&taken.words)).collect();
        self.sinks.iter().map(|(vendor, sink)| (*vendor, told(sink))).collect()
    }
}

fn told_once_and_in_order_through_kills(vendors: &'static [Vendor]) {
    let world = World::new(vendors);
    world.target.set("/shop", Answer::Status(503));
    for mood in [Mood::Refuses, Mood::Limits, Mood::Fails, Mood::Hangs] {
        world.run_until_each_was_asked(Some(mood)).kill();
        let owed = &world.home.states()["shop"]["owed"];
        let taken = owed[0]["deliveries"].as_array().unwrap().iter().any(|delivery| delivery["delivered"] == true);
        assert!(owed.as_array().unwrap().len() == 1 && !taken, "{mood:?}: {owed}");
    }
    let daemon = world.run_until_each_was_asked(None);
    world.until_nothing_is_owed();
    world.target.set("/shop", Answer::Status(200));
    wait_for("the end is told", SOON, || world.told().iter().all(|(_, told)| told.len() > 1).then_some(()));
    world.until_nothing_is_owed();
    for (vendor, told) in world.told() {
        let [down, up] = &told[..] else { panic!("{}: {told:?}", vendor.kind) };
        assert!(down.ends_with(".down") && up.ends_with(".up"), "{}: {told:?}", vendor.kind);
        assert_eq!(down.trim_end_matches(".down"), up.trim_end_matches(".up"));
    }
    // Killed while it tells: who has it may get it again, under the same id, and nobody is left out.
    world.target.set("/shop", Answer::Status(503));
    wait_for("somebody is told", SOON, || world.told().iter().any(|(_, told)| told.len() > 2).then_some(()));
    daemon.kill();
    let daemon = world.home.run();
    // Where nobody was left out, the rest takes no time, and a signal must not come before it is waited for.
    daemon.wait_for_log("watching");
    wait_for("each is told", SOON, || world.told().iter().all(|(_, told)| told.len() > 2).then_some(()));
    world.until_nothing_is_owed();
    for ((vendor, told), (_, sink)) in world.told().iter().zip(&world.sinks) {
        let repeats = &told[2..];
        assert!(repeats[0].ends_with(".down") && repeats[0] != told[0], "{}: {told:?}", vendor.kind);
        assert!(repeats.len() <= 2 && repeats.iter().all(|id| *id == repeats[0]), "{}: {told:?}", vendor.kind);
        let state = sink.state();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
        let drops = vendor.kind().posting.as_ref().unwrap().repeats != "nobody";
        assert_eq!(state.shown().len(), if drops { 3 } else { told.len() }, "{}: {told:?}", vendor.kind);
    }
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn the_first_presets_are_told_once_and_in_order_through_kills() {
    told_once_and_in_order_through_kills(&VENDORS[..AT_ONCE]);
}

#[test]
fn the_other_presets_are_told_once_and_in_order_through_kills() {
    told_once_and_in_order_through_kills(&VENDORS[AT_ONCE..]);
}
