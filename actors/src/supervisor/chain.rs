//! The chain alerter → keeper → outcome batchers, each of which holds a recipient of the one before: its members, and how they are
//! started in order.
//!
//! | child | mailbox | is started again | and with it |
//! |---|---|---|---|
//! | alerter | 256 | by `RestartPolicy::CHAIN` | keeper, outcome batchers, probers |
//! | keeper | 1,024 | by the same, from the same deaths | the alerter, so that attempts are cut; outcome batchers, probers |
//! | outcome batcher, one for each thread of probers | 1,024 | by `RestartPolicy::CHAIN`, for each thread | the probers of its thread |
//! | prober, one for each API | 4 | by `RestartPolicy::PROBER`, for each prober ([`super::probers`]) | nobody |
//!
//! Past the intensity of a prober it is given up; past that of any other the process ends ([`Supervisor::escalate`]).

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use api_health_core::keep::{Keeper, Setup, Watch};
use api_health_core::restart::Deaths;
use futures_util::future::AbortHandle;
use tokio::sync::watch;

use super::Supervisor;
use crate::alerter::{self, Alerter};
use crate::child::{self, Child};
use crate::keeper_handle::Presence;
use crate::outcome_batcher::{self, OutcomeBatcher};
use crate::ports::{Notifier, Probe, StateStore};
use crate::prober::Shared;
use crate::retry::RetryPolicy;
use crate::state_keeper::{self, GoBy, StateKeeper, Tools};
use crate::threads::{Place, Thread, Threads};

/// A member of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// The alerter.
    Alerter,
    /// The state-keeper.
    Keeper,
    /// The outcome batcher of so many a thread of probers.
    OutcomeBatcher(usize),
}

impl Member {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerter => "alerter",
            Self::Keeper => "state-keeper",
            Self::OutcomeBatcher(_) => "outcome-batcher",
        }
    }
}

/// What the chain is made of, life after life.
pub struct Parts {
    /// Asks APIs.
    pub probe: Arc<dyn Probe>,
    /// Keeps states.
    pub store: Arc<dyn StateStore>,
    /// Whom changes are told to.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Between the tries of a delivery.
    pub delivery: RetryPolicy,
    /// What a keeper is made with.
    pub keeper: Setup,
    /// Each API at its own slot inside the tick.
    pub spread: bool,
    /// Threads that probers are spread over; 0 puts everything on the caller's thread.
    pub arbiters: usize,
    /// Where threads are started.
    pub threads: Threads,
}

/// A running member, and which of its lives it is.
pub(super) struct Linked<A: Actor> {
    pub(super) child: Child<A>,
    pub(super) life: u32,
}

/// A thread of probers, and the outcome batcher on it.
pub(super) struct ProberThread {
    pub(super) thread: Option<Thread>,
    pub(super) batcher: Option<Linked<OutcomeBatcher>>,
    /// What its probers share, while the outcome batcher lives.
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) deaths: Deaths,
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Up,
    Restarting,
    Escalated,
}

/// The chain.
pub(super) struct Chain {
    pub(super) parts: Parts,
    pub(super) alerter: Option<Linked<Alerter>>,
    pub(super) keeper: Option<Linked<StateKeeper>>,
    /// The threads of the two.
    pub(super) alerter_thread: Option<Thread>,
    pub(super) keeper_thread: Option<Thread>,
    pub(super) prober_threads: Vec<ProberThread>,
    /// Of alerter and keeper together.
    pub(super) deaths: Deaths,
    pub(super) phase: Phase,
    pub(super) presence: watch::Sender<Presence>,
    pub(super) kill_switch: KillSwitch,
}

/// Ends the members of the chain at once, from outside the supervisor.
#[derive(Clone, Default)]
pub struct KillSwitch(Arc<Mutex<Vec<AbortHandle>>>);

impl KillSwitch {
    /// In reverse order of their start.
    pub fn kill_all(&self) {
        for handle in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).rev() {
            handle.abort();
        }
    }

    pub(super) fn add(&self, handle: &AbortHandle) {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_aborted());
        handles.push(handle.clone());
    }
}

impl Chain {
    pub(super) fn new(parts: Parts) -> Self {
        let prober_thread = || ProberThread { thread: None, batcher: None, shared: None, deaths: Deaths::default() };
        Self {
            prober_threads: std::iter::repeat_with(prober_thread).take(parts.arbiters.max(1)).collect(),
            parts,
            alerter: None,
            keeper: None,
            alerter_thread: None,
            keeper_thread: None,
            deaths: Deaths::default(),
            phase: Phase::Restarting,
            presence: watch::Sender::default(),
            kill_switch: KillSwitch::default(),
        }
    }

    /// Whether outcomes can be handed over.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Each API at its own slot inside the tick.
    pub(super) fn spreads(&self) -> bool {
        self.parts.spread
    }

    /// Nothing is started any more.
    pub(super) fn escalated(&mut self) {
        if std::mem::replace(&mut self.phase, Phase::Escalated) != Phase::Up {
            self.presence.send_replace(Presence::Gone); // what it knows is what the store has
        }
    }

    fn new_thread(&self, supervisor: &Supervisor) -> Thread {
        if self.parts.arbiters == 0 { Threads::current() } else { self.parts.threads.start(&supervisor.time) }
    }
}

