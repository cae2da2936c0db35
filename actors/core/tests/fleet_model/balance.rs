//! Whatever the order of turns, shards come to rest, and in equal shares: no way through all assignments ever comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api_health_core::own::fleet::{ShardPlan, View, plan};
use api_health_core::own::records::{Assignment, Ownership, WorkerId, WorkerRecord};
use api_health_core::own::shards::{Shard, ShardSet};

use super::{named, record, session};

/// For each shard its owner; `None`: nobody, or somebody dead.
type Owners = Vec<Option<usize>>;

/// What a worker lets go of, and what it takes.
type Rule = fn(&Owners, usize, usize) -> ShardPlan;

fn the_plan(owners: &Owners, workers: usize, who: usize) -> ShardPlan {
    let mut assignment = Assignment::none(1, 2);
    assignment.workers = (0..workers).map(named).collect();
    let owned = |owner: &Option<usize>| Ownership { owner: owner.map(|owner| session(owner, 1)), epoch: 1 };
    assignment.owners = owners.iter().map(owned).collect();
    let live: BTreeMap<WorkerId, WorkerRecord> =
        (0..workers).map(|worker| (named(worker), record(worker, 1))).collect();
    let me = session(who, 1);
    let owned: ShardSet = assignment.owned_by(&me).into_keys().collect();
    plan(View { assignment: &assignment, live: &live }, &me, &owned)
}

/// Planted: everybody lets go down to the floor and takes up to the ceiling.
fn between_floor_and_ceiling(owners: &Owners, workers: usize, who: usize) -> ShardPlan {
    let mine = |owner: &Option<usize>| *owner == Some(who);
    let count = owners.iter().filter(|owner| mine(owner)).count();
    let (floor, ceiling) = (owners.len() / workers, owners.len().div_ceil(workers));
    let numbered = || Shard::all(u16::try_from(owners.len()).expect("few")).zip(owners);
    let release = numbered().filter(|(_, owner)| mine(owner)).take(count.saturating_sub(floor).min(1));
    let take = numbered().filter(|(_, owner)| owner.is_none()).take(ceiling.saturating_sub(count));
    let shards = |part: &mut dyn Iterator<Item = (Shard, &Option<usize>)>| part.map(|(shard, _)| shard).collect();
    if count > floor {
        ShardPlan { release: shards(&mut release.into_iter()), take: ShardSet::new() }
    } else {
        ShardPlan { release: ShardSet::new(), take: shards(&mut take.into_iter()) }
    }
}

fn turn(rule: Rule, owners: &Owners, workers: usize, who: usize) -> Owners {
    let ShardPlan { release, take } = rule(owners, workers, who);
    let mut next = owners.clone();
    release.iter().for_each(|shard| next[shard.index()] = None);
    take.iter().for_each(|shard| next[shard.index()] = Some(who));
    next
}

/// Follows every order of turns; `Err`: one that comes back to where it was, or a rest that is no equal share.
fn follow(rule: Rule, owners: &Owners, workers: usize, known: &mut HashMap<Owners, bool>) -> Result<(), String> {
    match known.get(owners) {
        Some(true) => return Ok(()),
        Some(false) => return Err(format!("{owners:?} comes back")),
        None => {}
    }
    known.insert(owners.clone(), false);
    let mut rests = true;
    for who in 0..workers {
        let next = turn(rule, owners, workers, who);
        if next != *owners {
            rests = false;
            follow(rule, &next, workers, known)?;
        }
    }
    if rests {
        let counts: BTreeSet<usize> =
            (0..workers).map(|who| owners.iter().filter(|owner| **owner == Some(who)).count()).collect();
        let is_equal = counts.last().zip(counts.first()).is_some_and(|(most, least)| most - least <= 1);
        if !is_equal || owners.contains(&None) {
            return Err(format!("{owners:?} is at rest"));
        }
    }
    known.insert(owners.clone(), true);
    Ok(())
}

/// From every assignment of `shards` shards.
fn follow_all(rule: Rule, shards: u32, workers: usize) -> Result<usize, String> {
    let mut known = HashMap::new();
    let choices = workers + 1;
    for number in 0..choices.pow(shards) {
        let owner = |shard: u32| Some(number / choices.pow(shard) % choices).filter(|owner| *owner < workers);
        follow(rule, &(0..shards).map(owner).collect(), workers, &mut known)?;
    }
    Ok(known.len())
}

#[test]
fn shards_come_to_rest_in_equal_shares_whatever_the_order_of_turns() {
    let mut states = 0;
    for workers in 1..=3 {
        for shards in 1..=5 {
            states += follow_all(the_plan, shards, workers).unwrap();
        }
    }
    println!("balance: {states} states");
    assert!(states > 1_500);
}

#[test]
fn planted_shares_between_floor_and_ceiling() {
    assert!(follow_all(between_floor_and_ceiling, 3, 2).unwrap_err().contains("comes back"));
}
