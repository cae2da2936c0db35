//! What is known of one API, and what of that is not in the store yet.

use std::sync::Arc;
use std::time::Duration;

use super::waits::{STORE_WAIT_PERMANENT, store_wait};
use crate::alert::Alert;
use crate::api::ApiConfig;
use crate::delivery::{self, OWED_MAX};
use crate::state::ApiState;
use crate::store::StateWrite;

/// At most this many deliveries of one API are remembered while they cannot be stored. An alert beyond that may be sent twice, if
/// the stored record turns out to be another one.
const TAKEN_MAX: usize = 4 * OWED_MAX;

/// What matters and is not in the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Unstored {
    /// Since when, in uptime.
    since: Duration,
    /// The ids of alerts that are owed by it, at most as many as an outbox holds.
    alerts: Vec<String>,
    /// Alerts that a channel took: facts, whatever becomes of the rest. At most [`TAKEN_MAX`].
    taken: Vec<(String, Arc<str>)>,
    /// Outages that were told although they could not be stored, and whose end was not: at most one for each channel, and those
    /// that are to be taken back.
    told: Vec<Arc<Alert>>,
}

/// A write that was sent and has no certain answer yet. It is sent again as it is until it has one, so that a lost answer
/// can be told from somebody else's write.
#[derive(Clone, Debug)]
pub(super) struct PendingWrite {
    pub(super) write: StateWrite,
    /// When it was sent first.
    pub(super) since: Duration,
    /// What it stores.
    unstored: Option<Box<Unstored>>,
}

/// Where the next write of an API stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing to write.
    #[default]
    Idle,
    /// Only figures moved: it may wait until then.
    AtCheckpoint(Duration),
    Queued,
    /// Under way, in the call of that number.
    InFlight(u64),
    /// It failed, and is tried again then.
    Waiting(Duration),
}

/// How a version conflict is resolved: what the stored record means for the owner of the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ConflictResolution {
    /// It is the very one that was sent: the answer was lost.
    WasOurs,
    /// Somebody with a higher epoch wrote it: the shard is lost.
    HigherEpoch,
    /// It is no newer than what this owner knows: a copy from a backup, or a hand in the table. It is overwritten.
    OldCopy,
    /// A write of an owner before this one, or a hand in the table: it counts, and what was decided and not stored does not.
    Adopted {
        /// Something that was decided is forgotten: the API is probed again.
        forgot: bool,
        /// Outages that were told and are not in it.
        told: Vec<Arc<Alert>>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// All that is known, including what is not stored yet. The epoch is that of the newest record that is known, and so is the
    /// version, unless a write of a higher one was given up.
    pub(super) state: ApiState,
    /// The version of the stored record, as far as that is known; 0: there is none.
    pub(super) stored_version: u64,
    /// The fingerprint of its request while it is configured and enabled. Outcomes with another one come too late, and do not count.
    pub(super) request_fingerprint: Option<u16>,
    /// Its row, while it is configured and enabled.
    pub(super) api: Option<Arc<ApiConfig>>,
    /// Since when a write of an owner before this one may still land: until the stored record carries this one's epoch. `None`:
    /// it carries it, or was left clean.
    pub(super) unsealed_since: Option<Duration>,
    unstored: Option<Box<Unstored>>,
    /// The write without a certain answer.
    pub(super) pending_write: Option<Box<PendingWrite>>,
    /// Where the next write stands.
    pub(super) writing: Writing,
    /// Something changed since the last snapshot was taken for a write.
    pub(super) dirty: bool,
    /// In which generation of the store's content it was stored last, as the ledger counts them.
    pub(super) stored_after_wipes: u32,
    /// Its next outcome is late after this uptime; `None` if none is expected.
    pub(super) late_after: Option<Duration>,
    /// Writes in a row that failed.
    failures: u32,
}

impl Entry {
    /// An API as it was stored, or unknown.
    pub(super) fn new(state: ApiState, unsealed_since: Option<Duration>) -> Self {
        Self {
            stored_version: state.version,
            state,
            request_fingerprint: None,
            api: None,
            unsealed_since,
            unstored: None,
            pending_write: None,
            writing: Writing::Idle,
            dirty: false,
            stored_after_wipes: 0,
            late_after: None,
            failures: 0,
        }
    }

