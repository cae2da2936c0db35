//! A thousand APIs go down at once, while the channel takes its time: each is told once, the oldest first.

use std::collections::HashMap;
use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::keep::DELIVERIES_IN_FLIGHT_MAX;

use super::{options, seconds};
use crate::ports::Clock as _;
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

const APIS: usize = 1_000;

/// How long the channel takes for a message, at most.
const SLOW_MS: u64 = 3_000;

fn ids() -> Vec<String> {
    (0..APIS).map(|n| format!("api-{n}")).collect()
}

/// All of them are down within the second after this.
async fn all_go_down(world: &FakeWorld) -> Timestamp {
    seconds(30).await;
    world.channels[0].set_latency(SLOW_MS);
    ids().iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
    world.clock.now()
}

/// Each was told once. When the last one was.
fn told_once(world: &FakeWorld) -> Timestamp {
    let told = world.channels[0].delivered();
    let mut times: HashMap<&str, usize> = HashMap::new();
    told.iter().for_each(|(_, alert)| *times.entry(alert.api_id.as_str()).or_default() += 1);
    assert_eq!(times.len(), APIS);
    assert!(times.values().all(|times| *times == 1), "none twice");
    told.last().expect("a thousand").0
}

#[test]
fn a_slow_channel_is_told_each_once_and_the_oldest_first() {
    in_virtual_time(async {
        let world = FakeWorld::new(ids().iter().map(|id| api(id, 10)).collect());
        let running = world.start(options()).await;
        let from = all_go_down(&world).await;
        seconds(240).await;
        let took = told_once(&world).since(from);
        // As fast as so many side by side can be, and a little for finding out.
        let best = Duration::from_millis(SLOW_MS / 2 * (APIS / DELIVERIES_IN_FLIGHT_MAX) as u64);
        assert!(took < best + Duration::from_secs(60), "{took:?}, at best {best:?}");
        let decided: Vec<Timestamp> =
            world.channels[0].delivered().iter().map(|(_, alert)| alert.detected_at).collect();
        let newest = |before: &[Timestamp]| before.iter().max().copied();
        for (n, at) in decided.iter().enumerate().skip(DELIVERIES_IN_FLIGHT_MAX * 4) {
            // Those that are under way side by side may end in any order, but none waits for what came about after it.
            let before = newest(&decided[..n - DELIVERIES_IN_FLIGHT_MAX * 4]);
            assert!(before.is_none_or(|before| before <= at.plus(Duration::from_secs(12))), "{n}");
        }
        assert_eq!(running.report().await.unwrap().owed, 0);
    });
}

#[test]
fn in_digests_a_thousand_alerts_are_told_within_seconds() {
    in_virtual_time(async {
        let world = FakeWorld::new(ids().iter().map(|id| api(id, 10)).collect());
        let running = world.start(Options { digest_above: 10, ..options() }).await;
        let from = all_go_down(&world).await;
        seconds(90).await;
        let took = told_once(&world).since(from);
        assert!(took < Duration::from_secs(45), "{took:?}, of which 20 s may go by until all are found down");
        assert!(world.channels[0].attempts() < 100, "{} messages", world.channels[0].attempts());
        assert_eq!(running.report().await.unwrap().owed, 0);
    });
}

#[test]
fn a_channel_that_asks_for_patience_in_a_storm_is_not_asked_before_and_hears_of_each_once() {
    in_virtual_time(async {
        let world = FakeWorld::new(ids().iter().map(|id| api(id, 10)).collect());
        let running = world.start(Options { digest_above: 10, ..options() }).await;
        world.channels[0].set_fault(ChannelFault::RetryAfter(Duration::from_secs(120)));
        all_go_down(&world).await;
        seconds(100).await;
        let asked = world.channels[0].attempts();
        assert!(asked <= 2 * DELIVERIES_IN_FLIGHT_MAX, "{asked} attempts, and then none");
        world.channels[0].set_fault(ChannelFault::None);
        seconds(240).await;
        told_once(&world);
        assert_eq!(running.report().await.unwrap().owed, 0);
    });
}
