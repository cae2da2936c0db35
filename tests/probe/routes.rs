//! What the network on the way says, and what this machine's own routes say: the same numbers of errors, and two faults.

use std::net::IpAddr;
use std::time::Duration;

use api_health::probe::{Client, Request, Resolver};
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, IpFamily};

use crate::own_network;
use crate::server::{get, run};

/// A machine with one router, which refuses some addresses of the ranges for documentation.
const ROUTER: &str = "
    ip netns add router
    ip link add near type veth peer name far netns router
    ip addr add 10.9.0.2/24 dev near
    ip -6 addr add fd09::2/64 dev near nodad
    ip link set near up
    ip -n router link set lo up
    ip -n router addr add 10.9.0.1/24 dev far
    ip -n router -6 addr add fd09::1/64 dev far nodad
    ip -n router link set far up
    ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 1 >/proc/sys/net/ipv4/ip_forward'
    ip -n router -6 route add prohibit 2001:db8::1
    ip -n router -6 route add unreachable 2001:db8::2
    ip -n router route add prohibit 203.0.113.1
    ip -n router route add unreachable 203.0.113.2
    ip route add default via 10.9.0.1
    ip -6 route add default via fd09::1
    ip route add unreachable 198.51.100.2
    ip -6 route add prohibit 2001:db8::3
";

fn failure(client: &Client, host: &str) -> Failure {
    let request = Request { timeout: Duration::from_secs(20), ..get(&format!("http://{host}/")) };
    run(client.exchange(&request)).result.unwrap_err()
}

fn resolving_to(addresses: &[&str]) -> Client {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let resolver = Resolver::from_fn(move |_, port| {
        let found = addresses.iter().map(|ip| (*ip, port).into()).collect();
        Box::pin(async move { Ok(found) })
    });
    Client::new(None).unwrap().with_resolver(resolver)
}

#[test]
fn what_a_router_says_is_told_apart_from_routes_of_our_own() {
    own_network::run("routes::what_a_router_says_is_told_apart_from_routes_of_our_own", ROUTER, || {
        let client = Client::new(None).unwrap();
        let at = |text: &str| format!("{text}:80").parse().unwrap();
        let no_route = Failure::Local(LocalFault::NoRoute);
        assert_eq!(failure(&client, "[2001:db8::1]"), Failure::Prohibited { address: at("[2001:db8::1]") });
        assert_eq!(failure(&client, "[2001:db8::2]"), Failure::NetworkUnreachable { address: at("[2001:db8::2]") });
        for host in ["203.0.113.1", "203.0.113.2"] {
            assert_eq!(failure(&client, host), Failure::HostUnreachable { address: at(host) });
        }
        for host in ["198.51.100.2", "[2001:db8::3]"] {
            assert_eq!(failure(&client, host), no_route, "by our own route to {host}");
        }

        own_network::shell("ip -6 route del default");
        assert_eq!(failure(&client, "[2001:db8::1]"), no_route);
        let only = resolving_to(&["2001:db8::1", "2001:db8::2"]);
        let other = Failure::OnlyOtherFamily { host: "a.test".into(), has: IpFamily::Ipv6 };
        assert_eq!(failure(&only, "a.test"), other, "which has an IPv4 network");
        assert_eq!(failure(&only.with_family(IpFamily::Ipv6), "a.test"), no_route, "it was asked for");
        let both = resolving_to(&["2001:db8::1", "203.0.113.1"]);
        assert_eq!(failure(&both, "a.test"), Failure::HostUnreachable { address: at("203.0.113.1") });

        own_network::shell("ip route del default");
        assert_eq!(failure(&resolving_to(&["2001:db8::1"]), "a.test"), no_route, "nothing leads anywhere");
    });
}
