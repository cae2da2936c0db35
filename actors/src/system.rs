//! The actor system as a whole, as the program sees it: the supervisor is started, and it starts all others.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use api_health_core::keep::FlushUntil;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::child::{self, Child};
use crate::handle::Handle;
use crate::ports::Clock;
use crate::round::Round;
use crate::state_keeper::{DropChannel, Flush, KeeperReport, Report, Retry, StateKeeper};
use crate::stats::Stats;
use crate::supervisor::{
    AskProgress, Asker, Fatal, Leave, LoadReport, MAILBOX_CAPACITY, Progress, Reload, StopProbing, Supervisor,
};
use crate::threads::Thread;

pub use crate::options::Options;
pub use crate::world::World;

/// After the probes, storing and telling get this long at least before the process ends.
const FLUSH_MIN: Duration = Duration::from_secs(5);

/// The running actors. They end with it.
pub struct Running {
    gauges: Gauges,
    pub(crate) supervisor: Child<Supervisor>,
    round: Arc<Round>,
    joined: watch::Receiver<Option<Result<(), String>>>,
    deaths: mpsc::UnboundedReceiver<Fatal>,
    /// What ended the run, once that is known.
    fatal: Option<(Fatal, Instant)>,
}

/// Starts the actors. Call it inside an actix system; nothing is probed before [`Gauges::reload`].
pub fn start(world: World, options: &Options) -> Running {
    let stats = Arc::new(Stats::default());
    let round = Arc::new(Round::default());
    let clock = Arc::clone(&world.clock);
    let (fatal, deaths) = mpsc::unbounded_channel();
    let died = fatal.clone();
    let supervisor = Supervisor::new(world, options.clone(), Arc::clone(&stats), Arc::clone(&round), fatal);
    let keeper = supervisor.chain.keeper_is.handle();
    let (probers, unreadable) = (supervisor.probers.count.subscribe(), supervisor.configs.unreadable.subscribe());
    let joined = supervisor.ownership.joined.subscribe();
    // Nobody listens any more once the process is ending.
    let ended = move |reason| drop(died.send(Fatal { child: "supervisor", reason }));
    let supervisor = child::start(&Thread::current(), 0, MAILBOX_CAPACITY, move || supervisor, ended);
    let gauges = Gauges { supervisor: supervisor.addr.clone(), keeper, stats, probers, unreadable, clock };
    Running { gauges, supervisor, round, joined, deaths, fatal: None }
}

/// What can be asked of the running actors by others than who holds [`Running`]. It outlives them, and has no answers then.
#[derive(Clone)]
pub struct Gauges {
    supervisor: Addr<Supervisor>,
    keeper: Handle<Addr<StateKeeper>>,
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

    /// Reads the configs, with all that was written before, and applies them; `None` if nothing is read any more, since the
    /// process has to end ([`Running::fatal`]).
    pub async fn reload(&self) -> Option<LoadReport> {
        self.supervisor.send(Reload).await.ok().flatten()
    }

    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

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
    within.saturating_add(FLUSH_MIN.saturating_mul(4))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// What the keeper had at hand at the end; `None` if it did not answer any more.
    pub keeper: Option<KeeperReport>,
}

impl Running {
    /// For whoever watches the actors while another one waits for them.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Waits until it is known what this process owns at first. Not longer than a session takes to begin: the caller bounds it.
    ///
    /// # Errors
    /// It wants all, and another worker lives: it does nothing.
    pub async fn joined(&self) -> Result<(), String> {
        let mut joined = self.joined.clone();
        // One that is dead says so by `fatal`.
        joined.wait_for(Option::is_some).await.map_or(Ok(()), |joined| joined.clone().unwrap_or(Ok(())))
    }

    /// The first probes of all APIs, and who died in a single round.
    pub fn round(&self) -> &Arc<Round> {
        &self.round
    }

    /// Waits until the program cannot go on: the supervisor is dead, or cannot keep somebody alive that nothing works
    /// without. What a live keeper holds is stored before this comes back, if the store takes it soon. Never comes back in
    /// a good life; may be dropped and asked again.
    pub async fn fatal(&mut self) -> Fatal {
        // The deadline stays with the notice: whoever asks again and again gets the answer in time as well.
        let (fatal, deadline) = match &self.fatal {
            Some(fatal) => fatal.clone(),
            None => match self.deaths.recv().await {
                Some(fatal) => self.fatal.insert((fatal, Instant::now() + FLUSH_MIN)).clone(),
                None => std::future::pending().await,
            },
        };
        self.flush_until(FlushUntil::Stopped, deadline.saturating_duration_since(Instant::now())).await;
        fatal
    }

    /// Waits until everything is stored and, with `until_told`, told; whether that came true within `within`. Goes on over
    /// a restart of the keeper.
    pub async fn flush(&self, until_told: bool, within: Duration) -> bool {
        self.flush_until(if until_told { FlushUntil::Delivered } else { FlushUntil::Stored }, within).await
    }

    async fn flush_until(&self, until: FlushUntil, within: Duration) -> bool {
        let flushed = self.keeper.ask(|| Flush(until.clone()), |is_flushed| *is_flushed);
        tokio::time::timeout(within, flushed).await.ok().flatten().is_some()
    }

    /// Ends every actor at once, in the middle of whatever it does, and stores nothing: what a crash does.
    pub fn crash(self) {}

    /// Stops in reverse order: no new probes, those under way finished or cut after `within`, everything stored.
    pub async fn stop(self, within: Duration) -> StopReport {
        let began = tokio::time::Instant::now();
        // A thread that is stuck answers nothing; the deadline is kept anyway.
        let _ = tokio::time::timeout(within + FLUSH_MIN, self.supervisor.addr.send(StopProbing { within })).await;
        let left = within.saturating_sub(began.elapsed()).max(FLUSH_MIN);
        self.flush_until(FlushUntil::Stopped, left).await;
        let keeper = tokio::time::timeout(FLUSH_MIN, self.report()).await.ok().flatten();
        // The last word to the other workers. Without it they take over when the lease is over.
        let _ = tokio::time::timeout(FLUSH_MIN, self.supervisor.addr.send(Leave)).await;
        StopReport { keeper }
    }
}

impl Deref for Running {
    type Target = Gauges;

    fn deref(&self) -> &Gauges {
        &self.gauges
    }
}
