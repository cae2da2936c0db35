//! The chain that every outcome goes along: outcome batchers → keeper → alerter. Each of them is found by a handle that follows
//! its lives ([`crate::handle`]), so that a death costs that one a restart and nobody a new address.
//!
//! One death takes another along: with the keeper the alerter is replaced (rest_for_one). The next keeper reads what the store
//! has, and takes outcomes when it has told what is configured; an alerter has nothing that the keeper does not know.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, Recipient};
use api_health_core::ApiId;
use api_health_core::keep::{HistorySetup, Keeper, KeeperConfig};
use api_health_core::own::shards::SHARDS;
use api_health_core::restart::{Deaths, RestartPolicy};
use api_health_core::routes::{Route, Routes};

use super::{ChildId, Supervisor};
use crate::alerter::{self, Alerter, DeliverAlerts};
use crate::board::Board;
use crate::child::{Child, ExitReason};
use crate::handle::AddrPublisher;
use crate::lease_view::LeaseView;
use crate::options::Options;
use crate::outcome_batcher::{self, OutcomeBatcher};
use crate::own_side::OwnSide;
use crate::ports::Notifier;
use crate::prober::ProberContext;
use crate::state_keeper::{self, KeeperDeps, OutcomeBatch, StateKeeper, SubmitOutcome};
use crate::stats::Stats;
use crate::timebase::TimeBase;
use crate::world::World;

/// The outcome batcher of a thread of probers.
pub(crate) struct Batcher {
    pub(crate) child: Option<Child<OutcomeBatcher>>,
    whereabouts: AddrPublisher<Recipient<SubmitOutcome>>,
    /// What the probers of its thread share.
    pub(super) shared: Arc<ProberContext>,
}

pub(crate) struct Chain {
    notifiers: Vec<Arc<dyn Notifier>>,
    setup: KeeperConfig,
    /// What each life of the keeper is given.
    pub(super) deps: KeeperDeps,
    pub(crate) alerter: Option<Child<Alerter>>,
    /// Where the keeper hands alerts over.
    alerts_to: AddrPublisher<Recipient<DeliverAlerts>>,
    pub(crate) keeper: Option<Child<StateKeeper>>,
    /// The keeper's address, for other components; none while the keeper is loading from the store.
    pub(crate) keeper_is: AddrPublisher<Addr<StateKeeper>>,
    /// Where batchers hand outcomes over; nowhere before the keeper knows of whom they are.
    outcomes_to: AddrPublisher<Recipient<OutcomeBatch>>,
    /// One for each thread of probers.
    pub(crate) batchers: Vec<Batcher>,
    deaths: HashMap<ChildId, Deaths>,
}

impl Chain {
    pub(super) fn new(
        world: World,
        options: &Options,
        time: &TimeBase,
        stats: &Arc<Stats>,
        own_side: &Arc<OwnSide>,
        board: Arc<Board>,
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
            Batcher { child: None, whereabouts, shared: Arc::new(shared) }
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
        let alerts_to = AddrPublisher::default();
        let batchers = std::iter::repeat_with(batcher).take(options.prober_threads.max(1)).collect();
        let deps = KeeperDeps {
            store: world.store,
            history: world.history,
            alerter: alerts_to.handle(),
            time: time.clone(),
            stats: Arc::clone(stats),
            own_side: Arc::clone(own_side),
            lease: LeaseView::always_valid(),
            board,
        };
        Self {
            batchers,
            notifiers: world.notifiers,
            setup,
            deps,
            alerter: None,
            alerts_to,
            keeper: None,
            keeper_is: AddrPublisher::default(),
            outcomes_to: AddrPublisher::default(),
            deaths: HashMap::new(),
        }
    }

