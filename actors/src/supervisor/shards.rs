//! Which shards this process owns: what runs follows it.
//!
//! A shard that is gained is read by the keeper first and probed after that. One that is let go of is probed no more, stored,
//! and given back; one that is lost is dropped at once.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, StreamHandler, WrapFuture};
use api_health_core::AlertKind;
use api_health_core::keep::{Grant, Request};
use api_health_core::own::notices::{Ask, AskFor, Notice};
use api_health_core::own::shards::ShardSet;
use futures_util::FutureExt;
use futures_util::future::select;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::progress::{AskProgress, Asker};
use super::{ChildId, Supervisor};
use crate::child::ExitReason;
use crate::lease_holder::{LeaseChange, LeaseHolder, Report};
use crate::lease_view::{LeaseView, NextHeartbeat};
use crate::ports::StoreError;
use crate::prober::ProbeAgain;
use crate::retry::RetryPolicy;
use crate::state_keeper::{GainShards, SupervisorRequest};

/// The records of what is owned are read for this long, again and again; then, where nothing runs without, the process ends.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// One reading of all records takes no longer.
const LOAD_TRY_MAX: Duration = Duration::from_secs(20);

/// What was taken over and could not be read is read again after this.
const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Begins to hold leases, if there are any to hold.
    pub(super) fn start_leases(&mut self, ctx: &mut Context<Self>) {
        let Some(parts) = self.ownership.parts.take() else { return };
        let supervisor = ctx.address();
        let next_heartbeat = NextHeartbeat::clone(&self.ownership.next_heartbeat);
        let ask = move || {
            let (supervisor, next_heartbeat) = (supervisor.clone(), NextHeartbeat::clone(&next_heartbeat));
            async move {
                let is_made =
                    supervisor.send(AskProgress(Asker::Leases)).await.is_ok_and(|progress| progress.is_made());
                let heartbeat = next_heartbeat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
                Report { is_made, heartbeat }
            }
            .boxed_local()
        };
        let (holder, handle, mut changes) = LeaseHolder::new(parts.member, parts.leases, parts.now, Box::new(ask));
        let (alive, gone) = oneshot::channel::<()>();
        self.ownership.alive = Some(alive);
        actix_rt::spawn(async move { drop(select(pin!(holder.run()), gone).await) });
        ctx.add_stream(futures_util::stream::poll_fn(move |cx| changes.poll_recv(cx)));
        self.chain.deps.lease = LeaseView::of(handle.clone(), NextHeartbeat::clone(&self.ownership.next_heartbeat));
        self.ownership.handle = Some(handle);
    }

    /// Has the keeper read the records of what is owned and not read yet, and probes what lies in it after that.
    pub(super) fn load(&mut self, ctx: &mut Context<Self>) {
        let Some(keeper) = &self.chain.keeper else { return };
        let grants = self.ownership.begin_to_load();
        if grants.is_empty() {
            return;
        }
        let (keeper, life) = (keeper.addr.clone(), keeper.life);
        let asked = grants.clone();
        let reading = async move {
            let (began, mut failures) = (Instant::now(), 0);
            loop {
                let why = match tokio::time::timeout(LOAD_TRY_MAX, keeper.send(GainShards(asked.clone()))).await {
                    Ok(Ok(Ok(found))) => return Some(Ok(found)),
                    Ok(Ok(Err(error @ StoreError::Misconfigured { .. }))) => return Some(Err(error.to_string())),
                    Ok(Ok(Err(error))) => error.to_string(),
                    Ok(Err(_)) => return None, // the keeper is dead, and its next life is asked again
                    Err(_) => format!("no answer within {} s", LOAD_TRY_MAX.as_secs()),
                };
                if began.elapsed() >= LOAD_MAX {
                    return Some(Err(format!("the states could not be read for {} s: {why}", LOAD_MAX.as_secs())));
                }
                tracing::error!(why, "the states cannot be read; tried again");
                tokio::time::sleep(RetryPolicy::STORE.wait(failures)).await;
                failures += 1;
            }
        };
        ctx.spawn(reading.into_actor(self).map(move |read, supervisor, ctx| {
            if supervisor.life_of(&ChildId::Keeper) != Some(life) {
                return; // its next life is asked again
            }
            supervisor.ownership.is_being_read = false;
            match read {
                Some(Ok(found)) => {
                    let mut gone = ShardSet::new();
                    for Grant { shard, epoch, .. } in grants {
                        let found = found.get(&shard).copied().unwrap_or(0);
                        match (supervisor.ownership.loaded(shard, epoch, found), &supervisor.ownership.handle) {
                            (None, _) => drop(gone.insert(shard)),
                            (Some(true), Some(handle)) => handle.stored_epoch(shard, found),
                            _ => {}
                        }
                    }
                    if !gone.is_empty() {
                        supervisor.tell_keeper(move |core, _| core.drop_shards(&gone), ctx);
                    }
                    supervisor.on_shards_loaded(ctx);
                    supervisor.load(ctx); // what was granted again meanwhile
                }
                // A round has no later: one that watched nothing must not look like one that did.
                Some(Err(why)) if !supervisor.chain.is_up() || supervisor.options.once => {
                    supervisor.escalate(ChildId::Keeper.name(), ExitReason::Unstartable(why));
                }
                Some(Err(why)) => {
                    tracing::error!(why, "what was taken over is not watched yet: its states cannot be read");
                    ctx.run_later(LOAD_AGAIN_AFTER, Self::load);
                }
                None => {}
            }
        }));
    }

    fn on_shards_loaded(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.ownership.handle.clone() {
            let sight = handle.sight().borrow().clone();
            self.ownership.note_sight(&sight);
            // What was asked of the owner before this one is for this one to do.
            let asks = sight.fleet.iter().flat_map(|fleet| &fleet.assignment.asks);
            let is_inherited = |ask: &&Ask| matches!(ask.what, AskFor::DropChannel { .. } | AskFor::Maintenance { .. });
            let inherited: HashSet<&str> = asks.filter(is_inherited).map(|ask| ask.id.as_str()).collect();
            self.ownership.forget_acted(|id| inherited.contains(id));
        }
        self.configs.closed_unconfigured = false;
        if self.chain.is_up() {
            self.reconcile(ctx);
            self.release(ctx);
        } else {
            self.on_chain_up(ctx);
        }
    }

    /// Has the keeper let go of what is being let go of. What is still to be read follows when it was: the keeper would not know
    /// what to forget. A keeper that died is asked again in its next life.
    pub(super) fn release(&mut self, ctx: &mut Context<Self>) {
        let can_go = self.ownership.can_go();
        if !can_go.is_empty() && self.chain.is_up() {
            self.tell_keeper(move |core, now| core.release_shards(&can_go, now), ctx);
        }
    }

    /// A process that wants all must not end as if it had had all, where it gave some away.
    fn end_where_all_is_wanted(&mut self) {
        let is_over = self.stopping || self.ownership.leaving.is_some();
        if self.ownership.alone && self.ownership.has_joined() && !is_over {
            let why = "another api-health shares this store, and has some of the APIs now".into();
            self.escalate("worker", ExitReason::Unstartable(why));
        }
    }

    fn lose(&mut self, shards: ShardSet, ctx: &mut Context<Self>) {
        self.ownership.remove(&shards);
        self.reconcile(ctx);
        self.tell_keeper(move |core, _| core.drop_shards(&shards), ctx);
    }
}

