//! Sends owed alerts: may this alert go out now, and what came of the attempt.
//!
//! An alert goes out when the record that owes it is stored, no late write of a former owner can replace that record, and the lease
//! holds at that moment. When the store is down it goes out anyway after [`UNSTORED_MAX`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::own_channel::OwnChannel;
use super::{Channel, Effect, Keeper, Lease, Request, channels_of};
use crate::alert::Alert;
use crate::api::ApiId;
use crate::decide::withdraw;
use crate::delivery;
use crate::schedule::Moment;
use crate::time::{Monotonic, Timestamp};

/// An owed alert that could not be stored for this long is sent anyway: better twice than never (P5).
pub const UNSTORED_MAX: Duration = Duration::from_secs(30);

/// A worker that has seen others and cannot renew its lease waits this long before it sends alerts: by then another one owns its
/// shards, unless nobody can reach the store.
const LAPSED_MIN: Duration = Duration::from_secs(20);

/// The longest that a retry time noted by an earlier process is respected: an operator who fixed a channel and restarted wants to
/// see the alert soon.
const RESUMED_BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The result of a delivery is stored within this, however far apart checkpoints are.
pub const NOTED_WITHIN: Duration = Duration::from_secs(60);

/// For this long after somebody asked for a retry, results of deliveries are stored at once.
const STORE_AT_ONCE_FOR: Duration = Duration::from_secs(30);

/// A cancelled attempt is made again after this: its cause, the end of the alerter or of the lease, has to be noticed first.
const CANCELLED_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The channel has it.
    Delivered,
    /// It does not have it, or nobody knows.
    Failed {
        why: String,
        /// How long to wait before the next attempt.
        wait: Duration,
        /// The channel asked to be left alone for so long, with whatever alert.
        patience: Option<Duration>,
    },
    /// It refuses this digest for good: its alerts go out one by one, at once.
    DigestRefused { why: String },
    /// It was cancelled, or never begun: it is offered again.
    Cancelled,
}

/// Whether an alert may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Yes: it is stored.
    Yes,
    /// Yes, although it is not stored (P5).
    Unstored,
    No,
}

impl Keeper {
    fn may_send(&self, api_id: &ApiId, entry: &Entry, alert_id: &str, now: Monotonic) -> May {
        if !self.owned.owns(api_id) || self.owned.is_releasing(api_id) {
            return May::No;
        }
        let is_stored = entry.is_stored(alert_id) && entry.unsealed_since.is_none();
        if self.lease == Lease::Valid && is_stored {
            return if self.shutting_down { May::No } else { May::Yes };
        }
        let held_up = |since: Option<Monotonic>| since.is_some_and(|since| now.saturating_sub(since) >= UNSTORED_MAX);
        // The alert that the store is down cannot be stored, so it goes out at once.
        let is_due = is_stored
            || held_up(entry.unstored_since())
            || held_up(entry.unsealed_since)
            || (*api_id == ApiId::monitor_store() && entry.unstored_since().is_some());
        let nobody_else_can = match self.lease {
            Lease::Valid => true,
            Lease::NoSession => false,
            Lease::Lapsed { lapsed_for, met_others, refused } => {
                let lapsed_at = now.saturating_sub(lapsed_for);
                let network_is_well = self.passed_at.is_some_and(|at| at > lapsed_at);
                let silent = !refused && self.health.is_silent();
                silent && (!met_others || (lapsed_for >= LAPSED_MIN && network_is_well))
            }
        };
        if self.setup.fail_open && is_due && nobody_else_can { May::Unstored } else { May::No }
    }

    /// Offers every channel its next alert of every API, unless one is being delivered.
    pub(super) fn offer_all(&mut self, now: Moment) {
        let mut owing: Vec<ApiId> = self.with_outbox.iter().cloned().collect();
        // The oldest first, where many wait.
        owing.sort_by_cached_key(|api_id| {
            let oldest = |entry: &Entry| entry.state.owed.first().map(|owed| owed.alert.detected_at);
            (self.ledger.get(api_id).and_then(oldest), api_id.clone())
        });
        for api_id in owing {
            self.offer(&api_id, now);
        }
        self.dispatch_due(now);
    }

