//! What charts and tables want of what is stored of an API.

use std::time::Duration;

use api_health_core::history::HistoryItem;
use api_health_core::view::ApiView;
use api_health_core::{ApiId, Timestamp};

/// How a slot of a bar is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shade {
    Up,
    Down,
    Maintenance,
    /// Nothing could be told of it.
    Inconclusive,
    NotWatched,
}

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

/// What is stored of one API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    items: Vec<HistoryItem>,
}

impl Past {
    /// What is stored, and what is so now.
    pub(crate) fn of(items: &[HistoryItem], _view: Option<&ApiView>) -> Self {
        Self { items: items.to_vec() }
    }

    /// Its last so many hours, the present one included; `None`: that is not known.
    pub(crate) fn hours(&self, _count: u16, _now: Timestamp) -> Option<Vec<Point>> {
        None
    }

    /// Its last so many days, the present one included.
    pub(crate) fn days(&self, _count: u16, _now: Timestamp) -> Option<Vec<Point>> {
        None
    }

    /// How long it was up between two moments.
    pub(crate) fn uptime(&self, _from: Timestamp, _until: Timestamp) -> Option<Uptime> {
        None
    }

    /// Its incidents that are over, the newest first.
    pub(crate) fn stories(&self) -> Vec<Story> {
        stories(&self.items)
    }
}

/// Incidents that are over, the newest first.
pub(crate) fn stories(_items: &[HistoryItem]) -> Vec<Story> {
    Vec::new()
}
