//! one_for_one: the death of a prober costs that one a restart after a delay, and nobody else anything. One that dies too
//! often is given up loudly, and tried again slowly; a life that lasts makes up for the deaths before it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, SpawnHandle};
use api_health_core::restart::RateLimiter;
use api_health_core::schedule;
use api_health_core::supervise::RESTARTS_PER_SECOND;
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::watch;

use super::slot::{LiveProber, ProberSlot, State};
use super::startup_spread::StartupSpread;
use super::{ChildId, Supervisor};
use crate::child::{Child, ExitReason};
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::{self, Prober, ProberInit, Reconfigure, Start};
use crate::state_keeper::GivenUp;

pub(crate) struct Probers {
    pub(super) slots: HashMap<ApiId, ProberSlot>,
    /// Those that wait for a time, soonest first; one that was started or removed meanwhile is stepped over.
    due: BTreeSet<(Duration, ApiId)>,
    timer: Option<(Duration, SpawnHandle)>,
    rate_limiter: RateLimiter,
    /// The rate limiter lets the next one start at this uptime.
    next_permit_at: Option<Duration>,
    /// How many there are, for whoever shows it.
    pub(super) count: watch::Sender<usize>,
}

impl Default for Probers {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            due: BTreeSet::new(),
            timer: None,
            rate_limiter: RateLimiter::per_second(RESTARTS_PER_SECOND),
            next_permit_at: None,
            count: watch::Sender::new(0),
        }
    }
}

impl Probers {
    pub(super) fn running(&self) -> impl Iterator<Item = (&ApiId, &LiveProber)> {
        self.slots.iter().filter_map(|(api_id, slot)| Some((api_id, slot.running()?)))
    }

    /// The prober of this API, if it lives.
    pub(crate) fn child(&self, api_id: &ApiId) -> Option<&Child<Prober>> {
        Some(&self.slots.get(api_id)?.running()?.child)
    }

    /// No more prober of this API.
    pub(super) fn remove(&mut self, api_id: &ApiId) {
        self.slots.remove(api_id);
    }

    /// All are cut, and none is started any more.
    pub(super) fn end_all(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.state = State::Over);
    }

    /// A life that has lasted for a period makes up for the deaths before it; after one that hung, it has to find an outcome,
    /// too.
    pub(super) fn forgive(&mut self, now: Duration, period: Duration) {
        for (api_id, slot) in &mut self.slots {
            let Some(running) = slot.running() else { continue };
            if slot.faults.is_some() && !slot.has_hung() && now.saturating_sub(running.began) >= period {
                if slot.why_given_up().is_some() {
                    tracing::info!(%api_id, "the prober that was given up lives again");
                }
                slot.faults = None;
            }
        }
    }
}

impl Supervisor {
    /// Where in its tick an API is probed.
    pub(super) fn tick_slot(&self, api_id: &ApiId) -> schedule::Slot {
        if self.options.spread { schedule::Slot::of(api_id) } else { schedule::Slot::AT_TICK }
    }

    /// Starts the probers of rows that are new, spread over a while.
    pub(super) fn start_first(&mut self, apis: Vec<Arc<ApiConfig>>, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        for api in apis {
            let is_first = self.options.once || (self.options.probe_at_start && api.schedule.tick_is_open(now));
            let ticket = is_first.then(|| self.round.ticket());
            let resume = ResumePoint { is_acknowledged: !is_first, ticket, ..ResumePoint::nothing(now) };
            let slot = ProberSlot { faults: None, state: State::Waits { until: None, resume } };
            self.probers.slots.insert(api.api_id.clone(), slot);
        }
        self.start_waiting(None, ctx);
    }

    /// Starts the probers that wait for their batcher, of one thread or of all. Those whose outcome is missing probe soon,
    /// spread over a while; the others at their slots.
    pub(super) fn start_waiting(&mut self, thread: Option<usize>, ctx: &mut Context<Self>) {
        let is_missing = |slot: &ProberSlot| match &slot.state {
            State::Waits { until: None, resume } => Some(!resume.is_acknowledged),
            _ => None,
        };
        let waiting: Vec<(ApiId, bool)> = (self.probers.slots.iter())
            .filter(|(api_id, _)| thread.is_none_or(|thread| self.chain.index_of(api_id) == thread))
            .filter_map(|(api_id, slot)| Some((api_id.clone(), is_missing(slot)?)))
            .collect();
        let now = self.time.moment();
        let gap = |api_id: &ApiId| self.configs.running.get(api_id).map(|api| api.schedule.shortest_gap_from(now));
        let ramp = StartupSpread::of(
            waiting.iter().filter(|(_, is_missing)| *is_missing).filter_map(|(api_id, _)| gap(api_id)),
        );
        for (api_id, _) in waiting {
            let Some(api) = self.configs.running.get(&api_id) else { continue };
            let wait = ramp.wait(api, self.tick_slot(&api_id), now);
            self.start_prober(&api_id, wait, ctx);
        }
        self.start_due(ctx);
    }

