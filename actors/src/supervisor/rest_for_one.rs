//! rest_for_one: when a member of the chain dies, those after it are stopped in reverse, and all are started again in
//! order. The death of a courier, or of its thread, costs the probers of that thread a restart, and nobody else anything.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use api_health_core::restart::{RestartPolicy, Verdict};

use super::Supervisor;
use super::carrying::retire;
use super::chain::{Member, Phase};
use crate::child::{ChildExit, ExitReason};
use crate::follow::Presence;

impl Supervisor {
    /// Stops all probers and couriers, in that order.
    pub(super) fn stop_homes(&mut self) {
        for index in 0..self.chain.homes.len() {
            self.stop_home(index);
        }
    }

    /// Stops the probers of one thread, then its courier. That is not charged to the probers.
    pub(super) fn stop_home(&mut self, index: usize) {
        self.pause_probers(index);
        let Some(home) = self.chain.homes.get_mut(index) else { return };
        home.shared = None;
        if let Some(courier) = home.courier.take() {
            courier.child.kill.abort();
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
        self.stop_homes();
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

    /// The courier of a thread is dead, or the thread itself: it starts again, and with it its probers.
    pub(super) fn restart_home(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        let name = Member::Courier(index).name();
        self.stop_home(index);
        let now = self.uptime();
        let Some(home) = self.chain.homes.get_mut(index) else { return };
        if matches!(reason, ExitReason::ArbiterGone | ExitReason::Hung) {
            home.thread = None;
        }
        let verdict = home.deaths.count(now, &RestartPolicy::CHAIN, 0);
        let deaths = home.deaths.recent();
        let Verdict::Restart { after } = verdict else {
            return self.escalate(name, reason);
        };
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor = name, index, %reason, deaths, delay_ms, "an actor died; it is started again, and with it the probers of its thread");
        ctx.run_later(after, move |supervisor, ctx| {
            // Unless the whole chain was started again meanwhile, or is about to be.
            if supervisor.chain.is_up() && supervisor.chain.homes[index].courier.is_none() {
                supervisor.start_home(index, ctx);
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
            Member::Courier(index)
                if chain.homes.get(index).and_then(|home| home.courier.as_ref()).is_some_and(|c| c.life == life) =>
            {
                return self.restart_home(index, reason, ctx);
            }
            _ => return, // the notice of an earlier life
        }
        if !self.escalated {
            self.restart_chain(member, reason, ctx);
        }
    }
}
