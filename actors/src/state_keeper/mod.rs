//! The state-keeper: the only actor that uses the store. It stores states, sends owed alerts, and flushes before the end.
//!
//! All decisions are in a plain value, [`keep::Keeper`]. This actor tells it what happened and when, executes the [`Effect`]s that it
//! returns, and feeds the results back.

mod history;
mod load;
mod log;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient,
    ResponseActFuture, ResponseFuture, WrapFuture,
};
use api_health_core::keep::{
    self, BEAT_MAX, Completed, ConfigDiff, DeliveryResult, Effect, FlushUntil, Grant, OwnSideKind,
};
use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::own::shards::{Shard, ShardSet};
use api_health_core::schedule::Moment;
use api_health_core::{Alert, ApiConfig, ApiId, Timestamp};
use tokio::sync::oneshot;

use crate::alerter::DeliverAlerts;
use crate::board::{Board, Wants};
use crate::lease_view::LeaseView;
use crate::own_side::OwnSide;
use crate::ports::{CommitError, HistoryStore, StateStore, StateWrite, StoreError};
use crate::stats::Stats;
use crate::timebase::TimeBase;

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
    pub alerter: Recipient<DeliverAlerts>,
    /// The supervisor.
    pub parent: Recipient<SupervisorRequest>,
    pub time: TimeBase,
    pub stats: Arc<Stats>,
    pub own_side: Arc<OwnSide>,
    pub lease: LeaseView,
    pub board: Arc<Board>,
}

/// What the keeper asks of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum SupervisorRequest {
    /// Probe this API again at once: a decision about it was dropped.
    ProbeAgain(ApiId),
    /// Somebody with this higher epoch owns this shard.
    ShardFenced {
        shard: Shard,
        /// As one of its records has it.
        epoch: u64,
    },
    /// These shards are released.
    ShardsReleased(ShardSet),
    /// An outage was sent that could not be stored, of an API that now has another owner: that owner has to withdraw it.
    Withdraw(Arc<Alert>),
}

pub struct StateKeeper {
    core: keep::Keeper,
    deps: KeeperDeps,
    waiters: HashMap<u64, oneshot::Sender<()>>,
    next_waiter: u64,
    /// Ticks since the board was filled.
    ticks: u32,
    /// A reader held the board, so that it lacks something.
    shows_all: bool,
}

impl StateKeeper {
    /// A keeper that goes on with `core`.
    pub fn new(core: keep::Keeper, deps: KeeperDeps) -> Self {
        Self { core, deps, waiters: HashMap::new(), next_waiter: 0, ticks: 0, shows_all: false }
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
            Effect::Load { call, api_id } => self.load(call, api_id, ctx),
            Effect::Deliver { channel, alerts, failures, unstored } => {
                let lease = (!unstored).then(|| self.deps.lease.hold());
                let message = DeliverAlerts { channel: Arc::clone(&channel), alerts: alerts.clone(), failures, lease };
                ctx.spawn(self.deps.alerter.send(message).into_actor(self).map(move |came, keeper, ctx| {
                    let stats = Arc::clone(&keeper.deps.stats);
                    // No answer means that the alerter is gone.
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
            Effect::Beat(heartbeat) => {
                let (store, lease) = (Arc::clone(&self.deps.store), self.deps.lease.clone());
                let writing = async move {
                    let written = async {
                        // Where there is a lease, its renewal carries the heartbeat.
                        match lease.renew_with(&heartbeat).await {
                            Some(renewed) => renewed,
                            None => store.write_heartbeat(*heartbeat).await,
                        }
                    };
                    let no_answer = |_| StoreError::Unavailable(format!("no answer within {} s", BEAT_MAX.as_secs()));
                    tokio::time::timeout(BEAT_MAX, written).await.map_err(no_answer).flatten()
                };
                ctx.spawn(writing.into_actor(self).map(|written, keeper, ctx| {
                    keeper.apply(ctx, |core, now| core.beat_answered(written, now));
                }));
            }
            Effect::WriteHistory { call, items } => self.write_history(call, items, ctx),
            Effect::ReadHistory { call, series, slots, limit } => self.read_history(call, series, slots, limit, ctx),
            Effect::ProbeAgain(api_id) => self.ask_parent(SupervisorRequest::ProbeAgain(api_id), ctx),
            Effect::ShardFenced { shard, epoch } => {
                self.ask_parent(SupervisorRequest::ShardFenced { shard, epoch }, ctx);
            }
            Effect::ShardsReleased(shards) => self.ask_parent(SupervisorRequest::ShardsReleased(shards), ctx),
            Effect::RequestWithdrawal(alert) => self.ask_parent(SupervisorRequest::Withdraw(alert), ctx),
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
            keeper.apply(ctx, |core, now| core.committed(call, results, now));
        }));
    }

    fn load(&mut self, call: u64, api_id: ApiId, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.deps.store);
        let load = async move { (load::read(&*store, &api_id).await, api_id) };
        ctx.spawn(load.into_actor(self).map(move |(read, api_id), keeper, ctx| {
            keeper.apply(ctx, |core, now| core.read(call, &api_id, read, now));
        }));
    }

