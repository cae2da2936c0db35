//! A scenario: the APIs that it is about, how its fault comes and goes, and what has to be told of it.

use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::far::Switch;
use crate::scorer::Due;
use crate::sink::now;
use crate::world::World;

/// How long a fault lasts of which nothing is to be told: longer than any bound here.
const UNTOLD: Duration = Duration::from_secs(12);

/// How long is waited for an alert before it counts as missed: the machine may be busy. In seconds; whoever looks for what is
/// missed has less of it.
const PATIENCE: &str = "API_HEALTH_DETECTION_PATIENCE";
const PATIENCE_SECONDS: u64 = 60;

/// What a scenario can do and wait for.
pub struct Stage<'a> {
    pub world: &'a World,
    pub daemon: &'a Mutex<Option<Daemon>>,
    /// When the daemon was started first.
    pub started_at: i64,
}

impl Stage<'_> {
    pub fn signal(&self, signal: Signal) {
        self.daemon.lock().unwrap().as_ref().unwrap().signal(signal);
    }

    /// Kills the daemon, and starts it again.
    pub fn kill_and_start(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        daemon.take().unwrap().kill();
        *daemon = Some(self.world.start());
    }

    /// Waits until that was told of what happened at `since` or later.
    pub fn until_told(&self, about: &str, kind: &str, since: i64) {
        let patience = std::env::var(PATIENCE).map_or(PATIENCE_SECONDS, |seconds| seconds.parse().unwrap());
        self.world.sink.wait_for(Duration::from_secs(patience), |seen| {
            seen.about == about && seen.kind == kind && seen.at >= since
        });
    }

    pub fn pass(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// What happens, and what has to be told of it.
pub type Story = Box<dyn FnOnce(&Stage<'_>) -> Vec<Due> + Send + Sync>;

pub struct Scenario {
    pub name: String,
    /// The APIs that nobody else is about.
    pub apis: Vec<String>,
    /// Their rows, in TOML.
    pub rows: String,
    /// Its APIs are well at first, and it begins when that is known.
    pub starts_up: bool,
    /// The printed bound holds for it: the channel and the monitor itself are well.
    pub is_bound: bool,
    pub story: Story,
}

impl Scenario {
    pub fn empty() -> Self {
        let story: Story = Box::new(|_| Vec::new());
        Self { name: String::new(), apis: Vec::new(), rows: String::new(), starts_up: true, is_bound: true, story }
    }

    /// A scenario about one API; `fields` are more lines of its row.
    pub fn of_one(name: &str, url: &str, fields: &str, story: impl FnOnce(String) -> Story) -> Self {
        let api_id = id(name);
        let (rows, story) = (row(&api_id, url, fields), story(api_id.clone()));
        Self { name: name.to_owned(), apis: vec![api_id], rows, story, ..Self::empty() }
    }
}

/// The key of the API of a scenario.
pub fn id(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(word).collect::<String>().split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

pub fn row(api_id: &str, url: &str, fields: &str) -> String {
    format!("[[api]]\napi_id = \"{api_id}\"\nurl = \"{url}\"\n{fields}\n")
}

/// The fault is turned on until it is told, and then off until that is told.
pub fn outage(switch: Switch, words: &'static [&'static str]) -> impl FnOnce(String) -> Story {
    outages(1, switch, words)
}

/// So many of them, one after the other.
pub fn outages(times: usize, switch: Switch, words: &'static [&'static str]) -> impl FnOnce(String) -> Story {
    move |api_id| {
        Box::new(move |stage| {
            let mut dues = Vec::new();
            for _ in 0..times {
                let began = now();
                switch(true);
                stage.until_told(&api_id, "down", began);
                let ended = now();
                switch(false);
                stage.until_told(&api_id, "up", ended);
                dues.extend([down(&api_id, words, began, ended), up(&api_id, words, ended)]);
            }
            dues
        })
    }
}

/// Nothing can be told of the API while the fault is on, and that is told.
pub fn unclear(switch: Switch, words: &'static [&'static str]) -> impl FnOnce(String) -> Story {
    move |api_id| {
        Box::new(move |stage| {
            let began = now();
            switch(true);
            stage.until_told(&api_id, "unclear", began);
            let ended = now();
            switch(false);
            stage.until_told(&api_id, "clear", ended);
            let due = |kind, since, until| Due { about: api_id.clone(), kind, words, since, until };
            vec![due("unclear", began, Some(ended)), due("clear", ended, None)]
        })
    }
}

/// The fault is turned on for long, and nothing has to be told.
pub fn untold(switch: Switch) -> impl FnOnce(String) -> Story {
    |_| {
        Box::new(move |stage| {
            switch(true);
            stage.pass(UNTOLD);
            switch(false);
            Vec::new()
        })
    }
}

pub fn down(about: &str, words: &'static [&'static str], since: i64, until: i64) -> Due {
    Due { about: about.to_owned(), kind: "down", words, since, until: Some(until) }
}

/// The reason of a recovery is what had failed.
pub fn up(about: &str, words: &'static [&'static str], since: i64) -> Due {
    Due { about: about.to_owned(), kind: "up", words, since, until: None }
}
