//! Two processes on one store: every change is told once, and two looks at one moment confirm nothing.

use std::collections::HashSet;
use std::time::Duration;

use api_health_core::Status;
use api_health_core::delivery::CLAIM_LASTS;

use super::{options, seconds, world};
use crate::testkit::channel::ChannelFault;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, in_virtual_time};

/// Each alert once, and no incident begun twice.
fn assert_told_once(world: &FakeWorld) {
    let ids: Vec<String> = world.channels[0].told().into_iter().map(|(_, alert)| alert.alert_id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn two_processes_tell_every_change_once_and_lose_none() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let _first = world.start_as("first", false, options()).await;
        seconds(3).await;
        let _second = world.start_as("second", false, options()).await;
        seconds(20).await;
        let mut version = 0;
        for _ in 0..6 {
            world.targets.set("a", Behaviour::Refuses);
            seconds(45).await;
            assert_eq!(world.store.record("a").unwrap().status, Status::Down);
            world.targets.set("a", Behaviour::Answers(200));
            seconds(45).await;
            let record = world.store.record("a").unwrap();
            assert_eq!((record.status, record.owed.len()), (Status::Up, 0));
            assert!(record.version > version);
            version = record.version;
        }
        assert_eq!(world.channels[0].lines(), ["a down", "a up"].repeat(6));
        assert_told_once(&world);
    });
}

/// Two processes, the second so many milliseconds later than the first, and an API that is down for one turn of each.
fn blips_seen_by_two(milliseconds: u64) {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _first = world.start_as("first", false, options()).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let _second = world.start_as("second", false, options()).await;
        seconds(25).await;
        for blip in 0..12 {
            world.targets.set("a", if blip % 2 == 0 { Behaviour::Refuses } else { Behaviour::Hangs });
            let probed = world.targets.probed("a").len();
            while world.targets.probed("a").len() < probed + 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.targets.set("a", Behaviour::Answers(200));
            seconds(40).await;
        }
        assert_eq!(world.channels[0].lines(), [""; 0], "{milliseconds} ms apart");
        assert_eq!(world.store.record("a").unwrap().status, Status::Up);
    });
}

#[test]
fn a_blip_that_both_processes_see_at_one_moment_is_a_blip() {
    [0, 1, 7, 15, 100, 900, 2_000].into_iter().for_each(blips_seen_by_two);
}

#[test]
fn while_the_channel_is_dead_two_processes_share_the_tries_and_tell_once_when_it_is_back() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _first = world.start_as("first", false, options()).await;
        let _second = world.start_as("second", false, options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(600).await;
        assert_eq!(world.store.record("a").unwrap().owed.len(), 2);
        world.channels[0].set_fault(ChannelFault::None);
        seconds(200).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        assert_told_once(&world);
    });
}

#[test]
fn what_a_process_claimed_before_it_died_is_told_by_the_other_when_the_claim_lapses() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let first = world.start_as("first", false, options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        while world.store.record("a").unwrap().claim.is_none() {
            seconds(1).await;
        }
        let claimed = world.store.record("a").unwrap();
        first.crash();
        world.channels[0].set_fault(ChannelFault::None);
        let _second = world.start_as("second", false, options()).await;
        seconds(5).await;
        assert_eq!(world.channels[0].lines(), [""; 0], "the claim holds");
        seconds(CLAIM_LASTS.as_secs()).await;
        let told = world.channels[0].told();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1.alert_id, claimed.owed[0].alert.alert_id);
        assert!(told[0].0 >= claimed.claim.unwrap().until);
    });
}

#[test]
fn a_store_that_was_gone_for_both_is_told_by_each_once_and_their_changes_come_together() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let first = world.start_as("first", false, options()).await;
        let second = world.start_as("second", false, options()).await;
        seconds(20).await;
        world.store.set_fault(StoreFault::Unavailable);
        seconds(100).await;
        world.store.set_fault(StoreFault::None);
        seconds(120).await;
        let lines = world.channels[0].lines();
        assert_eq!(lines.iter().filter(|line| *line == "api-health:store down").count(), 2, "{lines:?}");
        assert!((1..=2).contains(&lines.iter().filter(|line| *line == "api-health:store up").count()), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "api-health:store up");
        // An outage shorter than P5's patience, with a change in it, is told once by the two.
        world.store.set_fault(StoreFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(20).await;
        world.store.set_fault(StoreFault::None);
        seconds(60).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down"]);
        for running in [first, second] {
            assert!(running.settle(false, Duration::from_secs(60)).await, "all is stored");
        }
    });
}

#[test]
fn a_write_whose_answer_was_lost_is_not_counted_again_on_top_of_somebody_elses() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start_as("first", false, options()).await;
        seconds(20).await;
        world.store.set_fault(StoreFault::AnswerLost);
        world.targets.set("a", Behaviour::Refuses);
        while world.store.record("a").unwrap().streak.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.targets.set("a", Behaviour::Answers(200));
        // Somebody else settles or claims on top of it, and takes its one fail along.
        let mut theirs = world.store.record("a").unwrap();
        theirs.version += 1;
        theirs.missed_ticks += 1;
        world.store.overwrite(theirs);
        world.store.set_fault(StoreFault::None);
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), [""; 0], "one fail is no outage");
        assert_eq!(world.store.record("a").unwrap().status, Status::Up);
    });
}

#[test]
fn a_process_that_ends_in_order_leaves_its_claims_to_the_next_one() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let first = world.start_as("first", false, options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        while world.store.record("a").unwrap().claim.is_none() {
            seconds(1).await;
        }
        first.stop(Duration::from_secs(1)).await;
        let record = world.store.record("a").unwrap();
        assert_eq!((record.owed.len(), record.claim), (1, None));
        world.channels[0].set_fault(ChannelFault::None);
        let _second = world.start_as("second", false, options()).await;
        seconds(15).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "without waiting until a claim lapses");
    });
}
