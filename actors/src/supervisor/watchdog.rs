//! Finds what is alive and hangs: probers that are not heard of when they were expected, threads that no longer beat.
//!
//! A hung prober is killed and started again, which counts as a death. A stuck thread of probers is left behind, and its
//! probers move to a new one; nothing can end a blocked thread, so a second one ends the process. So does a stuck thread of
//! the keeper or of the alerter: what it holds cannot be got out of it, and whoever started the process (systemd) starts it again.
//!
//! When the supervisor's own look is late (a suspended process, a starved machine), nothing counts as hung for [`GRACE`].

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context, WrapFuture as _};
use api_health_core::ApiId;
use api_health_core::capacity::{Capacity, Counted, PERIOD, Step};

use api_health_core::keep::OwnSideKind;
use api_health_core::network::watch;

use super::progress::Asker;
use super::{ChildId, Supervisor};
use crate::child::ExitReason;
use crate::own_side::Look;
use crate::stats::ProbingCounts;

/// How often the supervisor looks at the fleet, at the sources, where it is cheap to tell that they changed, and at its children.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look that is later than this says more about the machine than about anybody on it.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// After a late look nobody is judged for this long.
const GRACE: Duration = Duration::from_secs(10);

/// Stuck threads that are borne in the life of the process: each one is lost, with all that is on it.
const STUCK_MAX: u32 = 1;

/// A thread of keeper or alerter gets so many times the time of one of probers, since there is no way back from it.
const CHAIN_PATIENCE: u32 = 3;

/// Times are in monotonic time, which begins with it.
#[derive(Default)]
pub(super) struct Watchdog {
    looked_at: Duration,
    judges_from: Duration,
    stuck: u32,
    /// When each asker last asked.
    asked_at: [Duration; 3],
    pub(super) capacity: Capacity,
    /// When the present period of it began, and the counts of that moment.
    period_from: (Duration, ProbingCounts),
}

impl Watchdog {
    /// What is to be said of the load, when a period of it is over. One in which the supervisor itself was asleep counts for nothing.
    fn load(&mut self, counts: &ProbingCounts, is_judged: bool, now: Duration) -> Option<Step> {
        let (began, before) = &self.period_from;
        if is_judged && now < began.saturating_add(PERIOD) {
            return None;
        }
        let ProbingCounts { probes, held_up, missed_ticks, .. } = counts.since(before);
        self.period_from = (now, counts.clone());
        is_judged.then(|| self.capacity.period(Counted { probes, held_up, missed_ticks })).flatten()
    }

    /// Somebody asks how probing goes; when they asked that before.
    pub(super) fn asked(&mut self, asker: Asker, now: Duration) -> Duration {
        std::mem::replace(&mut self.asked_at[asker as usize], now)
    }

    /// Whether anybody may be judged now.
    pub(super) fn look(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(std::mem::replace(&mut self.looked_at, now));
        if since > LOOK_EVERY + LATE_AFTER {
            self.judges_from = now.saturating_add(GRACE);
        }
        now >= self.judges_from
    }
}

impl Supervisor {
    pub(super) fn look_at_children(&mut self, ctx: &mut Context<Self>) {
        let now = self.monotonic();
        let may_judge = self.watchdog.look(now);
        if !self.options.once {
            self.look_at_the_load(may_judge, now, ctx);
        }
        self.look_at_own_side(ctx);
        if !may_judge || self.stopping || self.escalated {
            return;
        }
        self.look_at_threads(now, ctx);
        let overdue = self.probers.running().filter(|(_, running)| running.liveness.is_overdue(now));
        for api_id in overdue.map(|(api_id, _)| api_id.clone()).collect::<Vec<ApiId>>() {
            self.prober_ended(&api_id, &ExitReason::Hung, ctx);
        }
    }

    fn look_at_the_load(&mut self, may_judge: bool, now: Duration, ctx: &mut Context<Self>) {
        match self.watchdog.load(&self.stats.counts(), may_judge, now) {
            None => {}
            Some(Step::Log(words)) => tracing::warn!("this machine cannot keep up with the configured probes: {words}"),
            Some(Step::Alert(words)) => self.report(|core, now| core.on_capacity_status(Some(words), now), ctx),
            Some(Step::Well { was_logged }) => {
                if was_logged {
                    tracing::info!("this machine keeps up with the configured probes again");
                }
                self.report(|core, now| core.on_capacity_status(None, now), ctx);
            }
        }
    }

    /// Reports what is wrong with our own network or clock, and has the witnesses asked again meanwhile.
    fn look_at_own_side(&mut self, ctx: &mut Context<Self>) {
        let Look { network, clock, ask } = self.own_side.look();
        for (kind, step) in [(OwnSideKind::Network, network), (OwnSideKind::Clock, clock)] {
            let fault = match step {
                None => continue,
                Some(watch::Step::Report(words)) => Some(words),
                Some(watch::Step::Well) => None,
            };
            self.report(move |core, now| core.on_own_side_status(kind, fault, now), ctx);
        }
        if !ask.is_empty() {
            let own_side = Arc::clone(&self.own_side);
            ctx.spawn(async move { own_side.ask_again(ask).await }.into_actor(self));
        }
    }

    fn look_at_threads(&mut self, now: Duration, ctx: &mut Context<Self>) {
        for who in self.chain.members() {
            let thread = &self.threads[self.thread_of(&who)];
            let silent_for = thread.as_ref().map_or(Duration::ZERO, |thread| thread.silent_for(now));
            let patience = if matches!(who, ChildId::Batcher(_)) { 1 } else { CHAIN_PATIENCE };
            if silent_for < self.options.stuck_after * patience {
                continue;
            }
            let ChildId::Batcher(of_probers) = who else { return self.escalate(who.name(), ExitReason::Hung) };
            self.watchdog.stuck += 1;
            if self.watchdog.stuck > STUCK_MAX {
                return self.escalate("thread of probers", ExitReason::Hung);
            }
            tracing::error!(of_probers, "a thread of probers is stuck; it is left behind, and its probers move");
            self.replace_thread_of(who, ExitReason::Hung, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_who_was_asleep_accuses_nobody_for_a_while() {
        let at = Duration::from_millis;
        let mut watchdog = Watchdog::default();
        assert!(watchdog.look(at(1_000)));
        assert!(watchdog.look(at(2_900)), "a little late");
        assert!(!watchdog.look(at(5_000)), "asleep");
        assert!(!watchdog.look(at(5_001)), "the looks that were missed come in a row");
        assert!(!watchdog.look(at(6_000)));
        for second in 7..15 {
            assert!(!watchdog.look(at(second * 1_000)));
        }
        assert!(watchdog.look(at(15_000)));
    }
}
