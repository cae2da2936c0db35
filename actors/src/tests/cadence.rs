//! When probes run: on time, at their slot, whatever the others do.

use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::schedule::Slot;

use super::{options, seconds, world};
use crate::testkit::channel::ChannelFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, WORLD_BEGINS, api, in_virtual_time};

fn gaps(times: &[Timestamp]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn the_first_probe_is_soon_and_the_rest_keep_to_their_slot() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(100).await;
        let probed = world.targets.probed("a");
        assert!(probed[0].since(WORLD_BEGINS) < Duration::from_millis(100), "at once, with one API");
        let slot = Slot::of(&api("a", 10).api_id).within(Duration::from_secs(10));
        for at in &probed[1..] {
            let into_tick = at.since(WORLD_BEGINS).as_millis() % 10_000;
            assert!(into_tick.abs_diff(slot.as_millis()) <= 2, "{into_tick} ms into the tick, slot {slot:?}");
        }
        assert_eq!(world.store.record("a").unwrap().missed_ticks, 0);
    });
}

#[test]
fn a_suspect_is_probed_again_after_the_recheck_and_then_back_at_its_slot() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(31).await;
        let before = world.targets.probed("a").len();
        world.targets.set("a", Behaviour::Answers(500));
        seconds(40).await;
        let probed = world.targets.probed("a");
        let gaps = gaps(&probed[before..]);
        assert!(gaps[0] >= Duration::from_secs(5) && gaps[0] < Duration::from_millis(5_100), "{gaps:?}");
        let slot = Slot::of(&api("a", 10).api_id).within(Duration::from_secs(10)).as_millis();
        let last = probed.last().unwrap().since(WORLD_BEGINS).as_millis() % 10_000;
        assert!(last.abs_diff(slot) <= 2);
    });
}

#[test]
fn hanging_targets_a_hanging_channel_and_a_panicking_prober_delay_nobody() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..100).map(|n| format!("api-{n:03}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        world.channels[0].set_fault(ChannelFault::Hangs);
        for id in &ids[..10] {
            world.targets.set(id, Behaviour::Hangs);
        }
        world.targets.set("api-010", Behaviour::Panics);
        let running = world.start(options()).await;
        seconds(300).await;
        for id in &ids[11..] {
            let gaps = gaps(&world.targets.probed(id)[1..]);
            assert!(gaps.len() >= 28, "{id}: {}", gaps.len());
            assert!(gaps.iter().all(|gap| gap.as_millis().abs_diff(10_000) <= 2), "{id}: {gaps:?}");
        }
        assert!(running.stats().restarts() >= 5, "the panicking one is started again");
        assert!(world.targets.probed("api-010").len() >= 5, "and probes again");
        assert!(running.stats().lateness_ms(0.99).unwrap() <= 2);
    });
}

#[test]
fn a_tick_that_cannot_run_is_counted_as_missed_and_is_not_an_outage() {
    in_virtual_time(async {
        let mut slow = api("slow", 10);
        slow.timeout = Duration::from_secs(25);
        slow.failure_threshold = 20;
        let world = FakeWorld::new(vec![slow]);
        let running = world.start(options()).await;
        seconds(5).await;
        world.targets.set("slow", Behaviour::Hangs);
        seconds(300).await;
        running.stop(Duration::from_secs(60)).await;
        let record = world.store.record("slow").unwrap();
        assert!(record.missed_ticks >= 10, "{}", record.missed_ticks);
        assert_eq!(record.status, api_health_core::Status::Up);
        assert!(world.channels[0].lines().is_empty());
    });
}
