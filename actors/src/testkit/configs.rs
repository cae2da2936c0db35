//! Configs that a test changes while the program runs.

use std::sync::{Arc, Mutex};

use api_health_core::{ApiConfig, ApiId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::lock;
use super::stage::{Event, Stage, Step};
use crate::ports::{ConfigSource, LoadedConfigs, RefusedRow, SourceError};

/// How the source fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFault {
    #[default]
    None,
    /// It cannot be reached.
    Unavailable,
    /// It has no rows all at once.
    Empty,
    /// It never answers.
    Hangs,
}

#[derive(Clone)]
pub struct FakeConfigs {
    stage: Stage,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    apis: Vec<Arc<ApiConfig>>,
    refused: Vec<ApiId>,
    fault: SourceFault,
    revision: u64,
    /// Workers share it: it tells no revision by itself, and can be read in part.
    is_shared: bool,
    /// Times that all rows were read, and that some were.
    reads: (usize, usize),
}

impl FakeConfigs {
    pub(super) fn on(stage: Stage, apis: Vec<ApiConfig>) -> Self {
        let apis = apis.into_iter().map(Arc::new).collect();
        let inner =
            Inner { apis, refused: vec![], fault: SourceFault::None, revision: 1, is_shared: false, reads: (0, 0) };
        Self { stage, inner: Arc::new(Mutex::new(inner)) }
    }

    /// The same rows as another process reads them.
    #[must_use]
    pub fn line(&self, stage: Stage) -> Self {
        Self { stage, inner: Arc::clone(&self.inner) }
    }

    /// Replaces all rows.
    pub fn set(&self, apis: Vec<ApiConfig>) {
        self.set_rows(apis.into_iter().map(Arc::new).collect(), vec![]);
    }

    /// Replaces all rows, and says which are broken.
    pub fn set_rows(&self, apis: Vec<Arc<ApiConfig>>, refused: Vec<ApiId>) {
        let mut inner = lock(&self.inner);
        inner.apis = apis;
        inner.refused = refused;
        inner.revision += 1;
    }

    /// It is a table that workers share from now on.
    pub fn share(&self) {
        lock(&self.inner).is_shared = true;
    }

    /// How often all rows were read, and how often some were.
    pub fn reads(&self) -> (usize, usize) {
        lock(&self.inner).reads
    }

    /// Breaks the row of one API.
    pub fn refuse(&self, id: &str) {
        let mut inner = lock(&self.inner);
        inner.apis.retain(|api| api.api_id.as_str() != id);
        if let Ok(api_id) = ApiId::parse(id) {
            inner.refused.push(api_id);
        }
        inner.revision += 1;
    }

    /// Makes the source unreachable, or reachable again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.set_fault(if unavailable { SourceFault::Unavailable } else { SourceFault::None });
    }

    pub fn set_fault(&self, fault: SourceFault) {
        let mut inner = lock(&self.inner);
        inner.fault = fault;
        inner.revision += 1;
    }
}

impl ConfigSource for FakeConfigs {
    fn name(&self) -> String {
        "fake".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move {
            let (fault, apis, refused) = {
                let mut inner = lock(&self.inner);
                inner.reads.0 += 1;
                (inner.fault, inner.apis.clone(), inner.refused.clone())
            };
            self.stage.pass(Step::ConfigsRead).await;
            let (good, refused) = match fault {
                SourceFault::None => (apis, refused),
                SourceFault::Empty => (vec![], vec![]),
                SourceFault::Hangs => std::future::pending().await,
                SourceFault::Unavailable => {
                    self.stage.note(Event::ConfigsRead { rows: None });
                    return Err(SourceError::Unavailable("planted".into()));
                }
            };
            self.stage.note(Event::ConfigsRead { rows: Some((good.clone(), refused.clone())) });
            let refused = refused.into_iter().map(|id| RefusedRow { api_id: Some(id), faults: vec![] }).collect();
            Ok(LoadedConfigs { good, refused, ..LoadedConfigs::default() })
        }
        .boxed()
    }

    fn load_some(&self, ids: Vec<ApiId>) -> BoxFuture<'_, Option<Result<LoadedConfigs, SourceError>>> {
        async move {
            let mut inner = lock(&self.inner);
            if !inner.is_shared || inner.fault != SourceFault::None {
                return None;
            }
            inner.reads.1 += 1;
            let good = inner.apis.iter().filter(|api| ids.contains(&api.api_id)).cloned().collect();
            Some(Ok(LoadedConfigs { good, ..LoadedConfigs::default() }))
        }
        .boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async move {
            if lock(&self.inner).is_shared {
                return None;
            }
            let (fault, revision) = {
                let inner = lock(&self.inner);
                (inner.fault, inner.revision)
            };
            if fault == SourceFault::Hangs {
                std::future::pending::<()>().await;
            }
            Some(revision)
        }
        .boxed()
    }
}
