//! The keeper, tried without an actor: a [`Desk`] stands for the store, the channels and the clock, and does what a test says.
//!
//! | file | tries |
//! |---|---|
//! | [`mod@delivering`] | when an alert goes out |
//! | [`mod@conflicts`] | what it means that a record is another than expected |
//! | [`mod@shards`], [`mod@withdrawn`] | shards that come and go; what their former owners told |
//! | [`mod@digests`], [`mod@channels`] | many alerts in one message; attempts, waits, and channels that nobody has |
//! | [`mod@certificates`], [`mod@unclear`] | certificates that end soon; those of whom nothing can be told |
//! | [`mod@holds`], [`mod@parents`] | alerts that are held, and what becomes of them; parents |
//! | [`mod@history`] | what is recorded for people, and incidents that wait for history |
//! | [`mod@watched`] | outcomes and rows |
//! | [`mod@random`] | all of it in any order |

mod certificates;
mod channels;
mod conflicts;
mod delivering;
mod desk;
mod digests;
mod flow_control;
mod history;
mod holds;
mod parents;
mod random;
mod routing;
mod shards;
mod unclear;
mod watched;
mod withdrawn;

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::alert::{Alert, AlertKind};
use crate::delivery;
use crate::outcome::Verdict;
use crate::state::tests_support::config;
use crate::store::{CommitError, StoreError};
use crate::time::Timestamp;
use desk::{Attempt, Desk};

/// Few, so that several APIs share one.
const SHARDS: u16 = 4;

fn id(name: &str) -> ApiId {
    ApiId::parse(name).unwrap()
}

fn setup() -> KeeperConfig {
    KeeperConfig {
        checkpoint: Duration::from_secs(10),
        routes: Routes::to_all(["pager"]),
        digest_above: HashMap::new(),
        limits: CommitLimits { batch_max: 1, batches_in_flight_max: 8 },
        instance: "this one".into(),
        store_name: "the store".into(),
        version: "1",
        resumes_backoff: true,
        heartbeat: None,
        once: false,
        spread: false,
        fail_open: true,
        history: None,
        shards: SHARDS,
    }
}

fn all_shards() -> ShardSet {
    Shard::all(SHARDS).collect()
}

fn grants(epoch: u64, clean: bool) -> Vec<Grant> {
    Shard::all(SHARDS).map(|shard| Grant { shard, epoch, clean, fresh: true }).collect()
}

fn row(name: &str) -> ApiConfig {
    ApiConfig { api_id: id(name), name: name.into(), ..config() }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("nobody answers".into())
}

fn refused() -> StoreError {
    StoreError::Misconfigured { what: "access denied".into(), remedy: "allow it".into() }
}

/// The wall clock runs beside the other.
fn moment(now: Duration) -> Moment {
    Moment { monotonic: now, wall: Timestamp::from_millis(1_795_332_600_000).plus(now) }
}
