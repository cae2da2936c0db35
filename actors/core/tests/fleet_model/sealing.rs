//! One record of one shard and two owners in turn, without any assumption on time: a session may be ended at any moment, whoever was
//! paused may go on at any moment, and a write that was sent may arrive long after its sender's death.

use std::collections::{HashMap, VecDeque};

use super::sealing_steps::{Planted, State, steps, wrong_at_rest};

/// What may happen how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// The API goes down, or comes back.
    pub(super) flips: u8,
    /// A session is ended while its worker lives.
    pub(super) expiries: u8,
    /// A worker dies.
    pub(super) deaths: u8,
    /// An owner lets go of the shard.
    pub(super) releases: u8,
}

impl Budget {
    const fn of(flips: u8, expiries: u8, deaths: u8, releases: u8) -> Self {
        Self { flips, expiries, deaths, releases }
    }
}

/// Tries everything. `Err`: what is wrong first, and the steps that lead there.
fn explore(planted: Planted, budget: Budget) -> Result<usize, String> {
    let first = State::new(budget);
    let mut came_from: HashMap<State, Option<(State, &'static str)>> = HashMap::from([(first.clone(), None)]);
    let mut open = VecDeque::from([first]);
    let mut plans = HashMap::new();
    while let Some(state) = open.pop_front() {
        let found = steps(&state, planted, budget, &mut plans);
        let mut wrong = None;
        if found.iter().all(|step| step.is_trouble)
            && let Some(rest) = wrong_at_rest(&state, budget)
        {
            wrong = Some(rest);
        }
        for step in found {
            if let Some(why) = step.wrong {
                wrong = Some(why);
            }
            if !came_from.contains_key(&step.state) {
                came_from.insert(step.state.clone(), Some((state.clone(), step.label)));
                open.push_back(step.state);
            }
        }
        if let Some(why) = wrong {
            let mut way = vec![];
            let mut at = &state;
            while let Some(Some((before, label))) = came_from.get(at) {
                way.push(*label);
                at = before;
            }
            way.reverse();
            return Err(format!("{why} after {}", way.join(", ")));
        }
    }
    Ok(came_from.len())
}

#[test]
fn whatever_is_owed_is_told_by_one_owner_after_the_other_and_nothing_stale_is_stored() {
    for budget in [Budget::of(2, 1, 1, 0), Budget::of(2, 1, 0, 1), Budget::of(1, 1, 1, 1), Budget::of(2, 0, 1, 1)] {
        let states = explore(Planted::Nothing, budget).unwrap();
        println!("sealing: {budget:?}: {states} states");
        assert!(states > 5_000, "{states}");
    }
}

#[test]
fn either_the_condition_of_a_write_or_the_look_at_a_conflict_is_enough() {
    for planted in [Planted::NoCondition, Planted::NoLook] {
        explore(planted, Budget::of(2, 1, 0, 0)).unwrap();
    }
}

fn assert_noticed(planted: Planted, budget: Budget) {
    let found = explore(planted, budget);
    println!("sealing: {planted:?}: {found:?}");
    assert!(found.is_err(), "{planted:?} is not noticed");
}

#[test]
fn planted_no_seal() {
    assert_noticed(Planted::NoSeal, Budget::of(2, 1, 1, 0));
}

#[test]
fn planted_no_epoch() {
    assert_noticed(Planted::NoEpoch, Budget::of(2, 1, 1, 0));
}

#[test]
fn planted_no_version() {
    assert_noticed(Planted::NoVersion, Budget::of(2, 1, 1, 0));
}

#[test]
fn planted_a_release_that_waits_for_no_write() {
    assert_noticed(Planted::ReleasesTooSoon, Budget::of(1, 0, 0, 1));
}

#[test]
fn planted_a_shard_that_is_taken_from_a_live_session() {
    assert_noticed(Planted::Steals, Budget::of(1, 1, 0, 0));
}

#[test]
fn planted_an_alert_that_is_told_before_it_is_stored() {
    assert_noticed(Planted::TellsUnstored, Budget::of(2, 1, 1, 0));
}

#[test]
fn planted_an_epoch_that_begins_anew_after_a_release() {
    assert_noticed(Planted::EpochBeginsAnew, Budget::of(1, 0, 0, 1));
}