    /// Queues an API in every channel for which an alert of it may go out.
    pub(super) fn offer(&mut self, api_id: &ApiId, now: Moment) {
        let Some(entry) = self.ledger.get(api_id).filter(|entry| !entry.state.owed.is_empty()) else {
            self.with_outbox.remove(api_id);
            return;
        };
        for at in 0..self.channels.len() {
            if let Some(owed) = delivery::next_for(&entry.state.owed, &self.channels[at].name)
                && self.may_send(api_id, entry, &owed.alert.alert_id, now.monotonic) != May::No
            {
                self.channels[at].queue.queue(api_id, owed.alert.detected_at, now.monotonic);
            }
        }
    }

    /// Offers the alerts of one API.
    pub(super) fn offer_now(&mut self, api_id: &ApiId, now: Moment) {
        self.offer(api_id, now);
        self.dispatch_due(now);
    }

    /// Sends as much as the channels have room for.
    pub(super) fn dispatch_due(&mut self, now: Moment) {
        let hurry = self.flushing || self.is_retry_asked(now.monotonic);
        for at in 0..self.channels.len() {
            while let count @ 1.. = self.channels[at].message_size(hurry, now.monotonic) {
                self.dispatch(at, count, now);
            }
        }
    }

    /// Sends so many of those that wait for the channel at that place as one message, or fewer.
    fn dispatch(&mut self, at: usize, count: usize, now: Moment) {
        let (mut alerts, mut failures, mut unstored) = (Vec::new(), 0, false);
        while alerts.len() < count {
            let Some(api_id) = self.channels[at].queue.take() else { break };
            let Some(entry) = self.ledger.get(&api_id) else { continue };
            let channel = &self.channels[at].name;
            let Some(owed) = delivery::next_for(&entry.state.owed, channel) else { continue };
            let is_unstored = match self.may_send(&api_id, entry, &owed.alert.alert_id, now.monotonic) {
                May::No => continue, // it is offered again later
                may => may == May::Unstored,
            };
            if !alerts.is_empty() && is_unstored != unstored {
                // The lease that one is sent under is not asked of the other.
                self.channels[at].queue.queue(&api_id, owed.alert.detected_at, now.monotonic);
                break;
            }
            unstored = is_unstored;
            failures = owed.delivery(channel).map_or(0, |delivery| delivery.failures).max(failures);
            alerts.push(Arc::new(owed.alert.clone()));
        }
        if alerts.is_empty() {
            return;
        }
        let channel = &mut self.channels[at];
        channel.on_sent(&alerts, now.monotonic);
        self.effects.push(Effect::Deliver { channel: Arc::clone(&channel.name), alerts, failures, unstored });
    }

    /// An attempt to deliver these alerts, in one message, has ended.
    pub fn on_delivery_result(
        &mut self,
        channel: &Channel,
        alerts: &[Arc<Alert>],
        unstored: bool,
        result: &DeliveryResult,
        now: Moment,
    ) {
        if let Some(own) = self.own_channel(channel) {
            own.on_result(alerts.len(), result, now.monotonic);
        }
        for alert in alerts {
            self.note_delivery_result(channel, alert, unstored, result, now);
        }
        self.write_queued(now);
        for alert in alerts {
            self.offer(&alert.api_id, now);
        }
        self.dispatch_due(now);
        self.answer_waiters();
    }

