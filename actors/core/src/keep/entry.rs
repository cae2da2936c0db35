//! The state of one API in memory, and which part of it is not in the store yet.

use std::sync::Arc;

use super::history::Recording;
use super::waits::{STORE_WAIT_PERMANENT, store_wait};
use crate::alert::Alert;
use crate::api::ApiConfig;
use crate::delivery::OWED_MAX;
use crate::figures::ProbeFigures;
use crate::state::ApiState;
use crate::store::StateWrite;
use crate::time::{Monotonic, Timestamp};

/// At most this many deliveries of one API are remembered while they cannot be stored. An alert beyond that may be sent twice, if
/// the stored record turns out to be another one.
const UNSTORED_DELIVERIES_MAX: usize = 4 * OWED_MAX;

/// Decisions and deliveries that are not in the store yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Unstored {
    /// Since when there are any.
    since: Monotonic,
    /// The ids of the alerts that these decisions owe, at most as many as an outbox holds.
    alerts: Vec<String>,
    /// Alerts that a channel has, by id: facts, whatever becomes of the decisions. At most [`UNSTORED_DELIVERIES_MAX`].
    deliveries: Vec<(String, Arc<str>)>,
    /// Outages that were sent before they were stored, and whose end was not sent yet: at most one for each channel, and those
    /// that are being withdrawn.
    outages: Vec<Arc<Alert>>,
}

/// A write that was sent and has no certain answer yet. It is sent again as it is until it has one, so that a lost answer
/// is not mistaken for somebody else's write.
#[derive(Clone, Debug)]
pub(super) struct PendingWrite {
    pub(super) write: StateWrite,
    /// When it was sent first.
    pub(super) since: Monotonic,
    /// What becomes stored by it.
    unstored: Option<Box<Unstored>>,
}

/// Where the next write of an API stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing to write.
    #[default]
    Idle,
    /// Nothing that decides changed: the write may wait until then.
    AtCheckpoint(Monotonic),
    Queued,
    /// Sent, in the call of that number.
    InFlight(u64),
    /// It failed, and is tried again then.
    Waiting(Monotonic),
}

/// How a version conflict is resolved: what the stored record means for the owner of the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ConflictResolution {
    /// It is the one that was sent: only the answer was lost.
    WasOurs,
    /// Somebody with a higher epoch wrote it: the shard is lost.
    HigherEpoch,
    /// It is no newer than what this owner knows: a copy from a backup, or edited by hand. It is overwritten.
    OldCopy,
    /// A former owner wrote it, or somebody by hand: it counts, and decisions that were not stored are dropped.
    Adopted {
        /// A decision was dropped, so that the API has to be probed again.
        forgot: bool,
        /// Outages that were sent and are not in it.
        outages: Vec<Arc<Alert>>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The state, including what is not stored yet. Epoch and version are those of the newest known record; the version is higher
    /// where a write was given up.
    pub(super) state: ApiState,
    /// The version of the stored record, as far as is known; 0: there is none.
    pub(super) stored_version: u64,
    /// While the API is watched: the fingerprint of its request. Outcomes with another one do not count.
    pub(super) request_fingerprint: Option<u16>,
    /// While the API is watched: its config.
    pub(super) api: Option<Arc<ApiConfig>>,
    /// Since when a late write of a former owner may still land: until this owner has written the record with its own epoch (the
    /// seal). `None`: it is sealed, or needs no seal.
    pub(super) unsealed_since: Option<Monotonic>,
    unstored: Option<Box<Unstored>>,
    pub(super) pending_write: Option<Box<PendingWrite>>,
    pub(super) writing: Writing,
    /// Something changed since the last write was made.
    pub(super) dirty: bool,
    /// How often the store had lost its data when this was stored last (`Ledger::store_wipes`).
    pub(super) stored_after_wipes: u32,
    /// The next outcome is late after this; `None`: none is expected.
    pub(super) late_after: Option<Monotonic>,
    /// What is recorded of it for people, once it was probed.
    pub(super) recording: Option<Box<Recording>>,
    /// Until when it was watched before, where another process or owner did that.
    pub(super) alive_until: Option<Timestamp>,
    /// Writes in a row that failed.
    failures: u32,
    /// What the last probe of this process measured.
    pub(super) figures: Option<ProbeFigures>,
    /// The ledger has noted that it may have changed.
    pub(super) is_touched: bool,
}

