//! The layer between the connection and awc: it sends our head in place of awc's, reads the answer's head itself, and tells
//! awc in the one way that it reads rightly where the body ends.
//!
//! awc gets a head of ours with nothing in it but the framing: a length, `chunked`, or HTTP/1.0 and no length, which it
//! reads to the end of the connection. What was really on the wire goes into the [`Trace`]. No header of the answer
//! reaches awc, so none can make it panic (a name of 70,000 bytes does), lose a body (`upgrade`) or refuse one (two
//! `host`s).
//!
//! It leans on two things that awc does not document, which is why awc is pinned and the tests compare it with hyper:
//! HTTP/1.0 without a length is read to the end, and `Framed` reads from the connection only while its decoder wants more.
//! By the second, the end of the connection inside a counted body is always a body cut short.

mod connection;
mod head;
mod lenient;

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready};
use api_health_core::{Failure, Method, Phase};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) use self::connection::Connection;
pub(super) use self::head::Headers;
pub(super) use self::head::{Framing, Head};
use self::head::{HEAD_BYTES_MAX, INTERIM_MAX, Parsed};
use super::dial::{internal, local_fault};
use super::plain;
use super::tls::{self, CLIENT_CERTIFICATE, tls_error};
use super::trace::Trace;

/// The connection as awc sees it.
pub(super) struct Wire {
    connection: Connection,
    trace: Rc<Trace>,
    method: Method,
    /// Our request head, and how much of it is sent.
    outgoing: Bytes,
    sent: usize,
    /// awc's own request head went by, and was dropped.
    head_dropped: bool,
    /// Nothing more is sent: the answer came first, or the connection takes no more.
    stop_sending: bool,
    /// The other side tore the connection down while we sent. An answer may still be there to read.
    send_broke: bool,
    /// Bytes of the head so far; then, those of the body that came with it.
    buffer: Vec<u8>,
    /// The head that awc is given in place of it.
    for_awc: Cow<'static, [u8]>,
    /// While in the head: how many bytes it had when it was last parsed. After it: how many awc has taken of `for_awc` and of
    /// `buffer` behind it.
    mark: usize,
    /// Interim responses so far.
    interims: usize,
    /// Bytes of them and of blank lines before a head, which count towards the bound.
    interim_bytes: usize,
    /// Known once the final head is.
    framing: Option<Framing>,
    /// Body bytes that came, framing included.
    body_bytes: u64,
}

impl Wire {
    /// `outgoing` is the head to send. The record must be in [`Phase::FirstByte`].
    pub(super) fn new(connection: Connection, outgoing: Bytes, method: Method, trace: Rc<Trace>) -> Self {
        Self {
            connection,
            trace,
            method,
            outgoing,
            sent: 0,
            head_dropped: false,
            stop_sending: false,
            send_broke: false,
            buffer: Vec::new(),
            for_awc: Cow::Borrowed(b""),
            mark: 0,
            interims: 0,
            interim_bytes: 0,
            framing: None,
            body_bytes: 0,
        }
    }

    /// Writes the failure down, and makes the error that awc gets for it.
    fn fail(&self, failure: Failure) -> io::Error {
        self.trace.fail(failure);
        io::Error::other("see the record")
    }

    fn fail_http(&self, detail: String) -> io::Error {
        self.fail(Failure::NotHttp { detail })
    }

