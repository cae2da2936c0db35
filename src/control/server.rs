//! The daemon's side: whoever connects gets one answer to one request. A client that is slow or silent costs a place among
//! [`CONNECTIONS_MAX`] for some seconds, and nobody else anything.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use api_health_actors::supervisor::LOAD_TIMEOUT;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::listening::{SocketFile, listen};
use super::protocol::{self, Answer, Request};
use super::{Daemon, REQUEST_BYTES_MAX, REQUEST_WITHIN, read_line};

/// Connections at once; another one is told so and closed.
const CONNECTIONS_MAX: usize = 8;

/// How long a client may take to read its answer.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take that only looks at what is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// When no connection can be accepted (no file descriptor is left), it is tried again after this.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// The file goes first.
    _file: SocketFile,
    /// Owns the listener and all connections.
    _accepting: JoinSet<()>,
}

impl Server {
    /// Listens at `path`. Call it inside an actix system or a `LocalSet`: what `daemon` answers is made on this thread.
    ///
    /// # Errors
    /// Why it cannot listen, as a sentence about the path.
    pub async fn start(path: &Path, daemon: Rc<dyn Daemon>) -> Result<Self, String> {
        let (listener, file) = listen(path).await?;
        let mut accepting = JoinSet::new();
        accepting.spawn_local(accept_all(listener, daemon));
        Ok(Self { _file: file, _accepting: accepting })
    }
}

/// How long the answer to this may take.
pub(super) const fn answer_within(request: &Request) -> Duration {
    match request {
        // What is being read just now may be older than the wish, so it may be read twice.
        Request::Reload => LOAD_TIMEOUT.saturating_mul(2).saturating_add(ANSWER_WITHIN),
        Request::Who
        | Request::Settings
        | Request::Retry { .. }
        | Request::DropChannel { .. }
        | Request::Maintenance { .. } => ANSWER_WITHIN,
    }
}

async fn accept_all(listener: UnixListener, daemon: Rc<dyn Daemon>) {
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = served.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if served.len() < CONNECTIONS_MAX => {
                    served.spawn_local(serve(stream, Rc::clone(&daemon)));
                }
                Ok((stream, _)) => turn_away(&stream),
                Err(error) => {
                    tracing::debug!(%error, "the control socket cannot accept connections right now");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// A line this short always has room in a new connection.
fn turn_away(stream: &UnixStream) {
    let why = format!("{CONNECTIONS_MAX} others are being answered; try again");
    let _ = stream.try_write(&protocol::write_answer(&Answer::Refused { why })); // if they have gone, they do not care
}

async fn serve(mut stream: UnixStream, daemon: Rc<dyn Daemon>) {
    let answer = match timeout(REQUEST_WITHIN, read_line(&mut stream, REQUEST_BYTES_MAX)).await {
        Ok(Ok(None)) => return, // another process has looked whether somebody listens
        Ok(Ok(Some(line))) => match protocol::read_request(&line) {
            Ok(request) => answer(&*daemon, request).await,
            Err(why) => Answer::Refused { why },
        },
        Ok(Err(error)) => Answer::Refused { why: error.to_string() },
        Err(_) => Answer::Refused { why: format!("no request came within {} s", REQUEST_WITHIN.as_secs()) },
    };
    // Who does not read it has had their time.
    let _ = timeout(READ_WITHIN, stream.write_all(&protocol::write_answer(&answer))).await;
}

async fn answer(daemon: &dyn Daemon, request: Request) -> Answer {
    let within = answer_within(&request);
    match timeout(within, daemon.answer(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => Answer::Refused { why },
        Err(_) => Answer::Refused { why: format!("there is no answer after {} s", within.as_secs()) },
    }
}
