//! The form of what the JSON API tells of the past.

use api_health_core::Timestamp;
use api_health_core::view::ApiView;

use api_health_core::history::latency::Spread;
use api_health_core::history::uptime::Share;

use crate::past::{self, Over};
use crate::shown;

/// The past of one API.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct History {
    pub(crate) api_id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// `hour`, `day` or `month`.
    pub(crate) step: &'static str,
    /// The oldest first.
    pub(crate) points: Vec<Point>,
}

/// An hour, a day or a month.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Point {
    pub(crate) from: String,
    pub(crate) until: String,
    /// In percent, rounded down; `null` where hardly anything was watched.
    pub(crate) uptime_percent: Option<f64>,
    /// How much of the time counts, in percent.
    pub(crate) coverage_percent: f64,
    pub(crate) watched_seconds: u64,
    pub(crate) down_seconds: u64,
    pub(crate) maintenance_seconds: u64,
    pub(crate) inconclusive_seconds: u64,
    pub(crate) passes: u32,
    pub(crate) fails: u32,
    pub(crate) inconclusive: u32,
    pub(crate) missed_ticks: u32,
    pub(crate) latency_min_ms: Option<f64>,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p95_ms: Option<f64>,
    pub(crate) latency_p99_ms: Option<f64>,
    pub(crate) latency_max_ms: Option<f64>,
}

/// Percent with four decimals, which millionths are.
fn percent(share: Share) -> f64 {
    f64::from(share.millionths()) / 10_000.0
}

impl Point {
    /// As they stand in CSV.
    pub(crate) const COLUMNS: [&'static str; 17] = [
        "from",
        "until",
        "uptime_percent",
        "coverage_percent",
        "watched_seconds",
        "down_seconds",
        "maintenance_seconds",
        "inconclusive_seconds",
        "passes",
        "fails",
        "inconclusive",
        "missed_ticks",
        "latency_min_ms",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
        "latency_max_ms",
    ];

    pub(crate) fn of(point: &past::Point) -> Self {
        let latency = |figure: fn(&Spread) -> f64| point.latency.as_ref().map(figure);
        let (times, counts) = (&point.times, &point.counts);
        Self {
            from: point.from.to_string(),
            until: point.until.to_string(),
            uptime_percent: times.uptime().map(percent),
            coverage_percent: percent(times.coverage()),
            watched_seconds: times.watched_ms / 1_000,
            down_seconds: times.down_ms.div_ceil(1_000),
            maintenance_seconds: times.maintenance_ms / 1_000,
            inconclusive_seconds: times.inconclusive_ms / 1_000,
            passes: counts.passes,
            fails: counts.fails,
            inconclusive: counts.inconclusive,
            missed_ticks: counts.missed,
            latency_min_ms: latency(|spread| spread.min),
            latency_p50_ms: latency(|spread| spread.p50),
            latency_p95_ms: latency(|spread| spread.p95),
            latency_p99_ms: latency(|spread| spread.p99),
            latency_max_ms: latency(|spread| spread.max),
        }
    }
}

/// A page of incidents, the newest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Incidents {
    pub(crate) now: String,
    /// `false`: no history is kept, so that only open ones are here.
    pub(crate) has_closed: bool,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) next_cursor: Option<String>,
}

/// An outage, from its first fail to its first pass.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Incident {
    pub(crate) incident_id: String,
    pub(crate) api_id: String,
    pub(crate) name: String,
    pub(crate) started_at: String,
    /// `null`: it is open.
    pub(crate) ended_at: Option<String>,
    /// Until now, where it is open.
    pub(crate) duration_seconds: u64,
    pub(crate) reason: String,
    /// What people wrote on it, the oldest first; for those alone who are let in.
    pub(crate) notes: Vec<Note>,
}

/// What somebody wrote on an incident.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = IncidentNote)]
pub(crate) struct Note {
    pub(crate) at: String,
    pub(crate) by: String,
    /// `investigating`, `identified`, `monitoring`, `resolved`, or `null`.
    pub(crate) kind: Option<&'static str>,
    pub(crate) text: String,
}

impl Note {
    pub(crate) fn of(note: &api_health_core::history::Note) -> Self {
        let kind = note.kind.map(api_health_core::history::NoteKind::as_str);
        Self { at: note.at.to_string(), by: note.by.clone(), kind, text: note.text.clone() }
    }
}

