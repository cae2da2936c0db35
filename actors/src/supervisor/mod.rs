//! The supervisor: loads the configs, runs one prober for each API, and starts a dead one again.
//!
//! Probers are permanent children under one_for_one: the death of one costs that one a restart and nobody else
//! anything. What runs is compared with what is configured after every reload, so that a row that did not change keeps
//! its prober, its phase and its streak. A source that is unreachable or empty all at once changes nothing (P8).

mod source;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use actix_rt::ArbiterHandle;
use api_health_core::restart::{Deaths, RestartPolicy, Verdict};
use api_health_core::roster::{self, Plan, Roster};
use api_health_core::schedule::SLOT_QUANTUM;
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::child::{self, Child, ChildExit, ExitReason};
use crate::ports::ConfigSource;
use crate::prober::{self, Prober, Reconfigure, Shared, Start, Stop};
use crate::round::Round;
use crate::state_keeper::{GivenUp, StateKeeper, Watch};
use crate::stats::Stats;
use crate::timebase::TimeBase;
use source::{LOAD_TIMEOUT, Reading, Source, read};

/// Messages in the supervisor's mailbox: signals from outside. Exit notices do not count against it.
pub const MAILBOX_CAPACITY: usize = 64;

/// How often sources are asked whether they changed, where that is cheap to tell.
const REVISION_EVERY: Duration = Duration::from_secs(1);

/// First probes in one second: a start of ten thousand APIs takes ten seconds, and a small machine survives it.
const FIRST_PROBES_PER_SECOND: u32 = 1_000;

/// How the supervisor runs its probers.
#[derive(Clone, Debug)]
pub struct SupervisorOptions {
    /// How often sources are read that cannot tell cheaply whether they changed.
    pub reload_every: Duration,
    /// One turn of each API, and then no more.
    pub once: bool,
    /// Probe each API soon after its prober starts, if its tick is open, instead of waiting for its next slot.
    pub probe_at_start: bool,
    /// How soon a dead prober is started again.
    pub restart: RestartPolicy,
    /// Close the incidents of APIs that have a state and no row any more.
    pub closes_unconfigured: bool,
}

/// Where probers live.
pub struct Home {
    /// Their thread.
    pub arbiter: ArbiterHandle,
    /// What they share there.
    pub shared: Arc<Shared>,
}

/// The actor.
pub struct Supervisor {
    sources: Vec<Source>,
    homes: Vec<Home>,
    keeper: Addr<StateKeeper>,
    time: TimeBase,
    stats: Arc<Stats>,
    options: SupervisorOptions,
    running: Roster,
    children: HashMap<ApiId, Running>,
    round: Arc<Round>,
    loading: bool,
    /// Somebody asked for a reload while one was under way.
    load_again: bool,
    loaded_at: Instant,
    waiting_for_load: Vec<oneshot::Sender<LoadReport>>,
    stopping: Option<Vec<oneshot::Sender<()>>>,
    doubled: HashSet<ApiId>,
    /// How many probers run, for whoever shows it.
    count: watch::Sender<usize>,
    died_in_round: usize,
    /// The next life of any prober: never used twice, so that a late notice is never taken for another life's.
    next_life: u32,
    asking: bool,
    /// States without a row were looked for.
    closed_unconfigured: bool,
}

struct Running {
    child: Child<Prober>,
    life: u32,
    deaths: Deaths,
}

/// What came of reading the configs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// APIs that are configured and enabled.
    pub apis: usize,
    /// Rows that were refused.
    pub refused: usize,
    /// Sources that could not be read, and why.
    pub unreadable: Vec<String>,
    /// At least one of those needs a person to mend it.
    pub misconfigured: bool,
    /// The first few APIs that are watched, in the order of their ids.
    pub watched: Vec<Arc<ApiConfig>>,
}

/// How many APIs a report names.
const REPORT_NAMES_MAX: usize = 20;

