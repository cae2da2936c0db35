//! The death of a prober costs that one a restart, and nobody else anything.

use std::time::Duration;

use api_health_core::restart::RestartPolicy;
use api_health_core::{ApiConfig, Status};
use futures_util::FutureExt;

use super::super::{options, seconds};
use super::{InjectedFault, Whom, gaps_ms, give, inject, is_at_slot, prober, until};
use crate::liveness::SLACK;
use crate::system::{Options, Running};
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

/// Where the fault is planted into the prober of `a`.
enum Fault {
    /// When so many a task of its first life begins to work: first its factory, then itself.
    NewTask(u32),
    /// While it runs.
    Takes(InjectedFault),
    /// In its probe, for one probe.
    Probe(Behaviour),
}

async fn costs_one_restart(fault: Fault) {
    let ids: Vec<String> = (0..9).map(|n| format!("other-{n}")).collect();
    let mut apis: Vec<ApiConfig> = ids.iter().map(|id| api(id, 10)).collect();
    apis.push(api("a", 10));
    let world = FakeWorld::new(apis.clone());
    if let Fault::NewTask(_) = fault {
        world.configs.set(apis[..9].to_vec());
        world.clock.note_tasks();
    }
    let running = world.start(options()).await;
    seconds(25).await;
    match fault {
        Fault::NewTask(nth) => {
            world.clock.panic_in_new_task(nth);
            world.configs.set(apis);
        }
        Fault::Takes(fault) => give(&running, prober("a"), fault).await,
        Fault::Probe(behaviour) => {
            world.targets.set("a", behaviour);
            let probes = world.targets.probed("a").len();
            until("the fatal probe", || world.targets.probed("a").len() > probes).await;
            world.targets.set("a", Behaviour::Answers(200));
        }
    }
    seconds(300).await;
    assert_eq!(running.stats().counts().restarts, 1, "one death, one restart, and late notices count for nothing");
    assert_eq!(running.probers(), 10);
    for id in &ids {
        let probed = world.targets.probed(id);
        assert!(probed.len() >= 32, "{id}: {}", probed.len());
        assert!(gaps_ms(&probed[1..]).iter().all(|gap| gap.abs_diff(10_000) <= 2), "{id}: {probed:?}");
    }
    let probed = world.targets.probed("a");
    let (_, last) = probed.split_at(probed.len() - 20);
    assert!(last.iter().all(|at| is_at_slot("a", *at)), "it keeps its slot: {last:?}");
    assert!(world.channels[0].lines().is_empty(), "and that is nothing to tell: {:?}", world.channels[0].lines());
    assert_eq!(world.store.record("a").unwrap().status, Status::Up);
}

#[test]
fn a_panic_anywhere_costs_one_restart_and_nobody_else_anything() {
    for nth in [1, 2] {
        in_virtual_time(costs_one_restart(Fault::NewTask(nth))); // in the factory, and in `started`
    }
    for fault in [InjectedFault::Panic, InjectedFault::PanicInTimer, InjectedFault::PanicInDestructor] {
        in_virtual_time(costs_one_restart(Fault::Takes(fault)));
    }
    for place in [Behaviour::PanicsAtOnce, Behaviour::Panics, Behaviour::PanicsAfterwards] {
        in_virtual_time(costs_one_restart(Fault::Probe(place))); // in a timer, in the probe, and when it is over
    }
}

#[test]
fn a_prober_that_no_longer_moves_is_noticed_and_replaced() {
    in_virtual_time(costs_one_restart(Fault::Takes(InjectedFault::Hang)));
    in_virtual_time(costs_one_restart(Fault::Probe(Behaviour::NeverEnds)));
}

#[test]
fn a_probe_that_never_ends_is_cut_when_its_prober_is_overdue_and_its_ticks_are_missed() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10)]);
        let running = world.start(options()).await;
        seconds(21).await;
        world.targets.set("a", Behaviour::NeverEnds);
        let probes = world.targets.probed("a").len();
        until("the probe", || world.targets.probed("a").len() > probes).await;
        world.targets.set("a", Behaviour::Answers(200));
        until("its end", || running.stats().counts().restarts > 0).await;
        seconds(1).await;
        let probed = world.targets.probed("a");
        let cut_after = probed[probes + 1].since(probed[probes]);
        let expected = api("a", 10).timeout * 2 + SLACK;
        assert!(cut_after > expected && cut_after < expected + Duration::from_secs(2), "{cut_after:?}");
        seconds(90).await;
        running.stop(Duration::from_secs(5)).await;
        assert_eq!(world.store.record("a").unwrap().missed_ticks, 2, "of 21 s, at one in 10 s");
        assert_eq!(world.store.record("a").unwrap().status, Status::Up, "and not taken for an outage");
    });
}

