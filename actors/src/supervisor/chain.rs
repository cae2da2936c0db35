//! rest_for_one over alerter → keeper → outcome batchers: when one dies, those after it are stopped in reverse, and all are
//! started again in order. With the keeper the alerter goes as well: its attempts are cut, since the next keeper makes them
//! again, and a late one must not arrive after what follows it.
//!
//! A keeper that lives hands over all that it knows, as one value; after one that died, its next life reads the store.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, Recipient, WrapFuture};
use api_health_core::ApiId;
use api_health_core::keep::{HistorySetup, Keeper, KeeperConfig};
use api_health_core::own::shards::SHARDS;
use api_health_core::restart::{Deaths, RestartPolicy};
use api_health_core::routes::{Route, Routes};

use super::{ChildId, FIRST_OF_PROBERS, Supervisor};
use crate::alerter::{self, Alerter};
use crate::child::{Child, ExitReason};
use crate::handle::AddrPublisher;
use crate::options::Options;
use crate::outcome_batcher::{self, OutcomeBatcher};
use crate::own_side::OwnSide;
use crate::ports::{HistoryStore, Notifier, StateStore};
use crate::prober::ProberContext;
use crate::state_keeper::{self, KeeperDeps, ProbeCompleted, StateKeeper, TakeSnapshot};
use crate::stats::Stats;
use crate::timebase::TimeBase;
use crate::world::World;

/// A live keeper hands over within this; one that does not is stuck, and its next life starts from the store.
const RETIRE_MAX: Duration = Duration::from_secs(5);

/// The outcome batcher of a thread of probers.
pub(crate) struct Batcher {
    pub(crate) child: Option<Child<OutcomeBatcher>>,
    whereabouts: AddrPublisher<Recipient<ProbeCompleted>>,
    /// What the probers of its thread share.
    pub(super) shared: Arc<ProberContext>,
    deaths: Deaths,
}

impl Batcher {
    /// Whether outcomes can be handed over.
    pub(super) fn is_up(&self) -> bool {
        self.child.is_some()
    }

    fn set(&mut self, child: Option<Child<OutcomeBatcher>>) {
        self.whereabouts.set(child.as_ref().map(|child| child.addr.clone().recipient()));
        self.child = child;
    }
}

pub(crate) struct Chain {
    store: Arc<dyn StateStore>,
    history: Option<Arc<dyn HistoryStore>>,
    notifiers: Vec<Arc<dyn Notifier>>,
    setup: KeeperConfig,
    pub(crate) alerter: Option<Child<Alerter>>,
    pub(crate) keeper: Option<Child<StateKeeper>>,
    /// The keeper's address, for other components; none while the keeper is loading from the store.
    pub(crate) keeper_is: AddrPublisher<Addr<StateKeeper>>,
    /// One for each thread of probers.
    pub(crate) batchers: Vec<Batcher>,
    /// Of alerter and keeper together.
    deaths: Deaths,
}

