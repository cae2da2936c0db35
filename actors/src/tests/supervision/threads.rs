//! Threads that end or are stuck: with real threads, in real time, waiting for conditions and never for a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::super::options;
use super::{InjectedFault, Whom, give, prober, until};
use crate::child::ExitReason;
use crate::supervisor::ChildId;
use crate::system::{Options, Running};
use crate::testkit::{FakeWorld, api};

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn on_threads() -> Options {
    Options { prober_threads: 2, stuck_after: Duration::from_secs(2), ..options() }
}

async fn start() -> (FakeWorld, Running) {
    let world = FakeWorld::new(IDS.iter().map(|id| api(id, 1)).collect());
    let running = world.start_on_threads(on_threads()).await;
    until_all_probe(&world).await;
    (world, running)
}

/// Each of them is probed twice more.
async fn until_all_probe(world: &FakeWorld) {
    let before: Vec<usize> = IDS.iter().map(|id| world.targets.probed(id).len()).collect();
    until("all are probed", || IDS.iter().zip(&before).all(|(id, n)| world.targets.probed(id).len() >= n + 2)).await;
}

#[test]
fn a_thread_that_ends_is_replaced_and_its_probers_move() {
    actix_rt::System::new().block_on(async {
        let (world, running) = start().await;
        give(&running, prober("a"), InjectedFault::EndThread).await;
        until_all_probe(&world).await;
        assert_eq!(running.stats().counts().restarts, 0, "it is not charged to them");
        for whom in [ChildId::Keeper, ChildId::Alerter, ChildId::Batcher(1)] {
            give(&running, Whom::Child(whom), InjectedFault::EndThread).await;
            until_all_probe(&world).await;
        }
        assert_eq!(running.stats().counts().restarts, 0);
        let report = running.stop(Duration::from_secs(5)).await;
        assert_eq!(report.keeper.unwrap().unsaved, 0);
        assert!(IDS.iter().all(|id| world.store.record(id).is_some()));
    });
}

#[test]
fn a_stuck_thread_is_left_behind_and_a_second_one_ends_the_process() {
    actix_rt::System::new().block_on(async {
        let (world, mut running) = start().await;
        let released = Arc::new(AtomicBool::new(false));
        give(&running, prober("a"), InjectedFault::BlockThread(Arc::clone(&released))).await;
        until_all_probe(&world).await;
        assert_eq!(running.stats().counts().restarts, 0);
        give(&running, prober("a"), InjectedFault::BlockThread(Arc::clone(&released))).await;
        let fatal = running.fatal().await;
        assert_eq!((fatal.child, fatal.reason), ("thread of probers", ExitReason::Hung));
        released.store(true, Ordering::SeqCst);
        running.crash();
    });
}

#[test]
fn a_stuck_thread_that_moves_again_probes_nothing_twice() {
    actix_rt::System::new().block_on(async {
        let (world, mut running) = start().await;
        let released = Arc::new(AtomicBool::new(false));
        give(&running, prober("a"), InjectedFault::BlockThread(Arc::clone(&released))).await;
        until_all_probe(&world).await;
        released.store(true, Ordering::SeqCst);
        until_all_probe(&world).await;
        for id in IDS {
            let probed = world.targets.probed(id);
            let last = &probed[probed.len() - 2..];
            assert!(last[1].since(last[0]) > Duration::from_millis(500), "{id}: {last:?}");
        }
        assert_eq!(running.stats().counts().restarts, 0, "late notices of lives that are over count for nothing");
        // Nor for the outcome batcher: it was moved once, and three times in a minute are borne.
        let home = usize::try_from(api("a", 1).api_id.stable_hash() % 2).unwrap();
        for _ in 0..2 {
            give(&running, Whom::Child(ChildId::Batcher(home)), InjectedFault::Panic).await;
            until_all_probe(&world).await;
        }
        assert!(running.fatal().now_or_never().is_none());
        running.stop(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_stuck_keeper_ends_the_process() {
    actix_rt::System::new().block_on(async {
        let (_world, mut running) = start().await;
        let released = Arc::new(AtomicBool::new(false));
        give(&running, Whom::Child(ChildId::Keeper), InjectedFault::BlockThread(Arc::clone(&released))).await;
        let fatal = running.fatal().await;
        assert_eq!((fatal.child, fatal.reason), ("state-keeper", ExitReason::Hung));
        released.store(true, Ordering::SeqCst);
        running.crash();
    });
}
