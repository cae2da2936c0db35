//! The heartbeat: when it is written, what it says, and that nothing waits for it.

use std::time::Duration;

use api_health_core::heartbeat::{INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use api_health_core::{ApiId, Heartbeat};

use super::{options, seconds, world};
use crate::ports::Clock;
use crate::system::Options;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};
use api_health_core::keep::{FIRST_HEARTBEAT_AFTER, HEARTBEAT_MAX, STORE_GONE_AFTER};

fn heartbeat(world: &FakeWorld) -> Heartbeat {
    world.store.heartbeat().expect("a heartbeat")
}

fn ids(heartbeat: &Heartbeat) -> Vec<&str> {
    heartbeat.late_api_ids.iter().map(ApiId::as_str).collect()
}

#[test]
fn it_comes_soon_after_the_start_and_then_once_in_each_period() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let _running = world.start(options()).await;
        seconds(FIRST_HEARTBEAT_AFTER.as_secs() - 1).await;
        assert_eq!(world.store.heartbeats(), 0);
        seconds(2).await;
        assert_eq!(world.store.heartbeats(), 1);
        for n in 1..=30 {
            seconds(60).await;
            assert_eq!(world.store.heartbeats(), 1 + n);
        }
        let heartbeat = heartbeat(&world);
        assert!(world.clock.now().since(heartbeat.at) < Duration::from_secs(2));
        assert_eq!((heartbeat.period, heartbeat.checkpoint), (Some(Duration::from_secs(60)), Duration::from_secs(60)));
        assert_eq!((heartbeat.apis, heartbeat.up, heartbeat.down, heartbeat.unknown, heartbeat.late), (2, 2, 0, 0, 0));
        assert_eq!(heartbeat.at.since(heartbeat.probes_since), Duration::from_secs(60));
        assert_eq!(heartbeat.probes, 12, "two APIs every ten seconds");
    });
}

#[test]
fn none_is_written_where_it_is_switched_off() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(Options { heartbeat: None, ..options() }).await;
        seconds(600).await;
        running.stop(Duration::from_secs(1)).await;
        assert_eq!(world.store.heartbeat(), None);
    });
}

#[test]
fn it_counts_what_is_up_down_unknown_and_owed_of_what_is_watched() {
    in_virtual_time(async {
        let world = world(&["up", "down", "odd", "gone"]);
        world.targets.set("down", Behaviour::Refuses);
        world.targets.set("odd", Behaviour::CannotBeAsked);
        world.channels[0].set_fault(crate::testkit::channel::ChannelFault::Unavailable);
        let running = world.start(options()).await;
        seconds(15).await;
        world.configs.set(["up", "down", "odd"].map(|id| api(id, 10)).into());
        running.reload().await;
        seconds(60).await;
        let heartbeat = heartbeat(&world);
        assert_eq!(
            (heartbeat.apis, heartbeat.up, heartbeat.down, heartbeat.unknown, heartbeat.owed, heartbeat.late),
            (3, 1, 1, 1, 1, 0)
        );
    });
}

#[test]
fn an_api_that_is_not_probed_when_it_should_be_is_late_and_named_until_it_is() {
    in_virtual_time(async {
        let world = world(&["a", "b", "c"]);
        let _running = world.start(options()).await;
        seconds(15).await;
        assert_eq!((heartbeat(&world).late, heartbeat(&world).apis), (0, 3));
        world.targets.set("b", Behaviour::NeverEnds);
        seconds(60).await;
        let stuck = heartbeat(&world);
        assert_eq!((stuck.late, ids(&stuck)), (1, vec!["b"]));
        assert_eq!((stuck.apis, stuck.up), (3, 3), "what was known of it stays");
        world.targets.set("b", Behaviour::Answers(200));
        seconds(420).await;
        assert_eq!(heartbeat(&world).late, 0);
    });
}

#[test]
fn an_api_whose_probes_cannot_tell_is_on_time_and_named_until_one_can() {
    in_virtual_time(async {
        let world = world(&["a", "b", "c"]);
        let _running = world.start(options()).await;
        seconds(15).await;
        assert_eq!((heartbeat(&world).late, heartbeat(&world).inconclusive), (0, 0));
        for id in ["c", "b"] {
            world.targets.set(id, Behaviour::CannotBeAsked);
        }
        seconds(60).await;
        let blind = heartbeat(&world);
        assert_eq!((blind.late, blind.up, blind.inconclusive), (0, 3, 2), "what was known of them stays");
        let named: Vec<_> = blind.inconclusive_api_ids.iter().map(ApiId::as_str).collect();
        assert_eq!(named, ["b", "c"]);
        for id in ["c", "b"] {
            world.targets.set(id, Behaviour::Answers(200));
        }
        seconds(60).await;
        assert_eq!((heartbeat(&world).inconclusive, heartbeat(&world).inconclusive_api_ids.len()), (0, 0));
    });
}