impl Chain {
    pub(super) fn new(
        world: World,
        options: &Options,
        time: &TimeBase,
        stats: &Arc<Stats>,
        own_side: &Arc<OwnSide>,
    ) -> Self {
        let batcher = || {
            let whereabouts = AddrPublisher::default();
            let shared = ProberContext {
                probe: Arc::clone(&world.probe),
                batcher: whereabouts.handle(),
                time: time.clone(),
                stats: Arc::clone(stats),
                own_side: Arc::clone(own_side),
                spread: options.spread,
            };
            Batcher { child: None, whereabouts, shared: Arc::new(shared), deaths: Deaths::default() }
        };
        let digests =
            world.notifiers.iter().filter(|notifier| options.digest_above > 0 && notifier.digests().is_some());
        let route = |channel: &str| Route {
            channel: channel.to_owned(),
            tags: options.tags_of_channels.get(channel).cloned().unwrap_or_default(),
        };
        let setup = KeeperConfig {
            digest_above: digests.map(|notifier| (notifier.channel().to_owned(), options.digest_above)).collect(),
            checkpoint: options.checkpoint,
            routes: Routes::new(world.notifiers.iter().map(|notifier| route(notifier.channel())).collect()),
            limits: world.store.limits(),
            instance: world.instance,
            store_name: world.store_name,
            version: env!("CARGO_PKG_VERSION"),
            resumes_backoff: !options.once,
            heartbeat: options.heartbeat,
            once: options.once,
            spread: options.spread,
            fail_open: options.fail_open,
            shards: SHARDS,
            history: world
                .history
                .as_ref()
                .map(|history| HistorySetup { flush: options.history_flush, batch_max: history.batch_max() }),
        };
        Self {
            batchers: std::iter::repeat_with(batcher).take(options.arbiters.max(1)).collect(),
            store: world.store,
            history: world.history,
            notifiers: world.notifiers,
            setup,
            alerter: None,
            keeper: None,
            keeper_is: AddrPublisher::default(),
            deaths: Deaths::default(),
        }
    }

    /// Whether the keeper knows all that it has to. Else it is about to be started, or reads the store.
    pub(super) fn is_up(&self) -> bool {
        self.keeper_is.is_there()
    }

    /// Which thread of probers an API is on.
    pub(super) fn index_of(&self, api_id: &ApiId) -> usize {
        usize::try_from(api_id.stable_hash() % self.batchers.len() as u64).unwrap_or(0)
    }

    pub(super) fn batcher_of(&self, api_id: &ApiId) -> &Batcher {
        &self.batchers[self.index_of(api_id)]
    }

    /// Nothing is started any more.
    pub(super) fn escalated(&mut self) {
        if !self.is_up() {
            self.keeper_is = AddrPublisher::default(); // what it knows is what the store has
        }
    }
}

impl Supervisor {
    /// Starts alerter and keeper. A keeper that goes on from nothing reads the records of what is owned first.
    pub(super) fn start_chain(&mut self, snapshot: Option<Keeper>, ctx: &mut Context<Self>) {
        if self.escalated {
            return;
        }
        let (notifiers, delivery) = (self.chain.notifiers.clone(), self.options.delivery);
        let alerter = move || Alerter::new(notifiers, delivery);
        let alerter = self.start_child(ChildId::Alerter, alerter::MAILBOX_CAPACITY, ctx, alerter);
        let deps = KeeperDeps {
            store: Arc::clone(&self.chain.store),
            history: self.chain.history.clone(),
            alerter: alerter.addr.clone().recipient(),
            parent: ctx.address().recipient(),
            time: self.time.clone(),
            stats: Arc::clone(&self.stats),
            own_side: Arc::clone(&self.own_side),
            lease: self.ownership.view.clone(),
            board: Arc::clone(&self.board),
        };
        self.chain.alerter = Some(alerter);
        let (is_new, now) = (snapshot.is_none(), self.time.moment());
        let core = snapshot.map_or_else(|| Keeper::new(self.chain.setup.clone(), now), Keeper::reset_for_restart);
        let keeper = move || StateKeeper::new(core, deps);
        self.chain.keeper = Some(self.start_child(ChildId::Keeper, state_keeper::MAILBOX_CAPACITY, ctx, keeper));
        self.ownership.is_being_read = false;
        if is_new {
            self.ownership.forget_loaded();
        }
        if is_new && self.ownership.is_unread() { self.load(ctx) } else { self.on_chain_up(ctx) }
    }

