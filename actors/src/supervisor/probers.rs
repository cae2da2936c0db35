//! one_for_one: the death of a prober costs that one a restart after a delay, and nobody else anything. One that dies too
//! often is given up loudly, and tried again slowly; a life that lasts makes up for the deaths before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, SpawnHandle};
use api_health_core::schedule;
use api_health_core::supervise::RESTARTS_PER_SECOND;
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::watch;

use super::startup_spread::StartupSpread;
use super::supervised::{LiveProber, State, SupervisedProber};
use super::{ChildId, Supervisor};
use crate::child::{Child, ExitReason};
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::{self, Prober, ProberInit, Reconfigure, Start};
use crate::round::Round;

#[derive(Default)]
pub(crate) struct Probers {
    /// One for each API that is watched.
    pub(super) supervised: BTreeMap<ApiId, SupervisedProber>,
    /// Those that wait for a time, soonest first; one that was started or removed meanwhile is stepped over.
    due: BTreeSet<(Duration, ApiId)>,
    timer: Option<SpawnHandle>,
    /// Those that live. Whoever stops waits for the last of them.
    pub(super) lives: Arc<Round>,
    /// None of them is started before this monotonic time.
    next_start: Duration,
    /// How many there are, for whoever shows it.
    pub(crate) count: watch::Sender<usize>,
}

impl Probers {
    pub(super) fn running(&self) -> impl Iterator<Item = (&ApiId, &LiveProber)> {
        self.supervised.iter().filter_map(|(api_id, prober)| Some((api_id, prober.running()?)))
    }

    /// The prober of this API, if it lives.
    pub(crate) fn child(&self, api_id: &ApiId) -> Option<&Child<Prober>> {
        Some(&self.supervised.get(api_id)?.running()?.child)
    }

    /// All are cut, and none is started any more.
    pub(super) fn end_all(&mut self) {
        self.supervised.values_mut().for_each(|prober| prober.state = State::Over);
    }
}

impl Supervisor {
    /// Where in its tick an API is probed.
    pub(super) fn slot(&self, api_id: &ApiId) -> schedule::Slot {
        if self.options.spread { schedule::Slot::of(api_id) } else { schedule::Slot::AT_TICK }
    }

    /// Starts the probers of rows that are new, spread over a while.
    pub(super) fn start_first(&mut self, apis: Vec<Arc<ApiConfig>>, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        let new = apis.into_iter().map(|api| {
            let is_first = self.options.once || (self.options.probe_at_start && api.schedule.tick_is_open(now));
            let ticket = is_first.then(|| self.round.ticket());
            let resume = ResumePoint { is_acknowledged: !is_first, ticket, ..ResumePoint::nothing(now) };
            let state = State::Waits { until: None, resume };
            (api.api_id.clone(), SupervisedProber { api, faults: None, state })
        });
        // A tree that grows in the order of its keys stays half empty; one that is made at once does not.
        self.probers.supervised.append(&mut new.collect());
        self.start_waiting(None, ctx);
    }

    /// Starts the probers that wait for somebody who takes their outcomes, of one thread or of all. Those whose outcome is missing probe soon,
    /// spread over a while; the others at their slots.
    pub(super) fn start_waiting(&mut self, thread: Option<usize>, ctx: &Context<Self>) {
        let now = self.time.moment();
        let (mut waiting, mut gaps) = (vec![], vec![]);
        for (api_id, prober) in &self.probers.supervised {
            let State::Waits { until: None, resume } = &prober.state else { continue };
            if thread.is_none_or(|thread| self.chain.index_of(api_id) == thread) {
                waiting.push(Arc::clone(&prober.api));
                gaps.extend((!resume.is_acknowledged).then(|| prober.api.schedule.shortest_gap_from(now)));
            }
        }
        let ramp = StartupSpread::of(&gaps);
        for api in waiting {
            self.start_prober(&api.api_id, ramp.wait(&api, self.slot(&api.api_id), now), ctx);
        }
    }