#[test]
fn a_slow_probe_a_rare_tick_and_a_recheck_are_no_reason_to_be_killed() {
    in_virtual_time(async {
        let mut slow = api("slow", 10);
        slow.timeout = Duration::from_secs(120);
        let world = FakeWorld::new(vec![slow, api("rare", 7_200), api("down", 3_600)]);
        world.targets.set("slow", Behaviour::Hangs);
        world.targets.set("down", Behaviour::Refuses);
        let running = world.start(options()).await;
        seconds(2 * 7_200).await;
        assert_eq!(running.stats().counts().restarts, 0);
        assert_eq!(world.targets.probed("rare").len(), 3);
    });
}

#[test]
fn after_a_suspension_nobody_is_accused() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..50).map(|n| format!("api-{n:02}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        for id in &ids[..10] {
            world.targets.set(id, Behaviour::Hangs);
        }
        let mut running = world.start(options()).await;
        for suspended in [30, 3_600] {
            tokio::time::sleep(Duration::from_millis(25_300)).await;
            tokio::time::advance(Duration::from_secs(suspended)).await;
            seconds(60).await;
            assert_eq!(running.stats().counts().restarts, 0, "{suspended} s");
            assert!(running.fatal().now_or_never().is_none());
        }
        running.stop(Duration::from_secs(5)).await;
        let missed: Vec<u64> = ids.iter().map(|id| world.store.record(id).unwrap().missed_ticks).collect();
        assert!(missed.iter().all(|missed| *missed >= 361), "but ticks were missed: {missed:?}");
    });
}

#[test]
fn the_outcome_that_was_lost_is_asked_for_again_soon_and_ticks_in_between_are_missed() {
    in_virtual_time(async {
        let restart = RestartPolicy {
            delay_min: Duration::from_secs(24),
            delay_max: Duration::from_secs(24),
            ..RestartPolicy::PROBER
        };
        let world = FakeWorld::new(vec![api("a", 10)]);
        let running = world.start(Options { restart, ..options() }).await;
        seconds(21).await;
        world.targets.set("a", Behaviour::Panics);
        let probes = world.targets.probed("a").len();
        until("its death", || world.targets.probed("a").len() > probes).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(60).await;
        let probed = world.targets.probed("a");
        let again = probed[probes + 1].since(probed[probes]);
        assert!(again >= Duration::from_secs(24) && again <= Duration::from_secs(31), "after the delay: {again:?}");
        let ticks = u64::try_from(again.as_millis() / 10_000).unwrap();
        assert!((2..=3).contains(&ticks));
        running.stop(Duration::from_secs(5)).await;
        assert_eq!(world.store.record("a").unwrap().missed_ticks, ticks);
    });
}

#[test]
fn a_prober_that_dies_after_a_fail_does_not_confirm_a_blip() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 30)]);
        let running = world.start(options()).await;
        seconds(35).await;
        world.targets.set("a", Behaviour::Refuses);
        let probes = world.targets.probed("a").len();
        until("a fail", || world.targets.probed("a").len() > probes).await;
        tokio::time::sleep(Duration::from_millis(500)).await; // it is in the keeper's hands
        give(&running, prober("a"), InjectedFault::Panic).await;
        seconds(20).await;
        let probed = world.targets.probed("a");
        let recheck = probed[probes + 1].since(probed[probes]).as_millis();
        assert!((4_000..5_600).contains(&recheck), "neither sooner than the recheck nor forgotten: {recheck} ms");
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn one_that_dies_too_often_is_given_up_loudly_tried_slowly_and_well_again_when_it_lives() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10), api("b", 10)]);
        let running = world.start(options()).await;
        seconds(25).await;
        world.targets.set("a", Behaviour::Panics);
        let probes = world.targets.probed("a").len();
        seconds(30).await;
        assert_eq!(
            world.channels[0].lines(),
            ["api-health:prober:a down"],
            "within seconds, and nothing of the API itself"
        );
        assert_eq!(world.targets.probed("a").len() - probes, 6, "five deaths are borne, the sixth is not");
        let told = world.channels[0].delivered()[0].1.reason.clone();
        assert_eq!(
            told,
            "it died 6 times within 60 s and is tried again every 300 s from now on; the last time it panicked: planted"
        );
        assert_eq!(world.store.record("a").unwrap().status, Status::Up, "what is known of the API stays");
        seconds(1_200).await;
        let tries = world.targets.probed("a").len() - probes - 6;
        assert!((3..=4).contains(&tries), "tried slowly: {tries}");
        assert_eq!(world.channels[0].lines().len(), 1, "and that is not told again");
        world.targets.set("a", Behaviour::Answers(200));
        seconds(420).await;
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down", "api-health:prober:a up"]);
        assert!(gaps_ms(&world.targets.probed("b")[1..]).iter().all(|gap| gap.abs_diff(10_000) <= 2));
        assert!(world.store.record("a").unwrap().missed_ticks > 100, "nobody served them");
        seconds(60).await;
        let restarts = running.stats().counts().restarts;
        give(&running, prober("a"), InjectedFault::Panic).await;
        seconds(1).await;
        assert_eq!(
            running.stats().counts().restarts,
            restarts + 1,
            "and its deaths are forgiven: one more is borne like any"
        );
        assert_eq!(world.channels[0].lines().len(), 2);
    });
}