#[test]
fn of_many_that_cannot_be_told_some_are_named_and_all_are_counted() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..50).map(|n| format!("api-{n}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        ids.iter().for_each(|id| world.targets.set(id, Behaviour::CannotBeAsked));
        let _running = world.start(options()).await;
        seconds(75).await;
        let heartbeat = heartbeat(&world);
        assert_eq!((heartbeat.inconclusive, heartbeat.inconclusive_api_ids.len()), (50, INCONCLUSIVE_NAMED_MAX));
        assert!(heartbeat.inconclusive_api_ids.is_sorted(), "{heartbeat:?}");
    });
}

#[test]
fn an_api_that_was_never_heard_of_is_late_as_well() {
    in_virtual_time(async {
        let world = world(&["a", "mute"]);
        world.targets.set("mute", Behaviour::NeverEnds);
        let _running = world.start(options()).await;
        seconds(75).await;
        let heartbeat = heartbeat(&world);
        assert_eq!((heartbeat.late, ids(&heartbeat), heartbeat.unknown), (1, vec!["mute"], 1));
    });
}

#[test]
fn of_many_that_are_late_the_longest_are_named_and_all_are_counted() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..50).map(|n| format!("api-{n}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        ids.iter().for_each(|id| world.targets.set(id, Behaviour::NeverEnds));
        let _running = world.start(options()).await;
        seconds(75).await;
        let heartbeat = heartbeat(&world);
        assert_eq!((heartbeat.late, heartbeat.late_api_ids.len()), (50, LATE_NAMED_MAX));
    });
}

#[test]
fn a_recheck_or_another_interval_makes_nobody_late() {
    in_virtual_time(async {
        // Its tick comes sooner than the recheck that takes its place.
        let mut suspect = api("suspect", 300);
        suspect.recheck = Duration::from_secs(120);
        suspect.failure_threshold = 50;
        let world = FakeWorld::new(vec![suspect, api("other", 10)]);
        world.targets.set("suspect", Behaviour::Refuses);
        let running = world.start(Options { heartbeat: Some(Duration::from_secs(5)), ..options() }).await;
        seconds(1).await;
        for _ in 0..120 {
            seconds(5).await;
            assert_eq!(heartbeat(&world).late, 0, "{:?}", heartbeat(&world));
        }
        let slow = api("other", 3_600);
        let suspect = api("suspect", 300);
        world.configs.set(vec![suspect, slow]);
        running.reload().await;
        for _ in 0..60 {
            seconds(5).await;
            assert_eq!(heartbeat(&world).late, 0, "{:?}", heartbeat(&world));
        }
    });
}

#[test]
fn a_single_round_writes_one_at_its_end_and_names_whoever_had_no_turn() {
    in_virtual_time(async {
        let world = world(&["a", "b", "mute"]);
        world.targets.set("mute", Behaviour::NeverEnds);
        world.targets.set("b", Behaviour::Refuses);
        let running = world.start(Options { once: true, ..options() }).await;
        seconds(3_600).await;
        assert_eq!(world.store.heartbeats(), 0);
        running.stop(Duration::ZERO).await;
        assert_eq!(world.store.heartbeats(), 1);
        let heartbeat = heartbeat(&world);
        assert_eq!((heartbeat.period, heartbeat.apis, heartbeat.up, heartbeat.down), (None, 3, 1, 1));
        assert_eq!((heartbeat.late, ids(&heartbeat)), (1, vec!["mute"]));
        assert_eq!(heartbeat.probes, 3, "a, and b twice");
    });
}

#[test]
fn the_end_of_a_round_waits_for_its_heartbeat_and_not_for_ever() {
    in_virtual_time(async {
        for (fault, written) in [(StoreFault::Slow(Duration::from_secs(2)), 1), (StoreFault::Hangs, 0)] {
            let world = world(&["a"]);
            let running = world.start(Options { once: true, ..options() }).await;
            seconds(10).await;
            running.flush(true, Duration::from_secs(10)).await;
            world.store.set_fault(fault);
            let began = tokio::time::Instant::now();
            running.stop(Duration::ZERO).await;
            assert_eq!(world.store.heartbeats(), written);
            assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        }
    });
}

fn rare_checkpoints() -> Options {
    Options { checkpoint: Duration::from_secs(86_400), ..options() }
}

#[test]
fn where_nothing_else_is_written_a_heartbeat_that_fails_shows_that_the_store_is_gone() {
    for fault in [StoreFault::Unavailable, StoreFault::Misconfigured, StoreFault::Hangs] {
        in_virtual_time(async move {
            let world = world(&["a", "b"]);
            let running = world.start(rare_checkpoints()).await;
            seconds(15).await;
            let heartbeats = world.store.heartbeats();
            world.store.set_fault(fault);
            let asked = world.store.heartbeats_asked();
            // Its period, the time until it fails, and the 30 s.
            seconds(60 + 15 + STORE_GONE_AFTER.as_secs() + 5).await;
            assert!(running.report().await.unwrap().store_is_gone);
            assert_eq!(world.channels[0].lines(), ["api-health:store down"], "{fault:?}");
            seconds(600).await;
            assert_eq!(world.channels[0].lines(), ["api-health:store down"], "once");
            let asked = world.store.heartbeats_asked() - asked;
            assert!(asked <= 700 / 10 + 12, "{asked}");
            if fault == StoreFault::Hangs {
                return; // Writes that never end are what adapters do not have.
            }
            assert!(asked >= 50, "tried sooner than once in a period: {asked}");
            world.store.set_fault(StoreFault::None);
            seconds(20).await;
            assert!(!running.report().await.unwrap().store_is_gone);
            assert_eq!(world.channels[0].lines(), ["api-health:store down", "api-health:store up"]);
            seconds(20).await;
            assert!(world.store.heartbeats() > heartbeats);
            let (asked, writes) = (world.store.heartbeats_asked(), world.store.writes());
            seconds(600).await;
            assert_eq!(world.store.heartbeats_asked() - asked, 10, "once in a period again");
            assert_eq!(world.store.writes(), writes);
        });
    }
}

