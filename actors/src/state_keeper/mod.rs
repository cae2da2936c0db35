//! The state-keeper: sole owner of the store. It decides, commits, hands over what is owed, and settles.
//!
//! Everything is decided in memory at once, so that no prober ever waits for the store. What matters is written at
//! once, one write of an API at a time and in order; what only moves a figure may wait for the next checkpoint. An
//! alert is handed to the alerter when the record that owes it is durable (P1), or when that has not come true for
//! [`UNSTORED_MAX`] (P5). The record is the truth: whatever is owed and not under way is offered again.

mod deliveries;
mod entry;
mod heartbeat;
mod own;
mod seldom;
mod subject;
mod watching;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture};
use api_health_core::decide::Reason;
use api_health_core::{ApiConfig, ApiId, ApiState, Decision, Outcome, Status, Verdict, decide, delivery};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::alerter::DeliverAlert;
use crate::ports::StateStore;
use crate::stats::Stats;
use crate::timebase::TimeBase;
use deliveries::Lanes;
use entry::{Change, Decider, Entry, Writing};
use subject::Subject;

pub use deliveries::NOTED_WITHIN;
pub use heartbeat::{BEAT_AGAIN_AFTER, BEAT_MAX, FIRST_BEAT_AFTER};
pub use own::GivenUp;
pub use watching::Watch;
pub use writes::STORE_GONE_AFTER;

/// Messages in the keeper's mailbox. It answers each in microseconds; the rest wait in their prober, beside its clock.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// An owed alert that could not be stored for this long is sent all the same: better twice than never (P5).
pub const UNSTORED_MAX: Duration = Duration::from_secs(30);

/// How often the keeper looks for what is due: checkpoints, failed writes, alerts to offer again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the keeper is made with.
#[derive(Clone, Debug)]
pub struct KeeperOptions {
    /// How long a write may wait that changes no decision.
    pub checkpoint: Duration,
    /// The names of the channels that every alert is owed to.
    pub channels: Vec<&'static str>,
    /// This process, as its claims name it: no two processes have the same.
    pub instance: String,
    /// What people call the store.
    pub store_name: String,
    /// Waits that an earlier process noted are waited for. Not in a single round, which is over before: whoever starts one
    /// now and then sees to the pauses.
    pub heeds_waits: bool,
    /// How often a heartbeat is written; `None`: never.
    pub heartbeat: Option<Duration>,
    /// One turn of each API, and then no more: there is one heartbeat, at the end.
    pub once: bool,
    /// Each API at its own slot inside the tick.
    pub spread: bool,
}

/// All that a keeper knows, for the next one.
#[derive(Debug, Default)]
pub struct Carried(HashMap<ApiId, Entry>);

impl Carried {
    /// What is known after a start: the states as they were loaded. `alone` says that no other process watches by the store,
    /// so that claims in it were left behind by the dead, but for those that were made by hand.
    pub fn loaded(states: Vec<ApiState>, alone: bool) -> Self {
        let entry = |state: ApiState| {
            let claim = state.claim.clone().filter(|claim| !alone || claim.is_by_hand());
            (state.api_id.clone(), Entry::new(ApiState { claim, ..state }))
        };
        Self(states.into_iter().map(entry).collect())
    }
}

/// The actor.
pub struct StateKeeper {
    store: Arc<dyn StateStore>,
    alerter: Recipient<DeliverAlert>,
    time: TimeBase,
    stats: Arc<Stats>,
    began: Instant,
    checkpoint: Duration,
    channels: Vec<&'static str>,
    channel_names: Vec<String>,
    instance: String,
    store_name: String,
    heeds_waits: bool,
    once: bool,
    spread: bool,
    entries: HashMap<ApiId, Entry>,
    /// APIs whose prober was given up and is not well again.
    given_up: HashSet<ApiId>,
    /// To be written now, in order.
    queue: VecDeque<ApiId>,
    /// To be written at their checkpoint, soonest first: those whose entry says [`Writing::Lazy`], once each.
    lazy: BTreeSet<(Instant, ApiId)>,
    /// To be tried again, at the time in their entry.
    waiting: HashSet<ApiId>,
    /// Calls of the store that have no answer yet, and since when.
    calls: BTreeMap<u64, Instant>,
    next_call: u64,
    store_trouble: Option<writes::Trouble>,
    lines: writes::Lines,
    /// That the store is gone was told, by this life or one before it, and not yet that it is back.
    is_told_gone: bool,
    /// When a write went through last.
    stored_at: Option<Instant>,
    /// How often the store was found without what had been stored in it.
    generation: u64,
    /// APIs with a non-empty outbox.
    owing: HashSet<ApiId>,
    lanes: Lanes,
    /// Those who wait, and what for.
    idle_waiters: Vec<(Until, oneshot::Sender<()>)>,
    heartbeats: heartbeat::Heartbeats,
    hurry: bool,
    /// The process ends: nothing more is handed over that the next process can hand over as well.
    ending: bool,
}

