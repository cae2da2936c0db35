//! The actor system as a whole, as the program sees it: the supervisor is started, and it starts all others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use actix::{Actor, Addr, Context, Handler};
use api_health_core::keep::{Setup, Until};
use api_health_core::own::shards::SHARDS;
use api_health_core::restart::RestartPolicy;
use futures_util::future::AbortHandle;
use tokio::sync::{mpsc, watch};

use crate::child;
use crate::keeper_handle::KeeperHandle;
use crate::ports::{Clock, ConfigSource, Notifier, Probe, StateStore};
use crate::retry::RetryPolicy;
use crate::round::Round;
use crate::state_keeper::{DropChannel, KeeperReport, Report, Retry, Settle};
use crate::stats::Stats;
#[cfg(test)]
use crate::supervisor::injected_fault::{Give, InjectedFault, Whom};
use crate::supervisor::{
    AskProgress, Asker, DiedInRound, Fatal, Joined, KillSwitch, LeaseParts, Leave, LoadReport, Parts, Progress, Reload,
    StopProbing, Supervisor, SupervisorOptions,
};
use crate::threads::{Place, Threads};
use crate::timebase::TimeBase;

/// After the probes, storing and telling get this long at least before the process ends.
const SETTLE_MIN: Duration = Duration::from_secs(5);

/// Everything that the actors need of the world.
pub struct World {
    /// Asks APIs.
    pub probe: Arc<dyn Probe>,
    /// Keeps states.
    pub store: Arc<dyn StateStore>,
    /// What people call the store.
    pub store_name: String,
    /// This process, for people: no two processes have the same.
    pub instance: String,
    /// Whom changes are told to.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Where configs come from; the earlier one wins.
    pub sources: Vec<Arc<dyn ConfigSource>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// How the store is shared with other workers; `None`: this process owns all of it by other means.
    pub leases: Option<LeaseParts>,
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
    /// How often the keeper writes a heartbeat; `None`: never.
    pub heartbeat: Option<Duration>,
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
    /// A thread of probers that has not moved for this long is stuck, and its probers move.
    pub stuck_after: Duration,
    /// An alert that the store holds up for 30 s is told all the same.
    pub fail_open: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arbiters: std::thread::available_parallelism().map_or(1, usize::from),
            reload_every: Duration::from_secs(60),
            checkpoint: Duration::from_secs(10),
            heartbeat: Some(Duration::from_secs(60)),
            spread: true,
            once: false,
            probe_at_start: true,
            delivery: RetryPolicy::DELIVERY,
            restart: RestartPolicy::default(),
            closes_unconfigured: true,
            stuck_after: Duration::from_secs(5),
            fail_open: true,
        }
    }
}

/// The running actors.
pub struct Running {
    supervisor: Addr<Supervisor>,
    keeper: KeeperHandle,
    threads: Threads,
    round: Arc<Round>,
    stats: Arc<Stats>,
    probers: watch::Receiver<usize>,
    unreadable: watch::Receiver<Vec<String>>,
    deaths: mpsc::UnboundedReceiver<Fatal>,
    /// What ended the run, once that is known.
    fatal: Option<(Fatal, Instant)>,
    kill: AbortHandle,
    kill_chain: KillSwitch,
    clock: Arc<dyn Clock>,
}

/// Hears of the death of the supervisor and passes it on to whoever holds [`Running`].
struct DeathWatch(mpsc::UnboundedSender<Fatal>);

impl Actor for DeathWatch {
    type Context = Context<Self>;
}

impl Handler<Fatal> for DeathWatch {
    type Result = ();

    fn handle(&mut self, exit: Fatal, _: &mut Self::Context) {
        // Nobody listens any more once the process is ending. There is one notice.
        let _ = self.0.send(exit);
    }
}

