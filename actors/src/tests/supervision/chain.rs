//! The death of a member of the chain costs that one a restart, and nothing that was known.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::Status;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::{options, seconds, watching, world};
use super::{ALERTER, InjectedFault, KEEPER, OUTCOME_BATCHER, Whom, gaps_ms, give, is_at_slot, until};
use crate::child::ExitReason;
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};
use crate::supervisor::ChildId;
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

#[test]
fn whoever_dies_is_started_again_and_outages_are_told_once_with_the_cadence_kept() {
    for whom in [ALERTER, KEEPER, OUTCOME_BATCHER] {
        for fault in [InjectedFault::Panic, InjectedFault::PanicInTimer, InjectedFault::PanicInDestructor] {
            in_virtual_time(async {
                let (world, mut running) = watching(&["a", "b", "c", "d"]).await;
                world.targets.set("a", Behaviour::Refuses);
                seconds(30).await;
                assert_eq!(world.channels[0].lines(), ["a down"]);
                give(&running, whom.clone(), fault).await;
                seconds(30).await;
                world.targets.set("a", Behaviour::Answers(200));
                world.targets.set("b", Behaviour::Refuses);
                seconds(60).await;
                let mut told = world.channels[0].lines();
                told.sort();
                assert_eq!(told, ["a down", "a up", "b down"], "{whom:?}");
                assert!(running.flush(true, Duration::from_secs(5)).await, "whoever asks outside follows");
                for id in ["c", "d"] {
                    let probed = world.targets.probed(id);
                    assert!(
                        probed.len() <= 17,
                        "an outcome that was lost on its way is asked for again, once: {probed:?}"
                    );
                    let mut at_slot = probed.clone();
                    at_slot.retain(|at| is_at_slot(id, *at));
                    assert!(at_slot.len() >= 14, "{whom:?} {id}: {probed:?}");
                    // The first probe, and what an outcome batcher that dies has in its hands.
                    let is_lost = id == "c" && matches!(whom, Whom::Child(ChildId::Batcher(_)));
                    assert_eq!(probed.len() - at_slot.len(), 1 + usize::from(is_lost), "{whom:?} {id}: {probed:?}");
                    assert!(gaps_ms(&at_slot).iter().all(|gap| gap.abs_diff(10_000) <= 2), "{whom:?} {id}: {probed:?}");
                }
                assert_eq!(running.stats().counts().restarts, 0, "and it is not charged to the probers");
                assert!(running.fatal().now_or_never().is_none());
                assert_eq!(running.report().await.unwrap().down, 1);
            });
        }
    }
}

#[test]
fn a_keeper_that_dies_in_a_write_knows_afterwards_what_was_written() {
    in_virtual_time(async {
        let (world, _running) = watching(&["a"]).await;
        world.targets.set("a", Behaviour::Refuses);
        until("the first fail", || world.store.record("a").unwrap().streak.is_some()).await;
        world.store.set_fault(StoreFault::PanicsOnce); // with the write that owes the alert
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "found in the store, and told");
        world.targets.set("a", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        assert_eq!(world.store.record("a").unwrap().status, Status::Up);
    });
}

#[test]
fn an_alert_owed_and_unstored_when_the_alerter_dies_is_told_exactly_once() {
    in_virtual_time(async {
        let (world, running) = watching(&["a"]).await;
        world.store.set_fault(StoreFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(20).await;
        assert!(world.channels[0].lines_of_apis().is_empty(), "not stored yet, and not for long enough");
        for _ in 0..2 {
            give(&running, ALERTER, InjectedFault::Panic).await;
            seconds(5).await;
        }
        world.targets.set("a", Behaviour::Answers(200));
        seconds(40).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"], "only the keeper's memory had them");
        seconds(60).await;
        world.store.set_fault(StoreFault::None);
        seconds(120).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"]);
        let of_the_store: Vec<String> =
            world.channels[0].lines().into_iter().filter(|line| line.contains(":store")).collect();
        assert_eq!(of_the_store, ["api-health:store down", "api-health:store up"]);
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.owed.len()), (Status::Up, 0));
    });
}

