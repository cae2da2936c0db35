//! One source of configs, and what it is taken to say: its good rows, the last good version of those that are refused,
//! and everything as it was when it cannot be read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::roster::{Accepted, BELIEVED_AFTER, Loaded, Roster};
use api_health_core::{ApiId, ConfigFault};
use futures_util::FutureExt;

use crate::child::panic_text;
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};

/// A source that takes longer than this is given up for this time.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Telling whether a source changed is quick. One that takes longer hangs, and must not delay the others.
pub(super) const REVISION_MAX: Duration = Duration::from_secs(5);

/// Faults of one source that are said one by one at each change; the rest are counted. `apis validate` names them all.
pub(super) const SAID_MAX: usize = 100;

/// A source and what it said last.
pub(super) struct Source {
    pub(super) port: Arc<dyn ConfigSource>,
    accepted: Accepted,
    revision: Option<u64>,
    /// A hash of what was logged last of its faults, so that it is not logged again at each reload.
    last_logged: u64,
    pub(super) refused: usize,
    /// Rows that are there although they are not in the roster; `None` if not all of them can be named, or the source was not
    /// read, or is kept although it is empty.
    pub(super) refused_ids: Option<Vec<ApiId>>,
    is_fresh: bool,
    /// Why it could not be read the last time.
    unreadable: Option<SourceError>,
}

/// What came of reading a source that may have changed.
pub(super) struct Read {
    loaded: Result<LoadedConfigs, SourceError>,
    revision: Option<u64>,
}

/// How sources are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Where it is cheap to tell that they changed, or time to look once more at what is not believed yet.
    Glance,
    /// All that may have changed.
    Full,
    /// The same because it is time to, and nobody waits for what was written just now.
    Again,
}

/// Reads one source; `None`: its revision is this one, so it is as it was. That is asked for first: a change in between is then seen at the next look.
async fn read(port: Arc<dyn ConfigSource>, known: Option<u64>, mode: ReadMode) -> Option<Read> {
    let failed = |why| Some(Read { loaded: Err(SourceError::Unavailable(why)), revision: None });
    let no_answer = |within: Duration| failed(format!("no answer within {} s", within.as_secs()));
    let reading = AssertUnwindSafe(async {
        match tokio::time::timeout(REVISION_MAX, port.revision()).await {
            Ok(None) | Err(_) if mode == ReadMode::Glance => None,
            Err(_) => no_answer(REVISION_MAX),
            Ok(revision) if revision.is_some() && revision == known => None,
            Ok(revision) => {
                let loaded = if mode == ReadMode::Again { port.load_relaxed().await } else { port.load().await };
                Some(Read { loaded, revision })
            }
        }
    });
    match tokio::time::timeout(LOAD_TIMEOUT, reading.catch_unwind()).await {
        Ok(Ok(reading)) => reading,
        // The supervisor must not die of it.
        Ok(Err(panic)) => failed(format!("reading it panicked: {}", panic_text(&*panic))),
        Err(_) => no_answer(LOAD_TIMEOUT),
    }
}

