//! The scorer, tried on sequences of alerts that are wrong, each in one way.

use crate::scorer::{Due, Fault, Score, Seen, score};

const BEGAN: i64 = 100_000;
const ENDED: i64 = 110_000;

/// An outage of `shop` that answers 503 for ten seconds.
fn script() -> Vec<Due> {
    vec![
        Due { about: "shop".into(), kind: "down", words: &["status 503"], since: BEGAN, until: Some(ENDED) },
        Due { about: "shop".into(), kind: "up", words: &[], since: ENDED, until: None },
    ]
}

fn alert(about: &str, kind: &str, at: i64) -> Seen {
    Seen {
        about: about.into(),
        kind: kind.into(),
        reason: "status 503 is not in 2xx".into(),
        alert_id: format!("{about}.{kind}.{at}"),
        happened_at: at - 1_000,
        at,
    }
}

/// What has to be told of [`script`], and is.
fn right() -> Vec<Seen> {
    vec![alert("shop", "down", BEGAN + 2_000), alert("shop", "up", ENDED + 2_000)]
}

fn faults(score: &Score) -> Vec<Fault> {
    score.marks.iter().map(|mark| mark.fault).collect()
}

/// The faults of what is right when it is changed so.
fn after(change: impl FnOnce(&mut Vec<Seen>)) -> Vec<Fault> {
    let mut seen = right();
    change(&mut seen);
    faults(&score(&script(), &seen))
}

#[test]
fn what_is_told_rightly_has_no_fault_and_its_latency_counts_from_the_truth() {
    let score = score(&script(), &right());
    assert_eq!(faults(&score), []);
    assert_eq!(score.told.iter().map(|t| (t.kind, t.after_ms)).collect::<Vec<_>>(), [("down", 2_000), ("up", 2_000)]);
}

#[test]
fn nothing_told_where_nothing_happened_is_right() {
    assert_eq!(faults(&score(&[], &[])), []);
}

#[test]
fn an_outage_that_nobody_is_told_of() {
    assert_eq!(after(Vec::clear), [Fault::Missed, Fault::Missed]);
}

#[test]
fn an_outage_that_is_never_taken_back() {
    assert_eq!(after(|seen| seen.truncate(1)), [Fault::Missed]);
}

#[test]
fn a_recovery_without_its_outage() {
    let faults = after(|seen| drop(seen.remove(0)));
    assert_eq!(faults, [Fault::FalseAlarm, Fault::Missed, Fault::Missed]);
}

#[test]
fn an_api_that_is_accused_and_was_well() {
    assert_eq!(after(|seen| seen.push(alert("blog", "down", BEGAN))), [Fault::FalseAlarm]);
    assert_eq!(faults(&score(&[], &right())), [Fault::FalseAlarm, Fault::FalseAlarm]);
}

#[test]
fn a_part_of_the_monitor_that_is_accused_and_was_well() {
    assert_eq!(after(|seen| seen.push(alert("api-health:network", "down", BEGAN))), [Fault::FalseAlarm]);
}

#[test]
fn an_outage_that_is_told_before_it_begins() {
    let faults = after(|seen| seen.insert(0, alert("shop", "down", BEGAN - 10)));
    assert_eq!(faults, [Fault::FalseAlarm]);
}

#[test]
fn a_recovery_that_is_told_before_it_happened() {
    let faults = after(|seen| seen[1] = alert("shop", "up", ENDED - 10));
    assert_eq!(faults, [Fault::FalseAlarm, Fault::Missed]);
}

#[test]
fn the_same_alert_twice() {
    assert_eq!(after(|seen| seen.insert(1, seen[0].clone())), [Fault::Duplicate]);
    assert_eq!(after(|seen| seen.push(seen[0].clone())), [Fault::Duplicate]);
}

#[test]
fn the_same_outage_twice_under_two_ids() {
    assert_eq!(after(|seen| seen.insert(1, alert("shop", "down", BEGAN + 3_000))), [Fault::Duplicate]);
}

#[test]
fn a_second_outage_that_never_was() {
    assert_eq!(after(|seen| seen.push(alert("shop", "down", ENDED + 3_000))), [Fault::FalseAlarm]);
}

#[test]
fn outage_and_recovery_turned_round() {
    assert_eq!(after(|seen| seen.reverse()), [Fault::FalseAlarm, Fault::Missed]);
}

#[test]
fn another_kind_of_alert() {
    assert_eq!(
        after(|seen| seen[0].kind = "unclear".into()),
        [Fault::FalseAlarm, Fault::FalseAlarm, Fault::Missed, Fault::Missed]
    );
}

#[test]
fn a_reason_that_names_another_cause() {
    assert_eq!(after(|seen| seen[0].reason = "timed out after 1 s while connecting".into()), [Fault::WrongCause]);
}

#[test]
fn a_reason_that_says_nothing() {
    assert_eq!(after(|seen| seen[1].reason.clear()), [Fault::WrongCause]);
}

#[test]
fn a_reason_that_shows_the_inside_of_a_library() {
    let dump = "status 503: Some(Custom { kind: InvalidInput, error: \"x\" })";
    assert_eq!(after(|seen| seen[0].reason = dump.into()), [Fault::WrongCause]);
}

#[test]
fn a_time_at_which_it_was_not_so() {
    assert_eq!(after(|seen| seen[0].happened_at = BEGAN - 60_000), [Fault::WrongTime]);
    assert_eq!(after(|seen| seen[0].happened_at = ENDED + 1), [Fault::WrongTime]);
    assert_eq!(after(|seen| seen[1].happened_at = BEGAN), [Fault::WrongTime]);
}

#[test]
fn an_alert_that_comes_after_the_recovery_is_late_and_not_false() {
    let mut seen = right();
    seen[0].at = ENDED + 60_000;
    seen[1].at = ENDED + 60_001;
    let score = score(&script(), &seen);
    assert_eq!(faults(&score), []);
    assert_eq!(score.told[0].after_ms, 70_000);
}
