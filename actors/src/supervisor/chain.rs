//! The chain alerter → keeper → couriers: rest_for_one, since each later one holds a recipient of the earlier.
//!
//! When one dies, those after it are stopped in reverse, and all are started again in order, after a delay. Nothing that a
//! live keeper holds is lost: it hands all to its next life. A keeper that died itself is started from what the store kept.
//!
//! | child | mailbox | is started again | and with it |
//! |---|---|---|---|
//! | alerter | 256 | by [`RestartPolicy::CHAIN`] | keeper, couriers, probers |
//! | keeper | 1,024 | by the same, from the same deaths | couriers, probers |
//! | courier, one for each thread of probers | 1,024 | by [`RestartPolicy::CHAIN`], for each thread | the probers of its thread |
//! | prober, one for each API | 4 | by [`RestartPolicy::PROBER`], for each prober ([`super::probers`]) | nobody |
//!
//! Past the intensity of a prober it is given up; past that of any other the process ends ([`Supervisor::escalate`]).

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::ArbiterHandle;
use api_health_core::restart::{Deaths, RestartPolicy, Verdict};
use futures_util::FutureExt;
use futures_util::future::AbortHandle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::Supervisor;
use crate::alerter::{self, Alerter};
use crate::child::{self, Child, ChildExit, ExitReason, panic_text};
use crate::courier::{self, Courier};
use crate::follow::Presence;
use crate::ports::{Notifier, Probe, StateStore};
use crate::prober::Shared;
use crate::retry::{RetryPolicy, Waits};
use crate::state_keeper::{self, Carried, KeeperOptions, Retire, StateKeeper, Watch};
use crate::threads::{Thread, Threads};

/// A live keeper hands over within this; one that does not is stuck, and its next life starts from the store.
const RETIRE_MAX: Duration = Duration::from_secs(5);

/// After a keeper's death the states are read for this long, again and again; then the process ends.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// One reading of all states takes no longer.
const LOAD_TRY_MAX: Duration = Duration::from_secs(20);

/// A member of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// The alerter.
    Alerter,
    /// The state-keeper.
    Keeper,
    /// The courier of so many a thread of probers.
    Courier(usize),
}

impl Member {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerter => "alerter",
            Self::Keeper => "state-keeper",
            Self::Courier(_) => "courier",
        }
    }
}

/// What the chain is made of, life after life.
pub struct Parts {
    /// Asks APIs.
    pub probe: Arc<dyn Probe>,
    /// Keeps states.
    pub store: Arc<dyn StateStore>,
    /// No other process can use the store.
    pub alone: bool,
    /// Whom changes are told to.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Between the tries of a delivery.
    pub delivery: RetryPolicy,
    /// What a keeper is made with.
    pub keeper: KeeperOptions,
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
    life: u32,
}

/// A thread of probers, and the courier on it.
pub(super) struct Home {
    pub(super) thread: Option<Thread>,
    pub(super) courier: Option<Linked<Courier>>,
    /// What its probers share, while the courier lives.
    pub(super) shared: Option<Arc<Shared>>,
    deaths: Deaths,
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Up,
    Restarting,
    Escalated,
}

/// The chain.
pub(super) struct Chain {
    parts: Parts,
    pub(super) alerter: Option<Linked<Alerter>>,
    pub(super) keeper: Option<Linked<StateKeeper>>,
    /// The threads of the two.
    pub(super) alerter_thread: Option<Thread>,
    pub(super) keeper_thread: Option<Thread>,
    pub(super) homes: Vec<Home>,
    /// Of alerter and keeper together.
    deaths: Deaths,
    phase: Phase,
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

    fn add(&self, handle: &AbortHandle) {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_aborted());
        handles.push(handle.clone());
    }
}

impl Chain {
    pub(super) fn new(parts: Parts) -> Self {
        let home = || Home { thread: None, courier: None, shared: None, deaths: Deaths::default() };
        Self {
            homes: std::iter::repeat_with(home).take(parts.arbiters.max(1)).collect(),
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
        self.phase = Phase::Escalated;
        if self.keeper.is_none() {
            self.presence.send_replace(Presence::Gone);
        }
    }

    fn new_thread(&self, supervisor: &Supervisor) -> Thread {
        if self.parts.arbiters == 0 { Threads::current() } else { self.parts.threads.start(&supervisor.time) }
    }
}

impl Supervisor {
    /// Starts every member of the chain that is not there, in order, then the probers.
    pub(super) fn start_chain(&mut self, carried: Carried, ctx: &mut Context<Self>) {
        if self.escalated {
            return;
        }
        let to_alerter = self.alerter(ctx).recipient();
        let keeper_thread = self.keeper_thread();
        let (store, time, stats) = (Arc::clone(&self.chain.parts.store), self.time.clone(), Arc::clone(&self.stats));
        let options = self.chain.parts.keeper.clone();
        let keeper = self.link(Member::Keeper, &keeper_thread.handle, state_keeper::MAILBOX_CAPACITY, ctx, move || {
            StateKeeper::new(store, to_alerter, time, stats, carried, options)
        });
        let address = keeper.child.addr.clone();
        self.chain.keeper = Some(keeper);
        self.chain.phase = Phase::Up;
        self.chain.presence.send_replace(Presence::Up(address));
        // A keeper that was read from the store does not know what is watched, nor what it was told last.
        let started = self.configs.running.keys().cloned().collect::<Vec<_>>();
        if !started.is_empty() {
            let configured = if self.options.closes_unconfigured { self.configs.configured() } else { None };
            self.tell_keeper(Watch { started, configured, ..Watch::default() }, ctx);
        }
        self.tell_of_those_given_up(ctx);
        for index in 0..self.chain.homes.len() {
            self.start_home(index, ctx);
        }
        self.start_paused(None, ctx);
        self.apply_configs(ctx);
    }

