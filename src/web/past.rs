//! What is stored of the past, read for whoever shows it: at most once a minute however many look, and nobody waits long.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_actors::ports::HistoryStore;
pub(crate) use api_health_core::history::Past;
pub(crate) use api_health_core::history::series::{Point, Step};
use api_health_core::history::{HistoryItem, HistorySlot, Note, Series, Story, UtcDay, UtcMonth};
use api_health_core::view::ApiView;
use api_health_core::{ApiId, Status, Timestamp};
use tokio::time::Instant;

use crate::model::{Model, Site};

/// What was read is shown for so long before it is read again.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// The longest that anybody waits for it.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Series that are kept; there is no need to keep more than people look at within a minute.
const SERIES_MAX: usize = 256;

/// Bytes of their items together. Those of an API are some 100 KB after a year, and 17 MB where each is as long as may be.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// After a read that failed none is tried for so long: a page of a hundred APIs would wait a hundred times.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Incidents of one API, or of a month, that are read, and notes of a month: as many as a store gives at once.
const ITEMS_MAX: usize = 1_000;

/// The steps of a history, by the words for them.
pub(crate) const STEPS: [(&str, Step); 3] = [("hour", Step::Hour), ("day", Step::Day), ("month", Step::Month)];

/// Why nothing of the past is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// No history is kept.
    Off,
    /// It cannot be read now, and why.
    Failed(String),
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("no history is kept"),
            Self::Failed(why) => write!(f, "history cannot be read now: {why}"),
        }
    }
}

/// An incident that is over.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    pub(crate) api_id: ApiId,
    pub(crate) story: Story,
}

impl Over {
    pub(crate) fn of(story: &Story) -> Option<Self> {
        let (api_id, _) = story.incident.of_api()?;
        Some(Self { api_id, story: story.clone() })
    }

    pub(crate) fn lasted(&self) -> Duration {
        self.story.ended_at.since(self.story.began_at)
    }
}

/// What is stored of some months.
#[derive(Debug, Default)]
pub(crate) struct Months {
    /// Incidents that began in them and are over, the newest first.
    pub(crate) over: Vec<Over>,
    /// Of incidents that began in them, by their ids, the oldest first.
    notes: HashMap<String, Vec<Note>>,
}

impl Months {
    pub(crate) fn notes_of(&self, incident_id: &str) -> &[Note] {
        self.notes.get(incident_id).map_or(&[], Vec::as_slice)
    }
}

/// What is known of the past of one API, the present included.
pub(crate) async fn of(model: &Model, view: &ApiView, now: Timestamp) -> Result<Past, Untold> {
    let items = model.pasts.items(&model.site, Series::Api(view.api_id.clone()), now).await?;
    let down_since = (view.status == Status::Down).then_some(view.since).flatten();
    let watched_until = view.last_probe.as_ref().map(|probe| probe.at);
    Ok(Past::of(items.iter()).with_present(down_since, watched_until))
}

/// The incidents of an API that are over, the newest first, though it may be watched no longer.
pub(crate) async fn over_of(model: &Model, api_id: &ApiId, now: Timestamp) -> Result<Vec<Over>, Untold> {
    let items = model.pasts.items(&model.site, Series::Api(api_id.clone()), now).await?;
    Ok(over_in(&items))
}

/// What is stored of these months, and of notes.
pub(crate) async fn months(model: &Model, months: &Range<UtcMonth>, now: Timestamp) -> Result<Months, Untold> {
    let (mut read, mut month) = (Months::default(), months.end.plus_months(-1));
    while month >= months.start {
        let items = model.pasts.items(&model.site, Series::Incidents(month), now).await?;
        read.over.extend(over_in(&items));
        for note in Note::all(items.iter()) {
            read.notes.entry(note.incident_id.clone()).or_default().push(note);
        }
        month = month.plus_months(-1);
    }
    Ok(read)
}

