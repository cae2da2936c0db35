//! How a command reaches a daemon on the same machine: through one Unix socket, one line of JSON each way.
//!
//! The daemon listens at a place that follows from its settings, and a command with the same settings looks there
//! ([`place`]). What can be asked and answered is in [`protocol`]; [`client`] asks and [`server`] answers, through
//! whatever implements [`Daemon`]. Only the daemon's own user and root can connect. A daemon that cannot have its socket
//! watches anyway: nothing but these questions depends on it.

use std::io;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt};

pub mod client;
mod listening;
pub mod place;
pub mod protocol;
pub mod server;

use protocol::{Answer, Request};

/// The longest request, its line break included.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The longest answer, its line break included.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a client may take to send its request.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// What answers.
pub trait Daemon {
    /// Does what is asked. An error is one sentence for the person who asked.
    fn answer(&self, request: Request) -> LocalBoxFuture<'_, Result<Answer, String>>;
}

/// Reads one line, without its line break. `None` if the other side ends before it has sent a byte.
async fn read_line(from: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut piece = [0; 8 * 1024];
    loop {
        let count = from.read(&mut piece).await?;
        let piece = &piece[..count];
        let end = piece.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&piece[..end.unwrap_or(count)]);
        if line.len() >= bytes_max {
            return Err(io::Error::other(format!("the line has more than {bytes_max} bytes")));
        }
        match (end, count) {
            (Some(_), _) => return Ok(Some(line)),
            (None, 0) if line.is_empty() => return Ok(None),
            (None, 0) => return Err(io::Error::other("the line has no end")),
            (None, _) => {}
        }
    }
}
