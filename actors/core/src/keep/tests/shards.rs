//! Shards that come and go: sealing, letting go in order, losing.

use super::*;
use crate::Status;
use crate::decide::withdraw;

/// A store in which the shop is down and the alert about it is owed, as an owner with epoch 1 left it; and four that are up.
fn left_behind() -> Desk {
    let mut before = Desk::watching(&["shop", "a", "b", "c", "d"]);
    before.goes_down("shop");
    before.store_answers();
    let mut next = Desk::empty(setup());
    (next.store, next.now) = (before.store, before.now);
    next
}

#[test]
fn what_was_left_in_order_is_told_at_once_and_nothing_is_written_for_that() {
    let mut desk = left_behind();
    assert_eq!(desk.gain(&grants(2, true)), []);
    assert_eq!((desk.under_way(), desk.commits.len()), (vec![("shop down".to_owned(), false)], 0));
}

#[test]
fn else_each_record_is_sealed_those_that_owe_first_and_what_they_owe_is_told_after_that() {
    let mut desk = left_behind();
    desk.gain(&grants(2, false));
    let first: Vec<&ApiId> = desk.commits.iter().map(|(_, writes)| &writes[0].state.api_id).collect();
    assert_eq!((first, desk.under_way()), (vec![&id("shop")], vec![]));
    desk.store_answers();
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
    desk.wait(2);
    desk.store_answers();
    assert!(desk.store.values().all(|state| state.epoch == 2), "all are sealed");
}

#[test]
fn records_are_sealed_at_a_stated_rate() {
    let mut desk =
        Desk::empty(KeeperConfig { limits: CommitLimits { batch_max: 10_000, batches_in_flight_max: 1 }, ..setup() });
    for n in 0..3 * REWRITES_PER_SECOND {
        desk.somebody_writes(&format!("api-{n}"), |state| state.version = 1);
    }
    desk.gain(&grants(2, false));
    let mut sealed = 0;
    for second in 0..4 {
        desk.wait(1);
        desk.store_answers();
        let now = desk.store.values().filter(|state| state.epoch == 2).count();
        assert!(now - sealed <= REWRITES_PER_SECOND, "{} in second {second}", now - sealed);
        sealed = now;
    }
    assert_eq!(sealed, 3 * REWRITES_PER_SECOND);
}

#[test]
fn an_unsealed_alert_that_the_store_holds_up_is_told_after_half_a_minute_all_the_same() {
    let mut desk = left_behind();
    desk.gain(&grants(2, false));
    desk.store_is_dead_for(29, &unavailable());
    assert!(!desk.under_way().contains(&("shop down".to_owned(), true)));
    desk.store_is_dead_for(1, &unavailable());
    assert!(desk.under_way().contains(&("shop down".to_owned(), true)));
}

#[test]
fn a_write_of_the_owner_before_that_lands_before_the_seal_counts() {
    let mut desk = left_behind();
    desk.gain(&grants(2, false));
    // The owner before has told it, and that lands now.
    desk.somebody_writes("shop", |state| {
        state.version += 1;
        state.owed.clear();
    });
    desk.all_goes_well();
    assert_eq!(desk.heard.len(), 0, "it is told already");
    let stored = desk.stored("shop");
    assert_eq!((stored.status, stored.epoch, stored.owed.len()), (Status::Down, 2, 0));
    // Another one of its writes lands too late.
    let late =
        StateWrite { expected_version: stored.version - 1, state: Arc::new(ApiState { epoch: 1, ..stored.clone() }) };
    assert_eq!(desk.write(&late), Err(CommitError::Conflict));
}

#[test]
fn a_grant_with_a_lower_epoch_than_a_record_is_named_and_not_taken() {
    let mut desk = left_behind();
    desk.somebody_writes("shop", |state| state.epoch = 7);
    let shard = Shard::of(&id("shop"), SHARDS);
    assert_eq!(desk.gain(&grants(6, true)), [(shard, 7)]);
    assert_eq!((desk.attempts.len(), desk.keeper.state(&id("shop"))), (0, None));
    assert_eq!(desk.gain(&[Grant { shard, epoch: 8, clean: true, fresh: true }]), []);
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
}

#[test]
fn records_of_other_shards_are_passed_over() {
    let mut desk = left_behind();
    let mine = Shard::of(&id("a"), SHARDS);
    desk.gain(&[Grant { shard: mine, epoch: 2, clean: true, fresh: true }]);
    for api_id in desk.store.keys() {
        assert_eq!(desk.keeper.state(api_id).is_some(), Shard::of(api_id, SHARDS) == mine, "{api_id}");
    }
}

