//! A name server of the harness's own, over UDP and TCP: each name is answered as the scenario says.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::dns::{self, Reply};
use crate::far::Far;

pub const NO_ERROR: u8 = 0;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

/// How a name is answered.
#[derive(Clone, Debug)]
pub enum Said {
    /// With those of its addresses that are asked for.
    Addresses(Vec<IpAddr>),
    /// With the same, after a while.
    Late(Duration, Vec<IpAddr>),
    /// With an answer that is cut, so that the client asks again over TCP, where it gets these; of none, nothing.
    Cut(Vec<IpAddr>),
    /// With a code and no record.
    Code(u8),
    /// With bytes that are no answer.
    Garbage,
    /// Not at all.
    Silence,
}

/// What becomes of the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Alive,
    /// It takes questions and answers none.
    Silent,
    /// Nothing listens on its port.
    Gone,
    /// It answers every question with SERVFAIL, as one does whose own upstream is dead.
    Failing,
}

/// The names, and how each is answered. What is not in it does not exist.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<HashMap<String, Said>>>);

impl Names {
    pub fn set(&self, name: &str, said: Said) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_ascii_lowercase(), said);
    }

    fn of(&self, name: &str) -> Said {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The root, which whoever wants to know whether a server lives may ask for.
        let otherwise = if name.is_empty() { NO_ERROR } else { NXDOMAIN };
        names.get(&name.to_ascii_lowercase()).cloned().unwrap_or(Said::Code(otherwise))
    }
}

/// A server on port 53 of an address of the far side.
pub struct NameServer {
    health: watch::Sender<Health>,
}

impl NameServer {
    pub fn start(far: &Far, address: IpAddr, names: Names) -> Self {
        let (health, watched) = watch::channel(Health::Alive);
        far.spawn(keep(SocketAddr::new(address, 53), names, watched));
        Self { health }
    }

    pub fn set(&self, health: Health) {
        self.health.send_replace(health);
    }

    pub fn handle(&self) -> watch::Sender<Health> {
        self.health.clone()
    }
}

async fn keep(address: SocketAddr, names: Names, mut watched: watch::Receiver<Health>) {
    loop {
        let health = *watched.borrow_and_update();
        let changed = if health == Health::Gone {
            watched.changed().await
        } else {
            tokio::select! {
                changed = watched.changed() => changed,
                () = serve(address, &names, health) => return,
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

async fn serve(address: SocketAddr, names: &Names, health: Health) {
    // What served before may hold the port for a moment longer.
    let (udp, tcp) = loop {
        match (UdpSocket::bind(address).await, listen(address)) {
            (Ok(udp), Ok(tcp)) => break (Arc::new(udp), tcp),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let mut asked = tokio::task::JoinSet::new();
    let mut buffer = [0; 1_500];
    loop {
        tokio::select! {
            came = udp.recv_from(&mut buffer) => if let Ok((count, from)) = came {
                let (question, names, udp) = (buffer[..count].to_vec(), names.clone(), Arc::clone(&udp));
                asked.spawn(async move {
                    if let Some(answer) = answer(&question, &names, health, false).await {
                        let _ = udp.send_to(&answer, from).await;
                    }
                });
            },
            came = tcp.accept() => if let Ok((stream, _)) = came {
                let names = names.clone();
                asked.spawn(async move { drop(over_tcp(stream, &names, health).await) });
            },
            Some(_) = asked.join_next() => {}
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(64)
}

async fn over_tcp(mut stream: TcpStream, names: &Names, health: Health) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = answer(&question, names, health, true).await else { std::future::pending().await };
        stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
        stream.write_all(&answer).await?;
    }
}

/// What is answered; nothing where it is silent.
async fn answer(query: &[u8], names: &Names, health: Health, over_tcp: bool) -> Option<Vec<u8>> {
    let said = match health {
        Health::Failing => Said::Code(SERVFAIL),
        Health::Silent => Said::Silence,
        Health::Alive | Health::Gone => names.of(&dns::question(query).0),
    };
    let reply = match said {
        Said::Addresses(addresses) => Reply::Addresses(addresses),
        Said::Late(after, addresses) => {
            tokio::time::sleep(after).await;
            Reply::Addresses(addresses)
        }
        Said::Cut(addresses) if !over_tcp => Reply::Long(addresses),
        Said::Cut(addresses) if addresses.is_empty() => Reply::Silent,
        Said::Cut(addresses) => Reply::Addresses(addresses),
        Said::Code(code) => Reply::Code(code),
        Said::Garbage => Reply::Garbled,
        Said::Silence => Reply::Silent,
    };
    dns::message(query, &reply)
}
