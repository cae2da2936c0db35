//! A TCP proxy that breaks on demand: what a store looks like through a bad network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::ports;

/// What the proxy does with connections, old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Passes everything on.
    Through,
    /// Nothing listens.
    Refuse,
    /// Takes connections and passes nothing on.
    Hang,
    /// Takes connections and closes them at once.
    Cut,
    /// Passes requests on, which take effect, and loses the answers.
    LoseAnswers,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    /// Its own port on 127.0.0.1.
    pub port: u16,
    way: watch::Sender<Way>,
    is: watch::Receiver<Way>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy to a port of loopback, passing everything on.
    pub fn to(upstream: u16) -> Self {
        let listener = ports::listen();
        let address = listener.local_addr().unwrap();
        let (way, wanted) = watch::channel(Way::Through);
        let (is, seen) = watch::channel(Way::Through);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(listener, address, upstream, wanted, &is, &count));
        });
        Self { port: address.port(), way, is: seen, connections }
    }

    /// Goes another way from now on. Connections that are open are cut, but for [`Way::Hang`], where they fall silent.
    #[allow(clippy::disallowed_methods, reason = "the proxy is a thread of its own")]
    pub fn go(&self, way: Way) {
        self.way.send_replace(way);
        while *self.is.borrow() != way {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn run(
    first: std::net::TcpListener,
    address: SocketAddr,
    upstream: u16,
    mut wanted: watch::Receiver<Way>,
    is: &watch::Sender<Way>,
    count: &AtomicUsize,
) {
    let mut first = Some(first);
    let mut listener = None;
    let mut open: Vec<tokio::task::JoinHandle<()>> = Vec::new();
    loop {
        let way = *wanted.borrow_and_update();
        if way != Way::Hang {
            open.drain(..).for_each(|connection| connection.abort());
        }
        if way == Way::Refuse {
            (first, listener) = (None, None);
        } else if listener.is_none() {
            let socket = first.take().unwrap_or_else(|| ports::listen_again(address));
            socket.set_nonblocking(true).unwrap();
            listener = Some(TcpListener::from_std(socket).unwrap());
        }
        is.send_replace(way);
        loop {
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                accepted = accept => {
                    let Ok((stream, _)) = accepted else { continue };
                    count.fetch_add(1, Ordering::SeqCst);
                    open.retain(|connection| !connection.is_finished());
                    match way {
                        Way::Cut | Way::Refuse => drop(stream),
                        Way::Through | Way::Hang | Way::LoseAnswers => open.push(tokio::spawn(pass(stream, upstream, wanted.clone()))),
                    }
                }
            }
        }
    }
}

/// Passes both ways while the way is [`Way::Through`]; keeps the connection and is silent when it is [`Way::Hang`].
async fn pass(mut client: TcpStream, upstream: u16, mut way: watch::Receiver<Way>) {
    let now = *way.borrow_and_update();
    if now != Way::Hang {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
        if now == Way::LoseAnswers {
            let ((mut requests, _kept), (mut answers, mut on)) = (client.split(), server.split());
            let lost = &mut tokio::io::sink();
            let _ = tokio::join!(tokio::io::copy(&mut requests, &mut on), tokio::io::copy(&mut answers, lost));
            return;
        }
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = way.changed() => {} // to hang: for any other way this task is aborted
        }
    }
    let _kept = client;
    std::future::pending::<()>().await;
}
