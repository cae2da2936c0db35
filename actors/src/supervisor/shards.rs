//! Which shards this process owns: what runs follows it.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use api_health_core::keep::Grant;
use tokio::time::Instant;

use super::Supervisor;
use super::chain::{Member, Phase};
use crate::child::ExitReason;
use crate::ports::StoreError;
use crate::prober::Again;
use crate::retry::{RetryPolicy, Waits};
use crate::state_keeper::{Gain, KeeperAsks};

/// The records of a keeper that goes on from nothing are read for this long, again and again; then the process ends.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// One reading of all records takes no longer.
const LOAD_TRY_MAX: Duration = Duration::from_secs(20);

impl Supervisor {
    /// Has the keeper read the records of these shards, and probes what lies in them after that.
    pub(super) fn gain(&mut self, grants: Vec<Grant>, ctx: &mut Context<Self>) {
        let Some(keeper) = &self.chain.keeper else { return };
        let (keeper, life) = (keeper.child.addr.clone(), keeper.life);
        let reading = async move {
            let (began, mut waits) = (Instant::now(), Waits::new(RetryPolicy::STORE));
            loop {
                let why = match tokio::time::timeout(LOAD_TRY_MAX, keeper.send(Gain(grants.clone()))).await {
                    Ok(Ok(Ok(too_low))) => return Some(Ok(too_low)),
                    Ok(Ok(Err(error @ StoreError::Misconfigured { .. }))) => return Some(Err(error.to_string())),
                    Ok(Ok(Err(error))) => error.to_string(),
                    Ok(Err(_)) => return None, // the keeper is dead, and its next life is asked again
                    Err(_) => format!("no answer within {} s", LOAD_TRY_MAX.as_secs()),
                };
                if began.elapsed() >= LOAD_MAX {
                    return Some(Err(format!("the states could not be read for {} s: {why}", LOAD_MAX.as_secs())));
                }
                tracing::error!(why, "the states cannot be read; tried again");
                tokio::time::sleep(waits.next_wait()).await;
            }
        };
        ctx.spawn(reading.into_actor(self).map(move |read, supervisor, ctx| {
            if supervisor.chain.keeper.as_ref().is_none_or(|keeper| keeper.life != life) {
                return;
            }
            match read {
                Some(Ok(_)) if supervisor.chain.phase == Phase::Restarting => supervisor.chain_is_up(ctx),
                Some(Ok(_)) => supervisor.apply_configs(ctx),
                Some(Err(why)) => supervisor.escalate(Member::Keeper.name(), ExitReason::Unstartable(why)),
                None => {}
            }
        }));
    }
}

impl Handler<KeeperAsks> for Supervisor {
    type Result = ();

    fn handle(&mut self, asks: KeeperAsks, ctx: &mut Self::Context) {
        match asks {
            KeeperAsks::ProbeAgain(api_id) => {
                if let Some(prober) = self.probers.address(&api_id) {
                    ctx.spawn(prober.send(Again).into_actor(self).map(|_, _, _| ()));
                }
            }
            KeeperAsks::Lost(_) | KeeperAsks::Withdraw(_) => {}
        }
    }
}