    /// Starts one more life of a prober that waits, by its row as it is now. While nobody takes its outcomes it waits on.
    fn start_prober(&mut self, api_id: &ApiId, wait: Duration, ctx: &Context<Self>) {
        if self.stopping || self.escalated || !self.chain.takes_outcomes_of(api_id) {
            return;
        }
        let shared = Arc::clone(&self.chain.batcher_of(api_id).shared);
        let Some(prober) = self.probers.supervised.get_mut(api_id) else { return };
        let api = Arc::clone(&prober.api);
        let State::Waits { resume, .. } = std::mem::replace(&mut prober.state, State::Over) else { return };
        let now = self.time.moment();
        let missed = api.schedule.missed(self.slot(api_id), resume.counted_until, now);
        let is_missing = !resume.is_acknowledged || missed > 0;
        let (start, wait) = if self.options.once {
            (Start::Once(wait), wait)
        } else if is_missing && api.schedule.tick_is_open(now) {
            // Two probes within a moment could confirm a blip.
            let not_before = resume.probed_at.map_or(Duration::ZERO, |at| at.saturating_add(api.recheck_wait(now)));
            let wait = wait.max(not_before.saturating_sub(now.monotonic));
            (Start::Soon(wait), wait)
        } else {
            (Start::Scheduled, Duration::ZERO)
        };
        if missed > 0 {
            self.stats.ticks_missed(missed);
            tracing::warn!(%api_id, missed, "ticks came while no prober ran");
        }
        let resume = ResumePoint { counted_until: now, missed: resume.missed.saturating_add(missed), ..resume };
        let liveness = Arc::new(Liveness::new(resume, now.monotonic.saturating_add(wait)));
        let init = ProberInit { start, liveness: Arc::clone(&liveness) };
        let prober = move || Prober::new(api, shared, init);
        let child = self.start_child(ChildId::Prober(api_id.clone()), prober::MAILBOX_CAPACITY, ctx, prober);
        if let Some(prober) = self.probers.supervised.get_mut(api_id) {
            let began = now.monotonic;
            prober.state = State::Runs(LiveProber { child, began, liveness, _life: self.probers.lives.ticket() });
        }
    }

    /// The row changed. A prober that was given up for the row before is tried at once.
    pub(super) fn reconfigure_prober(&mut self, api: Arc<ApiConfig>, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        let Some(prober) = self.probers.supervised.get_mut(&api.api_id) else { return };
        let before = std::mem::replace(&mut prober.api, Arc::clone(&api));
        match &mut prober.state {
            State::Runs(running) => {
                let prober = running.child.addr.clone();
                self.send(&prober, Reconfigure(api), ctx);
            }
            State::Waits { until, resume } => {
                if before.schedule != api.schedule {
                    resume.counted_until = now;
                }
                if prober.faults.take_if(|faults| faults.given_up.is_some()).is_some() && until.is_some() {
                    *until = Some(now.monotonic);
                    self.start_at(now.monotonic, &api.api_id, ctx);
                }
            }
            State::Over => {}
        }
    }

    /// Cuts the probers of a thread, for no fault of theirs. They wait for its next outcome batcher.
    pub(super) fn pause_probers(&mut self, thread: usize) {
        let running = self.probers.running().map(|(api_id, _)| api_id);
        let of_thread: Vec<ApiId> = running.filter(|id| self.chain.index_of(id) == thread).cloned().collect();
        for api_id in of_thread {
            self.prober_is_gone(&api_id, &ExitReason::ThreadGone);
        }
    }

