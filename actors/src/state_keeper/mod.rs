//! The state-keeper: sole owner of the store. It decides, commits, hands over what is owed, and flushes before the end.
//!
//! All of that is decided by a plain value, [`keep::Keeper`]. This actor tells it what happened and when, and carries out the
//! [`Effect`]s that it answers with: it writes, reads and hands over, and tells it what came of that. So there is nothing to
//! know here but who calls whom.

mod load;
mod say;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient,
    ResponseActFuture, ResponseFuture, WrapFuture,
};
use api_health_core::keep::{self, BEAT_MAX, Completed, ConfigDiff, DeliveryResult, Effect, FlushUntil, Grant, OwnSideKind};
use api_health_core::own::shards::{Shard, ShardSet};
use api_health_core::schedule::Moment;
use api_health_core::{Alert, ApiConfig, ApiId, Timestamp};
use tokio::sync::oneshot;

use crate::alerter::DeliverAlert;
use crate::lease_view::LeaseView;
use crate::own_side::OwnSide;
use crate::ports::{CommitError, StateStore, StateWrite, StoreError};
use crate::stats::Stats;
use crate::timebase::TimeBase;

/// Messages in the keeper's mailbox. It answers each in microseconds; the rest wait in their prober, beside its clock.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// How often the keeper looks for what is due: checkpoints, failed writes, alerts to offer again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the keeper is made with.
#[derive(Clone)]
pub struct Tools {
    /// Keeps the records.
    pub store: Arc<dyn StateStore>,
    /// Hands alerts over.
    pub alerter: Recipient<DeliverAlert>,
    /// Hears what only the parent can do something about.
    pub parent: Recipient<KeeperAsks>,
    /// The present.
    pub time: TimeBase,
    /// Counts.
    pub stats: Arc<Stats>,
    /// Hears of the newest point in time that the store has.
    pub own_side: Arc<OwnSide>,
    /// The lease on what is owned.
    pub lease: LeaseView,
}

/// What the keeper cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum KeeperAsks {
    /// Probe this API again at once: what was found out about it is forgotten.
    ProbeAgain(ApiId),
    /// Somebody with this higher epoch owns this shard.
    Lost {
        /// The shard.
        shard: Shard,
        /// What was found in one of its records.
        epoch: u64,
    },
    /// These shards were let go of, and nothing is known of them any more.
    ShardsReleased(ShardSet),
    /// An outage was told that could not be stored, of an API that another owns now: that one is to take it back.
    Withdraw(Arc<Alert>),
}

pub struct StateKeeper {
    core: keep::Keeper,
    tools: Tools,
    waiters: HashMap<u64, oneshot::Sender<()>>,
    next_waiter: u64,
}

impl StateKeeper {
    /// A keeper that goes on from what `core` knows.
    pub fn new(core: keep::Keeper, tools: Tools) -> Self {
        Self { core, tools, waiters: HashMap::new(), next_waiter: 0 }
    }

    /// Tells the core what happened now, and carries out what follows.
    fn apply<T>(&mut self, ctx: &mut Context<Self>, what: impl FnOnce(&mut keep::Keeper, Moment) -> T) -> T {
        self.core.set_lease(self.tools.lease.now());
        let answer = what(&mut self.core, self.tools.time.moment());
        let (lines, effects) = self.core.take();
        lines.into_iter().for_each(say::say);
        for effect in effects {
            self.carry_out(effect, ctx);
        }
        answer
    }

