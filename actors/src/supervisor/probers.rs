//! one_for_one: the death of a prober costs that one a restart after a delay, and nobody else anything. One that dies too
//! often is given up loudly, and tried again slowly; a life that lasts makes up for the deaths before it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, SpawnHandle};
use api_health_core::restart::{Brake, Deaths, RestartPolicy, Verdict};
use api_health_core::schedule::{self, SLOT_QUANTUM};
use api_health_core::supervise::RESTARTS_PER_SECOND;
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::watch;

use super::{Life, Supervisor, Who};
use crate::child::ExitReason;
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::{self, Prober, ProberInit, Reconfigure, Start};
use crate::state_keeper::GivenUp;

/// First probes in one second: a start of ten thousand APIs takes ten seconds, and a small machine survives it.
const FIRST_PROBES_PER_SECOND: u32 = 1_000;

/// A prober that hangs so many times in a row, and finds no outcome in between, is given up. Each time takes it its slack and
/// twice its timeout, so that never enough of these deaths fall into the period of the restart policy.
const HANGS_MAX: u32 = 3;

/// The prober of one API.
pub(crate) struct Slot {
    /// `None` for one that is well, as nearly all are.
    faults: Option<Box<Faults>>,
    pub(super) state: State,
}

/// What went wrong with a prober, until a life lasts.
#[derive(Default)]
struct Faults {
    deaths: Deaths,
    /// Why it is given up, in words, while it is.
    given_up: Option<String>,
    /// When a life of it was killed last because it hung, in uptime.
    hung_at: Option<Duration>,
    /// Lives in a row that were killed because they hung, with no outcome in between.
    hangs: u32,
}

pub(super) enum State {
    Runs(Running),
    /// It is started at this uptime; `None`: as soon as its batcher is there.
    Waits {
        until: Option<Duration>,
        resume: ResumePoint,
    },
    /// Not started any more.
    Over,
}

pub(super) struct Running {
    pub(super) life: Life<Prober>,
    began: Duration,
    pub(super) liveness: Arc<Liveness>,
}

impl Slot {
    pub(super) fn probed_at(&self) -> Option<Duration> {
        match &self.state {
            State::Runs(running) => running.liveness.probed_at(),
            State::Waits { resume, .. } => resume.probed_at,
            State::Over => None,
        }
    }

    /// It was killed for hanging, and has found no outcome since.
    pub(super) fn has_hung(&self) -> bool {
        let hung_at = self.faults.as_ref().and_then(|faults| faults.hung_at);
        hung_at.is_some() && self.probed_at() < hung_at
    }

    fn why_given_up(&self) -> Option<&String> {
        self.faults.as_ref()?.given_up.as_ref()
    }
}

impl Faults {
    /// Counts a death that the prober is charged with. How long it waits for its next life, and whether it is given up by
    /// this very death.
    fn count(&mut self, now: Duration, policy: &RestartPolicy, spread: u64, reason: &ExitReason) -> (Duration, bool) {
        let mut verdict = self.deaths.count(now, policy, spread);
        let mut how_often = format!("it died {} times within {} s", self.deaths.recent(), policy.period.as_secs());
        if *reason == ExitReason::Hung && self.hangs >= HANGS_MAX {
            verdict = self.deaths.give_up(policy, spread);
            how_often = format!("it hung {} times in a row without an outcome", self.hangs);
        }
        match verdict {
            Verdict::Restart { after } => (after, false),
            // Later deaths are deaths of a prober that is given up already.
            Verdict::GiveUp { again_after } if self.given_up.is_some() => (again_after, false),
            Verdict::GiveUp { again_after } => {
                let slow = policy.slow.as_secs();
                let why = format!("{how_often} and is tried again every {slow} s from now on; the last time {reason}");
                self.given_up = Some(why);
                (again_after, true)
            }
        }
    }
}

