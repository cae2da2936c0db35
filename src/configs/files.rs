//! The port `ConfigSource` over TOML files: one, several, or all of a folder, read as one source.
//!
//! They are read on one of tokio's threads for blocking work, and by one reader at a time: a disk that hangs costs one thread,
//! however often it is looked at. A file with a fault affects no other: it counts as a row whose id cannot be read, so that its
//! rows run on, and those of the others are taken.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api_health_actors::ports::{ConfigSource, LoadedConfigs, RefusedRow, SourceError};
use api_health_core::roster::BELIEVED_AFTER;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::checker::Checker;
use super::file;
use super::raw::RawRow;
use super::validate::RowRules;
use super::values::ValueFault;

/// The most files of one folder.
pub const FILES_MAX: usize = 10_000;

/// A file that changed less long ago than this is read again to be sure: two writes can fall into one tick of the
/// clock that stamps files, and clocks differ a little.
const FRESH_MILLIS: i64 = 3_000;

/// What failed for a reason that may pass is read again this often.
const AGAIN_MILLIS: i64 = 10_000;

/// The rows of TOML files.
pub struct FileSource {
    paths: Vec<PathBuf>,
    rules: Arc<RowRules>,
    /// Locked by whoever reads.
    seen: Arc<tokio::sync::Mutex<Seen>>,
}

/// What was seen of the files so far.
#[derive(Default)]
struct Seen {
    /// The hash of the content of each file that was not changed lately.
    contents: HashMap<PathBuf, (Stamp, u64)>,
    /// How much each file had when it was whole, for all that is known.
    whole: HashMap<PathBuf, Amount>,
    /// How many rows each folder had when it had any.
    folders: HashMap<PathBuf, usize>,
    /// Files that rows take secrets from.
    secrets: BTreeSet<PathBuf>,
    /// A reading failed in a way that may pass.
    is_to_be_tried_again: bool,
}

/// How much there is in a file.
#[derive(Clone, Copy, Default)]
struct Amount {
    rows: usize,
    bytes: usize,
}

impl Amount {
    /// Less than that: somebody may be writing it, or it was cut.
    fn is_less(self, whole: Self) -> bool {
        self.rows < whole.rows || self.bytes < whole.bytes
    }
}

/// What tells one state of a file from another without reading it: device, inode, length, both change times.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp([i64; 7]);

impl Stamp {
    /// `None`: it is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        #[expect(clippy::cast_possible_wrap, reason = "compared for equality alone")]
        let (device, inode, length) = (meta.dev() as i64, meta.ino() as i64, meta.size() as i64);
        Some(Self([device, inode, length, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]))
    }

    /// Whether it changed within `millis` before or after `now`.
    fn is_within(self, millis: i64, now_millis: i64) -> bool {
        (now_millis - self.0[5].saturating_mul(1_000)).saturating_abs() <= millis
    }
}

impl FileSource {
    /// A source over the file or the folder at `path`.
    pub fn new(path: impl Into<PathBuf>, rules: Arc<RowRules>) -> Self {
        Self::of(vec![path.into()], rules)
    }

    /// A source over several of them.
    pub fn of(paths: Vec<PathBuf>, rules: Arc<RowRules>) -> Self {
        Self { paths, rules, seen: Arc::default() }
    }

    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[PathBuf], &RowRules, &mut Seen) -> T + Send + 'static,
    ) -> Result<T, SourceError> {
        let mut seen = Arc::clone(&self.seen).lock_owned().await;
        let (paths, rules) = (self.paths.clone(), Arc::clone(&self.rules));
        let work = tokio::task::spawn_blocking(move || work(&paths, &rules, &mut seen));
        work.await.map_err(|_| SourceError::Unavailable("reading the configs was cut short".into()))
    }
}

impl ConfigSource for FileSource {
    fn name(&self) -> String {
        name_of(&self.paths)
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async { self.alone(load).await? }.boxed()
    }

    fn may_be_partial(&self) -> bool {
        true
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { self.alone(revision).await.ok() }.boxed()
    }
}

