//! A name server of the test's own, over UDP and TCP, which answers as it is told.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What a question gets.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Those of the family that is asked for.
    Addresses(Vec<IpAddr>),
    /// The same, which over UDP does not fit.
    Long(Vec<IpAddr>),
    /// An error code, or 3 for a name that does not exist.
    Code(u8),
    Silent,
    /// The same as the addresses, when [`NameServer::release`] says so.
    Held(Vec<IpAddr>),
    Garbled,
}

/// A: 1, AAAA: 28, NS: 2.
pub type RecordCode = u16;

type Answers = dyn Fn(&str, RecordCode) -> Reply + Send + Sync;

/// Where the next port is looked for: in each process elsewhere.
static NEXT: LazyLock<AtomicU16> =
    LazyLock::new(|| AtomicU16::new(u16::try_from(std::process::id() % 8_000).unwrap_or_default()));

pub struct NameServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    udp: UdpSocket,
    asked: Mutex<Vec<(String, RecordCode)>>,
    held: Mutex<Vec<(Vec<u8>, SocketAddr)>>,
    answer: Box<Answers>,
}

impl NameServer {
    /// On a free port of `ip`, until the process ends.
    pub fn start(ip: &str, answer: impl Fn(&str, RecordCode) -> Reply + Send + Sync + 'static) -> Self {
        Self::at((ip, 0), answer)
    }

    /// At an address of the caller's choice.
    pub fn at(address: (&str, u16), answer: impl Fn(&str, RecordCode) -> Reply + Send + Sync + 'static) -> Self {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                // Below the ports that the system gives out: a second server may want the same one on another address.
                let port =
                    if address.1 == 0 { 11_000 + NEXT.fetch_add(7, Ordering::Relaxed) % 8_000 } else { address.1 };
                let udp = UdpSocket::bind((address.0, port)).ok()?;
                let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free for UDP and TCP");
        let address = udp.local_addr().unwrap();
        let shared =
            Arc::new(Shared { udp, asked: Mutex::default(), held: Mutex::default(), answer: Box::new(answer) });
        let (over_udp, over_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        std::thread::spawn(move || over_udp.serve_udp());
        std::thread::spawn(move || over_tcp.serve_tcp(&tcp));
        Self { address, shared }
    }

    /// Each question so far.
    pub fn asked(&self) -> Vec<(String, RecordCode)> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Questions that wait for [`NameServer::release`].
    pub fn held(&self) -> usize {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Answers what was held.
    pub fn release(&self) {
        for (message, to) in self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = self.shared.udp.send_to(&message, to);
        }
    }
}

impl Shared {
    fn serve_udp(&self) {
        let mut space = [0; 1_500];
        while let Ok((length, from)) = self.udp.recv_from(&mut space) {
            let query = &space[..length];
            let reply = self.reply(query);
            if let Reply::Held(addresses) = reply {
                let message = message(query, &Reply::Addresses(addresses));
                self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(message.map(|m| (m, from)));
            } else if let Some(message) = message(query, &reply) {
                let _ = self.udp.send_to(&message, from);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut query).is_err() {
                continue;
            }
            let reply = match self.reply(&query) {
                Reply::Long(addresses) => Reply::Addresses(addresses),
                other => other,
            };
            if let Some(message) = message(&query, &reply) {
                let _ = stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes());
                let _ = stream.write_all(&message);
            }
        }
    }

    fn reply(&self, query: &[u8]) -> Reply {
        let (name, kind) = question(query);
        let reply = (self.answer)(&name, kind);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((name, kind));
        reply
    }
}

/// What is asked for.
pub fn question(query: &[u8]) -> (String, RecordCode) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]))
}

/// The message that answers so; none for silence.
pub fn message(query: &[u8], reply: &Reply) -> Option<Vec<u8>> {
    let kind = question(query).1;
    let end = 12 + query[12..].iter().position(|byte| *byte == 0)? + 5;
    let (flags, addresses) = match reply {
        Reply::Silent | Reply::Held(_) => return None,
        Reply::Garbled => (0x8180, &[][..]),
        Reply::Addresses(addresses) => (0x8180, &addresses[..]),
        Reply::Long(_) => (0x8380, &[][..]),
        Reply::Code(code) => (0x8180 | u16::from(*code), &[][..]),
    };
    let mut data: Vec<Vec<u8>> = Vec::new();
    for address in addresses {
        match (address, kind) {
            (IpAddr::V4(v4), 1) => data.push(v4.octets().to_vec()),
            (IpAddr::V6(v6), 28) => data.push(v6.octets().to_vec()),
            _ => {}
        }
    }
    let count = if matches!(reply, Reply::Garbled) { 9 } else { u16::try_from(data.len()).unwrap() };
    let mut message = query[..2].to_vec();
    for field in [flags, 1, count, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    message.extend(&query[12..end]);
    for data in data {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 1]);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    Some(message)
}
