//! A thousand APIs of one host that dies and comes back: it is never asked by all of them at once.

use std::collections::HashMap;
use std::time::Duration;

use api_health_core::Timestamp;

use super::{options, seconds};
use crate::ports::Clock as _;
use crate::system::Options;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

const APIS: usize = 1_000;

/// Probes of them in 100 ms: one and a half times as many as come if a thousand are spread evenly over a second.
const HERD: usize = 150;

fn ids() -> impl Iterator<Item = String> {
    (0..APIS).map(|n| format!("api-{n}"))
}

/// All of them, on one host.
fn of_one_host(interval_seconds: u64) -> FakeWorld {
    let of_host = |id: String| {
        let url = format!("https://gateway.test/{id}");
        api_health_core::ApiConfig { url, ..api(&id, interval_seconds) }
    };
    FakeWorld::new(ids().map(of_host).collect())
}

fn all_do(world: &FakeWorld, behaviour: Behaviour) {
    ids().for_each(|id| world.targets.set(&id, behaviour));
}

/// Of each API the `n`th probe after `from`.
fn nth_after(world: &FakeWorld, from: Timestamp, n: usize) -> Vec<Timestamp> {
    let nth = |id: String| world.targets.probed(&id).into_iter().filter(|at| *at > from).nth(n);
    ids().map(|id| nth(id).expect("it is probed")).collect()
}

/// How many of them come in the busiest 100 ms.
fn busiest(probed: &[Timestamp]) -> usize {
    let mut in_bin: HashMap<i64, usize> = HashMap::new();
    probed.iter().for_each(|at| *in_bin.entry(at.as_millis() / 100).or_default() += 1);
    in_bin.into_values().max().unwrap_or_default()
}

fn spread_over(probed: &[Timestamp]) -> Duration {
    probed.iter().max().unwrap().since(*probed.iter().min().unwrap())
}

#[test]
fn those_that_failed_in_one_moment_are_not_asked_again_in_one_moment_nor_when_they_recover() {
    in_virtual_time(async {
        let world = of_one_host(60);
        // All fire at the tick, as after a crash of their host, which cuts all that are under way.
        let running = world.start(Options { spread: false, ..options() }).await;
        for behaviour in [Behaviour::Refuses, Behaviour::Answers(200)] {
            seconds(90).await;
            let from = world.clock.now();
            all_do(&world, behaviour);
            seconds(45).await;
            let (tick, recheck) = (nth_after(&world, from, 0), nth_after(&world, from, 1));
            assert!(spread_over(&tick) < Duration::from_millis(100), "{behaviour:?}: {:?}", spread_over(&tick));
            let spread = spread_over(&recheck);
            assert!(spread > Duration::from_millis(900) && spread < Duration::from_millis(1_100), "{spread:?}");
            assert!(busiest(&recheck) <= HERD, "{behaviour:?}: {}", busiest(&recheck));
            seconds(45).await;
        }
        assert_eq!(running.report().await.unwrap().owed, 0);
        assert_eq!(world.channels[0].lines().len(), 2 * APIS, "each was told down, and up");
    });
}

#[test]
fn a_host_that_is_down_at_the_start_and_comes_back_is_asked_by_no_herd() {
    in_virtual_time(async {
        let world = of_one_host(10);
        all_do(&world, Behaviour::Refuses);
        let _running = world.start(options()).await;
        seconds(60).await;
        all_do(&world, Behaviour::Answers(200));
        seconds(60).await;
        let probed: Vec<Timestamp> = ids().flat_map(|id| world.targets.probed(&id)).collect();
        assert!(probed.len() > 12 * APIS, "{}", probed.len());
        assert!(busiest(&probed) <= HERD, "{}", busiest(&probed));
        assert_eq!(world.channels[0].lines().len(), 2 * APIS, "each was told down, and up");
    });
}
