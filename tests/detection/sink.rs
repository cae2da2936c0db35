//! The webhook that is told: it notes each alert and when it came, and it can be out of reach for a while.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api_health_core::Timestamp;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::gate::Gate;
use crate::http::read_request;
use crate::scorer::Seen;

/// Milliseconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[derive(Default)]
struct Heard {
    alerts: Mutex<Vec<Seen>>,
    more: Condvar,
}

/// The webhook. It listens where the thread was that made it.
pub struct Sink {
    gate: Gate,
    heard: Arc<Heard>,
}

impl Sink {
    pub fn start() -> Self {
        let heard = Arc::new(Heard::default());
        let note = Arc::clone(&heard);
        Self { gate: Gate::open(move |stream| take(stream, Arc::clone(&note))), heard }
    }

    /// Its URL, by a name of its address if there is one.
    pub fn url(&self, name: Option<&str>) -> String {
        format!("http://{}:{}/", name.unwrap_or("127.0.0.1"), self.gate.port)
    }

    /// Refuses connections from now on (true), or takes them again.
    pub fn refuse(&self, on: bool) {
        if on {
            self.gate.refuse();
        } else {
            self.gate.listen();
        }
    }

    /// All alerts, in the order in which they came.
    pub fn alerts(&self) -> Vec<Seen> {
        self.heard.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until an alert came that is meant; whether it did within that time.
    pub fn wait_for(&self, within: Duration, is_meant: impl Fn(&Seen) -> bool) -> bool {
        let deadline = Instant::now() + within;
        let mut alerts = self.heard.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        while !alerts.iter().any(&is_meant) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            alerts = self.heard.more.wait_timeout(alerts, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

async fn take(mut stream: TcpStream, heard: Arc<Heard>) {
    let Some((_, body)) = read_request(&mut stream).await else { return };
    let at = now();
    let alert: Value = serde_json::from_str(&body).expect("an alert is JSON");
    let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
    let seen = Seen {
        about: text("api_id"),
        kind: text("kind"),
        reason: text("reason"),
        alert_id: text("alert_id"),
        happened_at: Timestamp::parse(&text("happened_at")).map_or(0, |time| time.as_millis()),
        at,
    };
    heard.alerts.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    heard.more.notify_all();
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}
