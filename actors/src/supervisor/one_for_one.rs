//! one_for_one: the death of a prober costs that one a restart after a delay, and nobody else anything. One that dies too
//! often is given up loudly, and tried again slowly; a life that lasts makes up for the deaths before it.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use api_health_core::ApiId;
use api_health_core::restart::Verdict;

use super::Supervisor;
use super::probers::{Life, Slot};
use crate::child::{ChildExit, ExitReason};
use crate::state_keeper::GivenUp;

/// A prober that hangs so many times in a row, and finds no outcome in between, is given up. Each time takes it its slack and
/// twice its timeout, so that never enough of these deaths fall into the period of the restart policy.
pub(super) const HANGS_MAX: u32 = 3;

impl Supervisor {
    /// Stops the probers of a thread, for the sake of others. They keep what they left, and their ticket in the round.
    pub(super) fn pause_probers(&mut self, prober_thread: usize) {
        let prober_threads = self.chain.prober_threads.len().max(1) as u64;
        let is_stopping = self.stopping.is_some();
        for (api_id, slot) in &mut self.probers.slots {
            let Life::Runs(running) = &slot.life else { continue };
            if api_id.stable_hash() % prober_threads != prober_thread as u64 {
                continue;
            }
            let ticket = running.ticket.upgrade();
            let is_over = is_stopping || (self.options.once && ticket.is_none());
            running.child.kill.abort();
            slot.life =
                if is_over { Life::Over } else { Life::Paused { resume: running.liveness.resume_point(), ticket } };
        }
    }

    /// A prober is dead. That it hung, or that somebody killed it, counts like any other death.
    pub(super) fn prober_died(&mut self, api_id: &ApiId, reason: &ExitReason, ctx: &mut Context<Self>) {
        let now = self.uptime();
        let is_stopping = self.stopping.is_some();
        let Some(slot) = self.probers.slots.get_mut(api_id) else { return };
        let Life::Runs(running) = &slot.life else { return };
        let resume = running.liveness.resume_point();
        running.child.kill.abort();
        if *reason == ExitReason::Hung {
            slot.hangs = if slot.has_hung() { slot.hangs.saturating_add(1) } else { 1 };
            slot.hung_at = Some(now);
        }
        if is_stopping || self.options.once {
            slot.life = Life::Over;
            if self.options.once && !is_stopping && *reason != ExitReason::Normal {
                self.probers.died_in_round += 1;
                tracing::error!(%api_id, %reason, "the prober died");
            }
            return self.finish_stop_if_idle();
        }
        let policy = &self.options.restart;
        let mut verdict = slot.deaths.count(now, policy, api_id.stable_hash());
        let hangs = slot.hangs;
        let hangs_for_ever = *reason == ExitReason::Hung && hangs >= HANGS_MAX;
        if hangs_for_ever {
            verdict = slot.deaths.give_up(policy, api_id.stable_hash());
        }
        let deaths = slot.deaths.recent();
        let delay = match verdict {
            Verdict::Restart { after } => after,
            Verdict::GiveUp { again_after } => {
                let (period, slow) = (policy.period.as_secs(), policy.slow.as_secs());
                let how_often = if hangs_for_ever {
                    format!("it hung {hangs} times in a row without an outcome")
                } else {
                    format!("it died {deaths} times within {period} s")
                };
                let why = format!("{how_often} and is tried again every {slow} s from now on; the last time {reason}");
                // Later deaths are deaths of a prober that is given up already.
                let is_new = slot.given_up.is_none();
                let why = slot.given_up.get_or_insert(why).clone();
                if is_new {
                    tracing::error!(%api_id, why, "the prober is given up: nobody probes this API for now");
                }
                again_after
            }
        };
        let until = now.saturating_add(delay);
        let given_up = slot.given_up.clone();
        slot.life = Life::Waits { until, resume };
        self.probers.due.insert((until, api_id.clone()));
        if let (Some(why), Some(api)) = (given_up, self.configs.running.get(api_id).cloned()) {
            self.tell_keeper(GivenUp { api, why }, ctx);
        }
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(%api_id, %reason, deaths, delay_ms, "the prober died; it is started again");
        self.start_due(ctx);
    }

    /// The keeper may be in another life, which knows only what is stored.
    pub(super) fn tell_of_those_given_up(&self, ctx: &mut Context<Self>) {
        for (api_id, slot) in &self.probers.slots {
            if let (Some(why), Some(api)) = (slot.given_up.clone(), self.configs.running.get(api_id).cloned()) {
                self.tell_keeper(GivenUp { api, why }, ctx);
            }
        }
    }

    /// Starts those whose delay is over, as fast as the brake lets them, and sets the timer for the next.
    pub(super) fn start_due(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() || self.escalated {
            return;
        }
        let now = self.uptime();
        while let Some((at, _)) = self.probers.due.first()
            && *at <= now
        {
            let granted = self.probers.granted.unwrap_or_else(|| now.saturating_add(self.probers.brake.wait(now)));
            self.probers.granted = Some(granted);
            if granted > now {
                break;
            }
            let Some((at, api_id)) = self.probers.due.pop_first() else { break };
            let prober_thread = self.thread_of(&api_id);
            let has_batcher = self
                .chain
                .prober_threads
                .get(prober_thread)
                .is_some_and(|prober_thread| prober_thread.shared.is_some());
            let Some(slot) = self.probers.slots.get_mut(&api_id) else { continue };
            let Life::Waits { until, resume } = &slot.life else { continue };
            let resume = *resume;
            if *until != at {
                continue;
            }
            slot.life = Life::Paused { resume, ticket: None };
            if has_batcher {
                self.probers.granted = None;
                self.stats.restarted();
                self.start_again(&api_id, resume, None, Duration::ZERO, ctx);
            }
        }
        self.arm_starts(now, ctx);
    }

    fn arm_starts(&mut self, now: Duration, ctx: &mut Context<Self>) {
        let Some((at, _)) = self.probers.due.first() else { return };
        let at = self.probers.granted.map_or(*at, |granted| granted.max(*at));
        if let Some((armed, timer)) = self.probers.timer {
            if armed <= at && armed > now {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(at.saturating_sub(now), |supervisor, ctx| {
            supervisor.probers.timer = None;
            supervisor.start_due(ctx);
        });
        self.probers.timer = Some((at, timer));
    }
}

impl Handler<ChildExit<ApiId>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit<ApiId>, ctx: &mut Self::Context) {
        let ChildExit { child: api_id, life, reason } = exit;
        let is_running = |slot: &Slot| matches!(&slot.life, Life::Runs(running) if running.life == life);
        if !self.probers.slots.get(&api_id).is_some_and(is_running) {
            return; // the notice of an earlier life, or of an API that is no longer watched
        }
        if reason == ExitReason::ArbiterGone && self.stopping.is_none() && !self.escalated {
            // Not its fault: it moves, and with it all that lived there.
            return self.restart_prober_thread(self.thread_of(&api_id), reason, ctx);
        }
        self.prober_died(&api_id, &reason, ctx);
    }
}