    /// The present life of a prober is over. What is kept of it, if there is to be a next one.
    fn prober_is_gone(&mut self, api_id: &ApiId, reason: &ExitReason) -> Option<&mut SupervisedProber> {
        let now = self.monotonic();
        let prober = self.probers.supervised.get_mut(api_id)?;
        prober.forgive(now, self.options.restart.period);
        let liveness = &prober.running()?.liveness;
        let mut resume = liveness.with(|resume| ResumePoint { ticket: resume.ticket.take(), ..*resume });
        if is_its_fault(reason) {
            resume.ticket = None;
        }
        if self.stopping || (self.options.once && resume.ticket.is_none()) {
            prober.state = State::Over;
            if is_its_fault(reason) && !self.stopping {
                self.round.died();
                tracing::error!(%api_id, %reason, "the prober died");
            }
            return None;
        }
        prober.state = State::Waits { until: None, resume };
        Some(prober)
    }

    /// A prober is dead. That it hung, or that somebody killed it, counts like any other death; that its outcome was lost on
    /// its way does not.
    pub(super) fn prober_ended(&mut self, api_id: &ApiId, reason: &ExitReason, ctx: &mut Context<Self>) {
        let (now, policy) = (self.monotonic(), self.options.restart);
        let Some(prober) = self.prober_is_gone(api_id, reason) else { return };
        if !is_its_fault(reason) {
            return self.start_prober(api_id, Duration::ZERO, ctx);
        }
        let is_given_up = prober.died(now, &policy, reason);
        let deaths = prober.faults.as_ref().map_or(0, |faults| faults.deaths.recent());
        let State::Waits { until: Some(at), .. } = prober.state else { return };
        if let Some(why) = prober.why_given_up().cloned() {
            if is_given_up {
                tracing::error!(%api_id, why, "the prober is given up: nobody probes this API for now");
            }
            let api = Arc::clone(&prober.api);
            self.report(move |core, now| core.on_prober_given_up(&api, why, now), ctx);
        }
        let delay_ms = u64::try_from(at.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
        tracing::error!(%api_id, %reason, deaths, delay_ms, "the prober died; it is started again");
        self.start_at(at, api_id, ctx);
    }

    /// The keeper may be in another life, which knows only what is stored.
    pub(super) fn report_given_up(&mut self, ctx: &mut Context<Self>) {
        let (now, period) = (self.monotonic(), self.options.restart.period);
        let mut given_up = vec![];
        for prober in self.probers.supervised.values_mut() {
            prober.forgive(now, period);
            given_up.extend(prober.why_given_up().map(|why| (Arc::clone(&prober.api), why.clone())));
        }
        for (api, why) in given_up {
            self.report(move |core, now| core.on_prober_given_up(&api, why, now), ctx);
        }
    }

    fn start_at(&mut self, at: Duration, api_id: &ApiId, ctx: &mut Context<Self>) {
        self.probers.due.insert((at, api_id.clone()));
        self.start_due(ctx);
    }

    /// Starts those whose delay is over, one after the other, and sets the timer for the next.
    fn start_due(&mut self, ctx: &mut Context<Self>) {
        let now = self.monotonic();
        while let Some((at, _)) = self.probers.due.first()
            && !self.stopping
            && !self.escalated
        {
            let at = self.probers.next_start.max(*at);
            if at > now {
                let timer = ctx.run_later(at.saturating_sub(now), Self::start_due);
                if let Some(before) = self.probers.timer.replace(timer) {
                    ctx.cancel_future(before);
                }
                return;
            }
            let Some((at, api_id)) = self.probers.due.pop_first() else { return };
            let prober = self.probers.supervised.get_mut(&api_id);
            let Some(SupervisedProber { state: State::Waits { until, .. }, .. }) = prober else { continue };
            if until.take_if(|until| *until == at).is_some() && self.chain.takes_outcomes_of(&api_id) {
                self.probers.next_start = now.saturating_add(Duration::from_secs(1) / RESTARTS_PER_SECOND);
                self.stats.restarted();
                self.start_prober(&api_id, Duration::ZERO, ctx);
            }
        }
    }
}

/// One that ends by itself lost its outcome with its batcher or the keeper, or is done; a thread takes along whoever is on it.
fn is_its_fault(reason: &ExitReason) -> bool {
    !matches!(reason, ExitReason::Normal | ExitReason::ThreadGone)
}