    /// A parent that is gone has ended this actor, or is about to.
    fn ask_parent(&self, asks: SupervisorRequest, ctx: &mut Context<Self>) {
        ctx.spawn(self.deps.parent.send(asks).into_actor(self).map(|_, _, _| ()));
    }

    fn flush(&mut self, until: FlushUntil, ctx: &mut Context<Self>) -> oneshot::Receiver<()> {
        let (waiter, done) = oneshot::channel();
        self.next_waiter += 1;
        let number = self.next_waiter;
        self.waiters.insert(number, waiter);
        self.apply(ctx, |core, now| core.flush(until, number, now));
        done
    }
}

impl Actor for StateKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick(ctx);
        ctx.run_interval(TICK_EVERY, Self::tick);
    }
}

/// A prober has an outcome. The reply: probe again after this long, or wait for the next tick.
#[derive(Message)]
#[rtype(result = "Option<Duration>")]
pub struct ProbeCompleted {
    pub completed: Completed,
    /// It may change a status, or somebody waits for it: it goes to the keeper at once.
    pub urgent: bool,
}

/// Outcomes of several APIs, from one [`outcome_batcher`](crate::outcome_batcher), those of one API in order. The reply answers each, in
/// the same order.
#[derive(Message)]
#[rtype(result = "Vec<Option<Duration>>")]
pub struct ProbesCompleted(pub Vec<ProbeCompleted>);

impl Handler<ProbesCompleted> for StateKeeper {
    type Result = Vec<Option<Duration>>;

    fn handle(&mut self, ProbesCompleted(batch): ProbesCompleted, ctx: &mut Self::Context) -> Self::Result {
        self.apply(ctx, |core, now| core.all_completed(batch.into_iter().map(|probe| probe.completed), now))
    }
}

/// Applies a config change. It has to be sent before the probers of new APIs are started.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ApplyConfigs(pub ConfigDiff);

impl Handler<ApplyConfigs> for StateKeeper {
    type Result = ();

    fn handle(&mut self, ApplyConfigs(diff): ApplyConfigs, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.apply_configs(&diff, now));
    }
}

/// The prober of an API died or hung too often.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GivenUp {
    pub api: Arc<ApiConfig>,
    /// How the prober died, in words.
    pub why: String,
}

impl Handler<GivenUp> for StateKeeper {
    type Result = ();

    fn handle(&mut self, GivenUp { api, why }: GivenUp, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.prober_given_up(&api, why, now);
            core.tick(now);
        });
    }
}

/// This worker owns these shards: read their records. The reply is the highest epoch in the records of each.
#[derive(Message)]
#[rtype(result = "Result<BTreeMap<Shard, u64>, StoreError>")]
pub struct GainShards(pub Vec<Grant>);

impl Handler<GainShards> for StateKeeper {
    type Result = ResponseActFuture<Self, Result<BTreeMap<Shard, u64>, StoreError>>;

    fn handle(&mut self, GainShards(grants): GainShards, _: &mut Self::Context) -> Self::Result {
        let store = Arc::clone(&self.deps.store);
        let shards = self.core.shards();
        let has_history = self.deps.history.is_some();
        let loading = async move {
            let states = load::load(&*store, &grants, shards).await?;
            // For people alone, so that no error of it is one of the start.
            let alive_until = if has_history { load::alive_until(&*store).await } else { None };
            Ok((grants, states, alive_until))
        };
        Box::pin(loading.into_actor(self).map(move |loaded, keeper, ctx| {
            let (grants, states, alive_until) = loaded?;
            let stamps = states.iter().filter_map(|state| state.last_probe.as_ref().map(|last| last.at));
            keeper.deps.own_side.newest_stamp(stamps.max());
            Ok(keeper.apply(ctx, |core, now| {
                core.set_alive_until(alive_until);
                core.gain_shards(&grants, states, now)
            }))
        }))
    }
}

/// These shards are lost: forget them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DropShards(pub ShardSet);

impl Handler<DropShards> for StateKeeper {
    type Result = ();

