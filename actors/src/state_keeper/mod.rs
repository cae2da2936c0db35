//! The state-keeper: the only actor that uses the store. It stores states, sends owed alerts, and flushes before the end.
//!
//! All decisions are in a plain value, [`keep::Keeper`]. This actor tells it what happened and when, executes the [`Effect`]s that it
//! returns, and feeds the results back.

mod history;
mod load;
mod log;
mod messages;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Message, Recipient, WrapFuture};
use api_health_core::ApiId;
use api_health_core::keep::{self, DeliveryResult, Effect, HEARTBEAT_MAX, Request};
use api_health_core::schedule::Moment;
use tokio::sync::oneshot;

use crate::alerter::DeliverAlerts;
use crate::board::{Board, Wants};
use crate::handle::Handle;
use crate::lease_view::LeaseView;
use crate::own_side::OwnSide;
use crate::ports::{CommitError, HistoryStore, StateStore, StateWrite, StoreError};
use crate::stats::Stats;
use crate::timebase::TimeBase;

pub use api_health_core::keep::Report as KeeperReport;
pub use messages::{Apply, Flush, GainShards, OutcomeBatch, SubmitOutcome};

/// Messages in the keeper's mailbox. It answers each in microseconds; senders of more wait.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// How often the keeper does what is due: checkpoints, failed writes, alerts to offer again.
const TICK_EVERY: Duration = Duration::from_millis(250);

/// What changed is put on the board each so many ticks.
const SHOW_EACH_TICKS: u32 = 4;

/// What the keeper needs.
#[derive(Clone)]
pub struct KeeperDeps {
    pub store: Arc<dyn StateStore>,
    pub history: Option<Arc<dyn HistoryStore>>,
    pub alerter: Handle<Recipient<DeliverAlerts>>,
    pub time: TimeBase,
    pub stats: Arc<Stats>,
    pub own_side: Arc<OwnSide>,
    pub lease: LeaseView,
    pub board: Arc<Board>,
}

/// To the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SupervisorRequest(pub Request);

pub struct StateKeeper {
    core: keep::Keeper,
    deps: KeeperDeps,
    supervisor: Recipient<SupervisorRequest>,
    waiters: HashMap<u64, oneshot::Sender<()>>,
    next_waiter: u64,
    /// Ticks since the board was filled.
    ticks: u32,
    /// A reader held the board, so that it lacks something.
    shows_all: bool,
}

impl StateKeeper {
    /// A keeper that decides with `core`.
    pub fn new(core: keep::Keeper, deps: KeeperDeps, supervisor: Recipient<SupervisorRequest>) -> Self {
        Self { core, deps, supervisor, waiters: HashMap::new(), next_waiter: 0, ticks: 0, shows_all: false }
    }

    /// Calls the core, and executes the effects.
    fn apply<T>(&mut self, ctx: &mut Context<Self>, what: impl FnOnce(&mut keep::Keeper, Moment) -> T) -> T {
        self.core.set_lease(self.deps.lease.now());
        let answer = what(&mut self.core, self.deps.time.moment());
        let (events, effects) = self.core.drain();
        events.into_iter().for_each(log::log);
        for effect in effects {
            self.carry_out(effect, ctx);
        }
        answer
    }