impl Incident {
    /// As they stand in CSV.
    pub(crate) const COLUMNS: [&'static str; 8] =
        ["incident_id", "api_id", "name", "started_at", "ended_at", "duration_seconds", "reason", "notes"];

    /// By when it began; two of one moment by their ids.
    pub(crate) fn name_in_order(&self) -> String {
        format!("{} {}", self.started_at, self.incident_id)
    }

    pub(crate) fn open(view: &ApiView, now: Timestamp) -> Option<Self> {
        let open = view.incident.as_ref()?;
        Some(Self {
            incident_id: open.incident_id.clone(),
            api_id: view.api_id.to_string(),
            name: view.name().to_owned(),
            started_at: open.started_at.to_string(),
            ended_at: None,
            duration_seconds: now.since(open.started_at).as_secs(),
            reason: shown::said(view, &open.reason),
            notes: Vec::new(),
        })
    }

    pub(crate) fn closed(over: &Over, view: Option<&ApiView>) -> Self {
        let story = &over.story;
        Self {
            incident_id: story.incident.incident_id.clone(),
            api_id: over.api_id.to_string(),
            name: story.incident.name.clone(),
            started_at: story.began_at.to_string(),
            ended_at: Some(story.ended_at.to_string()),
            duration_seconds: over.lasted().as_secs(),
            reason: shown::said_once(view, &story.incident.reason),
            notes: Vec::new(),
        }
    }
}

/// A page of the report of a month, by id.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Report {
    /// As `2026-11`.
    pub(crate) month: String,
    pub(crate) apis: Vec<ReportRow>,
    pub(crate) next_cursor: Option<String>,
}

/// One API in a month.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct ReportRow {
    pub(crate) api_id: String,
    pub(crate) name: String,
    pub(crate) uptime_percent: Option<f64>,
    pub(crate) coverage_percent: f64,
    pub(crate) down_seconds: u64,
    pub(crate) maintenance_seconds: u64,
    pub(crate) probes: u32,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p95_ms: Option<f64>,
    pub(crate) latency_p99_ms: Option<f64>,
}

impl ReportRow {
    /// As they stand in CSV.
    pub(crate) const COLUMNS: [&'static str; 10] = [
        "api_id",
        "name",
        "uptime_percent",
        "coverage_percent",
        "down_seconds",
        "maintenance_seconds",
        "probes",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
    ];

    pub(crate) fn of(view: &ApiView, point: &past::Point) -> Self {
        let point = Point::of(point);
        Self {
            api_id: view.api_id.to_string(),
            name: view.name().to_owned(),
            uptime_percent: point.uptime_percent,
            coverage_percent: point.coverage_percent,
            down_seconds: point.down_seconds,
            maintenance_seconds: point.maintenance_seconds,
            probes: point.passes.saturating_add(point.fails).saturating_add(point.inconclusive),
            latency_p50_ms: point.latency_p50_ms,
            latency_p95_ms: point.latency_p95_ms,
            latency_p99_ms: point.latency_p99_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_health_core::history::hour::Counts;
    use api_health_core::history::uptime::Times;

    use crate::testing::up;

    fn has_all(columns: &[&str], row: &impl serde::Serialize) {
        let row = serde_json::to_value(row).unwrap();
        let mut fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = columns.to_vec();
        fields.sort_unstable();
        columns.sort_unstable();
        assert_eq!(columns, fields);
    }

    #[test]
    fn csv_has_all_that_json_has() {
        let until = Timestamp::from_millis(3_600_000);
        let latency = Some(Spread { min: 1.0, p50: 2.0, p95: 12.5, p99: 13.0, max: 14.0 });
        let times = Times { window_ms: 3_600_000, watched_ms: 3_600_000, down_ms: 1, ..Times::default() };
        let counts = Counts { passes: 60, ..Counts::default() };
        let span = past::Point { from: Timestamp::default(), until, times, counts, latency };
        let point = Point::of(&span);
        assert_eq!((point.uptime_percent, point.down_seconds, point.latency_p95_ms), (Some(99.9999), 1, Some(12.5)));
        has_all(&Point::COLUMNS, &point);
        let view = up("a");
        has_all(&ReportRow::COLUMNS, &ReportRow::of(&view, &span));
        let (began_at, ended_at) = (Timestamp::default(), until);
        let incident = api_health_core::incident::Incident { incident_id: "a.1.2".into(), ..Default::default() };
        let (end_confirmed_at, is_closed, excluded_ms, end_evidence) = (ended_at, false, 0, None);
        let story = api_health_core::history::Story {
            incident,
            began_at,
            ended_at,
            end_confirmed_at,
            is_closed,
            excluded_ms,
            end_evidence,
        };
        has_all(&Incident::COLUMNS, &Incident::closed(&Over::of(&story).unwrap(), None));
    }
}
