//! A channel that asks for patience, and how long what waits for it will take.

use super::*;

/// So many APIs go down one after the other, a second apart.
fn down(apis: usize) -> Desk {
    let names: Vec<String> = (0..apis).map(|n| format!("api-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::watching(&names);
    for name in names {
        desk.goes_down(name);
        desk.store_answers();
        desk.wait(1);
    }
    desk
}

fn busy(seconds: u64) -> DeliveryResult {
    let wait = Duration::from_secs(seconds);
    DeliveryResult::Failed { why: "too many requests".into(), wait, patience: Some(wait) }
}

fn under_way(desk: &Desk) -> Vec<String> {
    desk.under_way().into_iter().map(|(what, _)| what).collect()
}

#[test]
fn a_channel_that_asks_for_patience_is_left_alone_with_every_alert_and_then_told_the_oldest_first() {
    let mut desk = down(DELIVERIES_IN_FLIGHT_MAX + 4);
    assert_eq!(desk.attempts.len(), DELIVERIES_IN_FLIGHT_MAX);
    desk.attempts_end(&busy(30));
    assert_eq!(desk.attempts.len(), 0, "those that were never tried wait as well");
    desk.wait(29);
    assert_eq!(desk.attempts.len(), 0);
    desk.wait(1);
    assert_eq!(under_way(&desk), ["api-00 down"], "one, to see whether it takes it");
    desk.attempts_end(&DeliveryResult::Delivered);
    assert_eq!(under_way(&desk), ["api-01 down", "api-02 down"]);
    desk.attempts_end(&busy(30));
    desk.wait(30);
    let mut told = vec!["api-00 down".to_owned()];
    while !desk.attempts.is_empty() {
        told.extend(under_way(&desk));
        desk.attempts_end(&DeliveryResult::Delivered);
        desk.store_answers();
        desk.wait(1);
    }
    let all: Vec<String> = (0..DELIVERIES_IN_FLIGHT_MAX + 4).map(|n| format!("api-{n:02} down")).collect();
    assert_eq!(told, all, "each once, the oldest first");
}

#[test]
fn whoever_asks_for_a_try_does_not_wait_for_the_channel_and_a_failure_without_a_word_pauses_nothing() {
    let mut desk = down(2);
    desk.attempts_end(&busy(3_600));
    assert_eq!(desk.keeper.retry(None, moment(desk.now)), 2);
    desk.take();
    assert_eq!(under_way(&desk), ["api-00 down"]);
    let mut desk = down(1);
    desk.attempts_end(&DeliveryResult::Failed { why: "503".into(), wait: Duration::from_secs(9), patience: None });
    desk.rows.insert(id("other"), Arc::new(row("other")));
    desk.watch(&["other"]);
    desk.goes_down("other");
    desk.store_answers();
    assert_eq!(under_way(&desk), ["other down"]);
}

#[test]
fn old_alerts_that_are_never_taken_hold_up_none_of_those_behind_them() {
    let mut desk = down(8);
    desk.attempts_end(&busy(5));
    desk.wait(5);
    let mut told = Vec::new();
    // The channel hangs on the first four: each attempt is given up, and made again soon.
    let given_up = DeliveryResult::Failed { why: "timed out".into(), wait: Duration::from_secs(1), patience: None };
    for _ in 0..20 {
        for attempt in std::mem::take(&mut desk.attempts) {
            let alert = Arc::clone(&attempt.alerts[0]);
            if alert.api_id < id("api-04") {
                desk.ends(&attempt, &given_up);
            } else {
                told.push(alert.api_id.clone());
                desk.ends(&attempt, &DeliveryResult::Delivered);
            }
        }
        desk.store_answers();
        desk.wait(1);
    }
    assert_eq!(told, ["api-04", "api-05", "api-06", "api-07"].map(id));
}

#[test]
fn how_long_it_will_take_is_logged_once_it_can_be_told_and_once_a_minute() {
    let names: Vec<String> = (0..100).map(|n| format!("api-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::watching(&names);
    names.iter().for_each(|name| desk.goes_down(name));
    desk.store_answers();
    let lines = |desk: &Desk| -> Vec<(usize, Option<Duration>)> {
        let of = |line: &LogEvent| match line {
            LogEvent::Backlog { alerts, left, .. } => Some((*alerts, *left)),
            _ => None,
        };
        desk.log.iter().filter_map(of).collect()
    };
    desk.wait(3);
    assert_eq!(lines(&desk), []);
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.store_answers();
    desk.wait(5);
    let (alerts, taken) = (100 - DELIVERIES_IN_FLIGHT_MAX, DELIVERIES_IN_FLIGHT_MAX);
    let said = lines(&desk);
    assert_eq!(said, [(alerts, time_left(alerts, taken, Duration::from_secs(8)))]);
    assert!(said[0].1.is_some_and(|left| left == Duration::from_secs(42)), "{said:?}");
    desk.wait(61);
    assert_eq!(lines(&desk).len(), 2);
}
