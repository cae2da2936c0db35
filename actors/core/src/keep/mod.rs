//! The state-keeper as a plain value: it holds every API's state, decides, and says what to write and which alerts to send.
//!
//! [`Keeper`] takes what happened and when, and returns [`Effect`]s; the actor (`actors/src/state_keeper`) executes them and feeds
//! the results back. It never waits: everything is decided in memory at once, so that no prober ever waits for the store. The
//! record is the truth: an alert that is owed and not being delivered is offered again.
//!
//! | file | answers |
//! |---|---|
//! | [`mod@ledger`] | what is known and not stored, and what is written next |
//! | [`mod@entry`] | the same for one API, and how a version conflict is resolved |
//! | [`mod@tell`] | may this alert go out now; what came of it |
//! | [`mod@delivery_queue`] | which alert goes next to which channel |
//! | [`mod@owned`] | which shards are ours, and whether the lease on them holds |
//! | [`mod@shards`] | what happens when a shard comes or goes |
//! | [`mod@watching`] | what happens when a row comes, changes or goes |
//! | [`mod@answers`] | what the store's answers mean |
//! | [`mod@health`] | whether the store takes writes |
//! | [`mod@own_side`] | what is told of our own network and clock |
//! | [`mod@unclear`] | of whom nothing can be told, and when that is told |
//! | [`mod@beats`] | how everything stands, in one record |

mod answers;
mod beats;
mod delivery_queue;
mod entry;
mod health;
mod ledger;
mod line;
mod own_side;
mod owned;
mod report;
mod self_monitoring;
mod shards;
mod tell;
mod unclear;
mod waits;
mod watching;

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Alert;
use crate::api::{ApiConfig, ApiId, Policy};
use crate::decide::{Decision, Reason, decide};
use crate::heartbeat::Heartbeat;
use crate::outcome::{Outcome, Verdict};
use crate::own::shards::{Shard, ShardSet};
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::store::{CommitLimits, StateWrite};
use beats::Beats;
use delivery_queue::DeliveryQueue;
use entry::Entry;
use health::Health;
use ledger::Ledger;
use own_side::OwnSide;
use owned::Owned;
use self_monitoring::{SelfMonitored, self_outcome};
use unclear::Unclear;

pub use answers::Read;
pub use beats::{BEAT_MAX, FIRST_BEAT_AFTER};
pub use delivery_queue::{Channel, DELIVERIES_IN_FLIGHT_MAX};
pub use health::STORE_GONE_AFTER;
pub use ledger::REWRITES_PER_SECOND;
pub use line::Line;
pub use own_side::OwnSideKind;
pub use owned::{Grant, Lease};
pub use report::Report;
pub use tell::{DeliveryResult, NOTED_WITHIN, UNSTORED_MAX};
pub use watching::ConfigDiff;

/// What a keeper is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How long a write may wait that changes no decision.
    pub checkpoint: Duration,
    /// The names of the channels that every alert is owed to.
    pub channels: Vec<String>,
    pub limits: CommitLimits,
    /// This process, for people.
    pub instance: String,
    pub store_name: String,
    pub version: &'static str,
    /// Waits that an earlier process noted are waited for. Not in a single round, which is over before: whoever starts one
    /// now and then sees to the pauses.
    pub resumes_backoff: bool,
    /// How often a heartbeat is written; `None`: never.
    pub heartbeat: Option<Duration>,
    /// One turn of each API, and then no more: there is one heartbeat, at the end.
    pub once: bool,
    /// Each API at its own slot inside the tick.
    pub spread: bool,
    /// An alert that the store holds up for [`UNSTORED_MAX`] is told anyway (P5).
    pub fail_open: bool,
    /// How many shards all APIs are divided into.
    pub shards: u16,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Write these; the answer goes to [`Keeper::committed`].
    Commit {
        call: u64,
        /// At most one of each API.
        writes: Vec<StateWrite>,
    },
    /// Read the record of this API; the answer goes to [`Keeper::read`].
    Load { call: u64, api_id: ApiId },
    /// Hand an alert over; the answer goes to [`Keeper::on_delivery_result`].
    Deliver {
        api_id: ApiId,
        /// Through which channel.
        channel: Channel,
        alert: Arc<Alert>,
        /// Attempts that failed before this one.
        failures: u32,
        /// It is not in the store, and is told anyway (P5).
        unstored: bool,
    },
    /// Write this heartbeat; the answer goes to [`Keeper::beat_answered`].
    Beat(Box<Heartbeat>),
    /// Probe this API again at once: what was found out about it is forgotten.
    ProbeAgain(ApiId),
    /// Somebody with this higher epoch owns this shard.
    Lost {
        shard: Shard,
        /// What was found in one of its records.
        epoch: u64,
    },
    /// These shards were let go of: all of them is stored, and nothing is known of them any more.
    ShardsReleased(ShardSet),
    /// An outage was told that could not be stored, of an API that another owns now: its owner is to take it back.
    AskToWithdraw(Arc<Alert>),
    /// What this waiter waited for has come true.
    Flushed(u64),
}