    /// Notes in the record of one API what came of an attempt.
    fn note_delivery_result(
        &mut self,
        channel: &Channel,
        alert: &Arc<Alert>,
        unstored: bool,
        result: &DeliveryResult,
        now: Moment,
    ) {
        let api_id = &alert.api_id;
        let wait = match result {
            DeliveryResult::Failed { wait, .. } => Some(*wait),
            DeliveryResult::Cancelled | DeliveryResult::DigestRefused { .. } => Some(CANCELLED_AGAIN_AFTER),
            DeliveryResult::Delivered => None,
        };
        // `None` as well where its shard was given up meanwhile.
        let next_try =
            wait.filter(|_| self.ledger.get(api_id).is_some()).map(|wait| now.monotonic.saturating_add(wait));
        if let Some(own) = self.own_channel(channel) {
            own.queue.next_try(api_id, next_try);
        }
        match (self.ledger.get_mut(api_id), result) {
            (None, DeliveryResult::Delivered) if unstored && alert.kind.starts_incident() => {
                self.effects.push(Effect::Request(Request::Withdraw(Arc::clone(alert))));
            }
            (Some(entry), DeliveryResult::Delivered) => {
                let is_news = entry.on_delivered(alert, channel, now.monotonic);
                if is_news {
                    entry.note_delivered(alert, channel, now.wall);
                    self.ledger.queue(api_id);
                } else if unstored && alert.kind.starts_incident() {
                    // The decision was dropped meanwhile, for a record without this outage.
                    self.withdraw_outage(alert, now);
                }
            }
            // It changes nothing but the next try, so the write may wait.
            (Some(entry), DeliveryResult::Failed { why, .. } | DeliveryResult::DigestRefused { why }) => {
                let at = now.wall.plus(wait.unwrap_or_default());
                delivery::note_failure(&mut entry.state.owed, &alert.alert_id, channel, why, at);
                entry.dirty = true;
                if self.flushing || self.is_retry_asked(now.monotonic) || self.ledger.checkpoint() > NOTED_WITHIN {
                    // A process that ends leaves nothing unsaved, whoever asked for a retry wants to see its result, and with
                    // checkpoints an hour apart people could not see why an alert does not come.
                    self.ledger.queue(api_id);
                } else {
                    self.ledger.write_at_checkpoint(api_id, now.monotonic);
                }
            }
            _ => {}
        }
    }

    /// Whether somebody asked for a retry a moment ago, and waits for what comes of it.
    fn is_retry_asked(&self, now: Monotonic) -> bool {
        self.store_at_once_until.is_some_and(|until| now < until)
    }

    /// Respects the retry times that an earlier process noted.
    pub(super) fn resume_backoff(&mut self, api_id: &ApiId, now: Moment) {
        let Some(entry) = self.ledger.get(api_id) else { return };
        for OwnChannel { name, queue, .. } in &mut self.channels {
            let noted = delivery::next_for(&entry.state.owed, name).and_then(|owed| owed.delivery(name));
            if let Some(at) = noted.and_then(|delivery| delivery.next_try_at).filter(|at| *at > now.wall) {
                let wait = at.since(now.wall).min(RESUMED_BACKOFF_MAX);
                queue.wait(api_id, now.monotonic.saturating_add(wait));
            }
        }
    }

    /// Tries these alerts now, or all. Returns how many of them are owed.
    pub fn retry(&mut self, alert_ids: Option<&[String]>, now: Moment) -> usize {
        let is_asked_for = |alert_id: &String| alert_ids.is_none_or(|wanted| wanted.contains(alert_id));
        let owed_of = |entry: &Entry| entry.state.owed.iter().filter(|owed| is_asked_for(&owed.alert.alert_id)).count();
        let meant: HashMap<ApiId, usize> = self
            .with_outbox
            .iter()
            .filter_map(|api_id| Some((api_id.clone(), self.ledger.get(api_id).map(owed_of).filter(|owed| *owed > 0)?)))
            .collect();
        self.store_at_once_until = Some(now.monotonic.saturating_add(STORE_AT_ONCE_FOR));
        for channel in &mut self.channels {
            channel.queue.forget_waits(|api_id| meant.contains_key(api_id));
            channel.flow_control.try_now();
        }
        self.offer_all(now);
        meant.into_values().sum()
    }