    fn handle(&mut self, DropShards(shards): DropShards, ctx: &mut Self::Context) {
        self.apply(ctx, |core, _| core.drop_shards(&shards));
    }
}

/// Release these shards: store everything, then forget them. [`SupervisorRequest::ShardsReleased`] reports each as soon as it is
/// done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReleaseShards(pub ShardSet);

impl Handler<ReleaseShards> for StateKeeper {
    type Result = ();

    fn handle(&mut self, ReleaseShards(shards): ReleaseShards, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.release_shards(&shards, now));
    }
}

/// Write everything now, and reply when that is done. The sender bounds the wait. `false`: this keeper ended before that,
/// and its next life has to be asked.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Flush(pub FlushUntil);

impl Handler<Flush> for StateKeeper {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Flush(until): Flush, ctx: &mut Self::Context) -> Self::Result {
        let done = self.flush(until, ctx);
        Box::pin(async move { done.await.is_ok() })
    }
}

/// Try these alerts now, or all. The reply: how many of them are owed.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Retry(pub Option<Vec<String>>);

impl Handler<Retry> for StateKeeper {
    type Result = usize;

    fn handle(&mut self, Retry(alert_ids): Retry, ctx: &mut Self::Context) -> usize {
        self.apply(ctx, |core, now| core.retry(alert_ids.as_deref(), now))
    }
}

/// What was decided until then is no longer owed to this channel. The reply: how many alerts that were.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct DropChannel {
    pub channel: String,
    pub until: Timestamp,
}

impl Handler<DropChannel> for StateKeeper {
    type Result = usize;

    fn handle(&mut self, DropChannel { channel, until }: DropChannel, ctx: &mut Self::Context) -> usize {
        self.apply(ctx, |core, now| core.drop_channel(&channel, until, now))
    }
}

/// Open a maintenance window for these APIs, or close it (`None`). The reply: how many there are.
#[derive(Clone, Debug, Message)]
#[rtype(result = "usize")]
pub struct SetMaintenance {
    pub of: Selection,
    pub window: Option<Maintenance>,
}

impl Handler<SetMaintenance> for StateKeeper {
    type Result = usize;

    fn handle(&mut self, SetMaintenance { of, window }: SetMaintenance, ctx: &mut Self::Context) -> usize {
        self.apply(ctx, |core, now| core.set_maintenance(&of, window.as_ref(), now))
    }
}

/// A worker that has lost the shard since sent this outage without being able to store it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw(pub Arc<Alert>);

impl Handler<Withdraw> for StateKeeper {
    type Result = ();

    fn handle(&mut self, Withdraw(alert): Withdraw, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.withdraw(&alert, now));
    }
}

/// The state of the other workers.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FleetStatus {
    /// Fewer live than are expected, in words; `None`: enough do.
    pub fault: Option<String>,
    /// Their channels.
    pub channels: Vec<String>,
}

impl Handler<FleetStatus> for StateKeeper {
    type Result = ();

    fn handle(&mut self, FleetStatus { fault, channels }: FleetStatus, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.set_channels_elsewhere(channels);
            core.on_fleet_status(fault, now);
            core.tick(now);
        });
    }
}

/// This machine cannot keep up with what is configured, in words; `None`: it can.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct CapacityStatus(pub Option<String>);

impl Handler<CapacityStatus> for StateKeeper {
    type Result = ();

    fn handle(&mut self, CapacityStatus(fault): CapacityStatus, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.on_capacity_status(fault, now);
            core.tick(now);
        });
    }
}

/// What is at fault of this part of our own side, in words; `None`: nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct OwnSideStatus(pub OwnSideKind, pub Option<String>);

impl Handler<OwnSideStatus> for StateKeeper {
    type Result = ();

    fn handle(&mut self, OwnSideStatus(kind, fault): OwnSideStatus, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.on_own_side_status(kind, fault, now);
            core.tick(now);
        });
    }
}

/// Figures of the keeper, for the end of a run and for tests.
pub type KeeperReport = keep::Report;

/// Asks for a [`KeeperReport`].
#[derive(Message)]
#[rtype(result = "KeeperReport")]
pub struct Report;

impl Handler<Report> for StateKeeper {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.core.report())
    }
}

/// Stop, and return everything that is known, for the next life.
#[derive(Message)]
#[rtype(result = "keep::Keeper")]
pub struct TakeSnapshot;

impl Handler<TakeSnapshot> for StateKeeper {
    type Result = MessageResult<TakeSnapshot>;

    fn handle(&mut self, _: TakeSnapshot, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        MessageResult(self.core.take_snapshot(self.deps.time.moment()))
    }
}