/// Starts the actors. Call it inside an actix system; nothing is probed before [`Running::reload`].
pub fn start(world: World, options: &Options) -> Running {
    let time = TimeBase::new(Arc::clone(&world.clock));
    let stats = Arc::new(Stats::default());
    let round = Arc::new(Round::default());
    let threads = Threads::default();
    let (fatal, deaths) = mpsc::unbounded_channel();
    let watch = DeathWatch(fatal.clone()).start().recipient();

    let setup = Setup {
        checkpoint: options.checkpoint,
        channels: world.notifiers.iter().map(|notifier| notifier.channel().to_owned()).collect(),
        limits: world.store.limits(),
        instance: world.instance,
        store_name: world.store_name,
        version: env!("CARGO_PKG_VERSION"),
        heeds_waits: !options.once,
        heartbeat: options.heartbeat,
        once: options.once,
        spread: options.spread,
        fail_open: options.fail_open,
        shards: SHARDS,
    };
    let parts = Parts {
        probe: world.probe,
        store: world.store,
        notifiers: world.notifiers,
        delivery: options.delivery,
        keeper: setup,
        spread: options.spread,
        arbiters: options.arbiters,
        threads: threads.clone(),
    };
    let supervisor_options = SupervisorOptions {
        reload_every: options.reload_every,
        once: options.once,
        probe_at_start: options.probe_at_start,
        restart: options.restart,
        closes_unconfigured: options.closes_unconfigured,
        stuck_after: options.stuck_after,
    };
    let supervisor = Supervisor::new(
        world.sources,
        parts,
        world.leases,
        time,
        Arc::clone(&stats),
        Arc::clone(&round),
        supervisor_options,
        fatal,
    );
    let (probers, unreadable, keeper) =
        (supervisor.count(), supervisor.unreadable(), KeeperHandle::new(supervisor.keeper()));
    let kill_chain = supervisor.kill_switch();
    let supervisor =
        child::start(&Place::Here, crate::supervisor::MAILBOX_CAPACITY, watch, "supervisor", 0, move || supervisor);
    Running {
        supervisor: supervisor.addr,
        keeper,
        threads,
        round,
        stats,
        probers,
        unreadable,
        deaths,
        fatal: None,
        kill: supervisor.kill,
        kill_chain,
        clock: world.clock,
    }
}

/// What can be asked of the running actors by others than who holds [`Running`]. It outlives them, and has no answers then.
#[derive(Clone)]
pub struct Gauges {
    supervisor: Addr<Supervisor>,
    keeper: KeeperHandle,
    stats: Arc<Stats>,
    probers: watch::Receiver<usize>,
    unreadable: watch::Receiver<Vec<String>>,
    clock: Arc<dyn Clock>,
}

impl Gauges {
    /// How probing goes, as the supervisor says on its own thread; `None` if it is dead. One that is stuck does not answer at
    /// all: the caller bounds the wait. One asks at a time, since the answer is about the time since it was asked before.
    pub async fn progress(&self) -> Option<Progress> {
        self.supervisor.send(AskProgress(Asker::Watchdog)).await.ok()
    }

    /// What the keeper has at hand; `None` if there is none any more. While it is started again this waits: the caller
    /// bounds that.
    pub async fn report(&self) -> Option<KeeperReport> {
        self.keeper.ask(|| Report, |_| true).await
    }

    /// Has what waits for its next try tried now: these alerts, or all. How many are owed of those; `None` as in
    /// [`Self::report`].
    pub async fn retry(&self, alert_ids: Option<Vec<String>>) -> Option<usize> {
        self.keeper.ask(|| Retry(alert_ids.clone()), |_| true).await
    }

    /// Gives a channel up: nothing is owed to it any more. How many alerts it was owed; `None` as in [`Self::report`].
    pub async fn drop_channel(&self, channel: &str) -> Option<usize> {
        let until = self.clock.now();
        self.keeper.ask(|| DropChannel { channel: channel.to_owned(), until }, |_| true).await
    }

    /// Reads the configs, as [`Running::reload`] does.
    pub async fn reload(&self) -> Option<LoadReport> {
        self.supervisor.send(Reload).await.ok().flatten()
    }

    /// Figures.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many probers run.
    pub fn probers(&self) -> usize {
        *self.probers.borrow()
    }

    /// The sources of configs that could not be read the last time, and why. Their last good configs run.
    pub fn unreadable(&self) -> Vec<String> {
        self.unreadable.borrow().clone()
    }
}

/// The longest that [`Running::stop`] takes, whatever is stuck.
pub const fn longest_stop(within: Duration) -> Duration {
    // The supervisor's answer, storing and telling, the keeper's last report, and leaving.
    within.saturating_add(SETTLE_MIN.saturating_mul(4))
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// What the keeper had at hand at the end; `None` if it did not answer any more.
    pub keeper: Option<KeeperReport>,
}

