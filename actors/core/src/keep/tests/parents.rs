//! What parents mean for the alerts of those that depend on them: parents that another worker owns, and clocks that are set back.

use super::holds::{dependent, desk, probed_again, watch};
use super::*;
use crate::Status;

/// As the record of one that is down and was told so.
fn is_down(state: &mut ApiState) {
    let incident = crate::incident::Incident {
        incident_id: "db.1".into(),
        started_at: Timestamp::default(),
        reason: "refused".into(),
        name: "db".into(),
        url: String::new(),
        owed_to: vec![],
        reminders: 0,
        confirmed_at: None,
        delivered: Vec::new(),
        evidence: None,
    };
    (state.version, state.status, state.since) = (1, Status::Down, Some(Timestamp::default()));
    (state.incident, state.last_alerted) = (Some(Box::new(incident)), Status::Down);
}

/// A desk that does not own the parent `db`, whose record says that it is down, and owns a dependent of it, whose name is returned.
fn desk_of_a_parent_elsewhere() -> (Desk, String) {
    let theirs = id("db");
    let ours =
        (0..).map(|n| format!("shop-{n}")).find(|name| Shard::of(&id(name), SHARDS) != Shard::of(&theirs, SHARDS));
    let ours = ours.unwrap();
    let mut desk = Desk::empty(setup());
    let not_theirs = |grant: &Grant| grant.shard != Shard::of(&theirs, SHARDS);
    desk.gain(&grants(1, true).into_iter().filter(not_theirs).collect::<Vec<_>>());
    watch(&mut desk, &[dependent(&ours, &["db"])]);
    desk.finds(&ours, Verdict::Pass);
    desk.store_answers();
    desk.somebody_writes("db", is_down);
    (desk, ours)
}

#[test]
fn of_a_parent_that_another_worker_owns_the_record_is_read() {
    let (mut desk, ours) = desk_of_a_parent_elsewhere();
    desk.goes_down(&ours);
    desk.store_answers();
    for _ in 0..120 {
        desk.wait(1);
        desk.all_goes_well();
    }
    assert_eq!((desk.heard.len(), probed_again(&mut desk, &ours)), (0, 0));
    let now = moment(desk.now).wall;
    desk.somebody_writes("db", |state| {
        (state.status, state.since, state.incident, state.last_alerted) = (Status::Up, Some(now), None, Status::Up);
    });
    for _ in 0..10 {
        desk.wait(1);
        desk.store_answers();
    }
    assert_eq!(probed_again(&mut desk, &ours), 1);
    desk.finds(&ours, Verdict::Fail);
    desk.all_goes_well();
    assert_eq!(desk.heard, [format!("{ours} down")]);
}

#[test]
fn what_was_read_of_a_parent_long_ago_holds_nothing() {
    let (mut desk, ours) = desk_of_a_parent_elsewhere();
    desk.goes_down(&ours);
    desk.store_answers();
    // The store is dead, and nobody knows how the parent is any more.
    for _ in 0..90 {
        desk.wait(1);
        desk.store_fails(&unavailable());
        desk.finds(&ours, Verdict::Fail);
        desk.attempts_end(&DeliveryResult::Delivered);
    }
    assert!(desk.heard.contains(&format!("{ours} down")), "{:?}", desk.heard);
    // Hours later it is asked anew, and waited for.
    let (mut desk, ours) = desk_of_a_parent_elsewhere();
    desk.goes_down(&ours);
    desk.store_answers();
    desk.comes_back(&ours);
    desk.somebody_writes("db", |state| {
        (state.status, state.since, state.incident) = (Status::Up, Some(Timestamp::default()), None);
        state.last_alerted = Status::Up;
    });
    desk.wait(7_200);
    desk.finds(&ours, Verdict::Fail);
    desk.finds(&ours, Verdict::Fail);
    let why = desk.known(&ours).held.as_ref().map(|held| held.why.clone());
    assert_eq!(why.as_deref(), Some("db, which it depends on, is probed first"));
}

#[test]
fn a_new_owner_does_not_tell_what_is_held_before_it_has_read_how_the_parent_is() {
    let theirs = id("db");
    let ours =
        (0..).map(|n| format!("shop-{n}")).find(|name| Shard::of(&id(name), SHARDS) != Shard::of(&theirs, SHARDS));
    let ours = ours.unwrap();
    let mut desk = Desk::empty(setup());
    desk.gain(&grants(1, true));
    watch(&mut desk, &[row("db"), dependent(&ours, &["db"])]);
    desk.finds("db", Verdict::Pass);
    desk.finds(&ours, Verdict::Pass);
    desk.goes_down("db");
    desk.goes_down(&ours);
    desk.all_goes_well();
    desk.wait(300);
    desk.keeper = Keeper::new(setup(), moment(desk.now));
    let not_theirs = |grant: &Grant| grant.shard != Shard::of(&theirs, SHARDS);
    desk.gain(&grants(2, false).into_iter().filter(not_theirs).collect::<Vec<_>>());
    watch(&mut desk, &[dependent(&ours, &["db"])]);
    desk.finds(&ours, Verdict::Fail);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down"]);
}