    fn carry_out(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Commit { call, writes } => self.commit(call, writes, ctx),
            Effect::Load { call, api_id } => self.load(call, api_id, ctx),
            Effect::Deliver { api_id, channel, alert, failures, unstored } => {
                let lease = (!unstored).then(|| self.tools.lease.hold());
                let message =
                    DeliverAlert { channel: Arc::clone(&channel), alert: Arc::clone(&alert), failures, lease };
                ctx.spawn(self.tools.alerter.send(message).into_actor(self).map(move |came, keeper, ctx| {
                    // No answer means that the alerter is gone.
                    let came = came.unwrap_or(DeliveryResult::Cancelled);
                    if came == DeliveryResult::Delivered {
                        keeper.tools.stats.alert_delivered();
                    }
                    keeper.apply(ctx, |core, now| {
                        core.on_delivery_result(&api_id, &channel, &alert, unstored, came, now);
                    });
                }));
            }
            Effect::Beat(heartbeat) => {
                let (store, lease) = (Arc::clone(&self.tools.store), self.tools.lease.clone());
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
            Effect::ProbeAgain(api_id) => self.ask_parent(KeeperAsks::ProbeAgain(api_id), ctx),
            Effect::Lost { shard, epoch } => self.ask_parent(KeeperAsks::Lost { shard, epoch }, ctx),
            Effect::ShardsReleased(shards) => self.ask_parent(KeeperAsks::ShardsReleased(shards), ctx),
            Effect::AskToWithdraw(alert) => self.ask_parent(KeeperAsks::Withdraw(alert), ctx),
            Effect::Flushed(waiter) => {
                if let Some(waiter) = self.waiters.remove(&waiter) {
                    let _ = waiter.send(()); // whoever gave up waiting needs no answer
                }
            }
        }
    }

    fn commit(&mut self, call: u64, writes: Vec<StateWrite>, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.tools.store);
        let commit = async move {
            let ids: Vec<ApiId> = writes.iter().map(|write| write.state.api_id.clone()).collect();
            let results = store.commit(writes).await;
            // A store that answers for fewer writes than it was given has not done the others.
            let missing = || Err(CommitError::Store(StoreError::Unavailable("the store gave no answer".into())));
            ids.into_iter().zip(results.into_iter().chain(std::iter::repeat_with(missing))).collect()
        };
        ctx.spawn(commit.into_actor(self).map(move |results, keeper, ctx| {
            keeper.apply(ctx, |core, now| core.committed(call, results, now));
        }));
    }

    fn load(&mut self, call: u64, api_id: ApiId, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.tools.store);
        let load = async move { (load::read(&*store, &api_id).await, api_id) };
        ctx.spawn(load.into_actor(self).map(move |(read, api_id), keeper, ctx| {
            keeper.apply(ctx, |core, now| core.read(call, &api_id, read, now));
        }));
    }

    /// A parent that is gone has ended this actor, or is about to.
    fn ask_parent(&self, asks: KeeperAsks, ctx: &mut Context<Self>) {
        ctx.spawn(self.tools.parent.send(asks).into_actor(self).map(|_, _, _| ()));
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
        let tick = |keeper: &mut Self, ctx: &mut Context<Self>| keeper.apply(ctx, keep::Keeper::tick);
        tick(self, ctx);
        ctx.run_interval(LOOK_EVERY, tick);
    }
}

/// A prober has an outcome. The reply: probe again after this long, or wait for the next tick.
#[derive(Message)]
#[rtype(result = "Option<Duration>")]
pub struct ProbeCompleted {
    /// What was found out.
    pub completed: Completed,
    /// It may change a status, or has an answer that somebody waits for: it goes to the keeper at once.
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

/// Go by these rows from now on. It is sent before the probers that it is about are started.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ApplyConfigs(pub ConfigDiff);

impl Handler<ApplyConfigs> for StateKeeper {
    type Result = ();

    fn handle(&mut self, ApplyConfigs(watch): ApplyConfigs, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.watch(&watch, now));
    }
}

/// The prober of an API died too often.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GivenUp {
    /// The API.
    pub api: Arc<ApiConfig>,
    /// How its prober died, in words.
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

/// These shards are ours: read their records, and go on from there. The reply is the highest epoch that was found in each.
#[derive(Message)]
#[rtype(result = "Result<BTreeMap<Shard, u64>, StoreError>")]
pub struct Gain(pub Vec<Grant>);

impl Handler<Gain> for StateKeeper {
    type Result = ResponseActFuture<Self, Result<BTreeMap<Shard, u64>, StoreError>>;

