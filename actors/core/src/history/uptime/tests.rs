//! Against a plain reference that looks at each second, and the ways to get it wrong that people know from elsewhere.

use proptest::prelude::*;

use super::*;

const SECONDS: i64 = 400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn ranges() -> impl Strategy<Value = Vec<Range<Timestamp>>> {
    let range = (0..SECONDS, 0..80_i64).prop_map(|(from, len)| at(from)..at(from + len));
    proptest::collection::vec(range, 0..6)
}

fn excluded() -> impl Strategy<Value = Vec<Excluded>> {
    let why = proptest::sample::select(Why::ALL.to_vec());
    let one = (why, 0..SECONDS, 0..80_i64);
    proptest::collection::vec(
        one.prop_map(|(why, from, len)| Excluded { why, from: at(from), until: at(from + len) }),
        0..6,
    )
}

/// The same, second by second.
fn reference(window: &Range<Timestamp>, seen: &Seen<'_>) -> Times {
    let mut times = Times::default();
    let mut second = window.start;
    while second < window.end {
        times.window_ms += 1_000;
        let is_excluded = |why| seen.excluded.iter().any(|e| e.why == why && (e.from..e.until).contains(&second));
        if seen.watched.iter().any(|range| range.contains(&second)) {
            if is_excluded(Why::Maintenance) {
                times.maintenance_ms += 1_000;
            } else if is_excluded(Why::NotWatched) {
                // Nothing is known of it.
            } else if is_excluded(Why::Inconclusive) {
                times.inconclusive_ms += 1_000;
            } else {
                times.watched_ms += 1_000;
                times.down_ms += if seen.down.iter().any(|range| range.contains(&second)) { 1_000 } else { 0 };
            }
        }
        second = second.plus(std::time::Duration::from_secs(1));
    }
    times
}

proptest! {
    #[test]
    fn it_is_what_a_look_at_each_second_finds(
        from in 0..SECONDS, len in 0..SECONDS, watched in ranges(), excluded in excluded(), down in ranges(),
    ) {
        let window = at(from)..at(from + len);
        let seen = Seen { watched: &watched, excluded: &excluded, down: &down };
        let times = Times::of(&window, &seen);
        prop_assert_eq!(times, reference(&window, &seen));
        // The halves make the whole.
        let middle = at(from + len / 2);
        let mut sum = Times::of(&(window.start..middle), &seen);
        sum.add(&Times::of(&(middle..window.end), &seen));
        prop_assert_eq!(sum, times);
        if let Some(uptime) = times.uptime() {
            prop_assert_eq!(uptime == Share::WHOLE, times.down_ms == 0);
            let exact = 1.0 - times.down_ms as f64 / times.watched_ms as f64;
            let shown = f64::from(uptime.millionths()) / 1e6;
            prop_assert!(shown <= exact + 1e-12 && exact - shown <= 1e-6, "{shown} of {exact}");
        }
    }
}

#[test]
fn it_is_rounded_down_and_whole_only_where_nothing_was_down() {
    let shown = |watched_ms, down_ms| {
        let times = Times { window_ms: 1_000_000_000, watched_ms, down_ms, ..Times::default() };
        times.uptime().map(|share| share.to_string())
    };
    assert_eq!(shown(1_000_000_000, 0).as_deref(), Some("100 %"));
    assert_eq!(shown(1_000_000_000, 1).as_deref(), Some("99.99 %"), "a millisecond in eleven days");
    assert_eq!(shown(1_000_000_000, 500_100).as_deref(), Some("99.94 %"));
    assert_eq!(shown(10_000_000, 10_000_000).as_deref(), Some("0.00 %"));
    assert_eq!(shown(9_999_999, 0), None, "less than a hundredth was watched");
}

#[test]
fn a_slot_is_down_however_briefly_and_else_what_most_of_it_was() {
    let of = |watched_ms, down_ms, maintenance_ms| {
        Times { window_ms: 100, watched_ms, down_ms, maintenance_ms, inconclusive_ms: 0 }.state()
    };
    assert_eq!([of(99, 1, 1), of(99, 0, 1), of(20, 0, 70)], [BarState::Down, BarState::Up, BarState::Maintenance]);
    assert_eq!([of(10, 0, 20), Times::default().state()], [BarState::NotWatched; 2]);
}
