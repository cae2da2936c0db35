//! A socket that listens at a path: it replaces the one of a dead process, takes nothing from a living one, and is removed
//! at the end.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// What the kernel takes as the path of a socket (`sun_path`, less the zero at its end).
const PATH_BYTES_MAX: usize = 107;

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: u32 = 64;

/// How long a process that listens at the path already may take to show it: the kernel alone has to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Two processes that start at once take turns within milliseconds: it is tried so often, in such steps.
const TURNS: u32 = 50;
const TURN_EVERY: Duration = Duration::from_millis(20);

/// A socket's file, removed when this is dropped, which has to be before its listener is.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode. No other file gets that number while the listener is open.
type Identity = (u64, u64);

fn identity(path: &Path) -> std::io::Result<Identity> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever has put another one in its place keeps that.
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path); // the next daemon replaces it
        }
    }
}

/// Listens at `path`, for the user of this process alone.
///
/// # Errors
/// Why not, as a sentence about the path.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, SocketFile), String> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        return Err(format!("the path has {bytes} bytes, and that of a socket may have {PATH_BYTES_MAX}"));
    }
    let _turn = take_turn(path.parent().unwrap_or(Path::new("/"))).await?;
    remove_stale(path).await?;
    let (socket, file) = bind(path).map_err(as_text)?;
    let listener = socket.listen(BACKLOG).map_err(as_text)?;
    Ok((listener, file))
}

fn bind(path: &Path) -> std::io::Result<(UnixSocket, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    // Nobody can connect before it listens, so it is never open to others.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok((socket, file))
}

/// Between finding a stale socket and listening at its place nobody else may do the same. The lock is on the folder, so that
/// no file is left behind.
async fn take_turn(folder: &Path) -> Result<File, String> {
    let folder = File::open(folder).map_err(as_text)?;
    for _ in 0..TURNS {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => tokio::time::sleep(TURN_EVERY).await,
            // A file system without locks: two daemons that start at the same moment are not told apart there.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(folder),
        }
    }
    Err("its folder is locked by another process".into())
}

async fn remove_stale(path: &Path) -> Result<(), String> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(as_text(error)),
        Ok(found) if !found.file_type().is_socket() => return Err("something that is no socket lies there".into()),
        Ok(_) => {}
    }
    match tokio::time::timeout(CONNECT_WITHIN, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(as_text),
        // A full queue is one of somebody who lives.
        Ok(Err(error)) if error.kind() != ErrorKind::WouldBlock => Err(as_text(error)),
        _ => Err("another process listens there".into()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands where an error is turned into a text")]
fn as_text(error: Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn it_is_for_its_user_alone_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        run(async {
            let (listener, file) = listen(&path).await.unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            drop(file);
            drop(listener);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        });
    }

    #[test]
    fn a_living_socket_is_not_taken_and_a_dead_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // as a kill does: the file stays
        run(async {
            let (_listener, _file) = listen(&path).await.unwrap();
            assert_eq!(listen(&path).await.unwrap_err(), "another process listens there");
            UnixStream::connect(&path).await.unwrap();
        });
    }

    #[test]
    fn a_socket_that_somebody_put_in_our_place_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        run(async {
            let (_first, of_first) = listen(&path).await.unwrap();
            std::fs::remove_file(&path).unwrap();
            let (_second, of_second) = listen(&path).await.unwrap();
            drop(of_first);
            assert!(path.exists());
            drop(of_second);
            assert!(!path.exists());
        });
    }

    #[test]
    fn of_those_who_start_at_once_over_a_stale_socket_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        for _ in 0..20 {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let tries: Vec<_> = (0..4)
                .map(|_| {
                    let path = path.clone();
                    std::thread::spawn(move || {
                        run(async { listen(&path).await.map(|(listener, file)| (listener.into_std().unwrap(), file)) })
                    })
                })
                .collect();
            let got: Vec<_> = tries.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(got.iter().filter(|got| got.is_ok()).count(), 1, "{got:?}");
            run(async { UnixStream::connect(&path).await.unwrap() });
        }
    }

    #[test]
    fn what_is_no_socket_is_left_alone_and_what_cannot_be_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        std::fs::write(&path, "mine").unwrap();
        run(async {
            assert_eq!(listen(&path).await.unwrap_err(), "something that is no socket lies there");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
            assert!(listen(&folder.path().join("no/a.sock")).await.unwrap_err().starts_with("No such file"));
        });
    }

    #[test]
    fn a_path_has_so_many_bytes_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let room = PATH_BYTES_MAX - folder.path().as_os_str().len() - 1;
        run(async {
            listen(&folder.path().join("x".repeat(room))).await.unwrap();
            let refused = listen(&folder.path().join("x".repeat(room + 1))).await.unwrap_err();
            assert_eq!(refused, "the path has 108 bytes, and that of a socket may have 107");
        });
    }
}
