//! Days, a month and incidents as they are stored, and what a page makes of them.

use super::*;
use crate::api::ApiId;
use crate::history::hour::Hour;
use crate::history::item::Series;
use crate::history::story::tests::story;
use crate::history::uptime::{BarState, Excluded, Why};
use crate::outcome::Verdict;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn item(slot: HistorySlot, bytes: Vec<u8>) -> HistoryItem {
    let series = Series::Api(ApiId::parse("shop").unwrap());
    HistoryItem { series, slot, epoch: 1, kept_until: None, bytes }
}

fn day(text: &str) -> Day {
    let mut day = Day::new(UtcDay::parse(text).unwrap());
    day.until = day.day.ends_at();
    let mut hour = Hour::default();
    (0..60).for_each(|_| hour.note(Verdict::Pass, Some(80), 0));
    day.hours.push((7, hour));
    day
}

/// A day with an outage of ten minutes, of which two are maintenance, and six hours in which no process ran; the day after up to noon.
fn past() -> Past {
    let mut first = day("2026-11-25");
    for (why, from, until) in [
        (Why::Maintenance, "2026-11-25T07:05:00Z", "2026-11-25T07:07:00Z"),
        (Why::NotWatched, "2026-11-25T12:00:00Z", "2026-11-25T18:00:00Z"),
    ] {
        first.excluded.push(Excluded { why, from: at(from), until: at(until) });
    }
    let mut second = day("2026-11-26");
    second.until = at("2026-11-26T12:00:00Z");
    let story = story(at("2026-11-25T07:00:00Z"), at("2026-11-25T07:10:00Z"));
    let october = Month::of(UtcMonth::parse("2026-10").unwrap(), &[day("2026-10-31")], &[]);
    let days = [first, second].map(|day| item(HistorySlot::Day(day.day), day.encode()));
    let started_at = story.began_at;
    let slot = HistorySlot::Incident { started_at, api_id: ApiId::parse("shop").unwrap() };
    let others = [item(slot, story.encode()), item(HistorySlot::Month(october.month), october.encode())];
    let odd = item(HistorySlot::Day(UtcDay::parse("2026-11-24").unwrap()), vec![9, 9]);
    Past::of(days.iter().chain(&others).chain([&odd]))
}

#[test]
fn uptime_is_of_what_was_watched_and_counts() {
    let past = past();
    assert_eq!(past.unreadable, 1);
    let times = past.times(&(at("2026-11-25T00:00:00Z")..at("2026-11-26T00:00:00Z")));
    let minutes = |minutes: u64| minutes * 60_000;
    let expected = Times {
        window_ms: minutes(24 * 60),
        watched_ms: minutes(18 * 60 - 2),
        down_ms: minutes(8),
        maintenance_ms: minutes(2),
        inconclusive_ms: 0,
    };
    assert_eq!(times, expected);
    assert_eq!(
        (times.uptime().unwrap().to_string(), times.coverage().to_string()),
        ("99.25 %".into(), "74.86 %".into())
    );
    let all = past.times(&(at("2026-10-01T00:00:00Z")..at("2026-12-01T00:00:00Z")));
    assert_eq!(all.watched_ms, minutes(18 * 60 - 2 + 12 * 60 + 24 * 60), "with the day of which its month is left");
    assert_eq!(past.reach(), Some(at("2026-10-31T00:00:00Z")..at("2026-11-26T12:00:00Z")));
}

#[test]
fn points_are_hours_days_and_months_with_their_figures() {
    let past = past();
    let hours = past.points(&(at("2026-11-25T06:30:00Z")..at("2026-11-25T08:00:00Z")), Step::Hour);
    assert_eq!((hours.len(), hours[0].times.window_ms, hours[0].latency), (2, 1_800_000, None));
    assert_eq!((hours[1].counts.passes, hours[1].times.down_ms), (60, 480_000));
    let latency = hours[1].latency.unwrap();
    assert!((latency.p50 - 80.0).abs() < 80.0 * 0.044, "{latency:?}");
    let days = past.last(3, Step::Day, at("2026-11-26T12:00:00Z"));
    let states: Vec<BarState> = days.iter().map(|point| point.times.state()).collect();
    assert_eq!(states, [BarState::NotWatched, BarState::Down, BarState::Up]);
    let months = past.last(2, Step::Month, at("2026-11-26T12:00:00Z"));
    assert_eq!([months[0].counts.passes, months[1].counts.passes], [60, 120]);
    assert_eq!(months[1].from, at("2026-11-01T00:00:00Z"));
    let for_ever = Timestamp::from_millis(i64::MIN)..Timestamp::from_millis(i64::MAX);
    for step in [Step::Hour, Step::Day, Step::Month] {
        assert!(past.points(&for_ever, step).len() <= POINTS_MAX);
    }
}

#[test]
fn what_is_not_stored_yet_counts_as_the_heartbeat_says() {
    let now = at("2026-11-26T14:00:00Z");
    let past = past().with_present(Some(at("2026-11-26T13:00:00Z")), Some(now));
    let today = past.times(&(at("2026-11-26T00:00:00Z")..now));
    assert_eq!((today.watched_ms, today.down_ms), (14 * 3_600_000, 3_600_000));
    // Over midnight as well, and no further than what may be unwritten.
    let later = self::past().with_present(None, Some(at("2026-11-26T18:59:00Z")));
    assert_eq!(later.reach().unwrap().end, at("2026-11-26T18:59:00Z"));
    let too_late = self::past().with_present(None, Some(at("2026-11-27T14:00:00Z")));
    assert_eq!(too_late.reach().unwrap().end, at("2026-11-26T12:00:00Z"));
    let days = extend(Day { until: at("2026-11-26T20:00:00Z"), ..day("2026-11-26") }, at("2026-11-28T01:00:00Z"));
    assert_eq!(
        days.iter().map(|day| day.until.to_string()).collect::<Vec<_>>(),
        ["2026-11-27T00:00:00.000Z", "2026-11-28T00:00:00.000Z", "2026-11-28T01:00:00.000Z",]
    );
}

#[test]
fn a_month_in_short_says_what_its_days_said() {
    let past = past();
    let month = past.month(UtcMonth::parse("2026-11").unwrap());
    let short = Past::of(&[item(HistorySlot::Month(month.month), month.encode())]);
    let window = at("2026-11-01T00:00:00Z")..at("2026-12-01T00:00:00Z");
    assert_eq!(short.times(&window), past.times(&window));
    assert_eq!(short.points(&window, Step::Month)[0].counts, past.points(&window, Step::Month)[0].counts);
}
