//! Attempts and their waits, the room in a channel, and channels that nobody has.

use super::*;

fn failed(seconds: u64) -> DeliveryResult {
    DeliveryResult::Failed { why: "no such topic".into(), wait: Duration::from_secs(seconds), patience: None }
}

#[test]
fn an_attempt_that_failed_waits_and_is_noted() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    desk.attempts_end(&failed(40));
    desk.wait(39);
    desk.store_answers();
    let noted = desk.stored("shop").owed[0].delivery("pager").unwrap();
    assert_eq!((noted.failures, noted.last_error.as_deref()), (1, Some("no such topic")));
    assert_eq!(desk.under_way(), []);
    desk.wait(1);
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
}

#[test]
fn who_asks_for_a_try_waits_for_none_and_has_it_noted_at_once() {
    let mut desk = Desk::watching(&["shop", "cart"]);
    desk.goes_down("shop");
    desk.goes_down("cart");
    desk.store_answers();
    desk.attempts_end(&failed(300));
    let of_the_shop = desk.known("shop").owed[0].alert.alert_id.clone();
    assert_eq!(desk.keeper.retry(Some(&["nobody's".to_owned()]), moment(desk.now)), 0);
    assert_eq!(desk.keeper.retry(Some(&[of_the_shop]), moment(desk.now)), 1);
    desk.take();
    assert_eq!(desk.under_way(), [("shop down".to_owned(), false)]);
    desk.attempts_end(&failed(300));
    desk.store_answers();
    assert_eq!(desk.stored("shop").owed[0].delivery("pager").unwrap().failures, 2);
    assert_eq!(desk.keeper.retry(None, moment(desk.now)), 2, "all of them");
    desk.take();
    assert_eq!(desk.under_way().len(), 2);
}

#[test]
fn a_channel_that_is_given_up_is_owed_nothing_any_more() {
    let both = Routes::to_all(["pager", "mail"]);
    let mut desk = Desk::with(KeeperConfig { routes: both, ..setup() }, &["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    assert_eq!(desk.keeper.drop_channel("mail", moment(desk.now).wall, moment(desk.now)), 1);
    assert_eq!(desk.keeper.drop_channel("mail", moment(desk.now).wall, moment(desk.now)), 0, "it is owed nothing now");
    desk.take();
    desk.store_answers();
    assert_eq!(desk.stored("shop").owed[0].owed_to, ["pager"]);
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.all_goes_well();
    assert_eq!(desk.stored("shop").owed, []);
}

#[test]
fn the_end_of_an_outage_is_owed_to_whoever_was_told_of_it_unless_that_was_given_up() {
    for (is_given_up, owed_to) in [(false, vec!["mail", "pager"]), (true, vec!["mail"])] {
        let mut desk = Desk::watching(&["shop"]);
        desk.goes_down("shop");
        desk.all_goes_well();
        assert_eq!(desk.stored("shop").owed, [], "the pager has it");
        // The next process has another channel.
        let mut next = Desk::empty(KeeperConfig { routes: Routes::to_all(["mail"]), ..setup() });
        (next.store, next.now) = (desk.store, desk.now);
        next.gain(&grants(2, true));
        if is_given_up {
            assert_eq!(next.keeper.drop_channel("pager", moment(next.now).wall, moment(next.now)), 0);
            next.take();
            next.store_answers();
        }
        next.watch(&["shop"]);
        next.comes_back("shop");
        next.store_answers();
        assert_eq!(next.stored("shop").owed[0].owed_to, owed_to);
    }
}

#[test]
fn an_alert_that_waits_for_room_is_never_taken_for_one_that_the_store_holds_up() {
    let names: Vec<String> = (0..DELIVERIES_IN_FLIGHT_MAX + 1).map(|n| format!("api-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::watching(&names);
    names.iter().for_each(|name| desk.goes_down(name));
    desk.store_answers();
    assert_eq!(desk.attempts.len(), DELIVERIES_IN_FLIGHT_MAX);
    desk.wait(UNSTORED_MAX.as_secs() * 3);
    assert_eq!(desk.attempts.len(), DELIVERIES_IN_FLIGHT_MAX, "there is no room");
    desk.attempts_end(&DeliveryResult::Delivered);
    assert_eq!(desk.under_way().iter().map(|(_, unstored)| *unstored).collect::<Vec<_>>(), [false]);
}

#[test]
fn alerts_for_a_channel_that_nobody_has_stay_owed_and_are_said_once_a_minute() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.all_goes_well();
    // The next process has another channel.
    let mut next = Desk::empty(KeeperConfig { routes: Routes::to_all(["mail"]), ..setup() });
    next.store = desk.store;
    next.somebody_writes("shop", |state| {
        let alert = Alert::clone(&desk.alerts[0].1);
        state.owed = vec![delivery::OwedAlert::new(alert, &["pager".to_owned()])];
    });
    let is_said =
        |desk: &Desk| desk.said(|line| *line == LogEvent::ForeignChannel { channel: "pager".into(), alerts: 1 });
    next.gain(&grants(2, true));
    next.wait(1);
    next.wait(57);
    assert_eq!((is_said(&next), next.attempts.len()), (1, 0));
    next.wait(3);
    assert_eq!(is_said(&next), 2);
    next.keeper.set_channels_elsewhere(["pager".to_owned()]);
    next.wait(120);
    assert_eq!((is_said(&next), next.known("shop").owed.len()), (2, 1), "another worker has it");
    let mut command = Desk::empty(KeeperConfig { routes: Routes::to_all([""; 0]), ..setup() });
    command.store = next.store;
    command.gain(&grants(2, true));
    command.wait(1);
    assert_eq!((is_said(&command), command.known("shop").owed.len()), (0, 1), "whoever delivers nothing says nothing");
}

#[test]
fn a_wait_that_an_earlier_process_noted_is_waited_for_up_to_a_minute() {
    let mut desk = Desk::watching(&["shop"]);
    desk.goes_down("shop");
    desk.store_answers();
    desk.attempts_end(&failed(300));
    desk.wait(11);
    desk.store_answers();
    for (resumes_backoff, at_once) in [(true, 0), (false, 1)] {
        let mut next = Desk::empty(KeeperConfig { resumes_backoff, ..setup() });
        (next.store, next.now) = (desk.store.clone(), desk.now);
        next.gain(&grants(2, true));
        assert_eq!(next.attempts.len(), at_once);
        next.wait(60);
        assert_eq!(next.attempts.len(), 1);
    }
}

#[test]
fn however_long_the_store_is_dead_what_is_noted_for_it_is_bounded() {
    let mut desk = Desk::watching(&["shop"]);
    let mut flap_for_a_while = || {
        for _ in 0..400 {
            desk.goes_down("shop");
            desk.comes_back("shop");
            for _ in 0..31 {
                desk.store_fails(&unavailable());
                desk.attempts_end(&DeliveryResult::Delivered);
                desk.wait(1);
            }
        }
        let size = format!("{:?}", desk.keeper.ledger.get(&id("shop")).unwrap()).len();
        (size, desk.heard.len())
    };
    let (first, second) = (flap_for_a_while(), flap_for_a_while());
    assert!(second.1 > first.1 + 700, "all of it is told: {} and {}", first.1, second.1);
    assert!(second.0 < first.0 * 11 / 10, "{} and then {} characters", first.0, second.0);
}
