//! Workers that leave: in order, without, while something is under way, and while nobody answers.

use std::collections::VecDeque;
use std::time::Duration;

use super::record;
use super::world::{Line, World};
use crate::own::member::{CLOSING_FAILURES_MAX, Effect, Event};
use crate::own::records::{Assignment, Key, LeaseRecord};
use crate::own::shards::Shard;

#[test]
fn one_that_leaves_gives_its_shards_back_clean() {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.told(1);
    world.send(0, Event::Leave);
    assert_eq!(world.told(0).last(), Some(&Effect::Left));
    world.pass(4);
    assert_eq!(world.counts(), [0, 8]);
    assert!(world.told(1).iter().all(|effect| matches!(effect, Effect::Gained { is_clean: true, .. })));
}

#[test]
fn what_is_gained_while_leaving_is_given_back_as_it_was() {
    for (is_clean, owner) in [(true, false), (false, true)] {
        let mut world = World::with(&["a"]);
        world.workers[0].line = Line::Down;
        world.pass(1);
        world.store.insert(Key::Assignment, LeaseRecord::Assignment(Box::new(Assignment::none(1, 2))));
        world.edit(|assignment| {
            assignment.version = 4;
            assignment.owners[0].epoch = 3;
            assignment.owners[0].owner = owner.then(|| record("gone", 1).session());
        });
        world.workers[0].line = Line::Up;
        // Up to the swap, whose answer comes only after the wish to leave.
        world.now += Duration::from_secs(2);
        let mut events = VecDeque::from([Event::Woke]);
        let mut swap = None;
        while let Some(event) = events.pop_front() {
            for effect in world.workers[0].member.on(world.now, event) {
                match effect {
                    Effect::AskProgress => events.push_back(Event::progress(true)),
                    Effect::Put { record: LeaseRecord::Assignment(next), .. } => swap = Some(next),
                    Effect::Put { record, .. } => {
                        world.store.insert(record.key(), record);
                        events.push_back(Event::Put(Ok(())));
                    }
                    Effect::Read { keys } => {
                        let found = keys.iter().filter_map(|key| world.store.get(key).cloned()).collect();
                        events.push_back(Event::Read(Ok(found)));
                    }
                    _ => {}
                }
            }
        }
        world.store.insert(Key::Assignment, LeaseRecord::Assignment(swap.unwrap()));
        world.workers[0].member.on(world.now, Event::Leave);
        world.send(0, Event::Put(Ok(())));
        assert_eq!(world.told(0), [Effect::Left]);
        assert_eq!(world.assignment().ownership(Shard::new(0)).is_clean(), is_clean);
    }
}

#[test]
fn one_that_leaves_while_the_store_is_gone_gives_up_after_a_few_calls() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.workers[0].line = Line::Down;
    let before = world.workers[0].puts;
    world.send(0, Event::Leave);
    world.pass(10);
    assert_eq!(world.told(0).last(), Some(&Effect::Left));
    assert!(world.workers[0].puts - before <= usize::from(CLOSING_FAILURES_MAX) + 1);
}