fn over_in(items: &[HistoryItem]) -> Vec<Over> {
    let is_incident = |item: &&HistoryItem| matches!(item.slot, HistorySlot::Incident { .. });
    let read = items.iter().filter(is_incident).filter_map(|item| Over::of(&Story::decode(&item.bytes).ok()?));
    let mut over: Vec<Over> = read.collect();
    over.sort_by_key(|over| std::cmp::Reverse(over.story.began_at));
    over
}

/// Items of series that were read within the last minute.
#[derive(Debug, Default)]
pub(crate) struct Pasts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    items: HashMap<Series, (Instant, Arc<Vec<HistoryItem>>)>,
    bytes: usize,
    /// The last read failed then.
    failed: Option<(Instant, String)>,
}

impl Pasts {
    /// What is stored of a series: of an API 62 days of hours, 13 months of days and the incidents of that time; of a month its
    /// incidents and the notes on them.
    pub(crate) async fn items(
        &self,
        site: &Site,
        series: Series,
        now: Timestamp,
    ) -> Result<Arc<Vec<HistoryItem>>, Untold> {
        let history = site.history.as_ref().ok_or(Untold::Off)?;
        let kept = self.lock().get(&series);
        match kept {
            Some(kept) => kept,
            None => {
                let read = within(read(&**history, &series, now)).await;
                self.lock().put(series, read)
            }
        }
        .map_err(Untold::Failed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What was read a short while ago, or why it could not be.
    fn get(&self, series: &Series) -> Option<Result<Arc<Vec<HistoryItem>>, String>> {
        if let Some((_, items)) = self.items.get(series).filter(|(read, _)| read.elapsed() < FRESH_FOR) {
            return Some(Ok(Arc::clone(items)));
        }
        let failed = self.failed.as_ref().filter(|(at, _)| at.elapsed() < TRIED_AGAIN_AFTER);
        failed.map(|(_, why)| Err(why.clone()))
    }

    /// Keeps what was read; the oldest makes room for it.
    fn put(&mut self, series: Series, read: Result<Vec<HistoryItem>, String>) -> Result<Arc<Vec<HistoryItem>>, String> {
        let items = match read {
            Ok(items) => Arc::new(items),
            Err(why) => {
                self.failed = Some((Instant::now(), why.clone()));
                return Err(why);
            }
        };
        self.remove(&series);
        let bytes = bytes(&items);
        while !self.items.is_empty() && (self.items.len() >= SERIES_MAX || self.bytes + bytes > BYTES_MAX) {
            let oldest = self.items.iter().min_by_key(|(_, (read, _))| *read).map(|(series, _)| series.clone());
            oldest.into_iter().for_each(|series| self.remove(&series));
        }
        if bytes <= BYTES_MAX {
            self.bytes += bytes;
            self.items.insert(series, (Instant::now(), Arc::clone(&items)));
        }
        Ok(items)
    }

    fn remove(&mut self, series: &Series) {
        if let Some((_, items)) = self.items.remove(series) {
            self.bytes -= bytes(&items);
        }
    }
}

fn bytes(items: &[HistoryItem]) -> usize {
    items.iter().map(|item| item.bytes.len() + size_of::<HistoryItem>()).sum()
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
            (HistorySlot::Day(today.plus_days(-62))..=HistorySlot::Day(today), 63),
            (HistorySlot::Month(began.month())..=HistorySlot::Month(month), 14),
            (HistorySlot::incidents(began.starts_at(), now), ITEMS_MAX),
        ],
        Series::Incidents(of) => {
            let (from, until) = (of.first_day().starts_at(), of.last_day().ends_at());
            vec![(HistorySlot::incidents(from, until), ITEMS_MAX), (HistorySlot::notes(from, until), ITEMS_MAX)]
        }
    };
    let mut items = Vec::new();
    for (slots, limit) in wanted {
        items.extend(history.read(series.clone(), slots, limit).await.map_err(|error| error.to_string())?);
    }
    Ok(items)
}
