//! The port `ConfigSource`: rows of a store's table, of a file, and of the command line.
//!
//! Files are read and rows are checked on tokio's threads for blocking work: ten thousand rows take long enough to be
//! felt by the probers that share an arbiter.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use api_health_actors::ports::{ConfigSource, LoadedConfigs, SourceError};
use api_health_core::ApiId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::file;
use super::raw::{RawRow, RowTable};
use super::validate::RowRules;
use super::values::Fault;

/// The most rows of one source: ten times what one process is meant for.
pub const ROWS_MAX: usize = 1_000_000;

/// A file that changed less long ago than this is read again to be sure: two writes can fall into one tick of the
/// clock that stamps files.
const FRESH_MILLIS: i64 = 2_000;

/// The rows of a store's table.
pub struct TableSource {
    table: Arc<dyn RowTable>,
    rules: Arc<RowRules>,
}

impl TableSource {
    /// A source over `table`.
    pub fn new(table: Arc<dyn RowTable>, rules: Arc<RowRules>) -> Self {
        Self { table, rules }
    }

    async fn check(&self, rows: Vec<RawRow>) -> Result<LoadedConfigs, SourceError> {
        if rows.len() > ROWS_MAX {
            let what = format!("{} rows", rows.len());
            let why = format!("are more than {ROWS_MAX}");
            let fault = Fault::new(what, why, "them into several tables, each with its own api-health");
            return Err(SourceError::Misconfigured(fault.at(self.name())));
        }
        let rules = Arc::clone(&self.rules);
        off_the_arbiter(move || Ok(rules.check_all(&rows))).await
    }
}

impl ConfigSource for TableSource {
    fn name(&self) -> String {
        self.table.name()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move { self.check(self.table.rows().await?).await }.boxed()
    }

    fn load_again(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async move { self.check(self.table.rows_again().await?).await }.boxed()
    }

    fn load_some(&self, ids: Vec<ApiId>) -> BoxFuture<'_, Option<Result<LoadedConfigs, SourceError>>> {
        async move {
            match self.table.some(ids.iter().map(ToString::to_string).collect()).await? {
                Ok(rows) => Some(self.check(rows).await),
                Err(error) => Some(Err(error)),
            }
        }
        .boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        self.table.revision()
    }
}

/// The rows of a TOML file.
pub struct FileSource {
    path: PathBuf,
    rules: Arc<RowRules>,
    seen: Arc<Mutex<Option<Seen>>>,
}

/// What the file was when its content was hashed last.
#[derive(Clone, Copy)]
struct Seen {
    stamp: Stamp,
    content: u64,
}

/// What tells one state of a file from another without reading it: device, inode, length, both change times.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i64; 7]);

impl FileSource {
    /// A source over the file at `path`.
    pub fn new(path: impl Into<PathBuf>, rules: Arc<RowRules>) -> Self {
        Self { path: path.into(), rules, seen: Arc::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ConfigSource for FileSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        let (path, name, rules) = (self.path.clone(), self.name(), Arc::clone(&self.rules));
        off_the_arbiter(move || Ok(rules.check_all(&file::parse(&name, &file::read_regular(&path)?)?))).boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        let (path, seen) = (self.path.clone(), Arc::clone(&self.seen));
        let now = self.rules.clock.now().as_millis();
        async move {
            let work = tokio::task::spawn_blocking(move || {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let (revision, now_seen) = revision(&path, now, *seen);
                *seen = now_seen;
                revision
            });
            work.await.ok()
        }
        .boxed()
    }
}

/// The hash of the file's content, read only if the file may have changed since `seen`. A file that is not there has
/// a revision of its own, so that it is noticed when it comes.
fn revision(path: &Path, now_millis: i64, seen: Option<Seen>) -> (u64, Option<Seen>) {
    let Ok(meta) = std::fs::metadata(path) else { return (0, None) };
    #[expect(clippy::cast_possible_wrap, reason = "compared for equality alone")]
    let stamp = Stamp([
        meta.dev() as i64,
        meta.ino() as i64,
        meta.size() as i64,
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ]);
    let settled = (now_millis - meta.ctime().saturating_mul(1_000)).saturating_abs() > FRESH_MILLIS + 1_000;
    if let Some(seen) = seen.filter(|seen| settled && seen.stamp == stamp) {
        return (seen.content, Some(seen));
    }
    let mut hasher = DefaultHasher::new();
    file::read_regular(path).ok().hash(&mut hasher);
    let content = hasher.finish();
    // A hash taken while the file was still fresh is taken once more when it has settled.
    let seen = settled.then_some(Seen { stamp, content });
    (content, seen)
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

async fn off_the_arbiter(
    work: impl FnOnce() -> Result<LoadedConfigs, SourceError> + Send + 'static,
) -> Result<LoadedConfigs, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(SourceError::Unavailable("reading the configs was cut short".into())),
    }
}