impl Supervisor {
    /// A supervisor that runs nothing yet: send it [`Reload`].
    pub fn new(
        sources: Vec<Arc<dyn ConfigSource>>,
        homes: Vec<Home>,
        keeper: Addr<StateKeeper>,
        time: TimeBase,
        stats: Arc<Stats>,
        round: Arc<Round>,
        options: SupervisorOptions,
    ) -> Self {
        let sources = sources.into_iter().map(Source::new).collect();
        Self {
            sources,
            homes,
            keeper,
            time,
            stats,
            options,
            running: Roster::new(),
            children: HashMap::new(),
            round,
            loading: false,
            load_again: false,
            loaded_at: Instant::now(),
            waiting_for_load: Vec::new(),
            stopping: None,
            doubled: HashSet::new(),
            count: watch::Sender::new(0),
            died_in_round: 0,
            next_life: 0,
            asking: false,
            closed_unconfigured: false,
        }
    }

    /// How many probers run, as it changes.
    pub fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Reads every source, whatever its revision says; only one reading at a time.
    fn reload(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() {
            return;
        }
        if self.loading {
            self.load_again = true;
            return;
        }
        self.loading = true;
        self.loaded_at = Instant::now();
        let ports: Vec<Arc<dyn ConfigSource>> = self.sources.iter().map(|s| Arc::clone(&s.port)).collect();
        let reading = async move { futures_util::future::join_all(ports.iter().map(read)).await };
        ctx.spawn(reading.into_actor(self).map(|results, supervisor, ctx| {
            supervisor.loading = false;
            supervisor.loaded(results, ctx);
            if std::mem::take(&mut supervisor.load_again) {
                supervisor.reload(ctx);
            }
        }));
    }

    fn loaded(&mut self, results: Vec<Reading>, ctx: &mut Context<Self>) {
        for (source, reading) in self.sources.iter_mut().zip(results) {
            source.accept(reading);
        }
        let (configured, doubled) = roster::merge(self.sources.iter().map(|source| &source.roster));
        let doubled: HashSet<ApiId> = doubled.into_iter().collect();
        for api_id in doubled.difference(&self.doubled) {
            tracing::warn!(%api_id, "more than one source has this API; the first one counts");
        }
        self.doubled = doubled;
        let plan = roster::plan(&self.running, &configured);
        self.carry_out(plan, ctx);
        let report = LoadReport {
            apis: self.running.len(),
            refused: self.sources.iter().map(|source| source.refused).sum(),
            unreadable: self.sources.iter().filter_map(|source| source.unreadable.clone()).collect(),
            misconfigured: self.sources.iter().any(|source| source.misconfigured),
            watched: self.running.values().take(REPORT_NAMES_MAX).cloned().collect(),
        };
        for waiter in self.waiting_for_load.drain(..) {
            let _ = waiter.send(report.clone());
        }
    }

    /// Before the probers that it is about are started, so that no outcome comes before it.
    fn tell_the_keeper(&mut self, plan: &Plan, ctx: &mut Context<Self>) {
        let configured =
            if self.options.closes_unconfigured && !self.closed_unconfigured { self.configured() } else { None };
        self.closed_unconfigured |= configured.is_some();
        let watch = Watch {
            started: plan.start.iter().map(|api| api.api_id.clone()).collect(),
            asks_anew: plan.asks_anew.clone(),
            stopped: plan.stop.clone(),
            configured,
        };
        ctx.spawn(self.keeper.send(watch).into_actor(self).map(|_, _, _| ()));
    }

    /// Every API that has a row that may run, if that is known for certain: every source was read, and none is empty all at once.
    fn configured(&self) -> Option<HashSet<ApiId>> {
        let mut configured = HashSet::new();
        for source in &self.sources {
            configured.extend(source.roster.values().filter(|api| api.enabled).map(|api| api.api_id.clone()));
            configured.extend(source.refused_ids.clone()?);
        }
        (!configured.is_empty()).then_some(configured)
    }

