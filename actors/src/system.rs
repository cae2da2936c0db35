//! The actor system as a whole: started in order (alerter, keeper, couriers, probers), stopped in reverse.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use actix_rt::{Arbiter, ArbiterHandle};
use api_health_core::ApiState;
use api_health_core::restart::RestartPolicy;
use futures_util::future::AbortHandle;
use tokio::sync::{mpsc, watch};

use crate::alerter::{self, Alerter};
use crate::child::{self, ChildExit};
use crate::courier::{self, Courier};
use crate::ports::{Clock, ConfigSource, Notifier, Probe, StateStore};
use crate::prober::Shared;
use crate::retry::RetryPolicy;
use crate::round::Round;
use crate::state_keeper::{self, Carried, KeeperOptions, KeeperReport, Report, Settle, StateKeeper};
use crate::stats::Stats;
use crate::supervisor::{DiedInRound, Home, LoadReport, Reload, StopProbing, Supervisor, SupervisorOptions};
use crate::timebase::TimeBase;

/// After the probes, storing and telling get this long at least before the process ends.
const SETTLE_MIN: Duration = Duration::from_secs(5);

/// Everything that the actors need of the world.
pub struct World {
    /// Asks APIs.
    pub probe: Arc<dyn Probe>,
    /// Keeps states.
    pub store: Arc<dyn StateStore>,
    /// The states as they were loaded from it, before anything is probed.
    pub states: Vec<ApiState>,
    /// What people call the store.
    pub store_name: String,
    /// No other process can use the store.
    pub alone: bool,
    /// This process, as its claims name it: no two processes have the same.
    pub instance: String,
    /// Whom changes are told to.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Where configs come from; the earlier one wins.
    pub sources: Vec<Arc<dyn ConfigSource>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

/// How the actors run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that probers are spread over; 0 runs everything on the calling thread, as simulated time needs.
    pub arbiters: usize,
    /// How often sources are read that cannot tell cheaply whether they changed.
    pub reload_every: Duration,
    /// How long a write may wait that changes no decision.
    pub checkpoint: Duration,
    /// Each API at its own slot inside the tick.
    pub spread: bool,
    /// One turn of each API, and then no more.
    pub once: bool,
    /// Probe each API soon after the start, if its tick is open.
    pub probe_at_start: bool,
    /// Between the tries of a delivery.
    pub delivery: RetryPolicy,
    /// Between the lives of a prober.
    pub restart: RestartPolicy,
    /// Close the incidents of APIs that have a state and no row any more. Not where only some of the APIs are asked for, as on
    /// the command line.
    pub closes_unconfigured: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arbiters: std::thread::available_parallelism().map_or(1, usize::from),
            reload_every: Duration::from_secs(60),
            checkpoint: Duration::from_secs(10),
            spread: true,
            once: false,
            probe_at_start: true,
            delivery: RetryPolicy::DELIVERY,
            restart: RestartPolicy::default(),
            closes_unconfigured: true,
        }
    }
}

/// The running actors.
pub struct Running {
    supervisor: Addr<Supervisor>,
    keeper: Addr<StateKeeper>,
    arbiters: Vec<Arbiter>,
    round: Arc<Round>,
    stats: Arc<Stats>,
    probers: watch::Receiver<usize>,
    deaths: mpsc::UnboundedReceiver<ChildExit<&'static str>>,
    kill: Vec<AbortHandle>,
}

/// Hears of the death of a singleton and passes it on to whoever holds [`Running`]: there is no life without them.
struct Watch(mpsc::UnboundedSender<ChildExit<&'static str>>);

impl Actor for Watch {
    type Context = Context<Self>;
}

impl Handler<ChildExit<&'static str>> for Watch {
    type Result = ();

    fn handle(&mut self, exit: ChildExit<&'static str>, _: &mut Self::Context) {
        // Nobody listens any more once the process is ending. There is one notice for each of a handful of actors.
        let _ = self.0.send(exit);
    }
}

