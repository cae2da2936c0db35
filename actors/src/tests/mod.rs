//! The real actors in a fake world, in virtual time: the walk of a probe, and every promise that a fault can break.

mod acceptance;
mod alerts;
mod board;
mod cadence;
mod capacity;
mod configs;
mod files;
mod fleet;
mod heartbeat;
mod herd;
mod history;
mod incidents;
mod injected_fault;
mod own_side;
mod progress;
mod stopping;
mod store;
mod storm;
mod supervision;
mod suspension;
mod timers;

use std::time::Duration;

use crate::system::{Options, Running};
use crate::testkit::FakeWorld;

/// Waits until virtual time has moved on by so many seconds.
async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

fn options() -> Options {
    Options { prober_threads: 0, checkpoint: Duration::from_secs(60), ..Options::default() }
}

fn world(ids: &[&str]) -> FakeWorld {
    FakeWorld::new(ids.iter().map(|id| crate::testkit::api(id, 10)).collect())
}

/// A world in which these have been watched for a while, far from any checkpoint.
async fn watching(ids: &[&str]) -> (FakeWorld, Running) {
    let world = world(ids);
    let running = world.start(options()).await;
    seconds(25).await;
    (world, running)
}
