//! Leases on one clock: at no second do two workers act for one shard, a shard never waits for long, and an outage that all of them
//! share moves nothing. Whether clocks differ makes no difference, since no time is ever sent.

use std::collections::HashSet;

use api_health_core::own::records::{LeaseRecord, WorkerState};
use api_health_core::own::terms::Terms;

use super::clocks_world::{Fate, Planted, TERMS, World};

/// How long a pause lasts, or a cut: longer than a lease.
const TROUBLE_SECONDS: u64 = 13;

fn pass(world: &mut World, seconds: u64, fate: Fate) {
    for _ in 0..seconds {
        world.tick();
        // A call leads to the next; a worker without an answer waits, so that there is an end.
        while !world.calls.is_empty() {
            world.call(fate);
        }
        world.look_for_two_owners();
    }
}

/// All that may follow at once.
fn steps(world: &World) -> Vec<World> {
    let mut next = vec![];
    let is_cut = world.calls.front().is_some_and(|(who, _)| world.workers[*who].cut_until > world.now);
    let fates: &[Fate] = if world.faults_left == 0 || is_cut {
        &[Fate::Well]
    } else {
        &[Fate::Well, Fate::Lost, Fate::Deaf, Fate::Slow, Fate::Late]
    };
    if world.calls.is_empty() {
        let mut ticked = world.clone();
        ticked.look_for_two_owners();
        ticked.tick();
        next.push(ticked);
        for who in 0..world.workers.len() {
            let worker = &world.workers[who];
            if world.faults_left == 0 || worker.paused_until > world.now || worker.cut_until > world.now {
                continue;
            }
            let until = world.now + TROUBLE_SECONDS;
            for (paused_until, cut_until) in [(until, 0), (u64::MAX, 0), (0, until)] {
                let mut troubled = world.clone();
                troubled.faults_left -= 1;
                (troubled.workers[who].paused_until, troubled.workers[who].cut_until) = (paused_until, cut_until);
                troubled.tick();
                next.push(troubled);
            }
        }
    } else {
        for fate in fates {
            let mut called = world.clone();
            called.faults_left -= u8::from(*fate != Fate::Well);
            called.call(*fate);
            next.push(called);
        }
    }
    next
}

/// Tries all that may happen within 16 s from `world` on. Every shard has an owner again within a pause, a lease and a few renewals.
fn explore(world: World) -> Result<usize, &'static str> {
    explore_for(world, 16, 45)
}

/// Tries all that may happen within so many seconds from `world` on, and looks whether every shard has an owner so many seconds
/// later. The first thing that is wrong, or how many states there are.
fn explore_for(world: World, troubled_seconds: u64, mended_seconds: u64) -> Result<usize, &'static str> {
    let until = world.now + troubled_seconds;
    let mut seen = HashSet::from([world.fingerprint()]);
    let mut open = vec![world];
    while let Some(world) = open.pop() {
        for mut next in steps(&world) {
            if let Some(wrong) = next.wrong {
                return Err(wrong);
            }
            if !seen.insert(next.fingerprint()) {
                continue;
            }
            if next.now < until {
                open.push(next);
                continue;
            }
            pass(&mut next, mended_seconds, Fate::Well);
            if let Some(wrong) = next.wrong {
                return Err(wrong);
            }
            let shards = next.assignment().map_or(1, |assignment| assignment.owners.len());
            let owned: usize = (0..next.workers.len()).map(|who| next.acts_for(who).len()).sum();
            let lives = next.workers.iter().any(|worker| worker.paused_until <= next.now);
            if lives && owned != shards {
                return Err("a shard has no owner");
            }
        }
    }
    Ok(seen.len())
}

/// Workers that have shared for a while, or that begin together.
fn settled(planted: Planted, workers: u64, shards: u16, faults: u8, seconds: u64) -> World {
    let begin: Vec<u64> = (1..=workers).collect();
    let mut world = World::new(planted, TERMS, &begin, shards, faults);
    pass(&mut world, seconds, Fate::Well);
    world
}

/// Outages for all of every length and at every moment, and all distances between two workers.
fn outages(planted: Planted) -> Result<usize, &'static str> {
    let mut tried = 0;
    for begins in 0..6 {
        for lasts in 1..25 {
            let mut world = settled(planted, 2, 2, 0, 20 + begins);
            let version = world.assignment().map(|assignment| assignment.version);
            pass(&mut world, lasts, Fate::Lost);
            pass(&mut world, 30, Fate::Well);
            let is_fenced = |record: &LeaseRecord| matches!(record, LeaseRecord::Worker(worker) if worker.state == WorkerState::Fenced);
            if world.store.values().any(is_fenced) || version != world.assignment().map(|found| found.version) {
                return Err("an outage for all moved something");
            }
            if let Some(wrong) = world.wrong {
                return Err(wrong);
            }
            tried += 1;
        }
    }
    Ok(tried)
}

