//! The target: a small HTTP/1.1 server in a process of its own, which notes when each request came and for which API.
//!
//! It answers `/N` for the API with number N, and takes `/hang/N` without ever answering.
//!
//! It listens on several loopback addresses, so that 50,000 connections in a row do not run out of local ports.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::process::{self, Role, Servant, monotonic_ns};

/// The role to add to a bench that needs a target.
pub const ROLE: Role = ("target", |_| serve());

/// Loopback addresses that it listens on. Each has 28,000 local ports to be reached from.
const ADDRESSES: u8 = 8;

/// Connections that wait to be accepted, for each address.
const BACKLOG: u32 = 4_096;

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 1_024;

/// Before the number of an API that never answers.
pub const HANG: &str = "/hang/";

/// Before the number of an API that answers with a document of JSON.
pub const DOCUMENT: &str = "/document/";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// About 1 KB, as health pages are that list their parts.
fn document() -> Vec<u8> {
    let part = |n: usize| format!(r#"{{"name":"part-{n}","status":"UP","details":{{"lag":{n},"free":1234567}}}}"#);
    let parts: Vec<String> = (0..14).map(part).collect();
    let body = format!(r#"{{"status":"UP","version":"v1.23","parts":[{}]}}"#, parts.join(","));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What came since the last time it was asked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Arrivals {
    /// When, on the clock that all processes share, and the number of the API.
    pub requests: Vec<(u64, usize)>,
    /// Requests that it did not understand.
    pub malformed: usize,
}

impl Arrivals {
    /// How many requests came for each of `n` APIs.
    pub fn per_api(&self, n: usize) -> Vec<usize> {
        let mut counts = vec![0; n];
        for &(_, api) in &self.requests {
            counts[api] += 1;
        }
        counts
    }
}

/// A running target.
pub struct Target {
    /// `http://127.0.0.1:…`, one for each address.
    pub bases: Vec<String>,
    process: Servant,
}

impl Target {
    /// Starts one.
    pub fn start() -> Self {
        let mut process = Servant::start(ROLE.0, "{}");
        Self { bases: process.says(), process }
    }

    /// Everything that came since the last call.
    pub fn take(&mut self) -> Arrivals {
        let arrivals: Arrivals = self.process.ask("take");
        assert_eq!(arrivals.malformed, 0, "every request was understood");
        arrivals
    }
}

/// Serves until standard input ends, as it does when the bench is gone.
fn serve() -> ! {
    process::raise_open_files_limit();
    let log = Arc::new(Mutex::new(Arrivals::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("Linux has epoll");
    let listeners: Vec<TcpListener> = runtime.block_on(async { (1..=ADDRESSES).map(listen).collect() });
    let bases: Vec<String> = listeners
        .iter()
        .map(|listener| format!("http://{}", listener.local_addr().expect("a bound socket has an address")))
        .collect();
    println!("{}", process::report(&bases));
    let taken = Arc::clone(&log);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            let arrivals = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
            println!("{}", process::report(&arrivals));
        }
        std::process::exit(0);
    });
    runtime.block_on(async {
        for listener in listeners {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                loop {
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(answer(stream, Arc::clone(&log)));
                    }
                }
            });
        }
        std::future::pending().await
    })
}

fn listen(last_octet: u8) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, last_octet], 0).into()).expect("all of 127.0.0.0/8 is loopback on Linux");
    socket.listen(BACKLOG).expect("a bound socket can listen")
}

async fn answer(mut stream: TcpStream, log: Arc<Mutex<Arrivals>>) {
    let mut request = [0; REQUEST_BYTES_MAX];
    let mut filled = 0;
    while !request[..filled].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[filled..]).await {
            Ok(more) if more > 0 => filled += more,
            _ if filled < REQUEST_BYTES_MAX => return, // went away before it had asked
            _ => break,
        }
    }
    let at = monotonic_ns();
    let path = request[..filled].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = std::str::from_utf8(path).unwrap_or_default();
    let hangs = path.starts_with(HANG);
    let wants_document = path.starts_with(DOCUMENT);
    let before = match (hangs, wants_document) {
        (true, _) => HANG,
        (_, true) => DOCUMENT,
        _ => "/",
    };
    let api = path.strip_prefix(before).and_then(|number| number.parse().ok());
    {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        match api {
            Some(api) => log.requests.push((at, api)),
            None => log.malformed += 1,
        }
    }
    if hangs {
        let _ = stream.read(&mut request[..1]).await; // until whoever asked gives up
        return;
    }
    // Whoever asked and went away was counted all the same.
    static DOCUMENT_ANSWER: LazyLock<Vec<u8>> = LazyLock::new(document);
    let _ = stream.write_all(if wants_document { &DOCUMENT_ANSWER } else { ANSWER }).await;
    let _ = stream.shutdown().await;
}