#[test]
fn a_shard_that_is_let_go_of_is_stored_and_nothing_more_is_begun_for_it() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    desk.comes_back("shop");
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    desk.store_answers();
    assert_eq!(desk.let_go_of("shop"), 0, "an attempt is under way");
    desk.attempts_end(&DeliveryResult::Delivered);
    assert_eq!(desk.let_go_of("shop"), 0, "what came of it is not stored");
    desk.store_answers();
    desk.wait(600);
    assert!(desk.let_go_of("shop") == 1 && desk.attempts.is_empty());
    let owed: Vec<&str> = desk.stored("shop").owed.iter().map(|owed| owed.alert.kind.as_str()).collect();
    assert_eq!(owed, ["up"], "the recovery is for its next owner to tell");
}

#[test]
fn a_shard_waits_for_no_attempt_of_another_to_be_let_go_of() {
    let mut desk = Desk::watching(&["shop", "a"]);
    assert_ne!(Shard::of(&id("shop"), SHARDS), Shard::of(&id("a"), SHARDS));
    desk.goes_down("shop");
    desk.store_answers();
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    desk.store_answers();
    assert_eq!((desk.let_go_of("a"), desk.let_go_of("shop")), (1, 0));
    assert!(desk.keeper.state(&id("a")).is_none() && desk.keeper.state(&id("shop")).is_some());
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.store_answers();
    desk.wait(1);
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    assert_eq!((desk.let_go_of("a"), desk.let_go_of("shop")), (2, 2), "asked again, it says so again");
}

#[test]
fn what_is_figures_alone_is_stored_as_well_before_a_shard_is_let_go_of() {
    let mut desk = Desk::watching(&["shop"]);
    desk.wait(1);
    desk.finds("shop", Verdict::Pass);
    assert!(desk.commits.is_empty(), "it waits for its checkpoint");
    let known = desk.known("shop").last_probe.clone();
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    assert_eq!(desk.let_go_of("shop"), 0);
    desk.store_answers();
    desk.wait(1);
    assert_eq!(desk.let_go_of("shop"), 1);
    assert_eq!(desk.stored("shop").last_probe, known);
}

#[test]
fn what_is_found_out_after_a_shard_is_let_go_of_waits_for_no_checkpoint() {
    let seldom = KeeperConfig { checkpoint: NOTED_WITHIN, ..setup() };
    let mut desk = Desk::with(seldom, &["bank"]);
    desk.goes_down("bank");
    desk.store_answers();
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    // The end of an attempt that was under way.
    desk.attempts_end(&DeliveryResult::Failed { why: "refused".into(), wait: Duration::from_secs(30), patience: None });
    let known = desk.known("bank").clone();
    assert!(desk.let_go_of("bank") == 0 && known.owed[0].deliveries[0].failures == 1);
    desk.wait(1);
    desk.store_answers();
    desk.wait(1);
    assert_eq!(desk.let_go_of("bank"), 1);
    assert_eq!(desk.stored("bank").owed, known.owed);
}

#[test]
fn an_outcome_that_comes_after_its_shard_was_let_go_of_is_for_the_next_owner_to_find() {
    let mut desk = Desk::watching(&["shop"]);
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    assert_eq!(desk.let_go_of("shop"), 1);
    // Another may own it from here on, and seals nothing that was let go of in order.
    desk.goes_down("shop");
    desk.wait(1);
    assert!(desk.commits.is_empty() && desk.attempts.is_empty() && desk.keeper.state(&id("shop")).is_none());
    // Nor does one count that comes before the shard can go.
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.comes_back("shop");
    assert_eq!((desk.let_go_of("shop"), desk.known("shop").status), (0, Status::Down));
}

#[test]
fn of_a_lost_shard_nothing_is_known_and_what_was_told_without_the_store_is_taken_back_by_its_owner() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    let of_the_shop = desk.attempts.iter().position(|attempt| attempt.alert().api_id == id("shop")).unwrap();
    let attempt = desk.attempts.remove(of_the_shop).unwrap();
    desk.ends(&attempt, &DeliveryResult::Delivered);
    desk.keeper.drop_shards(&all_shards());
    desk.take();
    assert_eq!(desk.keeper.state(&id("shop")), None);
    let asked: Vec<&Arc<Alert>> = desk.others.iter().filter_map(asked_to_withdraw).collect();
    assert_eq!(asked, [attempt.alert()]);

    let mut next = Desk::empty(setup());
    next.store = desk.store.clone();
    next.gain(&grants(2, false));
    next.keeper.withdraw(attempt.alert(), moment(next.now));
    next.keeper.withdraw(attempt.alert(), moment(next.now));
    next.take();
    next.all_goes_well();
    assert_eq!((next.heard.as_slice(), next.stored("shop").status), (&["shop closed".to_owned()][..], Status::Up));
}