/// Reads the rows of these APIs; `None`: it has to be read whole.
pub(super) async fn read_some(port: Arc<dyn ConfigSource>, ids: Arc<[ApiId]>) -> Option<LoadedConfigs> {
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

impl Source {
    /// A source that was not read yet.
    pub(super) fn new(port: Arc<dyn ConfigSource>) -> Self {
        Self {
            port,
            accepted: Accepted::default(),
            revision: None,
            last_logged: 0,
            refused: 0,
            refused_ids: None,
            is_fresh: false,
            unreadable: None,
        }
    }

    /// What it is taken to say.
    pub(super) fn roster(&self) -> &Roster {
        &self.accepted.roster
    }

    pub(super) fn is_misconfigured(&self) -> bool {
        matches!(self.unreadable, Some(SourceError::Misconfigured(_)))
    }

    /// Why it could not be read the last time, in words.
    pub(super) fn why_unreadable(&self) -> Option<String> {
        Some(match self.unreadable.as_ref()? {
            SourceError::Unavailable(what) => format!("{}: {what}", self.port.name()),
            // A fault that a person must mend names its place itself.
            SourceError::Misconfigured(fault) => fault.to_string(),
        })
    }

    /// Reads it in this way.
    pub(super) fn read(&self, mode: ReadMode, now: Duration) -> impl Future<Output = Option<Read>> + use<> {
        let is_due = self.accepted.is_look_due(now);
        let mode = if is_due && mode == ReadMode::Glance { ReadMode::Full } else { mode };
        let is_known = !is_due && (self.unreadable.is_none() || mode == ReadMode::Glance);
        read(Arc::clone(&self.port), self.revision.filter(|_| is_known), mode)
    }

    /// Whether it says for certain which APIs there are: it could be read, and nobody is writing it. A single round cannot wait
    /// to see that, and goes by the clock of the file.
    pub(super) fn is_certain(&self, is_round: bool, now: Duration) -> bool {
        let is_whole = if is_round { !self.is_fresh } else { self.accepted.is_stable(now) };
        self.refused_ids.is_some() && (is_whole || !self.port.may_be_partial())
    }

    /// Takes what a reading gave, says what is new about its faults, and keeps the last good of what is not there.
    pub(super) fn accept(&mut self, Read { loaded, revision }: Read, now: Duration) {
        let name = self.port.name();
        self.revision = revision;
        self.refused_ids = None;
        let configs = match loaded {
            Ok(configs) => configs,
            Err(error) => {
                self.accepted.cannot_be_read();
                let last_good = self.accepted.roster.len();
                self.log_once(&("unreadable", error.to_string()), || {
                    tracing::error!(source = name, %error, last_good, "the configs cannot be read; the last good ones run on");
                });
                self.unreadable = Some(error);
                return;
            }
        };
        self.unreadable = None;
        self.refused = configs.refused.len();
        self.is_fresh = configs.is_fresh;
        self.accepted = self.accepted.then(&self.loaded(&configs), now);
        let (kept, missing) = (self.accepted.kept_for_emptiness, self.accepted.missing().count());
        let is_doubted = |(_, (_, read)): &(&ApiId, &(_, Option<_>))| read.is_some();
        let doubted: Vec<ApiId> =
            self.accepted.doubted.iter().filter(is_doubted).map(|(api_id, _)| api_id.clone()).collect();
        self.refused_ids =
            configs.refused.iter().map(|row| row.api_id.clone()).collect::<Option<Vec<ApiId>>>().filter(|_| !kept);
        let faults = || configs.refused.iter().flat_map(|row| &row.faults);
        let texts = faults().map(ToString::to_string).map(|text| number_of(&text)).collect::<Vec<u64>>();
        self.log_once(&(kept, missing, &doubted, texts), || {
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
            for api_id in doubted.iter().take(SAID_MAX) {
                let seconds = BELIEVED_AFTER.as_secs();
                tracing::warn!(
                    source = name,
                    %api_id,
                    "a file is shorter than it was, and its last row another: as before it runs on, and counts as changed if it \
                     still reads the same in {seconds} s"
                );
            }
            for line in lines(faults()) {
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
        for line in lines(configs.refused.iter().flat_map(|row| &row.faults)) {
            tracing::error!(source = name, "{line}");
        }
    }

    /// Whether this reading gave other rows than the one before.
    pub(super) fn is_changed_by(&self, read: &Read, now: Duration) -> bool {
        let Ok(configs) = &read.loaded else { return false };
        let next = self.accepted.then(&self.loaded(configs), now).roster; // with the same `Arc` for the same row
        next.values().map(Arc::as_ptr).ne(self.accepted.roster.values().map(Arc::as_ptr))
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

    fn log_once(&mut self, what: &impl Hash, log: impl FnOnce()) {
        let number = number_of(what);
        if self.last_logged != number {
            self.last_logged = number;
            log();
        }
    }
}

/// What the log says of the faults of a source.
fn lines<'a>(faults: impl Iterator<Item = &'a ConfigFault> + Clone) -> Vec<String> {
    let mut lines: Vec<String> = faults.clone().take(SAID_MAX).map(|fault| format!("refused: {fault}")).collect();
    let more = faults.count().saturating_sub(SAID_MAX);
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
        let faults = vec![ConfigFault { location, what, why, remedy }; 1_000_000];
        let said = lines(faults.iter());
        assert_eq!(said.len(), SAID_MAX + 1);
        assert_eq!(said[SAID_MAX], "and 999900 more faults; see: api-health apis validate");
        assert_eq!(lines(faults[..2].iter()).len(), 2);
    }
}
