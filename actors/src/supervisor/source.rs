//! One source of configs, and what it is taken to say: its good rows, the last good version of those that are refused,
//! and everything as it was when it cannot be read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::roster::{Accepted, BELIEVED_AFTER, Loaded, Roster};
use api_health_core::{ApiId, ConfigIssue};
use futures_util::FutureExt;

use crate::child::panic_text;
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};

/// A source that takes longer than this is given up for this time.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a source changed is known at once, or it hangs: the others are not held up by it.
pub(super) const REVISION_MAX: Duration = Duration::from_secs(5);

/// Faults of one source that are said one by one at each change; the rest are counted. `apis validate` names them all.
pub(super) const SAID_MAX: usize = 100;

/// A source and what it said last.
pub(super) struct Source {
    pub(super) port: Arc<dyn ConfigSource>,
    accepted: Accepted,
    pub(super) revision: Option<u64>,
    /// A number for what was said last of its faults, so that it is not said again at each reload.
    said: u64,
    pub(super) refused: usize,
    /// Rows that are there although they are not in the roster; `None` if not all of them can be named, or the source was not
    /// read, or is kept although it is empty.
    pub(super) refused_ids: Option<Vec<ApiId>>,
    is_fresh: bool,
    pub(super) unreadable: Option<String>,
    pub(super) misconfigured: bool,
}

/// What came of looking at a source once.
pub(super) enum ReadResult {
    /// It is as it was.
    Unchanged,
    Read {
        loaded: Result<LoadedConfigs, SourceError>,
        revision: Option<u64>,
    },
}

impl ReadResult {
    pub(super) fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}

/// How a source is read.
#[derive(Clone, Copy)]
pub(super) enum ReadMode {
    /// Nobody asked for it.
    Skip,
    /// It may have changed, unless its revision is this one.
    IfChanged(Option<u64>),
    /// The same because it is time to, and nobody waits for what was written just now.
    AgainIfChanged(Option<u64>),
}

