//! The last 24 hours of an API in a terminal: a bar of what it was in each hour, and a line of how long its answers took.

use std::collections::HashMap;
use std::time::Duration;

use api_health_actors::ports::{HistoryStore, StoreError};
use api_health_core::history::series::{Point, Step};
use api_health_core::history::uptime::BarState;
use api_health_core::history::{HistorySlot, Past, Series, UtcDay};
use api_health_core::{ApiId, ApiState, Status, Timestamp};
use futures_util::future::join_all;

use super::out::Out;
use super::text;
use crate::app::App;
use crate::store::history::READ_MAX;

const HOURS: u16 = 24;

/// What is set in before a bar and stands behind it, where columns are few.
const ROOM: usize = 4;

/// The last 24 hours of these, of those that are stored. Nobody is told less of the present for lack of a past.
pub(super) async fn hours_of(app: &App, states: &[&ApiState], now: Timestamp) -> HashMap<ApiId, Vec<Point>> {
    if !app.store_exists() {
        return HashMap::new();
    }
    let Ok(Some(history)) = app.open_history().await else { return HashMap::new() };
    let read = async |state: &ApiState| {
        let past = read(&*history, state, now).await.ok()?;
        past.reach()?;
        Some((state.api_id.clone(), past.last(HOURS, Step::Hour, now)))
    };
    join_all(states.iter().map(|state| read(state))).await.into_iter().flatten().collect()
}

async fn read(history: &dyn HistoryStore, state: &ApiState, now: Timestamp) -> Result<Past, StoreError> {
    let (series, today) = (Series::Api(state.api_id.clone()), UtcDay::of(now));
    let days = HistorySlot::Day(today.plus_days(-1))..=HistorySlot::Day(today);
    let mut items = history.read(series.clone(), days, 2).await?;
    let incidents = HistorySlot::incidents(today.plus_days(-31).starts_at(), now);
    items.extend(history.read(series, incidents, READ_MAX).await?);
    let mut past = Past::of(&items);
    past.stories.extend(state.awaiting_history.iter().cloned());
    let down_since = (state.status == Status::Down).then_some(state.since).flatten();
    Ok(past.with_present(down_since, state.last_probe.as_ref().map(|probe| probe.at)))
}

/// The newest hours, as many as there is room for beside so many columns.
fn that_fit<'a>(hours: &'a [Point], out: &Out) -> &'a [Point] {
    let room = out.columns.map_or(hours.len(), |columns| columns.saturating_sub(ROOM));
    &hours[hours.len().saturating_sub(room)..]
}

/// A sign for each hour. The page has the same by height and pattern.
pub(super) fn bar(hours: &[Point], out: &Out) -> String {
    let sign = |point: &Point| match (point.times.state(), out.unicode) {
        (BarState::Up, true) => '▃',
        (BarState::Up, false) => '_',
        (BarState::Down, true) => '█',
        (BarState::Down, false) => '#',
        (BarState::Maintenance, true) => '▒',
        (BarState::Maintenance, false) => '=',
        (BarState::Inconclusive, _) => '?',
        (BarState::NotWatched, true) => '·',
        (BarState::NotWatched, false) => '-',
    };
    that_fit(hours, out).iter().map(sign).collect()
}

const LINE: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN_LINE: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// How high the median of each hour is, from nothing to the highest; a gap where there was none.
pub(super) fn line(hours: &[Point], out: &Out) -> String {
    let median = |point: &Point| point.latency.as_ref().map(|latency| latency.p50);
    let hours = that_fit(hours, out);
    let most = hours.iter().filter_map(median).fold(0.0, f64::max);
    let signs = if out.unicode { LINE } else { PLAIN_LINE };
    let sign = |p50: f64| signs[((p50 / most.max(f64::MIN_POSITIVE) * 8.0).ceil() as usize).clamp(1, 8) - 1];
    let gap = if out.unicode { '·' } else { '?' };
    hours.iter().map(|point| median(point).map_or(gap, sign)).collect()
}

/// `Not down in the last 24 hours; 3 hours not watched.`
pub(super) fn in_words(hours: &[Point]) -> String {
    let of = |state| hours.iter().filter(|point| point.times.state() == state).count();
    let down = Duration::from_millis(hours.iter().map(|point| point.times.down_ms).sum());
    let last = text::count(hours.len(), "hour");
    let lacking = match of(BarState::NotWatched) {
        0 => String::new(),
        n => format!("; {} not watched", text::count(n, "hour")),
    };
    match of(BarState::Down) {
        0 => format!("Not down in the last {last}{lacking}."),
        n => format!("Down for {} in {n} of the last {last}{lacking}.", text::span(down)),
    }
}

/// `half of all answers within 61 ms to 310 ms by the hour`; `None`: there was no answer.
pub(super) fn latency_in_words(hours: &[Point]) -> Option<String> {
    let medians = || hours.iter().filter_map(|point| Some(point.latency.as_ref()?.p50));
    let millis = |ms: f64| text::millis(Duration::from_secs_f64(ms / 1_000.0));
    let (least, most) = (medians().reduce(f64::min)?, medians().reduce(f64::max)?);
    Some(format!("median by the hour: {} to {}", millis(least), millis(most)))
}

#[cfg(test)]
mod tests {
    use api_health_core::history::hour::Counts;
    use api_health_core::history::latency::Spread;
    use api_health_core::history::uptime::Times;

    use super::*;

    fn hours() -> Vec<Point> {
        const HOUR_MS: u64 = 3_600_000;
        let spread = |p50| Some(Spread { min: p50, p50, p95: p50, p99: p50, max: p50 });
        let times = Times { window_ms: HOUR_MS, ..Times::default() };
        let of = |times, latency| {
            let at = Timestamp::default();
            Point { from: at, until: at, times, counts: Counts::default(), latency }
        };
        vec![
            of(times, None),
            of(Times { inconclusive_ms: HOUR_MS, ..times }, None),
            of(Times { maintenance_ms: HOUR_MS, ..times }, spread(10.0)),
            of(Times { watched_ms: HOUR_MS, down_ms: 90_000, ..times }, spread(800.0)),
            of(Times { watched_ms: HOUR_MS, ..times }, spread(99.0)),
        ]
    }

    #[test]
    fn each_state_has_a_sign_and_narrow_terminals_show_the_newest_hours() {
        let hours = hours();
        let [unicode, plain, narrow] =
            [(true, None), (false, None), (true, Some(7))].map(|(unicode, columns)| Out::of_test(unicode, columns));
        assert_eq!((bar(&hours, &unicode), line(&hours, &unicode)), ("·?▒█▃".into(), "··▁█▁".into()));
        assert_eq!((bar(&hours, &plain), line(&hours, &plain)), ("-?=#_".into(), "??_#_".into()));
        assert_eq!((bar(&hours, &narrow), line(&hours, &narrow)), ("▒█▃".into(), "▁█▁".into()));
        assert_eq!(in_words(&hours), "Down for 1 min 30 s in 1 of the last 5 hours; 1 hour not watched.");
        assert_eq!(latency_in_words(&hours).as_deref(), Some("median by the hour: 10 ms to 800 ms"));
        assert_eq!(
            (in_words(&hours[4..]), latency_in_words(&hours[..2])),
            ("Not down in the last 1 hour.".into(), None)
        );
    }
}