/// What a waiter waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlushUntil {
    /// Every change is in the store.
    Stored,
    /// Every change is in the store, and every alert that can be delivered is.
    Delivered,
    /// Nothing is unsaved, no attempt is under way, and what is owed is left to the next process: this one ends.
    Stopped,
}

/// A prober has an outcome.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The config that it was probed and judged by.
    pub api: Arc<ApiConfig>,
    pub outcome: Outcome,
    /// Ticks missed since the last one.
    pub missed_ticks: u64,
    /// How long until the next tick of its schedule; `None` if there is none.
    pub next_tick_in: Option<Duration>,
}

#[derive(Debug)]
pub struct Keeper {
    setup: Setup,
    channels: Vec<Channel>,
    ledger: Ledger,
    owned: Owned,
    lease: Lease,
    delivery_queue: DeliveryQueue,
    /// APIs with a non-empty outbox.
    owing: HashSet<ApiId>,
    /// The channels that other workers have.
    channels_elsewhere: HashSet<String>,
    health: Health,
    beats: Beats,
    /// APIs whose prober was given up and is not well again.
    given_up: HashSet<ApiId>,
    own_side: OwnSide,
    unclear: Unclear,
    /// When an outcome was a pass last, in uptime: our own network was well.
    passed_at: Option<Duration>,
    waiters: Vec<(FlushUntil, u64)>,
    throttles: answers::Throttles,
    /// Somebody asked for a try, and looks for what comes of it until then.
    store_at_once_until: Option<Duration>,
    /// Everything is written now, and nothing waits for its time.
    flushing: bool,
    /// The process ends: nothing more is handed over that the next one can hand over as well.
    shutting_down: bool,
    lines: Vec<Line>,
    effects: Vec<Effect>,
}

impl Keeper {
    /// A keeper that owns nothing yet.
    pub fn new(setup: Setup, now: Moment) -> Self {
        Self {
            channels: setup.channels.iter().map(|channel| Channel::from(channel.as_str())).collect(),
            ledger: Ledger::new(setup.checkpoint),
            owned: Owned::new(setup.shards),
            lease: Lease::Held,
            delivery_queue: DeliveryQueue::default(),
            owing: HashSet::new(),
            channels_elsewhere: HashSet::new(),
            health: Health::default(),
            beats: Beats::new(&setup, now.uptime, now.wall),
            given_up: HashSet::new(),
            own_side: OwnSide::default(),
            unclear: Unclear::default(),
            passed_at: None,
            waiters: Vec::new(),
            throttles: answers::Throttles::default(),
            store_at_once_until: None,
            flushing: false,
            shutting_down: false,
            lines: Vec::new(),
            effects: Vec::new(),
            setup,
        }
    }

    /// All that it knows, for another life: nothing is under way, and nobody waits.
    #[must_use]
    pub fn reset_for_restart(mut self) -> Self {
        self.ledger.reset_for_restart();
        self.delivery_queue = DeliveryQueue::default();
        self.beats.reset_for_restart();
        self.waiters.clear();
        self.effects.clear();
        self.flushing = false;
        self.shutting_down = false;
        self
    }

    /// Hands all that it knows over, and knows nothing any more.
    #[must_use]
    pub fn hand_over(&mut self, now: Moment) -> Self {
        let nothing = Self::new(self.setup.clone(), now);
        mem::replace(self, nothing)
    }