impl Supervisor {
    /// Starts every member of the chain that is not there, in order, then the probers. A keeper that goes on from nothing reads
    /// the records of what is owned first.
    pub(super) fn start_chain(&mut self, core: Option<Keeper>, ctx: &mut Context<Self>) {
        if self.escalated {
            return;
        }
        let to_alerter = self.alerter(ctx).recipient();
        let keeper_thread = self.keeper_thread();
        let is_new = core.is_none();
        let now = self.time.moment();
        let core = core.map_or_else(|| Keeper::new(self.chain.parts.keeper.clone(), now), Keeper::begin_anew);
        let tools = Tools {
            store: Arc::clone(&self.chain.parts.store),
            alerter: to_alerter,
            parent: ctx.address().recipient(),
            time: self.time.clone(),
            stats: Arc::clone(&self.stats),
            lease: self.ownership.view.clone(),
        };
        let keeper = self.link(Member::Keeper, &keeper_thread.place, state_keeper::MAILBOX_CAPACITY, ctx, move || {
            StateKeeper::new(core, tools)
        });
        self.chain.keeper = Some(keeper);
        if is_new {
            self.ownership.forget_loaded();
        }
        if !self.ownership.is_unread() || !is_new {
            self.chain_is_up(ctx);
        } else {
            self.load(ctx);
        }
    }

    /// The keeper knows all that it has to: probing goes on.
    pub(super) fn chain_is_up(&mut self, ctx: &mut Context<Self>) {
        let Some(keeper) = &self.chain.keeper else { return };
        self.chain.presence.send_replace(Presence::Up(keeper.child.addr.clone()));
        self.chain.phase = Phase::Up;
        // A keeper that was read from the store does not know what is watched, nor what it was told last.
        let started = self.configs.running.values().cloned().collect::<Vec<_>>();
        if !started.is_empty() {
            let configured = if self.options.closes_unconfigured { self.configs.configured() } else { None };
            self.tell_keeper(GoBy(Watch { started, configured, ..Watch::default() }), ctx);
        }
        self.tell_of_those_given_up(ctx);
        for index in 0..self.chain.prober_threads.len() {
            self.start_prober_thread(index, ctx);
        }
        self.start_paused(None, ctx);
        self.load(ctx); // what was gained meanwhile
        self.release(ctx);
        self.apply_configs(ctx);
    }

    fn alerter(&mut self, ctx: &mut Context<Self>) -> actix::Addr<Alerter> {
        if let Some(alerter) = &self.chain.alerter {
            return alerter.child.addr.clone();
        }
        let thread = self.chain.alerter_thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        let (notifiers, delivery) = (self.chain.parts.notifiers.clone(), self.chain.parts.delivery);
        let alerter = self.link(Member::Alerter, &thread.place, alerter::MAILBOX_CAPACITY, ctx, move || {
            Alerter::new(notifiers, delivery)
        });
        let address = alerter.child.addr.clone();
        self.chain.alerter_thread = Some(thread);
        self.chain.alerter = Some(alerter);
        address
    }

    pub(super) fn keeper_thread(&mut self) -> Thread {
        let thread = self.chain.keeper_thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        self.chain.keeper_thread = Some(thread.clone());
        thread
    }

    /// Starts an outcome batcher on its thread; its probers are for the caller to start.
    pub(super) fn start_prober_thread(&mut self, index: usize, ctx: &mut Context<Self>) {
        let Some(keeper) = self.chain.keeper.as_ref().map(|keeper| keeper.child.addr.clone()) else { return };
        if self.chain.prober_threads.get(index).is_none_or(|prober_thread| prober_thread.batcher.is_some()) {
            return;
        }
        let thread = self.chain.prober_threads[index].thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        let batcher = self.link(
            Member::OutcomeBatcher(index),
            &thread.place,
            outcome_batcher::MAILBOX_CAPACITY,
            ctx,
            move || OutcomeBatcher::new(keeper.recipient()),
        );
        let shared = Shared {
            probe: Arc::clone(&self.chain.parts.probe),
            batcher: batcher.child.addr.clone().recipient(),
            time: self.time.clone(),
            stats: Arc::clone(&self.stats),
            spread: self.chain.parts.spread,
        };
        let prober_thread = &mut self.chain.prober_threads[index];
        prober_thread.shared = Some(Arc::new(shared));
        prober_thread.batcher = Some(batcher);
        prober_thread.thread = Some(thread);
    }

    fn link<A, F>(
        &mut self,
        member: Member,
        on: &Place,
        mailbox_capacity: usize,
        ctx: &Context<Self>,
        factory: F,
    ) -> Linked<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce() -> A + Send + 'static,
    {
        let life = self.new_life();
        let child = child::start(on, mailbox_capacity, ctx.address().recipient(), member, life, factory);
        self.chain.kill_switch.add(&child.kill);
        Linked { child, life }
    }

    pub(super) fn tell_keeper<M>(&self, message: M, ctx: &mut Context<Self>)
    where
        StateKeeper: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        if let Some(keeper) = &self.chain.keeper {
            // A keeper that dies before it looks is told again by its next life's start.
            ctx.spawn(keeper.child.addr.send(message).into_actor(self).map(|_, _, _| ()));
        }
    }
}
