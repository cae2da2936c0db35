//! The actor system as the program sees it: this starts the supervisor, which starts all other actors.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use api_health_core::ApiConfig;
use api_health_core::keep::{FlushUntil, Keeper};
use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::schedule::Moment;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::board::Board;
use crate::child::{self, Child};
use crate::handle::Handle;
use crate::ports::Clock;
use crate::round::Round;
use crate::state_keeper::{Apply, Flush, KeeperReport, StateKeeper};
use crate::stats::Stats;
use crate::supervisor::{
    AskProgress, Asker, Fatal, Leave, LoadReport, MAILBOX_CAPACITY, Progress, Reload, StopProbing, Supervisor,
};
use crate::threads::Thread;

pub use crate::options::Options;
pub use crate::world::World;

/// After the last probe, storing and alerting get at least this long before the process ends.
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
    let board = Arc::new(Board::default());
    let clock = Arc::clone(&world.clock);
    let (fatal, deaths) = mpsc::unbounded_channel();
    let died = fatal.clone();
    let supervisor =
        Supervisor::new(world, options.clone(), Arc::clone(&stats), Arc::clone(&round), Arc::clone(&board), fatal);
    let keeper = supervisor.chain.keeper_is.handle();
    let (probers, unreadable) = (supervisor.probers.count.subscribe(), supervisor.configs.unreadable.subscribe());
    let not_here = supervisor.configs.not_here.subscribe();
    let joined = supervisor.ownership.joined.subscribe();
    // Nobody listens any more once the process is ending.
    let ended = move |reason| drop(died.send(Fatal { child: "supervisor", reason }));
    let supervisor = child::start(&Thread::current(), 0, MAILBOX_CAPACITY, move || supervisor, ended);
    let gauges =
        Gauges { supervisor: supervisor.addr.clone(), keeper, stats, probers, unreadable, not_here, clock, board };
    Running { gauges, supervisor, round, joined, deaths, fatal: None }
}

/// Questions to the running actors, also for whoever does not hold [`Running`]. When the actors are gone there are no answers.
#[derive(Clone)]
pub struct Gauges {
    supervisor: Addr<Supervisor>,
    keeper: Handle<Addr<StateKeeper>>,
    stats: Arc<Stats>,
    probers: watch::Receiver<usize>,
    unreadable: watch::Receiver<Vec<String>>,
    not_here: watch::Receiver<Arc<Vec<Arc<ApiConfig>>>>,
    clock: Arc<dyn Clock>,
    board: Arc<Board>,
}

impl Gauges {
    /// Whether probing makes progress, as the supervisor knows; `None`: it is dead. One that is stuck does not answer: the caller
    /// needs a timeout. Each asker asks in one place alone, since the answer covers the time since its last question.
    pub async fn progress(&self, asker: Asker) -> Option<Progress> {
        self.supervisor.send(AskProgress(asker)).await.ok()
    }