    /// The keeper knows all that it has to: probing goes on.
    pub(super) fn on_chain_up(&mut self, ctx: &mut Context<Self>) {
        let Some(keeper) = self.chain.keeper.as_ref().filter(|_| !self.escalated) else { return };
        self.chain.keeper_is.set(Some(keeper.addr.clone()));
        (self.configs.is_known, self.configs.closed_unconfigured) = (false, false);
        self.reconcile(ctx);
        self.report_given_up(ctx);
        self.own_side.tell_again();
        self.watchdog.capacity.tell_again();
        for index in 0..self.chain.batchers.len() {
            self.start_batcher(index, ctx);
        }
        self.start_waiting(None, ctx);
        self.load(ctx); // what was gained meanwhile
        self.release(ctx);
    }

    fn start_batcher(&mut self, index: usize, ctx: &Context<Self>) {
        let Some(keeper) = self.chain.keeper.as_ref().filter(|_| !self.chain.batchers[index].is_up()) else { return };
        let keeper = keeper.addr.clone().recipient();
        let batcher = move || OutcomeBatcher::new(keeper);
        let child = self.start_child(ChildId::Batcher(index), outcome_batcher::MAILBOX_CAPACITY, ctx, batcher);
        self.chain.batchers[index].set(Some(child));
    }

    /// Alerter or keeper is dead: the rest of the chain is stopped in reverse, and all are started again in order.
    pub(super) fn restart_chain(&mut self, who: &ChildId, reason: ExitReason, ctx: &mut Context<Self>) {
        // A keeper that was still reading the store knows nothing that is not there.
        let was_up = self.chain.is_up();
        match who {
            ChildId::Alerter => self.chain.alerter = None,
            _ => {
                self.chain.keeper = None;
                self.chain.keeper_is.set(None);
            }
        }
        let Some(after) = self.restarts_after(who, reason) else { return };
        self.chain.keeper_is.set(None);
        self.chain.batchers.iter_mut().for_each(|batcher| batcher.set(None));
        self.chain.alerter = None;
        let keeper = self.chain.keeper.take().filter(|_| was_up);
        let next = async move {
            let snapshot = match keeper {
                Some(keeper) => retire(&keeper.addr).await,
                None => None,
            };
            tokio::time::sleep(after).await;
            snapshot
        };
        ctx.spawn(next.into_actor(self).map(|snapshot, supervisor, ctx| supervisor.start_chain(snapshot, ctx)));
    }

    /// The outcome batcher of a thread is dead. What it had in its hands is asked for again by the probers that it was of.
    pub(super) fn restart_batcher(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        self.chain.batchers[index].set(None);
        let Some(after) = self.restarts_after(&ChildId::Batcher(index), reason) else { return };
        ctx.run_later(after, move |supervisor, ctx| {
            // Unless the whole chain is about to be started again.
            if supervisor.chain.is_up() && !supervisor.escalated {
                supervisor.start_batcher(index, ctx);
                supervisor.start_waiting(Some(index), ctx);
            }
        });
    }

    /// A thread of probers is gone or stuck: all that lived there moves to another one. That is not charged to the probers.
    pub(super) fn replace_thread(&mut self, index: usize, reason: ExitReason, ctx: &mut Context<Self>) {
        self.threads[FIRST_OF_PROBERS + index] = None;
        self.pause_probers(index);
        self.restart_batcher(index, reason, ctx);
    }

    /// Counts the death of a member of the chain. How soon it is started again; `None`: the process has to end.
    fn restarts_after(&mut self, who: &ChildId, reason: ExitReason) -> Option<Duration> {
        let now = self.uptime();
        let deaths = match who {
            ChildId::Batcher(index) => &mut self.chain.batchers[*index].deaths,
            _ => &mut self.chain.deaths,
        };
        let after = deaths.count(now, &RestartPolicy::CHAIN, 0);
        let (actor, deaths) = (who.name(), deaths.recent());
        let Some(after) = after else {
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
    let snapshot = tokio::time::timeout(RETIRE_MAX, keeper.send(TakeSnapshot)).await.ok().and_then(Result::ok);
    if snapshot.is_none() {
        tracing::error!("the state-keeper handed nothing over; its next life goes on from what is stored");
    }
    snapshot
}
