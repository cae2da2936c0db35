//! What the keeper holds of one API: the state in memory, and what of it is not in the store yet.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::decide::{ask_anew, close};
use api_health_core::delivery::{self, CLOCKS_APART_MAX, Standing};
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
    Claimed,
    /// A channel took an alert over.
    Settled {
        /// The alert.
        alert_id: String,
        /// The channel.
        channel: &'static str,
    },
}

/// A change, and since when it waits to be stored.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) since: Instant,
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
    /// The present on the wall clock.
    pub(super) now: Timestamp,
}

/// What came of a stored record that is another than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rebased {
    /// It is the very one that was sent: the answer was lost.
    WasOurs,
    /// Somebody else wrote it, and there is nothing to add.
    TakenOver,
    /// Somebody else wrote it, and what is not stored was decided again on top of it.
    DecidedAgain,
}

/// One API.
#[derive(Debug)]
pub(super) struct Entry {
    /// All that is known, including what is not stored yet. Its version is that of the stored record.
    pub(super) state: ApiState,
    /// It is configured and enabled. Outcomes of others are late, and count for nothing.
    pub(super) watched: bool,
    /// What is not stored yet, oldest first.
    pub(super) changes: Vec<Pending>,
    /// The write without a certain answer.
    pub(super) attempt: Option<Attempt>,
    /// Where the next write stands.
    pub(super) writing: Writing,
    /// Something changed since the last snapshot was taken for a write.
    pub(super) dirty: bool,
    /// When the last probe of somebody else was over that the state has the effect of, until the next outcome of ours.
    others_probed_at: Option<Timestamp>,
    /// When the last probe was over that the stored record tells of, as this process knows that record. Somebody who only
    /// claims, or corrects a figure, leaves it as it is, and has probed nothing.
    probed_in_store: Option<Timestamp>,
    /// In which generation of the store's content it was stored last, as the keeper counts them.
    pub(super) stored_in: u64,
    /// Since when an alert has been held up because this process could not get a claim that lasts: with a store that
    /// confirms slowly, each claim is too old when it is confirmed.
    pub(super) unclaimed_since: Option<Instant>,
    /// Its next outcome is late after this; `None` if none is expected.
    pub(super) late_after: Option<Instant>,
    /// Waits between failed writes; `None` after a success.
    pub(super) waits: Option<Box<Waits>>,
}

impl Entry {
    /// An API as it was stored, or unknown.
    pub(super) fn new(state: ApiState) -> Self {
        Self {
            probed_in_store: probed_at(&state),
            state,
            watched: false,
            changes: Vec::new(),
            attempt: None,
            writing: Writing::Idle,
            dirty: false,
            others_probed_at: None,
            stored_in: 0,
            unclaimed_since: None,
            late_after: None,
            waits: None,
        }
    }