#[test]
fn at_no_second_do_two_workers_act_for_one_shard() {
    for (workers, shards, faults, seconds) in [(2, 1, 2, 20), (2, 2, 2, 0), (3, 2, 1, 20), (3, 2, 1, 0)] {
        let states = explore(settled(Planted::Nothing, workers, shards, faults, seconds)).unwrap();
        println!("clocks: {workers} workers, {shards} shards, {faults} faults from second {seconds}: {states} states");
        assert!(states > 2_000, "{states}");
    }
}

#[test]
fn one_that_joins_an_owner_with_a_long_lease_waits_for_that() {
    let mut world = World::new(Planted::Nothing, Terms::DEFAULT, &[1, 25], 2, 1);
    pass(&mut world, 20, Fate::Well);
    let states = explore_for(world, 45, 140).unwrap();
    println!("clocks: a second worker beside a quiet one: {states} states");
    assert!(states > 2_000, "{states}");
}

#[test]
fn an_outage_for_all_moves_nothing() {
    assert_eq!(outages(Planted::Nothing), Ok(144));
}

#[test]
fn planted_blind_time_counted() {
    assert_eq!(outages(Planted::BlindTimeCounted), Err("an outage for all moved something"));
}

#[test]
fn planted_without_one_of_the_rules_two_workers_act() {
    for planted in [
        Planted::NoDeadline,
        Planted::DeadlineFromTheAnswer,
        Planted::NoVersions,
        Planted::RenewsOverAFence,
        Planted::GainsWithoutTheSwap,
        Planted::Steals,
    ] {
        // From a while after the start; if nothing goes wrong there, from the start itself.
        let found = explore(settled(planted, 2, 2, 2, 20)).and_then(|_| explore(settled(planted, 2, 2, 2, 0)));
        println!("clocks: {planted:?}: {found:?}");
        assert!(found.is_err(), "{planted:?} is not noticed");
    }
}

/// Long ways on which much goes wrong at once, chosen by chance from a seed. `None`: nothing was wrong.
fn walk(planted: Planted, seed: u64) -> Option<&'static str> {
    let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % bound
    };
    let terms = if below(2) == 0 { TERMS } else { Terms::DEFAULT };
    let begin: Vec<u64> = (0..2 + below(3)).map(|_| 1 + below(40)).collect();
    let mut world = World::new(planted, terms, &begin, 5, 0);
    let badness = 1 + below(30);
    while world.now < 300 {
        world.tick();
        while !world.calls.is_empty() {
            let fates = [Fate::Lost, Fate::Deaf, Fate::Slow, Fate::Late];
            let is_bad = world.now < 200 && below(100) < badness;
            world.call(if is_bad { fates[usize::try_from(below(4)).unwrap_or(0)] } else { Fate::Well });
        }
        let until = world.now + below(25);
        for who in 0..world.workers.len() {
            let worker = &mut world.workers[who];
            if worker.paused_until > until || until >= 225 {
                continue;
            }
            match below(200) {
                0 => worker.paused_until = until,
                1 => worker.cut_until = until,
                2 => world.restart(who, 1 + below(20), terms, 5),
                _ => {}
            }
        }
        world.look_for_two_owners();
        if world.wrong.is_some() {
            return world.wrong;
        }
    }
    // After a hundred seconds of peace.
    pass(&mut world, 130, Fate::Well);
    let counts: Vec<usize> = (0..world.workers.len()).map(|who| world.acts_for(who).len()).collect();
    let is_even = counts.iter().max().zip(counts.iter().min()).is_some_and(|(most, least)| most - least <= 1);
    world
        .wrong
        .or((counts.iter().sum::<usize>() != 5).then_some("a shard has no owner"))
        .or((!is_even).then_some("shares differ"))
}

#[test]
fn on_long_ways_with_many_faults_no_shard_has_two_owners_and_each_has_one_in_the_end() {
    for seed in 0..1_000 {
        assert_eq!(walk(Planted::Nothing, seed), None, "seed {seed}");
    }
    assert!((0..400).any(|seed| walk(Planted::Steals, seed).is_some()));
}