impl StateKeeper {
    /// A keeper that goes on from what is `carried`.
    pub fn new(
        store: Arc<dyn StateStore>,
        alerter: Recipient<DeliverAlert>,
        time: TimeBase,
        stats: Arc<Stats>,
        carried: Carried,
        options: KeeperOptions,
    ) -> Self {
        let channel_names = options.channels.iter().map(|c| (*c).to_owned()).collect();
        let heartbeats = heartbeat::Heartbeats::new(&options, time.wall());
        let mut keeper = Self {
            store,
            alerter,
            time,
            stats,
            began: Instant::now(),
            checkpoint: options.checkpoint,
            channels: options.channels,
            channel_names,
            instance: options.instance,
            store_name: options.store_name,
            heeds_waits: options.heeds_waits,
            once: options.once,
            spread: options.spread,
            entries: HashMap::with_capacity(carried.0.len()),
            given_up: HashSet::new(),
            queue: VecDeque::new(),
            lazy: BTreeSet::new(),
            waiting: HashSet::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            store_trouble: None,
            lines: writes::Lines::default(),
            is_told_gone: carried.0.get(&ApiId::own_store()).is_some_and(|entry| entry.state.incident.is_some()),
            stored_at: None,
            generation: 0,
            owing: HashSet::new(),
            lanes: Lanes::default(),
            idle_waiters: Vec::new(),
            heartbeats,
            hurry: false,
            ending: false,
        };
        for (api_id, entry) in carried.0 {
            keeper.adopt(&api_id, entry);
        }
        keeper
    }

    fn adopt(&mut self, api_id: &ApiId, mut entry: Entry) {
        // Nothing of the keeper before is under way any more; a write that it sent is sent again as it was.
        entry.dirty |= delivery::strike_delivered(&mut entry.state, &self.channel_names);
        entry.writing = Writing::Idle;
        entry.stored_in = 0;
        if !entry.state.owed.is_empty() {
            self.owing.insert(api_id.clone());
        }
        if let (Some(probed), true) = (api_id.probed(), entry.state.incident.is_some()) {
            self.given_up.insert(probed);
        }
        let unsaved = entry.is_unsaved();
        self.entries.insert(api_id.clone(), entry);
        if self.heeds_waits {
            self.heed_noted_waits(api_id);
        }
        if unsaved {
            self.queue_write(api_id);
        }
    }

    fn look_around(&mut self, ctx: &mut Context<Self>) {
        self.queue_what_is_due();
        self.pump(ctx);
        self.beat_if_due(ctx);
        self.notice_a_store_that_hangs();
        self.tell_that_the_store_is_gone();
        let owing: Vec<ApiId> = self.owing.iter().cloned().collect();
        for api_id in owing {
            self.offer(&api_id, ctx);
        }
        self.tell_idle_waiters();
    }

    fn tell_idle_waiters(&mut self) {
        if self.idle_waiters.is_empty() {
            return;
        }
        // Looking at each entry costs milliseconds with 50,000 of them, and this runs after each batch: only when nothing
        // waits anywhere is there need to.
        let idle = self.calls.is_empty() && self.queue.is_empty() && self.lazy.is_empty() && self.waiting.is_empty();
        let unsaved = !idle || self.unsaved() > 0;
        let owing = !self.owing.is_empty();
        for (until, waiter) in std::mem::take(&mut self.idle_waiters) {
            let waits = match until {
                Until::Stored => unsaved,
                Until::Told => unsaved || owing,
                Until::Left => unsaved || self.lanes.are_in_flight() || self.heartbeats.is_last_under_way(),
            };
            if waits {
                self.idle_waiters.push((until, waiter));
            } else {
                let _ = waiter.send(());
            }
        }
    }