    /// Takes the state of a decision over. Whoever owes an alert claims it with the same write, unless somebody else is
    /// handing over what the API owed before.
    pub(super) fn apply(&mut self, next: ApiState, owes: bool, by: Decider<'_>) {
        self.state = next;
        if owes {
            claim_if_free(&mut self.state, by);
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
        self.changes.push(Pending { change, since: now });
        self.dirty = true;
    }

    /// Since when a change that matters has been waiting to be stored.
    pub(super) fn unstored_since(&self) -> Option<Instant> {
        self.changes.first().map(|pending| pending.since)
    }

    /// Whether an outcome that is to be decided now belongs to the same moment as one of somebody else's, which counts
    /// already. This is asked once after each record of somebody else's. A probe that lies in the future was made before
    /// the clock was set back, and says nothing.
    pub(super) fn is_same_moment(&mut self, outcome: &Outcome, subject: &Subject, now: Timestamp) -> bool {
        let at = self.others_probed_at.take().filter(|at| *at <= now.plus(CLOCKS_APART_MAX));
        at.is_some_and(|at| is_same_moment(outcome, at, subject))
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
    pub(super) fn stored(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.state.version = attempt.state.version;
            self.probed_in_store = probed_at(&attempt.state);
            self.changes.drain(..attempt.changes.min(self.changes.len()));
        }
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
    /// well; else everything that is not stored is decided again on top of it.
    ///
    /// Outcomes that it has the effect of already, since it was written over what was sent, are left out. If it tells of a
    /// probe of somebody else's, so are those from before that probe and of the same moment: whoever wrote it has seen
    /// more than they say.
    pub(super) fn rebase(&mut self, stored: &ApiState, by: Decider<'_>) -> Rebased {
        if self.attempt.as_ref().is_some_and(|attempt| *attempt.state == *stored) {
            self.stored();
            return Rebased::WasOurs;
        }
        self.unclaimed_since = None;
        let last_probed_at = probed_at(stored);
        let (sent, sent_changes) =
            self.attempt.as_ref().map_or((None, 0), |attempt| (probed_at(&attempt.state), attempt.changes));
        let known = if last_probed_at == self.probed_in_store {
            Some(0)
        } else {
            (last_probed_at == sent).then_some(sent_changes)
        };
        if known.is_none() {
            self.others_probed_at = last_probed_at.filter(|at| *at <= by.now.plus(CLOCKS_APART_MAX));
        }
        self.probed_in_store = last_probed_at;
        let others_probed_at = self.others_probed_at;
        let mut number = 0;
        self.changes.retain(|pending| {
            number += 1;
            match (&pending.change, known) {
                (Change::Outcome { .. }, Some(known)) => number > known,
                (Change::Outcome { subject, outcome, .. }, None) => {
                    others_probed_at.is_none_or(|at| !is_same_moment(outcome, at, subject))
                }
                _ => true,
            }
        });
        let mut state = stored.clone();
        for pending in &mut self.changes {
            pending.change.replay(&mut state, by);
        }
        delivery::keep_failures(&mut state, &self.state);
        // Somebody else may have handed the rest over, without knowing that it was the last.
        delivery::strike_delivered(&mut state, by.channels);
        state.missed_ticks = state.missed_ticks.max(self.state.missed_ticks);
        self.attempt = None;
        self.writing = Writing::Idle;
        self.dirty = state != *stored;
        self.state = state;
        if self.dirty {
            return Rebased::DecidedAgain;
        }
        self.changes.clear();
        self.waits = None;
        Rebased::TakenOver
    }

    /// Whether the alert is in the store, so that it may be handed over.
    pub(super) fn is_stored(&self, alert_id: &str) -> bool {
        !self.changes.iter().any(|pending| pending.change.owed() == Some(alert_id))
    }

    /// Whether the claim in the state is in the store as well.
    pub(super) fn is_claim_stored(&self) -> bool {
        let claims = |change: &Change| change.owed().is_some() || matches!(change, Change::Claimed);
        !self.changes.iter().any(|pending| claims(&pending.change))
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
            Self::AskedAnew | Self::Claimed | Self::Settled { .. } => None,
        }
    }

    /// Decides it again on top of `state`.
    fn replay(&mut self, state: &mut ApiState, by: Decider<'_>) {
        let (decision, owed) = match self {
            Self::Outcome { subject, outcome, now, owed } => {
                let decision = decide(state, outcome, &subject.policy(), *now);
                (decision.under_the_id_of(owed.as_deref().unwrap_or_default()), owed)
            }
            Self::Closed { why, now, owed } => (close(state, why, *now), owed),
            Self::AskedAnew => {
                *state = ask_anew(state).next;
                return;
            }
            Self::Claimed => return claim_if_free(state, by),
            Self::Settled { alert_id, channel } => {
                delivery::settle(state, alert_id, channel, by.channels);
                return;
            }
        };
        *state = decision.next;
        if decision.owed.is_some() {
            claim_if_free(state, by);
        }
        *owed = decision.owed.map(|alert| alert.alert_id);
    }
}

fn probed_at(state: &ApiState) -> Option<Timestamp> {
    state.last_probe.as_ref().map(|last| last.at)
}

/// Two processes that probe at one time see one fact, and two fails of one moment must not confirm each other. A process by
/// itself waits for the recheck between two fails; half of that is far from a moment, and never as long as that wait.
fn is_same_moment(outcome: &Outcome, others_probed_at: Timestamp, subject: &Subject) -> bool {
    outcome.started_at < others_probed_at.plus(subject.recheck_from(others_probed_at) / 2)
}

/// At the present and not at the time of the change: a claim that was made since then would look as if it lasted too long.
fn claim_if_free(state: &mut ApiState, by: Decider<'_>) {
    if !state.owed.is_empty() && delivery::standing(state, by.instance, by.now) != Standing::Theirs {
        delivery::claim(state, by.instance, by.now);
    }
}

#[cfg(test)]
mod tests;
