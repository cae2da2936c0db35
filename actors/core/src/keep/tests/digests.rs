//! Many alerts in one message: what goes together, and that each is settled by itself.

use super::*;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A desk whose pager is sent digests above two alerts.
fn desk() -> Desk {
    Desk::with(KeeperConfig { digest_above: HashMap::from([("pager".into(), 2)]), ..setup() }, &NAMES)
}

/// All go down at once. Two are told alone, and a digest of the others is under way.
fn storm(desk: &mut Desk) {
    NAMES.iter().for_each(|name| desk.goes_down(name));
    desk.store_answers();
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.wait(GATHERED_FOR.as_secs());
    assert_eq!(sizes(desk), [NAMES.len() - 2]);
}

fn failed(seconds: u64) -> DeliveryResult {
    DeliveryResult::Failed { why: "busy".into(), wait: Duration::from_secs(seconds), patience: None }
}

/// How many alerts each message has that is under way.
fn sizes(desk: &Desk) -> Vec<usize> {
    desk.attempts.iter().map(|attempt| attempt.alerts.len()).collect()
}

fn ids(attempt: &Attempt) -> Vec<String> {
    attempt.alerts.iter().map(|alert| alert.alert_id.clone()).collect()
}

#[test]
fn in_a_storm_the_first_go_alone_and_the_rest_together_and_each_is_settled_in_its_own_record() {
    let mut desk = desk();
    for name in NAMES {
        desk.goes_down(name);
        desk.store_answers();
    }
    assert_eq!(sizes(&desk), [1, 1], "the others wait for more");
    desk.attempts_end(&DeliveryResult::Delivered);
    desk.wait(GATHERED_FOR.as_secs());
    assert_eq!(sizes(&desk), [4]);
    desk.all_goes_well();
    assert_eq!(desk.heard.len(), NAMES.len());
    for name in NAMES {
        assert!(desk.stored(name).owed.is_empty());
    }
}

#[test]
fn a_digest_that_was_not_taken_is_owed_in_each_record_and_comes_again_with_the_same_alerts() {
    let mut desk = desk();
    storm(&mut desk);
    let first = ids(&desk.attempts[0]);
    desk.attempts_end(&failed(9));
    for name in &NAMES[2..] {
        let pager = desk.known(name).owed[0].delivery("pager").cloned().unwrap();
        assert_eq!((pager.delivered, pager.failures, pager.last_error.as_deref()), (false, 1, Some("busy")));
    }
    assert_eq!(sizes(&desk), Vec::<usize>::new());
    desk.comes_back("c");
    desk.store_answers();
    desk.wait(9);
    assert_eq!(sizes(&desk), [NAMES.len() - 2], "the recovery waits behind its outage");
    assert_eq!(ids(&desk.attempts[0]), first);
    desk.all_goes_well();
    for _ in 0..20 {
        desk.wait(1);
        desk.all_goes_well();
    }
    assert_eq!(desk.heard.last().unwrap(), "c up");
}

#[test]
fn a_digest_that_is_refused_for_good_is_taken_apart() {
    let mut desk = desk();
    storm(&mut desk);
    desk.attempts_end(&DeliveryResult::DigestRefused { why: "what is this".into() });
    desk.wait(1);
    assert_eq!(sizes(&desk), [1; NAMES.len() - 2]);
    desk.all_goes_well();
    assert_eq!(desk.heard.len(), NAMES.len());
}

/// What waits is tried again for so many seconds; of digests and of single alerts the channel takes these.
fn waits(desk: &mut Desk, seconds: u64, takes: [bool; 2]) {
    for _ in 0..seconds {
        desk.wait(1);
        desk.store_answers();
        for attempt in std::mem::take(&mut desk.attempts) {
            let is_taken = takes[usize::from(attempt.alerts.len() == 1)];
            desk.ends(&attempt, &if is_taken { DeliveryResult::Delivered } else { failed(1) });
        }
    }
}

#[test]
fn a_channel_that_fails_on_digests_and_takes_single_alerts_gets_those() {
    let mut desk = desk();
    storm(&mut desk);
    waits(&mut desk, 60, [false, true]);
    assert_eq!(desk.heard.len(), NAMES.len());
    assert!(NAMES.iter().all(|name| desk.stored(name).owed.is_empty()));
}

#[test]
fn a_channel_that_was_out_of_reach_is_sent_digests_when_it_is_back() {
    let mut desk = desk();
    storm(&mut desk);
    waits(&mut desk, 60, [false, false]);
    for _ in 0..30 {
        desk.wait(1);
        desk.store_answers();
        assert!(sizes(&desk).iter().filter(|size| **size == 1).count() < 2, "one alone is tried at the most");
        desk.attempts_end(&DeliveryResult::Delivered);
    }
    assert_eq!(desk.heard.len(), NAMES.len());
}

#[test]
fn a_digest_that_is_not_answered_before_its_shards_are_lost_leaves_every_alert_owed() {
    let mut desk = desk();
    storm(&mut desk);
    desk.store_answers();
    desk.keeper.drop_shards(&all_shards());
    desk.attempts_end(&DeliveryResult::Cancelled);
    assert!(NAMES[2..].iter().all(|name| desk.stored(name).owed.len() == 1));
    desk.gain(&grants(2, true));
    desk.watch(&NAMES);
    desk.store_answers();
    desk.wait(STORM_WITHIN.as_secs());
    desk.store_answers();
    assert_eq!(sizes(&desk), [NAMES.len() - 2], "the next owner sends them");
}

#[test]
fn whoever_waits_for_what_is_owed_waits_for_no_other_alerts() {
    let mut desk = desk();
    for name in NAMES {
        desk.goes_down(name);
        desk.store_answers();
    }
    desk.keeper.flush(FlushUntil::Delivered, 1, moment(desk.now));
    desk.take();
    assert_eq!(sizes(&desk), [1, 1, 4]);
}

#[test]
fn alerts_that_cannot_be_stored_go_together_too_and_not_with_others() {
    let mut desk = desk();
    NAMES[..3].iter().for_each(|name| desk.goes_down(name));
    desk.store_answers();
    desk.attempts_end(&failed(40));
    NAMES[3..].iter().for_each(|name| desk.goes_down(name));
    desk.store_is_dead_for(60, &unavailable());
    let (stored, unstored): (Vec<&Attempt>, Vec<&Attempt>) =
        desk.attempts.iter().partition(|attempt| !attempt.unstored);
    let count = |attempts: &[&Attempt]| attempts.iter().map(|attempt| attempt.alerts.len()).sum::<usize>();
    // The third of the first, and that the store is gone, are told as well.
    assert_eq!((count(&stored), count(&unstored)), (3, 4), "{:?}", desk.under_way());
}
