//! What charts and tables want of what is stored of an API.

use std::time::Duration;

use api_health_core::evidence::Evidence;
use api_health_core::history::latency;
use api_health_core::history::series::Step;
use api_health_core::history::uptime::{BarState, Share};
use api_health_core::history::{self, HistoryItem};
use api_health_core::view::ApiView;
use api_health_core::words::{millis, moment};
use api_health_core::{ApiId, Status, Timestamp};

use super::incident::api_of;

/// How a slot of a bar is shown.
pub(crate) type Shade = BarState;

/// One hour or day of a bar, and one point of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) from: Timestamp,
    pub(crate) shade: Shade,
    pub(crate) down: Duration,
    /// `None`: there was no answer.
    pub(crate) latency: Option<Spread>,
}

/// How long answers took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: u32,
    pub(crate) p50: u32,
    pub(crate) p95: u32,
    pub(crate) p99: u32,
    pub(crate) most: u32,
}

impl Spread {
    fn of(spread: latency::Spread) -> Self {
        let whole = |ms: f64| ms.round() as u32;
        let latency::Spread { min, p50, p95, p99, max } = spread;
        Self { least: whole(min), p50: whole(p50), p95: whole(p95), p99: whole(p99), most: whole(max) }
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
    pub(crate) p95: Option<u32>,
}

/// Where less was watched than this, in millionths, it is said.
const COVERAGE_SAID_BELOW: u32 = 990_000;

/// An incident that is over.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) incident_id: String,
    pub(crate) api_id: ApiId,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) began_at: Timestamp,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) ended_at: Timestamp,
    pub(crate) end_confirmed_at: Timestamp,
    /// Channel, kind of alert, and when the channel took it.
    pub(crate) told: Vec<(String, String, Timestamp)>,
    /// What was seen, a line each.
    pub(crate) evidence: Vec<String>,
}

/// What is stored of one API, and what is so now.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    stored: history::Past,
}

impl Past {
    pub(crate) fn of(items: &[HistoryItem], view: Option<&ApiView>) -> Self {
        let down_since = view.filter(|view| view.status == Status::Down).and_then(|view| view.since);
        let watched_until = view.and_then(|view| view.last_probe.as_ref()).map(|probe| probe.at);
        Self { stored: history::Past::of(items).with_present(down_since, watched_until) }
    }

    /// Its last so many hours, the present one included; `None`: nothing is stored.
    pub(crate) fn hours(&self, count: u16, now: Timestamp) -> Option<Vec<Point>> {
        self.points(count, Step::Hour, now)
    }

    /// Its last so many days, the present one included.
    pub(crate) fn days(&self, count: u16, now: Timestamp) -> Option<Vec<Point>> {
        self.points(count, Step::Day, now)
    }

    fn points(&self, count: u16, step: Step, now: Timestamp) -> Option<Vec<Point>> {
        self.stored.reach()?;
        let points = self.stored.last(count, step, now).into_iter().map(|point| Point {
            from: point.from,
            shade: point.times.state(),
            down: Duration::from_millis(point.times.down_ms),
            latency: point.latency.map(Spread::of),
        });
        Some(points.collect())
    }

    /// How long it was up between two moments.
    pub(crate) fn uptime(&self, from: Timestamp, until: Timestamp) -> Option<Uptime> {
        self.stored.reach()?;
        let window = from..until;
        let whole = self.stored.whole(&window);
        let times = &whole.times;
        let coverage = times.coverage();
        let outages = self.stored.outages();
        Some(Uptime {
            share: times.uptime().map(|share: Share| share.to_string()),
            coverage: (coverage.millionths() < COVERAGE_SAID_BELOW).then(|| coverage.to_string()),
            down: Duration::from_millis(times.down_ms),
            incidents: outages.iter().filter(|outage| window.contains(&outage.start)).count(),
            p95: whole.latency.map(|spread| Spread::of(spread).p95),
        })
    }

    /// Its incidents that are over, the newest first.
    pub(crate) fn stories(&self) -> Vec<Story> {
        self.stored.stories.iter().rev().filter_map(Story::of).collect()
    }
}

impl Story {
    fn of(story: &history::Story) -> Option<Self> {
        let incident = &story.incident;
        let told = incident.told.iter();
        Some(Self {
            api_id: api_of(&incident.incident_id)?,
            incident_id: incident.incident_id.clone(),
            name: incident.name.clone(),
            reason: incident.reason.clone(),
            began_at: story.began_at,
            confirmed_at: incident.confirmed_at,
            ended_at: story.ended_at,
            end_confirmed_at: story.end_confirmed_at,
            told: told.map(|told| (told.channel.clone(), told.kind.as_str().to_owned(), told.at)).collect(),
            evidence: incident.evidence.as_deref().map(lines).unwrap_or_default(),
        })
    }
}

