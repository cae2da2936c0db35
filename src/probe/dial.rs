//! From a URL to an open connection: look the name up, guard every address, connect, shake hands. Each step is a phase.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::observation::LocalFault;
use api_health_core::{Failure, IpFamily, Phase};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::Url;

use super::guard::{self, Allowed};
use super::request::Named;
use super::resolve::{Resolver, route};
use super::trace::Trace;
use super::wire::Connection;
use super::{place, tls};

/// How long an address may be silent before the next one is tried beside it (RFC 8305, section 5). Many addresses take turns faster,
/// so that all of them are tried in the first half of the time that is left.
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 32;

/// By what rules a connection is opened.
#[derive(Clone, Copy)]
pub(super) struct DialRules<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) allowed: &'a Allowed,
}

/// Opens a connection to where `url` points, ready for the first byte of the request. With a `server_name` it is a TLS
/// connection to whoever can show a certificate for that.
pub(super) async fn dial(
    url: &Url,
    server_name: &Named,
    tls: Option<&Arc<ClientConfig>>,
    DialRules { resolver, allowed }: DialRules<'_>,
    trace: &Trace,
) -> Result<Connection, Failure> {
    let (Some(name), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(internal("the URL names no host".into()));
    };
    let opened = match place::literal(url) {
        Some(ip) => {
            guarded(ip, allowed)?;
            connect_to(SocketAddr::new(ip, port), resolver.family(), trace).await
        }
        None => {
            // On the heap: most names are looked up for longer than anything else of the exchange is.
            let found = Box::pin(resolver.lookup(name, port, trace.deadline())).await?;
            trace.end();
            let addresses = interleave(passable(found, allowed)?);
            trace.begin(Phase::Connect);
            trace.found(&addresses);
            addresses.first().iter().for_each(|first| trace.connected_to(**first)); // until another one is
            match connect(&addresses, trace.deadline()).await {
                Err(Failure::Local(LocalFault::NoRoute)) if resolver.family() == IpFamily::Any => {
                    Err(without_route(name, &addresses))
                }
                opened => opened,
            }
        }
    };
    let (stream, address) = opened?;
    trace.connected_to(address);
    let Some(server_name) = server_name.as_ref().map_err(|failure| (**failure).clone())? else {
        trace.enter_phase(Phase::FirstByte);
        return Ok(Connection::Plain(stream));
    };
    trace.enter_phase(Phase::Tls);
    let config = tls.ok_or_else(no_roots)?;
    // On the heap: it is two thirds of all that dialling holds, and most of an exchange over plain HTTP would carry it.
    let stream = Box::pin(tls::handshake(config, server_name.clone(), stream, trace)).await?;
    trace.enter_phase(Phase::FirstByte);
    Ok(Connection::tls(stream))
}

pub(super) fn guarded(address: IpAddr, allowed: &Allowed) -> Result<(), Failure> {
    match allowed.refuse(address) {
        Some(why) => Err(Failure::AddressRefused { address, why }),
        None => Ok(()),
    }
}

/// The addresses that may be connected to. A stray one that leads nowhere without the name of an interface is passed over where
/// a good one stands beside it. Any other that is refused refuses them all: a name that mixes them is an attack, and the
/// next lookup may shuffle them.
fn passable(addresses: Vec<SocketAddr>, allowed: &Allowed) -> Result<Vec<SocketAddr>, Failure> {
    let (strays, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| guard::leads_nowhere(a.ip()));
    let looked_at = if others.is_empty() { &strays } else { &others };
    looked_at.iter().try_for_each(|address| guarded(address.ip(), allowed))?;
    Ok(others)
}

/// What it means that this machine has no route to any of the addresses: that it has no network of their family, while it has one
/// of the other, is what whoever publishes such a name has to know.
fn without_route(host: &str, addresses: &[SocketAddr]) -> Failure {
    let (has, other) = match addresses {
        [first, rest @ ..] if rest.iter().all(|a| a.is_ipv6() == first.is_ipv6()) => match first {
            SocketAddr::V4(_) => (IpFamily::Ipv4, IpFamily::Ipv6),
            SocketAddr::V6(_) => (IpFamily::Ipv6, IpFamily::Ipv4),
        },
        _ => return Failure::Local(LocalFault::NoRoute),
    };
    if route::has_network(other) && !route::has_network(has) {
        return Failure::OnlyOtherFamily { host: host.to_owned(), has };
    }
    Failure::Local(LocalFault::NoRoute)
}

