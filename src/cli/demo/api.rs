//! The small API that the demo watches: HTTP over a real socket on loopback, on a thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The longest head of a request that is read.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Connections at once.
const CONNECTIONS_MAX: usize = 32;
/// Bound on one connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API, while it runs.
pub(super) struct SmallApi {
    address: SocketAddr,
    inner: Arc<Inner>,
    arbiter: Arbiter,
}

struct Inner {
    healthy: AtomicBool,
    asked: AtomicU64,
}

impl SmallApi {
    /// Starts it, healthy, on a free port of 127.0.0.1.
    pub(super) fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner { healthy: AtomicBool::new(true), asked: AtomicU64::new(0) });
        let arbiter = Arbiter::new();
        let served = Arc::clone(&inner);
        arbiter.spawn(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => serve(&listener, &served).await,
                Err(error) => tracing::error!(%error, "the small API cannot listen"),
            }
        });
        Ok(Self { address, inner, arbiter })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }

    /// Whether it answers 200 from now on, or 503.
    pub(super) fn set_healthy(&self, healthy: bool) {
        self.inner.healthy.store(healthy, Ordering::Relaxed);
    }

    /// Stops it; how often it was asked.
    pub(super) fn stop(self) -> u64 {
        self.arbiter.stop();
        self.inner.asked.load(Ordering::Relaxed)
    }
}

async fn serve(listener: &TcpListener, inner: &Arc<Inner>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inner = Arc::clone(inner);
                actix_rt::spawn(async move {
                    // Whoever asked and went away again needs no answer.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &inner)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the small API cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, inner: &Inner) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    inner.asked.fetch_add(1, Ordering::Relaxed);
    let (status, body) = if inner.healthy.load(Ordering::Relaxed) {
        ("200 OK", r#"{"status":"ok"}"#)
    } else {
        ("503 Service Unavailable", r#"{"status":"out of order"}"#)
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
