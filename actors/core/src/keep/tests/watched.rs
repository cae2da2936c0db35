//! Outcomes and the rows that they were found by, what the monitor tells of itself, and another life of the keeper.

use super::*;
use crate::Status;

#[test]
fn whoever_asks_for_patience_is_asked_again_no_sooner_and_at_its_next_tick_at_the_latest() {
    let mut desk = Desk::watching(&["shop"]);
    let seconds = Duration::from_secs;
    for (asked, soonest, latest) in [(None, 4, 5), (Some(2), 4, 5), (Some(30), 30, 36), (Some(3_600), 60, 60)] {
        desk.patience = asked.map(seconds);
        let again = desk.finds("shop", Verdict::Fail).unwrap();
        assert!(again >= seconds(soonest) && again <= seconds(latest), "{asked:?}: {again:?}");
        desk.finds("shop", Verdict::Pass);
    }
    desk.patience = Some(seconds(30));
    assert_eq!(desk.finds("shop", Verdict::Pass), None, "a pass is asked again as ever");
}

#[test]
fn an_outcome_of_another_request_does_not_count() {
    let mut desk = Desk::watching(&["shop"]);
    let before = Arc::clone(&desk.rows["shop"]);
    let now = Arc::new(ApiConfig { url: "https://shop.test/other".into(), ..ApiConfig::clone(&before) });
    desk.keeper
        .apply_configs(&ConfigDiff { changed: vec![Arc::clone(&now)], ..ConfigDiff::default() }, moment(desk.now));
    for _ in 0..3 {
        assert_eq!(desk.finds_by(Arc::clone(&before), Verdict::Fail), None);
    }
    assert_eq!((desk.known("shop").status, desk.known("shop").is_suspect()), (Status::Up, false));
    assert_eq!(desk.known("shop").last_probe.as_ref().unwrap().verdict, Verdict::Inconclusive);
    desk.finds_by(Arc::clone(&now), Verdict::Fail);
    desk.finds_by(now, Verdict::Fail);
    assert_eq!(desk.known("shop").status, Status::Down);
}

#[test]
fn an_outcome_of_what_is_not_watched_or_not_ours_counts_for_nothing() {
    let mut desk = Desk::watching(&["shop"]);
    let stopped = vec![(id("shop"), "it was removed")];
    desk.keeper.apply_configs(&ConfigDiff { stopped, ..ConfigDiff::default() }, moment(desk.now));
    desk.goes_down("shop");
    assert_eq!(desk.known("shop").status, Status::Unknown);
    desk.keeper.drop_shards(&all_shards());
    desk.finds("shop", Verdict::Fail);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::LateOutcome { .. })), 3);
    assert_eq!(desk.keeper.state(&id("shop")), None);
}

#[test]
fn an_api_that_is_removed_in_an_outage_is_told_as_closed() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    let stopped = vec![(id("shop"), "it was removed")];
    desk.keeper.apply_configs(&ConfigDiff { stopped, ..ConfigDiff::default() }, moment(desk.now));
    desk.take();
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down", "shop closed"]);
}

#[test]
fn only_what_decides_something_is_stored_at_once() {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Pass);
    desk.wait(8);
    assert!(desk.commits.is_empty());
    desk.wait(3);
    assert_eq!(desk.commits.len(), 1, "at its checkpoint");
    desk.store_answers();
    assert!(desk.finds("shop", Verdict::Fail).is_some(), "it is asked again");
    assert_eq!(desk.commits.len(), 1, "a suspicion is stored at once");
}

#[test]
fn what_was_cut_with_the_alerter_is_offered_again_until_there_is_one() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    let cut = desk.attempts[0].alert().alert_id.clone();
    for _ in 0..3 {
        desk.attempts_end(&DeliveryResult::Cancelled);
        assert!(desk.attempts.is_empty(), "not at once");
        desk.wait(1);
        assert_eq!((desk.attempts.len(), &desk.attempts[0].alert().alert_id), (1, &cut));
    }
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down"]);
}

#[test]
fn whoever_waits_until_all_is_told_hears_when_it_is() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.keeper.flush(FlushUntil::Stored, 1, moment(desk.now));
    desk.keeper.flush(FlushUntil::Delivered, 2, moment(desk.now));
    desk.take();
    desk.store_answers();
    let flushed = |desk: &Desk, waiter| desk.did(|effect| matches!(effect, Effect::Flushed(n) if *n == waiter)) == 1;
    assert!(flushed(&desk, 1) && !flushed(&desk, 2));
    desk.all_goes_well();
    assert!(flushed(&desk, 2));
}

#[test]
fn an_api_waits_for_one_checkpoint_however_often_it_is_found_well() {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Pass);
    desk.store_answers();
    let before = desk.stored("shop").version;
    for _ in 0..100 {
        desk.finds("shop", Verdict::Pass);
    }
    assert!(desk.commits.is_empty());
    desk.wait(600);
    assert_eq!(desk.commits.iter().map(|(_, writes)| writes.len()).sum::<usize>(), 1);
    desk.store_answers();
    desk.wait(600);
    assert!(desk.commits.is_empty() && desk.stored("shop").version == before + 1);
}

#[test]
fn steady_apis_are_written_at_a_bounded_rate_however_many_there_are() {
    let ids: Vec<String> = (0..4_000).map(|n| format!("api-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut desk = Desk::watching(&ids);
    ids.iter().for_each(|id| _ = desk.finds(id, Verdict::Pass)); // each takes a millisecond
    desk.wait(12);
    assert!(desk.commits.is_empty(), "4,000 at 200 a second wait for 20 s, though a checkpoint is 10 s");
    desk.wait(10);
    assert!(!desk.commits.is_empty());
}

#[test]
fn a_prober_that_was_given_up_is_told_and_three_outcomes_end_that() {
    let mut desk = Desk::watching(&["shop"]);
    let shop = Arc::clone(&desk.rows["shop"]);
    desk.keeper.on_prober_given_up(&shop, "it died".into(), moment(desk.now));
    desk.wait(1);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["api-health:prober:shop down"]);
    assert_eq!((desk.keeper.report().unknown, desk.known("shop").status), (1, Status::Up));
    for _ in 0..3 {
        desk.finds("shop", Verdict::Pass);
    }
    desk.all_goes_well();
    assert_eq!(desk.heard, ["api-health:prober:shop down", "api-health:prober:shop up"]);
    assert_eq!(desk.keeper.report().unknown, 0);
}

#[test]
fn that_workers_are_missing_is_told_once_by_the_owner_of_the_first_shard() {
    let mut desk = Desk::watching(&[]);
    for fault in [None, Some("1 of 2 lives"), Some("1 of 2 lives"), None, None] {
        desk.keeper.on_fleet_status(fault.map(str::to_owned), moment(desk.now));
        desk.wait(1);
        desk.all_goes_well();
    }
    assert_eq!(desk.heard, ["api-health:fleet down", "api-health:fleet up"]);
    desk.keeper.drop_shards(&ShardSet::from([Shard::LEADER]));
    desk.keeper.on_fleet_status(Some("1 of 2 lives".into()), moment(desk.now));
    desk.wait(1);
    assert!(desk.commits.is_empty());
}
