//! rest_for_one over alerter → keeper → outcome batchers: when one dies, those after it are stopped in reverse, and all are
//! started again in order. With the keeper the alerter goes as well: its attempts are cut, since the next keeper makes them
//! again, and a late one must not arrive after what follows it.
//!
//! A keeper that lives hands over all that it knows, as one value; after one that died, its next life reads the store.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Recipient, WrapFuture};
use api_health_core::keep::{Keeper, Setup, Watch};
use api_health_core::own::shards::SHARDS;
use api_health_core::restart::{Deaths, RestartPolicy, Verdict};

use super::{Life, Supervisor, Who};
use crate::alerter::{self, Alerter};
use crate::child::ExitReason;
use crate::handle::Whereabouts;
use crate::options::Options;
use crate::outcome_batcher::{self, OutcomeBatcher};
use crate::ports::{Notifier, StateStore};
use crate::prober::Shared;
use crate::state_keeper::{self, GoBy, ProbeCompleted, Retire, StateKeeper, Tools};
use crate::stats::Stats;
use crate::threads::{Thread, Threads};
use crate::timebase::TimeBase;
use crate::world::World;

/// A live keeper hands over within this; one that does not is stuck, and its next life starts from the store.
const RETIRE_MAX: Duration = Duration::from_secs(5);

/// A member of the chain, and its thread.
pub(crate) struct Link<A: Actor> {
    pub(super) thread: Option<Thread>,
    pub(super) life: Option<Life<A>>,
}

impl<A: Actor> Default for Link<A> {
    fn default() -> Self {
        Self { thread: None, life: None }
    }
}

impl<A: Actor> Link<A> {
    /// Where its present life is.
    pub(crate) fn addr(&self) -> Option<&Addr<A>> {
        self.life.as_ref().map(Life::addr)
    }

    /// Notes the end of a life; whether it was the present one.
    fn ended(&mut self, life: u32, reason: &ExitReason) -> bool {
        let is_present = self.life.as_ref().is_some_and(|present| present.number == life);
        if is_present {
            self.life = None;
            self.thread.take_if(|_| *reason == ExitReason::ArbiterGone);
        }
        is_present
    }
}

/// A thread of probers, and the outcome batcher on it.
pub(crate) struct ProberThread {
    pub(crate) batcher: Link<OutcomeBatcher>,
    batcher_is: Whereabouts<Recipient<ProbeCompleted>>,
    /// What its probers share.
    pub(super) shared: Arc<Shared>,
    deaths: Deaths,
}

impl ProberThread {
    /// Whether outcomes can be handed over.
    pub(super) fn is_up(&self) -> bool {
        self.batcher_is.is_there()
    }

    fn stop_batcher(&mut self) {
        self.batcher_is.set(None);
        self.batcher.life = None;
    }
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Up,
    /// Whoever is missing is about to be started.
    StartIsDue,
    /// All are there, and the keeper reads the store.
    Reads,
}

/// The chain.
pub(crate) struct Chain {
    store: Arc<dyn StateStore>,
    notifiers: Vec<Arc<dyn Notifier>>,
    setup: Setup,
    pub(crate) alerter: Link<Alerter>,
    pub(crate) keeper: Link<StateKeeper>,
    /// Where the keeper is, for those outside. It is not, while it reads the store.
    pub(super) keeper_is: Whereabouts<Addr<StateKeeper>>,
    pub(crate) prober_threads: Vec<ProberThread>,
    /// Of alerter and keeper together.
    deaths: Deaths,
    phase: Phase,
}

impl Chain {
    pub(super) fn new(world: World, options: &Options, time: &TimeBase, stats: &Arc<Stats>) -> Self {
        let prober_thread = || {
            let batcher_is = Whereabouts::default();
            let shared = Shared {
                probe: Arc::clone(&world.probe),
                batcher: batcher_is.handle(),
                time: time.clone(),
                stats: Arc::clone(stats),
                spread: options.spread,
            };
            ProberThread { batcher: Link::default(), batcher_is, shared: Arc::new(shared), deaths: Deaths::default() }
        };
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
        Self {
            prober_threads: std::iter::repeat_with(prober_thread).take(options.arbiters.max(1)).collect(),
            store: world.store,
            notifiers: world.notifiers,
            setup,
            alerter: Link::default(),
            keeper: Link::default(),
            keeper_is: Whereabouts::default(),
            deaths: Deaths::default(),
            phase: Phase::StartIsDue,
        }
    }