    fn alerter(&mut self, ctx: &mut Context<Self>) -> actix::Addr<Alerter> {
        if let Some(alerter) = &self.chain.alerter {
            return alerter.child.addr.clone();
        }
        let thread = self.chain.alerter_thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        let (notifiers, delivery) = (self.chain.parts.notifiers.clone(), self.chain.parts.delivery);
        let alerter = self.link(Member::Alerter, &thread.handle, alerter::MAILBOX_CAPACITY, ctx, move || {
            Alerter::new(notifiers, delivery)
        });
        let address = alerter.child.addr.clone();
        self.chain.alerter_thread = Some(thread);
        self.chain.alerter = Some(alerter);
        address
    }

    fn keeper_thread(&mut self) -> Thread {
        let thread = self.chain.keeper_thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        self.chain.keeper_thread = Some(thread.clone());
        thread
    }

    /// Starts a courier on its thread; its probers are for the caller to start.
    fn start_home(&mut self, index: usize, ctx: &mut Context<Self>) {
        let Some(keeper) = self.chain.keeper.as_ref().map(|keeper| keeper.child.addr.clone()) else { return };
        if self.chain.homes.get(index).is_none_or(|home| home.courier.is_some()) {
            return;
        }
        let thread = self.chain.homes[index].thread.take().unwrap_or_else(|| self.chain.new_thread(self));
        let courier = self.link(Member::Courier(index), &thread.handle, courier::MAILBOX_CAPACITY, ctx, move || {
            Courier::new(keeper.recipient())
        });
        let shared = Shared {
            probe: Arc::clone(&self.chain.parts.probe),
            courier: courier.child.addr.clone().recipient(),
            time: self.time.clone(),
            stats: Arc::clone(&self.stats),
            spread: self.chain.parts.spread,
        };
        let home = &mut self.chain.homes[index];
        home.shared = Some(Arc::new(shared));
        home.courier = Some(courier);
        home.thread = Some(thread);
    }

    fn link<A, F>(
        &mut self,
        member: Member,
        on: &ArbiterHandle,
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

    /// Stops all probers and couriers, in that order.
    pub(super) fn stop_homes(&mut self, ctx: &mut Context<Self>) {
        for index in 0..self.chain.homes.len() {
            self.stop_home(index, ctx);
        }
    }

    /// Stops the probers of one thread, then its courier. That is not charged to the probers.
    pub(super) fn stop_home(&mut self, index: usize, _: &mut Context<Self>) {
        self.pause_probers(index);
        let Some(home) = self.chain.homes.get_mut(index) else { return };
        home.shared = None;
        if let Some(courier) = home.courier.take() {
            courier.child.kill.abort();
        }
        self.finish_stop_if_idle();
    }

    /// Alerter or keeper is dead: the rest of the chain is stopped in reverse, and all are started again in order.
    fn restart_chain(&mut self, member: Member, reason: ExitReason, ctx: &mut Context<Self>) {
        let now = self.uptime();
        let verdict = self.chain.deaths.count(now, &RestartPolicy::CHAIN, 0);
        let deaths = self.chain.deaths.recent();
        let Verdict::Restart { after } = verdict else {
            return self.escalate(member.name(), reason, ctx);
        };
        if self.chain.phase == Phase::Restarting {
            tracing::error!(actor = member.name(), %reason, deaths, "an actor died while it was being started again");
            return; // whatever is missing is started with the rest
        }
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor = member.name(), %reason, deaths, delay_ms, "an actor died; it is started again, and with it those that hang on it");
        self.chain.phase = Phase::Restarting;
        self.chain.presence.send_replace(Presence::Restarting);
        self.stop_homes(ctx);
        let keeper = self.chain.keeper.take();
        let thread = self.keeper_thread();
        let (store, alone) = (Arc::clone(&self.chain.parts.store), self.chain.parts.alone);
        let next = async move {
            let carried = match keeper {
                Some(keeper) => retire(&keeper.child).await,
                None => None,
            };
            tokio::time::sleep(after).await;
            match carried {
                Some(carried) => Ok(carried),
                None => load_on(&thread.handle, store, alone).await,
            }
        };
        ctx.spawn(next.into_actor(self).map(|carried, supervisor, ctx| match carried {
            Ok(carried) => supervisor.start_chain(carried, ctx),
            Err(why) => supervisor.escalate(Member::Keeper.name(), ExitReason::Unstartable(why), ctx),
        }));
    }

