//! What the keeper holds of one API: the state in memory, and what of it is not in the store yet.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{ApiConfig, ApiId, ApiState, Outcome, Timestamp, decide, delivery};
use tokio::time::Instant;

use crate::retry::{RetryPolicy, Waits};

/// The most changes of one API that are kept for deciding again over a record that somebody else wrote. Past this the
/// oldest are forgotten: the state in memory still has their effect.
pub(super) const CHANGES_MAX: usize = 256;

/// Something that was decided and is not in the store yet. It can be decided again on top of another record.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// An outcome that mattered.
    Outcome {
        /// The config that it was judged by.
        api: Arc<ApiConfig>,
        /// The outcome.
        outcome: Outcome,
        /// When it was decided.
        now: Timestamp,
        /// The alert that it owes.
        owed: Option<String>,
    },
    /// A channel took an alert over.
    Settled {
        /// The alert.
        alert_id: String,
        /// The channel.
        channel: &'static str,
    },
}

/// A write that was sent and has no certain answer yet. It is sent again as it is until it has one, so that a lost
/// answer can be told from somebody else's write.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// What is written; its version is one more than that of the stored record.
    pub(super) state: Arc<ApiState>,
    /// How many of the pending changes are in it.
    pub(super) changes: usize,
}

/// Where the entry's next write stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing to write.
    #[default]
    Idle,
    /// Only figures moved: it may wait until then.
    Lazy(Instant),
    /// In the queue.
    Queued,
    /// Under way.
    InFlight,
    /// It failed, and is tried again then.
    Waiting(Instant),
}

/// One API.
#[derive(Debug)]
pub(super) struct Entry {
    /// All that is known, including what is not stored yet. Its version is that of the stored record.
    pub(super) state: ApiState,
    /// What is not stored yet, oldest first.
    pub(super) changes: Vec<Change>,
    /// The write without a certain answer.
    pub(super) attempt: Option<Attempt>,
    /// Where the next write stands.
    pub(super) writing: Writing,
    /// Something changed since the last snapshot was taken for a write.
    pub(super) dirty: bool,
    /// Since when a change that matters has been waiting to be stored.
    pub(super) unstored_since: Option<Instant>,
    /// Waits between failed writes; `None` after a success.
    pub(super) waits: Option<Box<Waits>>,
}

impl Entry {
    /// An API as it was stored, or unknown.
    pub(super) fn new(state: ApiState) -> Self {
        Self {
            state,
            changes: Vec::new(),
            attempt: None,
            writing: Writing::Idle,
            dirty: false,
            unstored_since: None,
            waits: None,
        }
    }

    /// Notes a change that has to be stored soon.
    pub(super) fn changed(&mut self, change: Change, now: Instant) {
        if self.changes.len() >= CHANGES_MAX {
            self.changes.remove(0);
            if let Some(attempt) = &mut self.attempt {
                attempt.changes = attempt.changes.saturating_sub(1);
            }
        }
        self.changes.push(change);
        self.dirty = true;
        self.unstored_since.get_or_insert(now);
    }

    /// What to write now: the attempt that is still open, or a new one.
    pub(super) fn begin_write(&mut self) -> Arc<ApiState> {
        let attempt = self.attempt.get_or_insert_with(|| {
            self.dirty = false;
            let state = ApiState { version: self.state.version.saturating_add(1), ..self.state.clone() };
            Attempt { state: Arc::new(state), changes: self.changes.len() }
        });
        self.writing = Writing::InFlight;
        Arc::clone(&attempt.state)
    }

    /// The write is durable.
    pub(super) fn stored(&mut self, now: Instant) {
        if let Some(attempt) = self.attempt.take() {
            self.state.version = attempt.state.version;
            self.changes.drain(..attempt.changes.min(self.changes.len()));
        }
        self.unstored_since = if self.changes.is_empty() { None } else { Some(now) };
        self.waits = None;
        self.writing = Writing::Idle;
    }

    /// The write failed; how long to wait before it is tried again.
    pub(super) fn failed(&mut self, now: Instant, a_person_must_act: bool) -> Duration {
        let waits = self.waits.get_or_insert_with(|| Box::new(Waits::new(RetryPolicy::STORE)));
        let wait = waits.next_wait();
        let wait = if a_person_must_act { RetryPolicy::STORE.permanent } else { wait };
        self.writing = Writing::Waiting(now + wait);
        wait
    }

    /// The stored record is another than expected. If it is the very one that was sent, the answer was lost and all is
    /// well; else everything that is not stored is decided again on top of it. Returns whether it was the very one.
    pub(super) fn rebase(
        &mut self,
        stored: Option<ApiState>,
        api_id: &ApiId,
        channels: &[String],
        now: Instant,
    ) -> bool {
        let stored = stored.unwrap_or_else(|| ApiState::unknown(api_id.clone()));
        if self.attempt.as_ref().is_some_and(|attempt| *attempt.state == stored) {
            self.stored(now);
            return true;
        }
        let mut state = stored;
        for change in &mut self.changes {
            match change {
                Change::Outcome { api, outcome, now, owed } => {
                    let decision = decide(&state, outcome, &api.policy(), *now);
                    *owed = decision.owed.map(|alert| alert.alert_id);
                    state = decision.next;
                }
                Change::Settled { alert_id, channel } => {
                    delivery::settle(&mut state, alert_id, channel, channels);
                }
            }
        }
        state.missed_ticks = state.missed_ticks.max(self.state.missed_ticks);
        self.state = state;
        self.attempt = None;
        self.dirty = true;
        self.writing = Writing::Idle;
        false
    }

    /// Whether the alert is in the store, so that it may be handed over.
    pub(super) fn is_stored(&self, alert_id: &str) -> bool {
        !self
            .changes
            .iter()
            .any(|change| matches!(change, Change::Outcome { owed: Some(owed), .. } if owed == alert_id))
    }

    /// Whether anything is not in the store.
    pub(super) fn is_unsaved(&self) -> bool {
        self.dirty || self.attempt.is_some()
    }
}
