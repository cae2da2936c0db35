//! The state-keeper: sole owner of the store. It decides, commits, hands over what is owed, and settles.
//!
//! Everything is decided in memory at once, so that no prober ever waits for the store. What matters is written at
//! once, one write of an API at a time and in order; what only moves a figure may wait for the next checkpoint. An
//! alert is handed to the alerter when the record that owes it is durable (P1), or when that has not come true for
//! [`UNSTORED_MAX`] (P5). The record is the truth: whatever is owed and not under way is offered again.

mod deliveries;
mod entry;
mod writes;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture};
use api_health_core::decide::Reason;
use api_health_core::{ApiConfig, ApiId, ApiState, Outcome, decide, delivery};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::alerter::DeliverAlert;
use crate::ports::StateStore;
use crate::stats::Stats;
use crate::timebase::TimeBase;
use entry::{Change, Entry, Writing};

/// Messages in the keeper's mailbox. It answers each in microseconds; the rest wait in their prober, beside its clock.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// An owed alert that could not be stored for this long is sent all the same: better twice than never (P5).
pub const UNSTORED_MAX: Duration = Duration::from_secs(30);

/// How often the keeper looks for what is due: checkpoints, failed writes, alerts to offer again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the keeper is made with.
pub struct KeeperOptions {
    /// How long a write may wait that changes no decision.
    pub checkpoint: Duration,
    /// The names of the channels that every alert is owed to.
    pub channels: Vec<&'static str>,
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
    entries: HashMap<ApiId, Entry>,
    /// To be written now, in order.
    queue: VecDeque<ApiId>,
    /// To be written at their checkpoint, soonest first; an entry that was written meanwhile is stepped over.
    lazy: VecDeque<(Instant, ApiId)>,
    /// To be tried again, at the time in their entry.
    waiting: HashSet<ApiId>,
    batches_in_flight: usize,
    store_trouble: Option<writes::Trouble>,
    /// APIs with a non-empty outbox.
    owing: HashSet<ApiId>,
    /// Under way in the alerter: channel and API to alert id.
    offered: HashMap<(ApiId, &'static str), String>,
    /// Those who wait until nothing is unsaved, and, if true, until nothing is owed.
    idle_waiters: Vec<(bool, oneshot::Sender<()>)>,
    hurry: bool,
}

impl StateKeeper {
    /// A keeper over `states` as they were loaded from `store`.
    pub fn new(
        store: Arc<dyn StateStore>,
        alerter: Recipient<DeliverAlert>,
        time: TimeBase,
        stats: Arc<Stats>,
        states: Vec<ApiState>,
        options: KeeperOptions,
    ) -> Self {
        let channel_names = options.channels.iter().map(|c| (*c).to_owned()).collect();
        let mut keeper = Self {
            store,
            alerter,
            time,
            stats,
            began: Instant::now(),
            checkpoint: options.checkpoint,
            channels: options.channels,
            channel_names,
            entries: HashMap::with_capacity(states.len()),
            queue: VecDeque::new(),
            lazy: VecDeque::new(),
            waiting: HashSet::new(),
            batches_in_flight: 0,
            store_trouble: None,
            owing: HashSet::new(),
            offered: HashMap::new(),
            idle_waiters: Vec::new(),
            hurry: false,
        };
        for state in states {
            keeper.adopt(state);
        }
        keeper
    }

    fn adopt(&mut self, mut state: ApiState) {
        let struck = delivery::strike_delivered(&mut state, &self.channel_names);
        let api_id = state.api_id.clone();
        if !state.owed.is_empty() {
            self.owing.insert(api_id.clone());
        }
        let mut entry = Entry::new(state);
        entry.dirty = struck;
        if struck {
            entry.writing = Writing::Queued;
            self.queue.push_back(api_id.clone());
        }
        self.entries.insert(api_id, entry);
    }

    fn look_around(&mut self, ctx: &mut Context<Self>) {
        self.queue_what_is_due();
        self.pump(ctx);
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
        let unsaved = self.batches_in_flight > 0
            || !(self.queue.is_empty() && self.lazy.is_empty() && self.waiting.is_empty())
            || self.unsaved() > 0;
        let owing = !self.owing.is_empty();
        for (until_told, waiter) in std::mem::take(&mut self.idle_waiters) {
            if unsaved || (until_told && owing) {
                self.idle_waiters.push((until_told, waiter));
            } else {
                let _ = waiter.send(());
            }
        }
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
        let rechecks = batch.into_iter().map(|completed| self.completed(completed)).collect();
        self.pump(ctx);
        rechecks
    }
}

impl StateKeeper {
    fn completed(&mut self, completed: ProbeCompleted) -> Option<Duration> {
        let ProbeCompleted { api, outcome, missed_ticks, urgent: _ } = completed;
        let now = self.time.wall();
        let api_id = api.api_id.clone();
        let entry = self.entries.entry(api_id.clone()).or_insert_with(|| Entry::new(ApiState::unknown(api_id.clone())));
        let decision = decide(&entry.state, &outcome, &api.policy(), now);
        if decision.reason == Reason::Suspect {
            tracing::info!(%api_id, status = entry.state.status.as_str(), reason = outcome.reason(), "suspect: probed again soon");
        }
        entry.state = decision.next;
        entry.state.missed_ticks = entry.state.missed_ticks.saturating_add(missed_ticks);
        if let Some(transition) = decision.transition {
            log_transition(&api_id, transition.from.as_str(), transition.to.as_str(), &entry.state, &outcome);
        }
        if decision.must_store {
            if decision.owed.is_some() {
                self.owing.insert(api_id.clone());
            }
            let owed = decision.owed.map(|alert| alert.alert_id);
            entry.changed(Change::Outcome { api, outcome, now, owed }, Instant::now());
            self.queue_write(&api_id);
        } else {
            entry.dirty = true;
            self.write_at_checkpoint(&api_id);
        }
        decision.recheck
    }
}

fn log_transition(api_id: &ApiId, from: &str, to: &str, state: &ApiState, outcome: &Outcome) {
    let incident_id = state.incident.as_ref().map(|incident| incident.incident_id.as_str());
    match &state.incident {
        Some(incident) => tracing::warn!(%api_id, from, to, incident_id, reason = incident.reason, "status changed"),
        None => tracing::info!(%api_id, from, to, latency_ms = outcome.latency_ms, "status changed"),
    }
}

/// Write everything now, and reply when nothing is unsaved any more; with `until_told` also when nothing is owed. The
/// sender bounds the wait.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle {
    /// Wait for the alerts, too.
    pub until_told: bool,
}

impl Handler<Settle> for StateKeeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Settle { until_told }: Settle, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.idle_waiters.push((until_told, waiter));
        self.hurry = true;
        self.look_around(ctx);
        Box::pin(async move {
            let _ = done.await;
        })
    }
}

/// What the keeper has at hand; for the end of a run, and for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeeperReport {
    /// APIs with changes that are not in the store.
    pub unsaved: usize,
    /// Alerts that some channel does not have yet.
    pub owed: usize,
    /// APIs whose confirmed status is down.
    pub down: usize,
}

/// Asks for a [`KeeperReport`].
#[derive(Message)]
#[rtype(result = "KeeperReport")]
pub struct Report;

impl Handler<Report> for StateKeeper {
    type Result = actix::MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(KeeperReport {
            unsaved: self.unsaved(),
            owed: self.entries.values().map(|entry| entry.state.owed.len()).sum(),
            down: self.entries.values().filter(|entry| entry.state.incident.is_some()).count(),
        })
    }
}