#[test]
fn a_shard_that_is_read_twice_is_gained_once() {
    let mut desk = Desk::watching(&["shop"]);
    desk.keeper.drop_shards(&all_shards());
    desk.take();
    desk.gain(&grants(2, false));
    desk.watch(&["shop"]);
    desk.finds("shop", Verdict::Fail);
    desk.gain(&grants(2, false));
    assert!(desk.known("shop").is_suspect(), "what was found out since is known");
    desk.finds("shop", Verdict::Fail);
    assert_eq!(desk.known("shop").status, Status::Down, "and outcomes still count");
}

#[test]
fn beside_an_attempt_from_before_a_shard_was_lost_nothing_is_told() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    assert_eq!(desk.attempts.len(), 1);
    desk.keeper.drop_shards(&all_shards());
    desk.take();
    desk.gain(&grants(2, true));
    desk.watch(&["shop"]);
    desk.wait(1);
    assert_eq!(desk.attempts.len(), 1, "it is still under way");
    desk.attempts_end(&DeliveryResult::Failed { why: "refused".into(), wait: Duration::from_secs(5), patience: None });
    desk.wait(6);
    desk.store_answers();
    assert_eq!(desk.attempts.len(), 1, "and tried again after that");
}

#[test]
fn what_is_known_of_a_shard_that_is_granted_anew_stays_known() {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Fail);
    desk.gain(&grants(3, false));
    desk.finds("shop", Verdict::Fail);
    assert_eq!(desk.known("shop").status, Status::Down, "outcomes from before and after it count");
    desk.gain(&grants(2, false)); // the reading for a grant before that ends late
    desk.all_goes_well();
    assert_eq!((desk.stored("shop").status, desk.stored("shop").epoch), (Status::Down, 3));
}

#[test]
fn an_answer_from_before_a_shard_was_lost_says_nothing_of_what_is_known_since() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    let (call, writes) = desk.commits.pop_front().unwrap();
    desk.keeper.drop_shards(&all_shards());
    desk.take();
    desk.gain(&grants(2, true));
    desk.watch(&["shop"]);
    desk.finds("shop", Verdict::Pass); // its write may wait
    desk.answer(call, &writes, vec![Ok(())]);
    desk.wait(20);
    desk.all_goes_well();
    assert_eq!((desk.stored("shop").status, desk.stored("shop").epoch), (Status::Up, 2));

    desk.goes_down("shop");
    desk.answer(call, &writes, vec![Ok(())]);
    assert_eq!(desk.under_way(), vec![], "it is not stored yet");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down"]);
}

fn asked_to_withdraw(effect: &Effect) -> Option<&Arc<Alert>> {
    if let Effect::Request(Request::Withdraw(alert)) = effect { Some(alert) } else { None }
}

#[test]
fn so_it_is_where_the_attempt_ends_after_the_shard_is_lost() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    desk.keeper.drop_shards(&all_shards());
    desk.attempts_end(&DeliveryResult::Delivered);
    assert!(desk.others.iter().filter_map(asked_to_withdraw).any(|alert| alert.api_id == id("shop")));
}

#[test]
fn an_outage_that_its_owner_knows_is_not_taken_back() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.all_goes_well();
    let told = Arc::clone(&desk.alerts[0].1);
    assert_eq!(withdraw(desk.known("shop"), &told, &["pager".to_owned()], moment(desk.now).wall), None);
    desk.keeper.withdraw(&told, moment(desk.now));
    desk.take();
    assert_eq!((desk.commits.len(), desk.known("shop").owed.len()), (0, 0));
}

#[test]
fn an_outage_that_is_to_be_taken_back_is_handed_on_until_that_is_stored() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    let told = desk.attempts.iter().find(|attempt| attempt.alert().api_id == id("shop")).unwrap().alert().clone();
    let mut next = Desk::watching(&["shop"]);
    next.keeper.withdraw(&told, moment(next.now));
    next.keeper.drop_shards(&all_shards());
    next.take();
    assert_eq!(next.others.iter().filter_map(asked_to_withdraw).collect::<Vec<_>>(), [&told]);
}

#[test]
fn what_an_owner_told_of_its_own_side_ends_with_the_next_one_that_is_well() {
    let mut before = Desk::watching(&["shop"]);
    before.keeper.on_own_side_status(OwnSideKind::Network, Some("gone".into()), moment(before.now));
    before.keeper.on_capacity_status(Some("too much".into()), moment(before.now));
    before.wait(1);
    before.all_goes_well();
    let mut desk = Desk::empty(setup());
    (desk.store, desk.now) = (before.store, before.now);
    desk.gain(&grants(2, true));
    desk.wait(1);
    desk.all_goes_well();
    assert_eq!(desk.heard, [""; 0], "it does not know how it is here");
    desk.keeper.on_own_side_status(OwnSideKind::Network, None, moment(desk.now));
    desk.keeper.on_capacity_status(None, moment(desk.now));
    desk.wait(1);
    desk.all_goes_well();
    let mut heard = std::mem::take(&mut desk.heard);
    heard.sort();
    assert_eq!(heard, ["api-health:capacity up", "api-health:network up"]);
}