/// To an address that stands in the URL itself, and is none that is refused.
async fn connect_to(address: SocketAddr, family: IpFamily, trace: &Trace) -> Result<(TcpStream, SocketAddr), Failure> {
    if !family.takes(address.ip()) {
        let has = Some(IpFamily::of(address.ip()));
        return Err(Failure::NoAddress { host: address.ip().to_string(), wanted: family, has });
    }
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
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Failure> {
    if let [address] = addresses[..] {
        return attempt(address).await;
    }
    let stagger = stagger(addresses.len(), deadline.saturating_duration_since(Instant::now()));
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            running.push(attempt(*address));
        }
        let ended = if waiting.len() > 0 { timeout(stagger, running.next()).await } else { Ok(running.next().await) };
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

fn stagger(addresses: usize, left: Duration) -> Duration {
    STAGGER.min(left / 2 / u32::try_from(addresses).unwrap_or(u32::MAX).max(1))
}

async fn attempt(address: SocketAddr) -> Result<(TcpStream, SocketAddr), Failure> {
    let started = Instant::now();
    let stream = begin(address).map_err(|errno| not_begun(address, errno))?;
    let opened = async {
        stream.writable().await?;
        match stream.take_error()? {
            None => stream.set_nodelay(true),
            Some(error) => Err(error),
        }
    };
    match opened.await {
        Ok(()) => Ok((stream, address)),
        Err(error) => Err(connect_failure(address, &error, started.elapsed())),
    }
}

/// Begins to connect. An error here is the kernel's own word, by this machine's routes and rules; what the network says comes later
/// and by another way, though often with the same number.
fn begin(address: SocketAddr) -> Result<TcpStream, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    TcpStream::from_std(socket.into()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn not_begun(address: SocketAddr, errno: Errno) -> Failure {
    match errno {
        // No port is left, or there is no address of this family to leave from.
        Errno::ADDRNOTAVAIL if route::source(address.ip()).is_none() => Failure::Local(LocalFault::NoRoute),
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL => Failure::Local(LocalFault::NoRoute),
        errno => connect_failure(address, &errno.into(), Duration::ZERO),
    }
}

pub(super) fn connect_failure(address: SocketAddr, error: &io::Error, after: Duration) -> Failure {
    match Errno::from_io_error(error) {
        // Linux makes these of what a router answers to an IPv6 packet; over IPv4 the same routers give EHOSTUNREACH.
        Some(Errno::NETUNREACH) => return Failure::NetworkUnreachable { address },
        Some(Errno::ACCESS) => return Failure::Prohibited { address },
        _ => {}
    }
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

pub(super) fn no_roots() -> Failure {
    internal("this machine has no trusted root certificates: install its ca-certificates package".into())
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
    fn families_take_turns_and_so_many_addresses_are_enough() {
        assert_eq!(
            interleave(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"])),
            addresses(&["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"])
        );
        let many: Vec<SocketAddr> = (0..40).map(|i| SocketAddr::from(([1, 0, 0, i], 1))).collect();
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
            (Errno::NOMEM, LocalFault::NoMemory),
            (Errno::NOBUFS, LocalFault::NoMemory),
        ] {
            assert_eq!(failure(errno), Failure::Local(fault), "{errno:?}");
        }
        assert_eq!(failure(Errno::CONNREFUSED), Failure::Refused { address });
        assert_eq!(failure(Errno::CONNRESET), Failure::Reset { phase: Phase::Connect });
        assert_eq!(failure(Errno::HOSTUNREACH), Failure::HostUnreachable { address });
        assert_eq!(failure(Errno::NETUNREACH), Failure::NetworkUnreachable { address });
        assert_eq!(failure(Errno::ACCESS), Failure::Prohibited { address });
        assert!(matches!(failure(Errno::TIMEDOUT), Failure::TimedOut { phase: Phase::Connect, .. }));
        assert!(matches!(failure(Errno::PERM), Failure::Local(LocalFault::Internal(_))));
    }

    #[test]
    fn what_the_kernel_says_before_anything_is_sent_is_of_our_own_routes() {
        let address = "192.0.2.1:1".parse().unwrap();
        for errno in [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::ACCESS] {
            assert_eq!(not_begun(address, errno), Failure::Local(LocalFault::NoRoute), "{errno:?}");
        }
        let loopback = "127.0.0.1:1".parse().unwrap();
        assert_eq!(not_begun(loopback, Errno::ADDRNOTAVAIL), Failure::Local(LocalFault::NoLocalPort));
    }

    #[test]
    fn all_addresses_are_tried_in_the_first_half_of_the_time() {
        let ten = Duration::from_secs(10);
        assert_eq!(stagger(2, ten), STAGGER);
        assert_eq!(stagger(ADDRESSES_MAX, ten) * 32, ten / 2);
        assert_eq!(stagger(8, Duration::from_secs(1)), Duration::from_micros(62_500));
        assert_eq!(stagger(0, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_stray_address_is_passed_over_beside_a_good_one_alone() {
        let pass = |list: &[&str]| passable(addresses(list), &Allowed::default());
        assert_eq!(pass(&["[fe80::1]:1", "127.0.0.1:1"]).unwrap(), addresses(&["127.0.0.1:1"]));
        for refused in
            [&["[fe80::1]:1"][..], &["127.0.0.1:1", "169.254.1.1:1"], &["[fe80::a9fe:a9fe]:1", "127.0.0.1:1"]]
        {
            assert!(matches!(pass(refused), Err(Failure::AddressRefused { .. })), "{refused:?}");
        }
    }
}
