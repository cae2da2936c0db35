//! Told once, in order, whatever dies.

use std::time::Duration;

use api_health_core::delivery::OWED_MAX;
use api_health_core::{AlertKind, Status};

use super::{options, seconds, watching, world};
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeChannel, api, in_virtual_time};

#[test]
fn down_and_up_are_told_once_each_with_the_time_they_began() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let _running = world.start(options()).await;
        seconds(30).await;
        assert!(world.channels[0].lines().is_empty(), "up is nothing to tell");
        world.targets.set("a", Behaviour::Answers(503));
        seconds(120).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        let told = world.channels[0].delivered();
        let first_fail = told[0].1.happened_at;
        assert!(world.targets.probed("a").contains(&first_fail), "dated to the probe that saw it first");
        assert_eq!(told[0].1.reason, "status 503 is not in 2xx");
        assert_eq!(told[1].1.incident_id, told[0].1.incident_id);
        let late = told[0].0.since(first_fail);
        assert!(late >= Duration::from_secs(4) && late < Duration::from_secs(6), "one recheck later: {late:?}");
        assert!(world.store.record("a").unwrap().owed.is_empty(), "settled");
    });
}

#[test]
fn what_came_and_went_while_the_channel_was_dead_is_told_in_order() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(600).await;
        assert!(world.channels[0].lines().is_empty());
        assert_eq!(world.store.record("a").unwrap().owed.len(), 2);
        world.channels[0].set_fault(ChannelFault::None);
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
    });
}

#[test]
fn a_dead_channel_holds_up_no_other_and_a_failing_alert_no_other() {
    in_virtual_time(async {
        let mut world = world(&["a", "b"]);
        world.channels.push(FakeChannel::new("mail", world.clock.clone()));
        let _running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Permanent);
        world.channels[1].set_fault(ChannelFault::RefusesOne(api("a", 1).api_id));
        world.targets.set("a", Behaviour::Refuses);
        world.targets.set("b", Behaviour::Refuses);
        seconds(60).await;
        assert_eq!(world.channels[1].lines(), ["b down"]);
        world.targets.set("b", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[1].lines(), ["b down", "b up"]);
        assert!(world.channels[0].lines().is_empty());
        world.channels[0].set_fault(ChannelFault::None);
        world.channels[1].set_fault(ChannelFault::None);
        seconds(900).await;
        let mut pager = world.channels[0].lines();
        pager.sort();
        assert_eq!(pager, ["a down", "b down", "b up"]);
        assert_eq!(world.channels[1].lines(), ["b down", "b up", "a down"]);
    });
}

#[test]
fn a_restart_in_an_outage_tells_no_second_down_and_tells_the_recovery() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        running.crash();
        seconds(1).await;
        let _again = world.start(options()).await;
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        world.targets.set("a", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
    });
}

#[test]
fn what_was_owed_when_the_program_died_is_told_after_the_restart_and_a_streak_goes_on() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        running.stop(Duration::from_secs(1)).await;
        assert_eq!(world.store.record("a").unwrap().owed.len(), 1);
        world.channels[0].set_fault(ChannelFault::None);
        let mut suspect = world.store.record("b").unwrap();
        suspect.streak = Some(api_health_core::state::Streak {
            toward: api_health_core::Toward::Down,
            request_fingerprint: 0,
            count: 1,
            first_at: suspect.last_probe.as_ref().unwrap().at,
        });
        world.store.overwrite(suspect);
        world.targets.set("b", Behaviour::Refuses);
        let _again = world.start(options()).await;
        seconds(2).await;
        let mut told = world.channels[0].lines();
        told.sort();
        assert_eq!(told, ["a down", "b down"], "one more fail was enough for b");
    });
}

#[test]
fn a_dead_store_stops_no_probe_and_silences_no_alert() {
    in_virtual_time(async {
        let (world, _running) = watching(&["a"]).await;
        for fault in [StoreFault::Unavailable, StoreFault::Hangs] {
            let told_before = world.channels[0].lines_of_apis().len();
            world.store.set_fault(fault);
            world.targets.set("a", Behaviour::Refuses);
            let probes_before = world.targets.probed("a").len();
            seconds(20).await;
            assert_eq!(world.channels[0].lines_of_apis().len(), told_before, "not stored, and not long enough");
            seconds(100).await;
            assert_eq!(
                world.channels[0].lines_of_apis().len(),
                told_before + 1,
                "30 s later it is told all the same (P5)"
            );
            let probes = world.targets.probed("a").len() - probes_before;
            assert!((12..=14).contains(&probes), "the cadence is kept: {probes}");
            world.targets.set("a", Behaviour::Answers(200));
            if fault == StoreFault::Unavailable {
                world.store.set_fault(StoreFault::None);
                seconds(60).await;
                let record = world.store.record("a").unwrap();
                assert_eq!((record.status, record.owed.len()), (Status::Up, 0));
                assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"], "nothing twice");
            }
        }
    });
}

