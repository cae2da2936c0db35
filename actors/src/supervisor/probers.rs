//! The probers: what the supervisor knows of each, and how they are started.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, SpawnHandle, WrapFuture};
use api_health_core::restart::{Brake, Deaths};
use api_health_core::schedule::{self, SLOT_QUANTUM};
use api_health_core::supervise::RESTARTS_PER_SECOND;
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::watch;

use super::Supervisor;
use crate::child::{self, Child};
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::{self, Prober, ProberInit, Reconfigure, Start};
use crate::round::RoundTicket;

/// First probes in one second: a start of ten thousand APIs takes ten seconds, and a small machine survives it.
const FIRST_PROBES_PER_SECOND: u32 = 1_000;

/// The prober of one API.
pub(super) struct Slot {
    pub(super) deaths: Deaths,
    /// Why it is given up, in words, while it is.
    pub(super) given_up: Option<String>,
    /// When a life of it was killed last because it hung, in uptime.
    pub(super) hung_at: Option<Duration>,
    /// Lives in a row that were killed because they hung, with no outcome in between.
    pub(super) hangs: u32,
    pub(super) life: Life,
}

pub(super) enum Life {
    Runs(Running),
    /// Dead; it is started again at this uptime.
    Waits {
        until: Duration,
        resume: ResumePoint,
    },
    /// Stopped, because its outcome batcher is not there; it is started with it.
    Paused {
        resume: ResumePoint,
        ticket: Option<Arc<RoundTicket>>,
    },
    /// Not started any more.
    Over,
}

pub(super) struct Running {
    pub(super) child: Child<Prober>,
    pub(super) life: u32,
    pub(super) began: Duration,
    pub(super) liveness: Arc<Liveness>,
    /// So that its ticket in the round can go with it when it is moved.
    pub(super) ticket: Weak<RoundTicket>,
}

/// All of them.
pub(super) struct Probers {
    pub(super) slots: HashMap<ApiId, Slot>,
    /// Those that wait, soonest first; one that was started or removed meanwhile is stepped over.
    pub(super) due: BTreeSet<(Duration, ApiId)>,
    pub(super) timer: Option<(Duration, SpawnHandle)>,
    pub(super) brake: Brake,
    /// The brake lets the next one start at this uptime.
    pub(super) granted: Option<Duration>,
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
    fn running(&self) -> impl Iterator<Item = (&ApiId, &Running)> {
        self.slots.iter().filter_map(|(api_id, slot)| match &slot.life {
            Life::Runs(running) => Some((api_id, running)),
            _ => None,
        })
    }

    /// How many live.
    pub(super) fn alive(&self) -> usize {
        self.running().count()
    }

    pub(super) fn addresses(&self) -> Vec<Addr<Prober>> {
        self.running().map(|(_, running)| running.child.addr.clone()).collect()
    }

    /// Where the prober of this API is, if it lives.
    pub(super) fn address(&self, api_id: &ApiId) -> Option<Addr<Prober>> {
        match &self.slots.get(api_id)?.life {
            Life::Runs(running) => Some(running.child.addr.clone()),
            _ => None,
        }
    }

    pub(super) fn kill_all(&self) {
        for (_, running) in self.running() {
            running.child.kill.abort();
        }
    }

    /// No more prober of this API.
    pub(super) fn remove(&mut self, api_id: &ApiId) {
        if let Some(Slot { life: Life::Runs(running), .. }) = self.slots.remove(api_id) {
            running.child.kill.abort();
        }
    }

    /// Those that promised to be heard of before `now`, and were not.
    pub(super) fn overdue(&self, now: Duration) -> Vec<ApiId> {
        self.running()
            .filter(|(_, running)| running.liveness.is_overdue(now))
            .map(|(api_id, _)| api_id.clone())
            .collect()
    }

    /// A life that has lasted for a period makes up for the deaths before it; after one that hung, it has to find an outcome,
    /// too.
    pub(super) fn forgive(&mut self, now: Duration, period: Duration) {
        for (api_id, slot) in &mut self.slots {
            let Life::Runs(running) = &slot.life else { continue };
            if slot.deaths.recent() > 0 && !slot.has_hung() && now.saturating_sub(running.began) >= period {
                slot.given_up = None;
                if slot.deaths.forgive() {
                    tracing::info!(%api_id, "the prober that was given up lives again");
                }
            }
        }
    }
}

impl Supervisor {
    pub(super) fn thread_of(&self, api_id: &ApiId) -> usize {
        usize::try_from(api_id.stable_hash() % self.chain.prober_threads.len().max(1) as u64).unwrap_or(0)
    }

