//! The daemons of a fleet: each with folders of its own and a line of its own to the tables, started again and again.

use std::time::SystemTime;

use rustix::process::Signal;
use serde_json::Value;

use super::line::Line;
use super::oracle::{Trouble, What};
use super::tables::Tables;
use crate::daemon::{Daemon, Ended, Home};

/// How many.
pub(crate) const WORKERS: usize = 3;

/// The lease, which is the shortest that the settings take: what is done to a daemon lasts longer than that.
pub(crate) const LEASE_SECONDS: u64 = 5;

/// Words of the log that mean that a record was damaged, or lost, or overwritten by an old one.
const DAMAGE: [&str; 4] = ["a stored state", "set aside", "is an older copy", "the stored record of this API"];

/// The place of one daemon.
pub(crate) struct Worker {
    home: Home,
    pub(crate) line: Line,
    daemon: Option<Daemon>,
    /// The number of its present or last life.
    pub(crate) life: usize,
}

/// All of them, and what was done to them.
pub(crate) struct Workers {
    pub(crate) workers: Vec<Worker>,
    pub(crate) troubles: Vec<Trouble>,
    /// The log of every life that is over.
    logs: Vec<(usize, String)>,
    lives: usize,
}

/// The test's own clock.
#[allow(clippy::disallowed_methods, reason = "a test dates what it does")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

impl Workers {
    /// Places for daemons with these settings; none runs yet.
    pub(crate) fn new(tables: &Tables, settings: &str) -> Self {
        let worker = |_| {
            let (mut home, line) = (Home::empty(), Line::to(tables.port()));
            tables.be_known_to(&mut home, line.url());
            for (variable, folder) in [("STATE_DIRECTORY", "state"), ("RUNTIME_DIRECTORY", "runtime")] {
                let folder = home.path().join(folder);
                std::fs::create_dir(&folder).unwrap();
                home.env(variable, folder.display().to_string());
            }
            let fleet = format!("[fleet]\nlease_seconds = {LEASE_SECONDS}\nrenew_seconds = 1\n");
            home.write("api-health.toml", &format!("{settings}{fleet}[log]\nformat = \"json\"\n"));
            Worker { home, line, daemon: None, life: 0 }
        };
        Self { workers: (0..WORKERS).map(worker).collect(), troubles: Vec::new(), logs: Vec::new(), lives: 0 }
    }

    /// Starts the daemon of that place. Its environment names its life.
    pub(crate) fn start(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        worker.life = self.lives;
        self.lives += 1;
        let life = format!("life-{}", worker.life);
        worker.daemon = Some(worker.home.start_with(&["run"], &[("APP_ENVIRONMENT", &life)]));
    }

    pub(crate) fn signal(&self, at: usize, signal: Signal) {
        self.workers[at].daemon.as_ref().expect("it runs").signal(signal);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, at: usize) {
        let from = now();
        let ended = self.workers[at].daemon.take().expect("it runs").kill();
        assert_eq!(ended.code, None, "it ended before it was killed: {}", ended.log);
        self.note(at, What::Killed, from);
        self.bury(at, &ended);
    }

    /// SIGTERM, to the end.
    pub(crate) fn stop(&mut self, at: usize) {
        let ended = self.workers[at].daemon.take().expect("it runs").stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(ended.log.contains("everything is stored"), "{}", ended.log);
        self.bury(at, &ended);
    }

    /// That was done to the present life of that place from then until now.
    pub(crate) fn note(&mut self, at: usize, what: What, from: SystemTime) {
        self.troubles.push(Trouble { life: self.workers[at].life, what, from, until: now() });
    }

    fn bury(&mut self, at: usize, ended: &Ended) {
        for word in DAMAGE {
            assert!(!ended.log.contains(word), "{word:?} in the log of {at}: {}", ended.log);
        }
        self.logs.push((self.workers[at].life, ended.log.clone()));
    }

    /// What was done, and the lines of all logs that speak of an API, or of the leases.
    pub(crate) fn story(&self, api_id: &str) -> String {
        let mut lines: Vec<String> = self
            .troubles
            .iter()
            .map(|t| format!("life {} was {:?} from {} to {}", t.life, t.what, time(t.from), time(t.until)))
            .collect();
        let running = self.workers.iter().filter_map(|w| Some((w.life, w.daemon.as_ref()?.log())));
        for (life, log) in self.logs.iter().cloned().chain(running) {
            let speaks = |line: &Value| {
                let message = line["message"].as_str().unwrap_or_default();
                line["api_id"] == api_id || ["lease", "shards", "ready"].iter().any(|word| message.contains(word))
            };
            let json = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.extend(json.filter(speaks).map(|line| format!("life {life}: {line}")));
        }
        lines.join("\n")
    }
}

fn time(at: SystemTime) -> String {
    let millis = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    api_health_core::Timestamp::from_millis(i64::try_from(millis).unwrap()).to_string()
}