/// What people call them together.
pub fn name_of(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The files that are meant, each once: a folder stands for the `*.toml` in it, in the order of their names, without those that
/// begin with a dot.
pub fn files_of(paths: &[PathBuf]) -> Vec<Result<PathBuf, SourceError>> {
    let mut known = BTreeSet::new();
    let all = paths.iter().flat_map(|path| if path.is_dir() { in_folder(path) } else { vec![Ok(path.clone())] });
    all.filter(|file| file.as_ref().map_or(true, |path| known.insert(path.clone()))).collect()
}

fn in_folder(folder: &Path) -> Vec<Result<PathBuf, SourceError>> {
    let refuse = |why: String, remedy: &str| {
        vec![Err(SourceError::Misconfigured(
            ValueFault::new("the folder", why, remedy).at(folder.display().to_string()),
        ))]
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return refuse(format!("cannot be read: {error}"), "it readable (chmod, chown), or another path"),
    };
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".toml") && !name.starts_with('.')
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_meant).take(FILES_MAX + 1).collect();
    if files.len() > FILES_MAX {
        return refuse(format!("has more than {FILES_MAX} files"), "fewer and longer ones");
    }
    files.sort_unstable();
    files.into_iter().map(Ok).collect()
}

/// The rows of all files as they were written, for whoever shows them, and the files that cannot be read.
pub fn rows_of(paths: &[PathBuf]) -> (Vec<RawRow>, Vec<SourceError>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for file in files_of(paths) {
        let read = |path: PathBuf| file::parse(&path.display().to_string(), &file::read_text(&path)?);
        match file.and_then(read) {
            Ok(of_file) => rows.extend(of_file),
            Err(error) => faults.push(error),
        }
    }
    (rows, faults)
}

fn load(paths: &[PathBuf], rules: &RowRules, seen: &mut Seen) -> Result<LoadedConfigs, SourceError> {
    let mut checker = Checker::new(rules);
    let (mut faults, mut cut) = (Vec::new(), Vec::new());
    let (mut read, mut rows_in, mut has_faults) = (HashMap::new(), HashMap::new(), BTreeSet::new());
    let files = files_of(paths);
    let is_one = files.len() == 1;
    for file in files {
        let before = checker.len();
        let path = match file {
            Ok(path) => path,
            Err(error) => {
                faults.push(error);
                continue;
            }
        };
        match load_one(&path, &mut checker) {
            Ok(bytes) => {
                let whole = seen.whole.get(&path).copied().unwrap_or_default();
                let has = Amount { rows: checker.len() - before, bytes };
                // Where it is the only one, this is seen by whoever compares all rows.
                if has.rows == 0 && whole.rows > 1 && !is_one {
                    let remedy = "its rows again, or remove the file if they are to be watched no longer";
                    faults.push(empty_all_at_once("the file", &path, remedy));
                } else if has.rows > 0 && has.is_less(whole) {
                    cut.extend(checker.last());
                }
                *rows_in.entry(path.parent().map(Path::to_owned)).or_insert(0) += has.rows;
                read.insert(path, has);
            }
            Err(error) => {
                checker.truncate(before);
                faults.push(error);
                has_faults.extend(path.parent().map(Path::to_owned));
            }
        }
    }
    file::not_too_many(&name_of(paths), checker.len())?;
    let folders: Vec<&PathBuf> = paths.iter().filter(|path| path.is_dir()).collect();
    for folder in folders.iter().copied().filter(|folder| folder.read_dir().is_ok() && !has_faults.contains(*folder)) {
        let rows = rows_in.get(&Some(folder.clone())).copied().unwrap_or_default();
        let had = seen.folders.get(folder).copied().unwrap_or_default();
        if rows > 0 {
            seen.folders.insert(folder.clone(), rows);
        } else if had > 1 && paths.len() > 1 {
            let remedy =
                "its files again; if they are to be watched no longer, take it out of file below [apis] and restart";
            faults.push(empty_all_at_once("the folder", folder, remedy));
        }
    }
    seen.is_to_be_tried_again = faults.iter().any(|fault| matches!(fault, SourceError::Unavailable(_)));
    if read.is_empty()
        && let Some(fault) = faults.pop()
    {
        return Err(fault);
    }
    let (now, fresh) = (rules.clock.now().as_millis(), i64::try_from(BELIEVED_AFTER.as_millis()).unwrap_or(i64::MAX));
    let is_fresh = |path: &PathBuf| Stamp::of(path).is_some_and(|stamp| stamp.is_within(fresh, now));
    // Of a file that cannot be read now it is remembered that it had rows.
    seen.whole.retain(|path, _| path.exists());
    for (path, has) in read {
        // What is less now is all of it when nobody has written it for long. That it has nothing is seen by that it had rows.
        let whole = seen.whole.get(&path).copied().unwrap_or_default();
        if !has.is_less(whole) || has.rows > 0 && !is_fresh(&path) {
            seen.whole.insert(path, has);
        }
    }
    let is_any_fresh = seen.whole.keys().chain(folders).any(is_fresh);
    let (mut loaded, secrets) = checker.finish();
    seen.secrets = secrets;
    (loaded.partial_rows, loaded.is_fresh) = (cut, is_any_fresh);
    loaded.refused.extend(faults.into_iter().map(|fault| {
        let fault = match fault {
            SourceError::Misconfigured(fault) => fault,
            SourceError::Unavailable(why) => {
                ValueFault::new(why, "may pass", "nothing: it is read again").at(name_of(paths))
            }
        };
        RefusedRow { api_id: None, faults: vec![fault] }
    }));
    Ok(loaded)
}

