//! A machine that was suspended: what waits has not noticed, and the clocks have moved on.

use std::time::Duration;

use super::{options, seconds, world};
use crate::testkit::in_virtual_time;
use crate::testkit::target::Behaviour;

#[test]
fn a_machine_that_was_suspended_counts_what_it_slept_through_and_accuses_nobody() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(60).await;
        let probed = world.targets.probed("a").len();
        world.clock.suspend_machine(Duration::from_secs(3_600));
        seconds(15).await;
        assert!((1..=3).contains(&(world.targets.probed("a").len() - probed)), "no burst");
        seconds(600).await;
        running.flush(false, Duration::from_secs(60)).await;
        for id in ["a", "b"] {
            let missed = world.store.record(id).map_or(0, |state| state.missed_ticks);
            assert!((355..=361).contains(&missed), "{missed} of 360 ticks");
        }
        assert_eq!(world.channels[0].lines(), [""; 0]);
    });
}

#[test]
fn what_an_exchange_saw_that_slept_says_nothing_of_its_api() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let mut api = crate::testkit::api("a", 60);
        api.failure_threshold = 1;
        world.configs.set(vec![api]);
        let _running = world.start(options()).await;
        seconds(70).await;
        world.targets.set("a", Behaviour::Hangs);
        while world.targets.probed("a").len() < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        world.clock.suspend_machine(Duration::from_secs(3_600));
        seconds(5).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), [""; 0]);
    });
}

#[test]
fn a_rare_probe_is_not_late_by_what_the_machine_slept() {
    in_virtual_time(async {
        let world = world(&[]);
        world.configs.set(vec![crate::testkit::api("a", 6 * 3_600)]);
        let _running = world.start(options()).await;
        seconds(600).await;
        let probed = world.targets.probed("a").len();
        world.clock.suspend_machine(Duration::from_secs(12 * 3_600));
        seconds(301).await;
        assert_eq!(world.targets.probed("a").len(), probed + 1, "within five minutes of waking");
    });
}
