//! The end of the process: when the chain cannot be kept alive, when the supervisor dies, and in order.

use std::time::Duration;

use futures_util::FutureExt;

use super::super::{options, seconds, watching, world};
use super::{ALERTER, InjectedFault, KEEPER, OUTCOME_BATCHER, Whom, give, inject};
use crate::child::ExitReason;
use crate::testkit::channel::ChannelFault;
use crate::testkit::in_virtual_time;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;

#[test]
fn past_the_intensity_of_the_chain_the_process_has_to_end() {
    for (whom, name) in [(ALERTER, "alerter"), (KEEPER, "state-keeper"), (OUTCOME_BATCHER, "outcome-batcher")] {
        in_virtual_time(async {
            let world = world(&["a"]);
            let mut running = world.start(options()).await;
            for _ in 0..3 {
                seconds(5).await;
                give(&running, whom.clone(), InjectedFault::Panic).await;
            }
            seconds(5).await;
            assert!(running.fatal().now_or_never().is_none(), "three deaths are borne");
            give(&running, whom.clone(), InjectedFault::Panic).await;
            let fatal = running.fatal().await;
            assert_eq!((fatal.child, fatal.reason), (name, ExitReason::Panic("planted in a message".into())));
            let probes = world.targets.probed("a").len();
            seconds(60).await;
            assert_eq!(world.targets.probed("a").len(), probes, "nobody probes for nobody");
            let again = running.fatal().await;
            assert_eq!(again.child, name, "whoever asks again hears it again");
            let began = tokio::time::Instant::now();
            running.stop(Duration::from_secs(1)).await;
            assert!(began.elapsed() <= Duration::from_secs(12));
        });
    }
}

#[test]
fn what_a_live_keeper_holds_is_stored_before_the_process_ends() {
    in_virtual_time(async {
        let (world, mut running) = watching(&["a"]).await;
        for _ in 0..4 {
            give(&running, ALERTER, InjectedFault::Panic).await;
            seconds(1).await;
        }
        let last = *world.targets.probed("a").last().unwrap();
        assert_eq!(running.fatal().await.child, "alerter");
        running.crash();
        assert!(world.store.record("a").unwrap().last_probe.unwrap().at >= last);
    });
}

#[test]
fn the_death_of_the_supervisor_ends_the_process_at_once_and_nobody_is_left() {
    in_virtual_time(async {
        let (world, mut running) = watching(&["a"]).await;
        give(&running, Whom::Supervisor, InjectedFault::PanicInTimer).await;
        let fatal = running.fatal().await;
        assert_eq!((fatal.child, fatal.reason), ("supervisor", ExitReason::Panic("planted in a timer".into())));
        let (probes, writes) = (world.targets.probed("a").len(), world.store.writes());
        seconds(60).await;
        assert_eq!((world.targets.probed("a").len(), world.store.writes()), (probes, writes));
        assert!(running.report().await.is_none());
    });
}

#[test]
fn a_stop_in_the_middle_of_a_restart_stores_what_was_carried() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(25).await; // far from any checkpoint
        let last = *world.targets.probed("a").last().unwrap();
        give(&running, ALERTER, InjectedFault::Panic).await;
        let report = running.stop(Duration::from_secs(5)).await;
        assert_eq!(report.keeper.unwrap().unsaved, 0);
        assert!(world.store.record("a").unwrap().last_probe.unwrap().at >= last);
        let probes = world.targets.probed("a").len();
        seconds(60).await;
        assert_eq!(world.targets.probed("a").len(), probes);
    });
}

#[test]
fn a_stop_keeps_its_deadline_whoever_hangs() {
    for whom in [ALERTER, KEEPER, OUTCOME_BATCHER, Whom::Supervisor] {
        in_virtual_time(async {
            let (world, running) = watching(&["a"]).await;
            inject(&running, whom.clone(), InjectedFault::Hang).await;
            world.channels[0].set_fault(ChannelFault::Hangs);
            world.targets.set("a", Behaviour::Hangs);
            seconds(11).await;
            let began = tokio::time::Instant::now();
            running.stop(Duration::from_secs(10)).await;
            assert!(began.elapsed() <= Duration::from_secs(26), "{whom:?}: {:?}", began.elapsed());
            let probes = world.targets.probed("a").len();
            seconds(60).await;
            assert_eq!(world.targets.probed("a").len(), probes, "{whom:?}");
        });
    }
}

#[test]
fn whoever_asks_again_and_again_whether_it_has_to_end_hears_of_it_in_time() {
    in_virtual_time(async {
        let (world, mut running) = watching(&["a"]).await;
        // What cannot be stored, so that there is something to wait for.
        world.store.set_fault(StoreFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(20).await;
        for _ in 0..4 {
            give(&running, ALERTER, InjectedFault::Panic).await;
            seconds(3).await;
        }
        let mut asked = 0;
        while tokio::time::timeout(Duration::from_secs(1), running.fatal()).await.is_err() {
            asked += 1;
            assert!(asked < 20, "it never comes");
        }
    });
}
