//! What a server of the far side does with a connection: the bytes that it sends, their pace, and how it ends.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// The longest that a connection is left open for a client that does not close it.
const HELD_MAX: Duration = Duration::from_secs(60);

/// What a server does.
#[derive(Clone)]
pub enum Play {
    /// Nothing listens.
    Refuse,
    /// It listens, accepts nobody, and its queue is full.
    Deaf,
    /// It serves each connection.
    Serve(Act),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Closed in good order; over TLS with a close_notify.
    Fin,
    /// Closed, over TLS without a close_notify.
    NoNotify,
    /// Torn down.
    Reset,
    /// Left open until the client closes.
    Hold,
}

/// A part of what is sent.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// The same again and again, with a pause after each, until the client has enough.
    Forever(Vec<u8>, Duration),
}

type Answer = dyn Fn(&str) -> Vec<Step> + Send + Sync;

/// What is done with a connection.
#[derive(Clone)]
pub struct Act {
    tls: Option<Arc<ServerConfig>>,
    /// It is a proxy, and plays the server behind it as well.
    by_connect: bool,
    /// Nothing is read before the answer goes out, not even a handshake.
    early: bool,
    /// From the head of the request to what is sent.
    answer: Arc<Answer>,
    end: End,
    /// HTTP/2 is spoken and nothing else, and this status is answered.
    http_2: Option<u16>,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").field("end", &self.end).finish_non_exhaustive()
    }
}

/// An answer of these steps.
pub fn steps(steps: Vec<Step>, end: End) -> Act {
    by_request(move |_| steps.clone(), end)
}

/// An answer of these bytes.
pub fn bytes(bytes: impl Into<Vec<u8>>, end: End) -> Act {
    steps(vec![Step::Send(bytes.into())], end)
}

/// An answer that hangs on the head of the request.
pub fn by_request(answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static, end: End) -> Act {
    Act { tls: None, by_connect: false, early: false, answer: Arc::new(answer), end, http_2: None }
}

/// `HTTP/1.1`, this status line, these headers, and a body of two bytes.
pub fn http(status: &str, headers: &str) -> Act {
    bytes(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n{headers}\r\nhi"), End::Hold)
}

/// An answer that is well.
pub fn well() -> Act {
    http("200 OK", "")
}

impl Act {
    pub fn over(mut self, tls: &Arc<ServerConfig>) -> Self {
        self.tls = Some(Arc::clone(tls));
        self
    }

    /// As the proxy that opens a connection to a server that does this.
    pub fn by_connect(mut self) -> Self {
        self.by_connect = true;
        self
    }

    /// Over HTTP/2 alone, with this status and no body.
    pub fn over_http_2(self, tls: &ServerConfig, status: u16) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self { http_2: Some(status), ..self.over(&Arc::new(tls)) }
    }

    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    pub fn serve(self) -> Play {
        Play::Serve(self)
    }
}

/// Keeps a port: plays to each connection what is set when it comes, until nobody can set it any more.
pub async fn keep(address: SocketAddr, mut watched: watch::Receiver<Play>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let play = watched.borrow_and_update().clone();
        let changed = match play {
            Play::Refuse => watched.changed().await,
            Play::Deaf => {
                let _full = full_queue(address).await;
                watched.changed().await
            }
            Play::Serve(_) => {
                let listener = listen(address, 1_024);
                loop {
                    tokio::select! {
                        changed = watched.changed() => match &*watched.borrow() {
                            Play::Serve(_) if changed.is_ok() => {}
                            _ => break changed,
                        },
                        accepted = listener.accept() => {
                            let (Ok((stream, _)), Play::Serve(act)) = (accepted, watched.borrow().clone()) else { continue };
                            connections.spawn(async move { perform(stream, act).await.unwrap_or_default() });
                        }
                        Some(_) = connections.join_next() => {}
                    }
                }
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

fn listen(address: SocketAddr, backlog: u32) -> TcpListener {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket.listen(backlog).unwrap()
}

/// A listener whose queue of connections is full: Linux drops what does not fit.
async fn full_queue(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let listener = listen(address, 0);
    let here = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(here)).await {
        queue.push(stream);
    }
    (listener, queue)
}

async fn perform(mut stream: TcpStream, act: Act) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    if act.by_connect {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    }
    match &act.tls {
        Some(config) if !act.early => {
            let mut stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await.ok()?;
            if let Some(status) = act.http_2 {
                let mut connection = h2::server::handshake(stream).await.ok()?;
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let answer = ::http::Response::builder().status(status).body(()).ok()?;
                    respond.send_response(answer, true).ok()?;
                }
                return Some(());
            }
            play(&mut stream, &act).await?;
            if act.end == End::Fin {
                stream.shutdown().await.ok()?;
            }
            end(stream.into_inner().0, act.end).await;
        }
        _ => {
            play(&mut stream, &act).await?;
            end(stream, act.end).await;
        }
    }
    Some(())
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, act: &Act) -> Option<()> {
    let head = if act.early { String::new() } else { head(stream).await? };
    for step in (act.answer)(&head) {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await.ok()?,
            Step::Pause(span) => sleep(span).await,
            Step::Forever(bytes, pause) => loop {
                stream.write_all(&bytes).await.ok()?;
                stream.flush().await.ok()?;
                sleep(pause).await;
            },
        }
        stream.flush().await.ok()?;
    }
    Some(())
}

async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

async fn end(mut stream: TcpStream, end: End) {
    match end {
        End::Reset => {
            sleep(Duration::from_millis(30)).await; // what was sent is read first
            let _ = stream.set_zero_linger();
            return;
        }
        End::Fin | End::NoNotify => drop(stream.shutdown().await),
        End::Hold => {}
    }
    // Reads on until the client closes, so that closing does not turn into a reset.
    let mut space = vec![0; 16 * 1_024];
    let _ = timeout(HELD_MAX, async { while stream.read(&mut space).await.is_ok_and(|count| count > 0) {} }).await;
}
