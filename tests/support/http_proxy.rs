//! An HTTP proxy that breaks on demand: what a target, a store or a channel looks like through a bad network, a bad
//! balancer or a bad day.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gate::Gate;
use super::http::read_request;

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens.
    Refuse,
    /// The request is taken and nothing is said until the other side gives up.
    Hang,
    /// The request is taken, and the connection is reset.
    Reset,
    /// The request is taken, and the connection is closed without a word.
    Close,
    /// The request is passed on after this long, also if the one who sent it is gone by then; the answer is whole.
    Delay(Duration),
    /// The request is passed on and takes effect; the connection is reset in place of the answer.
    LoseAnswer,
    /// The request is passed on and takes effect; the answer trickles, with this long between two bytes.
    Trickle(Duration),
    /// The request is passed on and takes effect; the answer breaks off in the middle of its head.
    CutHead,
    /// The request is passed on and takes effect; the answer breaks off in the middle of its body.
    CutBody,
    /// The request is not passed on, and this is the answer, byte for byte.
    Answer(Vec<u8>),
}

impl Fault {
    /// An answer with a status line such as `503 Service Unavailable`, more header lines, each with its line end, and a
    /// body.
    pub fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
    }

    /// What a login page or a misled balancer says with status 200.
    pub fn html_page() -> Self {
        let page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please log in</body></html>";
        Self::answer("200 OK", "content-type: text/html\r\n", page)
    }

    /// Bytes that are no HTTP.
    pub fn garbage() -> Self {
        Self::Answer(b"\x00\xff\x16\x03 not HTTP at all \r\n\r\n\x7f".to_vec())
    }

    /// Whether the request took effect behind the proxy.
    pub fn takes_effect(&self) -> bool {
        matches!(self, Self::Delay(_) | Self::LoseAnswer | Self::Trickle(_) | Self::CutHead | Self::CutBody)
    }
}

#[derive(Default)]
struct Shared {
    fault: Option<Fault>,
    /// Only requests with this text in them are struck; `None`: all.
    only: Option<String>,
    struck: usize,
    passed: usize,
    /// Every request, and when it came, if they are recorded.
    recorded: Option<Vec<(std::time::Instant, String)>>,
}

/// The proxy. It ends when it is dropped.
pub struct HttpProxy {
    shared: Arc<Mutex<Shared>>,
    gate: Gate,
}

impl HttpProxy {
    /// A proxy to a port of loopback, passing everything on.
    pub fn to(upstream: u16) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let world = Arc::clone(&shared);
        let gate = Gate::open(move |stream| {
            let world = Arc::clone(&world);
            async move {
                let _ = pass(stream, upstream, &world).await;
            }
        });
        Self { shared, gate }
    }

    /// Its own port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.gate.port
    }

    /// The URL of a path behind it; the path begins with `/`, or is empty.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.gate.port)
    }

    /// Keeps every request from now on.
    pub fn record(&self) {
        lock(&self.shared).recorded.get_or_insert_default();
    }

    /// Those that were kept, in order.
    pub fn recorded(&self) -> Vec<(std::time::Instant, String)> {
        lock(&self.shared).recorded.clone().unwrap_or_default()
    }

    /// Every request from now on is struck by `fault`.
    pub fn strike(&self, fault: Fault) {
        self.go(Some(fault), None);
    }

    /// Every request that has `text` in it is struck from now on.
    pub fn strike_only(&self, fault: Fault, text: &str) {
        assert_ne!(fault, Fault::Refuse, "a connection is refused before anything is said");
        self.go(Some(fault), Some(text.to_owned()));
    }

    /// Everything is passed on again.
    pub fn mend(&self) {
        self.go(None, None);
    }

    /// How many requests were struck, but for those that were refused.
    pub fn struck(&self) -> usize {
        lock(&self.shared).struck
    }

    /// How many requests were passed on unharmed.
    pub fn passed(&self) -> usize {
        lock(&self.shared).passed
    }

    fn go(&self, fault: Option<Fault>, only: Option<String>) {
        let refuses = fault == Some(Fault::Refuse);
        {
            let mut shared = lock(&self.shared);
            (shared.fault, shared.only) = (fault, only);
        }
        if refuses { self.gate.refuse() } else { self.gate.listen() }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection: request after request, each with its own connection behind the proxy.
async fn pass(mut client: TcpStream, upstream: u16, shared: &Mutex<Shared>) -> std::io::Result<()> {
    while let Some((head, body)) = read_request(&mut client).await {
        let request = format!("{head}\r\n{body}");
        let fault = {
            let mut shared = lock(shared);
            #[allow(clippy::disallowed_methods, reason = "a test dates what it sees")]
            if let Some(recorded) = &mut shared.recorded {
                recorded.push((std::time::Instant::now(), request.clone()));
            }
            let hit = shared.only.as_ref().is_none_or(|text| request.contains(text));
            let fault = shared.fault.clone().filter(|_| hit);
            *(if fault.is_some() { &mut shared.struck } else { &mut shared.passed }) += 1;
            fault
        };
        if let Some(Fault::Delay(span)) = fault {
            tokio::time::sleep(span).await;
        }
        let answer = match &fault {
            Some(fault) if !fault.takes_effect() => Vec::new(),
            _ => ask(upstream, request.as_bytes()).await?,
        };
        let head_end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        match fault {
            None | Some(Fault::Delay(_)) => client.write_all(&answer).await?,
            Some(Fault::Hang) => {
                let _ = client.read(&mut [0; 1]).await;
                return Ok(());
            }
            Some(Fault::Reset | Fault::LoseAnswer) => return client.set_zero_linger(),
            Some(Fault::Close | Fault::Refuse) => return Ok(()),
            Some(Fault::Trickle(pause)) => {
                for byte in answer {
                    client.write_all(&[byte]).await?;
                    tokio::time::sleep(pause).await;
                }
                return client.shutdown().await;
            }
            Some(Fault::CutHead) => {
                client.write_all(&answer[..head_end / 2]).await?;
                return client.shutdown().await;
            }
            Some(Fault::CutBody) => {
                client.write_all(&answer[..head_end + (answer.len() - head_end) / 2]).await?;
                return client.shutdown().await;
            }
            Some(Fault::Answer(bytes)) => {
                client.write_all(&bytes).await?;
                return client.shutdown().await;
            }
        }
        if String::from_utf8_lossy(&answer[..head_end]).to_ascii_lowercase().contains("connection: close") {
            return client.shutdown().await;
        }
    }
    Ok(())
}

/// The whole answer from behind the proxy.
async fn ask(upstream: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    server.write_all(request).await?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match server.read(&mut buffer).await? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(&buffer[..count]),
        }
        if is_whole(&answer) {
            return Ok(answer);
        }
    }
}

/// Whether an answer has as many bytes as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|text| text.trim().parse::<usize>().ok()).is_some_and(|length| answer.len() >= end + 4 + length)
}