    /// Whether outcomes can be handed over.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The present life of the keeper, also while it reads the store.
    pub(super) fn keeper(&self) -> Option<&Addr<StateKeeper>> {
        self.keeper.addr()
    }

    /// Where the probers of this thread are started.
    pub(super) fn thread_of_probers(
        &mut self,
        index: usize,
        threads: &Threads,
        options: &Options,
        time: &TimeBase,
    ) -> Thread {
        thread_for(&mut self.prober_threads[index].batcher.thread, threads, options, time)
    }

    /// Nothing is started any more.
    pub(super) fn escalated(&mut self) {
        if !self.is_up() {
            self.keeper_is = Whereabouts::default(); // what it knows is what the store has
        }
    }
}

/// The thread of a child, which is started if there is none.
fn thread_for(thread: &mut Option<Thread>, threads: &Threads, options: &Options, time: &TimeBase) -> Thread {
    let start = || if options.arbiters == 0 { Thread::CURRENT } else { threads.start(time) };
    thread.get_or_insert_with(start).clone()
}

impl Supervisor {
    /// Starts every member of the chain that is not there, in order. A keeper that goes on from nothing reads the records of
    /// what is owned first.
    pub(super) fn start_chain(&mut self, snapshot: Option<Keeper>, ctx: &mut Context<Self>) {
        if self.escalated {
            return;
        }
        let to_alerter = self.start_alerter(ctx).recipient();
        let thread = thread_for(&mut self.chain.keeper.thread, &self.threads, &self.options, &self.time);
        let tools = Tools {
            store: Arc::clone(&self.chain.store),
            alerter: to_alerter,
            parent: ctx.address().recipient(),
            time: self.time.clone(),
            stats: Arc::clone(&self.stats),
            lease: self.ownership.view.clone(),
        };
        let is_new = snapshot.is_none();
        let now = self.time.moment();
        let core = snapshot.map_or_else(|| Keeper::new(self.chain.setup.clone(), now), Keeper::begin_anew);
        let keeper = move || StateKeeper::new(core, tools);
        self.chain.keeper.life =
            Some(self.start_child(Who::Keeper, &thread, state_keeper::MAILBOX_CAPACITY, ctx, keeper));
        self.chain.phase = Phase::Reads;
        if is_new {
            self.ownership.forget_loaded();
        }
        if self.ownership.is_unread() && is_new {
            self.load(ctx);
        } else {
            self.chain_is_up(ctx);
        }
    }

    fn start_alerter(&mut self, ctx: &Context<Self>) -> Addr<Alerter> {
        if let Some(alerter) = &self.chain.alerter.life {
            return alerter.addr().clone();
        }
        let thread = thread_for(&mut self.chain.alerter.thread, &self.threads, &self.options, &self.time);
        let (notifiers, delivery) = (self.chain.notifiers.clone(), self.options.delivery);
        let alerter = move || Alerter::new(notifiers, delivery);
        let life = self.start_child(Who::Alerter, &thread, alerter::MAILBOX_CAPACITY, ctx, alerter);
        self.chain.alerter.life.insert(life).addr().clone()
    }

    /// The keeper knows all that it has to: probing goes on.
    pub(super) fn chain_is_up(&mut self, ctx: &mut Context<Self>) {
        let Some(keeper) = self.chain.keeper().filter(|_| !self.escalated) else { return };
        self.chain.keeper_is.set(Some(keeper.clone()));
        self.chain.phase = Phase::Up;
        // A keeper that was read from the store does not know what is watched, nor what it was told last.
        let started = self.configs.running.values().cloned().collect::<Vec<_>>();
        if !started.is_empty() {
            let configured = if self.options.closes_unconfigured { self.configs.configured() } else { None };
            self.tell_keeper(GoBy(Watch { started, configured, ..Watch::default() }), ctx);
        }
        self.tell_of_those_given_up(ctx);
        for index in 0..self.chain.prober_threads.len() {
            self.start_batcher(index, ctx);
        }
        self.start_waiting(None, ctx);
        self.load(ctx); // what was gained meanwhile
        self.release(ctx);
        self.apply_configs(ctx);
    }

