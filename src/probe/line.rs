//! A connection for what does not speak HTTP: dialled as a probe is, each address guarded, and encrypted at once or later.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use api_health_core::{Failure, Phase};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::client::Client;
use super::dial::no_roots;
use super::hop::Tls;
use super::request::{Named, server_name};
use super::trace::Trace;
use super::wire::Connection;
use super::{identity, tls};

/// An open connection. It goes by no proxy: those let nothing through but HTTP.
pub struct Line(Connection);

impl Client {
    /// Connects to a place of [`place::parse`](super::place::parse), and with `encrypted` shakes hands for its name.
    ///
    /// # Errors
    /// Why there is no connection by then.
    pub async fn open(&self, place: &Url, encrypted: bool, deadline: Instant) -> Result<Line, Failure> {
        self.look_at_roots().await;
        let trace = Trace::new(Instant::now(), deadline);
        let name = if encrypted { name_of(place) } else { Ok(None) };
        // No protocol is offered: what is spoken here has none in ALPN.
        let dialled = Box::pin(self.dial(place, &name, None, &trace, Tls { shown: None, protocols: Some(&[]) }));
        in_time(&trace, dialled).await.map(Line)
    }

    /// Shakes hands for the name of `place` on a connection that was opened to it.
    ///
    /// # Errors
    /// Why it is not encrypted by then.
    pub async fn encrypt(&self, stream: TcpStream, place: &Url, deadline: Instant) -> Result<Line, Failure> {
        let trace = Trace::new(Instant::now(), deadline);
        trace.enter_phase(Phase::Tls);
        let name = name_of(place).map_err(|failure| *failure)?;
        let name = name.ok_or_else(no_roots)?;
        let config = identity::dressed(&self.roots().ok_or_else(no_roots)?, None, &[]);
        in_time(&trace, tls::handshake(&config, name, stream, &trace)).await.map(|stream| Line(Connection::tls(stream)))
    }
}

impl Line {
    /// The connection below, if it is not encrypted.
    pub fn into_plain(self) -> Option<TcpStream> {
        match self.0 {
            Connection::Plain(stream) => Some(stream),
            Connection::Tls(_) => None,
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()
    }
}

/// Whom a certificate must be for that is shown at `place`.
pub(super) fn name_of(place: &Url) -> Named {
    let mut named = place.clone();
    let _ = named.set_scheme("https"); // from http, which is no other sort of scheme
    server_name(&named)
}

async fn in_time<T>(trace: &Trace, what: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let began = Instant::now();
    let after = |began: Instant| Duration::from_secs(began.elapsed().as_secs_f64().round() as u64);
    match timeout_at(trace.deadline(), what).await {
        Ok(result) => result,
        Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: after(began) }),
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, out)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