    fn handle(&mut self, Gain(grants): Gain, _: &mut Self::Context) -> Self::Result {
        let store = Arc::clone(&self.tools.store);
        let shards = self.core.shards();
        let loading = async move { load::load(&*store, &grants, shards).await.map(|states| (grants, states)) };
        Box::pin(loading.into_actor(self).map(move |loaded, keeper, ctx| {
            let (grants, states) = loaded?;
            let stamps = states.iter().filter_map(|state| state.last_probe.as_ref().map(|last| last.at));
            keeper.tools.own_side.newest_stamp(stamps.max());
            Ok(keeper.apply(ctx, |core, now| core.gain(&grants, states, now)))
        }))
    }
}

/// These shards are another's, or nobody's: nothing is known of them any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DropShards(pub ShardSet);

impl Handler<DropShards> for StateKeeper {
    type Result = ();

    fn handle(&mut self, DropShards(shards): DropShards, ctx: &mut Self::Context) {
        self.apply(ctx, |core, _| core.lose(&shards));
    }
}

/// Let go of these shards in order: [`KeeperAsks::ShardsReleased`] answers, of each as soon as it is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReleaseShards(pub ShardSet);

impl Handler<ReleaseShards> for StateKeeper {
    type Result = ();

    fn handle(&mut self, ReleaseShards(shards): ReleaseShards, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.let_go(&shards, now));
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

/// Try now what waits for its next try: these alerts, or all. The reply: how many are owed of those.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Retry(pub Option<Vec<String>>);

impl Handler<Retry> for StateKeeper {
    type Result = usize;

    fn handle(&mut self, Retry(alert_ids): Retry, ctx: &mut Self::Context) -> usize {
        self.apply(ctx, |core, now| core.retry(alert_ids.as_deref(), now))
    }
}

/// Nothing that was decided until then is owed to this channel any more. The reply: how many alerts it was owed.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct DropChannel {
    /// The name of the channel.
    pub channel: String,
    /// Until when.
    pub until: Timestamp,
}

impl Handler<DropChannel> for StateKeeper {
    type Result = usize;

    fn handle(&mut self, DropChannel { channel, until }: DropChannel, ctx: &mut Self::Context) -> usize {
        self.apply(ctx, |core, now| core.drop_channel(&channel, until, now))
    }
}

/// This outage was told by a worker that could not store it, and has lost the shard since.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw(pub Arc<Alert>);

impl Handler<Withdraw> for StateKeeper {
    type Result = ();

    fn handle(&mut self, Withdraw(alert): Withdraw, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| core.withdraw(&alert, now));
    }
}

/// How the other workers are.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FleetIs {
    /// Fewer live than are expected, in words.
    pub fault: Option<String>,
    /// The channels that the others have.
    pub channels: Vec<String>,
}

impl Handler<FleetIs> for StateKeeper {
    type Result = ();

    fn handle(&mut self, FleetIs { fault, channels }: FleetIs, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.others_have(channels);
            core.on_fleet_status(fault, now);
            core.tick(now);
        });
    }
}

/// Whether this machine carries what is configured; if not, by which figures.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct LoadIs(pub Option<String>);

impl Handler<LoadIs> for StateKeeper {
    type Result = ();

    fn handle(&mut self, LoadIs(fault): LoadIs, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            core.on_capacity_status(fault, now);
            core.tick(now);
        });
    }
}

/// How our own side is: what is at fault of it, in words; `None`: nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum OwnSideIs {
    /// The network, and the lookup of names.
    Network(Option<String>),
    /// The clock.
    Clock(Option<String>),
}

impl Handler<OwnSideIs> for StateKeeper {
    type Result = ();

    fn handle(&mut self, own_side: OwnSideIs, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            match own_side {
                OwnSideIs::Network(fault) => core.on_own_side(OwnSideKind::Network, fault, now),
                OwnSideIs::Clock(fault) => core.on_own_side(OwnSideKind::Clock, fault, now),
            }
            core.tick(now);
        });
    }
}

/// What the keeper has at hand; for the end of a run, and for tests.
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

/// Stop, and hand over all that is known to the next keeper.
#[derive(Message)]
#[rtype(result = "keep::Keeper")]
pub struct TakeSnapshot;

impl Handler<TakeSnapshot> for StateKeeper {
    type Result = MessageResult<TakeSnapshot>;

    fn handle(&mut self, _: TakeSnapshot, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        MessageResult(self.core.hand_over(self.tools.time.moment()))
    }
}