    /// How the lease stands from now on.
    pub fn set_lease(&mut self, lease: Lease) {
        self.lease = lease;
    }

    /// What is to be said, and what is to be done, since this was asked last.
    pub fn take(&mut self) -> (Vec<Line>, Vec<Effect>) {
        (mem::take(&mut self.lines), mem::take(&mut self.effects))
    }

    /// Looks for what is due: checkpoints, failed writes, alerts to offer again. Call it every few hundred milliseconds.
    pub fn tick(&mut self, now: Moment) {
        self.flush_leaving_shards();
        self.ledger.queue_what_is_due(now.uptime, self.flushing);
        if self.health.is_out() && self.health.may_be_tried(now.uptime) {
            self.ledger.try_another();
        }
        self.pump(now);
        self.beat_if_due(now);
        self.notice_a_store_that_hangs(now);
        self.tell_that_the_store_is_gone(now);
        self.tell_what_is_unclear(now);
        self.offer_all(now);
        self.log_alerts_of_foreign_channels(now);
        self.drop_released_shards();
        self.answer_waiters();
    }

    /// What follows from each of these outcomes: probe again after this long, or wait for the next tick.
    pub fn all_completed(&mut self, all: impl Iterator<Item = Completed>, now: Moment) -> Vec<Option<Duration>> {
        let rechecks = all.map(|completed| self.completed(completed, now)).collect();
        self.pump(now);
        rechecks
    }

    fn completed(&mut self, completed: Completed, now: Moment) -> Option<Duration> {
        let Completed { api, mut outcome, missed_ticks, next_tick_in } = completed;
        let api_id = &api.api_id;
        // What is found of a shard that is being let go of is for its next owner to find.
        let entry = if self.owned.is_leaving(api_id) { None } else { self.ledger.get_mut(api_id) };
        let Some((entry, asked)) = entry.and_then(|entry| entry.request_fingerprint.map(|asked| (entry, asked))) else {
            self.lines.push(Line::LateOutcome { api_id: api_id.clone() });
            return None;
        };
        let request_fingerprint = api.request_fingerprint();
        if request_fingerprint != asked {
            // It says nothing of what is asked now, and no status must change by it.
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons = vec!["the config changed while this probe was running".into()];
        }
        if outcome.verdict == Verdict::Pass {
            self.passed_at = Some(now.uptime);
        }
        entry.state.missed_ticks = entry.state.missed_ticks.saturating_add(missed_ticks);
        entry.late_after = next_tick_in.and_then(|wait| beats::late_after(now.uptime, wait, &api));
        self.beats.count_outcome();
        if self.given_up.contains(api_id) {
            self.on_prober_recovered(&api, now);
        }
        let asked_again_in = self.decide(&api.policy_with_fingerprint(request_fingerprint), &outcome, now);
        self.note_whether_it_is_clear(&api, &outcome, now);
        let asked_again_in = asked_again_in?;
        // It takes the place of ticks that come before it.
        if next_tick_in.is_some_and(|wait| wait < asked_again_in)
            && let Some(entry) = self.ledger.get_mut(api_id)
        {
            entry.late_after = beats::late_after(now.uptime, asked_again_in, &api);
        }
        Some(asked_again_in)
    }

    /// Decides what follows from an outcome, and has it stored.
    fn decide(&mut self, policy: &Policy<'_>, outcome: &Outcome, now: Moment) -> Option<Duration> {
        let state = &self.ledger.entry(policy.api_id).state;
        let decision = decide(state, outcome, policy, &self.setup.channels, now.wall);
        if decision.reason == Reason::Suspect {
            let (api_id, status) = (policy.api_id.clone(), state.status);
            self.lines.push(Line::Suspect { api_id, status, reason: outcome.reason() });
        }
        let recheck = decision.recheck;
        self.carry_out(policy.api_id, decision, now);
        recheck
    }

