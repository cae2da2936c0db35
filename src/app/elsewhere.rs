//! APIs that are configured and not watched here, for the page: as their records say, read while somebody looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::ports::{Clock, StateStore, StoreError};
use api_health_actors::system::Gauges;
use api_health_core::view::ApiView;
use api_health_core::{ApiConfig, ApiId, ApiState, Heartbeat};
use api_health_web::model::Elsewhere;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::shown::{self, Own};

/// The table is read no more often than this. Reading 1,000 records costs a fiftieth of what probing them for a day does.
const READ_EVERY: Duration = Duration::from_secs(30);

/// But when APIs have changed hands, after this.
const READ_AFTER_CHANGE: Duration = Duration::from_secs(5);

/// A page waits no longer than this for the first reading.
const FIRST_READ_MAX: Duration = Duration::from_secs(2);

/// They, by what is stored of them.
pub(super) struct Records {
    gauges: Gauges,
    /// `None`: nobody shares the store, so what is not watched here is switched off.
    store: Option<Arc<dyn StateStore>>,
    clock: Arc<dyn Clock>,
    last: Arc<Last>,
}

#[derive(Default)]
struct Last {
    inner: Mutex<Inner>,
    is_read: Notify,
}

#[derive(Default)]
struct Inner {
    /// When the last reading began, whatever came of it, and what was not watched here then.
    begun: Option<(Instant, Configs)>,
    /// What it gave, and of which APIs.
    read: Option<(Configs, Views)>,
}

type Configs = Arc<Vec<Arc<ApiConfig>>>;
type Views = Arc<Vec<Arc<ApiView>>>;

impl Records {
    pub(super) fn new(gauges: Gauges, store: Option<Arc<dyn StateStore>>, clock: Arc<dyn Clock>) -> Self {
        Self { gauges, store, clock, last: Arc::default() }
    }

    /// Without records: nothing is known of them.
    fn unread(&self, configs: &[Arc<ApiConfig>]) -> Views {
        Arc::new(views(configs, Vec::new(), None, &*self.clock))
    }

    /// Begins a reading, if it is time for one.
    fn read_again(&self, store: &Arc<dyn StateStore>, configs: Configs) {
        let mut inner = self.last.lock();
        if let Some((at, before)) = &inner.begun {
            let wait = if Arc::ptr_eq(before, &configs) { READ_EVERY } else { READ_AFTER_CHANGE };
            if at.elapsed() < wait {
                return;
            }
        }
        inner.begun = Some((Instant::now(), Arc::clone(&configs)));
        drop(inner);
        let (store, clock, last) = (Arc::clone(store), Arc::clone(&self.clock), Arc::clone(&self.last));
        // Whoever asked may go away; the others want what comes of it.
        actix_rt::spawn(async move {
            match read(&*store).await {
                Ok((states, heartbeat)) => {
                    let read = Arc::new(views(&configs, states, heartbeat.as_ref(), &*clock));
                    last.lock().read = Some((configs, read));
                }
                // What is shown says as of when it is.
                Err(error) => tracing::warn!(%error, "the records of other workers cannot be read for the page"),
            }
            last.is_read.notify_waiters();
        });
    }
}

impl Last {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Elsewhere for Records {
    fn views(&self) -> LocalBoxFuture<'_, Views> {
        Box::pin(async move {
            let configs = self.gauges.not_here();
            let Some(store) = self.store.as_ref().filter(|_| configs.iter().any(|api| api.enabled)) else {
                return self.unread(&configs);
            };
            let is_read = self.last.is_read.notified();
            self.read_again(store, Arc::clone(&configs));
            if self.last.lock().read.is_none() {
                let _ = tokio::time::timeout(FIRST_READ_MAX, is_read).await; // then nothing is known of them yet
            }
            let read = self.last.lock().read.clone();
            match read {
                None => self.unread(&configs),
                Some((of, views)) if Arc::ptr_eq(&of, &configs) => views,
                // Some have changed hands since then.
                Some((_, views)) => {
                    let known = |view: &Arc<ApiView>| {
                        let at = views.binary_search_by(|known| known.api_id.cmp(&view.api_id));
                        at.map_or_else(|_| Arc::clone(view), |at| Arc::clone(&views[at]))
                    };
                    Arc::new(self.unread(&configs).iter().map(known).collect())
                }
            }
        })
    }
}

async fn read(store: &dyn StateStore) -> Result<(Vec<ApiState>, Option<Heartbeat>), StoreError> {
    let states = store.load_all().await?.states;
    let heartbeats: Vec<Heartbeat> = store.read_heartbeats().await?.into_iter().flatten().collect();
    Ok((states, Heartbeat::together(&heartbeats)))
}

fn views(
    configs: &[Arc<ApiConfig>],
    states: Vec<ApiState>,
    heartbeat: Option<&Heartbeat>,
    clock: &dyn Clock,
) -> Vec<Arc<ApiView>> {
    let (own, states) = Own::split(states);
    let states: HashMap<ApiId, ApiState> = states.into_iter().map(|state| (state.api_id.clone(), state)).collect();
    let now = clock.now();
    let view = |config: &Arc<ApiConfig>| {
        let unknown = || ApiState::unknown(config.api_id.clone());
        let state =
            states.get(&config.api_id).map_or_else(|| std::borrow::Cow::Owned(unknown()), std::borrow::Cow::Borrowed);
        Arc::new(shown::view(&state, Some(config), &own, heartbeat, now).0)
    };
    configs.iter().map(view).collect()
}
