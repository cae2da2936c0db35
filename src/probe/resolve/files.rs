//! The system's files of name lookup, read again when they change. Whoever looks names up looks at them, at most once a
//! second: a watcher would be one more thing that can die.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::{Config, Sources};
use super::hosts::Hosts;
use crate::environment;

/// How often it is looked whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
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

pub(super) struct Files {
    paths: ResolverFiles,
    state: Mutex<Option<State>>,
}

struct State {
    looked: Instant,
    stamps: [Stamp; 3],
    known: Arc<Known>,
}

impl Files {
    pub(super) fn new(paths: ResolverFiles) -> Self {
        Self { paths, state: Mutex::new(None) }
    }

    /// What the files say now, or said up to a second ago.
    pub(super) fn known(&self) -> Arc<Known> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state.as_ref().filter(|state| state.looked.elapsed() < LOOK_EVERY) {
            return Arc::clone(&state.known);
        }
        let paths = &self.paths;
        // Before they are read: what changes meanwhile is seen at the next look.
        let stamps = [&paths.resolv_conf, &paths.hosts, &paths.nsswitch_conf].map(|path| stamp(path));
        let known = match state.take() {
            Some(state) if state.stamps == stamps => state.known,
            _ => Arc::new(self.read()),
        };
        *state = Some(State { looked: Instant::now(), stamps, known: Arc::clone(&known) });
        known
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
        Known {
            config: Config::read(&resolv_conf, self.paths.port, &host_name, search.as_deref(), options.as_deref()),
            hosts: Hosts::read(&text(&self.paths.hosts)),
            sources: Sources::read(&text(&self.paths.nsswitch_conf)),
        }
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

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let paths = ResolverFiles {
            resolv_conf: path("resolv.conf"),
            hosts: path("hosts"),
            nsswitch_conf: path("nsswitch.conf"),
            port: 53,
        };
        let files = Files::new(paths);
        assert!(!files.known().config.names_servers, "there is none yet");
        std::fs::write(path("resolv.conf"), "nameserver 10.0.0.2\n").unwrap();
        assert!(!files.known().config.names_servers, "it was looked a moment ago");
        tokio::time::advance(LOOK_EVERY).await;
        let known = files.known();
        assert_eq!(known.config.servers, ["10.0.0.2:53".parse().unwrap()]);
        tokio::time::advance(LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&known, &files.known()), "what is the same is not read again");
        std::fs::write(path("new"), "10.0.0.1 shop.test\n").unwrap();
        std::fs::rename(path("new"), path("hosts")).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(files.known().hosts.find("shop.test").len(), 1);
        std::fs::remove_file(path("resolv.conf")).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        assert!(!files.known().config.names_servers);
    }

    #[test]
    fn of_a_file_so_much_is_read_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, FILE_BYTES_MAX);
    }
}
