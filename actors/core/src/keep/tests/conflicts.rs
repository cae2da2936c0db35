//! What it means that a stored record is another than expected: our own write, a higher epoch, an old copy, a newer record, or
//! none at all.

use super::*;
use crate::Status;

#[test]
fn it_is_our_own_write_whose_answer_was_lost() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.answers_are_lost();
    desk.wait(20);
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").version), (&["shop down".to_owned()][..], 4));
    assert_eq!(desk.said(|line| matches!(line, LogEvent::AnswerLost { .. })), 1);
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(_)))), 0, "nothing is forgotten");
}

#[test]
fn a_higher_epoch_says_that_the_shard_is_lost() {
    let mut desk = Desk::watching(&["shop"]);
    desk.somebody_writes("shop", |state| (state.version, state.epoch) = (state.version + 1, 2));
    desk.goes_down("shop");
    desk.store_answers();
    assert_eq!(
        desk.did(
            |effect| matches!(effect, Effect::Request(Request::ShardFenced { shard, .. }) if *shard == Shard::of(&id("shop"), SHARDS))
        ),
        1
    );
    assert_eq!((desk.under_way(), desk.stored("shop").status), (vec![], Status::Up), "and nothing is told or written");
}

#[test]
fn an_old_copy_is_overwritten_with_a_version_above_both() {
    // From a backup: with a lower version, or with a higher one of an epoch before.
    for (version, epoch) in [(1, 1), (9, 0)] {
        let mut desk = Desk::watching(&["shop"]);
        desk.goes_down("shop");
        desk.all_goes_well();
        let known = desk.stored("shop").version;
        desk.store.insert(id("shop"), ApiState { version, epoch, ..ApiState::unknown(id("shop")) });
        desk.comes_back("shop");
        desk.all_goes_well();
        let stored = desk.stored("shop");
        assert!(stored.version > known && stored.version > version, "{}", stored.version);
        assert_eq!((stored.status, stored.epoch), (Status::Up, 1));
        assert_eq!(desk.heard, ["shop down", "shop up"], "nothing is told again, and nothing is forgotten");
        assert_eq!(desk.said(|line| matches!(line, LogEvent::OldCopy { .. })), 1);
    }
}

#[test]
fn a_newer_record_counts_and_what_was_decided_and_not_stored_is_found_out_again() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.somebody_writes("shop", |state| (state.version, state.missed_ticks) = (state.version + 5, 99));
    desk.store_answers();
    assert_eq!((desk.known("shop").status, desk.known("shop").missed_ticks), (Status::Up, 99));
    assert_eq!((desk.heard.len(), desk.under_way()), (0, vec![]));
    assert_eq!(
        desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(api_id)) if *api_id == id("shop"))),
        1
    );
    desk.goes_down("shop");
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").missed_ticks), (&["shop down".to_owned()][..], 99));
}

#[test]
fn where_only_figures_are_lost_nothing_is_probed_again() {
    let mut desk = Desk::watching(&["shop"]);
    desk.wait(1);
    desk.finds("shop", Verdict::Pass);
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.wait(20);
    desk.store_answers();
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(_)))), 0);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::Adopted { .. })), 1);
}

#[test]
fn what_a_channel_took_stays_taken_whatever_record_counts() {
    let both = Routes::to_all(["pager", "mail"]);
    let mut desk = Desk::with(KeeperConfig { routes: both, ..setup() }, &["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    let to_the_pager = desk.attempts.pop_front().unwrap();
    desk.ends(&to_the_pager, &DeliveryResult::Delivered);
    // While that is written, another record lands that does not know it.
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down", "shop down through mail"], "to each of them once");
    assert_eq!(desk.stored("shop").owed, []);
}

#[test]
fn an_outage_that_was_told_and_is_not_in_the_record_that_counts_is_taken_back() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.wait(20);
    desk.all_goes_well();
    let of_the_shop: Vec<&Arc<Alert>> =
        desk.alerts.iter().map(|(_, alert)| alert).filter(|alert| alert.api_id == id("shop")).collect();
    let [told, taken_back] = of_the_shop[..] else { panic!("{:?}", desk.heard) };
    assert_eq!((told.kind.as_str(), taken_back.kind.as_str()), ("down", "closed"));
    assert!(taken_back.is_withdrawal() && taken_back.incident_id == told.incident_id);
    assert_eq!(desk.stored("shop").status, Status::Up);
}

#[test]
fn a_record_that_somebody_deleted_is_written_again_and_so_are_the_others() {
    let mut desk = Desk::watching(&["shop", "cart"]);
    desk.store.clear();
    desk.goes_down("shop");
    desk.all_goes_well();
    desk.wait(2);
    desk.all_goes_well();
    assert_eq!((desk.stored("shop").status, desk.stored("cart").status), (Status::Down, Status::Up));
    assert_eq!(desk.heard, ["shop down"]);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::RecordGone { .. })), 2);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::RecordsRewritten { others: 1 })), 1);
}

