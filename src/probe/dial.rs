//! From a URL to an open connection: look the name up, guard every address, connect, shake hands. Each step is a phase.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::observation::LocalFault;
use api_health_core::{Failure, Phase};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::io::Errno;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::guard;
use super::lookup::Resolver;
use super::request::Named;
use super::tls;
use super::trace::Trace;
use super::wire::Connection;

/// How long an address may be silent before the next one is tried beside it (RFC 8305, section 5).
pub(super) const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
pub(super) const ADDRESSES_MAX: usize = 8;

/// Opens a connection to where `url` points, ready for the first byte of the request. With a `server_name` it is a TLS
/// connection to whoever can show a certificate for that.
pub(super) async fn dial(
    url: &Url,
    server_name: &Named,
    tls: Option<&Arc<ClientConfig>>,
    resolver: &Resolver,
    trace: &Trace,
) -> Result<Connection, Failure> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(internal("the URL names no host".into()));
    };
    let opened = match host {
        Host::Ipv4(ip) => connect_to(SocketAddr::new(IpAddr::V4(ip), port), trace).await,
        Host::Ipv6(ip) => connect_to(SocketAddr::new(IpAddr::V6(ip), port), trace).await,
        Host::Domain(name) => {
            let addresses = resolver.lookup(name, port, trace.waits_for_lookup()).await?;
            trace.end();
            // One bad address refuses them all: a name that mixes them is an attack, and the next lookup may shuffle them.
            addresses.iter().try_for_each(|address| guarded(*address))?;
            trace.begin(Phase::Connect);
            addresses.first().iter().for_each(|first| trace.connected_to(**first)); // until another one is
            connect(interleave(addresses)).await
        }
    };
    let (stream, address) = opened?;
    trace.connected_to(address);
    let Some(server_name) = server_name.as_ref().map_err(Failure::clone)? else {
        trace.enter_phase(Phase::FirstByte);
        return Ok(Connection::Plain(stream));
    };
    trace.enter_phase(Phase::Tls);
    let config = tls.ok_or_else(|| {
        internal("this machine has no trusted root certificates: install its ca-certificates package".into())
    })?;
    let stream = tls::handshake(config, server_name.clone(), stream).await?;
    trace.enter_phase(Phase::FirstByte);
    Ok(Connection::Tls(Box::new(stream)))
}

fn guarded(address: SocketAddr) -> Result<(), Failure> {
    match guard::refuse(address.ip()) {
        Some(why) => Err(Failure::AddressRefused { address: address.ip(), why }),
        None => Ok(()),
    }
}

/// To an address that stands in the URL itself.
async fn connect_to(address: SocketAddr, trace: &Trace) -> Result<(TcpStream, SocketAddr), Failure> {
    guarded(address)?;
    trace.begin(Phase::Connect);
    attempt(address).await
}

/// Takes the families in turn, in the resolver's order, so that one family that leads nowhere does not hold up the other.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.len() < 2 {
        return addresses;
    }
    let first_is_v6 = addresses[0].is_ipv6();
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::with_capacity(ADDRESSES_MAX);
    while mixed.len() < ADDRESSES_MAX {
        let before = mixed.len();
        mixed.extend(first.next());
        mixed.extend(second.next());
        if mixed.len() == before {
            break;
        }
    }
    mixed.truncate(ADDRESSES_MAX);
    mixed
}

/// The first connection that opens; the others are dropped. If none does: the first failure that says something about the
/// API, else the first one.
async fn connect(addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), Failure> {
    if let [address] = addresses[..] {
        return attempt(address).await;
    }
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            running.push(attempt(address));
        }
        let ended = if waiting.len() > 0 { timeout(STAGGER, running.next()).await } else { Ok(running.next().await) };
        match ended {
            Ok(Some(Ok(opened))) => return Ok(opened),
            Ok(Some(Err(failure))) => failed.push(failure),
            Ok(None) => break,
            Err(_) => {} // silent so far: the next address is tried beside it
        }
    }
    let telling = failed.iter().position(|f| !matches!(f, Failure::Local(_))).unwrap_or(0);
    if failed.is_empty() {
        return Err(internal("no address to connect to".into()));
    }
    Err(failed.swap_remove(telling))
}

async fn attempt(address: SocketAddr) -> Result<(TcpStream, SocketAddr), Failure> {
    let started = Instant::now();
    let opened = TcpStream::connect(address).await.and_then(|s| s.set_nodelay(true).map(|()| s));
    opened.map(|stream| (stream, address)).map_err(|error| connect_failure(address, &error, started.elapsed()))
}

fn connect_failure(address: SocketAddr, error: &io::Error, after: Duration) -> Failure {
    if let Some(fault) = local_fault(error) {
        return Failure::Local(fault);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused { address },
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Failure::Reset { phase: Phase::Connect },
        io::ErrorKind::HostUnreachable => Failure::HostUnreachable { address },
        io::ErrorKind::TimedOut => Failure::TimedOut { phase: Phase::Connect, after }, // the kernel gave up before us
        _ => internal(format!("connecting to {address}: {error}")),
    }
}

/// The errors that tell of this machine and not of the API.
pub(super) fn local_fault(error: &io::Error) -> Option<LocalFault> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(LocalFault::TooManyOpenFiles),
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Some(LocalFault::NoLocalPort),
        Errno::NETUNREACH | Errno::NETDOWN => Some(LocalFault::NoRoute),
        Errno::NOMEM | Errno::NOBUFS => Some(LocalFault::NoMemory),
        _ => None,
    }
}

pub(super) fn internal(what: String) -> Failure {
    Failure::Local(LocalFault::Internal(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_eight_addresses_are_enough() {
        assert_eq!(
            interleave(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"])),
            addresses(&["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"])
        );
        let many: Vec<SocketAddr> = (0..20).map(|i| SocketAddr::from(([1, 0, 0, i], 1))).collect();
        assert_eq!(interleave(many.clone()), many[..ADDRESSES_MAX]);
    }

    #[test]
    fn what_fails_on_our_own_side_is_not_charged_to_the_api() {
        let address = "127.0.0.1:1".parse().unwrap();
        let failure = |errno: Errno| {
            connect_failure(address, &io::Error::from_raw_os_error(errno.raw_os_error()), Duration::ZERO)
        };
        for (errno, fault) in [
            (Errno::MFILE, LocalFault::TooManyOpenFiles),
            (Errno::NFILE, LocalFault::TooManyOpenFiles),
            (Errno::ADDRNOTAVAIL, LocalFault::NoLocalPort),
            (Errno::ADDRINUSE, LocalFault::NoLocalPort),
            (Errno::NETUNREACH, LocalFault::NoRoute),
            (Errno::NOMEM, LocalFault::NoMemory),
            (Errno::NOBUFS, LocalFault::NoMemory),
        ] {
            assert_eq!(failure(errno), Failure::Local(fault), "{errno:?}");
        }
        assert_eq!(failure(Errno::CONNREFUSED), Failure::Refused { address });
        assert_eq!(failure(Errno::CONNRESET), Failure::Reset { phase: Phase::Connect });
        assert_eq!(failure(Errno::HOSTUNREACH), Failure::HostUnreachable { address });
        assert!(matches!(failure(Errno::TIMEDOUT), Failure::TimedOut { phase: Phase::Connect, .. }));
        assert!(matches!(failure(Errno::PERM), Failure::Local(LocalFault::Internal(_))));
    }
}
