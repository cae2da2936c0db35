//! What feeds the watchdog of the process: the progress of probing, as the supervisor tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api_health_core::schedule::Schedule;

use super::injected_fault::{InjectedFault, Whom, inject};
use super::{options, seconds, world};
use crate::supervisor::{Asker, Progress};
use crate::system::{Gauges, Options, Running};
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, WORLD_BEGINS, api, in_virtual_time};

/// As often as it is asked under a watchdog of 30 s.
const ASKED_EVERY: u64 = 10;

async fn progress(gauges: &Gauges) -> Progress {
    tokio::time::timeout(Duration::from_secs(60), gauges.progress(Asker::Watchdog)).await.unwrap().unwrap()
}

/// The longest time without progress, as far as somebody sees it who asks every 10 s for so long.
async fn longest_standstill(running: &Running, for_seconds: u64) -> u64 {
    let gauges = running.gauges();
    let (mut longest, mut since) = (0, 0);
    for _ in 0..for_seconds / ASKED_EVERY {
        seconds(ASKED_EVERY).await;
        since = if progress(&gauges).await.is_made() { 0 } else { since + ASKED_EVERY };
        longest = longest.max(since);
    }
    longest
}

/// Lets a blocked thread go, so that a test that fails comes to its end.
struct Releases(Arc<AtomicBool>);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn hourly(ids: &[&str]) -> FakeWorld {
    FakeWorld::new(ids.iter().map(|id| api(id, 3_600)).collect())
}

#[test]
fn probing_and_waiting_for_the_next_tick_and_nothing_to_probe_are_progress() {
    for ids in [&["a", "b", "c"][..], &[]] {
        in_virtual_time(async {
            let world = hourly(ids);
            let running = world.start(options()).await;
            assert_eq!(longest_standstill(&running, 3 * 3_600).await, 0);
        });
    }
}

#[test]
fn one_prober_that_hangs_in_each_of_its_lives_is_given_up_and_does_not_cost_the_process() {
    in_virtual_time(async {
        let world = hourly(&["a", "b"]);
        world.targets.set("a", Behaviour::NeverEnds);
        let running = world.start(options()).await;
        assert_eq!(longest_standstill(&running, 300).await, 0);
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down"]);
        assert_eq!(
            world.channels[0].delivered()[0].1.reason,
            "it hung 3 times in a row without an outcome and is tried again every 300 s from now on; the last time it hung: it \
             was not heard of when it should have been"
        );
        assert_eq!(running.stats().counts().restarts, 2);
        assert_eq!(longest_standstill(&running, 2 * 3_600).await, 0);
        let restarts = running.stats().counts().restarts;
        assert!((15..=28).contains(&restarts), "tried slowly: {restarts}");
        assert_eq!(world.channels[0].lines().len(), 1, "and that is not told again");
        world.targets.set("a", Behaviour::Answers(200));
        seconds(2 * 3_600).await; // two passes are asked of a recovery, one in each hour

        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down", "api-health:prober:a up"]);
    });
}

#[test]
fn a_slow_timeout_does_not_keep_a_prober_that_hangs_from_being_given_up() {
    in_virtual_time(async {
        let mut slow = api("a", 10);
        slow.timeout = Duration::from_secs(60); // a life outlasts the period in which deaths are counted
        let world = FakeWorld::new(vec![slow, api("b", 10)]);
        world.targets.set("a", Behaviour::NeverEnds);
        let _running = world.start(options()).await;
        seconds(900).await;
        assert_eq!(world.channels[0].lines(), ["api-health:prober:a down"]);
    });
}

#[test]
fn a_prober_that_was_replaced_and_waits_for_its_next_tick_is_progress() {
    in_virtual_time(async {
        // It is killed when its tick is no longer open (five minutes), so that its next life waits for the next one.
        let mut nightly = api("a", 3_600);
        nightly.timeout = Duration::from_secs(150);
        nightly.schedule = Arc::new(Schedule::cron("0 * * * *", "UTC", WORLD_BEGINS).unwrap());
        let world = FakeWorld::new(vec![nightly]);
        let running = world.start(options()).await;
        world.targets.set("a", Behaviour::NeverEnds);
        let gauges = running.gauges();
        while running.stats().counts().restarts == 0 {
            seconds(1).await;
        }
        seconds(5).await;
        assert_eq!(
            progress(&gauges).await,
            Progress { apis: 1, stuck: 0, moved: false, is_paused: false, is_over: false }
        );
        assert_eq!(longest_standstill(&running, 1_800).await, 0);
        // It hangs again at the next tick, and is stuck then.
        assert!(longest_standstill(&running, 3_600).await > 0);
    });
}

#[test]
fn probers_that_all_hang_are_no_progress_however_often_they_are_replaced() {
    in_virtual_time(async {
        let world = world(&["a", "b", "c"]);
        let running = world.start(options()).await;
        seconds(30).await;
        for id in ["a", "b", "c"] {
            world.targets.set(id, Behaviour::NeverEnds);
        }
        assert!(longest_standstill(&running, 600).await > 500);
        assert_eq!(world.channels[0].lines().len(), 3, "each is given up");
        // It would be fed again, had nobody ended it.
        for id in ["a", "b", "c"] {
            world.targets.set(id, Behaviour::Answers(200));
        }
        seconds(400).await;
        assert_eq!(longest_standstill(&running, 600).await, 0);
    });
}

#[test]
fn targets_that_hang_are_progress_since_probers_tell_of_them() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        for id in ["a", "b"] {
            world.targets.set(id, Behaviour::Hangs);
        }
        assert_eq!(longest_standstill(&running, 600).await, 0);
    });
}

#[test]
fn a_judge_who_was_asleep_does_not_say_that_nothing_moves() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(30).await;
        let gauges = running.gauges();
        // Nobody runs meanwhile: what is due is late, and so is whoever looks.
        tokio::time::advance(Duration::from_secs(120)).await;
        assert!(progress(&gauges).await.is_made());
        assert_eq!(longest_standstill(&running, 600).await, 0);
    });
}

#[test]
fn threads_of_probers_that_do_not_move_are_no_progress_until_they_are_replaced() {
    actix_rt::System::new().block_on(async {
        let world = hourly(&["a"]);
        let late = Duration::from_secs(8); // so that somebody sees it on a busy machine as well
        let running = world.start_on_threads(Options { prober_threads: 1, stuck_after: late, ..options() }).await;
        let gauges = running.gauges();
        let released = Arc::new(AtomicBool::new(false));
        let _on_failure = Releases(Arc::clone(&released));
        let is = async |wanted: bool| {
            let looking = async {
                while progress(&gauges).await.is_made() != wanted {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap();
        };
        is(true).await;
        let blocks = InjectedFault::BlockThread(Arc::clone(&released));
        assert!(inject(&running, Whom::prober("a"), blocks).await);
        is(false).await;
        is(true).await; // the thread is left behind
        running.stop(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_dead_supervisor_says_nothing() {
    in_virtual_time(async {
        let running = world(&["a"]).start(options()).await;
        let gauges = running.gauges();
        assert!(gauges.progress(Asker::Watchdog).await.is_some());
        running.crash();
        seconds(1).await;
        assert_eq!(gauges.progress(Asker::Watchdog).await, None);
    });
}
