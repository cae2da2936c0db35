//! When an alert goes out: when it is stored and sealed and the lease holds; or when nobody else can tell it.

use super::*;

#[test]
fn an_alert_goes_out_when_it_is_stored_and_not_before() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    assert_eq!(desk.under_way(), []);
    desk.store_answers();
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
    assert_eq!(desk.stored("shop").owed.len(), 1, "both are in one record");
    desk.all_goes_well();
    assert_eq!((desk.heard.as_slice(), desk.stored("shop").owed.len()), (&["shop down".to_owned()][..], 0));
}

#[test]
fn an_outage_and_its_end_are_told_in_order_and_one_at_a_time() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.comes_back("shop");
    desk.store_answers();
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down", "shop up"]);
}

#[test]
fn what_is_owed_at_the_end_of_a_process_is_left_to_the_next_one() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.keeper.flush(FlushUntil::Stopped, 7, moment(desk.now));
    desk.store_answers();
    assert_eq!((desk.under_way(), desk.stored("shop").owed.len()), (vec![], 1));
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Flushed(7))), 1);
}

#[test]
fn nothing_goes_out_while_the_lease_has_lapsed_and_the_store_is_there() {
    let mut desk = Desk::watching(&["shop", "cart"]);
    desk.goes_down("shop");
    desk.lapse(false);
    desk.store_answers();
    desk.wait(600);
    assert_eq!(desk.under_way(), [], "it is stored, and another may own the shard by now");
    desk.goes_down("cart");
    assert!(desk.commits.is_empty(), "and nothing is written");
    desk.renew();
    desk.wait(1);
    desk.all_goes_well();
    desk.heard.sort();
    assert_eq!(desk.heard, ["cart down", "shop down"]);
}

/// What is under way after so many seconds of a dead store, in which the shop went down at the beginning.
fn after(seconds: u64, mut desk: Desk, error: &StoreError) -> Vec<(String, bool)> {
    desk.goes_down("shop");
    desk.store_is_dead_for(seconds, error);
    let of_the_shop = |(words, _): &(String, bool)| words.starts_with("shop");
    desk.under_way().into_iter().filter(of_the_shop).collect()
}

fn without_the_store() -> Vec<(String, bool)> {
    vec![("shop down".to_owned(), true)]
}

#[test]
fn an_alert_that_the_store_holds_up_for_half_a_minute_is_told_all_the_same() {
    assert_eq!(after(29, Desk::watching(&["shop"]), &unavailable()), []);
    assert_eq!(after(30, Desk::watching(&["shop"]), &unavailable()), without_the_store());
    assert_eq!(
        after(30, Desk::watching(&["shop"]), &refused()),
        without_the_store(),
        "whatever the fault, with a lease"
    );
}

#[test]
fn so_it_is_without_a_lease_if_no_other_worker_was_ever_seen() {
    let alone = || {
        let mut desk = Desk::watching(&["shop"]);
        desk.goes_down("shop");
        desk.store_fails(&unavailable());
        desk.lapse(false);
        desk
    };
    assert_eq!(after(29, alone(), &unavailable()), []);
    assert_eq!(after(30, alone(), &unavailable()), without_the_store());
}

#[test]
fn whom_the_store_refuses_alone_keeps_quiet_without_a_lease() {
    for met_others in [false, true] {
        let mut desk = Desk::watching(&["shop"]);
        desk.goes_down("shop");
        desk.store_fails(&refused());
        desk.lapse(met_others);
        assert_eq!(after(600, desk, &refused()), [], "the others can reach it");
    }
}

#[test]
fn who_has_met_others_waits_for_20_seconds_and_for_a_sign_that_the_network_is_well() {
    let held_up = || {
        let mut desk = Desk::watching(&["shop", "cart"]);
        desk.finds("cart", Verdict::Pass);
        desk.goes_down("shop");
        desk.store_is_dead_for(29, &unavailable());
        desk.lapse(true);
        desk
    };
    let of_the_shop = |desk: &Desk| desk.under_way().iter().filter(|told| **told == without_the_store()[0]).count();
    let mut desk = held_up();
    desk.wait(1);
    desk.finds("cart", Verdict::Pass);
    desk.wait(18);
    assert_eq!(of_the_shop(&desk), 0, "another may own it by now");
    desk.wait(1);
    assert_eq!(of_the_shop(&desk), 1, "nobody else tells it");

    let mut desk = held_up();
    desk.wait(600);
    assert_eq!(of_the_shop(&desk), 0, "nothing passes here any more: it may be us who are cut off");
    desk.finds("cart", Verdict::Pass);
    desk.wait(1);
    assert_eq!(of_the_shop(&desk), 1);
}

#[test]
fn who_shall_not_tell_without_the_store_never_does() {
    let desk = || Desk::with(KeeperConfig { fail_open: false, ..setup() }, &["shop"]);
    assert_eq!(after(600, desk(), &unavailable()), []);
    let mut lapsed = desk();
    lapsed.lapse(false);
    assert_eq!(after(600, lapsed, &unavailable()), []);
}

#[test]
fn what_was_told_without_the_store_is_told_once_and_stored_as_told() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_is_dead_for(30, &unavailable());
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.store_is_dead_for(60, &unavailable());
    desk.wait(20);
    desk.all_goes_well();
    let of_the_shop: Vec<&String> = desk.heard.iter().filter(|words| words.starts_with("shop")).collect();
    assert_eq!(of_the_shop, ["shop down"]);
    assert_eq!((desk.stored("shop").status, desk.stored("shop").owed.len()), (crate::Status::Down, 0));
}

#[test]
fn that_the_store_is_gone_is_told_at_once_and_so_is_that_it_is_back() {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Fail);
    desk.store_is_dead_for(32, &unavailable());
    assert_eq!(desk.under_way(), [("api-health:store down".to_owned(), true)]);
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.wait(20);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["api-health:store down", "api-health:store up"]);
}
