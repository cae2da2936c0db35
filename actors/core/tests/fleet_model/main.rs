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

use api_health_core::own::records::{Session, WorkerId, WorkerRecord};
use api_health_core::own::terms::Terms;

/// The name of the worker of that number.
fn named(worker: usize) -> WorkerId {
    WorkerId::parse(&format!("w{worker}")).expect("a plain name")
}

fn session(worker: usize, number: u64) -> Session {
    Session { worker: named(worker), number }
}

fn record(worker: usize, session: u64) -> WorkerRecord {
    WorkerRecord { version: 1, session, ..WorkerRecord::new(named(worker), &Terms::DEFAULT, 2) }
}
