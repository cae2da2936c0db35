//! An HTTP server that a test bends to its will: the API that is watched, and the webhook that is told.
//!
//! Each path answers for itself, as [`Server::set`] says, so that one server plays hundreds of APIs. Every request is
//! counted, and the newest are kept. The port can refuse for a while, and come back as the same port.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gate::Gate;

/// What a path does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status and a body of two bytes.
    Status(u16),
    /// Status 200 after so long.
    Slow(Duration),
    /// Status 429 with this `retry-after`.
    Busy(String),
    /// Status 302 to that URL.
    Redirect(String),
    /// Takes the request, says nothing, and keeps the connection.
    Hang,
    /// Takes the request and closes without a word.
    Close,
    /// Takes the request and resets the connection.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its last byte was there.
    pub at: SystemTime,
    /// The first line and the header lines.
    pub head: String,
    /// What follows them.
    pub body: String,
    /// The status that it was answered with; 0 for none.
    pub answered: u16,
}

impl Request {
    /// The value of a header, its name in either case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The requests of one path that are kept.
const KEPT_MAX: usize = 1_000;

#[derive(Default)]
struct Path {
    answer: Option<Answer>,
    /// What one request is answered with, before `answer` counts again.
    once: Option<Answer>,
    hits: usize,
    requests: VecDeque<Request>,
}

#[derive(Default)]
struct Shared {
    paths: Mutex<HashMap<String, Path>>,
}

impl Shared {
    fn path<T>(&self, path: &str, what: impl FnOnce(&mut Path) -> T) -> T {
        what(self.paths.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default())
    }
}

/// The server. It ends when it is dropped.
pub struct Server {
    /// Its port on 127.0.0.1, the same for its whole life.
    pub port: u16,
    shared: Arc<Shared>,
    gate: Gate,
}

impl Server {
    /// A server that answers every path with status 200.
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let world = Arc::clone(&shared);
        let gate = Gate::open(move |stream| answer(stream, Arc::clone(&world)));
        Self { port: gate.port, shared, gate }
    }

    /// The URL of a path; the path begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Has `path` answer so from now on; gives the moment.
    #[allow(clippy::disallowed_methods, reason = "the test's own clock")]
    pub fn set(&self, path: &str, answer: Answer) -> SystemTime {
        self.shared.path(path, |p| p.answer = Some(answer));
        SystemTime::now()
    }

    /// Has `path` answer one request so, and all later ones as before; gives the moment.
    #[allow(clippy::disallowed_methods, reason = "the test's own clock")]
    pub fn once(&self, path: &str, answer: Answer) -> SystemTime {
        self.shared.path(path, |p| p.once = Some(answer));
        SystemTime::now()
    }

    /// How many requests the path got.
    pub fn hits(&self, path: &str) -> usize {
        self.shared.path(path, |p| p.hits)
    }

    /// The newest requests of the path, oldest first.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.shared.path(path, |p| p.requests.iter().cloned().collect())
    }

    /// Takes the requests of the path that came since this was asked last, oldest first.
    pub fn take_requests(&self, path: &str) -> Vec<Request> {
        self.shared.path(path, |p| p.requests.drain(..).collect())
    }

    /// Refuses connections from now on, and cuts those that are open.
    pub fn refuse(&self) {
        self.gate.refuse();
    }

    /// Listens again, on the same port, if it does not.
    pub fn listen(&self) {
        self.gate.listen();
    }
}

/// One connection, one request, one answer.
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let Some((head, body)) = read_request(&mut stream).await else { return };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = shared.path(&path, |p| {
        p.hits += 1;
        let answer = p.once.take().or_else(|| p.answer.clone()).unwrap_or(Answer::Status(200));
        let answered = match answer {
            Answer::Status(status) => status,
            Answer::Slow(_) => 200,
            Answer::Busy(_) => 429,
            Answer::Redirect(_) => 302,
            Answer::Hang | Answer::Close | Answer::Reset => 0,
        };
        if p.requests.len() >= KEPT_MAX {
            p.requests.pop_front();
        }
        p.requests.push_back(Request { at: SystemTime::now(), head, body, answered });
        answer
    });
    let (status, location) = match &answer {
        Answer::Status(status) => (*status, String::new()),
        Answer::Slow(span) => {
            tokio::time::sleep(*span).await;
            (200, String::new())
        }
        Answer::Busy(wait) => (429, format!("retry-after: {wait}\r\n")),
        Answer::Redirect(to) => (302, format!("location: {to}\r\n")),
        Answer::Close => return,
        Answer::Reset => return stream.set_zero_linger().unwrap_or_default(),
        Answer::Hang => {
            let _ = stream.read(&mut [0; 1]).await; // until the other side gives up
            return;
        }
    };
    let text = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 2\r\n{location}\r\nok");
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The head, without its empty line, and the body of the next request; none when the other side is gone.
pub async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap_or(0));
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                return Some((head, body));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}
