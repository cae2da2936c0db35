//! Handing over what is owed: to each channel the oldest alert of an API that it does not have, one at a time.
//!
//! An alert goes out when three things are durable: the change of status, that it is owed, and that this process hands it
//! over (the claim). All three are in one record, and mostly in one write. When the store is dead for [`UNSTORED_MAX`] it
//! goes out all the same.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::delivery::{self, Standing};
use api_health_core::{Alert, ApiId};
use tokio::time::Instant;

use super::entry::{Change, Entry};
use super::{StateKeeper, UNSTORED_MAX};
use crate::alerter::{ATTEMPTS_MAX, Attempt, DeliverAlert};

/// The longest that the next try of an alert is put off by what a process before this one noted: what was mended with a
/// restart is seen soon.
const HEED_NOTED_WAIT_MAX: Duration = Duration::from_secs(60);

/// What came of an attempt is stored within this, however far checkpoints are apart.
pub const NOTED_WITHIN: Duration = Duration::from_secs(60);

/// How often a claim of another process is looked at.
const THEIRS_AGAIN: Duration = Duration::from_secs(1);

/// Where the next alert of one API through one channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// It is its turn as soon as there is room.
    Queued,
    /// An attempt is under way.
    InFlight,
    /// The last attempt failed.
    Waiting(Instant),
}

/// The lanes of all APIs, and the room in each channel.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<(ApiId, &'static str), Lane>,
    /// Whose turn it is, by channel.
    due: HashMap<&'static str, VecDeque<ApiId>>,
    in_flight: HashMap<&'static str, usize>,
}

impl Lanes {
    fn is_busy(&self, api_id: &ApiId, channel: &'static str, now: Instant) -> bool {
        match self.lanes.get(&(api_id.clone(), channel)) {
            Some(Lane::Queued | Lane::InFlight) => true,
            Some(Lane::Waiting(until)) => *until > now,
            None => false,
        }
    }

    fn is_in_flight(&self, api_id: &ApiId, channel: &'static str) -> bool {
        self.lanes.get(&(api_id.clone(), channel)) == Some(&Lane::InFlight)
    }

    /// Whether any attempt is under way.
    pub(super) fn are_in_flight(&self) -> bool {
        self.in_flight.values().any(|count| *count > 0)
    }

    fn set(&mut self, api_id: &ApiId, channel: &'static str, lane: Option<Lane>) {
        let key = (api_id.clone(), channel);
        match lane {
            Some(lane) => self.lanes.insert(key, lane),
            None => self.lanes.remove(&key),
        };
    }

    fn queue(&mut self, api_id: &ApiId, channel: &'static str) {
        self.set(api_id, channel, Some(Lane::Queued));
        self.due.entry(channel).or_default().push_back(api_id.clone());
    }

    /// The next one whose turn it is, if there is room; its lane is free then.
    fn take(&mut self, channel: &'static str) -> Option<ApiId> {
        if self.in_flight.get(channel).is_some_and(|count| *count >= ATTEMPTS_MAX) {
            return None;
        }
        let api_id = self.due.get_mut(channel)?.pop_front()?;
        self.set(&api_id, channel, None);
        Some(api_id)
    }

    fn began(&mut self, api_id: &ApiId, channel: &'static str) {
        self.set(api_id, channel, Some(Lane::InFlight));
        *self.in_flight.entry(channel).or_default() += 1;
    }

