//! kill -9 in the middle of a storm: many alerts go out in one message, and each of them is owed, told and settled by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::alerts::{Received, Receiver, checked};
use crate::apis::rows;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::oracle::{self, Change, Heard};
use crate::seed;
use crate::support::chance::Chance;
use crate::support::http::{Answer, Request, Server};

/// So many APIs that go down, and come back, at once.
const APIS: usize = 30;

struct Storm {
    target: Server,
    webhook: Receiver,
    home: Home,
    ids: Vec<String>,
    /// What the store owed when each life had ended.
    owed_at_death: Vec<BTreeSet<String>>,
    requests: Vec<Request>,
}

#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Storm {
    fn new() -> Self {
        let (target, webhook) = (Server::start(), Receiver::start());
        let ids: Vec<String> = (0..APIS).map(|n| format!("a{n:02}")).collect();
        let ids_of: Vec<&str> = ids.iter().map(String::as_str).collect();
        // No attempt is over before its life is: a failure would be noted, and the next life would wait.
        let settings = webhook.settings_within(15).replace("digest_above = 0", "digest_above = 3");
        let home = Home::new(&settings, &rows(&target, &ids_of));
        Self { target, webhook, home, ids, owed_at_death: Vec::new(), requests: Vec::new() }
    }

    /// The environment names the life.
    fn start(&self) -> Daemon {
        let life = format!("life-{}", self.owed_at_death.len());
        self.home.start_with(&["run"], &[("APP_ENVIRONMENT", &life)])
    }

    fn answer_all(&self, status: u16) {
        for id in &self.ids {
            self.target.set(&format!("/{id}"), Answer::Status(status));
        }
    }

    fn wait_until_all_are(&self, status: &str) {
        wait_for(&format!("all are stored as {status}"), SOON, || {
            let states = self.home.states();
            self.ids.iter().all(|id| states.get(id).is_some_and(|state| state["status"] == status)).then_some(())
        });
    }

    fn owed(&self) -> BTreeSet<String> {
        let states = self.home.states();
        assert!(states.len() >= APIS, "the store can be read");
        let owed = states.values().filter_map(|state| state["owed"].as_array()).flatten();
        owed.map(|owed| owed["alert_id"].as_str().expect("an alert id").to_owned()).collect()
    }

    fn bury(&mut self) {
        self.requests.extend(self.webhook.server.take_requests("/hook"));
        self.owed_at_death.push(self.owed());
    }

    fn kill(&mut self, daemon: Daemon) {
        assert_eq!(daemon.kill().code, None);
        self.bury();
    }

    /// A life that ends so long after the webhook got something, which it answers so.
    fn live_until_a_message(&mut self, answer: Answer, and_then: Duration) {
        self.webhook.answer(answer);
        let before = self.webhook.server.hits("/hook");
        let daemon = self.start();
        wait_for("a message", SOON, || (self.webhook.server.hits("/hook") > before).then_some(()));
        let_pass(and_then);
        self.kill(daemon);
    }

    fn heard(&self) -> Vec<Heard> {
        self.requests
            .iter()
            .flat_map(|request| alerts_in(request).into_iter().map(|one| Heard::of(&one, request.answered)))
            .collect()
    }
}

/// The alerts of a message, each as if it had come alone.
fn alerts_in(request: &Request) -> Vec<Received> {
    let message = checked(request);
    let Some(alerts) = message.alert["alerts"].as_array() else { return vec![message] };
    let alone = |alert: &Value| {
        let mut alert = alert.clone();
        alert["environment"] = message.alert["environment"].clone();
        Received { at: message.at, alert }
    };
    alerts.iter().map(alone).collect()
}

#[test]
fn through_kills_in_the_middle_of_a_storm_each_alert_of_a_digest_is_told_and_settled() {
    let seed = seed();
    eprintln!("API_HEALTH_KILL_SEED={seed}");
    let chance = &mut Chance::new(seed);
    let mut storm = Storm::new();
    storm.answer_all(200);
    let mut daemon = storm.start();
    storm.wait_until_all_are("up");
    let mut changes = Vec::new();
    for (kind, status) in [("down", 503), ("up", 200)] {
        storm.webhook.answer(Answer::Hang);
        let not_before = now();
        storm.answer_all(status);
        storm.wait_until_all_are(kind);
        changes.push(Change { kind, not_before, not_after: now() });
        storm.kill(daemon);
        assert!(storm.owed_at_death[storm.owed_at_death.len() - 1].len() >= APIS, "each is owed, and none was taken");
        storm.live_until_a_message(Answer::Hang, chance.millis(20));
        storm.live_until_a_message(Answer::Status(200), chance.millis(20));
        daemon = storm.start();
    }
    wait_for("everything is told", SOON, || storm.owed().is_empty().then_some(()));
    daemon.wait_for_log("watching"); // before that it takes no signal
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    storm.bury();

    let truth: BTreeMap<_, _> = storm.ids.iter().map(|id| (id.clone(), changes.clone())).collect();
    let figures = oracle::check(&truth, &storm.heard(), &storm.owed_at_death)
        .unwrap_or_else(|why| panic!("API_HEALTH_KILL_SEED={seed}: {why}"));
    assert_eq!(figures.alerts, 2 * APIS, "{figures:?}");
    let sizes: Vec<_> = storm.requests.iter().map(|request| (alerts_in(request).len(), request.answered)).collect();
    let is_large = |answered: fn(u16) -> bool| sizes.iter().any(|(alerts, code)| *alerts > 10 && answered(*code));
    assert!(
        is_large(|code| code == 200) && is_large(|code| code != 200),
        "digests that were taken, and cut: {sizes:?}"
    );
    eprintln!("{figures:?}, messages: {sizes:?}");
}
