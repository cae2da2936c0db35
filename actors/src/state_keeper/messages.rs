//! What the keeper is sent: outcomes, what takes longer than a moment, and whatever else is to be done with its value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Handler, Message, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture};
use api_health_core::keep::{self, CompletedProbe, FlushUntil, Grant};
use api_health_core::own::shards::Shard;
use api_health_core::schedule::Moment;
use tokio::sync::oneshot;

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

type Change<T> = dyn FnOnce(&mut keep::Keeper, Moment) -> T + Send;

/// Something to be done with the keeper's value; the reply is what it says. Sent before an outcome, it is done before that.
pub struct Apply<T>(Box<Change<T>>);

impl<T> Apply<T> {
    pub fn new(what: impl FnOnce(&mut keep::Keeper, Moment) -> T + Send + 'static) -> Self {
        Self(Box::new(what))
    }
}

impl<T: Send + 'static> Message for Apply<T> {
    type Result = T;
}

impl<T: Send + 'static> Handler<Apply<T>> for StateKeeper {
    type Result = MessageResult<Apply<T>>;

    fn handle(&mut self, Apply(what): Apply<T>, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.apply(ctx, what))
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

/// Write everything now, and reply when that is done. The sender bounds the wait. `false`: this keeper ended before that,
/// and its next life has to be asked.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Flush(pub FlushUntil);

impl Handler<Flush> for StateKeeper {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Flush(until): Flush, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.next_waiter += 1;
        let number = self.next_waiter;
        self.waiters.insert(number, waiter);
        self.apply(ctx, |core, now| core.flush(until, number, now));
        Box::pin(async move { done.await.is_ok() })
    }
}