/// Incidents that are over, the newest first.
pub(crate) fn stories(items: &[HistoryItem]) -> Vec<Story> {
    let read = items.iter().filter_map(|item| history::Story::decode(&item.bytes).ok());
    let mut stories: Vec<Story> = read.filter_map(|story| Story::of(&story)).collect();
    stories.sort_by_key(|story| std::cmp::Reverse(story.began_at));
    stories
}

/// What was seen when it was confirmed, a line each.
fn lines(evidence: &Evidence) -> Vec<String> {
    let phases = &evidence.phases;
    let took: Vec<String> = [
        ("name", phases.resolve),
        ("connect", phases.connect),
        ("TLS", phases.tls),
        ("first byte", phases.first_byte),
        ("body", phases.body),
    ]
    .into_iter()
    .filter_map(|(phase, time)| Some(format!("{phase} {}", millis(time?))))
    .collect();
    let addresses: Vec<String> = evidence.addresses.iter().map(ToString::to_string).collect();
    [
        Some(format!("Seen at {}", moment(evidence.seen_at))),
        evidence.status_line.as_ref().map(|line| format!("Answer: {line}")),
        evidence.body_start.as_ref().map(|start| format!("Its beginning: {start}")),
        (!addresses.is_empty()).then(|| format!("The name leads to {}", addresses.join(", "))),
        evidence.address.map(|address| format!("Asked at {address}")),
        (!took.is_empty()).then(|| format!("It took: {}", took.join(", "))),
        evidence.certificate.as_ref().map(|certificate| {
            format!(
                "Certificate of {}, from {}, until {}",
                certificate.subject,
                certificate.issuer,
                moment(certificate.not_after)
            )
        }),
        (!evidence.well.is_empty()).then(|| format!("Well at that time: {}", evidence.well.join(", "))),
        (!evidence.ill.is_empty()).then(|| format!("Not well at that time: {}", evidence.ill.join(", "))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use api_health_core::Verdict;
    use api_health_core::history::day::Day;
    use api_health_core::history::hour::Hour;
    use api_health_core::history::{Series, Slot, UtcDay};
    use api_health_core::incident::Incident;

    use super::*;
    use crate::testing::NOW;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn item(slot: Slot, bytes: Vec<u8>) -> HistoryItem {
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
        let story = history::Story {
            incident: Incident {
                incident_id: format!("shop.{}.3", began_at.as_millis()),
                started_at: began_at,
                reason: "status 503".into(),
                name: "Shop".into(),
                url: String::new(),
                owed_to: Vec::new(),
                evidence: None,
                reminders: 0,
                confirmed_at: Some(after(11)),
                told: Vec::new(),
            },
            began_at,
            ended_at: after(540),
            end_confirmed_at: after(546),
            is_closed: false,
            excluded_ms: 0,
        };
        let incident = Slot::Incident { started_at: began_at, api_id: ApiId::parse("shop").unwrap() };
        vec![item(Slot::Day(yesterday), day.encode()), item(incident, story.encode())]
    }

    #[test]
    fn what_is_stored_is_shown_as_bars_figures_and_incidents() {
        let past = Past::of(&items(), None);
        let days = past.days(90, NOW).unwrap();
        assert_eq!((days.len(), days[88].shade, days[88].down), (90, Shade::Down, Duration::from_secs(540)));
        assert_eq!((days[0].shade, days[0].latency), (Shade::NotWatched, None));
        assert_eq!(past.hours(24, NOW).unwrap().len(), 24);
        let yesterday = UtcDay::of(NOW).plus_days(-1);
        let uptime = past.uptime(yesterday.starts_at(), yesterday.ends_at()).unwrap();
        assert_eq!(uptime.share.as_deref(), Some("99.37 %"), "540 of 86,400 s, rounded down");
        assert_eq!((uptime.coverage, uptime.incidents, uptime.down.as_secs()), (None, 1, 540));
        assert!(uptime.p95.is_some_and(|p95| (76..=84).contains(&p95)), "{:?}", uptime.p95);
        let stories = past.stories();
        assert_eq!((stories.len(), stories[0].api_id.as_str(), stories[0].name.as_str()), (1, "shop", "Shop"));
        assert_eq!(super::stories(&items()).len(), 1);
    }

    #[test]
    fn where_nothing_is_stored_nothing_is_said() {
        let past = Past::of(&[], None);
        assert!(past.days(90, NOW).is_none() && past.uptime(NOW, NOW).is_none() && past.stories().is_empty());
    }
}
