//! Reads what is stored of one API's past: at most once a minute however many look, and no page waits long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_actors::ports::HistoryStore;
use api_health_core::history::{HistoryItem, Series, Slot as Stored, UtcDay, UtcMonth};
use api_health_core::view::ApiView;
use api_health_core::{ApiId, Timestamp};
use tokio::time::Instant;

use super::stored::{Past, Point, Story, stories};
use crate::model::Site;

/// A past is shown for so long before it is read again.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// The longest that a page waits for it.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Pasts that are kept; there is no need to keep more than people look at within a minute.
const PASTS_MAX: usize = 256;

/// Incidents that are over, on one page.
pub(crate) const LINES_MAX: usize = 200;

/// Incidents of one API, or of a month, that are read: as many as a store gives at once. Uptime is reckoned by them.
pub(crate) const STORIES_MAX: usize = 1_000;

/// Which points a chart has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Day,
    Week,
    Quarter,
    Year,
}

impl Reach {
    pub(crate) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Quarter, Self::Year];

    /// In the query, and on the page.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Quarter => "90d",
            Self::Year => "13mo",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Quarter => "90 days",
            Self::Year => "13 months",
        }
    }

    /// The points of a chart over it.
    pub(crate) fn points(self, past: &Past, now: Timestamp) -> Option<Vec<Point>> {
        match self {
            Self::Day => past.hours(24, now),
            Self::Week => past.hours(24 * 7, now),
            Self::Quarter => past.days(90, now),
            Self::Year => past.days(396, now),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == text)
    }
}

/// What a page says where there is no past to show.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// No history is kept.
    Off,
    Failed(String),
    Past(Past),
}

impl Read {
    pub(crate) fn past(&self) -> Option<&Past> {
        match self {
            Self::Past(past) => Some(past),
            _ => None,
        }
    }

    /// Why there is nothing to show.
    pub(crate) fn why_not(&self) -> String {
        match self {
            Self::Off => "no history is kept".into(),
            Self::Failed(why) => format!("history cannot be read now: {why}"),
            Self::Past(_) => "nothing is stored of it yet".into(),
        }
    }
}

/// Items of series that were read within the last minute.
#[derive(Debug, Default)]
pub(crate) struct Pasts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    items: HashMap<Series, (Instant, Arc<Vec<HistoryItem>>)>,
    /// The last read failed then.
    failed: Option<(Instant, String)>,
}

/// After a read that failed none is tried for so long: a page of a hundred APIs would wait a hundred times.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Pasts {
    pub(crate) async fn of(&self, site: &Site, api_id: &ApiId, view: Option<&ApiView>, now: Timestamp) -> Read {
        match self.items(site, Series::Api(api_id.clone()), now).await {
            None => Read::Off,
            Some(Ok(items)) => Read::Past(Past::of(&items, view)),
            Some(Err(why)) => Read::Failed(why),
        }
    }

    /// Incidents of a month that are over, the newest first.
    pub(crate) async fn stories_of(&self, site: &Site, month: UtcMonth, now: Timestamp) -> Result<Vec<Story>, String> {
        match self.items(site, Series::Incidents(month), now).await {
            None => Err(Read::Off.why_not()),
            Some(items) => items.map(|items| stories(&items)),
        }
    }

    /// What is stored of a series: of an API 62 days of hours, 13 months of days and the incidents of that time; of a month its
    /// incidents. `None`: no history is kept.
    pub(crate) async fn items(
        &self,
        site: &Site,
        series: Series,
        now: Timestamp,
    ) -> Option<Result<Arc<Vec<HistoryItem>>, String>> {
        let history = site.history.as_ref()?;
        if let Some(kept) = self.kept(&series) {
            return Some(kept);
        }
        let read = within(read(&**history, &series, now)).await;
        let mut kept = self.lock();
        Some(match read {
            Ok(items) => {
                let items = Arc::new(items);
                if kept.items.len() >= PASTS_MAX {
                    kept.items.retain(|_, (read, _)| read.elapsed() < FRESH_FOR);
                }
                if kept.items.len() < PASTS_MAX {
                    kept.items.insert(series, (Instant::now(), Arc::clone(&items)));
                }
                Ok(items)
            }
            Err(why) => {
                kept.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        })
    }

    /// What was read a short while ago, or why it could not be.
    fn kept(&self, series: &Series) -> Option<Result<Arc<Vec<HistoryItem>>, String>> {
        let kept = self.lock();
        if let Some((_, items)) = kept.items.get(series).filter(|(read, _)| read.elapsed() < FRESH_FOR) {
            return Some(Ok(Arc::clone(items)));
        }
        let failed = kept.failed.as_ref().filter(|(at, _)| at.elapsed() < TRIED_AGAIN_AFTER);
        failed.map(|(_, why)| Err(why.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(read: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(READ_WITHIN, read).await {
        Ok(read) => read,
        Err(_) => Err(format!("the store gave nothing within {} s", READ_WITHIN.as_secs())),
    }
}

async fn read(history: &dyn HistoryStore, series: &Series, now: Timestamp) -> Result<Vec<HistoryItem>, String> {
    let (today, month) = (UtcDay::of(now), UtcMonth::of(now));
    let began = month.plus_months(-13).first_day();
    let wanted = match series {
        Series::Api(_) => vec![
            (Stored::Day(today.plus_days(-62))..=Stored::Day(today), 63),
            (Stored::Month(began.month())..=Stored::Month(month), 14),
            (incidents(began.starts_at(), now), STORIES_MAX),
        ],
        Series::Incidents(of) => vec![(incidents(of.first_day().starts_at(), of.last_day().ends_at()), STORIES_MAX)],
    };
    let mut items = Vec::new();
    for (slots, limit) in wanted {
        items.extend(history.read(series.clone(), slots, limit).await.map_err(|error| error.to_string())?);
    }
    Ok(items)
}

/// Every incident that began between two moments, of whichever API.
fn incidents(from: Timestamp, until: Timestamp) -> std::ops::RangeInclusive<Stored> {
    let slot = |at, id: &str| Some(Stored::Incident { started_at: at, api_id: ApiId::parse(id).ok()? });
    let last = "z".repeat(ApiId::CHARS_MAX);
    match (slot(from, "-"), slot(until, &last)) {
        (Some(first), Some(last)) => first..=last,
        _ => Stored::Month(UtcMonth::of(from))..=Stored::Month(UtcMonth::of(from)), // both are ids
    }
}