#[test]
fn a_notifier_that_panics_has_not_delivered() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Panics);
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        assert_eq!(world.store.record("a").unwrap().owed.len(), 1, "still owed");
        world.channels[0].set_fault(ChannelFault::None);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn a_lost_answer_is_not_taken_for_somebody_elses_write() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.store.set_fault(StoreFault::AnswerLost);
        world.targets.set("a", Behaviour::Refuses);
        let probes = world.targets.probed("a").len();
        while world.targets.probed("a").len() == probes {
            seconds(1).await;
        }
        // One fail was stored, and the answer lost. Counted twice, it would be an outage.
        world.targets.set("a", Behaviour::Answers(200));
        seconds(3).await;
        world.store.set_fault(StoreFault::None);
        seconds(60).await;
        assert!(world.channels[0].lines().is_empty(), "a blip");
        world.store.set_fault(StoreFault::AnswerLost);
        world.targets.set("a", Behaviour::Refuses);
        seconds(8).await;
        world.store.set_fault(StoreFault::None);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.owed.len()), (Status::Down, 0));
    });
}

#[test]
fn a_record_that_somebody_else_wrote_is_decided_upon_again() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        let mut theirs = world.store.record("a").unwrap();
        theirs.version += 7;
        theirs.missed_ticks = 41;
        world.store.overwrite(theirs.clone());
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        let record = world.store.record("a").unwrap();
        assert!(record.version > theirs.version);
        assert_eq!((record.status, record.missed_ticks), (Status::Down, 41), "theirs, with our outcomes on top");
        let (told_at, alert) = world.channels[0].delivered()[0].clone();
        assert!(told_at.since(alert.happened_at) < Duration::from_secs(6), "the fail that met the conflict counted");
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn a_channel_that_is_dead_for_long_under_flapping_costs_a_bounded_outbox_and_ends_on_the_truth() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        for flap in 0..80 {
            world.targets.set("a", if flap % 2 == 0 { Behaviour::Refuses } else { Behaviour::Answers(200) });
            seconds(30).await;
        }
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        assert!(world.store.record("a").unwrap().owed.len() <= OWED_MAX);
        world.channels[0].set_fault(ChannelFault::None);
        seconds(600).await;
        let told = world.channels[0].delivered();
        assert_eq!(world.channels[0].lines().last().unwrap(), "a down");
        let left_out: u32 = told.iter().map(|(_, alert)| alert.changes_left_out).sum();
        assert_eq!(told.len() + left_out as usize, 81);
    });
}

#[test]
fn a_storm_is_told_in_a_digest_in_which_each_alert_is_told_once_and_settled() {
    in_virtual_time(async {
        let names: Vec<String> = (0..20).map(|n| format!("api-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let world = world(&names);
        let _running = world.start(Options { digest_above: 3, ..options() }).await;
        seconds(30).await;
        world.channels[0].set_fault(ChannelFault::AnswerLost);
        names.iter().for_each(|name| world.targets.set(name, Behaviour::Refuses));
        seconds(60).await;
        world.channels[0].set_fault(ChannelFault::None);
        seconds(120).await;
        names.iter().for_each(|name| world.targets.set(name, Behaviour::Answers(200)));
        seconds(120).await;
        let told = world.channels[0].delivered();
        for name in &names {
            let of_it = told.iter().filter(|(_, alert)| alert.api_id.as_str() == *name);
            let mut ids: Vec<&str> = of_it.map(|(_, alert)| alert.alert_id.as_str()).collect();
            ids.dedup(); // a repeat has the same id
            assert!(ids.len() == 2 && ids[0].ends_with(".down") && ids[1].ends_with(".up"), "{ids:?}");
            assert!(world.store.record(name).unwrap().owed.is_empty());
        }
        let mut moments: Vec<_> =
            told.iter().filter(|(_, alert)| alert.kind == AlertKind::Up).map(|told| told.0).collect();
        moments.dedup();
        assert!(moments.len() < names.len() / 2, "the recoveries came in few messages: {moments:?}");
    });
}
