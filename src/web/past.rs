//! What is known of the past of APIs, in the form in which the JSON API, badges and the feed tell it.

use std::ops::Range;

use api_health_core::history::UtcMonth;
use api_health_core::{ApiId, Timestamp};

use crate::model::Site;

/// How wide a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Hour,
    Day,
    Month,
}

impl Step {
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("hour", Self::Hour), ("day", Self::Day), ("month", Self::Month)];
}

/// How a stretch of time was spent, in milliseconds, and what was measured in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// It was watched, could be judged, and counts.
    pub(crate) watched_ms: u64,
    pub(crate) down_ms: u64,
    pub(crate) maintenance_ms: u64,
    pub(crate) inconclusive_ms: u64,
    pub(crate) passes: u64,
    pub(crate) fails: u64,
    pub(crate) inconclusive: u64,
    pub(crate) missed: u64,
    /// `None`: there was no answer.
    pub(crate) latency: Option<Spread>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Span {
    pub(crate) fn window_ms(&self) -> u64 {
        u64::try_from(self.until.since(self.from).as_millis()).unwrap_or(u64::MAX)
    }

    /// The share of what was watched in which it was not down, in millionths, rounded down; `None` where less than a hundredth of the
    /// window was watched.
    pub(crate) fn uptime_ppm(&self) -> Option<u32> {
        let is_enough = self.watched_ms > 0 && self.watched_ms >= self.window_ms() / 100;
        is_enough.then(|| ppm(self.watched_ms.saturating_sub(self.down_ms), self.watched_ms))
    }

    /// The share of the window that was watched, in millionths.
    pub(crate) fn coverage_ppm(&self) -> u32 {
        ppm(self.watched_ms, self.window_ms())
    }
}

fn ppm(part: u64, whole: u64) -> u32 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u32::try_from(ppm).unwrap_or(u32::MAX).min(1_000_000)
}

/// Millionths as a percentage with two decimals, rounded down: `100`, `99.99`, `0.00`.
pub(crate) fn percent(ppm: u32) -> String {
    if ppm >= 1_000_000 { "100".into() } else { format!("{}.{:02}", ppm / 10_000, ppm / 100 % 100) }
}

/// An incident that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) incident_id: String,
    pub(crate) api_id: ApiId,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// What of the past is known of one API in a window; `None`: no history is kept.
pub(crate) async fn points(site: &Site, api_id: &ApiId, window: &Range<Timestamp>, step: Step) -> Option<Vec<Span>> {
    let _ = (site.history.as_ref()?, api_id, window, step);
    None
}

/// The same as one span.
pub(crate) async fn span(site: &Site, api_id: &ApiId, window: &Range<Timestamp>) -> Option<Span> {
    let _ = (site.history.as_ref()?, api_id, window);
    None
}

/// Incidents that began in these months and are over, the newest first; `None`: no history is kept.
pub(crate) async fn stories(site: &Site, months: &Range<UtcMonth>) -> Option<Vec<Story>> {
    let _ = (site.history.as_ref()?, months);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_rounded_down_and_says_nothing_of_what_was_hardly_watched() {
        let until = Timestamp::from_millis(1_000_000);
        let span = |watched_ms, down_ms| Span { until, watched_ms, down_ms, ..Span::default() };
        let told = |watched, down| span(watched, down).uptime_ppm().map(percent);
        assert_eq!(told(1_000_000, 0).as_deref(), Some("100"));
        assert_eq!(told(1_000_000, 1).as_deref(), Some("99.99"));
        assert_eq!(told(10_000, 10_000).as_deref(), Some("0.00"));
        assert_eq!((told(9_999, 0), told(0, 0)), (None, None));
        assert_eq!(span(500_000, 0).coverage_ppm(), 500_000);
    }
}
