//! One question to the name servers: over UDP, over TCP where the answer does not fit, each server in its turn and as often
//! as resolv.conf says, within a deadline. Who was asked before may still answer while the next one is asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use api_health_core::observation::{LocalFault, NameServerFault};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::config::Config;
use super::message::{Answer, Question};
use crate::probe::dial::local_fault;

/// The longest answer over UDP that is read: more than is ever asked for.
const UDP_BYTES_MAX: usize = 4_096;

/// Why no server answered the question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// This one answered that it cannot.
    Failed(IpAddr, NameServerFault),
    /// None was heard of, or all were out of reach.
    Silent,
    /// This machine has nothing left to ask with.
    Ours(LocalFault),
}

/// Asks the servers of `config`, `first` to begin with.
pub(super) async fn ask(
    config: &Config,
    first: usize,
    question: &Question,
    deadline: Instant,
) -> Result<Answer, Trouble> {
    let servers = &config.servers;
    let tries = servers.len() * config.attempts;
    let mut asked = FuturesUnordered::new();
    let mut trouble = Trouble::Silent;
    for n in 0..tries {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        asked.push(one(servers[(first + n) % servers.len()], question, config));
        // A time that is too short for all of them is shared out.
        let patience = config.timeout.min(left / u32::try_from(tries - n).unwrap_or(1));
        let until = Instant::now() + patience;
        while let Ok(Some((server, said))) = timeout_at(until, asked.next()).await {
            match said {
                Ok(Answer::Fault(fault)) => trouble = Trouble::Failed(server.ip(), fault),
                Ok(answer) => return Ok(answer),
                Err(error) => match ours(&error) {
                    Some(fault) => return Err(Trouble::Ours(fault)),
                    None => continue,
                },
            }
            break;
        }
    }
    Err(trouble)
}

/// What would hit any server alike. That this one cannot be reached is not among it.
fn ours(error: &io::Error) -> Option<LocalFault> {
    match local_fault(error)? {
        LocalFault::NoLocalPort if Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL) => None,
        fault @ (LocalFault::TooManyOpenFiles | LocalFault::NoMemory | LocalFault::NoLocalPort) => Some(fault),
        _ => None,
    }
}

/// One server, once.
pub(super) async fn one(server: SocketAddr, question: &Question, config: &Config) -> (SocketAddr, io::Result<Answer>) {
    let said = if config.tcp { Ok(Answer::Truncated) } else { udp(server, question, config.edns).await };
    let said = match said {
        Ok(Answer::Truncated) => tcp(server, question).await,
        said => said,
    };
    (server, said)
}

/// On a socket of its own, so that its port is as hard to guess as its number.
async fn udp(server: SocketAddr, question: &Question, edns: bool) -> io::Result<Answer> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question.bytes(edns)).await?;
    loop {
        // An error alone (nobody listens there) makes no socket readable.
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        let interest = if ready.is_readable() { Interest::READABLE } else { Interest::ERROR };
        match socket.try_io(interest, || received(&socket, question)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            said => return said,
        }
    }
}

/// The answer, if it lies ready. The room for it is taken no longer than that: thousands wait at once.
fn received(socket: &UdpSocket, question: &Question) -> io::Result<Answer> {
    let mut message = [0; UDP_BYTES_MAX];
    loop {
        let (length, _) = recv(socket, &mut message[..], RecvFlags::empty())?;
        if let Some(answer) = message.get(..length).and_then(|message| question.read(message)) {
            return Ok(answer);
        }
    }
}

async fn tcp(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let mut message = question.bytes(false);
    let length = u16::try_from(message.len()).unwrap_or(0); // a name has 255 bytes at most
    message.splice(0..0, length.to_be_bytes());
    stream.write_all(&message).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(match question.read(&answer) {
        None | Some(Answer::Truncated) => Answer::Fault(NameServerFault::Garbled),
        Some(answer) => answer,
    })
}