    fn start_batcher(&mut self, index: usize, ctx: &Context<Self>) {
        let prober_thread = &mut self.chain.prober_threads[index];
        let Some(keeper) = self.chain.keeper.addr().filter(|_| prober_thread.batcher.life.is_none()) else { return };
        let keeper = keeper.clone().recipient();
        let thread = thread_for(&mut prober_thread.batcher.thread, &self.threads, &self.options, &self.time);
        let batcher = move || OutcomeBatcher::new(keeper);
        let life = self.start_child(Who::Batcher(index), &thread, outcome_batcher::MAILBOX_CAPACITY, ctx, batcher);
        let prober_thread = &mut self.chain.prober_threads[index];
        prober_thread.batcher_is.set(Some(life.addr().clone().recipient()));
        prober_thread.batcher.life = Some(life);
    }

    /// Alerter or keeper is dead: the rest of the chain is stopped in reverse, and all are started again in order.
    pub(super) fn chain_ended(&mut self, who: &Who, life: u32, reason: ExitReason, ctx: &mut Context<Self>) {
        let is_present = match who {
            Who::Alerter => self.chain.alerter.ended(life, &reason),
            _ => self.chain.keeper.ended(life, &reason),
        };
        if !is_present || self.escalated {
            return;
        }
        let Some(after) = self.restarts_after(who, reason) else { return };
        let before = std::mem::replace(&mut self.chain.phase, Phase::StartIsDue);
        if before == Phase::StartIsDue {
            return; // whoever is missing is started with the rest
        }
        self.chain.keeper_is.set(None);
        self.chain.prober_threads.iter_mut().for_each(ProberThread::stop_batcher);
        // One that was still reading the store knows nothing that is not there.
        let keeper = self.chain.keeper.life.take().filter(|_| before == Phase::Up);
        if keeper.is_none() {
            self.chain.alerter.life = None;
        }
        let next = async move {
            let snapshot = match keeper {
                Some(keeper) => retire(keeper.addr()).await,
                None => None,
            };
            tokio::time::sleep(after).await;
            snapshot
        };
        ctx.spawn(next.into_actor(self).map(|snapshot, supervisor, ctx| supervisor.start_chain(snapshot, ctx)));
    }

    /// What the batcher of a thread had in its hands is lost, and asked for again by the probers that it was of.
    pub(super) fn batcher_ended(&mut self, index: usize, life: u32, reason: ExitReason, ctx: &mut Context<Self>) {
        let is_thread_gone = reason == ExitReason::ArbiterGone;
        let batcher = &mut self.chain.prober_threads[index].batcher;
        if !batcher.ended(life, &reason) {
            return;
        }
        if is_thread_gone {
            return self.replace_thread(index, reason, ctx);
        }
        self.restart_batcher(index, reason, ctx);
    }

    /// A thread of probers is gone or stuck: all that lived there moves to another one. That is not charged to the probers.
    pub(super) fn replace_thread(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        if let Some(thread) = self.chain.prober_threads[index].batcher.thread.take() {
            thread.stop(); // should it ever move again
        }
        self.pause_probers(index);
        self.restart_batcher(index, reason, ctx);
    }

    fn restart_batcher(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        self.chain.prober_threads[index].stop_batcher();
        if self.escalated {
            return;
        }
        let Some(after) = self.restarts_after(&Who::Batcher(index), reason) else { return };
        ctx.run_later(after, move |supervisor, ctx| {
            // Unless the whole chain is about to be started again.
            if supervisor.chain.is_up() && !supervisor.escalated {
                supervisor.start_batcher(index, ctx);
                supervisor.start_waiting(Some(index), ctx);
            }
        });
    }

    /// Counts the death of a member of the chain. How soon it is started again; `None`: the process has to end.
    fn restarts_after(&mut self, who: &Who, reason: ExitReason) -> Option<Duration> {
        let now = self.uptime();
        let deaths = match who {
            Who::Batcher(index) => &mut self.chain.prober_threads[*index].deaths,
            _ => &mut self.chain.deaths,
        };
        let verdict = deaths.count(now, &RestartPolicy::CHAIN, 0);
        let (actor, deaths) = (who.name(), deaths.recent());
        let Verdict::Restart { after } = verdict else {
            self.escalate(actor, reason);
            return None;
        };
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor, %reason, deaths, delay_ms, "an actor died; it is started again, and with it those after it");
        Some(after)
    }
}

/// All that a live keeper knows; `None` if it does not answer.
async fn retire(keeper: &Addr<StateKeeper>) -> Option<Keeper> {
    let snapshot = tokio::time::timeout(RETIRE_MAX, keeper.send(Retire)).await.ok().and_then(Result::ok);
    if snapshot.is_none() {
        tracing::error!("the state-keeper handed nothing over; its next life goes on from what is stored");
    }
    snapshot
}