    /// Where in its tick an API is probed.
    pub(super) fn tick_slot(&self, api_id: &ApiId) -> schedule::Slot {
        if self.chain.spreads() { schedule::Slot::of(api_id) } else { schedule::Slot::AT_TICK }
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
            let ticket = (!matches!(start, Start::Scheduled)).then(|| self.round.ticket());
            let resume = ResumePoint { is_settled: matches!(start, Start::Scheduled), ..ResumePoint::nothing(now) };
            let life = Life::Paused { resume, ticket: ticket.clone() };
            let slot = Slot { deaths: Deaths::default(), given_up: None, hung_at: None, hangs: 0, life };
            self.probers.slots.insert(api.api_id.clone(), slot);
            self.start_prober(&api, start, resume, ticket, ctx);
        }
    }

    /// Starts the probers that were stopped with their outcome batcher, of one thread or of all. As at the start, those whose
    /// outcome was lost probe soon, spread over a while; the others go on at their slots.
    pub(super) fn start_paused(&mut self, prober_thread: Option<usize>, ctx: &mut Context<Self>) {
        if self.stopping.is_some() {
            return;
        }
        let paused: Vec<(ApiId, ResumePoint, Option<Arc<RoundTicket>>)> = self
            .probers
            .slots
            .iter()
            .filter(|(api_id, _)| prober_thread.is_none_or(|prober_thread| self.thread_of(api_id) == prober_thread))
            .filter_map(|(api_id, slot)| match &slot.life {
                Life::Paused { resume, ticket } => Some((api_id.clone(), *resume, ticket.clone())),
                _ => None,
            })
            .collect();
        let window = window_for(paused.iter().filter(|(_, resume, _)| !resume.is_settled).count());
        for (api_id, resume, ticket) in paused {
            let wait = first_wait(&api_id, window);
            self.start_again(&api_id, resume, ticket, wait, ctx);
        }
        self.start_due(ctx);
    }

    /// Starts one more life, of a row as it is now.
    pub(super) fn start_again(
        &mut self,
        api_id: &ApiId,
        resume: ResumePoint,
        ticket: Option<Arc<RoundTicket>>,
        wait: Duration,
        ctx: &mut Context<Self>,
    ) {
        let Some(api) = self.configs.running.get(api_id).cloned() else { return };
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
        self.start_prober(&api, start, resume, ticket, ctx);
    }

    fn start_prober(
        &mut self,
        api: &Arc<ApiConfig>,
        start: Start,
        resume: ResumePoint,
        ticket: Option<Arc<RoundTicket>>,
        ctx: &Context<Self>,
    ) {
        let prober_thread = self.chain.prober_threads.get(self.thread_of(&api.api_id));
        let Some((shared, thread)) =
            prober_thread.and_then(|prober_thread| prober_thread.shared.clone().zip(prober_thread.thread.clone()))
        else {
            return;
        };
        let (began, life) = (self.uptime(), self.new_life());
        let wait = match start {
            Start::Scheduled => Duration::ZERO,
            Start::Soon(wait) | Start::Once(wait) => wait,
        };
        let liveness = Arc::new(Liveness::new(resume, began.saturating_add(wait)));
        let running_ticket = ticket.as_ref().map_or_else(Weak::new, Arc::downgrade);
        let init = ProberInit { start, ticket, liveness: Arc::clone(&liveness) };
        let (api_id, api) = (api.api_id.clone(), Arc::clone(api));
        let child = child::start(
            &thread.place,
            prober::MAILBOX_CAPACITY,
            ctx.address().recipient(),
            api_id.clone(),
            life,
            move || Prober::new(api, shared, init),
        );
        if let Some(slot) = self.probers.slots.get_mut(&api_id) {
            slot.life = Life::Runs(Running { child, life, began, liveness, ticket: running_ticket });
        }
    }

    /// The row changed. A prober that was given up for the row before is tried at once.
    pub(super) fn reconfigure_prober(&mut self, api: Arc<ApiConfig>, same_schedule: bool, ctx: &mut Context<Self>) {
        let now = self.time.moment();
        let Some(slot) = self.probers.slots.get_mut(&api.api_id) else { return };
        match &mut slot.life {
            Life::Runs(running) => {
                // A mailbox that is full or closed belongs to a prober that is replaced, by the row in `running`.
                ctx.spawn(running.child.addr.send(Reconfigure(api)).into_actor(self).map(|_, _, _| ()));
            }
            Life::Waits { until, resume } => {
                if !same_schedule {
                    resume.accounted = now;
                }
                if slot.given_up.is_some() {
                    slot.deaths = Deaths::default();
                    slot.hangs = 0;
                    slot.given_up = None;
                    *until = now.uptime;
                    self.probers.due.insert((now.uptime, api.api_id.clone()));
                    self.start_due(ctx);
                }
            }
            Life::Paused { resume, .. } => {
                if !same_schedule {
                    resume.accounted = now;
                }
            }
            Life::Over => {}
        }
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