fn empty_all_at_once(what: &str, path: &Path, remedy: &str) -> SourceError {
    let fault = ValueFault::new(what, "is empty all at once; its last good rows run on", remedy);
    SourceError::Misconfigured(fault.at(path.display().to_string()))
}

/// Returns how many bytes it has.
fn load_one(path: &Path, checker: &mut Checker<'_>) -> Result<usize, SourceError> {
    let (name, text) = (path.display().to_string(), file::read_regular(path)?);
    let before = checker.len();
    if !file::stream(&name, &text, |row| checker.push(&row)) {
        checker.truncate(before);
        file::parse(&name, &text)?.iter().for_each(|row| checker.push(row));
    }
    Ok(text.len())
}

/// A number for all that the rows are made of. A file is read only if it may have changed. One that is not there has a number of
/// its own, so that it is noticed when it comes.
fn revision(paths: &[PathBuf], rules: &RowRules, seen: &mut Seen) -> u64 {
    let now = rules.clock.now().as_millis();
    let before = std::mem::take(&mut seen.contents);
    let mut hasher = DefaultHasher::new();
    for file in files_of(paths) {
        match file {
            Ok(path) => content(path, &before, &mut seen.contents, now).hash(&mut hasher),
            Err(error) => error.to_string().hash(&mut hasher),
        }
    }
    stamps_of(&seen.secrets).hash(&mut hasher);
    if seen.is_to_be_tried_again {
        (now / AGAIN_MILLIS).hash(&mut hasher);
    }
    hasher.finish()
}

/// The stamps of files that rows take secrets from.
pub(super) fn stamps_of(secrets: &BTreeSet<PathBuf>) -> Vec<Option<Stamp>> {
    secrets.iter().map(|path| Stamp::of(path)).collect()
}

fn content(
    path: PathBuf,
    before: &HashMap<PathBuf, (Stamp, u64)>,
    stable: &mut HashMap<PathBuf, (Stamp, u64)>,
    now: i64,
) -> (PathBuf, Option<u64>) {
    let Some(stamp) = Stamp::of(&path) else { return (path, None) };
    let is_stable = !stamp.is_within(FRESH_MILLIS, now);
    let content = match before.get(&path) {
        Some((known, content)) if is_stable && *known == stamp => *content,
        _ => {
            let mut hasher = DefaultHasher::new();
            file::read_regular(&path).ok().hash(&mut hasher);
            hasher.finish()
        }
    };
    // A hash taken while the file was still fresh is taken once more when it is stable.
    if is_stable {
        stable.insert(path.clone(), (stamp, content));
    }
    (path, Some(content))
}
