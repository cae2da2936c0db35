//! The supervisor: parent of every other actor. It starts them in order, starts the dead again, replaces what hangs, and
//! stops them in reverse.
//!
//! Every child, of whatever kind, is started by [`Supervisor::start_child`], and its end comes back as one [`ChildExited`]. What
//! follows is by [`RestartPolicy`](api_health_core::restart::RestartPolicy) for all of them:
//!
//! | child | mailbox | its death also restarts | past the intensity |
//! |---|---|---|---|
//! | alerter | 256 | nobody: its attempts are made again | the process ends |
//! | keeper | 1,024 | the alerter, so that its attempts are cut | the process ends |
//! | outcome batcher, one for each thread of probers | 1,024 | nobody | the process ends |
//! | prober, one for each API | 4 | nobody | it is given up, loudly |
//!
//! In Erlang/OTP's words: all are permanent children under one_for_one, but that the alerter is the rest of the keeper
//! (rest_for_one). Each reaches the next in the [`chain`] by a handle that outlives deaths, so that nobody is wired anew. What was
//! sent to one that died is lost, and its sender hears so: the keeper offers the alert again, and a prober whose outcome was lost
//! ends, and asks again in its next life ([`probers`]). What hangs is found by [`watchdog`]. What cannot be mended ends the
//! process: [`Supervisor::escalate`].
//!
//! What runs follows what is configured and owned: [`Supervisor::reconcile`]. Both are the supervisor's own, and outlive a restart
//! of the chain. The supervisor itself is driven by the same loop as its children, and its death ends the process at once: nobody
//! else knows who runs, and the store has all that a new process needs.

mod chain;
mod configs;
mod fleet;
mod ownership;
mod probers;
mod progress;
mod reading;
mod shards;
mod source;
mod startup_spread;
mod supervised;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use api_health_core::ApiId;
use api_health_core::keep::Keeper;
use api_health_core::schedule::Moment;
use tokio::sync::mpsc;

use crate::board::Board;
use crate::child::{self, Child, ExitReason};
use crate::options::Options;
use crate::own_side::OwnSide;
use crate::prober::Stop;
use crate::round::Round;
use crate::state_keeper::Apply;
use crate::stats::Stats;
use crate::threads::Thread;
use crate::timebase::TimeBase;
use crate::world::World;
use chain::Chain;
use configs::Configs;
use ownership::Ownership;
use probers::Probers;
use watchdog::{LOOK_EVERY, Watchdog};

pub use crate::world::LeaseParts;
pub use configs::LoadReport;
pub use progress::{AskProgress, Asker, Progress, SILENT_AFTER};
pub use reading::Reload;
pub use shards::Leave;
pub use source::LOAD_TIMEOUT;

/// Messages in the supervisor's mailbox: signals from outside. Notices of deaths do not count against it.
pub const MAILBOX_CAPACITY: usize = 64;

/// The first thread of probers, after those of alerter and keeper.
const FIRST_OF_PROBERS: usize = 2;

/// The notice that the process has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    pub child: &'static str,
    pub reason: ExitReason,
}

/// A child of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChildId {
    Alerter,
    Keeper,
    /// That of the n-th thread of probers.
    Batcher(usize),
    Prober(ApiId),
}

impl ChildId {
    /// Its name in logs.
    const fn name(&self) -> &'static str {
        match self {
            Self::Alerter => "alerter",
            Self::Keeper => "state-keeper",
            Self::Batcher(_) => "outcome-batcher",
            Self::Prober(_) => "prober",
        }
    }
}

/// The notice of a child's death.
#[derive(Message)]
#[rtype(result = "()")]
struct ChildExited {
    who: ChildId,
    /// Which of its lives, so that a late notice is not taken for the death of the next one.
    life: u32,
    reason: ExitReason,
}

/// The parent of all other actors.
pub struct Supervisor {
    options: Options,
    time: TimeBase,
    stats: Arc<Stats>,
    own_side: Arc<OwnSide>,
    round: Arc<Round>,
    /// Of the alerter, of the keeper, and those of the probers from [`FIRST_OF_PROBERS`] on. One that is missing is started
    /// with the next child on it.
    threads: Vec<Option<Thread>>,
    pub(crate) configs: Configs,
    pub(crate) chain: Chain,
    pub(crate) probers: Probers,
    watchdog: Watchdog,
    pub(crate) ownership: Ownership,
    stopping: bool,
    fatal: mpsc::UnboundedSender<Fatal>,
    escalated: bool,
    /// The next life of any child: no number is used twice.
    next_life: u32,
}

impl Supervisor {
    /// A supervisor that probes nothing yet: send it [`Reload`]. It says through `fatal` when the process has to end.
    pub fn new(
        mut world: World,
        options: Options,
        stats: Arc<Stats>,
        round: Arc<Round>,
        board: Arc<Board>,
        fatal: mpsc::UnboundedSender<Fatal>,
    ) -> Self {
        let time = TimeBase::new(Arc::clone(&world.clock));
        let own_side = Arc::new(OwnSide::new(Arc::clone(&world.witnesses), time.clone()));
        Self {
            configs: Configs::new(std::mem::take(&mut world.sources)),
            ownership: Ownership::new(world.leases.take()),
            chain: Chain::new(world, &options, &time, &stats, &own_side, board),
            probers: Probers::default(),
            watchdog: Watchdog::default(),
            threads: std::iter::repeat_with(|| None).take(FIRST_OF_PROBERS + options.prober_threads.max(1)).collect(),
            stopping: false,
            fatal,
            escalated: false,
            next_life: 0,
            options,
            time,
            stats,
            own_side,
            round,
        }
    }