/// Reads one source. The revision is asked for first: a change in between is then seen at the next look.
pub(super) async fn read(port: &Arc<dyn ConfigSource>, how: ReadMode) -> ReadResult {
    let (known, again) = match how {
        ReadMode::Skip => return ReadResult::Unchanged,
        ReadMode::IfChanged(known) => (known, false),
        ReadMode::AgainIfChanged(known) => (known, true),
    };
    let failed = |why| ReadResult::Read { loaded: Err(SourceError::Unavailable(why)), revision: None };
    let no_answer = |within: Duration| failed(format!("no answer within {} s", within.as_secs()));
    let reading = AssertUnwindSafe(async {
        let Ok(revision) = tokio::time::timeout(REVISION_MAX, port.revision()).await else {
            return no_answer(REVISION_MAX);
        };
        if revision.is_some() && revision == known {
            return ReadResult::Unchanged;
        }
        ReadResult::Read { loaded: if again { port.load_relaxed().await } else { port.load().await }, revision }
    });
    match tokio::time::timeout(LOAD_TIMEOUT, reading.catch_unwind()).await {
        Ok(Ok(reading)) => reading,
        // The supervisor must not die of it.
        Ok(Err(panic)) => failed(format!("reading it panicked: {}", panic_text(&*panic))),
        Err(_) => no_answer(LOAD_TIMEOUT),
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
    tokio::time::timeout(REVISION_MAX, asking).await.ok()?.ok()?
}

impl Source {
    /// A source that was not read yet.
    pub(super) fn new(port: Arc<dyn ConfigSource>) -> Self {
        Self {
            port,
            accepted: Accepted::default(),
            revision: None,
            said: 0,
            refused: 0,
            refused_ids: None,
            is_fresh: false,
            unreadable: None,
            misconfigured: false,
        }
    }

    /// What it is taken to say.
    pub(super) fn roster(&self) -> &Roster {
        &self.accepted.roster
    }

    /// With which revision it need not be read again; `None`: with none.
    pub(super) fn known(&self, now: Duration) -> Option<u64> {
        self.revision.filter(|_| self.unreadable.is_none() && !self.accepted.is_look_due(now))
    }

    /// Whether it has to be read again, its revision being this one.
    pub(super) fn is_look_due(&self, revision: Option<u64>, now: Duration) -> bool {
        revision.is_some() && revision != self.revision || self.accepted.is_look_due(now)
    }

    /// Whether it says for certain which APIs there are: it could be read, and nobody is writing it. A single round cannot wait
    /// to see that, and goes by the clock of the file.
    pub(super) fn is_certain(&self, is_round: bool, now: Duration) -> bool {
        let is_whole = if is_round { !self.is_fresh } else { self.accepted.is_stable(now) };
        self.refused_ids.is_some() && (is_whole || !self.port.may_be_partial())
    }

    /// Takes what a reading gave, says what is new about its faults, and keeps the last good of what is not there.
    pub(super) fn accept(&mut self, reading: ReadResult, now: Duration) {
        let ReadResult::Read { loaded, revision } = reading else { return };
        let name = self.port.name();
        self.revision = revision;
        self.refused_ids = None;
        let configs = match loaded {
            Ok(configs) => configs,
            Err(error) => {
                // A fault that a person must mend names its place itself.
                self.unreadable = Some(match &error {
                    SourceError::Unavailable(what) => format!("{name}: {what}"),
                    SourceError::Misconfigured(issue) => issue.to_string(),
                });
                self.misconfigured = matches!(error, SourceError::Misconfigured(_));
                self.accepted.cannot_be_read();
                let last_good = self.accepted.roster.len();
                self.say(&("unreadable", error.to_string()), || {
                    tracing::error!(source = name, %error, last_good, "the configs cannot be read; the last good ones run on");
                });
                return;
            }
        };
        self.unreadable = None;
        self.misconfigured = false;
        self.refused = configs.refused.len();
        self.is_fresh = configs.is_fresh;
        self.accepted = self.accepted.then(&self.loaded(&configs), now);
        let (kept, missing) = (self.accepted.kept_for_emptiness, self.accepted.missing.len());
        let held: Vec<ApiId> = self.accepted.held.keys().cloned().collect();
        self.refused_ids =
            configs.refused.iter().map(|row| row.api_id.clone()).collect::<Option<Vec<ApiId>>>().filter(|_| !kept);
        let issues = || configs.refused.iter().flat_map(|row| &row.issues);
        let texts = issues().map(ToString::to_string).map(|text| number_of(&text)).collect::<Vec<u64>>();
        self.say(&(kept, missing, &held, texts), || {
            if kept {
                tracing::error!(source = name, "the source is empty all at once; its last good configs run on");
            }
            if missing > 0 {
                let seconds = BELIEVED_AFTER.as_secs();
                tracing::warn!(
                    source = name,
                    missing,
                    "rows are missing; they run on, and count as removed if they are still missing in {seconds} s"
                );
            }
            for api_id in held.iter().take(SAID_MAX) {
                let seconds = BELIEVED_AFTER.as_secs();
                tracing::warn!(
                    source = name,
                    %api_id,
                    "a file is shorter than it was, and its last row another: as before it runs on, and counts as changed if it \
                     still reads the same in {seconds} s"
                );
            }
            for line in lines(issues()) {
                tracing::error!(source = name, "{line}");
            }
        });
    }

    /// Takes what a reading of these APIs alone gave.
    pub(super) fn accept_some(&mut self, ids: &[ApiId], configs: &LoadedConfigs, now: Duration) {
        let name = self.port.name();
        for api_id in ids {
            let good = configs.good.iter().find(|config| config.api_id == *api_id);
            let is_refused = configs.refused.iter().any(|row| row.api_id.as_ref() == Some(api_id));
            if good.is_some() || !is_refused {
                self.accepted.set(api_id, good, now); // of what is refused, the last good version runs on
            }
        }
        for line in lines(configs.refused.iter().flat_map(|row| &row.issues)) {
            tracing::error!(source = name, "{line}");
        }
    }

    /// The roster as it would be after this reading.
    pub(super) fn with(&self, reading: &ReadResult, now: Duration) -> Roster {
        match reading {
            ReadResult::Read { loaded: Ok(configs), .. } => self.accepted.then(&self.loaded(configs), now).roster,
            _ => self.accepted.roster.clone(),
        }
    }

    fn loaded(&self, configs: &LoadedConfigs) -> Loaded {
        let refused: Vec<ApiId> = configs.refused.iter().filter_map(|row| row.api_id.clone()).collect();
        Loaded {
            good: configs.good.clone(),
            without_id: configs.refused.len() - refused.len(),
            refused,
            may_be_cut: self.port.may_be_partial(),
            cut: configs.partial_rows.clone(),
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
        let [location, what, why, remedy] = ["here", "this", "is odd", "that"].map(str::to_owned);
        let issues = vec![ConfigIssue { location, what, why, remedy }; 1_000_000];
        let said = lines(issues.iter());
        assert_eq!(said.len(), SAID_MAX + 1);
        assert_eq!(said[SAID_MAX], "and 999900 more faults; see: api-health apis validate");
        assert_eq!(lines(issues[..2].iter()).len(), 2);
    }
}