    fn carry_out(&mut self, plan: Plan, ctx: &mut Context<Self>) {
        if self.stopping.is_some() {
            return;
        }
        let (started, changed, stopped) = (plan.start.len(), plan.change.len(), plan.stop.len());
        self.tell_the_keeper(&plan, ctx);
        for (api_id, _) in plan.stop {
            self.running.remove(&api_id);
            if let Some(running) = self.children.remove(&api_id) {
                // What is no longer watched is told nothing of any more: the probe under way is cut.
                running.child.kill.abort();
            }
        }
        for api in plan.change {
            self.running.insert(api.api_id.clone(), Arc::clone(&api));
            if let Some(running) = self.children.get(&api.api_id) {
                // A mailbox that is full or closed belongs to a prober that is replaced, by the row in `running`.
                ctx.spawn(running.child.addr.send(Reconfigure(api)).into_actor(self).map(|_, _, _| ()));
            }
        }
        let window = Duration::from_secs(1) * u32::try_from(started).unwrap_or(u32::MAX) / FIRST_PROBES_PER_SECOND;
        let now = self.time.moment();
        for api in plan.start {
            let wait = first_wait(&api.api_id, window);
            let start = if self.options.once {
                Start::Once(wait)
            } else if self.options.probe_at_start && api.schedule.tick_is_open(now) {
                Start::Soon(wait)
            } else {
                Start::Scheduled
            };
            self.running.insert(api.api_id.clone(), Arc::clone(&api));
            self.start(api, start, Deaths::default(), true, ctx);
        }
        if started + changed + stopped > 0 {
            tracing::info!(started, changed, stopped, running = self.children.len(), "configs applied");
            self.count.send_replace(self.children.len());
        }
    }

    fn start(&mut self, api: Arc<ApiConfig>, start: Start, deaths: Deaths, first_life: bool, ctx: &Context<Self>) {
        let api_id = api.api_id.clone();
        let index = usize::try_from(api_id.stable_hash() % self.homes.len().max(1) as u64).unwrap_or(0);
        let Some(home) = self.homes.get(index) else { return };
        let shared = Arc::clone(&home.shared);
        let life = self.next_life;
        self.next_life = self.next_life.wrapping_add(1);
        let place = (first_life && !matches!(start, Start::Scheduled)).then(|| self.round.place());
        let child = child::start(
            &home.arbiter,
            prober::MAILBOX_CAPACITY,
            ctx.address().recipient(),
            api_id.clone(),
            life,
            move || Prober::new(api, shared, start, place),
        );
        self.children.insert(api_id, Running { child, life, deaths });
    }

    /// Looks for changes where that is cheap, every second, and everywhere when `reload_every` is over.
    fn look_around(&mut self, ctx: &mut Context<Self>) {
        if self.loading || self.asking || self.options.once || self.stopping.is_some() {
            return;
        }
        if self.loaded_at.elapsed() >= self.options.reload_every {
            self.reload(ctx);
            return;
        }
        let ports: Vec<Arc<dyn ConfigSource>> = self.sources.iter().map(|s| Arc::clone(&s.port)).collect();
        let asking =
            async move {
                futures_util::future::join_all(ports.iter().map(|port| async move {
                    tokio::time::timeout(LOAD_TIMEOUT, port.revision()).await.unwrap_or(None)
                }))
                .await
            };
        ctx.spawn(asking.into_actor(self).map(|revisions, supervisor, ctx| {
            supervisor.asking = false;
            let changed = supervisor.sources.iter().zip(&revisions).any(|(s, r)| r.is_some() && *r != s.revision);
            if changed && !supervisor.loading {
                supervisor.reload(ctx);
            }
        }));
    }

