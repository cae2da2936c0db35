//! Handles the answers of the store: a write was durable, it failed, or it met an unexpected record.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{ConflictResolution, Entry};
use super::health::ANSWER_MAX;
use super::self_monitoring::SelfMonitored;
use super::{Effect, Keeper, Lease, LogEvent, Request};
use crate::alert::Alert;
use crate::api::ApiId;
use crate::delivery;
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::store::{CommitError, StoreError};
use crate::throttle::LogThrottle;
use crate::time::Monotonic;

/// Log lines that would otherwise come with each write.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttles {
    one_record: LogThrottle,
    other_record: LogThrottle,
    old_copy: LogThrottle,
}

/// The result of reading one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordRead {
    /// It is there.
    Found(Box<ApiState>),
    /// There is none.
    Gone,
    /// It was damaged and is in quarantine: there is none now.
    Quarantined,
    /// A newer version of the program wrote it, for the reason given: it is not overwritten.
    Newer(String),
    /// It could not be read.
    Failed(StoreError),
}

impl Keeper {
    /// Sends as many batches as the store takes at once. Writes nothing unless the lease is held.
    pub(super) fn write_queued(&mut self, now: Moment) {
        if self.lease != Lease::Valid || (!self.flushing && !self.health.may_be_tried(now.monotonic)) {
            return;
        }
        let limits = self.setup.limits;
        while self.ledger.calls() < limits.batches_in_flight_max && self.ledger.has_queue() {
            let owned = &self.owned;
            let writes = self.ledger.next_batch(limits.batch_max, |api_id| owned.epoch(api_id), now.monotonic);
            if !writes.is_empty() {
                let call = self.ledger.call_began(now.monotonic);
                self.effects.push(Effect::Commit { call, writes });
            }
        }
    }

    /// The results of a batch, one for each write, in order.
    pub fn on_commit_results(&mut self, call: u64, results: Vec<(ApiId, Result<(), CommitError>)>, now: Moment) {
        self.ledger.call_ended(call);
        for (api_id, result) in results {
            if !self.ledger.is_awaiting(&api_id, call) {
                continue;
            }
            match result {
                Ok(()) => {
                    self.on_store_success(now);
                    self.ledger.on_written(&api_id);
                    self.ledger.queue_if_dirty(&api_id, now.monotonic, self.flushing);
                    self.offer(&api_id, now);
                }
                Err(CommitError::Conflict) => {
                    let call = self.ledger.call_began(now.monotonic);
                    self.ledger.mark_in_flight(&api_id, call);
                    self.effects.push(Effect::ReadRecord { call, api_id });
                }
                Err(CommitError::Store(error)) => self.on_write_failed(&api_id, &error, now),
            }
        }
        self.dispatch_due(now);
        self.write_queued(now);
        self.answer_waiters();
    }

    /// A write went through, or met a conflict: the store works.
    fn on_store_success(&mut self, now: Moment) {
        self.health.on_write_success(now.monotonic, &mut self.log);
        self.report_store_recovery(now);
    }

    fn on_write_failed(&mut self, api_id: &ApiId, error: &StoreError, now: Moment) {
        // If other writes went through meanwhile, the fault is with this record, not the store.
        let began = self
            .ledger
            .get(api_id)
            .and_then(|entry| entry.pending_write.as_ref())
            .map(|pending_write| pending_write.since);
        let others_went_through = began.is_some_and(|began| self.health.has_stored_since(began));
        self.ledger.on_write_failed(api_id, now.monotonic, matches!(error, StoreError::Misconfigured { .. }));
        if others_went_through && !self.health.is_out() {
            if let Some(lines_left_out) = self.throttles.one_record.allow(now.monotonic) {
                let error = error.to_string();
                self.log.push(LogEvent::OneRecord { api_id: api_id.clone(), error, lines_left_out });
            }
            return;
        }
        self.on_store_failure(error, None, now);
    }

    pub(super) fn on_store_failure(&mut self, error: &StoreError, heartbeat_sent: Option<Monotonic>, now: Moment) {
        let waiting = self.ledger.waiting();
        self.health.on_failure(error, heartbeat_sent, (now.monotonic, now.wall), waiting, &mut self.log);
    }

    /// A store that does not answer counts as down.
    pub(super) fn detect_hanging_store(&mut self, now: Moment) {
        let hangs_for = |since: Option<Monotonic>| {
            since.map(|since| now.monotonic.saturating_sub(since)).filter(|silent| *silent >= ANSWER_MAX)
        };
        let no_answer = |silent: Duration, name: &str| {
            StoreError::Unavailable(format!("{name} has given no answer for {} s", silent.as_secs()))
        };
        let heartbeat = self.heartbeats.under_way_since;
        if let Some(silent) = hangs_for(self.ledger.oldest_call()) {
            self.on_store_failure(&no_answer(silent, &self.setup.store_name), None, now);
        } else if let Some(silent) = hangs_for(heartbeat) {
            self.on_store_failure(&no_answer(silent, &self.setup.store_name), heartbeat, now);
        }
    }

    /// Alerts once that the store is down, after [`STORE_GONE_AFTER`](super::STORE_GONE_AFTER). The leader does.
    pub(super) fn report_store_outage(&mut self, now: Moment) {
        if self.owned.is_leader()
            && let Some((why, since)) = self.health.take_outage_to_report(now.monotonic)
        {
            let store = SelfMonitored::store(&self.setup.store_name);
            self.decide_about(&store, Some(why), now, since);
        }
    }