/// Starts the actors. Call it inside an actix system; nothing is probed before [`Running::reload`].
pub fn start(world: World, options: &Options) -> Running {
    let time = TimeBase::new(Arc::clone(&world.clock));
    let stats = Arc::new(Stats::default());
    let round = Arc::new(Round::default());
    let (death, deaths) = mpsc::unbounded_channel();
    let watch = Watch(death).start().recipient();

    let mut arbiters = Vec::new();
    let mut own_arbiter = || -> ArbiterHandle {
        if options.arbiters == 0 {
            return Arbiter::current();
        }
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiters.push(arbiter);
        handle
    };

    let delivery = options.delivery;
    let notifiers = world.notifiers;
    let channels: Vec<&'static str> = notifiers.iter().map(|notifier| notifier.channel()).collect();
    let alerter = child::start(&own_arbiter(), alerter::MAILBOX_CAPACITY, watch.clone(), "alerter", 0, move || {
        Alerter::new(notifiers, delivery)
    });

    let (store, carried) = (world.store, Carried::loaded(world.states, world.alone));
    let keeper_options = KeeperOptions {
        checkpoint: options.checkpoint,
        channels,
        instance: world.instance,
        store_name: world.store_name,
    };
    let (keeper_time, keeper_stats) = (time.clone(), Arc::clone(&stats));
    let keeper = child::start(&own_arbiter(), state_keeper::MAILBOX_CAPACITY, watch.clone(), "state-keeper", 0, {
        let alerter = alerter.addr.clone().recipient();
        move || StateKeeper::new(store, alerter, keeper_time, keeper_stats, carried, keeper_options)
    });

    let mut homes = Vec::new();
    let mut kill = vec![keeper.kill, alerter.kill];
    for _ in 0..options.arbiters.max(1) {
        let arbiter = own_arbiter();
        let to_keeper = keeper.addr.clone().recipient();
        let courier = child::start(&arbiter, courier::MAILBOX_CAPACITY, watch.clone(), "courier", 0, move || {
            Courier::new(to_keeper)
        });
        kill.push(courier.kill);
        let shared = Arc::new(Shared {
            probe: Arc::clone(&world.probe),
            courier: courier.addr.recipient(),
            time: time.clone(),
            stats: Arc::clone(&stats),
            spread: options.spread,
        });
        homes.push(Home { arbiter, shared });
    }
    let supervisor_options = SupervisorOptions {
        reload_every: options.reload_every,
        once: options.once,
        probe_at_start: options.probe_at_start,
        restart: options.restart,
        closes_unconfigured: options.closes_unconfigured,
    };
    let supervisor = Supervisor::new(
        world.sources,
        homes,
        keeper.addr.clone(),
        time,
        Arc::clone(&stats),
        Arc::clone(&round),
        supervisor_options,
    );
    let probers = supervisor.count();
    let supervisor =
        child::start(&Arbiter::current(), crate::supervisor::MAILBOX_CAPACITY, watch, "supervisor", 0, move || {
            supervisor
        });
    // The supervisor first: it takes its probers along.
    kill.insert(0, supervisor.kill);
    Running { supervisor: supervisor.addr, keeper: keeper.addr, arbiters, round, stats, probers, deaths, kill }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// What the keeper had at hand at the end; `None` if it did not answer any more.
    pub keeper: Option<KeeperReport>,
}

impl Running {
    /// Reads the configs and applies them.
    pub async fn reload(&self) -> LoadReport {
        self.supervisor.send(Reload).await.unwrap_or_default()
    }

    /// The first probes of all APIs.
    pub fn round(&self) -> &Arc<Round> {
        &self.round
    }

    /// Figures.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// How many probers run.
    pub fn probers(&self) -> usize {
        *self.probers.borrow()
    }

    /// What the keeper has at hand; `None` if it does not answer.
    pub async fn report(&self) -> Option<KeeperReport> {
        self.keeper.send(Report).await.ok()
    }

    /// Probers that died in a single round.
    pub async fn died_in_round(&self) -> usize {
        self.supervisor.send(DiedInRound).await.unwrap_or(0)
    }

    /// Waits for the death of an actor that the program cannot go on without. Never comes back in a good life.
    pub async fn fatal(&mut self) -> ChildExit<&'static str> {
        match self.deaths.recv().await {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }

    /// Waits until everything is stored and, with `until_told`, told; whether that came true within `within`.
    pub async fn settle(&self, until_told: bool, within: Duration) -> bool {
        matches!(tokio::time::timeout(within, self.keeper.send(Settle { until_told })).await, Ok(Ok(())))
    }

    /// Ends every actor at once, in the middle of whatever it does, and stores nothing: what a crash does.
    pub fn crash(self) {
        for kill in self.kill {
            kill.abort();
        }
    }

    /// Stops in reverse order: no new probes, those under way finished or cut after `within`, everything stored.
    pub async fn stop(self, within: Duration) -> StopReport {
        let began = tokio::time::Instant::now();
        // A thread that is stuck answers nothing; the deadline is kept all the same.
        let _ = tokio::time::timeout(within + SETTLE_MIN, self.supervisor.send(StopProbing { within })).await;
        let left = within.saturating_sub(began.elapsed()).max(SETTLE_MIN);
        self.settle(false, left).await;
        let keeper = tokio::time::timeout(SETTLE_MIN, self.keeper.send(Report)).await.ok().and_then(Result::ok);
        for arbiter in self.arbiters {
            arbiter.stop();
        }
        StopReport { keeper }
    }
}
