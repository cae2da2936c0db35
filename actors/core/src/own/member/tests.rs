//! Workers that share a store in memory, second by second.

mod leaving;
mod withdrawals;
mod world;

use std::time::Duration;

use super::*;
use crate::own::records::{Role, WORKERS_MAX};
use crate::own::terms::Terms;
use world::{Line, World};

/// The name of a worker.
pub(crate) fn named(name: &str) -> WorkerId {
    WorkerId::parse(name).unwrap()
}

/// A record of a live worker with one channel.
pub(crate) fn record(name: &str, session: u64) -> WorkerRecord {
    let id = named(name);
    WorkerRecord { version: 1, session, channels: ["mail".into()].into(), ..WorkerRecord::new(id, &Terms::DEFAULT, 2) }
}

fn losses(told: &[Effect]) -> usize {
    told.iter().filter(|effect| matches!(effect, Effect::Lost { .. })).count()
}

#[test]
fn one_that_is_alone_takes_all_at_once_and_writes_one_renewal_a_minute() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    assert_eq!(world.counts(), [8]);
    let unclean = |effect: &Effect| matches!(effect, Effect::Gained { epoch: 1, is_clean: false, .. });
    assert!(world.told(0).iter().all(unclean), "nobody knows what was before");
    let before = world.workers[0].puts;
    world.pass(3_600);
    assert_eq!(world.workers[0].puts - before, 60);
    assert!(world.told(0).is_empty());
}

#[test]
fn a_second_one_gets_its_half_in_order_and_every_epoch_grows() {
    let mut world = World::with(&["a"]);
    world.pass(10);
    world.told(0);
    world.start(record("b", 0), true);
    world.pass(60);
    assert_eq!(world.counts(), [4, 4]);
    let gained = world.told(1);
    assert!(
        gained.iter().all(|effect| matches!(effect, Effect::Gained { epoch: 2, is_clean: true, .. })),
        "{gained:?}"
    );
    let version = world.assignment().version;
    world.pass(60);
    assert_eq!(world.assignment().version, version, "and then nothing more is moved");
    assert_eq!(losses(&world.told(0)), 0);
}

#[test]
fn one_that_is_gone_is_taken_over_unclean_within_lease_and_renewal() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.workers[0].wakes_at = Duration::MAX;
    world.told(1);
    world.pass(13);
    assert_eq!(world.counts(), [0, 8]);
    assert!(world.told(1).iter().all(|effect| matches!(effect, Effect::Gained { is_clean: false, .. })));
    world.pass(60);
    assert_eq!(world.workers[1].member.record().lease, Terms::DEFAULT.quiet_lease, "it is alone again");
}

#[test]
fn one_that_was_asleep_finds_itself_fenced_and_begins_anew() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.told(0);
    world.workers[0].wakes_at = Duration::MAX;
    world.pass(20);
    world.workers[0].wakes_at = world.now;
    world.pass(1);
    assert!(matches!(&world.told(0)[..], [Effect::Lost { why: Loss::Fenced, shards }] if shards.len() == 4));
    assert_eq!(world.workers[0].member.session().map(|session| session.number), Some(2));
    world.pass(30);
    assert_eq!(world.counts(), [4, 4]);
}

#[test]
fn where_nobody_reaches_the_store_nothing_is_moved() {
    let mut world = World::with(&["a", "b", "c"]);
    world.pass(60);
    let version = world.assignment().version;
    world.workers.iter_mut().for_each(|worker| worker.line = Line::Down);
    world.pass(25);
    assert_eq!(world.counts(), [0; 3]);
    assert!(matches!(world.workers[0].member.lease_state(world.now), LeaseState::Lapsed { is_refused: false, .. }));
    assert!(world.workers[0].member.has_met_others());
    world.workers.iter_mut().for_each(|worker| worker.line = Line::Up);
    world.pass(60);
    assert_eq!(world.counts().iter().sum::<usize>(), 8);
    assert_eq!(world.assignment().version, version);
}

#[test]
fn a_verdict_from_before_it_went_blind_moves_nothing() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    let version = world.assignment().version;
    // Its own lease lapses, and it sees the other one stand still: as it turns out, nobody could write.
    world.workers[0].line = Line::ReadOnly;
    world.pass(4);
    world.workers[1].line = Line::Down;
    world.pass(16);
    world.told(1);
    // It hears nothing for a while; then it renews before it looks.
    world.workers[0].wakes_at = Duration::MAX;
    world.pass(10);
    world.workers.iter_mut().for_each(|worker| worker.line = Line::Up);
    world.workers[0].wakes_at = world.now;
    world.pass(60);
    assert_eq!((losses(&world.told(1)), world.counts(), world.assignment().version), (0, vec![4, 4], version));
}

