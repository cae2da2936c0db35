//! What the keeper holds of one API: the state in memory, and what of it is not in the store yet.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::decide::{ask_anew, close};
use api_health_core::delivery::{self, Standing};
use api_health_core::{ApiState, Outcome, Timestamp, decide};
use tokio::time::Instant;

use super::subject::Subject;
use crate::retry::{RetryPolicy, Waits};

/// The most changes of one API that are kept for deciding again over a record that somebody else wrote. Past this the
/// oldest are forgotten: the state in memory still has their effect.
pub(super) const CHANGES_MAX: usize = 256;

/// Something that was decided and is not in the store yet. It can be decided again on top of another record.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// An outcome that mattered.
    Outcome {
        /// By what it is decided.
        subject: Subject,
        /// The outcome.
        outcome: Outcome,
        /// When it was decided.
        now: Timestamp,
        /// The alert that it owes.
        owed: Option<String>,
    },
    /// The API is watched no longer.
    Closed {
        /// Why.
        why: &'static str,
        /// When that was decided.
        now: Timestamp,
        /// The alert that it owes.
        owed: Option<String>,
    },
    /// Another thing is asked of the API.
    AskedAnew,
    /// This process wants to hand alerts over.
    Claimed {
        /// When it claimed.
        now: Timestamp,
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
    /// When it was sent first.
    pub(super) since: Instant,
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

/// Who decides: what replaying a change needs to know of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decider<'a> {
    /// This process, as its claims name it.
    pub(super) instance: &'a str,
    /// All channels.
    pub(super) channels: &'a [String],
}

/// One API.
#[derive(Debug)]
pub(super) struct Entry {
    /// All that is known, including what is not stored yet. Its version is that of the stored record.
    pub(super) state: ApiState,
    /// It is configured and enabled. Outcomes of others are late, and count for nothing.
    pub(super) watched: bool,
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
    /// Since when an alert has been held up because this process could not get a claim that lasts: with a store that
    /// confirms slowly, each claim is too old when it is confirmed.
    pub(super) unclaimed_since: Option<Instant>,
    /// Waits between failed writes; `None` after a success.
    pub(super) waits: Option<Box<Waits>>,
}

impl Entry {
    /// An API as it was stored, or unknown.
    pub(super) fn new(state: ApiState) -> Self {
        Self {
            state,
            watched: false,
            changes: Vec::new(),
            attempt: None,
            writing: Writing::Idle,
            dirty: false,
            unstored_since: None,
            unclaimed_since: None,
            waits: None,
        }
    }

    /// Takes the state of a decision over. Whoever owes an alert claims it with the same write, unless somebody else is
    /// handing over what the API owed before.
    pub(super) fn apply(&mut self, next: ApiState, owes: bool, now: Timestamp, by: Decider<'_>) {
        self.state = next;
        if owes {
            claim_if_free(&mut self.state, now, by);
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
    pub(super) fn begin_write(&mut self, now: Instant) -> Arc<ApiState> {
        let attempt = self.attempt.get_or_insert_with(|| {
            self.dirty = false;
            let state = ApiState { version: self.state.version.saturating_add(1), ..self.state.clone() };
            Attempt { state: Arc::new(state), changes: self.changes.len(), since: now }
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

    /// There is no record, although there was one: somebody deleted it. What is known here is all that is known, so it is
    /// written again as it is; nothing that was told is told anew.
    pub(super) fn record_is_gone(&mut self) {
        self.state.version = 0;
        self.attempt = None;
        self.dirty = true;
        self.writing = Writing::Idle;
    }

    /// The stored record is another than expected. If it is the very one that was sent, the answer was lost and all is
    /// well; else everything that is not stored is decided again on top of it. Returns whether it was the very one.
    pub(super) fn rebase(&mut self, stored: ApiState, by: Decider<'_>, now: Instant) -> bool {
        if self.attempt.as_ref().is_some_and(|attempt| *attempt.state == stored) {
            self.stored(now);
            return true;
        }
        let mut state = stored;
        for change in &mut self.changes {
            change.replay(&mut state, by);
        }
        delivery::keep_failures(&mut state, &self.state);
        state.missed_ticks = state.missed_ticks.max(self.state.missed_ticks);
        self.state = state;
        self.attempt = None;
        self.dirty = true;
        self.writing = Writing::Idle;
        false
    }

    /// Whether the alert is in the store, so that it may be handed over.
    pub(super) fn is_stored(&self, alert_id: &str) -> bool {
        !self.changes.iter().any(|change| change.owed() == Some(alert_id))
    }

    /// Whether the claim in the state is in the store as well.
    pub(super) fn is_claim_stored(&self) -> bool {
        !self.changes.iter().any(|change| change.owed().is_some() || matches!(change, Change::Claimed { .. }))
    }

    /// Whether anything is not in the store.
    pub(super) fn is_unsaved(&self) -> bool {
        self.dirty || self.attempt.is_some()
    }
}

impl Change {
    /// The alert that it owes.
    fn owed(&self) -> Option<&str> {
        match self {
            Self::Outcome { owed, .. } | Self::Closed { owed, .. } => owed.as_deref(),
            Self::AskedAnew | Self::Claimed { .. } | Self::Settled { .. } => None,
        }
    }

    /// Decides it again on top of `state`.
    fn replay(&mut self, state: &mut ApiState, by: Decider<'_>) {
        let (decision, owed, now) = match self {
            Self::Outcome { subject, outcome, now, owed } => {
                (decide(state, outcome, &subject.policy(), *now), owed, *now)
            }
            Self::Closed { why, now, owed } => (close(state, why, *now), owed, *now),
            Self::AskedAnew => {
                *state = ask_anew(state).next;
                return;
            }
            Self::Claimed { now } => return claim_if_free(state, *now, by),
            Self::Settled { alert_id, channel } => {
                delivery::settle(state, alert_id, channel, by.channels);
                return;
            }
        };
        *state = decision.next;
        if decision.owed.is_some() {
            claim_if_free(state, now, by);
        }
        *owed = decision.owed.map(|alert| alert.alert_id);
    }
}

fn claim_if_free(state: &mut ApiState, now: Timestamp, by: Decider<'_>) {
    if delivery::standing(state, by.instance, now) != Standing::Theirs {
        delivery::claim(state, by.instance, now);
    }
}
