//! An open connection, plain or TLS: bytes in, bytes out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// An open connection, ready for the request.
pub(in crate::probe) enum Connection {
    Plain(TcpStream),
    Tls(Box<Goodbye>),
}

/// A TLS connection that tells the server when the end is meant.
pub(in crate::probe) struct Goodbye(TlsStream<TcpStream>);

impl Connection {
    pub(in crate::probe) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Goodbye(stream)))
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Tls(stream) => Pin::new(&mut stream.0).poll_read(cx, out),
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let step = match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut stream.0).poll_write(cx, bytes),
        };
        match step {
            Poll::Ready(Ok(0)) if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            step => step,
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut stream.0).poll_flush(cx),
        }
    }

    /// The protocol that was agreed on by ALPN, if TLS is spoken, and if there was one.
    pub(in crate::probe) fn agreed(&self) -> Option<Option<&[u8]>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.0.get_ref().1.alpn_protocol()),
        }
    }

    pub(in crate::probe) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.0.get_ref().0,
        }
    }
}

/// For HTTP/2, which has no layer of ours above it.
impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Self::poll_read(self.get_mut(), cx, out)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(self.get_mut(), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(self.get_mut(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(self.get_mut(), cx) // the goodbye comes when it is dropped
    }
}

/// As far as that goes without waiting. Without it, the server's log may speak of an attack.
impl Drop for Goodbye {
    fn drop(&mut self) {
        let (socket, session) = self.0.get_mut();
        session.send_close_notify();
        while session.wants_write() && session.write_tls(&mut WithoutWaiting(socket)).is_ok_and(|n| n > 0) {}
    }
}

struct WithoutWaiting<'a>(&'a TcpStream);

impl io::Write for WithoutWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