    fn carry_out(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Commit { call, writes } => self.commit(call, writes, ctx),
            Effect::ReadRecord { call, api_id } => self.load(call, api_id, ctx),
            Effect::Deliver { channel, alerts, failures, unstored } => {
                let lease = (!unstored).then(|| self.deps.lease.for_attempt());
                let message = DeliverAlerts { channel: Arc::clone(&channel), alerts: alerts.clone(), failures, lease };
                ctx.spawn(self.deps.alerter.send(message).into_actor(self).map(move |came, keeper, ctx| {
                    let stats = Arc::clone(&keeper.deps.stats);
                    // Without an answer the alerter is dead: its next life is asked again, as the record says what is owed.
                    let came = came.unwrap_or(DeliveryResult::Cancelled);
                    if came == DeliveryResult::Delivered {
                        alerts.iter().for_each(|_| stats.alert_delivered());
                    }
                    keeper.apply(ctx, |core, now| {
                        let ages = alerts.iter().map(|alert| now.wall.since(alert.detected_at));
                        stats.measured.attempted(&channel, &came, ages);
                        core.on_delivery_result(&channel, &alerts, unstored, &came, now);
                    });
                }));
            }
            Effect::WriteHeartbeat(heartbeat) => {
                let (store, lease) = (Arc::clone(&self.deps.store), self.deps.lease.clone());
                let writing = async move {
                    let written = async {
                        // Where there is a lease, its renewal carries the heartbeat.
                        match lease.renew_with(&heartbeat).await {
                            Some(renewed) => renewed,
                            None => store.write_heartbeat(*heartbeat).await,
                        }
                    };
                    let no_answer =
                        |_| StoreError::Unavailable(format!("no answer within {} s", HEARTBEAT_MAX.as_secs()));
                    tokio::time::timeout(HEARTBEAT_MAX, written).await.map_err(no_answer).flatten()
                };
                self.feed(writing, ctx, keep::Keeper::on_heartbeat_result);
            }
            Effect::WriteHistory { call, items } => self.write_history(call, items, ctx),
            Effect::ReadHistory { call, series, slots, limit } => self.read_history(call, series, slots, limit, ctx),
            Effect::Request(request) => {
                // A supervisor that is gone has ended this actor, or is about to.
                let sent = self.supervisor.send(SupervisorRequest(request));
                ctx.spawn(sent.into_actor(self).map(|_, _, _| ()));
            }
            Effect::Flushed(waiter) => {
                if let Some(waiter) = self.waiters.remove(&waiter) {
                    let _ = waiter.send(()); // whoever gave up waiting needs no answer
                }
            }
            Effect::Show(shown) => self.shows_all = !self.deps.board.put(*shown),
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.apply(ctx, keep::Keeper::tick);
        self.ticks += 1;
        let wants = self.deps.board.wants();
        // A first look is not kept waiting.
        if wants != Wants::Changes || self.ticks >= SHOW_EACH_TICKS {
            self.ticks = 0;
            let from_start = wants == Wants::All || self.shows_all;
            self.apply(ctx, |core, now| core.show(wants != Wants::Nothing, from_start, now));
        }
    }

    fn commit(&mut self, call: u64, writes: Vec<StateWrite>, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.deps.store);
        let commit = async move {
            let ids: Vec<ApiId> = writes.iter().map(|write| write.state.api_id.clone()).collect();
            let results = store.commit(writes).await;
            // Where the store returns fewer results than there were writes, the others count as failed.
            let missing = || Err(CommitError::Store(StoreError::Unavailable("the store gave no answer".into())));
            ids.into_iter().zip(results.into_iter().chain(std::iter::repeat_with(missing))).collect()
        };
        ctx.spawn(commit.into_actor(self).map(move |results: Vec<(ApiId, Result<(), CommitError>)>, keeper, ctx| {
            results.iter().for_each(|(_, written)| keeper.deps.stats.measured.wrote(written.is_ok()));
            keeper.apply(ctx, |core, now| core.on_commit_results(call, results, now));
        }));
    }

    fn load(&mut self, call: u64, api_id: ApiId, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.deps.store);
        let load = async move { (load::read(&*store, &api_id).await, api_id) };
        self.feed(load, ctx, move |core, (read, api_id), now| core.on_record_read(call, &api_id, read, now));
    }

    /// Feeds the core with what comes of `work`.
    fn feed<T: 'static>(
        &self,
        work: impl Future<Output = T> + 'static,
        ctx: &mut Context<Self>,
        with: impl FnOnce(&mut keep::Keeper, T, Moment) + 'static,
    ) {
        ctx.spawn(work.into_actor(self).map(|came, keeper, ctx| keeper.apply(ctx, |core, now| with(core, came, now))));
    }
}

impl Actor for StateKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick(ctx);
        ctx.run_interval(TICK_EVERY, Self::tick);
    }
}
