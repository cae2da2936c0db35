//! When probes run: on time, at their slot, whatever the others do.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::Slot;
use api_health_core::{ApiConfig, Schedule, Timestamp};

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
        assert!(gaps[0] >= Duration::from_secs(4) && gaps[0] < Duration::from_millis(5_100), "{gaps:?}");
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
        assert!(running.stats().counts().restarts >= 5, "the panicking one is started again");
        assert!(world.targets.probed("api-010").len() >= 5, "and probes again");
        assert!(running.stats().counts().lateness_ms(0.99).unwrap() <= 2);
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

const HOUR_MS: i64 = 3_600_000;

/// Stamps of the wall clock on the clock that is never set: those after the step less its span.
fn unset(probed: &[Timestamp], before: usize, step: i64) -> Vec<Timestamp> {
    let unset =
        |(n, at): (usize, &Timestamp)| if n < before { *at } else { Timestamp::from_millis(at.as_millis() - step) };
    probed.iter().enumerate().map(unset).collect()
}

/// Probes of an API on `schedule` around a step of the wall clock after `after` seconds and for `and_then` more, on the clock that is
/// never set; how many there were before it; and the ticks that were counted as missed.
async fn around_a_step(schedule: Schedule, step: i64, after: u64, and_then: u64) -> (Vec<Timestamp>, usize, u64) {
    let world = FakeWorld::new(vec![ApiConfig { schedule: Arc::new(schedule), ..api("a", 10) }]);
    let running = world.start(options()).await;
    seconds(after).await;
    let before = world.targets.probed("a").len();
    world.clock.step(step);
    seconds(and_then).await;
    let missed = running.stats().counts().missed_ticks;
    running.stop(Duration::from_secs(1)).await;
    (unset(&world.targets.probed("a"), before, step), before, missed)
}

#[test]
fn a_wall_clock_that_steps_by_an_hour_either_way_does_not_move_an_interval() {
    for step in [HOUR_MS, -HOUR_MS] {
        for after in [301, 305, 309] {
            in_virtual_time(async move {
                let schedule = Schedule::every(Duration::from_secs(10));
                let (probed, _, missed) = around_a_step(schedule, step, after, 2 * 3_600).await;
                let gaps = gaps(&probed[1..]);
                assert!(gaps.len() > 740, "{}", gaps.len());
                assert!(gaps.iter().all(|gap| gap.as_millis().abs_diff(10_000) <= 2), "step {step}: {gaps:?}");
                assert_eq!(missed, 0);
            });
        }
    }
}

#[test]
fn a_wall_clock_that_steps_by_an_hour_fires_no_burst_of_a_cron_schedule_and_leaves_no_gap_of_more_than_two_ticks() {
    for (expression, tick_seconds) in [("*/2 * * * *", 120), ("*/10 * * * * *", 10), ("*/20 * * * *", 1_200)] {
        for step in [HOUR_MS, -HOUR_MS, HOUR_MS + 61_000, 30_000 - HOUR_MS] {
            for after in [1_201, 1_500] {
                in_virtual_time(async move {
                    let case = format!("{expression}, {step} ms after {after} s");
                    let schedule = Schedule::cron(expression, "UTC", WORLD_BEGINS).unwrap();
                    let (probed, before, missed) =
                        around_a_step(schedule, step, after, (20 * tick_seconds).min(7_200)).await;
                    let (tick, gaps) = (Duration::from_secs(tick_seconds), gaps(&probed[1..]));
                    let longest = gaps.iter().max().unwrap();
                    assert!(*longest <= tick * 2 + Duration::from_millis(5), "{case}: {longest:?}");
                    // The one probe that finds the clock set is at most one more than the cadence has.
                    let since = probed[before - 1];
                    for window in [tick, tick * 2, tick * 10] {
                        let within = probed[before..].iter().filter(|at| at.since(since) <= window).count();
                        let most = usize::try_from(window.as_secs() / tick_seconds).unwrap() + 1;
                        assert!(within <= most, "{case}: {within} probes within {window:?}");
                    }
                    let after_a_while = &gaps[gaps.len() - 3..];
                    assert!(after_a_while.iter().all(|gap| gap.abs_diff(tick).as_millis() <= 5), "{case}: {gaps:?}");
                    assert_eq!(missed, 0, "{case}: a clock that is set skips no tick that there was");
                });
            }
        }
    }
}

#[test]
fn an_alerter_that_hangs_for_sixty_seconds_moves_no_probe() {
    in_virtual_time(async {
        let ids: Vec<String> = (0..600).map(|n| format!("api-{n:03}")).collect();
        let world = FakeWorld::new(ids.iter().map(|id| api(id, 10)).collect());
        let running = world.start(options()).await;
        seconds(60).await;
        world.channels[0].set_fault(ChannelFault::Hangs);
        // More alerts than the alerter has room for in its mailbox and its attempts under way.
        for id in &ids[..400] {
            world.targets.set(id, Behaviour::Answers(500));
        }
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), [] as [String; 0], "it hangs");
        assert_eq!(running.report().await.unwrap().owed, 400, "all is owed");
        for id in &ids {
            let well_before_and_after: Vec<Duration> = gaps(&world.targets.probed(id)[1..]);
            let on_time = well_before_and_after.iter().filter(|gap| gap.as_millis().abs_diff(10_000) <= 2).count();
            let suspected = 2 * usize::from(ids[..400].contains(id)); // a recheck, and the way back to the slot
            assert!(on_time + suspected >= well_before_and_after.len(), "{id}: {well_before_and_after:?}");
            assert!(well_before_and_after.len() >= 16, "{id}: {well_before_and_after:?}");
        }
        assert_eq!(running.stats().counts().missed_ticks, 0);
        assert!(running.stats().counts().lateness_ms(1.0).unwrap() <= 2);
    });
}

#[test]
fn ticks_that_a_held_up_recheck_slept_through_are_missed() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(35).await;
        world.targets.set("a", Behaviour::Answers(500));
        while world.store.record("a").is_none_or(|record| record.streak.is_none()) {
            seconds(1).await;
        }
        // The thread sleeps: time passes, and nobody is asked.
        tokio::time::advance(Duration::from_secs(45)).await;
        seconds(2).await;
        let missed = running.stats().counts().missed_ticks;
        assert!((3..=4).contains(&missed), "{missed}");
    });
}
