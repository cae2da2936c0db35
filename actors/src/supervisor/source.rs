//! One source of configs, and what it is taken to say: its good rows, the last good version of those that are refused,
//! and everything as it was when it cannot be read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::roster::{self, Loaded, Roster};
use api_health_core::{ApiId, ConfigIssue};
use futures_util::FutureExt;

use crate::child::panic_text;
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};

/// A source that takes longer than this is given up for this time.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Faults of one source that are said one by one at each change; the rest are counted. `apis validate` names them all.
pub(super) const SAID_MAX: usize = 100;

/// A source and what it said last.
pub(super) struct Source {
    pub(super) port: Arc<dyn ConfigSource>,
    pub(super) roster: Roster,
    pub(super) revision: Option<u64>,
    /// A number for what was said last of its faults, so that it is not said again at each reload.
    said: u64,
    pub(super) refused: usize,
    /// Rows that are there although they are not in the roster; `None` if not all of them can be named, or the source was not
    /// read, or is kept although it is empty.
    pub(super) refused_ids: Option<Vec<ApiId>>,
    pub(super) unreadable: Option<String>,
    pub(super) misconfigured: bool,
}

/// What came of reading a source once.
pub(super) struct Reading {
    loaded: Result<LoadedConfigs, SourceError>,
    revision: Option<u64>,
}

/// Reads one source. The revision is asked for first: a change in between is then seen at the next look. `again`: it is read
/// because it is time to, and nobody waits for what was written just now.
pub(super) async fn read(port: &Arc<dyn ConfigSource>, again: bool) -> Reading {
    let reading = AssertUnwindSafe(async {
        let revision = port.revision().await;
        Reading { loaded: if again { port.load_again().await } else { port.load().await }, revision }
    });
    let failed = |why| Reading { loaded: Err(SourceError::Unavailable(why)), revision: None };
    match tokio::time::timeout(LOAD_TIMEOUT, reading.catch_unwind()).await {
        Ok(Ok(reading)) => reading,
        // The supervisor must not die of it.
        Ok(Err(panic)) => failed(format!("reading it panicked: {}", panic_text(&*panic))),
        Err(_) => failed(format!("no answer within {} s", LOAD_TIMEOUT.as_secs())),
    }
}

/// Reads the rows of these APIs; `None`: it has to be read whole.
pub(super) async fn read_some(port: &Arc<dyn ConfigSource>, ids: &[ApiId]) -> Option<LoadedConfigs> {
    let reading = AssertUnwindSafe(async { port.load_some(ids.to_vec()).await }).catch_unwind();
    match tokio::time::timeout(LOAD_TIMEOUT, reading).await.ok()?.ok()?? {
        Ok(configs) => Some(configs),
        Err(error) => {
            let source = port.name();
            tracing::warn!(source, %error, "the rows that changed cannot be read by themselves; all are read instead");
            None
        }
    }
}

/// The revision of one source, if that is cheap to tell.
pub(super) async fn revision(port: &Arc<dyn ConfigSource>) -> Option<u64> {
    let asking = AssertUnwindSafe(async { port.revision().await }).catch_unwind();
    tokio::time::timeout(LOAD_TIMEOUT, asking).await.ok()?.ok()?
}

impl Source {
    /// A source that was not read yet.
    pub(super) fn new(port: Arc<dyn ConfigSource>) -> Self {
        Self {
            port,
            roster: Roster::new(),
            revision: None,
            said: 0,
            refused: 0,
            refused_ids: None,
            unreadable: None,
            misconfigured: false,
        }
    }

