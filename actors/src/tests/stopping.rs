//! Ends: a stop in order, and a single round.

use std::time::Duration;

use api_health_core::Status;

use super::{options, seconds, world};
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

#[test]
fn a_stop_finishes_what_is_under_way_and_stores_everything() {
    in_virtual_time(async {
        let world = world(&["a", "hangs"]);
        let running = world.start(options()).await;
        seconds(25).await; // far from any checkpoint
        world.targets.set("hangs", Behaviour::Hangs);
        seconds(11).await;
        let report = running.stop(Duration::from_secs(10)).await;
        assert_eq!(report.keeper.unwrap().unsaved, 0);
        let last = *world.targets.probed("a").last().unwrap();
        let stored = world.store.record("a").unwrap().last_probe.unwrap().at;
        assert!(stored >= last, "also what could have waited for a checkpoint");
        let probes = world.targets.probed("a").len();
        seconds(60).await;
        assert_eq!(world.targets.probed("a").len(), probes, "no probe after the stop");
    });
}

#[test]
fn a_stop_keeps_its_deadline_when_a_probe_never_ends_and_the_store_is_dead() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        world.targets.set("b", Behaviour::NeverEnds);
        let running = world.start(options()).await;
        seconds(20).await;
        world.store.set_fault(crate::testkit::store::StoreFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        let began = tokio::time::Instant::now();
        running.stop(Duration::from_secs(10)).await;
        assert!(began.elapsed() <= Duration::from_secs(21), "{:?}", began.elapsed());
    });
}

#[test]
fn a_single_round_rechecks_stores_tells_and_ends() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("up", 3_600), api("down", 3_600), api("slow", 3_600), api("panics", 60)]);
        world.targets.set("down", Behaviour::Answers(500));
        world.targets.set("slow", Behaviour::Hangs);
        world.targets.set("panics", Behaviour::Panics);
        let running = world.start(Options { once: true, ..options() }).await;
        running.round().finished().await;
        assert!(running.flush(true, Duration::from_secs(5)).await);
        let mut told = world.channels[0].lines();
        told.sort();
        assert_eq!(told, ["down down", "slow down"]);
        assert_eq!(world.store.record("up").unwrap().status, Status::Up);
        assert_eq!(world.targets.probed("up").len(), 1);
        assert_eq!(world.targets.probed("down").len(), 2, "with its recheck");
        seconds(1).await;
        assert_eq!((running.probers(), running.round().deaths()), (4, 1));
    });
}

#[test]
fn a_single_round_says_that_something_is_still_owed() {
    in_virtual_time(async {
        let world = world(&["a"]);
        world.targets.set("a", Behaviour::Refuses);
        world.channels[0].set_fault(ChannelFault::Unavailable);
        let running = world.start(Options { once: true, ..options() }).await;
        running.round().finished().await;
        assert!(!running.flush(true, Duration::from_secs(5)).await);
        let report = running.stop(Duration::ZERO).await.keeper.unwrap();
        assert_eq!((report.unsaved, report.owed, report.down), (0, 1, 1));
    });
}

#[test]
fn after_a_stop_nobody_is_left_who_tells_or_stores_anything() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        running.stop(Duration::from_secs(1)).await;
        world.channels[0].set_fault(ChannelFault::None);
        let writes = world.store.writes();
        seconds(1_200).await;
        assert!(world.channels[0].lines().is_empty(), "it is owed to the next run");
        assert_eq!(world.store.writes(), writes);
    });
}

#[test]
fn a_stop_waits_for_an_attempt_that_is_under_way_and_tells_nothing_twice() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_latency(4_000);
        world.targets.set("a", Behaviour::Refuses);
        while world.store.record("a").unwrap().owed.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let report = running.stop(Duration::from_secs(10)).await;
        assert_eq!(report.keeper.map(|keeper| (keeper.owed, keeper.unsaved)), Some((0, 0)), "told and settled");
        let _again = world.start(options()).await;
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn a_single_round_tries_at_once_what_an_earlier_one_could_not_tell() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let once = Options { once: true, ..options() };
        world.channels[0].set_fault(ChannelFault::Permanent);
        world.targets.set("a", Behaviour::Refuses);
        let running = world.start(once.clone()).await;
        running.round().finished().await;
        assert!(!running.flush(true, Duration::from_secs(5)).await);
        running.stop(Duration::ZERO).await;
        world.channels[0].set_fault(ChannelFault::None);
        let running = world.start(once).await;
        running.round().finished().await;
        assert!(running.flush(true, Duration::from_secs(5)).await, "it does not wait for five minutes");
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}
