//! The way from one worker to DynamoDB, byte by byte: it can refuse connections, or fall silent and deliver late.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::gate::Gate;

/// How a line is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Connections are refused, and those that are open are cut.
    Refused,
    /// Connections are taken, and not a byte comes through before it is mended. Then all of them do: what a worker sent and
    /// gave up long ago lands late.
    Silent,
}

/// The line. It ends when this is dropped.
pub(crate) struct Line {
    gate: Gate,
    flows: watch::Sender<bool>,
}

impl Line {
    /// A whole line to a port of loopback.
    pub(crate) fn to(upstream: u16) -> Self {
        let (flows, seen) = watch::channel(true);
        let gate = Gate::open(move |client| {
            let seen = seen.clone();
            async move {
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::join!(pass(from_client, to_server, seen.clone()), pass(from_server, to_client, seen));
            }
        });
        Self { gate, flows }
    }

    /// What a worker takes for DynamoDB.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gate.port)
    }

    /// Breaks it.
    pub(crate) fn cut(&self, how: Break) {
        match how {
            Break::Refused => self.gate.refuse(),
            Break::Silent => drop(self.flows.send_replace(false)),
        }
    }

    /// Mends it.
    pub(crate) fn mend(&self) {
        self.flows.send_replace(true);
        self.gate.listen();
    }
}

/// Hands bytes over while they flow; ends with either side. What was read is handed over even if the sender is gone.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut flows: watch::Receiver<bool>) {
    let mut buffer = [0; 8_192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if flows.wait_for(|flows| *flows).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if flows.wait_for(|flows| *flows).await.is_ok() {
        // What was passed on is answered before the other side sees the end.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = to.shutdown().await;
    }
}
