//! What this machine carries: more than it can is told once, and its end as well.

use api_health_core::Status;

use super::{options, seconds, world};
use crate::testkit::in_virtual_time;
use crate::testkit::target::Behaviour;

#[test]
fn a_machine_that_does_not_carry_what_is_configured_is_told_once_and_its_end_as_well() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        running.reload().await;
        seconds(60).await;
        for id in ["a", "b"] {
            world.targets.set(id, Behaviour::WaitsForItsTurn);
        }
        seconds(45).await;
        assert_eq!(world.channels[0].lines(), [""; 0], "not before it has lasted for a minute");
        seconds(300).await;
        let told = world.channels[0].delivered();
        assert_eq!(world.channels[0].lines(), ["api-health:capacity down"]);
        assert!(told[0].1.reason.contains("waited here for a second or longer"), "{}", told[0].1.reason);
        for id in ["a", "b"] {
            world.targets.set(id, Behaviour::Answers(200));
        }
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:capacity down", "api-health:capacity up"]);
        for id in ["a", "b"] {
            assert_eq!(
                world.store.record(id).map(|state| state.status),
                Some(Status::Up),
                "no API is called down for it"
            );
        }
    });
}

#[test]
fn a_wait_for_other_probes_of_ones_own_host_says_nothing_of_this_machine() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        for id in ["a", "b"] {
            world.targets.set(id, Behaviour::WaitsForItsHost);
        }
        let running = world.start(options()).await;
        running.reload().await;
        seconds(600).await;
        assert_eq!(world.channels[0].lines(), [""; 0]);
    });
}

#[test]
fn an_api_that_is_slow_by_itself_says_nothing_of_this_machine() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        world.targets.set("a", Behaviour::Hangs);
        let running = world.start(options()).await;
        running.reload().await;
        seconds(600).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}