#[test]
fn one_that_the_store_refuses_lapses_and_knows_why() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.workers[0].line = Line::Refuses;
    world.pass(14);
    assert_eq!(world.counts(), [0, 8]);
    assert!(matches!(world.workers[0].member.lease_state(world.now), LeaseState::Lapsed { is_refused: true, .. }));
}

#[test]
fn one_that_makes_no_progress_loses_its_shards_and_gets_them_back() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.workers[0].makes_progress = false;
    world.pass(14);
    assert_eq!(world.counts(), [0, 8]);
    world.workers[0].makes_progress = true;
    world.pass(30);
    assert_eq!(world.counts(), [4, 4]);
}

#[test]
fn a_lost_answer_costs_nothing() {
    let mut world = World::with(&["a", "b"]);
    world.workers[0].line = Line::Up;
    world.pass(60);
    world.told(0);
    for _ in 0..5 {
        world.workers[0].line = Line::Deaf;
        world.pass(2);
        world.workers[0].line = Line::Up;
        world.pass(3);
    }
    assert_eq!((world.counts(), world.told(0)), (vec![4, 4], vec![]));
}

#[test]
fn a_new_life_on_the_same_machine_waits_for_nobody() {
    let mut world = World::with(&["a"]);
    world.pass(60);
    world.workers[0].wakes_at = Duration::MAX;
    world.workers[0].member.lease = None; // dead
    world.start(record("a", 0), true);
    world.pass(1);
    assert_eq!(world.counts(), [0, 8]);
    assert!(world.told(1).iter().all(|effect| matches!(effect, Effect::Gained { epoch: 2, is_clean: false, .. })));
}

#[test]
fn one_whose_name_may_be_in_use_waits_for_that_lease() {
    let mut world = World::with(&["a"]);
    world.pass(60);
    world.start(record("a", 0), false);
    world.pass(200);
    assert_eq!(world.counts(), [8, 0]);
    world.workers[0].wakes_at = Duration::MAX;
    world.pass(95);
    assert_eq!(world.counts(), [0, 8]);
}

#[test]
fn a_standby_owns_nothing_until_the_worker_is_gone() {
    let mut world = World::with(&["b"]);
    world.start(WorkerRecord { role: Role::Standby, ..record("a", 0) }, true);
    world.pass(120);
    assert_eq!(world.counts(), [8, 0]);
    assert_eq!(world.workers[1].member.record().lease, Terms::DEFAULT.quiet_lease);
    world.workers[0].wakes_at = Duration::MAX;
    world.pass(13);
    assert_eq!(world.counts(), [0, 8]);
}

#[test]
fn an_assignment_that_is_deleted_stops_nobody_and_no_epoch_falls() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    let highest = world.assignment().owners.iter().map(|own| own.epoch).max().unwrap();
    world.store.remove(&Key::Assignment);
    world.pass(30);
    assert_eq!(world.counts().iter().sum::<usize>(), 8);
    assert!(world.assignment().owners.iter().all(|own| own.epoch > highest - 1 && own.owner.is_some()));
}

#[test]
fn an_assignment_from_a_backup_stops_nobody_and_its_epochs_are_not_used_again() {
    let mut world = World::with(&["a"]);
    world.pass(60);
    world.edit(|assignment| assignment.owners.iter_mut().for_each(|own| own.epoch = 7));
    world.pass(60); // epochs of 7 are read as its own
    let old = world.assignment().clone();
    world.edit(|assignment| assignment.owners.iter_mut().for_each(|own| own.epoch = 9));
    world.pass(60);
    world.told(0);
    let version = world.assignment().version + 1;
    world.edit(|assignment| *assignment = Assignment { version, ..old });
    world.pass(60);
    assert!(world.assignment().owners.iter().all(|own| own.epoch == 10));
    assert_eq!((world.counts(), losses(&world.told(0))), (vec![8], 0));
}

