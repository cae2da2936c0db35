//! kill -9 at random moments, hundreds of times, while APIs flap and the channel fails at times: afterwards the told
//! history is the true one.
//!
//! `API_HEALTH_KILL_SEED` chooses other chances (the seed is printed with a failure); `API_HEALTH_KILLS` multiplies the
//! number of kills. What the same seed gives is the same plan; when the kills hit also hangs on the machine.

#[path = "../it/alerts.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod alerts;
#[path = "../it/apis.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod apis;
#[path = "../it/cloud.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod cloud;
#[path = "../it/daemon.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod digests;
mod fleet;
mod killer;
mod oracle;
mod oracle_tests;
mod store;
mod world;

use killer::Killer;
use store::{OnDynamoDb, OnSqlite};

/// With both, at least 200.
const KILLS_SQLITE: usize = 120;
const KILLS_DYNAMODB: usize = 80;

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Another one for each run, unless it is chosen.
#[allow(clippy::disallowed_methods, reason = "a seed that differs")]
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    from_env("API_HEALTH_KILL_SEED", u64::try_from(now.as_millis()).unwrap())
}

fn times(kills: usize) -> usize {
    kills * usize::try_from(from_env("API_HEALTH_KILLS", 1)).unwrap()
}

#[test]
fn through_kills_at_random_moments_on_sqlite_the_told_history_is_the_true_one() {
    Killer::new(seed(), OnSqlite::new).run(times(KILLS_SQLITE));
}

#[test]
fn through_kills_at_random_moments_on_dynamodb_the_told_history_is_the_true_one() {
    Killer::new(seed(), OnDynamoDb::new).run(times(KILLS_DYNAMODB));
}
