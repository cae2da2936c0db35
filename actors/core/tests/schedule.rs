//! Schedules at random moments of three years, in zones that change their clocks: what holds of every due time.

use std::time::Duration;

use api_health_core::schedule::{Due, Moment, SPREAD_MAX, Slot};
use api_health_core::{ApiId, Schedule, Timestamp};
use proptest::prelude::*;

/// 2026-01-01, and three years on: six clock changes in each hemisphere, and the leap day of 2028.
const BEGIN: i64 = 1_767_225_600_000;
const END: i64 = BEGIN + 3 * 366 * 86_400_000;

fn cron() -> impl Strategy<Value = (&'static str, &'static str)> {
    let expression = prop::sample::select(vec![
        "*/2 * * * *",
        "*/10 * * * * *",
        "30 2 * * *",
        "15,45 1-3 * * *",
        "0 9 * * 1-5",
        "0 0 29 2 *",
        "0 12 L * *",
        "7 */6 * * 0",
    ]);
    let zone =
        prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]);
    (expression, zone)
}

/// Moments near a change of clocks in Berlin or New York are as likely as all others together.
fn wall() -> impl Strategy<Value = i64> {
    let changes = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2027-03-14T07:00:00Z", "2026-11-01T06:00:00Z"]
        .map(|text| Timestamp::parse(text).unwrap().as_millis());
    let near = (prop::sample::select(changes.to_vec()), -7_200_000..7_200_000_i64).prop_map(|(at, off)| at + off);
    prop_oneof![BEGIN..END, near]
}

fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![Just(Slot::AT_TICK), "[a-z]{1,8}".prop_map(|id| Slot::of(&ApiId::parse(&id).unwrap()))]
}

fn at(wall: i64) -> Moment {
    Moment { wall: Timestamp::from_millis(wall), monotonic: Duration::ZERO }
}

fn due(schedule: &Schedule, slot: Slot, now: Moment) -> Timestamp {
    match schedule.next_due(slot, now) {
        Some(Due::Wall(due)) => due,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_cron_due_time_is_in_the_future_stays_until_it_comes_and_keeps_to_its_slot(
        (expression, zone) in cron(), wall in wall(), slot in slot(), part in 0.0..1.0_f64, asked_before in wall(),
    ) {
        let fresh = || Schedule::cron(expression, zone, Timestamp::from_millis(BEGIN)).unwrap();
        let (schedule, now) = (fresh(), at(wall));
        due(&schedule, slot, at(asked_before)); // what it remembers of that must not show
        let next = due(&schedule, slot, now);
        prop_assert!(next > now.wall);
        prop_assert_eq!(next, due(&fresh(), slot, now), "the same whatever was asked before");
        #[allow(clippy::cast_possible_truncation)]
        let between = now.wall.as_millis() + (next.since(now.wall).as_millis() as f64 * part) as i64;
        prop_assert_eq!(due(&schedule, slot, at(between)), next, "the same until it comes");
        // Its slot after a tick: the tick itself is due for whoever has no slot.
        let tick = due(&schedule, Slot::AT_TICK, at(next.as_millis() - i64::try_from(SPREAD_MAX.as_millis()).unwrap()));
        let ticks: Vec<Timestamp> = std::iter::successors(Some(tick), |t| Some(due(&schedule, Slot::AT_TICK, at(t.as_millis()))))
            .take_while(|t| *t <= next)
            .collect();
        prop_assert!(ticks.iter().any(|tick| next.since(*tick) < SPREAD_MAX), "within {SPREAD_MAX:?} of a tick");
    }

    #[test]
    fn missed_ticks_are_those_that_came_due_in_between(
        (expression, zone) in cron(), wall in wall(), slot in slot(), passed in 0..7_200_000_i64,
    ) {
        let schedule = Schedule::cron(expression, zone, Timestamp::from_millis(BEGIN)).unwrap();
        let (since, now) = (at(wall), at(wall + passed));
        let dues = std::iter::successors(Some(due(&schedule, slot, since)), |d| Some(due(&schedule, slot, at(d.as_millis()))));
        let expected = dues.take_while(|d| *d <= now.wall).count();
        prop_assert_eq!(schedule.missed(slot, since, now), expected as u64);
        prop_assert_eq!(schedule.missed(slot, now, since), 0, "none when the clock was set back");
    }

    #[test]
    fn an_interval_keeps_its_grid_whatever_the_wall_clock_does(
        interval in 1..100_000_u64, uptime_ms in 0..1_000_000_000_u64, slot in slot(), wall in wall(), other_wall in wall(),
    ) {
        let schedule = Schedule::every(Duration::from_secs(interval));
        let monotonic = Duration::from_millis(uptime_ms);
        let ask = |wall: i64| match schedule.next_due(slot, Moment { wall: Timestamp::from_millis(wall), monotonic }) {
            Some(Due::Monotonic(due)) => due,
            other => panic!("{other:?}"),
        };
        let next = ask(wall);
        prop_assert_eq!(next, ask(other_wall));
        prop_assert!(next > monotonic && next <= monotonic + Duration::from_secs(interval).max(SPREAD_MAX));
        let offset = slot.within(Duration::from_secs(interval));
        prop_assert_eq!((next - offset).as_millis() % u128::from(interval * 1_000), 0, "on the grid of its slot");
    }
}