    /// Alerts that the store is back, if there was an alert that it is down.
    pub(super) fn report_store_recovery(&mut self, now: Moment) {
        if self.has_incident(&ApiId::monitor_store()) {
            let store = SelfMonitored::store(&self.setup.store_name);
            self.decide_about(&store, None, now, now.wall);
        }
    }

    /// A record was read: that of a parent, or that of an API after a conflict. Only the conflict proves that the store takes writes.
    pub fn on_record_read(&mut self, call: u64, api_id: &ApiId, read: RecordRead, now: Moment) {
        self.ledger.call_ended(call);
        let is_of_a_parent = self.on_parent_read(call, &read, now.monotonic);
        if !is_of_a_parent && !matches!(read, RecordRead::Failed(_)) {
            self.on_store_success(now);
        }
        if is_of_a_parent || !self.ledger.is_awaiting(api_id, call) {
            self.write_queued(now);
            return self.answer_waiters();
        }
        match read {
            RecordRead::Found(stored) => self.resolve_conflict(api_id, *stored, now),
            RecordRead::Gone => self.on_record_gone(api_id, now),
            RecordRead::Quarantined => self.write_again(api_id),
            RecordRead::Newer(why) => self.leave_alone(api_id, why, now),
            RecordRead::Failed(error) => self.on_write_failed(api_id, &error, now),
        }
        self.write_queued(now);
        self.answer_waiters();
    }

    fn resolve_conflict(&mut self, api_id: &ApiId, stored: ApiState, now: Moment) {
        let Some(epoch) = self.owned.epoch(api_id) else { return };
        let Some(entry) = self.ledger.get_mut(api_id) else { return };
        let (version, stored_epoch) = (stored.version, stored.epoch);
        match entry.resolve_conflict(stored, epoch, now.monotonic) {
            ConflictResolution::WasOurs => {
                self.ledger.on_written(api_id);
                self.log.push(LogEvent::AnswerLost { api_id: api_id.clone() });
                self.ledger.queue_if_dirty(api_id, now.monotonic, self.flushing);
            }
            ConflictResolution::HigherEpoch => {
                let shard = self.owned.shard(api_id);
                self.effects.push(Effect::Request(Request::ShardFenced { shard, epoch: stored_epoch }));
            }
            ConflictResolution::OldCopy => {
                if let Some(lines_left_out) = self.throttles.old_copy.allow(now.monotonic) {
                    self.log.push(LogEvent::OldCopy { api_id: api_id.clone(), version, lines_left_out });
                }
                self.ledger.queue(api_id);
            }
            ConflictResolution::Adopted { forgot, outages } => {
                if let Some(lines_left_out) = self.throttles.other_record.allow(now.monotonic) {
                    self.log.push(LogEvent::Adopted { api_id: api_id.clone(), version, lines_left_out });
                }
                self.on_adopted(api_id, forgot, &outages, now);
                self.note_open_or_ended(api_id);
            }
        }
        self.note_outbox(api_id);
        if let Some(entry) = self.ledger.get(api_id) {
            self.holds.note(&entry.state);
        }
        self.offer_now(api_id, now);
    }

    fn on_adopted(&mut self, api_id: &ApiId, forgot: bool, outages: &[Arc<Alert>], now: Moment) {
        // What waited for its next try may not be in this record: what is must not inherit the wait.
        self.channels.iter_mut().for_each(|channel| channel.queue.forget(api_id));
        for outage in outages {
            self.withdraw_outage(outage, now);
        }
        if let Some(entry) = self.ledger.get_mut(api_id) {
            delivery::assign_channels(&mut entry.state.owed, self.setup.routes.channels());
            // Until the record is sealed with our epoch, a late write may still replace it.
            entry.dirty |= entry.unsealed_since.is_some();
            if entry.dirty {
                self.ledger.queue(api_id);
            }
        }
        if forgot {
            self.effects.push(Effect::Request(Request::ProbeAgain(api_id.clone())));
        }
    }

    /// Somebody deleted the record: it is written again, and all others as well if it had been stored.
    fn on_record_gone(&mut self, api_id: &ApiId, now: Moment) {
        let was_stored = self.ledger.get(api_id).is_some_and(|entry| entry.stored_version > 0);
        let others = self.ledger.on_record_lost(api_id, now.monotonic);
        if was_stored {
            self.log.push(LogEvent::RecordGone { api_id: api_id.clone() });
        }
        if let Some(others) = others {
            self.log.push(LogEvent::RecordsRewritten { others });
        }
        self.write_again(api_id);
    }

    fn write_again(&mut self, api_id: &ApiId) {
        if let Some(entry) = self.ledger.get_mut(api_id) {
            entry.on_record_missing();
            self.ledger.queue(api_id);
        }
    }

    /// A newer version wrote this record: it is not overwritten, and the write is tried again slowly.
    fn leave_alone(&mut self, api_id: &ApiId, why: String, now: Moment) {
        if self.ledger.get(api_id).is_some_and(|entry| !entry.has_failed()) {
            self.log.push(LogEvent::RecordNewer { api_id: api_id.clone(), why });
        }
        self.ledger.on_write_failed(api_id, now.monotonic, true);
    }

    pub(super) fn note_outbox(&mut self, api_id: &ApiId) {
        self.note_waiting_for_history(api_id);
        if self.ledger.get(api_id).is_some_and(|entry: &Entry| !entry.state.owed.is_empty()) {
            self.with_outbox.insert(api_id.clone());
        } else {
            self.with_outbox.remove(api_id);
        }
    }
}