impl Running {
    /// Reads the configs, with all that was written before, and applies them; `None` if nothing is read any more, since the
    /// process has to end ([`Self::fatal`]).
    pub async fn reload(&self) -> Option<LoadReport> {
        self.supervisor.send(Reload).await.ok().flatten()
    }

    /// For whoever watches the actors while another one waits for them.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            supervisor: self.supervisor.clone(),
            keeper: self.keeper.clone(),
            stats: Arc::clone(&self.stats),
            probers: self.probers.clone(),
            unreadable: self.unreadable.clone(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Waits until it is known what this process owns at first. Not longer than a session takes to begin: the caller bounds it.
    ///
    /// # Errors
    /// It wants all, and another worker lives: it does nothing.
    pub async fn joined(&self) -> Result<(), String> {
        self.supervisor.send(Joined).await.unwrap_or(Ok(())) // one that is dead says so by `fatal`
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

    /// What the keeper has at hand; `None` if there is none any more. While it is started again this waits: the caller
    /// bounds that.
    pub async fn report(&self) -> Option<KeeperReport> {
        self.keeper.ask(|| Report, |_| true).await
    }

    /// Probers that died in a single round.
    pub async fn died_in_round(&self) -> usize {
        self.supervisor.send(DiedInRound).await.unwrap_or(0)
    }

    /// Waits until the program cannot go on: the supervisor is dead, or cannot keep somebody alive that nothing works
    /// without. What a live keeper holds is stored before this comes back, if the store takes it soon. Never comes back in
    /// a good life; may be dropped and asked again.
    pub async fn fatal(&mut self) -> Fatal {
        // The deadline stays with the notice: whoever asks again and again gets the answer in time as well.
        let (fatal, deadline) = match &self.fatal {
            Some(fatal) => fatal.clone(),
            None => match self.deaths.recv().await {
                Some(fatal) => self.fatal.insert((fatal, Instant::now() + SETTLE_MIN)).clone(),
                None => std::future::pending().await,
            },
        };
        self.settle_until(Until::Left, deadline.saturating_duration_since(Instant::now())).await;
        fatal
    }

    /// Waits until everything is stored and, with `until_told`, told; whether that came true within `within`. Goes on over
    /// a restart of the keeper.
    pub async fn settle(&self, until_told: bool, within: Duration) -> bool {
        self.settle_until(if until_told { Until::Told } else { Until::Stored }, within).await
    }

    async fn settle_until(&self, until: Until, within: Duration) -> bool {
        let settled = self.keeper.ask(|| Settle(until.clone()), |is_settled| *is_settled);
        tokio::time::timeout(within, settled).await.ok().flatten().is_some()
    }

    /// Ends every actor at once, in the middle of whatever it does, and stores nothing: what a crash does.
    pub fn crash(self) {
        self.end();
    }

    /// Stops in reverse order: no new probes, those under way finished or cut after `within`, everything stored.
    pub async fn stop(self, within: Duration) -> StopReport {
        let began = tokio::time::Instant::now();
        // A thread that is stuck answers nothing; the deadline is kept all the same.
        let _ = tokio::time::timeout(within + SETTLE_MIN, self.supervisor.send(StopProbing { within })).await;
        let left = within.saturating_sub(began.elapsed()).max(SETTLE_MIN);
        self.settle_until(Until::Left, left).await;
        let keeper = tokio::time::timeout(SETTLE_MIN, self.report()).await.ok().flatten();
        // The last word to the other workers. Without it they take over when the lease is over.
        let _ = tokio::time::timeout(SETTLE_MIN, self.supervisor.send(Leave)).await;
        self.end();
        StopReport { keeper }
    }

    /// Injects a fault to an actor; whether it was there to take it.
    #[cfg(test)]
    pub(crate) async fn inject(&self, whom: Whom, fault: InjectedFault) -> bool {
        self.supervisor.send(Give { whom, fault }).await.unwrap_or(false)
    }

    /// The supervisor first: it starts nobody again, and takes its probers along.
    fn end(self) {
        self.kill.abort();
        self.kill_chain.kill_all();
        self.threads.stop_all();
    }
}
