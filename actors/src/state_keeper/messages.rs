//! What the keeper is sent. Each message is passed to the value, and answered with what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Handler, Message, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture};
use api_health_core::keep::{self, CompletedProbe, ConfigDiff, FlushUntil, Grant, OwnSideKind};
use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::own::shards::{Shard, ShardSet};
use api_health_core::{Alert, ApiConfig, Timestamp};

use super::{StateKeeper, load};
use crate::ports::StoreError;

/// From a prober to the outcome batcher of its thread: a probe is judged. The reply: probe again after this long, or wait for the next tick.
#[derive(Message)]
#[rtype(result = "Option<Duration>")]
pub struct SubmitOutcome {
    pub probe: CompletedProbe,
    /// It may change a status, or somebody waits for it: it goes to the keeper at once.
    pub urgent: bool,
}

/// From an [outcome batcher](crate::outcome_batcher) to the keeper: what it gathered, the outcomes of one API in order. The reply answers
/// each, in the same order.
#[derive(Message)]
#[rtype(result = "Vec<Option<Duration>>")]
pub struct OutcomeBatch(pub Vec<SubmitOutcome>);

impl Handler<OutcomeBatch> for StateKeeper {
    type Result = Vec<Option<Duration>>;

    fn handle(&mut self, OutcomeBatch(batch): OutcomeBatch, ctx: &mut Self::Context) -> Self::Result {
        self.apply(ctx, |core, now| core.on_probes_completed(batch.into_iter().map(|submitted| submitted.probe), now))
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

/// What the supervisor found out about the monitor itself; `None`: all is well there.
#[derive(Message)]
#[rtype(result = "()")]
pub enum SelfStatus {
    /// The prober of this API died or hung too often, in words.
    GivenUp(Arc<ApiConfig>, String),
    Fleet {
        /// Fewer workers live than are expected, in words.
        fault: Option<String>,
        /// The channels of the others.
        channels: Vec<String>,
    },
    /// This machine cannot keep up with what is configured, in words.
    Capacity(Option<String>),
    /// What is at fault of this part of our own side, in words.
    OwnSide(OwnSideKind, Option<String>),
}

impl Handler<SelfStatus> for StateKeeper {
    type Result = ();

    fn handle(&mut self, status: SelfStatus, ctx: &mut Self::Context) {
        self.apply(ctx, |core, now| {
            match status {
                SelfStatus::GivenUp(api, why) => core.on_prober_given_up(&api, why, now),
                SelfStatus::Fleet { fault, channels } => {
                    core.set_channels_elsewhere(channels);
                    core.on_fleet_status(fault, now);
                }
                SelfStatus::Capacity(fault) => core.on_capacity_status(fault, now),
                SelfStatus::OwnSide(kind, fault) => core.on_own_side_status(kind, fault, now),
            }
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

/// Release these shards: store everything, then forget them. [`SupervisorRequest::ShardsReleased`](super::SupervisorRequest::ShardsReleased) reports each as soon as it is
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

/// What the keeper counts, for the end of a run and for tests.
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