    /// The courier of a thread is dead, or the thread itself: it starts again, and with it its probers.
    pub(super) fn restart_home(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        let name = Member::Courier(index).name();
        self.stop_home(index, ctx);
        let now = self.uptime();
        let Some(home) = self.chain.homes.get_mut(index) else { return };
        if matches!(reason, ExitReason::ArbiterGone | ExitReason::Hung) {
            home.thread = None;
        }
        let verdict = home.deaths.count(now, &RestartPolicy::CHAIN, 0);
        let deaths = home.deaths.recent();
        let Verdict::Restart { after } = verdict else {
            return self.escalate(name, reason, ctx);
        };
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor = name, index, %reason, deaths, delay_ms, "an actor died; it is started again, and with it the probers of its thread");
        ctx.run_later(after, move |supervisor, ctx| {
            // Unless the whole chain was started again meanwhile, or is about to be.
            if supervisor.chain.is_up() && supervisor.chain.homes[index].courier.is_none() {
                supervisor.start_home(index, ctx);
                supervisor.start_paused(Some(index), ctx);
            }
        });
    }
}

impl Handler<ChildExit<Member>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit<Member>, ctx: &mut Self::Context) {
        let ChildExit { child: member, life, reason } = exit;
        let is_thread_gone = reason == ExitReason::ArbiterGone;
        let chain = &mut self.chain;
        match member {
            Member::Alerter if chain.alerter.as_ref().is_some_and(|alerter| alerter.life == life) => {
                chain.alerter = None;
                if is_thread_gone {
                    chain.alerter_thread = None;
                }
            }
            Member::Keeper if chain.keeper.as_ref().is_some_and(|keeper| keeper.life == life) => {
                chain.keeper = None;
                if is_thread_gone {
                    chain.keeper_thread = None;
                }
            }
            Member::Courier(index)
                if chain.homes.get(index).and_then(|home| home.courier.as_ref()).is_some_and(|c| c.life == life) =>
            {
                return self.restart_home(index, reason, ctx);
            }
            _ => return, // the notice of an earlier life
        }
        if !self.escalated {
            self.restart_chain(member, reason, ctx);
        }
    }
}

/// All that a live keeper holds; `None` if it does not answer.
async fn retire(keeper: &Child<StateKeeper>) -> Option<Carried> {
    let carried = tokio::time::timeout(RETIRE_MAX, keeper.addr.send(Retire)).await.ok().and_then(Result::ok);
    if carried.is_none() {
        tracing::error!("the state-keeper handed nothing over; its next life goes on from what is stored");
    }
    keeper.kill.abort();
    carried
}

/// Reads the states as at the start of the program, on the thread of the keeper, where the store's connections live.
async fn load_on(thread: &ArbiterHandle, store: Arc<dyn StateStore>, alone: bool) -> Result<Carried, String> {
    let (done, loaded) = oneshot::channel();
    thread.spawn(async move {
        let _ = done.send(load(&*store, alone).await); // nobody waits any more once the process is ending
    });
    loaded.await.unwrap_or_else(|_| Err("the thread of the state-keeper is gone".into()))
}

async fn load(store: &dyn StateStore, alone: bool) -> Result<Carried, String> {
    let (began, mut waits) = (Instant::now(), Waits::new(RetryPolicy::STORE));
    loop {
        let reading = AssertUnwindSafe(async { store.load_all().await }).catch_unwind();
        let why = match tokio::time::timeout(LOAD_TRY_MAX, reading).await {
            Ok(Ok(Ok(loaded))) => {
                for record in loaded.unreadable {
                    tracing::error!(api_id = record.api_id, why = record.why, "a stored state cannot be read");
                }
                return Ok(Carried::loaded(loaded.states, alone));
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => format!("it panicked: {}", panic_text(&*panic)),
            Err(_) => format!("no answer within {} s", LOAD_TRY_MAX.as_secs()),
        };
        if began.elapsed() >= LOAD_MAX {
            return Err(format!("the states could not be read for {} s: {why}", LOAD_MAX.as_secs()));
        }
        tracing::error!(why, "the states cannot be read; tried again");
        tokio::time::sleep(waits.next_wait()).await;
    }
}