impl Entry {
    /// An API as it was stored, or unknown.
    pub(super) fn new(state: ApiState, unsealed_since: Option<Monotonic>) -> Self {
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
            recording: None,
            alive_until: None,
            failures: 0,
            figures: None,
            is_touched: false,
        }
    }

    /// It is configured and enabled.
    pub(super) fn is_watched(&self) -> bool {
        self.request_fingerprint.is_some()
    }

    /// Notes that a decision is not stored yet, and which alert it owes.
    pub(super) fn mark_unsaved(&mut self, alert: Option<&Alert>, now: Monotonic) {
        self.dirty = true;
        if let Some(unstored) = &mut self.unstored {
            let is_owed = |alert_id: &String| self.state.owed.iter().any(|owed| owed.alert.alert_id == *alert_id);
            unstored.alerts.retain(is_owed);
        }
        self.unstored(now).alerts.extend(alert.map(|alert| alert.alert_id.clone()));
    }

    fn unstored(&mut self, now: Monotonic) -> &mut Unstored {
        self.unstored.get_or_insert_with(|| Box::new(Unstored { since: now, ..Unstored::default() }))
    }

    /// A channel has an alert. Whether that was not known before.
    pub(super) fn on_delivered(&mut self, alert: &Arc<Alert>, channel: &Arc<str>, now: Monotonic) -> bool {
        if !alert.kind.starts_incident() {
            self.on_end_delivered(alert);
        } else if !self.is_stored(&alert.alert_id) {
            let in_pending_write =
                self.pending_write.as_mut().and_then(|pending_write| pending_write.unstored.as_mut());
            match in_pending_write.filter(|unstored| unstored.alerts.contains(&alert.alert_id)) {
                Some(unstored) => unstored.outages.push(Arc::clone(alert)),
                None => self.unstored(now).outages.push(Arc::clone(alert)),
            }
        }
        if !self.state.mark_delivered(&alert.alert_id, channel) {
            return false;
        }
        self.dirty = true;
        let deliveries = &mut self.unstored(now).deliveries;
        if deliveries.len() < UNSTORED_DELIVERIES_MAX {
            deliveries.push((alert.alert_id.clone(), Arc::clone(channel)));
        }
        true
    }

    /// Notes when a channel took an alert, in the incident that it is of.
    pub(super) fn note_delivered(&mut self, alert: &Alert, channel: &str, at: Timestamp) {
        let state = &mut self.state;
        let open = state.incident.as_deref_mut();
        let held = state.held.as_mut().and_then(|held| held.ended.as_deref_mut());
        let waiting = state.awaiting_history.iter_mut().map(|story| &mut story.incident);
        for incident in open.into_iter().chain(held).chain(waiting) {
            if incident.incident_id == alert.incident_id {
                incident.note_delivered(channel, alert.kind, at);
            }
        }
    }

    /// A channel has the end of an outage that is not stored: there is nothing to withdraw from it.
    fn on_end_delivered(&mut self, end: &Alert) {
        let in_pending_write = self.pending_write.as_mut().and_then(|pending_write| pending_write.unstored.as_mut());
        for unstored in in_pending_write.into_iter().chain(self.unstored.as_mut()) {
            if let Some(ended) = unstored.outages.iter().position(|outage| outage.incident_id == end.incident_id) {
                unstored.outages.remove(ended);
                return;
            }
        }
    }

    /// One more channel has an outage that is not in the store.
    pub(super) fn add_delivered_unstored(&mut self, alert: &Arc<Alert>, now: Monotonic) {
        self.unstored(now).outages.push(Arc::clone(alert));
    }

    fn all_unstored(&self) -> impl Iterator<Item = &Unstored> {
        let in_pending_write = self.pending_write.as_ref().and_then(|pending_write| pending_write.unstored.as_deref());
        in_pending_write.into_iter().chain(self.unstored.as_deref())
    }

    /// Since when a decision or a delivery has been waiting for the store.
    pub(super) fn unstored_since(&self) -> Option<Monotonic> {
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

    /// What to write now: the pending write, unchanged, or a new one.
    pub(super) fn begin_write(&mut self, epoch: u64, call: u64, now: Monotonic) -> StateWrite {
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

    /// The pending write is durable.
    pub(super) fn on_written(&mut self) {
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
    pub(super) fn on_write_failed(&mut self, now: Monotonic, a_person_must_act: bool) {
        let wait = if a_person_must_act {
            STORE_WAIT_PERMANENT
        } else {
            store_wait(self.failures, self.state.api_id.stable_hash())
        };
        self.failures = self.failures.saturating_add(1);
        self.writing = Writing::Waiting(now.saturating_add(wait));
    }

    /// Whether the last write failed.
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
                sent.deliveries.extend(later.deliveries);
                sent.outages.extend(later.outages);
            }
            self.unstored = Some(sent);
        }
        self.dirty = true;
        self.writing = Writing::Idle;
    }

    /// The stored record is not the expected one: decides which of the two counts, for the owner with `epoch`. Deliveries stay
    /// delivered either way.
    pub(super) fn resolve_conflict(&mut self, stored: ApiState, epoch: u64, now: Monotonic) -> ConflictResolution {
        if self.pending_write.as_ref().is_some_and(|pending_write| *pending_write.write.state == stored) {
            self.on_written();
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
        let Unstored { deliveries, outages, .. } = unstored.map(|unstored| *unstored).unwrap_or_default();
        let missed_ticks = self.state.missed_ticks.max(stored.missed_ticks);
        self.stored_version = stored.version;
        self.dirty = missed_ticks != stored.missed_ticks;
        self.state = ApiState { missed_ticks, ..stored };
        self.failures = 0;
        for (alert_id, channel) in deliveries {
            if self.state.mark_delivered(&alert_id, &channel) {
                self.dirty = true;
                self.unstored(now).deliveries.push((alert_id, channel));
            }
        }
        ConflictResolution::Adopted { forgot, outages }
    }

    /// Outages that were sent and could not be stored: the next owner has to withdraw them.
    pub(super) fn delivered_unstored(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.all_unstored().flat_map(|unstored| &unstored.outages)
    }
}
