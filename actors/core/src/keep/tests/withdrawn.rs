//! What a former owner told without the store, and asks to have withdrawn: whether the record knows it, or its end.

use super::*;

/// The store has what it was sent, and its answer is lost: its owner tells without it, and loses the shard.
fn told_with_a_lost_answer() -> (Arc<Alert>, Desk) {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Fail);
    desk.store_answers();
    desk.finds("shop", Verdict::Fail);
    desk.answers_are_lost();
    desk.store_is_dead_for(30, &unavailable());
    let told = desk.attempts.iter().find(|attempt| attempt.alert().api_id == id("shop")).unwrap().alert().clone();
    let mut next = Desk::empty(setup());
    (next.store, next.now) = (desk.store.clone(), desk.now);
    next.gain(&grants(2, false));
    next.watch(&["shop"]);
    next.all_goes_well();
    (told, next)
}

#[test]
fn an_outage_whose_end_was_told_by_the_next_owner_is_not_taken_back_after_it() {
    let (told, mut next) = told_with_a_lost_answer();
    next.comes_back("shop");
    next.all_goes_well();
    assert_eq!(next.heard, ["shop down", "shop up"]);
    next.keeper.withdraw(&told, moment(next.now));
    next.take();
    next.all_goes_well();
    assert_eq!(next.heard.len(), 2);
    // Nor by an owner after that one, and after one more outage.
    next.goes_down("shop");
    next.comes_back("shop");
    next.all_goes_well();
    next.keeper = Keeper::new(setup(), moment(next.now));
    next.gain(&grants(3, false));
    next.watch(&["shop"]);
    next.keeper.withdraw(&told, moment(next.now));
    next.take();
    next.all_goes_well();
    assert_eq!(next.heard[2..], ["shop down", "shop up"]);
}

#[test]
fn an_outage_that_nobody_ended_is_taken_back_whatever_other_one_has_ended_since() {
    let (told, mut next) = told_with_a_lost_answer();
    next.comes_back("shop");
    next.all_goes_well();
    let incident_id = format!("{}1", told.incident_id);
    let told = Arc::new(Alert { incident_id: incident_id.clone(), ..(*told).clone() });
    for _ in 0..2 {
        next.keeper.withdraw(&told, moment(next.now));
        next.take();
        next.all_goes_well();
        assert_eq!(next.heard[2..], ["shop closed"], "once, also if it is asked for again");
    }
    assert_eq!(next.alerts[2].1.incident_id, incident_id);
}
