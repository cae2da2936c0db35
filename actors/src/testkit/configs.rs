//! Configs that a test changes while the program runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api_health_core::{ApiConfig, ApiId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::ports::{ConfigSource, LoadedConfigs, RefusedRow, SourceError};

/// The source.
#[derive(Clone)]
pub struct FakeConfigs(Arc<Mutex<Inner>>);

struct Inner {
    apis: Vec<Arc<ApiConfig>>,
    refused: Vec<ApiId>,
    unavailable: bool,
    revision: u64,
}

impl FakeConfigs {
    pub(super) fn new(apis: Vec<ApiConfig>) -> Self {
        let apis = apis.into_iter().map(Arc::new).collect();
        Self(Arc::new(Mutex::new(Inner { apis, refused: vec![], unavailable: false, revision: 1 })))
    }

    /// Replaces all rows.
    pub fn set(&self, apis: Vec<ApiConfig>) {
        let mut inner = self.lock();
        inner.apis = apis.into_iter().map(Arc::new).collect();
        inner.refused.clear();
        inner.revision += 1;
    }

    /// Breaks the row of one API.
    pub fn refuse(&self, id: &str) {
        let mut inner = self.lock();
        inner.apis.retain(|api| api.api_id.as_str() != id);
        if let Ok(api_id) = ApiId::parse(id) {
            inner.refused.push(api_id);
        }
        inner.revision += 1;
    }

    /// Makes the source unreachable, or reachable again.
    pub fn set_unavailable(&self, unavailable: bool) {
        let mut inner = self.lock();
        inner.unavailable = unavailable;
        inner.revision += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigSource for FakeConfigs {
    fn name(&self) -> String {
        "fake".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move {
            let inner = self.lock();
            if inner.unavailable {
                return Err(SourceError::Unavailable("planted".into()));
            }
            let refused =
                inner.refused.iter().map(|id| RefusedRow { api_id: Some(id.clone()), issues: vec![] }).collect();
            Ok(LoadedConfigs { good: inner.apis.clone(), refused })
        }
        .boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async move { Some(self.lock().revision) }.boxed()
    }
}
