//! The port `ConfigSource`: rows of a store's table, and of the command line. Those of files are in [`files`](super::files).
//!
//! Rows are checked on tokio's threads for blocking work: ten thousand rows take long enough to be
//! felt by the probers that share a thread.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use api_health_actors::ports::{ConfigSource, LoadedConfigs, SourceError};
use api_health_core::ApiId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinError;

use super::checker::Checker;
use super::files::stamps_of;
use super::raw::{RawRow, RowTable};
use super::validate::RowRules;
use super::values::ValueFault;

pub use super::files::FileSource;

/// The most rows of one source: ten times what one process is meant for.
pub const ROWS_MAX: usize = 1_000_000;

/// The rows of a store's table.
pub struct TableSource {
    table: Arc<dyn RowTable>,
    rules: Arc<RowRules>,
    /// The files that rows take secrets from. Locked by whoever checks rows: a secret on a disk that hangs costs one thread.
    secrets: Arc<tokio::sync::Mutex<BTreeSet<PathBuf>>>,
}

impl TableSource {
    /// A source over `table`.
    pub fn new(table: Arc<dyn RowTable>, rules: Arc<RowRules>) -> Self {
        Self { table, rules, secrets: Arc::default() }
    }

    /// Checks rows, some or all of them.
    async fn check(&self, rows: Vec<RawRow>, are_all: bool) -> Result<LoadedConfigs, SourceError> {
        if rows.len() > ROWS_MAX {
            let what = format!("{} rows", rows.len());
            let why = format!("are more than {ROWS_MAX}");
            let fault = ValueFault::new(what, why, "them into several tables, each with its own api-health");
            return Err(SourceError::Misconfigured(fault.at(self.name())));
        }
        let mut secrets = Arc::clone(&self.secrets).lock_owned().await;
        let rules = Arc::clone(&self.rules);
        let checking = tokio::task::spawn_blocking(move || {
            let mut checker = Checker::new(&rules);
            rows.into_iter().for_each(|row| checker.push(&row)); // each is gone when it was checked
            let (loaded, asked) = checker.finish();
            if are_all {
                secrets.clear();
            }
            secrets.extend(asked);
            loaded
        });
        let cut = |_: JoinError| SourceError::Unavailable("checking the rows was cut short".into());
        checking.await.map_err(cut)
    }

    /// The revision of the rows, and of the files that they take secrets from.
    async fn with_secrets(&self, rows: u64) -> Option<u64> {
        let secrets = Arc::clone(&self.secrets).lock_owned().await;
        if secrets.is_empty() {
            return Some(rows);
        }
        let stamps = tokio::task::spawn_blocking(move || stamps_of(&secrets)).await.ok()?;
        let mut hasher = DefaultHasher::new();
        (rows, stamps).hash(&mut hasher);
        Some(hasher.finish())
    }
}

impl ConfigSource for TableSource {
    fn name(&self) -> String {
        self.table.name()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move { self.check(self.table.rows().await?, true).await }.boxed()
    }

    fn load_relaxed(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move { self.check(self.table.rows_again().await?, true).await }.boxed()
    }

    fn load_some(&self, ids: Vec<ApiId>) -> BoxFuture<'_, Option<Result<LoadedConfigs, SourceError>>> {
        async move {
            match self.table.some(ids.iter().map(ToString::to_string).collect()).await? {
                Ok(rows) => Some(self.check(rows, false).await),
                Err(error) => Some(Err(error)),
            }
        }
        .boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async move { self.with_secrets(self.table.revision().await?).await }.boxed()
    }
}

/// URLs of the command line, watched with the defaults.
pub struct UrlSource {
    urls: Vec<String>,
    rules: Arc<RowRules>,
}

impl UrlSource {
    /// A source over URLs. One without a scheme is read as https.
    pub fn new(urls: Vec<String>, rules: Arc<RowRules>) -> Self {
        Self { urls, rules }
    }
}

impl ConfigSource for UrlSource {
    fn name(&self) -> String {
        "command line".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        let loaded = self.rules.check_all(&super::urls::rows(&self.urls));
        std::future::ready(Ok(loaded)).boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        std::future::ready(Some(0)).boxed() // it never changes
    }
}
