//! What is recorded, against a plain list of which stretch was what; over midnight, restarts and stretches that nobody vouches for.

use std::time::Duration;

use super::*;
use crate::history::uptime::Times;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-{text}Z")).unwrap()
}

fn outcome(started_at: Timestamp, verdict: Verdict) -> Outcome {
    Outcome {
        started_at,
        finished_at: started_at.plus(Duration::from_millis(80)),
        verdict,
        latency_ms: Some(80),
        status_code: Some(200),
        reasons: vec![],
        evidence: None,
        certificate: None,
        figures: crate::ProbeFigures::default(),
    }
}

fn no_windows(_: Range<Timestamp>) -> Vec<Range<Timestamp>> {
    Vec::new()
}

/// An outcome each minute, each of which vouches for 90 s.
fn watch(recorder: &mut Recorder, from: Timestamp, until: Timestamp, verdict: Verdict) {
    let mut now = from;
    while now < until {
        recorder.note(&outcome(now, verdict), 0, now.plus(Duration::from_secs(90)), &no_windows);
        now = now.plus(Duration::from_secs(60));
    }
    recorder.account(until, &no_windows);
}

fn days(recorder: &Recorder) -> Vec<Day> {
    recorder.clone().items().iter().map(|(day, bytes)| Day::decode(*day, bytes).unwrap()).collect()
}

fn minutes(times: &Times) -> [u64; 4] {
    [times.watched_ms, times.inconclusive_ms, times.not_watched_ms(), times.maintenance_ms].map(|ms| ms / 60_000)
}

fn of_day(day: &Day) -> [u64; 4] {
    minutes(&day.times(&(day.day.starts_at()..day.day.ends_at()), &[]))
}

#[test]
fn time_is_watched_unsure_or_vouched_for_by_nobody() {
    let mut recorder = Recorder::new(at("26T10:00:00"));
    watch(&mut recorder, at("26T10:00:00"), at("26T11:00:00"), Verdict::Pass);
    watch(&mut recorder, at("26T11:00:00"), at("26T11:30:00"), Verdict::Inconclusive);
    watch(&mut recorder, at("26T11:30:00"), at("26T12:00:00"), Verdict::Fail);
    // Nothing for two hours: the last outcome, of 11:59, vouches until half a minute past twelve.
    watch(&mut recorder, at("26T14:00:30"), at("26T15:00:30"), Verdict::Pass);
    let day = days(&recorder).pop().unwrap();
    assert_eq!(of_day(&day), [150, 30, 24 * 60 - 181, 0], "in whole minutes");
    assert_eq!((day.from, day.until), (at("26T10:00:00"), at("26T15:00:30")));
    let passes: Vec<(u8, u32)> = day.hours.iter().map(|(number, hour)| (*number, hour.counts.passes)).collect();
    assert_eq!(passes, [(10, 60), (11, 0), (14, 60)]);
    assert_eq!(recorder.excluded_ms(&(at("26T11:20:00")..at("26T11:40:00"))), 600_000);
}

#[test]
fn a_day_that_is_over_waits_for_its_write_and_too_many_are_dropped() {
    let mut recorder = Recorder::new(at("26T23:00:00"));
    watch(&mut recorder, at("26T23:00:00"), at("27T01:00:00"), Verdict::Pass);
    let all = days(&recorder);
    assert_eq!(all.iter().map(of_day).collect::<Vec<_>>(), [[60, 0, 23 * 60, 0]; 2]);
    recorder.stored(all[0].day);
    assert!(recorder.has_days_over(), "the answer to a write before it was over says nothing");
    assert_eq!(recorder.items().len(), 2);
    recorder.stored(all[0].day);
    assert!(!recorder.has_days_over() && recorder.items().is_empty());
    watch(&mut recorder, at("27T02:00:00"), at("27T02:01:00"), Verdict::Pass);
    let mut dropped = 0;
    for day in ["28T00:00:00", "29T00:00:00", "30T00:00:00"] {
        dropped += recorder.note(&outcome(at(day), Verdict::Pass), 0, at(day), &no_windows);
    }
    assert_eq!((dropped, days(&recorder).len()), (1, 3));
}

#[test]
fn windows_are_excluded_to_the_second_and_over_midnight() {
    let window = at("26T23:30:30")..at("27T00:10:00");
    let windows = |_: Range<Timestamp>| vec![window.clone()];
    let mut recorder = Recorder::new(at("26T23:00:00"));
    recorder.note(&outcome(at("26T23:00:00"), Verdict::Pass), 0, at("27T02:00:00"), &windows);
    recorder.account(at("27T01:00:00"), &windows);
    let excluded: Vec<Excluded> = days(&recorder).iter().flat_map(|day| day.excluded.clone()).collect();
    let midnight = at("27T00:00:00");
    let why = Why::Maintenance;
    assert_eq!(
        excluded,
        [Excluded { why, from: window.start, until: midnight }, Excluded { why, from: midnight, until: window.end },]
    );
}

#[test]
fn what_was_stored_before_a_restart_is_gone_on_from() {
    let mut before = Recorder::new(at("26T22:00:00"));
    watch(&mut before, at("26T22:00:00"), at("27T01:00:00"), Verdict::Pass);
    let stored = days(&before);
    // Half an hour off; then it runs over the hour before it has read what was stored.
    let mut after = Recorder::new(at("27T01:30:00"));
    watch(&mut after, at("27T01:30:00"), at("27T02:30:00"), Verdict::Pass);
    after.resume(&stored);
    let all = days(&after);
    assert_eq!(all.iter().map(of_day).collect::<Vec<_>>(), [[120, 0, 22 * 60, 0], [120, 0, 22 * 60, 0]]);
    assert_eq!(all[1].excluded, [Excluded { why: Why::NotWatched, from: at("27T01:00:00"), until: at("27T01:30:00") }]);
    let passes: Vec<(u8, u32)> = all[1].hours.iter().map(|(number, hour)| (*number, hour.counts.passes)).collect();
    assert_eq!(passes, [(0, 60), (1, 30), (2, 30)]);
    // The same where midnight comes before the answer.
    let mut late = Recorder::new(at("26T23:58:00"));
    watch(&mut late, at("26T23:58:00"), at("27T00:05:00"), Verdict::Pass);
    let mut old = stored[0].clone();
    old.until = at("26T23:00:00");
    late.resume(&[old]);
    assert_eq!(days(&late).iter().map(of_day).collect::<Vec<_>>(), [[62, 0, 24 * 60 - 62, 0], [5, 0, 24 * 60 - 5, 0]]);
}

#[test]
fn a_recorder_of_a_usual_target_takes_less_than_a_kilobyte() {
    let mut recorder = Recorder::new(at("26T00:00:00"));
    for minute in 0..24 * 60 - 1_u32 {
        let started_at = at("26T00:00:00").plus(Duration::from_secs(u64::from(minute) * 60));
        let latency_ms = Some(60 + minute * minute % 60);
        let outcome = Outcome { latency_ms, ..outcome(started_at, Verdict::Pass) };
        recorder.note(&outcome, 0, started_at.plus(Duration::from_secs(90)), &no_windows);
    }
    let heap = recorder.present.over.capacity() + recorder.present.hour.latency.heap_bytes();
    let bytes = mem::size_of::<Recorder>() + heap;
    assert!((400..1_000).contains(&bytes), "{bytes} bytes, {heap} of them elsewhere");
}
