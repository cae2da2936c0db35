//! rest_for_one: when a member of the chain dies, those after it are stopped in reverse, and all are started again in
//! order. The death of an outcome batcher, or of its thread, costs the probers of that thread a restart, and nobody else anything.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use api_health_core::restart::{RestartPolicy, Verdict};

use super::Supervisor;
use super::chain::{Member, Phase};
use super::snapshot::retire;
use crate::child::{ChildExit, ExitReason};
use crate::keeper_handle::Presence;

impl Supervisor {
    /// Stops all probers and outcome batchers, in that order.
    pub(super) fn stop_all_probers(&mut self) {
        for index in 0..self.chain.prober_threads.len() {
            self.stop_prober_thread(index);
        }
    }

    /// Stops the probers of one thread, then its outcome batcher. That is not charged to the probers.
    pub(super) fn stop_prober_thread(&mut self, index: usize) {
        self.pause_probers(index);
        let Some(prober_thread) = self.chain.prober_threads.get_mut(index) else { return };
        prober_thread.shared = None;
        if let Some(batcher) = prober_thread.batcher.take() {
            batcher.child.kill.abort();
        }
        self.finish_stop_if_idle();
    }

    /// Alerter or keeper is dead: the rest of the chain is stopped in reverse, and all are started again in order.
    pub(super) fn restart_chain(&mut self, member: Member, reason: ExitReason, ctx: &mut Context<Self>) {
        let now = self.uptime();
        let verdict = self.chain.deaths.count(now, &RestartPolicy::CHAIN, 0);
        let deaths = self.chain.deaths.recent();
        let Verdict::Restart { after } = verdict else {
            return self.escalate(member.name(), reason);
        };
        if self.chain.phase == Phase::Restarting {
            tracing::error!(actor = member.name(), %reason, deaths, "an actor died while it was being started again");
            return; // whatever is missing is started with the rest
        }
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor = member.name(), %reason, deaths, delay_ms, "an actor died; it is started again, and with it those that hang on it");
        self.chain.phase = Phase::Restarting;
        self.chain.presence.send_replace(Presence::Restarting);
        self.stop_all_probers();
        let keeper = self.chain.keeper.take();
        let next = async move {
            let core = match keeper {
                Some(keeper) => retire(&keeper.child).await,
                None => None,
            };
            tokio::time::sleep(after).await;
            core
        };
        ctx.spawn(next.into_actor(self).map(|core, supervisor, ctx| supervisor.start_chain(core, ctx)));
    }

    /// The outcome batcher of a thread is dead, or the thread itself: it starts again, and with it its probers.
    pub(super) fn restart_prober_thread(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        let name = Member::OutcomeBatcher(index).name();
        self.stop_prober_thread(index);
        let now = self.uptime();
        let Some(prober_thread) = self.chain.prober_threads.get_mut(index) else { return };
        if matches!(reason, ExitReason::ArbiterGone | ExitReason::Hung) {
            prober_thread.thread = None;
        }
        let verdict = prober_thread.deaths.count(now, &RestartPolicy::CHAIN, 0);
        let deaths = prober_thread.deaths.recent();
        let Verdict::Restart { after } = verdict else {
            return self.escalate(name, reason);
        };
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor = name, index, %reason, deaths, delay_ms, "an actor died; it is started again, and with it the probers of its thread");
        ctx.run_later(after, move |supervisor, ctx| {
            // Unless the whole chain was started again meanwhile, or is about to be.
            if supervisor.chain.is_up() && supervisor.chain.prober_threads[index].batcher.is_none() {
                supervisor.start_prober_thread(index, ctx);
                supervisor.start_paused(Some(index), ctx);
            }
        });
    }
}

impl Handler<ChildExit<Member>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit<Member>, ctx: &mut Self::Context) {
        let ChildExit { child: member, life, reason } = exit;
        let is_thread_gone = reason == ExitReason::ArbiterGone;
        let chain = &mut self.chain;
        match member {
            Member::Alerter if chain.alerter.as_ref().is_some_and(|alerter| alerter.life == life) => {
                chain.alerter = None;
                if is_thread_gone {
                    chain.alerter_thread = None;
                }
            }
            Member::Keeper if chain.keeper.as_ref().is_some_and(|keeper| keeper.life == life) => {
                chain.keeper = None;
                // Its attempts are cut: the next keeper makes them again, and a late one must not arrive after what follows it.
                if let Some(alerter) = chain.alerter.take() {
                    alerter.child.kill.abort();
                }
                if is_thread_gone {
                    chain.keeper_thread = None;
                }
            }
            Member::OutcomeBatcher(index)
                if chain
                    .prober_threads
                    .get(index)
                    .and_then(|prober_thread| prober_thread.batcher.as_ref())
                    .is_some_and(|c| c.life == life) =>
            {
                return self.restart_prober_thread(index, reason, ctx);
            }
            _ => return, // the notice of an earlier life
        }
        if !self.escalated {
            self.restart_chain(member, reason, ctx);
        }
    }
}
