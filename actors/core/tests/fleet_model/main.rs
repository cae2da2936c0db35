//! All that can happen between workers, within bounds: every interleaving is tried, and each rule that the safety of leases rests
//! on is left out once, to see that something notices.
//!
//! | model | what is real in it | what it may do |
//! |---|---|---|
//! | [`balance`] | `plan` | turns in any order, from any assignment |
//! | [`clocks`] | `plan` and `Member`, whole | lost calls, lost and slow answers, writes that arrive late, pauses, deaths |
//! | [`sealing`] | `plan` | sessions ended at any moment, writes that arrive after death, deaths, releases; no assumption on time |

mod balance;
mod clocks;
mod clocks_world;
mod sealing;
mod sealing_steps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::own::records::{Role, Session, Speaks, WorkerId, WorkerRecord, WorkerState};

/// The name of the worker of that number.
fn named(worker: usize) -> WorkerId {
    WorkerId::parse(&format!("w{worker}")).expect("a plain name")
}

fn session(worker: usize, number: u64) -> Session {
    Session { worker: named(worker), number }
}

fn record(worker: usize, session: u64) -> WorkerRecord {
    WorkerRecord {
        id: named(worker),
        version: 1,
        session,
        state: WorkerState::Live,
        role: Role::Worker,
        lease: Duration::from_secs(10),
        renew: Duration::from_secs(3),
        channels: BTreeSet::new(),
        speaks: Speaks { protocol: 1, reads_schema: 2 },
        host: String::new(),
        boot_id: String::new(),
        started_at: Timestamp::default(),
        program: String::new(),
        heartbeat: None,
        extra: BTreeMap::new(),
    }
}
