//! Whether this machine has a way to an address, by its own routes. Nothing is sent: a UDP socket is connected, for which the
//! kernel looks its routes up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use api_health_core::IpFamily;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};

/// Addresses that stand for any on the internet (RFC 5737, RFC 3849): who has a default route has one to them.
const ANYWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ANYWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The address of this machine from which it would reach `address`; `None` if it has no route there.
pub fn source(address: IpAddr) -> Option<IpAddr> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    connect(&socket, &SocketAddr::new(address, 53)).ok()?;
    SocketAddr::try_from(getsockname(&socket).ok()?).ok().map(|address| address.ip())
}

/// Whether this machine has a network of this family: a route to the internet.
pub fn has_network(family: IpFamily) -> bool {
    match family {
        IpFamily::Any => has_network(IpFamily::Ipv4) || has_network(IpFamily::Ipv6),
        IpFamily::Ipv4 => source(ANYWHERE_V4.into()).is_some(),
        IpFamily::Ipv6 => source(ANYWHERE_V6.into()).is_some(),
    }
}

/// IPv6 before IPv4, as RFC 6724 has it; but IPv4 first where IPv6 leads nowhere, or would leave from an address that is good
/// inside this network alone. Within a family the name servers' order stays.
pub(super) fn best_first(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first = |v6: bool| addresses.iter().copied().find(|address| address.is_ipv6() == v6);
    let (Some(_), Some(v6)) = (first(false), first(true)) else { return addresses };
    let is_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unique_local());
    let v6_first = source(v6).is_some_and(|from| is_local(v6) || !is_local(from));
    let (mut sorted, rest): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|ip| ip.is_ipv6() == v6_first);
    sorted.extend(rest);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_a_route_from_itself() {
        assert_eq!(source(Ipv4Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(source(Ipv4Addr::BROADCAST.into()), None, "which the kernel refuses");
    }

    #[test]
    fn one_family_stays_in_its_order() {
        let addresses: Vec<IpAddr> = [[10, 0, 0, 2], [10, 0, 0, 1]].map(IpAddr::from).to_vec();
        assert_eq!(best_first(addresses.clone()), addresses);
    }
}
