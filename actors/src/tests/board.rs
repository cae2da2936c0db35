//! The board: what those who look are shown, and that nothing is gathered for nobody.

use std::time::Duration;

use api_health_core::view::{Condition, Counts};
use api_health_core::{ApiId, Status, Timestamp};

use super::{options, seconds, world};
use crate::board::{Board, CHANGES_MAX, LOOKS_FOR};
use crate::ports::Clock;
use crate::testkit::target::Behaviour;
use crate::testkit::{self, api, in_virtual_time};

#[test]
fn whoever_looks_sees_all_at_once_and_each_change_within_a_second() {
    in_virtual_time(async {
        let world = world(&["a", "b", "c"]);
        let running = world.start(options()).await;
        seconds(15).await;
        let board = running.gauges().board().clone();
        let first = board.snapshot().await.expect("it is filled");
        assert_eq!(first.views.iter().map(|view| view.api_id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(Counts::of(first.views.iter().map(AsRef::as_ref), first.at).get(Condition::Up), 3);
        assert!(first.views.iter().all(|view| view.figures.is_some()), "each was probed by this process");
        let number = board.last_change();

        world.targets.set("b", Behaviour::Refuses);
        seconds(40).await;
        let second = board.snapshot().await.expect("it is filled");
        assert!(second.revision > first.revision && world.clock.now().since(second.at) <= Duration::from_secs(11));
        let down = &second.views[1];
        assert_eq!(down.condition(second.at), Condition::Down);
        assert!(down.why(second.at).is_some_and(|why| why.contains("refused")), "{down:?}");
        let changes = board.changes_after(number).expect("all are kept");
        let conditions: Vec<_> = changes.iter().map(|change| (change.api_id.as_str(), change.condition)).collect();
        assert_eq!(conditions, [("b", Some(Condition::Suspect)), ("b", Some(Condition::Down))]);

        world.configs.set(["a", "b"].map(|id| api(id, 10)).into());
        running.reload().await;
        seconds(2).await;
        let third = board.snapshot().await.expect("it is filled");
        assert_eq!(third.views.len(), 2);
        assert_eq!(board.changes_after(number).unwrap().last().map(|change| change.condition), Some(None));
        assert_eq!(board.changes_after(board.last_change() + 1), None, "there was no such change");
    });
}

#[test]
fn the_keeper_is_heard_of_each_second_though_nothing_changes() {
    in_virtual_time(async {
        let world = world(&[]);
        world.configs.set(vec![api("seldom", 600)]);
        let running = world.start(options()).await;
        let board = running.gauges().board().clone();
        let first = board.snapshot().await.expect("it is filled");
        seconds(45).await;
        let second = board.snapshot().await.expect("it is filled");
        assert!(world.clock.now().since(second.at) <= Duration::from_secs(2), "{} {}", first.at, second.at);
        assert!(second.revision < first.revision + 10, "a revision is a change, and no second: {}", second.revision);
    });
}

#[test]
fn where_nobody_looks_any_longer_it_is_emptied_and_filled_again_for_the_next() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        let board = running.gauges().board().clone();
        seconds(15).await;
        let id = ApiId::parse("a").unwrap();
        assert!(board.get(&id).is_none(), "nobody has looked");
        let before = board.snapshot().await.expect("it is filled");
        let number = board.last_change();
        assert!(board.get(&id).is_some());
        seconds(LOOKS_FOR.as_secs() + 2).await;
        assert!(board.get(&id).is_none());
        let after = board.snapshot().await.expect("it is filled");
        assert!(after.revision > before.revision && after.views.len() == 1);
        assert_eq!(board.changes_after(number), None, "what happened meanwhile is not known");
    });
}

#[test]
fn so_many_changes_are_kept_and_the_oldest_go() {
    let board = Board::default();
    for n in 0..=CHANGES_MAX + 1 {
        let mut view = testkit::board::view(api("a", 60), Timestamp::default());
        view.status = if n % 2 == 0 { Status::Up } else { Status::Down };
        testkit::board::show(&board, vec![view], Vec::new(), Timestamp::default());
    }
    let (last, most) = (board.last_change(), u64::try_from(CHANGES_MAX).unwrap());
    assert_eq!(last, most + 1, "the first is no change");
    assert_eq!(board.changes_after(last - most).map(|changes| changes.len()), Some(CHANGES_MAX));
    assert_eq!(board.changes_after(last - most - 1), None);
}

#[test]
fn what_is_configured_and_not_watched_is_said() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(2).await;
        assert!(running.not_here().is_empty());
        let off = api_health_core::ApiConfig { enabled: false, ..api("off", 10) };
        world.configs.set(vec![api("a", 10), off, api("b", 10)]);
        running.reload().await;
        assert_eq!(running.not_here().iter().map(|api| api.api_id.as_str()).collect::<Vec<_>>(), ["off"]);
    });
}

#[test]
fn what_only_time_changes_is_told_once() {
    let (board, now) = (Board::default(), Timestamp::from_millis(1_000_000));
    let after = |seconds| now.plus(Duration::from_secs(seconds));
    let mut late = testkit::board::view(api("late", 10), now);
    late.late_after = Some(after(5));
    let mut window = testkit::board::view(api("window", 10), now);
    window.maintenance_until = Some(after(7));
    testkit::board::show(&board, vec![late.clone(), window], Vec::new(), now);
    let (number, mut revision) = (board.last_change(), board.revisions());
    let told = || -> Vec<(String, Option<Condition>)> {
        let changes = board.changes_after(number).unwrap();
        changes.into_iter().map(|change| (change.api_id.to_string(), change.condition)).collect()
    };
    revision.borrow_and_update();
    board.pass_time(after(5));
    assert!(told().is_empty() && !revision.has_changed().unwrap(), "it is not late yet");
    for seconds in 6..10 {
        board.pass_time(after(seconds));
    }
    let of = |id: &str, condition| (id.to_owned(), Some(condition));
    assert_eq!(told(), [of("late", Condition::Unwatched), of("window", Condition::Up)]);
    assert!(revision.has_changed().unwrap(), "who waits for changes is woken");
    late.late_after = Some(after(30));
    testkit::board::put(&board, late, after(10));
    assert_eq!(told()[2..], [of("late", Condition::Up)], "its outcome came after all");
    board.pass_time(now);
    board.pass_time(after(31));
    let after_all =
        [of("window", Condition::Maintenance), of("late", Condition::Unwatched), of("window", Condition::Up)];
    assert_eq!(told()[3..], after_all, "a clock that was set back stops nothing");
}
