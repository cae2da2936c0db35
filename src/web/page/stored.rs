//! What charts and tables want of what is stored of an API.

use std::time::Duration;

use api_health_core::Timestamp;

use super::chart::{Drawing, bar, hollow};
use super::zone::Look;
use crate::past::{Over, Past, Point, Step, Untold};

/// Which points a chart has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// In the query.
    pub(crate) name: &'static str,
    /// On the page.
    pub(crate) words: &'static str,
    pub(crate) points: (u16, Step),
}

impl Reach {
    pub(crate) const DAY: Self = Self { name: "24h", words: "24 hours", points: (24, Step::Hour) };
    const WEEK: Self = Self { name: "7d", words: "7 days", points: (24 * 7, Step::Hour) };
    pub(crate) const QUARTER: Self = Self { name: "90d", words: "90 days", points: (90, Step::Day) };
    const YEAR: Self = Self { name: "13mo", words: "13 months", points: (396, Step::Day) };
    pub(crate) const ALL: [Self; 4] = [Self::DAY, Self::WEEK, Self::QUARTER, Self::YEAR];

    /// A day where nothing is asked for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(Self::DAY) } else { Self::ALL.into_iter().find(|reach| reach.name == text) }
    }
}

/// The past of an API, or why it cannot be shown.
pub(crate) struct Read(Result<Past, Untold>);

impl From<Result<Past, Untold>> for Read {
    fn from(read: Result<Past, Untold>) -> Self {
        Self(read)
    }
}

impl Read {
    /// `None`: nothing is stored.
    pub(crate) fn past(&self) -> Option<&Past> {
        self.0.as_ref().ok().filter(|past| past.reach().is_some())
    }

    /// Its incidents that are over, the newest first.
    pub(crate) fn over(&self) -> impl Iterator<Item = Over> {
        self.0.iter().flat_map(|past| past.stories.iter().rev()).filter_map(Over::of)
    }

    /// There may be a past, and it cannot be shown.
    pub(crate) fn is_failed(&self) -> bool {
        self.0.is_err()
    }

    /// Why there is nothing to show.
    pub(crate) fn why_not(&self) -> String {
        self.0.as_ref().err().map_or_else(|| "nothing is stored of it yet".into(), ToString::to_string)
    }

    /// The last hours or days as a bar; a hollow one where there is nothing to show.
    pub(crate) fn bar(&self, reach: Reach, one: &str, look: &Look) -> Drawing {
        let points = self.last(reach.points, look.now);
        points.map_or_else(|| hollow(reach.points.0.into(), one, &self.why_not()), |points| bar(&points, one, look))
    }

    /// Its last so many hours or days, the present one included.
    pub(crate) fn last(&self, (count, step): (u16, Step), now: Timestamp) -> Option<Vec<Point>> {
        Some(self.past()?.last(count, step, now))
    }
}

/// How long it was up, in words that were rounded down; `None` where too little was watched to say so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uptime {
    pub(crate) share: Option<String>,
    /// The share of the time that was watched, where it is worth a word.
    pub(crate) coverage: Option<String>,
    pub(crate) down: Duration,
    pub(crate) incidents: usize,
    pub(crate) p95: Option<Duration>,
}

/// Where less was watched than this, in millionths, it is said.
const COVERAGE_SAID_BELOW: u32 = 990_000;

impl Uptime {
    /// Between two moments.
    pub(crate) fn of(past: &Past, from: Timestamp, until: Timestamp) -> Self {
        let window = from..until;
        let whole = past.whole(&window);
        let (times, coverage) = (&whole.times, whole.times.coverage());
        Self {
            share: times.uptime().map(|share| share.to_string()),
            coverage: (coverage.millionths() < COVERAGE_SAID_BELOW).then(|| coverage.to_string()),
            down: Duration::from_millis(times.down_ms),
            incidents: past.outages().iter().filter(|outage| window.contains(&outage.start)).count(),
            p95: whole.latency.map(|spread| ms(spread.p95)),
        }
    }
}