    /// Takes a decision over, and has it stored if it matters.
    fn carry_out(&mut self, api_id: &ApiId, decision: Decision, now: Moment) {
        if decision.owes {
            self.owing.insert(api_id.clone());
        }
        if let Some(transition) = decision.transition().filter(|_| api_id.unclear().is_none()) {
            let next = &decision.next;
            self.lines.push(Line::StatusChanged {
                api_id: api_id.clone(),
                from: transition.from,
                to: transition.to,
                incident: next.incident.as_ref().map(|open| (open.incident_id.clone(), open.reason.clone())),
                latency_ms: next.last_probe.as_ref().and_then(|last| last.latency_ms),
            });
        }
        self.ledger.decided(api_id, decision, now.uptime);
    }

    /// The prober of an API died too often. That is told, and what is shown of its API is unknown, until the prober lives again;
    /// the API's own status stays as it is.
    pub fn prober_given_up(&mut self, api: &ApiConfig, why: String, now: Moment) {
        if self.ledger.get(&api.api_id).is_some_and(Entry::is_watched) {
            self.given_up.insert(api.api_id.clone());
            self.decide_about(&SelfMonitored::prober(api), Some(why), now, now.wall);
        }
    }

    /// A prober that was given up has handed an outcome over.
    fn on_prober_recovered(&mut self, api: &ApiConfig, now: Moment) {
        self.decide_about(&SelfMonitored::prober(api), None, now, now.wall);
        if self.ledger.get(&ApiId::monitor_prober(&api.api_id)).is_some_and(|entry| entry.state.incident.is_none()) {
            self.given_up.remove(&api.api_id);
        }
    }

    /// Fewer workers live than are expected, and why that is known; or all do. The owner of the first shard tells.
    pub fn on_fleet_status(&mut self, fault: Option<String>, now: Moment) {
        self.update_self_monitored(&SelfMonitored::fleet(), fault, now);
    }

    /// This machine does not carry what is configured, and by which figures; or it does. Of several workers the owner of the first
    /// shard tells: of the others it stands in their log.
    pub fn on_capacity_status(&mut self, fault: Option<String>, now: Moment) {
        let what = SelfMonitored::capacity();
        self.update_self_monitored(&what, fault, now);
        self.note_open_or_closed(&what.api_id);
    }

    fn update_self_monitored(&mut self, what: &SelfMonitored, fault: Option<String>, now: Moment) {
        let is_down = self.ledger.get(&what.api_id).is_some_and(|entry| entry.state.incident.is_some());
        if fault.is_some() != is_down {
            self.decide_about(what, fault, now, now.wall);
        }
    }

    fn decide_about(&mut self, what: &SelfMonitored, fault: Option<String>, now: Moment, began_at: crate::Timestamp) {
        if self.owned.owns(&what.api_id) {
            let outcome = self_outcome(fault, began_at, now.wall);
            self.decide(&what.policy(), &outcome, now);
        }
    }

    /// Write everything now; [`Effect::Flushed`] says when that is done.
    pub fn flush(&mut self, until: FlushUntil, waiter: u64, now: Moment) {
        match &until {
            FlushUntil::Stopped => {
                self.shutting_down = true;
                self.beat_at_the_end(now);
                self.flushing = true;
            }
            FlushUntil::Stored | FlushUntil::Delivered => self.flushing = true,
        }
        self.waiters.push((until, waiter));
        self.tick(now);
    }

    fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        // Looking at each entry costs milliseconds with 50,000 of them, and this runs after each batch: only when nothing
        // waits anywhere is there need to.
        let unsaved = !self.ledger.is_idle() || self.ledger.unsaved() > 0;
        for (until, waiter) in mem::take(&mut self.waiters) {
            let waits = match &until {
                FlushUntil::Stored => unsaved,
                FlushUntil::Delivered => unsaved || self.has_deliverable_alerts(),
                FlushUntil::Stopped => {
                    unsaved || self.delivery_queue.in_flight().next().is_some() || self.beats.is_last_under_way()
                }
            };
            if waits {
                self.waiters.push((until, waiter));
            } else {
                self.effects.push(Effect::Flushed(waiter));
            }
        }
    }

    /// How many shards all APIs are divided into.
    pub fn shards(&self) -> u16 {
        self.setup.shards
    }

    /// What is known of an API.
    pub fn state(&self, api_id: &ApiId) -> Option<&ApiState> {
        self.ledger.get(api_id).map(|entry| &entry.state)
    }
}

#[cfg(test)]
mod tests;