#[test]
fn where_no_heartbeat_is_written_nothing_looks_before_the_next_write() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(Options { heartbeat: None, ..rare_checkpoints() }).await;
        seconds(15).await;
        world.store.set_fault(StoreFault::Unavailable);
        seconds(3_600).await;
        assert_eq!(world.channels[0].lines(), Vec::<String>::new());
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        assert!(world.channels[0].lines().contains(&"api-health:store down".to_owned()));
    });
}

#[test]
fn a_heartbeat_that_fails_alone_is_no_store_in_trouble_and_holds_up_no_write() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(rare_checkpoints()).await;
        seconds(15).await;
        let (written, heartbeats) = (world.store.writes(), world.store.heartbeats());
        world.store.set_heartbeat_fault(Some(StoreFault::Unavailable));
        seconds(300).await;
        assert!(!running.report().await.unwrap().store_is_gone);
        assert_eq!(world.channels[0].lines(), Vec::<String>::new(), "and nobody is told");
        let written = world.store.writes() - written;
        assert!((1..=5).contains(&written), "one write for each heartbeat that failed: {written}");
        world.store.set_heartbeat_fault(None);
        seconds(60).await;
        assert_eq!(world.store.heartbeats(), heartbeats + 1);
        let heartbeat = heartbeat(&world);
        assert!(
            heartbeat.at.since(heartbeat.probes_since) >= Duration::from_secs(300),
            "it says it all: {heartbeat:?}"
        );
        assert!(heartbeat.probes >= 30, "{heartbeat:?}");
        // One that never ends: states are written beside it, and it is given up.
        world.store.set_heartbeat_fault(Some(StoreFault::Hangs));
        seconds(61).await;
        world.store.set_heartbeat_fault(None);
        world.targets.set("a", Behaviour::Refuses);
        seconds(17).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        let heartbeats = world.store.heartbeats();
        seconds(60 + HEARTBEAT_MAX.as_secs()).await;
        assert!(world.store.heartbeats() > heartbeats);
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn heartbeats_that_are_taken_do_not_hide_that_states_are_not() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(15).await;
        world.store.set_heartbeat_fault(Some(StoreFault::None));
        world.store.set_fault(StoreFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(200).await;
        assert!(running.report().await.unwrap().store_is_gone);
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["a down", "api-health:store down"]);
    });
}

#[test]
fn a_keeper_that_died_or_was_replaced_goes_on_with_it() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(15).await;
        running.crash();
        let _running = world.start(options()).await;
        seconds(75).await;
        let heartbeat = heartbeat(&world);
        assert_eq!((heartbeat.apis, heartbeat.up, heartbeat.late), (2, 2, 0));
        assert_eq!(world.store.heartbeats(), 3);
    });
}

#[test]
fn a_crash_loses_figures_of_one_checkpoint_and_nothing_that_decides() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(Options { checkpoint: Duration::from_secs(3_600), ..options() }).await;
        seconds(1_800).await;
        let before = world.store.record("a").unwrap();
        assert!(world.clock.now().since(before.last_probe.unwrap().at) > Duration::from_secs(1_700), "the row is old");
        // One fail of two, and then it dies.
        world.targets.set("a", Behaviour::Refuses);
        let probed = world.targets.probed("a").len();
        while world.targets.probed("a").len() == probed {
            seconds(1).await;
        }
        seconds(1).await;
        running.crash();
        let suspect = world.store.record("a").unwrap();
        assert_eq!(suspect.streak.as_ref().map(|streak| streak.count), Some(1), "{suspect:?}");
        let running = world.start(Options { checkpoint: Duration::from_secs(3_600), ..options() }).await;
        seconds(3).await;
        running.crash();
        let down = world.store.record("a").unwrap();
        assert_eq!((down.status, down.owed.len()), (api_health_core::Status::Down, 0), "confirmed, told and settled");
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn why_an_alert_does_not_come_is_stored_long_before_a_checkpoint_that_is_far() {
    in_virtual_time(async {
        let world = world(&["a"]);
        world.channels[0].set_fault(crate::testkit::channel::ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        let _running = world.start(Options { checkpoint: Duration::from_secs(3_600), ..options() }).await;
        seconds(20).await;
        let owed = &world.store.record("a").unwrap().owed[0];
        assert!(owed.deliveries[0].failures > 0 && owed.deliveries[0].last_error.is_some(), "{owed:?}");
    });
}