    /// Reads from the connection; nothing, at its end. rustls makes an error of an end without a close_notify: then what was promised
    /// decides, as without TLS.
    fn poll_connection(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(self.connection.poll_read(cx, out)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && tls_error(&error).is_none() => {
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.read_failed(&error))),
            Ok(()) => Poll::Ready(Ok(())),
        }
    }

    /// Reads until the final head is there. `space` is only borrowed to read into, and is left as it was.
    fn poll_head(&mut self, cx: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<Framing>> {
        loop {
            if let Some(framing) = self.framing {
                return Poll::Ready(Ok(framing));
            }
            let start = space.filled().len();
            ready!(self.poll_connection(cx, space))?;
            let new = &space.filled()[start..];
            if new.is_empty() {
                return Poll::Ready(Err(self.ended_in_head()));
            }
            if self.trace.phase() == Phase::FirstByte {
                self.trace.enter_phase(Phase::Body);
            }
            self.buffer.extend_from_slice(new);
            let new = new.len();
            space.set_filled(start);
            self.drop_blank_lines();
            self.advance(new)?;
        }
    }

    /// Lines before a head are none of it (RFC 9112, 2.2), and need not be looked at again and again.
    fn drop_blank_lines(&mut self) {
        let length = head::blank_lines(&self.buffer);
        self.buffer.drain(..length);
        self.interim_bytes += length;
    }

    /// Looks at what came, if a blank line may be in it, or if it doubled since the last look: so that a head that comes
    /// byte by byte costs no more than linear time, and what is no HTTP is told early.
    fn advance(&mut self, new: usize) -> io::Result<()> {
        let unseen = self.buffer.len().saturating_sub(new + 3);
        let has_blank_line =
            |bytes: &[u8]| bytes.windows(2).any(|w| w == b"\n\n") || bytes.windows(3).any(|w| w == b"\n\r\n");
        if self.buffer.len() >= 2 * self.mark || has_blank_line(&self.buffer[unseen..]) {
            self.parse()?;
        }
        if self.framing.is_none() && self.interim_bytes + self.buffer.len() > HEAD_BYTES_MAX {
            return Err(self.fail_http(format!("its head is longer than {HEAD_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn parse(&mut self) -> io::Result<()> {
        loop {
            match head::parse(&mut self.buffer, self.method).map_err(|detail| self.fail_http(detail))? {
                Parsed::Partial => {
                    self.mark = self.buffer.len();
                    return Ok(());
                }
                Parsed::Interim(length) => {
                    if self.interims == INTERIM_MAX {
                        return Err(self.fail_http(format!("more than {INTERIM_MAX} interim responses")));
                    }
                    self.interims += 1;
                    self.interim_bytes += length;
                    self.buffer.drain(..length);
                    if self.buffer.is_empty() {
                        self.mark = 0;
                        return Ok(());
                    }
                }
                Parsed::Final(head) => {
                    self.framing = Some(head.framing);
                    self.body_bytes = self.buffer.len() as u64;
                    self.for_awc = for_awc(head.framing);
                    self.mark = 0;
                    self.trace.set_head(head);
                    return Ok(());
                }
            }
        }
    }

    /// The other side closed the connection (or half of it) where a head was still to come.
    fn ended_in_head(&self) -> io::Error {
        if let Some(failure) = self.sent_away() {
            return self.fail(failure);
        }
        if self.send_broke {
            return self.fail(Failure::Reset { phase: self.trace.phase() });
        }
        self.fail(Failure::Closed { phase: self.trace.phase() })
    }

    /// A server that asked for a client certificate and ended the connection without a word.
    fn sent_away(&self) -> Option<Failure> {
        let is_silent = self.trace.phase() == Phase::FirstByte && self.trace.wants_client_certificate();
        is_silent.then(|| Failure::Tls { detail: CLIENT_CERTIFICATE.into() })
    }

    /// The other side closed the connection where body may still have been to come. A body that ends with the connection is
    /// whole by that: nothing says how long it is, and many servers close without the goodbye of TLS.
    fn ended_in_body(&self, framing: Framing) -> io::Result<()> {
        match framing {
            Framing::UntilClose => Ok(()),
            Framing::Length(expected) => {
                Err(self.fail(Failure::BodyCutShort { received: self.body_bytes, expected: Some(expected) }))
            }
            _ => Err(self.fail(Failure::BodyCutShort { received: self.body_bytes, expected: None })),
        }
    }

    fn read_failed(&self, error: &io::Error) -> io::Error {
        let phase = self.trace.phase();
        if let Some(tls) = tls_error(error) {
            return self.fail(match phase {
                Phase::Body => Failure::NotHttp { detail: format!("its TLS broke: {}", tls::words(tls, &self.trace)) },
                _ => Failure::Tls { detail: tls::words(tls, &self.trace) }, // TLS 1.3: a server may refuse us after our handshake
            });
        }
        if let Some(fault) = local_fault(error) {
            return self.fail(Failure::Local(fault));
        }
        let failure = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                self.sent_away().unwrap_or(Failure::Reset { phase })
            }
            io::ErrorKind::TimedOut => Failure::TimedOut { phase, after: self.trace.in_phase() },
            io::ErrorKind::HostUnreachable if let Some(address) = self.trace.address() => {
                Failure::HostUnreachable { address }
            }
            _ => internal(format!("reading the answer: {}", plain::of_system(error))),
        };
        self.fail(failure)
    }

    /// Sends what is left of our head.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            self.sent += ready!(self.connection.poll_write(cx, &self.outgoing[self.sent..]))?;
        }
        Poll::Ready(Ok(()))
    }

    /// What to do when a write or flush of the connection came to nothing. An answer may be there before the request is
    /// through, such as a 413: then the rest of the request is dropped. If the connection broke, what can still be read
    /// decides.
    fn sending<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>, skipped: T) -> Poll<io::Result<T>> {
        match step {
            Poll::Ready(Ok(done)) => return Poll::Ready(Ok(done)),
            Poll::Ready(Err(_)) => {
                self.send_broke = true;
                self.stop_sending = true;
            }
            Poll::Pending => {
                let mut space = [0; 1024];
                match self.poll_head(cx, &mut ReadBuf::new(&mut space)) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(_) => self.stop_sending = true, // an error is in the record, and reading gives it again
                }
            }
        }
        Poll::Ready(Ok(skipped))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.trace.has_failed() {
            return Poll::Ready(Err(io::Error::other("see the record")));
        }
        let framing = ready!(this.poll_head(cx, out))?;
        if this.mark < this.for_awc.len() + this.buffer.len() {
            for (piece, begins) in [(&*this.for_awc, 0), (&this.buffer, this.for_awc.len())] {
                let left = piece.get(this.mark.saturating_sub(begins)..).unwrap_or_default();
                let left = &left[..left.len().min(out.remaining())];
                out.put_slice(left);
                this.mark += left.len();
            }
            return Poll::Ready(Ok(()));
        }
        let start = out.filled().len();
        ready!(this.poll_connection(cx, out))?;
        let new = out.filled().len() - start;
        this.body_bytes += new as u64;
        Poll::Ready(if new == 0 { this.ended_in_body(framing) } else { Ok(()) })
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.head_dropped {
            // awc encodes its whole head before it writes any of it.
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
                return Poll::Ready(Err(this.fail(internal("awc did not write its head in one piece".into()))));
            };
            this.head_dropped = true;
            return Poll::Ready(Ok(end + 4));
        }
        if !this.stop_sending {
            let step = match this.poll_outgoing(cx) {
                Poll::Ready(Ok(())) => this.connection.poll_write(cx, bytes),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            };
            return this.sending(cx, step, bytes.len());
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.stop_sending {
            return Poll::Ready(Ok(()));
        }
        let step = match this.poll_outgoing(cx) {
            Poll::Ready(Ok(())) => this.connection.poll_flush(cx),
            unfinished => unfinished,
        };
        this.sending(cx, step, ())
    }

    /// The connection is closed by dropping it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The head that tells awc, in the one way that it reads rightly, where the body ends.