#[test]
fn a_changed_row_is_tried_at_once_also_if_its_prober_was_given_up() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10)]);
        let _running = world.start(options()).await;
        seconds(5).await;
        world.targets.set("a", Behaviour::Panics);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down"]);
        let probes = world.targets.probed("a").len();
        world.targets.set("a", Behaviour::Answers(200));
        world.configs.set(vec![ApiConfig { url: "http://mended.test/".into(), ..api("a", 10) }]);
        seconds(3).await;
        assert_eq!(world.targets.probed("a").len(), probes + 1);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down", "api-health:prober:a up"]);
    });
}

#[test]
fn a_life_that_lasts_for_a_period_makes_up_for_the_deaths_before_it() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10)]);
        let running = world.start(options()).await;
        for _ in 0..4 {
            for _ in 0..5 {
                seconds(2).await;
                give(&running, prober("a"), InjectedFault::Panic).await;
            }
            seconds(90).await;
        }
        assert_eq!(running.stats().counts().restarts, 20);
        assert!(world.channels[0].lines().is_empty(), "never given up");
    });
}

async fn kill_all(running: &Running, ids: &[String]) {
    for id in ids {
        assert!(inject(running, Whom::prober(id), InjectedFault::Panic).await);
    }
}

#[test]
fn a_storm_of_deaths_is_followed_by_no_storm_of_starts() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..1_000).map(|n| format!("api-{n:04}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 600)).collect());
        let running = world.start(options()).await;
        seconds(10).await;
        kill_all(&running, &ids).await;
        let mut before = 0;
        let mut per_second = Vec::new();
        while running.stats().counts().restarts < 1_000 {
            seconds(1).await;
            let now = running.stats().counts().restarts;
            per_second.push(now - before);
            before = now;
            assert!(per_second.len() < 60, "all of them, in the end: {per_second:?}");
        }
        let cap = u64::from(api_health_core::supervise::RESTARTS_PER_SECOND);
        assert!(per_second.iter().all(|starts| *starts <= cap + 1), "{per_second:?}");
        assert!(per_second.len() <= 7, "and no slower than that: {per_second:?}");
        seconds(700).await;
        assert_eq!(running.stats().counts().restarts, 1_000);
        assert!(ids.iter().all(|id| world.targets.probed(id).len() >= 2));
    });
}

#[test]
fn a_row_that_is_removed_while_its_prober_is_dead_starts_nobody() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10), api("b", 10)]);
        let running = world.start(options()).await;
        seconds(5).await;
        world.targets.set("a", Behaviour::Panics);
        seconds(30).await;
        world.configs.set(vec![api("b", 10)]);
        seconds(3).await;
        let probes = world.targets.probed("a").len();
        seconds(900).await;
        assert_eq!((world.targets.probed("a").len(), running.probers()), (probes, 1));
        world.targets.set("a", Behaviour::Answers(200));
        world.configs.set(vec![api("a", 10), api("b", 10)]);
        seconds(100).await;
        assert!(world.targets.probed("a").len() >= probes + 10, "a new row begins anew");
    });
}

#[test]
fn in_a_single_round_a_hanging_probe_ends_and_counts_as_a_death() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10), api("hangs", 10)]);
        world.targets.set("hangs", Behaviour::NeverEnds);
        let running = world.start(Options { once: true, ..options() }).await;
        running.round().finished().await;
        seconds(1).await;
        assert_eq!(running.round().deaths(), 1);
        assert!(running.flush(true, Duration::from_secs(5)).await);
    });
}
