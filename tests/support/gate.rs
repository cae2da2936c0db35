//! A port of loopback that takes connections, refuses them for a while, and takes them again as the same port.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::ports;

/// The port. It closes when this is dropped.
pub struct Gate {
    /// On 127.0.0.1, the same for its whole life.
    pub port: u16,
    wanted: watch::Sender<bool>,
    is: watch::Receiver<bool>,
}

impl Gate {
    /// An open port on a thread of its own; each connection is given to `serve`.
    pub fn open<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = ports::listen();
        let address = listener.local_addr().unwrap();
        let (wanted, asked) = watch::channel(true);
        let (tell, is) = watch::channel(true);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(keep(listener, address, serve, asked, &tell));
        });
        Self { port: address.port(), wanted, is }
    }

    /// Refuses connections from now on, and cuts those that are open.
    pub fn refuse(&self) {
        self.switch(false);
    }

    /// Listens again, if it does not.
    pub fn listen(&self) {
        self.switch(true);
    }

    #[allow(clippy::disallowed_methods, reason = "the port is kept by a thread of its own")]
    fn switch(&self, on: bool) {
        if self.wanted.send_replace(on) == on {
            return;
        }
        while *self.is.borrow() != on {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn keep<F>(
    first: std::net::TcpListener,
    address: SocketAddr,
    serve: impl Fn(TcpStream) -> F,
    mut wanted: watch::Receiver<bool>,
    is: &watch::Sender<bool>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut first = Some(first);
    loop {
        if *wanted.borrow_and_update() {
            let socket = first.take().unwrap_or_else(|| ports::listen_again(address));
            socket.set_nonblocking(true).unwrap();
            let socket = TcpListener::from_std(socket).unwrap();
            is.send_replace(true);
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => break, // the listener and the connections go with this scope
                        Err(_) => return,
                    },
                    accepted = socket.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve(stream));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        } else {
            first = None; // told to refuse before it ever listened
            is.send_replace(false);
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }
}