impl StreamHandler<LeaseChange> for Supervisor {
    fn handle(&mut self, change: LeaseChange, ctx: &mut Context<Self>) {
        match change {
            LeaseChange::Gained(gained) => {
                tracing::info!(shards = gained.len(), "shards gained");
                self.ownership.gained(&gained);
                if self.chain.is_up() {
                    self.load(ctx);
                }
            }
            LeaseChange::Release(shards) => {
                tracing::info!(shards = shards.len(), "shards are let go of");
                self.end_where_all_is_wanted();
                self.ownership.leave(&shards);
                self.reconcile(ctx);
                self.release(ctx);
            }
            LeaseChange::Lost { shards, why } => {
                tracing::warn!(shards = shards.len(), ?why, "shards lost: another worker owns them");
                self.end_where_all_is_wanted();
                self.lose(shards, ctx);
            }
            LeaseChange::Left => {
                if let Some(waiter) = self.ownership.leaving.take() {
                    let _ = waiter.send(()); // whoever gave up waiting needs no answer
                }
            }
        }
    }

    fn finished(&mut self, _: &mut Context<Self>) {
        if !self.stopping {
            self.escalate("lease holder", ExitReason::Normal);
        }
    }
}

impl Handler<SupervisorRequest> for Supervisor {
    type Result = ();

    fn handle(&mut self, SupervisorRequest(request): SupervisorRequest, ctx: &mut Self::Context) {
        match request {
            Request::ProbeAgain(api_id) => {
                if let Some(prober) = self.probers.child(&api_id) {
                    self.send(&prober.addr, ProbeAgain, ctx);
                }
            }
            // One that was said of an earlier grant says nothing of this one.
            Request::ShardFenced { shard, epoch } if self.ownership.epoch(shard).is_some_and(|held| held > epoch) => {}
            Request::ShardFenced { shard, epoch } => {
                self.lose(ShardSet::from([shard]), ctx);
                if let Some(handle) = &self.ownership.handle {
                    // It is another's, or has to be taken with a higher epoch.
                    handle.read_fleet();
                    handle.stored_epoch(shard, epoch);
                }
            }
            Request::ShardsReleased(shards) => {
                let left = self.ownership.can_go().intersection(&shards).copied().collect();
                let epochs = self.ownership.remove(&left);
                if let Some(handle) = &self.ownership.handle {
                    handle.released(epochs);
                }
            }
            Request::Withdraw(alert) if alert.kind == AlertKind::Down => {
                if let Some(handle) = &self.ownership.handle {
                    let what = AskFor::Withdraw {
                        api_id: alert.api_id.clone(),
                        incident_id: alert.incident_id.clone(),
                        kind: alert.kind,
                    };
                    let id = format!("withdraw.{}", alert.alert_id);
                    handle.notice(Notice::Ask(Ask { id, at: self.time.wall(), what }));
                }
            }
            Request::Withdraw(_) => {}
        }
    }
}

/// Give back all that is owned, as the last thing of an orderly end. The reply comes when the worker has left.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave;

impl Handler<Leave> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Leave, _: &mut Self::Context) -> Self::Result {
        let Some(handle) = &self.ownership.handle else { return Box::pin(std::future::ready(())) };
        let (waiter, left) = oneshot::channel();
        self.ownership.leaving = Some(waiter);
        handle.leave();
        Box::pin(async move { drop(left.await) })
    }
}
