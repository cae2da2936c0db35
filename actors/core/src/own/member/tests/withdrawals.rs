//! Outages that were told without the store, and are to be withdrawn by whoever owns the API now.

use std::collections::BTreeSet;

use super::world::{Line, World};
use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::own::member::{Effect, Event};
use crate::own::notices::{ASKS_MAX, Ask, AskFor, Notice, WITHDRAWALS_MAX};
use crate::time::Timestamp;

fn asked(id: String, what: AskFor) -> Notice {
    Notice::Ask(Ask { id, at: Timestamp::default(), what })
}

fn withdrawal(n: usize) -> Notice {
    let (api_id, incident_id) = (ApiId::parse(&format!("api-{n}")).unwrap(), format!("api-{n}.1.1"));
    asked(format!("withdraw.{n}"), AskFor::Withdraw { api_id, incident_id, kind: AlertKind::Down })
}

/// Asks of people, of which nobody says that they are done.
fn of_people(count: usize, what: &AskFor) -> impl Iterator<Item = Notice> {
    (0..count).map(move |n| asked(format!("person.{n}"), what.clone()))
}

/// What a worker has to have withdrawn after it has lost its shards is asked of an owner who takes its time. Which were asked, and how many
/// of the asks of people are left.
fn withdrawn(already_there: impl Iterator<Item = Notice>) -> (BTreeSet<String>, usize) {
    let mut world = World::with(&["a", "b"]);
    world.pass(60);
    world.edit(|assignment| already_there.for_each(|ask| assignment.apply(ask)));
    world.workers[0].line = Line::Down;
    world.pass(20);
    for n in (0..120).chain(0..120) {
        world.send(0, Event::Notice(withdrawal(n)));
    }
    assert_eq!(world.workers[0].member.notices.len(), 120, "each once");
    world.workers[0].line = Line::Up;
    let mut seen = BTreeSet::new();
    for _ in 0..1_500 {
        world.pass(1);
        let asks = &world.assignment().asks;
        let is_withdrawal = |ask: &&Ask| matches!(ask.what, AskFor::Withdraw { .. });
        let now: Vec<String> = asks.iter().filter(is_withdrawal).map(|ask| ask.id.clone()).collect();
        assert!(asks.len() <= ASKS_MAX && now.len() <= WITHDRAWALS_MAX);
        for id in now {
            seen.insert(id.clone());
            world.send(1, Event::Notice(Notice::Done(id)));
        }
    }
    assert_eq!(world.workers[0].member.notices.len(), 0);
    (seen, world.assignment().asks.iter().filter(|ask| ask.id.starts_with("person")).count())
}

#[test]
fn however_many_outages_are_to_be_withdrawn_each_is_asked_of_its_owner() {
    let nobody = std::iter::empty();
    assert_eq!(withdrawn(nobody).0.len(), 120);
}

#[test]
fn what_people_asked_for_makes_room_for_no_more_than_one_withdrawal_at_a_time() {
    let drop = AskFor::DropChannel { channel: "mail".into() };
    let (seen, left) = withdrawn(of_people(ASKS_MAX, &drop));
    assert_eq!((seen.len(), left), (120, ASKS_MAX - 1));
    // One that was done long ago gives its place at once.
    let (seen, left) = withdrawn(of_people(ASKS_MAX, &AskFor::Retry { alert_ids: None }));
    assert_eq!(seen.len(), 120);
    assert!(left > 0, "what people ask for always finds room");
}

#[test]
fn what_a_worker_that_leaves_can_no_longer_ask_is_said() {
    let mut world = World::with(&["a"]);
    world.pass(1);
    world.workers[0].line = Line::Down;
    world.send(0, Event::Notice(withdrawal(1)));
    world.told(0);
    world.send(0, Event::Leave);
    world.pass(120);
    let told = world.told(0);
    assert_eq!(told[told.len() - 2..], [Effect::NoticeDropped(withdrawal(1)), Effect::Left]);
}