    fn finish_stop_if_idle(&mut self) {
        if self.children.is_empty()
            && let Some(waiters) = &mut self.stopping
        {
            for waiter in waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

/// The place of an API's first probe in the window that first probes are spread over.
fn first_wait(api_id: &ApiId, window: Duration) -> Duration {
    let quanta = window.as_millis() / SLOT_QUANTUM.as_millis();
    let chosen = (u128::from(api_id.stable_hash()) * quanta) >> 64;
    SLOT_QUANTUM * u32::try_from(chosen).unwrap_or(0)
}

/// The probers end with their supervisor: nobody else could stop them.
impl Drop for Supervisor {
    fn drop(&mut self) {
        for running in self.children.values() {
            running.child.kill.abort();
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(REVISION_EVERY, Self::look_around);
    }
}

/// Read the configs now. The reply comes when they are applied.
#[derive(Message)]
#[rtype(result = "LoadReport")]
pub struct Reload;

impl Handler<Reload> for Supervisor {
    type Result = ResponseFuture<LoadReport>;

    fn handle(&mut self, _: Reload, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.waiting_for_load.push(waiter);
        self.reload(ctx);
        Box::pin(async move { done.await.unwrap_or_default() })
    }
}

/// No new probes. The reply comes when the last prober is gone; those that are still there at the deadline are cut.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopProbing {
    /// How long probes under way may take.
    pub within: Duration,
}

impl Handler<StopProbing> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, StopProbing { within }: StopProbing, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.stopping.get_or_insert_default().push(waiter);
        for running in self.children.values() {
            ctx.spawn(running.child.addr.send(Stop).into_actor(self).map(|_, _, _| ()));
        }
        ctx.run_later(within, |supervisor, _| {
            if !supervisor.children.is_empty() {
                tracing::warn!(probes = supervisor.children.len(), "probes under way are cut at the deadline");
            }
            for running in supervisor.children.values() {
                running.child.kill.abort();
            }
        });
        self.finish_stop_if_idle();
        Box::pin(async move {
            let _ = done.await;
        })
    }
}

/// How many probers died of something else than being asked to, in a single round.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct DiedInRound;

impl Handler<DiedInRound> for Supervisor {
    type Result = usize;

    fn handle(&mut self, _: DiedInRound, _: &mut Self::Context) -> usize {
        self.died_in_round
    }
}

impl Handler<ChildExit<ApiId>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit<ApiId>, ctx: &mut Self::Context) {
        let ChildExit { child: api_id, life, reason } = exit;
        if self.children.get(&api_id).is_none_or(|running| running.life != life) {
            return; // the notice of an earlier life, or of an API that is no longer watched
        }
        let Some(Running { mut deaths, .. }) = self.children.remove(&api_id) else { return };
        if self.stopping.is_some() {
            self.finish_stop_if_idle();
            return;
        }
        if self.options.once {
            if reason != ExitReason::Normal {
                self.died_in_round += 1;
                tracing::error!(%api_id, ?reason, "the prober died");
            }
            return;
        }
        let uptime = self.time.moment().uptime;
        let delay = match deaths.count(uptime, &self.options.restart, api_id.stable_hash()) {
            Verdict::Restart { after } => after,
            Verdict::GiveUp { again_after } => {
                if let Some(api) = self.running.get(&api_id).cloned() {
                    let why = format!("it died {} times: {reason:?}", deaths.recent());
                    ctx.spawn(self.keeper.send(GivenUp { api, why }).into_actor(self).map(|_, _, _| ()));
                }
                again_after
            }
        };
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(%api_id, ?reason, deaths = deaths.recent(), delay_ms, "the prober died; it is started again");
        ctx.run_later(delay, move |supervisor, ctx| supervisor.start_again(&api_id, deaths, ctx));
    }
}

impl Supervisor {
    fn start_again(&mut self, api_id: &ApiId, deaths: Deaths, ctx: &Context<Self>) {
        if self.stopping.is_some() || self.children.contains_key(api_id) {
            return;
        }
        // By the row as it is now; none, if it was removed meanwhile.
        if let Some(api) = self.running.get(api_id).cloned() {
            self.stats.restarted();
            self.start(api, Start::Scheduled, deaths, false, ctx);
        }
    }
}