    fn monotonic(&self) -> Duration {
        self.time.moment().monotonic
    }

    /// Which thread a child is on.
    fn thread_of(&self, who: &ChildId) -> usize {
        match who {
            ChildId::Alerter => 0,
            ChildId::Keeper => 1,
            ChildId::Batcher(index) => FIRST_OF_PROBERS + index,
            ChildId::Prober(api_id) => FIRST_OF_PROBERS + self.chain.index_of(api_id),
        }
    }

    /// Starts the next life of any child.
    fn start_child<A, F>(&mut self, who: ChildId, mailbox_capacity: usize, ctx: &Context<Self>, factory: F) -> Child<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce() -> A + Send + 'static,
    {
        self.next_life = self.next_life.wrapping_add(1);
        let (life, supervisor) = (self.next_life, ctx.address().downgrade());
        let thread = self.thread_of(&who);
        let is_alone = self.options.prober_threads == 0;
        let start = || if is_alone { Thread::current() } else { Thread::start(&self.time) };
        let thread = self.threads[thread].get_or_insert_with(start);
        #[expect(
            clippy::disallowed_methods,
            reason = "a notice must never be refused; there is one for each life, which is its bound"
        )]
        let ended = move |reason| {
            if let Some(supervisor) = supervisor.upgrade() {
                supervisor.do_send(ChildExited { who, life, reason });
            }
        };
        child::start(thread, life, mailbox_capacity, factory, ended)
    }

    /// The present life of a child, if it lives.
    fn life_of(&self, who: &ChildId) -> Option<u32> {
        match who {
            ChildId::Alerter => self.chain.alerter.as_ref().map(|child| child.life),
            ChildId::Keeper => self.chain.keeper.as_ref().map(|child| child.life),
            ChildId::Batcher(index) => self.chain.batchers[*index].child.as_ref().map(|child| child.life),
            ChildId::Prober(api_id) => self.probers.child(api_id).map(|child| child.life),
        }
    }

    /// `who` cannot be kept alive, and nothing works without: the process has to end, and whoever started it starts it
    /// again. A keeper that lives is left alone, so that what it holds can still be stored.
    fn escalate(&mut self, who: &'static str, reason: ExitReason) {
        if std::mem::replace(&mut self.escalated, true) {
            return;
        }
        tracing::error!(actor = who, %reason, "nothing works without this actor, and it cannot be kept alive");
        self.probers.end_all();
        self.chain.escalated();
        self.configs.waiting.clear();
        self.ownership.join(Ok(())); // nobody learns any more what is owned
        // Nobody listens any more once the process is ending.
        let _ = self.fatal.send(Fatal { child: who, reason });
    }

    /// Sends without waiting for the answer. A mailbox that is full or closed belongs to somebody who is replaced.
    fn send<A, M>(&self, to: &Addr<A>, message: M, ctx: &mut Context<Self>)
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
        Context<A>: ToEnvelope<A, M>,
    {
        ctx.spawn(to.send(message).into_actor(self).map(|_, _, _| ()));
    }

    /// Has the keeper do it. What runs and what is owned is told again to its next life if it dies before that; what a person asked for is not.
    fn tell_keeper<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Keeper, Moment) -> T + Send + 'static,
        ctx: &mut Context<Self>,
    ) {
        if let Some(keeper) = &self.chain.keeper {
            self.send(&keeper.addr, Apply::new(what), ctx);
        }
    }

    /// Tells the keeper what was found out about the monitor itself.
    fn report(&self, what: impl FnOnce(&mut Keeper, Moment) + Send + 'static, ctx: &mut Context<Self>) {
        let and_acts_on_it = |core: &mut Keeper, now| {
            what(core, now);
            core.tick(now);
        };
        self.tell_keeper(and_acts_on_it, ctx);
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_leases(ctx);
        self.chain.members().for_each(|who| self.start_member(who, ctx));
        ctx.run_interval(LOOK_EVERY, |supervisor, ctx| {
            supervisor.look_at_fleet(ctx);
            supervisor.look_at_sources(ctx);
            supervisor.look_at_children(ctx);
        });
    }
}

impl Handler<ChildExited> for Supervisor {
    type Result = ();

    fn handle(&mut self, ChildExited { who, life, reason }: ChildExited, ctx: &mut Self::Context) {
        if self.escalated || self.life_of(&who) != Some(life) {
            return; // of an earlier life, or of an API that is no longer watched
        }
        match who {
            ChildId::Prober(api_id) if reason == ExitReason::ThreadGone => {
                self.replace_thread_of(ChildId::Batcher(self.chain.index_of(&api_id)), reason, ctx);
            }
            ChildId::Prober(api_id) => self.prober_ended(&api_id, &reason, ctx),
            who if reason == ExitReason::ThreadGone => self.replace_thread_of(who, reason, ctx),
            who => self.restart(who, reason, ctx),
        }
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
        self.stopping = true;
        for (_, running) in self.probers.running() {
            self.send(&running.child.addr, Stop, ctx);
        }
        ctx.run_later(within, |supervisor, _| {
            let probes = supervisor.probers.running().count();
            if probes > 0 {
                tracing::warn!(probes, "probes under way are cut at the deadline");
            }
            supervisor.probers.end_all();
        });
        let lives = Arc::clone(&self.probers.lives);
        Box::pin(async move { lives.finished().await })
    }
}