    /// Takes what a reading gave, says what is new about its faults, and keeps the last good of what is not there.
    pub(super) fn accept(&mut self, reading: Reading) {
        let name = self.port.name();
        self.revision = reading.revision;
        self.refused_ids = None;
        let configs = match reading.loaded {
            Ok(configs) => configs,
            Err(error) => {
                // A fault that a person must mend names its place itself.
                self.unreadable = Some(match &error {
                    SourceError::Unavailable(what) => format!("{name}: {what}"),
                    SourceError::Misconfigured(issue) => issue.to_string(),
                });
                self.misconfigured = matches!(error, SourceError::Misconfigured(_));
                let last_good = self.roster.len();
                self.say(&("unreadable", error.to_string()), || {
                    tracing::error!(source = name, %error, last_good, "the configs cannot be read; the last good ones run on");
                });
                return;
            }
        };
        self.unreadable = None;
        self.misconfigured = false;
        self.refused = configs.refused.len();
        let accepted = roster::accept(&self.roster, &loaded(&configs));
        let kept = accepted.kept_for_emptiness;
        self.refused_ids =
            configs.refused.iter().map(|row| row.api_id.clone()).collect::<Option<Vec<ApiId>>>().filter(|_| !kept);
        self.roster = accepted.roster;
        let issues = || configs.refused.iter().flat_map(|row| &row.issues);
        self.say(&(kept, issues().map(ToString::to_string).map(|text| number_of(&text)).collect::<Vec<u64>>()), || {
            if kept {
                tracing::error!(source = name, "the source is empty all at once; its last good configs run on");
            }
            for line in lines(issues()) {
                tracing::error!(source = name, "{line}");
            }
        });
    }

    /// Takes what a reading of these APIs alone gave.
    pub(super) fn accept_some(&mut self, ids: &[ApiId], configs: &LoadedConfigs) {
        let name = self.port.name();
        for api_id in ids {
            let good = configs.good.iter().find(|config| config.api_id == *api_id);
            let is_refused = configs.refused.iter().any(|row| row.api_id.as_ref() == Some(api_id));
            match good {
                Some(config) => drop(self.roster.insert(api_id.clone(), Arc::clone(config))),
                None if is_refused => {} // its last good version runs on
                None if self.roster.len() > 1 => drop(self.roster.remove(api_id)),
                None => {} // as where a whole reading finds nothing at all
            }
        }
        for line in lines(configs.refused.iter().flat_map(|row| &row.issues)) {
            tracing::error!(source = name, "{line}");
        }
    }

    /// The roster as it would be after this reading.
    pub(super) fn with(&self, reading: &Reading) -> Roster {
        match &reading.loaded {
            Ok(configs) => roster::accept(&self.roster, &loaded(configs)).roster,
            Err(_) => self.roster.clone(),
        }
    }

    fn say(&mut self, what: &impl Hash, say: impl FnOnce()) {
        let number = number_of(what);
        if self.said != number {
            self.said = number;
            say();
        }
    }
}

fn loaded(configs: &LoadedConfigs) -> Loaded {
    let refused = configs.refused.iter().filter_map(|row| row.api_id.clone()).collect();
    Loaded { good: configs.good.clone(), refused }
}

/// What the log says of the faults of a source.
fn lines<'a>(issues: impl Iterator<Item = &'a ConfigIssue> + Clone) -> Vec<String> {
    let mut lines: Vec<String> = issues.clone().take(SAID_MAX).map(|issue| format!("refused: {issue}")).collect();
    let more = issues.count().saturating_sub(SAID_MAX);
    if more > 0 {
        lines.push(format!("and {more} more faults; see: api-health apis validate"));
    }
    lines
}

/// The same for the same text, in this process.
fn number_of(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_faults_are_a_hundred_lines() {
        let [location, what, why, instead] = ["here", "this", "is odd", "that"].map(str::to_owned);
        let issues = vec![ConfigIssue { location, what, why, instead }; 1_000_000];
        let said = lines(issues.iter());
        assert_eq!(said.len(), SAID_MAX + 1);
        assert_eq!(said[SAID_MAX], "and 999900 more faults; see: api-health apis validate");
        assert_eq!(lines(issues[..2].iter()).len(), 2);
    }
}
