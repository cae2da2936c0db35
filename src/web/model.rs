//! What all answers are made from: one snapshot of everything, made at most once a second however many ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::board::{Board, Snapshot};
use api_health_actors::ports::{Clock, HistoryStore};
use api_health_actors::stats::Stats;
use api_health_core::view::{ApiView, Counts};
use api_health_core::{ApiId, Timestamp};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::past::Pasts;

/// A snapshot is used for this long.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What the keeper said longer ago than this is told as old. It is heard of each second.
pub const STALE_AFTER: Duration = Duration::from_secs(30);

/// What the web side is made over.
pub struct Site {
    pub board: Arc<Board>,
    pub stats: Arc<Stats>,
    /// `None`: no history is kept.
    pub history: Option<Arc<dyn HistoryStore>>,
    pub clock: Arc<dyn Clock>,
    /// APIs that other workers watch, as their records say; empty where the store is not shared.
    pub elsewhere: Arc<dyn Elsewhere>,
    pub about: About,
}

/// Which program this is, and how it is shown.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub version: String,
    /// As it stands in alerts: `production`.
    pub environment: String,
    /// What people call the store.
    pub store: String,
    pub instance: String,
    /// The zone in which times are shown, where nobody asks for another one; empty for UTC.
    pub timezone: String,
    /// Where public pages may be framed: `https://www.example.org`.
    pub embed_origins: Vec<String>,
    pub metrics_per_api: MetricsPerApi,
}

/// Which APIs have metrics of their own. Ten thousand of them make some 30 MB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsPerApi {
    #[default]
    All,
    /// Those that are not simply up.
    NotUp,
    None,
}

/// The APIs that are configured and not watched here: other workers watch them, or nobody does.
pub trait Elsewhere: Send + Sync {
    /// Each as its record says, by id. The keeper's own may be among them.
    fn views(&self) -> LocalBoxFuture<'_, Arc<Vec<Arc<ApiView>>>>;
}

/// There is no other worker.
pub struct NoneElsewhere;

impl Elsewhere for NoneElsewhere {
    fn views(&self) -> LocalBoxFuture<'_, Arc<Vec<Arc<ApiView>>>> {
        Box::pin(std::future::ready(Arc::default()))
    }
}

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct Everything {
    /// When it was put together.
    pub now: Timestamp,
    /// What this worker watches.
    pub snapshot: Snapshot,
    /// All APIs, whoever watches them, by id. `ApiView::at` says as of when.
    pub views: Vec<Arc<ApiView>>,
    /// Of all.
    pub counts: Counts,
}

impl Everything {
    /// One API, whoever watches it.
    pub fn get(&self, api_id: &ApiId) -> Option<&Arc<ApiView>> {
        let at = self.views.binary_search_by(|view| view.api_id.cmp(api_id)).ok()?;
        self.views.get(at)
    }

    pub fn is_stale(&self) -> bool {
        self.now.since(self.snapshot.at) > STALE_AFTER
    }
}

/// Requests by the route that answered them and the status of the answer. Both are few: a route is a pattern, and what none answers is one.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<(String, u16), u64>>);

impl Requests {
    pub(crate) fn note(&self, route: Option<String>, status: u16) {
        let route = route.unwrap_or_else(|| "none".into());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((route, status)).or_default() += 1;
    }

    pub(crate) fn all(&self) -> BTreeMap<(String, u16), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The site with its snapshot: what handlers get.
pub struct Model {
    pub site: Site,
    pub(crate) pasts: Pasts,
    pub(crate) requests: Requests,
    /// When this run of the program began to show something: numbers of changes and revisions begin anew with each run.
    pub began_at: Timestamp,
    last: Mutex<Option<(Instant, Arc<Everything>)>>,
}

impl Model {
    pub fn new(site: Site) -> Self {
        Self {
            began_at: site.clock.now(),
            site,
            pasts: Pasts::default(),
            requests: Requests::default(),
            last: Mutex::new(None),
        }
    }

    /// Everything, a second old at most; `None`: the keeper shows nothing, since it is being started.
    ///
    /// This may read records of others from the store, which costs something: what is only about this worker asks [`Board::snapshot`].
    pub async fn everything(&self) -> Option<Arc<Everything>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((made, everything)) = last
            && made.elapsed() < FRESH_FOR
        {
            self.site.board.look();
            return Some(everything);
        }
        let snapshot = self.site.board.snapshot().await?;
        let elsewhere = self.site.elsewhere.views().await;
        let now = self.site.clock.now();
        let mut views = snapshot.views.clone();
        let is_here = |view: &ApiView| snapshot.views.binary_search_by(|here| here.api_id.cmp(&view.api_id)).is_ok();
        views.extend(elsewhere.iter().filter(|view| !is_here(view)).cloned());
        views.sort_by(|a, b| a.api_id.cmp(&b.api_id)); // two runs that are in order: this only merges
        let counts = Counts::of(views.iter().map(AsRef::as_ref), now);
        let everything = Arc::new(Everything { now, snapshot, views, counts });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&everything)));
        Some(everything)
    }
}