/// All of them.
pub(crate) struct Probers {
    pub(super) slots: HashMap<ApiId, Slot>,
    /// Those that wait for a time, soonest first; one that was started or removed meanwhile is stepped over.
    due: BTreeSet<(Duration, ApiId)>,
    timer: Option<(Duration, SpawnHandle)>,
    brake: Brake,
    /// The brake lets the next one start at this uptime.
    granted: Option<Duration>,
    /// How many there are, for whoever shows it.
    pub(super) count: watch::Sender<usize>,
    pub(super) died_in_round: usize,
}

impl Default for Probers {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            due: BTreeSet::new(),
            timer: None,
            brake: Brake::per_second(RESTARTS_PER_SECOND),
            granted: None,
            count: watch::Sender::new(0),
            died_in_round: 0,
        }
    }
}

impl Probers {
    pub(super) fn running(&self) -> impl Iterator<Item = (&ApiId, &Running)> {
        self.slots.iter().filter_map(|(api_id, slot)| match &slot.state {
            State::Runs(running) => Some((api_id, running)),
            _ => None,
        })
    }

    /// How many live.
    pub(super) fn alive(&self) -> usize {
        self.running().count()
    }

    /// Where the prober of this API is, if it lives.
    pub(crate) fn address(&self, api_id: &ApiId) -> Option<&Addr<Prober>> {
        match &self.slots.get(api_id)?.state {
            State::Runs(running) => Some(running.life.addr()),
            _ => None,
        }
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
            let State::Runs(running) = &slot.state else { continue };
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
    /// Which thread of probers an API is on.
    pub(super) fn thread_of(&self, api_id: &ApiId) -> usize {
        usize::try_from(api_id.stable_hash() % self.chain.prober_threads.len() as u64).unwrap_or(0)
    }

    /// Where in its tick an API is probed.
    pub(super) fn tick_slot(&self, api_id: &ApiId) -> schedule::Slot {
        if self.options.spread { schedule::Slot::of(api_id) } else { schedule::Slot::AT_TICK }
    }

    /// Starts the probers of rows that are new, spread over a while.
    pub(super) fn start_first(&mut self, apis: Vec<Arc<ApiConfig>>, ctx: &mut Context<Self>) {
        let window = window_for(apis.len());
        let now = self.time.moment();
        for api in apis {
            let wait = first_wait(&api.api_id, window);
            let start = if self.options.once {
                Start::Once(wait)
            } else if self.options.probe_at_start && api.schedule.tick_is_open(now) {
                Start::Soon(wait)
            } else {
                Start::Scheduled
            };
            let is_settled = matches!(start, Start::Scheduled);
            let ticket = (!is_settled).then(|| self.round.ticket());
            let resume = ResumePoint { is_settled, ticket, ..ResumePoint::nothing(now) };
            self.start_prober(&api, start, resume, ctx);
        }
    }

    /// Starts the probers that waited for their batcher, of one thread or of all. As at the start, those whose outcome was
    /// lost probe soon, spread over a while; the others go on at their slots.
    pub(super) fn start_waiting(&mut self, thread: Option<usize>, ctx: &mut Context<Self>) {
        let is_lost = |slot: &Slot| match &slot.state {
            State::Waits { until: None, resume } => Some(!resume.is_settled),
            _ => None,
        };
        let waiting: Vec<(ApiId, bool)> = (self.probers.slots.iter())
            .filter(|(api_id, _)| thread.is_none_or(|thread| self.thread_of(api_id) == thread))
            .filter_map(|(api_id, slot)| Some((api_id.clone(), is_lost(slot)?)))
            .collect();
        let window = window_for(waiting.iter().filter(|(_, is_lost)| *is_lost).count());
        for (api_id, _) in waiting {
            self.start_again(&api_id, first_wait(&api_id, window), ctx);
        }
        self.start_due(ctx);
    }

    /// Starts one more life, of a row as it is now, if its batcher is there; else it waits for that.
    fn start_again(&mut self, api_id: &ApiId, wait: Duration, ctx: &Context<Self>) {
        if self.stopping.is_some() || self.escalated || !self.chain.prober_threads[self.thread_of(api_id)].is_up() {
            return;
        }
        let (Some(api), Some(slot)) = (self.configs.running.get(api_id).cloned(), self.probers.slots.get_mut(api_id))
        else {
            return;
        };
        let resume = match std::mem::replace(&mut slot.state, State::Over) {
            State::Waits { resume, .. } => resume,
            state => {
                slot.state = state;
                return;
            }
        };
        let now = self.time.moment();
        let missed = api.schedule.missed(self.tick_slot(api_id), resume.accounted, now);
        let is_lost = !resume.is_settled || missed > 0;
        let start = if self.options.once {
            Start::Once(wait)
        } else if is_lost && api.schedule.tick_is_open(now) {
            // Two probes within a moment could confirm a blip.
            let recheck = api.recheck.min(api.schedule.shortest_gap_from(now));
            let not_before = resume.probed_at.map_or(Duration::ZERO, |at| at.saturating_add(recheck));
            Start::Soon(wait.max(not_before.saturating_sub(now.uptime)))
        } else {
            Start::Scheduled
        };
        if missed > 0 {
            self.stats.ticks_missed(missed);
            tracing::warn!(%api_id, missed, "ticks came while the prober was dead");
        }
        let resume = ResumePoint { accounted: now, missed: resume.missed.saturating_add(missed), ..resume };
        self.start_prober(&api, start, resume, ctx);
    }

    fn start_prober(&mut self, api: &Arc<ApiConfig>, start: Start, resume: ResumePoint, ctx: &Context<Self>) {
        let index = self.thread_of(&api.api_id);
        let thread = self.chain.thread_of_probers(index, &self.threads, &self.options, &self.time);
        let shared = Arc::clone(&self.chain.prober_threads[index].shared);
        let began = self.uptime();
        let wait = match start {
            Start::Scheduled => Duration::ZERO,
            Start::Soon(wait) | Start::Once(wait) => wait,
        };
        let liveness = Arc::new(Liveness::new(resume, began.saturating_add(wait)));
        let init = ProberInit { start, liveness: Arc::clone(&liveness) };
        let (api_id, api) = (api.api_id.clone(), Arc::clone(api));
        let prober = move || Prober::new(api, shared, init);
        let life = self.start_child(Who::Prober(api_id.clone()), &thread, prober::MAILBOX_CAPACITY, ctx, prober);
        let state = State::Runs(Running { life, began, liveness });
        self.probers.slots.entry(api_id).or_insert(Slot { faults: None, state: State::Over }).state = state;
    }

    /// The row changed. A prober that was given up for the row before is tried at once.
    pub(super) fn reconfigure_prober(&mut self, api: Arc<ApiConfig>, same_schedule: bool, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        let Some(slot) = self.probers.slots.get_mut(&api.api_id) else { return };
        match &mut slot.state {
            State::Runs(_) => {
                if let Some(prober) = self.probers.address(&api.api_id) {
                    self.tell(prober, Reconfigure(Arc::clone(&api)), ctx);
                }
            }
            State::Waits { until, resume } => {
                if !same_schedule {
                    resume.accounted = now;
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
        let of_thread: Vec<ApiId> =
            self.probers.running().map(|(id, _)| id).filter(|id| self.thread_of(id) == thread).cloned().collect();
        for api_id in of_thread {
            self.prober_is_gone(&api_id, &ExitReason::ArbiterGone);
        }
        self.finish_stop_if_idle();
    }

    /// The present life of a prober is over, in whatever way. Where its next one goes on; `None`: there is none.
    fn prober_is_gone(&mut self, api_id: &ApiId, reason: &ExitReason) -> Option<&mut Slot> {
        let is_stopping = self.stopping.is_some();
        let slot = self.probers.slots.get_mut(api_id)?;
        let State::Runs(running) = &slot.state else { return None };
        let mut resume = running.liveness.take_resume_point();
        // One that ends by itself lost its outcome with its batcher, or is done.
        let is_charged = !matches!(reason, ExitReason::Normal | ExitReason::ArbiterGone);
        if is_charged {
            resume.ticket = None;
        }
        if is_stopping || (self.options.once && resume.ticket.is_none()) {
            slot.state = State::Over;
            if is_charged && !is_stopping {
                self.probers.died_in_round += 1;
                tracing::error!(%api_id, %reason, "the prober died");
            }
            return None;
        }
        slot.state = State::Waits { until: None, resume };
        Some(slot)
    }

    /// The notice of a prober's end.
    pub(super) fn prober_ended(&mut self, api_id: &ApiId, life: u32, reason: &ExitReason, ctx: &mut Context<Self>) {
        let is_present = |slot: &Slot| matches!(&slot.state, State::Runs(running) if running.life.number == life);
        if !self.probers.slots.get(api_id).is_some_and(is_present) {
            return; // of an earlier life, or of an API that is no longer watched
        }
        match reason {
            // It moves, and with it all that lived there.
            ExitReason::ArbiterGone if self.stopping.is_none() => {
                self.replace_thread(self.thread_of(api_id), reason.clone(), ctx);
            }
            ExitReason::Normal | ExitReason::ArbiterGone => {
                self.prober_is_gone(api_id, reason);
                self.start_again(api_id, Duration::ZERO, ctx);
                self.finish_stop_if_idle();
            }
            _ => self.prober_died(api_id, reason, ctx),
        }
    }

    /// A prober is dead by its own fault. That it hung, or that somebody killed it, counts like any other death.
    pub(super) fn prober_died(&mut self, api_id: &ApiId, reason: &ExitReason, ctx: &mut Context<Self>) {
        let (now, policy) = (self.uptime(), self.options.restart);
        let Some(slot) = self.prober_is_gone(api_id, reason) else { return self.finish_stop_if_idle() };
        let has_hung_before = slot.has_hung();
        let faults = slot.faults.get_or_insert_default();
        if *reason == ExitReason::Hung {
            faults.hangs = if has_hung_before { faults.hangs.saturating_add(1) } else { 1 };
            faults.hung_at = Some(now);
        }
        let (delay, is_given_up) = faults.count(now, &policy, api_id.stable_hash(), reason);
        let (deaths, given_up) = (faults.deaths.recent(), faults.given_up.clone());
        let at = now.saturating_add(delay);
        if let State::Waits { until, .. } = &mut slot.state {
            *until = Some(at);
        }
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
            self.tell_keeper(GivenUp { api, why }, ctx);
        }
    }

    /// The keeper may be in another life, which knows only what is stored.
    pub(super) fn tell_of_those_given_up(&self, ctx: &mut Context<Self>) {
        for (api_id, slot) in &self.probers.slots {
            self.tell_that_it_is_given_up(api_id, slot.why_given_up().cloned(), ctx);
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
            let is_up = self.chain.prober_threads[self.thread_of(&api_id)].is_up();
            let Some(Slot { state: State::Waits { until, .. }, .. }) = self.probers.slots.get_mut(&api_id) else {
                continue;
            };
            if until.take_if(|until| *until == at).is_some() && is_up {
                self.probers.granted = None;
                self.stats.restarted();
                self.start_again(&api_id, Duration::ZERO, ctx);
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

/// How long so many first probes take.
fn window_for(probes: usize) -> Duration {
    Duration::from_secs(1) * u32::try_from(probes).unwrap_or(u32::MAX) / FIRST_PROBES_PER_SECOND
}

/// The place of an API's first probe in the window that first probes are spread over.
fn first_wait(api_id: &ApiId, window: Duration) -> Duration {
    let quanta = window.as_millis() / SLOT_QUANTUM.as_millis();
    let chosen = (u128::from(api_id.stable_hash()) * quanta) >> 64;
    SLOT_QUANTUM * u32::try_from(chosen).unwrap_or(0)
}