    /// Starts one more life of a prober that waits, by its row as it is now. Without its batcher it waits on.
    fn start_prober(&mut self, api_id: &ApiId, wait: Duration, ctx: &Context<Self>) {
        let batcher = self.chain.batcher_of(api_id);
        if self.stopping.is_some() || self.escalated || !batcher.is_up() {
            return;
        }
        let shared = Arc::clone(&batcher.shared);
        let Some(api) = self.configs.running.get(api_id).cloned() else { return };
        let Some(slot) = self.probers.slots.get_mut(api_id) else { return };
        if !matches!(slot.state, State::Waits { .. }) {
            return;
        }
        let State::Waits { resume, .. } = std::mem::replace(&mut slot.state, State::Over) else { return };
        let now = self.time.moment();
        let missed = api.schedule.missed(self.tick_slot(api_id), resume.counted_until, now);
        let is_missing = !resume.is_acknowledged || missed > 0;
        let (start, wait) = if self.options.once {
            (Start::Once(wait), wait)
        } else if is_missing && api.schedule.tick_is_open(now) {
            // Two probes within a moment could confirm a blip.
            let recheck = api.recheck.min(api.schedule.shortest_gap_from(now));
            let not_before = resume.probed_at.map_or(Duration::ZERO, |at| at.saturating_add(recheck));
            let wait = wait.max(not_before.saturating_sub(now.uptime));
            (Start::Soon(wait), wait)
        } else {
            (Start::Scheduled, Duration::ZERO)
        };
        if missed > 0 {
            self.stats.ticks_missed(missed);
            tracing::warn!(%api_id, missed, "ticks came while the prober was dead");
        }
        let resume = ResumePoint { counted_until: now, missed: resume.missed.saturating_add(missed), ..resume };
        let liveness = Arc::new(Liveness::new(resume, now.uptime.saturating_add(wait)));
        let init = ProberInit { start, liveness: Arc::clone(&liveness) };
        let prober = move || Prober::new(api, shared, init);
        let child = self.start_child(ChildId::Prober(api_id.clone()), prober::MAILBOX_CAPACITY, ctx, prober);
        if let Some(slot) = self.probers.slots.get_mut(api_id) {
            slot.state = State::Runs(LiveProber { child, began: now.uptime, liveness });
        }
    }

    /// The row changed. A prober that was given up for the row before is tried at once.
    pub(super) fn reconfigure_prober(&mut self, api: &Arc<ApiConfig>, same_schedule: bool, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        let Some(slot) = self.probers.slots.get_mut(&api.api_id) else { return };
        match &mut slot.state {
            State::Runs(_) => {
                if let Some(prober) = self.probers.child(&api.api_id) {
                    self.send(&prober.addr, Reconfigure(Arc::clone(api)), ctx);
                }
            }
            State::Waits { until, resume } => {
                if !same_schedule {
                    resume.counted_until = now;
                }
                if slot.faults.take_if(|faults| faults.given_up.is_some()).is_some() && until.is_some() {
                    *until = Some(now.uptime);
                    self.probers.due.insert((now.uptime, api.api_id.clone()));
                    self.start_due(ctx);
                }
            }
            State::Over => {}
        }
    }

    /// Cuts the probers of a thread, for no fault of theirs. They wait for the batcher there.
    pub(super) fn pause_probers(&mut self, thread: usize) {
        let running = self.probers.running().map(|(api_id, _)| api_id);
        let of_thread: Vec<ApiId> = running.filter(|id| self.chain.index_of(id) == thread).cloned().collect();
        for api_id in of_thread {
            self.prober_is_gone(&api_id, &ExitReason::ArbiterGone);
        }
        self.finish_stop_if_idle();
    }

