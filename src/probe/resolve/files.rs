//! The system's files of name lookup, read again when they change. Whoever looks names up has them looked at, at most once a
//! second: a watcher would be one more thing that can die. That is done on a thread of its own, since a disk that hangs must hold up no
//! thread of probes, and no probe for long.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout_at};

use super::config::{Config, Sources};
use super::hosts::Hosts;
use crate::environment;

/// How often it is looked whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after it began a look is waited for; after that lookups go on with what is known.
pub(super) const LOOK_MAX: Duration = Duration::from_millis(250);
/// How much of one file is read.
pub(super) const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Where the system keeps what it knows of name lookup.
#[derive(Clone, Debug)]
pub struct ResolverFiles {
    pub resolv_conf: PathBuf,
    pub hosts: PathBuf,
    pub nsswitch_conf: PathBuf,
    /// The port of the name servers, which no file can say.
    pub port: u16,
}

impl Default for ResolverFiles {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            nsswitch_conf: "/etc/nsswitch.conf".into(),
            port: 53,
        }
    }
}

/// What the files say.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) config: Config,
    pub(super) hosts: Hosts,
    pub(super) sources: Sources,
}

/// What tells a changed file from the one that was read.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Files {
    paths: Arc<ResolverFiles>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When that was which is known.
    looked: Option<Instant>,
    stamps: [Stamp; 3],
    known: Option<Arc<Known>>,
    /// When the newest look began, and its end.
    look: Option<(Instant, Shared<BoxFuture<'static, ()>>)>,
}

impl Files {
    pub(super) fn new(paths: ResolverFiles) -> Self {
        Self { paths: Arc::new(paths), state: Arc::default() }
    }

    /// What the files say now, or said up to a second ago. While a disk hangs: what they said before; nothing, if they were never read.
    pub(super) async fn known(&self) -> Option<Arc<Known>> {
        let (began, ended) = {
            let mut state = self.state();
            if state.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return state.known.clone();
            }
            match &state.look {
                Some((began, ended)) if ended.peek().is_none() => (*began, ended.clone()),
                _ => {
                    let files = self.clone();
                    let ended = tokio::task::spawn_blocking(move || files.look()).map(drop).boxed().shared();
                    state.look.insert((Instant::now(), ended)).clone()
                }
            }
        };
        let _ = timeout_at(began + LOOK_MAX, ended).await;
        self.state().known.clone()
    }

    fn look(&self) {
        let (looked, paths) = (Instant::now(), &self.paths);
        // Before they are read: what changes meanwhile is seen at the next look.
        let stamps = [&paths.resolv_conf, &paths.hosts, &paths.nsswitch_conf].map(|path| stamp(path));
        let is_known = {
            let state = self.state();
            state.known.is_some() && state.stamps == stamps
        };
        let read = (!is_known).then(|| Arc::new(self.read()));
        let mut state = self.state();
        (state.looked, state.stamps) = (Some(looked), stamps);
        state.known = read.or(state.known.take());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Known {
        let text = |path: &Path| match read(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "a file of name lookup cannot be read");
                }
                String::new()
            }
        };
        let uname = rustix::system::uname();
        let host_name = uname.nodename().to_string_lossy();
        let (search, options) = (environment::get("LOCALDOMAIN"), environment::get("RES_OPTIONS"));
        let resolv_conf = text(&self.paths.resolv_conf);
        let config = Config::read(&resolv_conf, self.paths.port, &host_name, search.as_deref(), options.as_deref());
        let sources = Sources::read(&text(&self.paths.nsswitch_conf), config.asks_resolved());
        Known { config, hosts: Hosts::read(&text(&self.paths.hosts)), sources }
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        let path = |name: &str| folder.join(name);
        Files::new(ResolverFiles {
            resolv_conf: path("resolv.conf"),
            hosts: path("hosts"),
            nsswitch_conf: path("nsswitch.conf"),
            port: 53,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = files(folder.path());
        let known = async || files.known().await.unwrap();
        assert!(!known().await.config.names_servers, "there is none yet");
        std::fs::write(path("resolv.conf"), "nameserver 10.0.0.2\n").unwrap();
        assert!(!known().await.config.names_servers, "it was looked a moment ago");
        tokio::time::advance(LOOK_EVERY).await;
        let read = known().await;
        assert_eq!(read.config.servers, ["10.0.0.2:53".parse().unwrap()]);
        tokio::time::advance(LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&read, &known().await), "what is the same is not read again");
        std::fs::write(path("new"), "10.0.0.1 shop.test\n").unwrap();
        std::fs::rename(path("new"), path("hosts")).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(known().await.hosts.find("shop.test").len(), 1);
        std::fs::remove_file(path("resolv.conf")).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        assert!(!known().await.config.names_servers);
    }

    /// A pipe that nobody writes into hangs whoever opens it.
    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_no_thread_and_no_lookup_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("resolv.conf");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let files = files(folder.path());
        assert!(files.known().await.is_none(), "nothing is known yet");
        let look = files.state().look.clone().unwrap();
        assert!(look.0.elapsed() >= LOOK_MAX && look.1.peek().is_none(), "it hangs still");
        assert!(files.known().await.is_none());
        assert!(files.state().look.as_ref().unwrap().1.ptr_eq(&look.1), "one look at a time");
        std::fs::write(&pipe, "nameserver 10.0.0.2\n").unwrap();
        look.1.await;
        assert_eq!(files.known().await.unwrap().config.servers, ["10.0.0.2:53".parse().unwrap()]);
    }

    #[test]
    fn of_a_file_so_much_is_read_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, FILE_BYTES_MAX);
    }
}
