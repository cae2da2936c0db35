//! A command's side: one question, one answer. That nobody listens is an answer as well.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::protocol::{self, Answer, Request, Who};
use super::{ANSWER_BYTES_MAX, place, read_line, server};
use crate::settings::Settings;

/// What the way there and back may take beside the answer itself: the machine may be busy.
const SLACK: Duration = Duration::from_secs(2);

/// A daemon whose queue of connections is full is tried again this often.
const CONNECT_AGAIN: Duration = Duration::from_millis(50);

/// Why there is no answer although somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// The socket is another user's.
    NotOurs,
    /// The daemon says why not.
    Refused(String),
    /// It does not answer within this time: it is stuck, or stopped by a signal.
    Silent(Duration),
    /// The connection broke, or the answer makes no sense, for this reason.
    Broken(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("the daemon is another user's"),
            Self::Refused(why) => write!(f, "the daemon refuses: {why}"),
            Self::Silent(within) => write!(f, "the daemon does not answer within {} s", within.as_secs()),
            Self::Broken(why) => write!(f, "the daemon's answer cannot be read: {why}"),
        }
    }
}

impl std::error::Error for ControlError {}

/// A daemon that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its socket is.
    pub path: PathBuf,
    /// Which it is.
    pub who: Who,
}

/// Asks whoever listens at `path`; `None` if nobody does. It takes no longer than the daemon may take for this request, and
/// two seconds.
///
/// # Errors
/// Somebody listens and there is no answer.
pub async fn ask(path: &Path, request: &Request) -> Result<Option<Answer>, ControlError> {
    let within = server::answer_within(request).saturating_add(SLACK);
    match timeout(within, exchange(path, request)).await {
        Ok(Ok(Some(Answer::Refused { why }))) => Err(ControlError::Refused(why)),
        Ok(answer) => answer,
        Err(_) => Err(ControlError::Silent(within)),
    }
}

/// The daemon on the store of these settings, if one answers in a place where these settings say to look.
///
/// # Errors
/// There is none that answers, and one that does not.
pub async fn find(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Found>, ControlError> {
    let store = place::store(settings, env);
    let mut fault = None;
    for path in place::of_a_command(settings, env) {
        match ask(&path, &Request::Who).await {
            Ok(Some(Answer::Who(who))) if who.store == store => return Ok(Some(Found { path, who })),
            Ok(_) => {} // nobody, or a daemon of another store
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(None), Err)
}

async fn exchange(path: &Path, request: &Request) -> Result<Option<Answer>, ControlError> {
    let broken = |error: io::Error| ControlError::Broken(error.to_string());
    let Some(mut stream) = connect(path).await? else { return Ok(None) };
    // Who turns us away may have closed the connection already, and said why before.
    match stream.write_all(&protocol::write_request(request)).await {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(broken(error)),
        _ => {}
    }
    let line = read_line(&mut stream, ANSWER_BYTES_MAX).await.map_err(broken)?;
    let line = line.ok_or_else(|| ControlError::Broken("it hung up".into()))?;
    protocol::read_answer(&line).map(Some).map_err(ControlError::Broken)
}

/// `None` if nobody listens.
async fn connect(path: &Path) -> Result<Option<UnixStream>, ControlError> {
    loop {
        let error = match UnixStream::connect(path).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) => error,
        };
        match error.kind() {
            // No file, a folder that is no folder, a socket of a dead process, a path that no socket can have.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput => {
                return Ok(None);
            }
            ErrorKind::PermissionDenied => return Err(ControlError::NotOurs),
            ErrorKind::WouldBlock => tokio::time::sleep(CONNECT_AGAIN).await,
            _ => return Err(ControlError::Broken(error.to_string())),
        }
    }
}