    /// What is shown of an API that is watched: nothing is known of one whose prober was given up. `None`: it is not watched.
    fn shown_status(&self, api_id: &ApiId, entry: &Entry) -> Option<Status> {
        let status = if self.given_up.contains(api_id) { Status::Unknown } else { entry.state.status };
        entry.watched.then_some(status)
    }

    fn unsaved(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_unsaved()).count()
    }
}

impl Actor for StateKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_around(ctx);
        ctx.run_interval(LOOK_EVERY, Self::look_around);
    }
}

/// A prober has an outcome. The reply: probe again after this long, or wait for the next tick.
#[derive(Message)]
#[rtype(result = "Option<Duration>")]
pub struct ProbeCompleted {
    /// The config that it was probed and judged by.
    pub api: Arc<ApiConfig>,
    /// The verdict.
    pub outcome: Outcome,
    /// Ticks missed since the last message.
    pub missed_ticks: u64,
    /// How long until the next tick of its schedule; `None` if there is none.
    pub next_tick_in: Option<Duration>,
    /// It may change a status, or has an answer that somebody waits for: it goes to the keeper at once.
    pub urgent: bool,
}

/// Outcomes of several APIs, from one [`courier`](crate::courier), those of one API in order. The reply answers each, in
/// the same order.
#[derive(Message)]
#[rtype(result = "Vec<Option<Duration>>")]
pub struct ProbesCompleted(pub Vec<ProbeCompleted>);

impl Handler<ProbesCompleted> for StateKeeper {
    type Result = Vec<Option<Duration>>;

    fn handle(&mut self, ProbesCompleted(batch): ProbesCompleted, ctx: &mut Self::Context) -> Self::Result {
        let now = Instant::now();
        let rechecks = batch.into_iter().map(|completed| self.completed(completed, now)).collect();
        self.pump(ctx);
        rechecks
    }
}

impl StateKeeper {
    fn completed(&mut self, completed: ProbeCompleted, at: Instant) -> Option<Duration> {
        let ProbeCompleted { api, outcome, missed_ticks, next_tick_in, urgent: _ } = completed;
        let api_id = api.api_id.clone();
        let Some(entry) = self.entries.get_mut(&api_id).filter(|entry| entry.watched) else {
            tracing::debug!(%api_id, "the outcome of an API that is no longer watched");
            return None;
        };
        entry.state.missed_ticks = entry.state.missed_ticks.saturating_add(missed_ticks);
        entry.late_after = next_tick_in.and_then(|wait| heartbeat::late_after(at, wait, &api));
        self.heartbeats.count_outcome();
        if self.given_up.contains(&api_id) {
            self.prober_lives(&api);
        }
        let recheck = api.recheck;
        let subject = Subject::Api(api);
        let now = self.time.wall();
        if let Some(entry) = self.entries.get_mut(&api_id)
            && entry.is_same_moment(&outcome, &subject, now)
        {
            tracing::debug!(%api_id, "another api-health probed at the same time: its outcome counts");
            return (outcome.verdict == Verdict::Fail || entry.state.is_suspect()).then_some(recheck);
        }
        let asked_again_in = self.decide(&subject, outcome)?;
        // It takes the place of ticks that come before it.
        if let (Some(entry), Subject::Api(api)) = (self.entries.get_mut(&api_id), &subject)
            && next_tick_in.is_some_and(|wait| wait < asked_again_in)
        {
            entry.late_after = heartbeat::late_after(at, asked_again_in, api);
        }
        Some(asked_again_in)
    }