#[test]
fn a_record_of_a_newer_version_is_left_alone_and_holds_up_no_other() {
    let mut desk = Desk::watching(&["shop", "cart"]);
    desk.somebody_writes("shop", |state| state.version = 50);
    desk.goes_down("shop");
    let (call, writes) = desk.commits.pop_front().unwrap();
    desk.answer(call, &writes, vec![Err(CommitError::Conflict)]);
    let (call, api_id) = desk.reads.pop_front().unwrap();
    desk.answer_read(call, &api_id, RecordRead::Newer("schema 99".into()));
    desk.goes_down("cart");
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").version), (&["cart down".to_owned()][..], 50));
    assert_eq!(desk.said(|line| matches!(line, LogEvent::RecordNewer { .. })), 1);
}

#[test]
fn it_is_taken_back_over_the_next_record_as_well_until_that_is_stored() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.wait(20);
    while desk.said(|line| matches!(line, LogEvent::Adopted { .. })) == 0 {
        let (call, writes) = desk.commits.pop_front().unwrap();
        let results = writes.iter().map(|write| desk.write(write)).collect();
        desk.answer(call, &writes, results);
        while let Some((call, api_id)) = desk.reads.pop_front() {
            let found = desk.stored(api_id.as_str()).clone();
            desk.answer_read(call, &api_id, RecordRead::Found(Box::new(found)));
        }
    }
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.all_goes_well();
    let of_the_shop: Vec<&String> = desk.heard.iter().filter(|words| words.starts_with("shop")).collect();
    assert_eq!(of_the_shop, ["shop down", "shop closed"]);
}

#[test]
fn so_it_is_where_the_attempt_ends_after_the_other_record_was_found() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    let told = desk.attempts.pop_front().unwrap();
    assert_eq!((&told.alert().api_id, told.unstored), (&id("shop"), true));
    desk.somebody_writes("shop", |state| state.version += 1);
    desk.wait(20);
    desk.all_goes_well();
    desk.ends(&told, &DeliveryResult::Delivered);
    desk.all_goes_well();
    let of_the_shop: Vec<&String> = desk.heard.iter().filter(|words| words.starts_with("shop")).collect();
    assert_eq!(of_the_shop, ["shop down", "shop closed"]);
}

#[test]
fn the_record_that_was_there_before_a_write_comes_back_and_is_overwritten() {
    let mut desk = Desk::watching(&["shop"]);
    let before = desk.stored("shop").clone();
    desk.goes_down("shop");
    desk.answers_are_lost();
    desk.wait(20);
    let (call, writes) = desk.commits.pop_front().unwrap();
    desk.answer(call, &writes, vec![Err(CommitError::Conflict)]);
    desk.store.insert(id("shop"), before);
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").status), (&["shop down".to_owned()][..], Status::Down));
}

#[test]
fn a_copy_of_a_write_that_nobody_had_an_answer_for_is_overwritten_as_well() {
    let mut desk = Desk::watching(&["shop"]);
    let before = desk.stored("shop").clone();
    desk.finds("shop", Verdict::Fail);
    desk.answers_are_lost();
    let unanswered = desk.stored("shop").clone();
    desk.store.insert(id("shop"), before);
    desk.finds("shop", Verdict::Fail);
    desk.wait(20);
    let (call, writes) = desk.commits.pop_front().unwrap();
    desk.answer(call, &writes, vec![Err(CommitError::Conflict)]);
    let (call, api_id) = desk.reads.pop_front().unwrap();
    desk.answer_read(call, &api_id, RecordRead::Found(Box::new(desk.stored("shop").clone())));
    desk.store.insert(id("shop"), unanswered);
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").status), (&["shop down".to_owned()][..], Status::Down));
}

#[test]
fn a_fault_of_our_own_side_that_is_not_in_the_record_that_counts_is_told_again() {
    let mut desk = Desk::watching(&["shop"]);
    let gone = |desk: &mut Desk| {
        desk.keeper.on_own_side_status(OwnSideKind::Network, Some("gone".into()), moment(desk.now));
        desk.wait(1);
    };
    gone(&mut desk);
    let record = ApiState::unknown(ApiId::monitor_network(0));
    desk.store.insert(record.api_id.clone(), ApiState { version: 5, epoch: 1, ..record });
    desk.store_answers();
    assert_eq!((desk.heard.len(), desk.under_way()), (0, vec![]));
    gone(&mut desk);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["api-health:network down"]);
}