    /// The present life of a prober is over. Its slot, if there is to be a next one.
    fn prober_is_gone(&mut self, api_id: &ApiId, reason: &ExitReason) -> Option<&mut ProberSlot> {
        let is_stopping = self.stopping.is_some();
        let slot = self.probers.slots.get_mut(api_id)?;
        let mut resume = slot.running()?.liveness.take_resume_point();
        if is_its_fault(reason) {
            resume.ticket = None;
        }
        if is_stopping || (self.options.once && resume.ticket.is_none()) {
            slot.state = State::Over;
            if is_its_fault(reason) && !is_stopping {
                self.round.died();
                tracing::error!(%api_id, %reason, "the prober died");
            }
            return None;
        }
        slot.state = State::Waits { until: None, resume };
        Some(slot)
    }

    /// A prober is dead. That it hung, or that somebody killed it, counts like any other death; that it lost its outcome with
    /// its batcher does not.
    pub(super) fn prober_ended(&mut self, api_id: &ApiId, reason: &ExitReason, ctx: &mut Context<Self>) {
        let (now, policy) = (self.uptime(), self.options.restart);
        let Some(slot) = self.prober_is_gone(api_id, reason) else { return self.finish_stop_if_idle() };
        if !is_its_fault(reason) {
            return self.start_prober(api_id, Duration::ZERO, ctx);
        }
        let (delay, is_given_up) = slot.died(now, &policy, api_id.stable_hash(), reason);
        let at = now.saturating_add(delay);
        if let State::Waits { until, .. } = &mut slot.state {
            *until = Some(at);
        }
        let deaths = slot.faults.as_ref().map_or(0, |faults| faults.deaths.recent());
        let given_up = slot.why_given_up().cloned();
        self.probers.due.insert((at, api_id.clone()));
        if let (Some(why), true) = (&given_up, is_given_up) {
            tracing::error!(%api_id, why, "the prober is given up: nobody probes this API for now");
        }
        self.tell_that_it_is_given_up(api_id, given_up, ctx);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(%api_id, %reason, deaths, delay_ms, "the prober died; it is started again");
        self.start_due(ctx);
    }

    fn tell_that_it_is_given_up(&self, api_id: &ApiId, why: Option<String>, ctx: &mut Context<Self>) {
        if let (Some(why), Some(api)) = (why, self.configs.running.get(api_id).cloned()) {
            self.send_to_keeper(GivenUp { api, why }, ctx);
        }
    }

    /// The keeper may be in another life, which knows only what is stored.
    pub(super) fn tell_of_those_given_up(&self, ctx: &mut Context<Self>) {
        for (api_id, slot) in &self.probers.slots {
            self.tell_that_it_is_given_up(api_id, slot.why_given_up().cloned(), ctx);
        }
    }

    /// Starts those whose delay is over, as fast as the rate limiter lets them, and sets the timer for the next.
    pub(super) fn start_due(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() || self.escalated {
            return;
        }
        let now = self.uptime();
        while let Some((at, _)) = self.probers.due.first()
            && *at <= now
        {
            let next_permit_at =
                self.probers.next_permit_at.unwrap_or_else(|| now.saturating_add(self.probers.rate_limiter.wait(now)));
            self.probers.next_permit_at = Some(next_permit_at);
            if next_permit_at > now {
                break;
            }
            let Some((at, api_id)) = self.probers.due.pop_first() else { break };
            let Some(ProberSlot { state: State::Waits { until, .. }, .. }) = self.probers.slots.get_mut(&api_id) else {
                continue;
            };
            if until.take_if(|until| *until == at).is_some() && self.chain.batcher_of(&api_id).is_up() {
                self.probers.next_permit_at = None;
                self.stats.restarted();
                self.start_prober(&api_id, Duration::ZERO, ctx);
            }
        }
        self.arm_starts(now, ctx);
    }

    fn arm_starts(&mut self, now: Duration, ctx: &mut Context<Self>) {
        let Some((at, _)) = self.probers.due.first() else { return };
        let at = self.probers.next_permit_at.map_or(*at, |next_permit_at| next_permit_at.max(*at));
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

/// One that ends by itself lost its outcome with its batcher, or is done; a thread takes along whoever is on it.
fn is_its_fault(reason: &ExitReason) -> bool {
    !matches!(reason, ExitReason::Normal | ExitReason::ArbiterGone)
}