    /// All that are in it, in the order in which they are started.
    pub(super) fn members(&self) -> impl Iterator<Item = ChildId> + use<> {
        [ChildId::Alerter, ChildId::Keeper].into_iter().chain((0..self.batchers.len()).map(ChildId::Batcher))
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

    /// Whether its outcomes can be handed over.
    pub(super) fn takes_outcomes_of(&self, api_id: &ApiId) -> bool {
        self.outcomes_to.is_there() && self.batcher_of(api_id).child.is_some()
    }

    /// The present life of one of them is over. Where it was, nothing is taken any more.
    fn ended(&mut self, who: &ChildId) {
        match who {
            ChildId::Alerter => self.alerter = None,
            ChildId::Batcher(index) => self.batchers[*index].child = None,
            ChildId::Keeper => {
                self.keeper_is.set(None);
                self.outcomes_to.set(None);
                self.keeper = None;
            }
            ChildId::Prober(_) => {}
        }
    }

    /// Nothing is started any more.
    pub(super) fn escalated(&mut self) {
        if !self.is_up() {
            self.keeper_is = AddrPublisher::default(); // what it knows is what the store has
        }
    }
}

impl Supervisor {
    /// Starts one of the chain, unless it lives.
    pub(super) fn start_member(&mut self, who: ChildId, ctx: &mut Context<Self>) {
        if self.escalated || self.life_of(&who).is_some() {
            return;
        }
        match who {
            ChildId::Alerter => {
                let notifiers = self.chain.notifiers.clone();
                let alerter = move || Alerter::new(notifiers);
                let alerter = self.start_child(who, alerter::MAILBOX_CAPACITY, ctx, alerter);
                self.chain.alerts_to.set(Some(alerter.addr.clone().recipient()));
                self.chain.alerter = Some(alerter);
            }
            ChildId::Keeper => self.start_keeper(ctx),
            ChildId::Batcher(index) => {
                let keeper = self.chain.outcomes_to.handle();
                let batcher = move || OutcomeBatcher::new(keeper);
                let child = self.start_child(who, outcome_batcher::MAILBOX_CAPACITY, ctx, batcher);
                let batcher = &mut self.chain.batchers[index];
                batcher.whereabouts.set(Some(child.addr.clone().recipient()));
                batcher.child = Some(child);
                self.start_waiting(Some(index), ctx);
            }
            ChildId::Prober(_) => {}
        }
    }

    /// It reads the records of what is owned before it takes outcomes.
    fn start_keeper(&mut self, ctx: &mut Context<Self>) {
        let core = Keeper::new(self.chain.setup.clone(), self.time.moment());
        let (deps, supervisor) = (self.chain.deps.clone(), ctx.address().recipient());
        let keeper = move || StateKeeper::new(core, deps, supervisor);
        self.chain.keeper = Some(self.start_child(ChildId::Keeper, state_keeper::MAILBOX_CAPACITY, ctx, keeper));
        self.ownership.forget_loaded();
        if self.ownership.is_unread() { self.load(ctx) } else { self.on_chain_up(ctx) }
    }

    /// The keeper knows all that it has to: probing goes on.
    pub(super) fn on_chain_up(&mut self, ctx: &mut Context<Self>) {
        let Some(keeper) = self.chain.keeper.as_ref().filter(|_| !self.escalated) else { return };
        let keeper = keeper.addr.clone();
        self.chain.keeper_is.set(Some(keeper.clone()));
        (self.configs.is_known, self.configs.closed_unconfigured) = (false, false);
        self.reconcile(ctx);
        self.report_given_up(ctx);
        self.own_side.tell_again();
        self.watchdog.capacity.tell_again();
        self.chain.outcomes_to.set(Some(keeper.recipient())); // behind the configs
        self.start_waiting(None, ctx);
        self.load(ctx); // what was gained meanwhile
        self.release(ctx);
    }

    /// One of the chain is dead, and is started again. What it had in its hands is offered or asked for again by those who gave it.
    pub(super) fn restart(&mut self, who: ChildId, reason: ExitReason, ctx: &mut Context<Self>) {
        self.chain.ended(&who);
        let now = self.monotonic();
        let deaths = self.chain.deaths.entry(who.clone()).or_default();
        let after = deaths.count(now, &RestartPolicy::CHAIN, 0);
        let (actor, deaths) = (who.name(), deaths.recent());
        let Some(after) = after else { return self.escalate(actor, reason) };
        let delay_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(actor, %reason, deaths, delay_ms, "an actor died; it is started again");
        if who == ChildId::Keeper {
            // The next keeper makes its attempts again, and a late one must not arrive after what follows it.
            self.chain.alerter = None;
            self.start_member(ChildId::Alerter, ctx);
        }
        ctx.run_later(after, move |supervisor, ctx| supervisor.start_member(who, ctx));
    }

    /// A thread is gone or stuck: all that lived there moves to another one. That is not charged to probers.
    pub(super) fn replace_thread_of(&mut self, who: ChildId, reason: ExitReason, ctx: &mut Context<Self>) {
        let thread = self.thread_of(&who);
        self.threads[thread] = None;
        if let ChildId::Batcher(index) = who {
            self.pause_probers(index);
        }
        self.restart(who, reason, ctx);
    }
}