    /// It is configured and enabled.
    pub(super) fn is_watched(&self) -> bool {
        self.request_fingerprint.is_some()
    }

    /// Notes that a decision is not stored yet, and which alert depends on it.
    pub(super) fn mark_unsaved(&mut self, owes: Option<&Alert>, now: Duration) {
        self.dirty = true;
        if let Some(unstored) = &mut self.unstored {
            let is_owed = |alert_id: &String| self.state.owed.iter().any(|owed| owed.alert.alert_id == *alert_id);
            unstored.alerts.retain(is_owed);
        }
        self.unstored(now).alerts.extend(owes.map(|alert| alert.alert_id.clone()));
    }

    fn unstored(&mut self, now: Duration) -> &mut Unstored {
        self.unstored.get_or_insert_with(|| Box::new(Unstored { since: now, ..Unstored::default() }))
    }

    /// A channel has an alert. Returns whether that is news.
    pub(super) fn taken(&mut self, alert: &Arc<Alert>, channel: &Arc<str>, now: Duration) -> bool {
        if !alert.kind.opens() {
            self.on_end_delivered(alert);
        } else if !self.is_stored(&alert.alert_id) {
            let in_attempt = self.pending_write.as_mut().and_then(|pending_write| pending_write.unstored.as_mut());
            match in_attempt.filter(|unstored| unstored.alerts.contains(&alert.alert_id)) {
                Some(unstored) => unstored.told.push(Arc::clone(alert)),
                None => self.unstored(now).told.push(Arc::clone(alert)),
            }
        }
        if !delivery::mark_delivered(&mut self.state.owed, &alert.alert_id, channel) {
            return false;
        }
        self.dirty = true;
        let taken = &mut self.unstored(now).taken;
        if taken.len() < TAKEN_MAX {
            taken.push((alert.alert_id.clone(), Arc::clone(channel)));
        }
        true
    }

    /// A channel got the end of an outage that is not stored: for that channel there is nothing left to withdraw.
    fn on_end_delivered(&mut self, end: &Alert) {
        let in_attempt = self.pending_write.as_mut().and_then(|pending_write| pending_write.unstored.as_mut());
        for unstored in in_attempt.into_iter().chain(self.unstored.as_mut()) {
            if let Some(ended) = unstored.told.iter().position(|told| told.incident_id == end.incident_id) {
                unstored.told.remove(ended);
                return;
            }
        }
    }

    /// One more channel was told an outage that is not in the store.
    pub(super) fn told(&mut self, alert: &Arc<Alert>, now: Duration) {
        self.unstored(now).told.push(Arc::clone(alert));
    }

    fn all_unstored(&self) -> impl Iterator<Item = &Unstored> {
        let in_attempt = self.pending_write.as_ref().and_then(|pending_write| pending_write.unstored.as_deref());
        in_attempt.into_iter().chain(self.unstored.as_deref())
    }

    /// Since when something that matters has been waiting to be stored.
    pub(super) fn unstored_since(&self) -> Option<Duration> {
        self.all_unstored().map(|unstored| unstored.since).next()
    }

    /// Whether the alert is in the store.
    pub(super) fn is_stored(&self, alert_id: &str) -> bool {
        !self.all_unstored().any(|unstored| unstored.alerts.iter().any(|alert| alert == alert_id))
    }

    /// Whether anything is not in the store.
    pub(super) fn is_unsaved(&self) -> bool {
        self.dirty || self.pending_write.is_some()
    }

    /// What to write now: the attempt that is still open, or a new one.
    pub(super) fn begin_write(&mut self, epoch: u64, call: u64, now: Duration) -> StateWrite {
        self.writing = Writing::InFlight(call);
        if let Some(pending_write) = &self.pending_write {
            return pending_write.write.clone();
        }
        self.dirty = false;
        let version = self.state.version.max(self.stored_version).saturating_add(1);
        let state = Arc::new(ApiState { version, epoch, ..self.state.clone() });
        let write = StateWrite { expected_version: self.stored_version, state };
        self.pending_write =
            Some(Box::new(PendingWrite { write: write.clone(), since: now, unstored: self.unstored.take() }));
        write
    }

