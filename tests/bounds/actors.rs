//! The actors at their bounds: mailboxes, outcomes on their way, attempts under way, changes that wait for a dead store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use api_health_actors::child::{self, ExitReason};
use api_health_actors::handle::AddrPublisher;
use api_health_actors::liveness::{Liveness, ResumePoint};
use api_health_actors::own_side::OwnSide;
use api_health_actors::ports::{
    ConfigSource, LoadedConfigs, NoWitnesses, Notifier, NotifyError, SourceError, StateStore,
};
use api_health_actors::prober::{self, Prober, ProberContext, ProberInit, Start};
use api_health_actors::state_keeper::{self, SubmitOutcome};
use api_health_actors::stats::{LATENESS_BOUNDS_MS, Stats};
use api_health_actors::system::{self, Options, Running, World};
use api_health_actors::testkit::store::StoreFault;
use api_health_actors::testkit::target::Behaviour;
use api_health_actors::testkit::{FakeWorld, WORLD_BEGINS, api, in_virtual_time};
use api_health_actors::threads::Thread;
use api_health_actors::timebase::TimeBase;
use api_health_actors::{alerter, outcome_batcher, supervisor};
use api_health_core::{Alert, Status, keep};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

fn start(fake: &FakeWorld, notifiers: Vec<Arc<dyn Notifier>>, sources: Vec<Arc<dyn ConfigSource>>) -> Running {
    let world = World {
        probe: Arc::new(fake.targets.clone()),
        witnesses: Arc::new(NoWitnesses),
        store: Arc::new(fake.store.clone()) as Arc<dyn StateStore>,
        history: None,
        store_name: "memory".into(),
        instance: "this one".into(),
        notifiers,
        sources,
        clock: Arc::new(fake.clock.clone()),
        leases: None,
    };
    system::start(world, &Options { prober_threads: 0, ..Options::default() })
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Nudge;

struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

impl Handler<Nudge> for Idle {
    type Result = ();

    fn handle(&mut self, _: Nudge, _: &mut Self::Context) {
        panic!("{}", "x".repeat(100_000))
    }
}

#[test]
fn a_mailbox_takes_its_capacity_and_refuses_more() {
    let capacities = [
        prober::MAILBOX_CAPACITY,
        outcome_batcher::MAILBOX_CAPACITY,
        state_keeper::MAILBOX_CAPACITY,
        alerter::MAILBOX_CAPACITY,
        supervisor::MAILBOX_CAPACITY,
    ];
    in_virtual_time(async {
        for capacity in capacities {
            let child = child::start(&Thread::current(), 1, capacity, || Idle, drop);
            // It has had no turn on this thread yet, so that nothing is taken out.
            let taken = (0..2 * capacity).filter(|_| child.addr.try_send(Nudge).is_ok()).count();
            // actix has one place more for each sender.
            assert!((capacity..=capacity + 1).contains(&taken), "{taken} of {capacity}");
        }
    });
}

#[test]
fn what_a_panic_said_is_bounded() {
    in_virtual_time(async {
        let (died, heard) = oneshot::channel();
        let child = child::start(&Thread::current(), 1, 1, || Idle, |reason| died.send(reason).unwrap());
        let _ = child.addr.send(Nudge).await;
        let reason = heard.await.unwrap();
        let ExitReason::Panic(text) = &reason else { panic!("{reason:?}") };
        assert_eq!(text.chars().count(), 300);
    });
}

/// Takes outcomes and never answers.
#[derive(Default)]
struct Silent(Arc<AtomicUsize>);

impl Actor for Silent {
    type Context = Context<Self>;
}

impl Handler<SubmitOutcome> for Silent {
    type Result = actix::ResponseFuture<Option<Duration>>;

    fn handle(&mut self, _: SubmitOutcome, _: &mut Self::Context) -> Self::Result {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed_local()
    }
}

#[test]
fn so_many_outcomes_of_one_api_are_on_their_way_at_most() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![]);
        let taken = Arc::new(AtomicUsize::new(0));
        let batcher_is = AddrPublisher::default();
        batcher_is.set(Some(Silent(Arc::clone(&taken)).start().recipient()));
        let shared = Arc::new(ProberContext {
            probe: Arc::new(world.targets.clone()),
            batcher: batcher_is.handle(),
            time: TimeBase::new(Arc::new(world.clock.clone())),
            stats: Arc::new(Stats::default()),
            spread: false,
            own_side: Arc::new(OwnSide::new(Arc::new(NoWitnesses), TimeBase::new(Arc::new(world.clock.clone())))),
        });
        let now = shared.time.moment();
        let liveness = Arc::new(Liveness::new(ResumePoint::nothing(now), now.monotonic));
        let init = ProberInit { start: Start::Scheduled, liveness };
        let prober = Prober::new(Arc::new(api("a", 1)), shared, init).start();
        seconds(100).await;
        assert!(world.targets.probed("a").len() >= 99, "probing goes on");
        assert_eq!(taken.load(Ordering::SeqCst), 8);
        drop(prober);
    });
}