fn for_awc(framing: Framing) -> Cow<'static, [u8]> {
    match framing {
        Framing::None => Cow::Borrowed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        Framing::Length(n) => Cow::Owned(format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n").into_bytes()),
        Framing::Chunked => Cow::Borrowed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        Framing::UntilClose => Cow::Borrowed(b"HTTP/1.0 200 OK\r\n\r\n"),
    }
}

/// awc's connector asks for these; nothing that we use calls them.
impl ActixStream for Wire {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.connection.socket().poll_read_ready(cx).map_ok(|()| Ready::READABLE)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.connection.socket().poll_write_ready(cx).map_ok(|()| Ready::WRITABLE)
    }
}

/// Also asked for by awc's connector. What is sent may hold secrets: it is not shown.
impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("framing", &self.framing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn blank_lines_before_a_head_are_counted_and_not_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let trace = Rc::new(Trace::new(Instant::now(), Instant::now() + Duration::from_secs(60)));
        trace.begin(Phase::FirstByte);
        let mut wire = Wire::new(Connection::Plain(stream), Bytes::new(), Method::Get, trace);
        server.write_all(&b"\n\r\n".repeat(1_000)).await.unwrap();
        let mut space = [0; 64];
        poll_fn(|cx| match wire.poll_head(cx, &mut ReadBuf::new(&mut space)) {
            Poll::Pending if wire.interim_bytes + wire.buffer.len() == 3_000 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
            Poll::Ready(ended) => panic!("{ended:?}"),
        })
        .await;
        assert!(wire.buffer.is_empty(), "{} bytes would be looked at again", wire.buffer.len());
    }
}