#[test]
fn that_the_store_is_back_is_told_also_if_it_came_back_while_the_chain_was_down() {
    in_virtual_time(async {
        let (world, running) = watching(&["a"]).await;
        world.store.set_fault(StoreFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        assert!(world.channels[0].lines().contains(&"api-health:store down".to_owned()));
        give(&running, ALERTER, InjectedFault::Panic).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.store.set_fault(StoreFault::None);
        seconds(60).await;
        assert!(world.channels[0].lines().contains(&"api-health:store up".to_owned()));
    });
}

#[test]
fn an_attempt_that_was_cut_is_made_again_with_the_same_id() {
    in_virtual_time(async {
        let (world, running) = watching(&["a"]).await;
        world.channels[0].set_fault(ChannelFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        seconds(20).await;
        give(&running, ALERTER, InjectedFault::Panic).await;
        world.channels[0].set_fault(ChannelFault::None);
        seconds(20).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn deaths_that_are_far_apart_are_borne_for_ever() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let mut running = world.start(options()).await;
        for _ in 0..10 {
            give(&running, KEEPER, InjectedFault::Panic).await;
            seconds(61).await;
        }
        assert!(running.fatal().now_or_never().is_none());
        assert!(world.targets.probed("a").len() >= 60);
    });
}

#[test]
fn a_keeper_that_cannot_be_read_is_waited_for_and_then_the_process_ends() {
    in_virtual_time(async {
        let (world, mut running) = watching(&["a"]).await;
        world.store.set_fault(StoreFault::Unavailable);
        give(&running, KEEPER, InjectedFault::Panic).await;
        seconds(1).await;
        let flush = running.flush(false, Duration::from_secs(50));
        let mends = async {
            seconds(30).await;
            world.store.set_fault(StoreFault::None);
        };
        let (flushed, ()) = futures_util::future::join(flush, mends).await;
        assert!(flushed, "a flush that began before goes on in the next life");
        let probes = world.targets.probed("a").len();
        seconds(60).await;
        assert!(world.targets.probed("a").len() >= probes + 6);
        assert!(world.store.record("a").unwrap().missed_ticks >= 2, "what nobody served is counted");
        assert!(running.fatal().now_or_never().is_none());

        world.store.set_fault(StoreFault::Hangs);
        give(&running, KEEPER, InjectedFault::Panic).await;
        let began = tokio::time::Instant::now();
        let fatal = running.fatal().await;
        assert_eq!(fatal.child, "state-keeper");
        assert!(matches!(fatal.reason, ExitReason::Unstartable(_)), "{}", fatal.reason);
        assert!(began.elapsed() <= Duration::from_secs(100), "{:?}", began.elapsed());
        assert!(running.report().await.is_none());
    });
}

#[test]
fn whoever_dies_while_the_chain_is_being_started_again_is_started_too() {
    for whom in [ALERTER, KEEPER] {
        in_virtual_time(async {
            let (world, mut running) = watching(&["a"]).await;
            world.store.set_fault(StoreFault::Hangs);
            give(&running, KEEPER, InjectedFault::Panic).await;
            seconds(1).await; // the next life reads the store
            give(&running, whom.clone(), InjectedFault::Panic).await;
            seconds(1).await;
            world.store.set_fault(StoreFault::None);
            let probes = world.targets.probed("a").len();
            seconds(60).await;
            assert!(world.targets.probed("a").len() >= probes + 5, "{whom:?}");
            world.targets.set("a", Behaviour::Refuses);
            seconds(30).await;
            assert_eq!(world.channels[0].lines(), ["a down"], "{whom:?}");
            assert!(running.fatal().now_or_never().is_none());
        });
    }
}

#[test]
fn a_flush_over_a_restart_keeps_its_deadline() {
    in_virtual_time(async {
        let (world, running) = watching(&["a"]).await;
        world.store.set_fault(StoreFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        seconds(10).await;
        let began = tokio::time::Instant::now();
        let dies = async {
            seconds(1).await;
            give(&running, KEEPER, InjectedFault::Panic).await;
        };
        let (flushed, ()) = futures_util::future::join(running.flush(false, Duration::from_secs(10)), dies).await;
        assert!(!flushed, "a keeper that died has flushed nothing");
        assert!(began.elapsed() <= Duration::from_secs(11));
    });
}

#[test]
fn configs_that_change_while_the_chain_is_down_are_applied_when_it_is_up() {
    in_virtual_time(async {
        let (world, running) = watching(&["a", "b"]).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        world.store.set_fault(StoreFault::Unavailable);
        give(&running, KEEPER, InjectedFault::Panic).await;
        seconds(5).await;
        world.configs.set(vec![api("b", 10), api("new", 10)]);
        let reads = running.reload();
        let mends = async {
            seconds(10).await;
            world.store.set_fault(StoreFault::None);
        };
        let (report, ()) = futures_util::future::join(reads, mends).await;
        assert_eq!(report.unwrap().apis, 2);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
        assert!(world.targets.probed("new").len() >= 2);
        assert_eq!(world.store.record("a").unwrap().status, Status::Unknown);
    });
}

#[test]
fn a_close_that_died_with_the_keeper_is_made_up_for() {
    in_virtual_time(async {
        let (world, _running) = watching(&["a", "b"]).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        world.store.set_fault(StoreFault::Unavailable);
        world.configs.set(vec![api("b", 10)]);
        seconds(2).await;
        give(&_running, KEEPER, InjectedFault::Panic).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.store.set_fault(StoreFault::None);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
    });
}

#[test]
fn a_prober_that_is_given_up_stays_so_over_a_restart_of_the_chain() {
    in_virtual_time(async {
        let (world, running) = watching(&["a", "b"]).await;
        world.targets.set("a", Behaviour::Panics);
        seconds(30).await;
        give(&running, KEEPER, InjectedFault::Panic).await;
        let probes = world.targets.probed("a").len();
        seconds(100).await;
        assert_eq!(world.targets.probed("a").len(), probes, "it waits on");
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down"]);
        world.targets.set("a", Behaviour::Answers(200));
        seconds(600).await;
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down", "api-health:prober:a up"]);
    });
}

#[test]
fn a_single_round_goes_on_over_a_restart_of_the_chain() {
    for whom in [ALERTER, KEEPER, OUTCOME_BATCHER] {
        in_virtual_time(async {
            let ids: Vec<String> = (0..500).map(|n| format!("api-{n:03}")).collect();
            let world = FakeWorld::new(ids.iter().map(|id| api(id, 3_600)).collect());
            world.targets.set("api-007", Behaviour::Refuses);
            let running = world.start(Options { once: true, ..options() }).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            give(&running, whom.clone(), InjectedFault::Panic).await;
            running.round().finished().await;
            assert!(running.flush(true, Duration::from_secs(5)).await);
            let missing: Vec<&String> = ids.iter().filter(|id| world.store.record(id).is_none()).collect();
            assert!(missing.is_empty(), "{whom:?}: {missing:?}");
            assert_eq!(world.channels[0].lines(), ["api-007 down"], "{whom:?}");
            assert_eq!(running.round().progress(), (500, 500));
            assert_eq!(running.round().deaths(), 0);
        });
    }
}

/// A source of which every reading panics.
struct Panicking;

impl ConfigSource for Panicking {
    fn name(&self) -> String {
        "panicking".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async { panic!("planted in a source") }.boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { panic!("planted in a revision") }.boxed()
    }
}

#[test]
fn a_source_that_panics_is_a_source_that_cannot_be_read() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let mut running = world.start_with(Options { prober_threads: 0, ..options() }, vec![Arc::new(Panicking)]).await;
        seconds(120).await;
        assert!(world.targets.probed("a").len() >= 12);
        assert_eq!(
            running.reload().await.unwrap().unreadable,
            ["panicking: reading it panicked: planted in a revision"]
        );
        assert!(running.fatal().now_or_never().is_none());
    });
}