/// A channel that takes five seconds for each alert, and counts how many it has at once.
#[derive(Clone, Default)]
struct Slow {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

impl Notifier for Slow {
    fn channel(&self) -> &str {
        "slow"
    }

    fn deliver(&self, _: Arc<Alert>) -> futures_util::future::LocalBoxFuture<'_, Result<(), NotifyError>> {
        async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            seconds(5).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.told.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        .boxed_local()
    }
}

#[test]
fn so_many_attempts_are_under_way_through_one_channel_at_most() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..100).map(|n| format!("api-{n}")).collect();
        let fake = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        for id in &ids {
            fake.targets.set(id, Behaviour::Refuses);
        }
        let slow = Slow::default();
        let running = start(&fake, vec![Arc::new(slow.clone())], vec![Arc::new(fake.configs.clone())]);
        running.reload().await;
        seconds(120).await;
        assert_eq!(slow.most.load(Ordering::SeqCst), keep::DELIVERIES_IN_FLIGHT_MAX);
        assert_eq!(slow.told.load(Ordering::SeqCst), 100, "and each is told once");
    });
}

#[test]
fn so_many_first_probes_come_in_one_second_and_so_many_names_in_a_report() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..4_000).map(|n| format!("api-{n}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 86_400)).collect());
        let running = world.start(Options { prober_threads: 0, ..Options::default() }).await;
        seconds(30).await;
        let mut in_second = [0; 30];
        for id in &ids {
            let first = world.targets.probed(id)[0];
            in_second[usize::try_from(first.since(WORLD_BEGINS).as_secs()).unwrap()] += 1;
        }
        assert!(in_second.iter().all(|n| *n < 1_150) && in_second[..4].iter().all(|n| *n > 850), "{in_second:?}");
        assert_eq!(running.reload().await.unwrap().watched.len(), 20);
    });
}

/// Never answers.
struct Deaf {
    knows_its_revision: bool,
}

impl ConfigSource for Deaf {
    fn name(&self) -> String {
        "deaf".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        std::future::pending().boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        if self.knows_its_revision { std::future::ready(Some(7)).boxed() } else { std::future::pending().boxed() }
    }
}

#[test]
fn a_source_that_never_answers_is_waited_for_so_long() {
    in_virtual_time(async {
        for (knows_its_revision, within) in [(true, 30), (false, 5)] {
            let fake = FakeWorld::new(vec![api("a", 10)]);
            let deaf = Deaf { knows_its_revision };
            let running = start(&fake, vec![], vec![Arc::new(fake.configs.clone()), Arc::new(deaf)]);
            let began = tokio::time::Instant::now();
            let report = running.reload().await.unwrap();
            assert_eq!(began.elapsed().as_secs(), within);
            assert_eq!((report.apis, report.unreadable), (1, vec![format!("deaf: no answer within {within} s")]));
            running.crash();
        }
    });
}

#[test]
fn more_changes_than_an_outbox_holds_still_end_on_the_truth_when_the_store_is_back() {
    in_virtual_time(async {
        // 200 changes, none of which can be stored when it is decided.
        let world = FakeWorld::new(vec![api("a", 10)]);
        let _running = world.start(Options { prober_threads: 0, ..Options::default() }).await;
        seconds(30).await;
        world.store.set_fault(StoreFault::Unavailable);
        for flap in 0..200 {
            world.targets.set("a", if flap % 2 == 0 { Behaviour::Refuses } else { Behaviour::Answers(200) });
            seconds(30).await;
        }
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        world.store.set_fault(StoreFault::None);
        seconds(600).await;
        let stored = world.store.record("a").unwrap();
        assert_eq!((stored.status, stored.last_alerted), (Status::Down, Status::Down));
        assert!(stored.owed.is_empty(), "{} owed", stored.owed.len());
        let of_a: Vec<String> = world.channels[0].lines().into_iter().filter(|line| line.starts_with("a ")).collect();
        assert!(of_a.windows(2).all(|two| two[0] != two[1]), "in turn");
        assert_eq!(of_a.last().map(String::as_str), Some("a down"));
    });
}

#[test]
fn the_lateness_histogram_has_a_bucket_for_whatever_comes() {
    let stats = Stats::default();
    for late in [Duration::ZERO, Duration::from_secs(90), Duration::MAX] {
        stats.probe_began(Some(late));
    }
    assert_eq!(stats.counts().lateness_ms(1.0), LATENESS_BOUNDS_MS.last().copied());
}