    /// A person gave this channel up: what was decided until then is no longer owed to it. Returns how many alerts that were.
    pub fn drop_channel(&mut self, channel: &str, until: Timestamp, now: Moment) -> usize {
        let (mut dropped, mut dropped_of) = (0, HashSet::new());
        let is_concerned = |entry: &Entry| {
            entry.state.incident.is_some() || entry.state.held.is_some() || !entry.state.owed.is_empty()
        };
        for api_id in self.matching_ids(is_concerned) {
            let Some(entry) = self.ledger.get_mut(&api_id) else { continue };
            let here = delivery::drop_channel(&mut entry.state.owed, channel, until);
            let state = &mut entry.state;
            let ended = state.held.as_mut().and_then(|held| held.ended.as_mut());
            let incident = state.incident.as_mut().or(ended).filter(|incident| incident.started_at <= until);
            if incident.is_some_and(|incident| incident.drop_channel(channel)) || here > 0 {
                entry.mark_unsaved(None, now.monotonic);
                self.ledger.queue(&api_id);
                dropped += here;
                dropped_of.insert(api_id);
            }
        }
        // Later alerts do not wait for the backoff of those that were dropped.
        if let Some(own) = self.own_channel(channel) {
            own.queue.forget_waits(|api_id| dropped_of.contains(api_id));
        }
        self.tick(now);
        dropped
    }

    /// A worker that has lost the shard since sent this outage without being able to store it: it is withdrawn, unless the record
    /// knows it.
    pub fn withdraw(&mut self, outage: &Arc<Alert>, now: Moment) {
        if self.owned.owns(&outage.api_id) {
            self.withdraw_outage(outage, now);
            self.write_queued(now);
        }
    }

    /// Withdraws an outage that was sent and is not in the record. Until the withdrawal is stored, it stays noted, so that the next
    /// owner withdraws it, or this one does once more over another record.
    pub(super) fn withdraw_outage(&mut self, outage: &Arc<Alert>, now: Moment) {
        // By tags that are not known nobody could tell which channels have it.
        let about = outage.api_id.beside_api();
        let is_of_an_api = about.is_some() || !outage.api_id.is_self_monitoring();
        let api_id = about.as_ref().unwrap_or(&outage.api_id);
        let is_known = !is_of_an_api || self.ledger.get(api_id).is_some_and(Entry::is_watched);
        let channels = match is_known {
            true => channels_of(&self.setup.routes, &self.ledger, &outage.api_id).into_owned(),
            false => self.setup.routes.channels().to_vec(),
        };
        let state = &self.ledger.entry(&outage.api_id).state;
        if let Some(decision) = withdraw(state, outage, &channels, now.wall) {
            self.apply_decision(&outage.api_id, decision, now);
            let entry = self.ledger.entry(&outage.api_id);
            channels.iter().for_each(|_| entry.add_delivered_unstored(outage, now.monotonic));
        }
    }

    fn own_channel(&mut self, name: &str) -> Option<&mut OwnChannel> {
        self.channels.iter_mut().find(|own| *own.name == *name)
    }

    /// The APIs with an attempt in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &ApiId> {
        self.channels.iter().flat_map(|channel| channel.queue.in_flight())
    }

    /// These are the channels of the other workers.
    pub fn set_channels_elsewhere(&mut self, channels: impl IntoIterator<Item = String>) {
        self.channels_elsewhere = channels.into_iter().collect();
    }

    /// Whether something is owed to one of our own channels.
    pub(super) fn has_deliverable_alerts(&self) -> bool {
        let is_awaiting = |entry: &Entry| {
            self.channels.iter().any(|channel| delivery::next_for(&entry.state.owed, &channel.name).is_some())
        };
        self.with_outbox.iter().any(|api_id| self.ledger.get(api_id).is_some_and(is_awaiting))
    }
}