    /// Does this with the keeper's value, and again with that of its next life if it dies before it answers.
    async fn with_keeper<T: Send + 'static>(
        &self,
        what: impl Fn(&mut Keeper, Moment) -> T + Clone + Send + 'static,
    ) -> Option<T> {
        self.keeper.ask(|| Apply::new(what.clone()), |_| true).await
    }

    /// The counts of the keeper; `None`: there is none, and will be none. While it is being restarted this waits: the caller needs a
    /// timeout.
    pub async fn report(&self) -> Option<KeeperReport> {
        self.with_keeper(|core, _| core.report()).await
    }

    /// Tries these alerts now, or all. Returns how many of them are owed; `None` as in [`Self::report`].
    pub async fn retry(&self, alert_ids: Option<Vec<String>>) -> Option<usize> {
        self.with_keeper(move |core, now| core.retry(alert_ids.as_deref(), now)).await
    }

    /// Gives a channel up: nothing is owed to it from now on. Returns how many alerts that were; `None` as in [`Self::report`].
    pub async fn drop_channel(&self, channel: &str) -> Option<usize> {
        let (channel, until) = (channel.to_owned(), self.clock.now());
        self.with_keeper(move |core, now| core.drop_channel(&channel, until, now)).await
    }

    /// Opens a maintenance window for these APIs, or closes it. Returns how many there are; `None` as in [`Self::report`].
    pub async fn set_maintenance(&self, of: Selection, window: Option<Maintenance>) -> Option<usize> {
        self.with_keeper(move |core, now| core.set_maintenance(&of, window.as_ref(), now)).await
    }

    /// Reads the configs and applies them; `None`: nothing is read, since the process has to end ([`Running::fatal`]).
    pub async fn reload(&self) -> Option<LoadReport> {
        self.supervisor.send(Reload).await.ok().flatten()
    }

    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// What is shown of all this.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub fn probers(&self) -> usize {
        *self.probers.borrow()
    }

    /// The sources of configs that could not be read the last time, and why. Their last good configs run.
    pub fn unreadable(&self) -> Vec<String> {
        self.unreadable.borrow().clone()
    }

    /// What is configured and not watched here, by id: other workers own it, or it is switched off.
    pub fn not_here(&self) -> Arc<Vec<Arc<ApiConfig>>> {
        Arc::clone(&self.not_here.borrow())
    }
}

/// The longest that [`Running::stop`] takes, whatever is stuck.
pub const fn longest_stop(within: Duration) -> Duration {
    // The supervisor's answer, storing and alerting, the keeper's last report, and leaving.
    within.saturating_add(FLUSH_MIN.saturating_mul(4))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// The counts of the keeper at the end; `None`: it did not answer.
    pub keeper: Option<KeeperReport>,
}

impl Running {
    /// A copy to ask with, while somebody else waits on this.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Waits until this process has joined the fleet and knows what it owns. The caller needs a timeout.
    ///
    /// # Errors
    /// It has to own everything, and another worker lives.
    pub async fn joined(&self) -> Result<(), String> {
        let mut joined = self.joined.clone();
        // One that is dead says so by `fatal`.
        joined.wait_for(Option::is_some).await.map_or(Ok(()), |joined| joined.clone().unwrap_or(Ok(())))
    }

    /// The first probes of all APIs, and the probers that died in `run --once`.
    pub fn round(&self) -> &Arc<Round> {
        &self.round
    }

    /// Waits until the program cannot go on: the supervisor is dead, or has given up on an actor that is needed. Before this
    /// returns, a live keeper stores what it holds, if the store takes it soon. It normally never returns; it may be dropped and
    /// called again.
    pub async fn fatal(&mut self) -> Fatal {
        // The deadline stays with the notice, so that it holds for repeated calls too.
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

    /// Waits until everything is stored and, with `until_delivered`, delivered. Returns whether that happened within `within`. Goes on
    /// over a restart of the keeper.
    pub async fn flush(&self, until_delivered: bool, within: Duration) -> bool {
        self.flush_until(if until_delivered { FlushUntil::Delivered } else { FlushUntil::Stored }, within).await
    }

    async fn flush_until(&self, until: FlushUntil, within: Duration) -> bool {
        let flushed = self.keeper.ask(|| Flush(until.clone()), |is_flushed| *is_flushed);
        tokio::time::timeout(within, flushed).await.ok().flatten().is_some()
    }

    /// Ends every actor at once, whatever it does, and stores nothing: like a crash.
    pub fn crash(self) {}

    /// Stops in reverse order: no new probes, running ones finished or cancelled after `within`, everything stored.
    pub async fn stop(self, within: Duration) -> StopReport {
        let began = tokio::time::Instant::now();
        // A thread that is stuck answers nothing; the deadline is kept anyway.
        let _ = tokio::time::timeout(within + FLUSH_MIN, self.supervisor.addr.send(StopProbing { within })).await;
        let left = within.saturating_sub(began.elapsed()).max(FLUSH_MIN);
        self.flush_until(FlushUntil::Stopped, left).await;
        let keeper = tokio::time::timeout(FLUSH_MIN, self.report()).await.ok().flatten();
        // Leave the fleet. Otherwise the others take over when the lease has expired.
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