    /// The write is durable.
    pub(super) fn stored(&mut self) {
        if let Some(pending_write) = self.pending_write.take() {
            let written = &pending_write.write.state;
            (self.state.version, self.state.epoch, self.stored_version) =
                (written.version, written.epoch, written.version);
            self.unsealed_since = None;
        }
        self.failures = 0;
        self.writing = Writing::Idle;
    }

    /// The write failed, and is tried again after a while.
    pub(super) fn failed(&mut self, now: Duration, a_person_must_act: bool) {
        let wait = if a_person_must_act {
            STORE_WAIT_PERMANENT
        } else {
            store_wait(self.failures, self.state.api_id.stable_hash())
        };
        self.failures = self.failures.saturating_add(1);
        self.writing = Writing::Waiting(now.saturating_add(wait));
    }

    /// Whether a write has failed since one went through.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Somebody deleted the record. The state in memory is all there is, so it is written again as it is, and no alert is sent a
    /// second time.
    pub(super) fn on_record_missing(&mut self) {
        self.stored_version = 0;
        self.reopen();
    }

    /// Gives up the pending write. Its version is never used again: that write may still land, or come back from a backup.
    fn reopen(&mut self) {
        let pending_write = self.pending_write.take();
        let sent_version = pending_write.as_ref().map_or(0, |pending_write| pending_write.write.state.version);
        self.state.version = self.state.version.max(sent_version);
        let sent = pending_write.and_then(|pending_write| pending_write.unstored);
        if let Some(mut sent) = sent {
            if let Some(later) = self.unstored.take() {
                sent.alerts.extend(later.alerts);
                sent.taken.extend(later.taken);
                sent.told.extend(later.told);
            }
            self.unstored = Some(sent);
        }
        self.dirty = true;
        self.writing = Writing::Idle;
    }

    /// The stored record is not the expected one. Decides which of the two counts, for the owner with `epoch`. Deliveries are
    /// facts: what a channel has taken stays delivered.
    pub(super) fn resolve_conflict(&mut self, stored: ApiState, epoch: u64, now: Duration) -> ConflictResolution {
        if self.pending_write.as_ref().is_some_and(|pending_write| *pending_write.write.state == stored) {
            self.stored();
            return ConflictResolution::WasOurs;
        }
        if stored.epoch > epoch {
            return ConflictResolution::HigherEpoch;
        }
        if (stored.epoch, stored.version) <= (self.state.epoch, self.state.version) {
            self.stored_version = stored.version;
            self.reopen();
            return ConflictResolution::OldCopy;
        }
        self.reopen();
        let unstored = self.unstored.take();
        let forgot = unstored.is_some();
        let Unstored { taken, told, .. } = unstored.map(|unstored| *unstored).unwrap_or_default();
        let missed_ticks = self.state.missed_ticks.max(stored.missed_ticks);
        self.stored_version = stored.version;
        self.dirty = missed_ticks != stored.missed_ticks;
        self.state = ApiState { missed_ticks, ..stored };
        self.failures = 0;
        for (alert_id, channel) in taken {
            if delivery::mark_delivered(&mut self.state.owed, &alert_id, &channel) {
                self.dirty = true;
                self.unstored(now).taken.push((alert_id, channel));
            }
        }
        ConflictResolution::Adopted { forgot, told }
    }

    /// Outages that were delivered and could not be stored: the next owner has to know of them.
    pub(super) fn delivered_unstored(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.all_unstored().flat_map(|unstored| &unstored.told)
    }

    /// The keeper was restarted: no call is under way. A write that was sent is sent again unchanged.
    pub(super) fn reset_for_restart(&mut self) {
        self.writing = Writing::Idle;
        self.stored_after_wipes = 0;
    }
}
