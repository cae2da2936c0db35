//! The supervisor: parent of every other actor. It starts them in order, starts the dead again, replaces what hangs, and
//! stops them in reverse.
//!
//! In Erlang/OTP's words: alerter → keeper → outcome batchers and probers are a rest_for_one chain, since each later one holds a
//! recipient of the earlier ([`chain`], [`rest_for_one`]); probers are permanent children under one_for_one ([`probers`],
//! [`one_for_one`]). Who lives and no
//! longer moves is found by [`watchdog`]. What it cannot mend ends the process: [`Supervisor::escalate`].
//!
//! What is configured, what runs, and the last good of each source are the supervisor's own, and outlive a restart of the
//! chain. The supervisor itself is driven by the same loop as its children, and its death ends the process at once: nobody
//! else knows who runs, and the store has all that a new process needs.

mod chain;
mod configs;
#[cfg(test)]
pub(crate) mod injected_fault;
mod one_for_one;
mod ownership;
mod probers;
mod progress;
mod rest_for_one;
mod shards;
mod snapshot;
mod source;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use api_health_core::restart::RestartPolicy;
use tokio::sync::{mpsc, oneshot, watch};

use crate::child::{ChildExit, ExitReason};
use crate::keeper_handle::Presence;
use crate::ports::ConfigSource;
use crate::prober::Stop;
use crate::round::Round;
use crate::stats::Stats;
use crate::timebase::TimeBase;
use chain::Chain;
use configs::{Configs, REVISION_EVERY};
use ownership::Ownership;
use probers::Probers;
use watchdog::{SCAN_EVERY, Watchdog};

pub use chain::{KillSwitch, Member, Parts};
pub use configs::LoadReport;
pub use ownership::LeaseParts;
pub use progress::{AskProgress, Asker, Progress, SILENT_AFTER};
pub use shards::{Joined, Leave};
pub use source::LOAD_TIMEOUT;

/// Messages in the supervisor's mailbox: signals from outside. Exit notices do not count against it.
pub const MAILBOX_CAPACITY: usize = 64;

/// How the supervisor runs its children.
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
    /// A thread of probers that has not moved for this long is stuck.
    pub stuck_after: Duration,
}

/// The notice that the process has to end: who died, and of what.
pub type Fatal = ChildExit<&'static str>;

/// The actor.
pub struct Supervisor {
    options: SupervisorOptions,
    time: TimeBase,
    stats: Arc<Stats>,
    round: Arc<Round>,
    configs: Configs,
    chain: Chain,
    probers: Probers,
    watchdog: Watchdog,
    ownership: Ownership,
    /// Those who wait for the last prober's end.
    stopping: Option<Vec<oneshot::Sender<()>>>,
    fatal: mpsc::UnboundedSender<Fatal>,
    escalated: bool,
    /// The next life of any child: never used twice, so that a late notice is never taken for another life's.
    next_life: u32,
}

impl Supervisor {
    /// A supervisor that probes nothing yet: send it [`Reload`]. It says through `fatal` when the process has to end.
    #[expect(clippy::too_many_arguments, reason = "called from one place, with one of each")]
    pub fn new(
        sources: Vec<Arc<dyn ConfigSource>>,
        parts: Parts,
        leases: Option<LeaseParts>,
        time: TimeBase,
        stats: Arc<Stats>,
        round: Arc<Round>,
        options: SupervisorOptions,
        fatal: mpsc::UnboundedSender<Fatal>,
    ) -> Self {
        Self {
            configs: Configs::new(sources),
            ownership: Ownership::new(parts.keeper.shards, leases),
            chain: Chain::new(parts),
            probers: Probers::default(),
            watchdog: Watchdog::new(time.moment().uptime),
            stopping: None,
            fatal,
            escalated: false,
            next_life: 0,
            options,
            time,
            stats,
            round,
        }
    }

    /// How many probers run, as it changes.
    pub fn count(&self) -> watch::Receiver<usize> {
        self.probers.count.subscribe()
    }

    /// The sources that could not be read the last time, and why, as it changes.
    pub fn unreadable(&self) -> watch::Receiver<Vec<String>> {
        self.configs.unreadable.subscribe()
    }

    /// Where the keeper is, as it changes.
    pub fn keeper(&self) -> watch::Receiver<Presence> {
        self.chain.presence.subscribe()
    }

    /// Ends every actor of the chain at once.
    pub fn kill_switch(&self) -> KillSwitch {
        self.chain.kill_switch.clone()
    }

    fn uptime(&self) -> Duration {
        self.time.moment().uptime
    }

    fn new_life(&mut self) -> u32 {
        self.next_life = self.next_life.wrapping_add(1);
        self.next_life
    }

    /// `who` cannot be kept alive, and nothing works without: the process has to end, and whoever started it starts it
    /// again. A keeper that lives is left alone, so that what it holds can still be stored.
    fn escalate(&mut self, who: &'static str, reason: ExitReason) {
        if std::mem::replace(&mut self.escalated, true) {
            return;
        }
        tracing::error!(actor = who, %reason, "nothing works without this actor, and it cannot be kept alive");
        self.stop_all_probers();
        self.chain.escalated();
        self.configs.forget_waiters();
        self.ownership.joining.clear(); // nor does anybody learn any more what is owned
        // Nobody listens any more once the process is ending.
        let _ = self.fatal.send(Fatal { child: who, life: self.next_life, reason });
    }

    fn finish_stop_if_idle(&mut self) {
        if self.probers.alive() == 0
            && let Some(waiters) = &mut self.stopping
        {
            for waiter in waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

/// The children end with their supervisor: nobody else could stop them.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.probers.kill_all();
        self.chain.kill_switch.kill_all();
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_leases(ctx);
        self.start_chain(None, ctx);
        ctx.run_interval(REVISION_EVERY, Self::look_at_fleet);
        ctx.run_interval(REVISION_EVERY, Self::look_around);
        ctx.run_interval(SCAN_EVERY, Self::scan);
    }
}

/// Read the configs now, with all that was written before. The reply comes when they are applied; `None` if nothing is read any
/// more, since the process stops or has to end.
#[derive(Message)]
#[rtype(result = "Option<LoadReport>")]
pub struct Reload;

impl Handler<Reload> for Supervisor {
    type Result = ResponseFuture<Option<LoadReport>>;

    fn handle(&mut self, _: Reload, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        self.configs.wait(waiter);
        self.reload(ctx);
        Box::pin(async move { done.await.ok() })
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
        for prober in self.probers.addresses() {
            ctx.spawn(prober.send(Stop).into_actor(self).map(|_, _, _| ()));
        }
        ctx.run_later(within, |supervisor, _| {
            let probes = supervisor.probers.alive();
            if probes > 0 {
                tracing::warn!(probes, "probes under way are cut at the deadline");
            }
            supervisor.probers.kill_all();
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
        self.probers.died_in_round
    }
}