    fn ended(&mut self, api_id: &ApiId, channel: &'static str, next: Option<Instant>) {
        self.set(api_id, channel, next.map(Lane::Waiting));
        if let Some(count) = self.in_flight.get_mut(channel) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Whether an alert may go out.
enum Turn {
    Now(Box<DeliverAlert>),
    ClaimFirst,
    Later,
    Never,
}

impl StateKeeper {
    /// Takes over when a process before this one wanted to try again.
    pub(super) fn heed_noted_waits(&mut self, api_id: &ApiId) {
        let Some(entry) = self.entries.get(api_id) else { return };
        let now = self.time.wall();
        for &channel in &self.channels {
            let noted = delivery::next_for(&entry.state, channel).and_then(|owed| owed.delivery(channel));
            if let Some(at) = noted.and_then(|delivery| delivery.next_try_at).filter(|at| *at > now) {
                let wait = at.since(now).min(HEED_NOTED_WAIT_MAX);
                self.lanes.set(api_id, channel, Some(Lane::Waiting(Instant::now() + wait)));
            }
        }
    }

    /// Forgets waits for alerts that somebody else has handed over: the next one has not failed yet, and waits for nothing.
    pub(super) fn forget_waits(&mut self, api_id: &ApiId) {
        let Some(entry) = self.entries.get(api_id) else { return };
        for &channel in &self.channels {
            let next = delivery::next_for(&entry.state, channel).and_then(|owed| owed.delivery(channel));
            let lane = (api_id.clone(), channel);
            if next.is_none_or(|delivery| delivery.failures == 0)
                && matches!(self.lanes.lanes.get(&lane), Some(Lane::Waiting(_)))
            {
                self.lanes.lanes.remove(&lane);
            }
        }
    }

    /// Offers to every channel what it should have next of this API, unless that is under way.
    pub(super) fn offer(&mut self, api_id: &ApiId, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        if entry.state.owed.is_empty() {
            entry.unclaimed_since = None;
            self.owing.remove(api_id);
            return;
        }
        if self.ending && !may_go_unstored(entry) {
            return;
        }
        let now = Instant::now();
        let mut queued = false;
        for &channel in &self.channels {
            if !self.lanes.is_busy(api_id, channel, now)
                && let Some(owed) = delivery::next_for(&entry.state, channel)
                && (entry.is_stored(&owed.alert.alert_id) || may_go_unstored(entry))
            {
                self.lanes.queue(api_id, channel);
                queued = true;
            }
        }
        if queued {
            self.hand_over_due(ctx);
        }
    }

    /// Hands over as much as there is room for.
    pub(super) fn hand_over_due(&mut self, ctx: &mut Context<Self>) {
        for channel in self.channels.clone() {
            while let Some(api_id) = self.lanes.take(channel) {
                match self.turn(&api_id, channel) {
                    Turn::Now(_) | Turn::ClaimFirst if self.ending && !self.may_go_unstored(&api_id) => {}
                    Turn::Now(message) => self.hand_over(&api_id, *message, ctx),
                    Turn::ClaimFirst => self.claim(&api_id, ctx),
                    Turn::Later => {
                        if let Some(entry) = self.entries.get_mut(&api_id) {
                            entry.unclaimed_since = None;
                        }
                        self.lanes.set(&api_id, channel, Some(Lane::Waiting(Instant::now() + THEIRS_AGAIN)));
                    }
                    Turn::Never => {}
                }
            }
        }
    }

    fn turn(&self, api_id: &ApiId, channel: &'static str) -> Turn {
        let Some(entry) = self.entries.get(api_id) else { return Turn::Never };
        let Some(owed) = delivery::next_for(&entry.state, channel) else { return Turn::Never };
        let now = || {
            let failures = owed.delivery(channel).map_or(0, |delivery| delivery.failures);
            Turn::Now(Box::new(DeliverAlert { channel, alert: Arc::new(owed.alert.clone()), failures }))
        };
        if may_go_unstored(entry) {
            return now();
        }
        if !entry.is_stored(&owed.alert.alert_id) {
            return Turn::Never; // it is offered again when it is
        }
        match delivery::standing(&entry.state, &self.instance, self.time.wall()) {
            Standing::Ours if entry.is_claim_stored() => now(),
            Standing::Ours => Turn::Never, // as above
            Standing::Free => Turn::ClaimFirst,
            Standing::Theirs => Turn::Later,
        }
    }

    /// Writes that this process hands over what the API owes; it is offered again when that is stored.
    fn claim(&mut self, api_id: &ApiId, ctx: &mut Context<Self>) {
        let now = self.time.wall();
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        entry.unclaimed_since.get_or_insert_with(Instant::now);
        if entry.is_claim_stored() {
            delivery::claim(&mut entry.state, &self.instance, now);
            entry.changed(Change::Claimed, Instant::now());
            self.queue_write(api_id);
            self.pump(ctx);
        }
    }

    fn hand_over(&mut self, api_id: &ApiId, message: DeliverAlert, ctx: &mut Context<Self>) {
        let (channel, alert, api_id) = (message.channel, Arc::clone(&message.alert), api_id.clone());
        self.lanes.began(&api_id, channel);
        if let Some(entry) = self.entries.get_mut(&api_id) {
            entry.unclaimed_since = None;
        }
        let attempt = self.alerter.send(message);
        ctx.spawn(attempt.into_actor(self).map(move |answer, keeper, ctx| {
            match answer {
                Ok(Attempt::TakenOver) => {
                    keeper.lanes.ended(&api_id, channel, None);
                    keeper.settle(&api_id, channel, &alert, ctx);
                }
                Ok(Attempt::Failed { why, wait }) => {
                    keeper.lanes.ended(&api_id, channel, Some(Instant::now() + wait));
                    keeper.note_failure(&api_id, channel, &alert, &why, wait);
                    keeper.pump(ctx);
                }
                // No answer means that the alerter is gone: the next look offers the alert again.
                Err(_) => keeper.lanes.ended(&api_id, channel, None),
            }
            if keeper.ending {
                keeper.release_claim(&api_id);
                keeper.pump(ctx);
            }
            keeper.hand_over_due(ctx);
            keeper.tell_idle_waiters();
        }));
    }

    /// Leaves what is owed to the next process, which then need not wait until our claims lapse.
    pub(super) fn release_claims(&mut self) {
        self.ending = true;
        let owing: Vec<ApiId> = self.owing.iter().cloned().collect();
        for api_id in owing {
            self.release_claim(&api_id);
        }
    }

    /// Not while an attempt is under way: the claim is what keeps others from making the same one.
    fn release_claim(&mut self, api_id: &ApiId) {
        if self.channels.iter().any(|channel| self.lanes.is_in_flight(api_id, channel)) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(api_id)
            && entry.state.claim.as_ref().is_some_and(|claim| claim.by == self.instance)
        {
            entry.state.claim = None;
            entry.dirty = true;
            self.queue_write(api_id);
        }
    }

    fn settle(&mut self, api_id: &ApiId, channel: &'static str, alert: &Alert, ctx: &mut Context<Self>) {
        self.stats.alert_delivered();
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        let alert_id = alert.alert_id.clone();
        if delivery::settle(&mut entry.state, &alert_id, channel, &self.channel_names) {
            entry.changed(Change::Settled { alert_id, channel }, Instant::now());
            self.queue_write(api_id);
            self.pump(ctx);
        }
        self.offer(api_id, ctx);
        self.tell_idle_waiters();
    }

    /// What is known of a failed attempt decides nothing but when to try again: its write may wait.
    fn note_failure(&mut self, api_id: &ApiId, channel: &'static str, alert: &Alert, why: &str, wait: Duration) {
        let next_try_at = self.time.wall().plus(wait);
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        delivery::note_failure(&mut entry.state, &alert.alert_id, channel, why, next_try_at);
        entry.dirty = true;
        if self.hurry || self.checkpoint > NOTED_WITHIN {
            // A process that is about to end leaves nothing unsaved; and where checkpoints are far apart, whoever asks why an
            // alert does not come must not wait for one.
            self.queue_write(api_id);
        } else {
            self.write_at_checkpoint(api_id);
        }
    }
}

impl StateKeeper {
    fn may_go_unstored(&self, api_id: &ApiId) -> bool {
        self.entries.get(api_id).is_some_and(may_go_unstored)
    }
}

/// A store that is dead, or that confirms so slowly that no claim lasts, silences no alert (P5). That it is dead is told at
/// once: nothing else could tell it.
fn may_go_unstored(entry: &Entry) -> bool {
    let own_store = || entry.state.api_id == ApiId::own_store();
    let too_long = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= UNSTORED_MAX);
    let unstored = entry.unstored_since();
    too_long(unstored) || too_long(entry.unclaimed_since) || (unstored.is_some() && own_store())
}