    /// Decides what follows from an outcome, and has it stored.
    fn decide(&mut self, subject: &Subject, outcome: Outcome) -> Option<Duration> {
        let now = self.time.wall();
        let api_id = subject.api_id().clone();
        let entry = self.entries.entry(api_id.clone()).or_insert_with(|| Entry::new(ApiState::unknown(api_id.clone())));
        let decision = decide(&entry.state, &outcome, &subject.policy(), now);
        if decision.reason == Reason::Suspect {
            tracing::info!(%api_id, status = entry.state.status.as_str(), reason = outcome.reason(), "suspect: probed again soon");
        }
        let owed = decision.owed.as_ref().map(|alert| alert.alert_id.clone());
        let recheck = decision.recheck;
        self.carry_out(&api_id, decision, Change::Outcome { subject: subject.clone(), outcome, now, owed });
        recheck
    }

    /// Takes a decision over, and has `change` stored if it matters.
    fn carry_out(&mut self, api_id: &ApiId, decision: Decision, change: Change) {
        let owes = decision.owed.is_some();
        let by = Decider { instance: &self.instance, channels: &self.channel_names, now: self.time.wall() };
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        entry.apply(decision.next, owes, by);
        if let Some(transition) = decision.transition {
            log_transition(api_id, transition.from.as_str(), transition.to.as_str(), &entry.state);
        }
        if decision.must_store {
            if owes {
                self.owing.insert(api_id.clone());
            }
            entry.changed(change, Instant::now());
            self.queue_write(api_id);
        } else {
            entry.dirty = true;
            self.write_at_checkpoint(api_id);
        }
    }
}

fn log_transition(api_id: &ApiId, from: &str, to: &str, state: &ApiState) {
    let incident_id = state.incident.as_ref().map(|incident| incident.incident_id.as_str());
    let latency_ms = state.last_probe.as_ref().and_then(|last| last.latency_ms);
    match &state.incident {
        Some(incident) => tracing::warn!(%api_id, from, to, incident_id, reason = incident.reason, "status changed"),
        None => tracing::info!(%api_id, from, to, latency_ms, "status changed"),
    }
}

/// What a [`Settle`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing is unsaved.
    Stored,
    /// And nothing is owed.
    Told,
    /// Nothing is unsaved, no attempt is under way, and what is owed is left to the next process, claims and all: this one
    /// ends.
    Left,
}

/// Write everything now, and reply when that is done. The sender bounds the wait. `false`: this keeper ended before that,
/// and its next life has to be asked.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Settle(pub Until);

impl Handler<Settle> for StateKeeper {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Settle(until): Settle, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.idle_waiters.push((until, waiter));
        self.hurry = true;
        if until == Until::Left {
            self.release_claims();
            self.beat_at_the_end(ctx);
        }
        self.look_around(ctx);
        Box::pin(async move { done.await.is_ok() })
    }
}

/// What the keeper has at hand; for the end of a run, and for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeeperReport {
    /// APIs with changes that are not in the store.
    pub unsaved: usize,
    /// Alerts that some channel does not have yet.
    pub owed: usize,
    /// Watched APIs whose confirmed status is down.
    pub down: usize,
    /// Watched APIs whose status is not known, or whose prober was given up.
    pub unknown: usize,
    /// The store takes no writes just now.
    pub store_is_gone: bool,
}

/// Asks for a [`KeeperReport`].
#[derive(Message)]
#[rtype(result = "KeeperReport")]
pub struct Report;

impl Handler<Report> for StateKeeper {
    type Result = actix::MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        let statuses = || self.entries.iter().filter_map(|(api_id, entry)| self.shown_status(api_id, entry));
        let shown = |status| statuses().filter(|shown| *shown == status).count();
        actix::MessageResult(KeeperReport {
            unsaved: self.unsaved(),
            owed: self.entries.values().map(|entry| entry.state.owed.len()).sum(),
            down: shown(Status::Down),
            unknown: shown(Status::Unknown),
            store_is_gone: self.store_trouble.is_some(),
        })
    }
}

/// Stop, and hand over all that is known to the next keeper.
#[derive(Message)]
#[rtype(result = "Carried")]
pub struct Retire;

impl Handler<Retire> for StateKeeper {
    type Result = actix::MessageResult<Retire>;

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        actix::MessageResult(Carried(std::mem::take(&mut self.entries)))
    }
}