#[test]
fn a_shard_whose_records_have_a_higher_epoch_is_taken_once_more_above_it() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.told(0);
    let shard = Shard::new(3);
    world.send(0, Event::StoredEpoch { shard, epoch: 0 });
    assert!(world.told(0).is_empty());
    for found in [1, 41] {
        world.send(0, Event::StoredEpoch { shard, epoch: found });
        assert_eq!(world.told(0), [Effect::Gained { shard, epoch: found + 1, is_clean: false }]);
    }
    assert_eq!(world.assignment().ownership(shard).epoch, 42);
}

#[test]
fn a_release_that_arrives_late_never_meets_an_owner() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.workers[0].line = Line::Down;
    world.send(0, Event::Released([(Shard::new(2), 1)].into()));
    world.workers[0].line = Line::Up;
    assert_eq!(world.counts(), [7], "in its name, but not owned");
    world.told(0);
    world.pass(31);
    assert_eq!(world.told(0), [Effect::Gained { shard: Shard::new(2), epoch: 2, is_clean: true }]);
}

#[test]
fn what_all_should_know_stands_in_the_assignment_once() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.workers[0].line = Line::Deaf;
    world.send(0, Event::Notice(Notice::ConfigsChanged(None)));
    world.send(0, Event::Notice(Notice::WritesSchema(3)));
    world.workers[0].line = Line::Up;
    world.pass(60);
    assert_eq!((world.assignment().writes_schema, world.workers[0].member.notices.len()), (3, 0));
    assert!(world.assignment().configs.revision >= 1, "said twice at worst, where the answer was lost");
}

#[test]
fn one_that_is_alone_looks_at_once_when_it_is_told_to() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.edit(|assignment| {
        assignment.version += 1;
        assignment.apply(Notice::WritesSchema(9));
    });
    let shown = |world: &World| world.workers[0].member.fleet().unwrap().assignment.writes_schema;
    assert_eq!(shown(&world), 2);
    world.send(0, Event::ReadFleet);
    assert_eq!(shown(&world), 9);
}

#[test]
fn an_answer_that_comes_late_lets_go_of_nothing_that_was_gained_since() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    let shard = Shard::new(2);
    world.send(0, Event::StoredEpoch { shard, epoch: 7 });
    world.send(0, Event::Released([(shard, 1)].into()));
    assert_eq!(world.workers[0].member.owned().get(&shard), Some(&8));
}

#[test]
fn notices_wait_up_to_a_bound() {
    let mut world = World::with(&["a"]);
    for _ in 0..2 * NOTICES_MAX {
        world.send(0, Event::Notice(Notice::WritesSchema(3)));
    }
    assert!(world.workers[0].member.notices.len() <= NOTICES_MAX);
    world.workers[0].line = Line::Down;
    for _ in 0..2 * NOTICES_MAX {
        world.send(0, Event::Notice(Notice::WritesSchema(4)));
    }
    assert_eq!(world.workers[0].member.notices.len(), NOTICES_MAX);
}

#[test]
fn a_fleet_has_so_many_workers_at_most_and_one_more_owns_nothing() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    let others: Vec<WorkerRecord> = (1..WORKERS_MAX).map(|number| record(&format!("w{number}"), 1)).collect();
    for other in others {
        world.edit(|assignment| {
            assignment.workers.insert(other.id.clone());
        });
        world.store.insert(Key::Worker(other.id.clone()), LeaseRecord::Worker(Box::new(other)));
    }
    world.start(record("more", 0), true);
    world.pass(5);
    assert_eq!((world.assignment().workers.len(), world.counts()[1]), (WORKERS_MAX, 0));
}

#[test]
fn a_lease_that_was_shortened_ends_by_the_shorter_one_even_if_nobody_answered() {
    let mut world = World::with(&["a"]);
    world.pass(5);
    let deadline = |world: &World| match world.workers[0].member.lease_state(world.now) {
        LeaseState::Valid { until } => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(deadline(&world), Duration::from_secs(81));
    world.start(record("b", 0), true);
    world.pass(1);
    // It sees the other, and asks for the shorter lease; that is stored, and it hears nothing of it.
    world.workers[0].line = Line::HalfDeaf;
    world.send(0, Event::ReadFleet);
    let asked = world.now;
    world.workers[0].line = Line::Down;
    assert_eq!(deadline(&world), Terms::deadline(asked, Terms::DEFAULT.lease));
    world.pass(30);
    assert_eq!(world.counts(), [0, 8]);
}