#[test]
fn a_parent_whose_record_can_be_read_is_no_proof_that_the_store_takes_writes() {
    let not_of = |shard: Shard| move |name: &String| Shard::of(&id(name), SHARDS) != shard;
    let theirs = (0..).map(|n| format!("db-{n}")).find(not_of(Shard::LEADER)).unwrap();
    let of_theirs = Shard::of(&id(&theirs), SHARDS);
    let ours: Vec<String> = (0..).map(|n| format!("shop-{n}")).filter(not_of(of_theirs)).take(2).collect();
    let mut desk = Desk::empty(setup());
    desk.gain(&grants(1, true).into_iter().filter(|grant| grant.shard != of_theirs).collect::<Vec<_>>());
    watch(&mut desk, &[dependent(&ours[0], &[&theirs]), row(&ours[1])]);
    for name in &ours {
        desk.finds(name, Verdict::Pass);
    }
    desk.store_answers();
    desk.somebody_writes(&theirs, is_down);
    desk.goes_down(&ours[0]);
    desk.store_answers();
    // No write goes through from now on, and every reading does.
    desk.goes_down(&ours[1]);
    for _ in 0..300 {
        desk.wait(1);
        for (call, writes) in std::mem::take(&mut desk.commits) {
            let results = vec![Err(CommitError::Store(unavailable())); writes.len()];
            desk.answer(call, &writes, results);
        }
        for (call, api_id) in std::mem::take(&mut desk.reads) {
            let read = RecordRead::Found(Box::new(desk.stored(api_id.as_str()).clone()));
            desk.answer_read(call, &api_id, read);
        }
        desk.attempts_end(&DeliveryResult::Delivered);
    }
    assert_eq!(desk.heard, [format!("{} down", ours[1]), "api-health:store down".to_owned()]);
    let is_over = |line: &LogEvent| matches!(line, LogEvent::StoreBack { .. });
    assert_eq!((desk.said(is_over), desk.said(|line| matches!(line, LogEvent::OneRecord { .. }))), (0, 0));
    for _ in 0..60 {
        desk.wait(1);
        desk.all_goes_well();
    }
    assert_eq!((desk.said(is_over), desk.heard[2].as_str()), (1, "api-health:store up"));
}

/// A probe of this API by a clock that was set back by `back`, and a second after it.
fn finds_by_clock(desk: &mut Desk, name: &str, verdict: Verdict, back: Duration) {
    let at = |now: Duration| Moment {
        monotonic: now,
        wall: Timestamp::default().plus(moment(now).wall.since(Timestamp::default().plus(back))),
    };
    let api = Arc::clone(&desk.rows[name]);
    desk.completes(api, verdict, at(desk.now));
    desk.now += Duration::from_secs(1);
    desk.keeper.tick(at(desk.now));
    desk.take();
    desk.all_goes_well();
}

const A_DAY: Duration = Duration::from_secs(86_400);

#[test]
fn what_was_held_before_a_clock_was_set_back_is_told_soon_after_its_parent_is_back() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"])]);
    desk.goes_down("db");
    desk.goes_down("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down"]);
    desk.others.clear();
    for _ in 0..3 {
        finds_by_clock(&mut desk, "db", Verdict::Pass, A_DAY);
        finds_by_clock(&mut desk, "shop", Verdict::Fail, A_DAY);
    }
    assert_eq!(desk.heard, ["db down", "db up", "shop down"]);
    assert_eq!(
        desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(api_id)) if *api_id == id("db"))),
        0
    );
}

#[test]
fn what_goes_down_after_a_clock_was_set_back_has_its_parent_asked_and_is_told() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"])]);
    finds_by_clock(&mut desk, "shop", Verdict::Fail, A_DAY);
    assert_eq!(probed_again(&mut desk, "db"), 1, "what it said tomorrow says nothing of today");
    finds_by_clock(&mut desk, "shop", Verdict::Fail, A_DAY);
    assert!(desk.heard.is_empty());
    finds_by_clock(&mut desk, "db", Verdict::Pass, A_DAY);
    finds_by_clock(&mut desk, "shop", Verdict::Fail, A_DAY);
    assert_eq!(desk.heard, ["shop down"]);
}