/// Milliseconds of a chart, in whole ones.
pub(crate) fn ms(figure: f64) -> Duration {
    Duration::from_millis(figure.round() as u64)
}

#[cfg(test)]
mod tests {
    use api_health_core::history::day::Day;
    use api_health_core::history::hour::Hour;
    use api_health_core::history::uptime::BarState;
    use api_health_core::history::{HistoryItem, HistorySlot, Series, Story, UtcDay};
    use api_health_core::incident::Incident;
    use api_health_core::{ApiId, Verdict};

    use super::*;
    use crate::testing::NOW;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn item(slot: HistorySlot, bytes: Vec<u8>) -> HistoryItem {
        let series = Series::Api(ApiId::parse("shop").unwrap());
        HistoryItem { series, slot, epoch: 0, kept_until: None, bytes }
    }

    /// Yesterday, watched from end to end, with an outage of nine minutes at five.
    fn items() -> Vec<HistoryItem> {
        let yesterday = UtcDay::of(NOW).plus_days(-1);
        let mut day = Day { until: yesterday.ends_at(), ..Day::new(yesterday) };
        for number in 0..24 {
            let mut hour = Hour::default();
            (0..20).for_each(|probe| hour.note(Verdict::Pass, Some(if probe == 0 { 900 } else { 80 }), 0));
            day.hours.push((number, hour));
        }
        let began_at = yesterday.starts_at().plus(HOUR * 5);
        let after = |seconds| began_at.plus(Duration::from_secs(seconds));
        let story = Story {
            incident: Incident {
                incident_id: format!("shop.{}.3", began_at.as_millis()),
                started_at: began_at,
                reason: "status 503".into(),
                name: "Shop".into(),
                confirmed_at: Some(after(11)),
                ..Incident::default()
            },
            began_at,
            ended_at: after(540),
            end_confirmed_at: after(546),
            is_closed: false,
            excluded_ms: 0,
            end_evidence: None,
        };
        let incident = HistorySlot::Incident { started_at: began_at, api_id: ApiId::parse("shop").unwrap() };
        vec![item(HistorySlot::Day(yesterday), day.encode()), item(incident, story.encode())]
    }

    #[test]
    fn what_is_stored_is_shown_as_bars_figures_and_incidents() {
        let read = Read(Ok(Past::of(&items())));
        let days = read.last((90, Step::Day), NOW).unwrap();
        assert_eq!((days.len(), days[88].times.state(), days[88].times.down_ms), (90, BarState::Down, 540_000));
        assert_eq!((days[0].times.state(), &days[0].latency), (BarState::NotWatched, &None));
        assert_eq!(read.last((24, Step::Hour), NOW).unwrap().len(), 24);
        let yesterday = UtcDay::of(NOW).plus_days(-1);
        let uptime = Uptime::of(read.past().unwrap(), yesterday.starts_at(), yesterday.ends_at());
        assert_eq!(uptime.share.as_deref(), Some("99.37 %"), "540 of 86,400 s, rounded down");
        assert_eq!((uptime.coverage, uptime.incidents, uptime.down.as_secs()), (None, 1, 540));
        assert!(uptime.p95.is_some_and(|p95| (76..=84).contains(&p95.as_millis())), "{:?}", uptime.p95);
        let over: Vec<Over> = read.over().collect();
        assert_eq!((over.len(), over[0].api_id.as_str(), over[0].lasted()), (1, "shop", Duration::from_secs(540)));
    }

    #[test]
    fn where_nothing_is_stored_nothing_is_said() {
        let read = Read(Ok(Past::of(&[])));
        assert!(read.last((90, Step::Day), NOW).is_none() && read.past().is_none());
        assert_eq!(read.why_not(), "nothing is stored of it yet");
        assert_eq!(Read(Err(Untold::Off)).why_not(), "no history is kept");
    }
}
