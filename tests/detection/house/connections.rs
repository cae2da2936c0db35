//! Connections that do not come about: refused, swallowed, and refused by the network on the way.

use std::sync::Arc;

use crate::far::Switch;
use crate::play::{Play, well};
use crate::scenario::{Scenario, outage, unclear, untold};
use crate::world::{FAR, FAR_TOO, FAR_V6, World};

const GONE: &[&str] = &["unreachable", "no route", "let through"];
const SWALLOWED: &[&str] = &["while connecting"];

pub(super) fn add(world: &mut World) {
    for (name, host, bad, words) in [
        ("refused", FAR.to_string(), Play::Refuse, &["refused"][..]),
        ("refused, IPv6", format!("[{FAR_V6}]"), Play::Refuse, &["refused"]),
        ("a queue of connections that is full", FAR.to_string(), Play::Deaf, SWALLOWED),
    ] {
        let target = world.far.target(well().serve());
        let switch = target.switch(well().serve(), bad);
        world.add(Scenario::of_one(name, &format!("http://{host}:{}/", target.port), "", outage(switch, words)));
    }
    // While others of its family are in trouble, one is well.
    let target = world.far.target(well().serve());
    let well_by_v6 = format!("http://[{FAR_V6}]:{}/", target.port);
    world.add(Scenario::of_one("well, IPv6", &well_by_v6, "", untold(Arc::new(|_| ()))));
    routed(world);
    one_of_two(world);
}

/// Addresses behind the router that the far side is: it no longer has them, and says so, or nothing.
fn routed(world: &mut World) {
    let (v4, v6) = (|n: u8| format!("10.88.0.{n}"), |n: u8| format!("fd88::{n:x}"));
    let all = [
        ("swallowed on the way", v4(1), Some("blackhole"), SWALLOWED),
        ("unreachable, says a router", v4(2), Some("unreachable"), GONE),
        ("prohibited, says a router", v4(3), Some("prohibit"), GONE),
        ("a withdrawn prefix", v4(4), None, GONE),
        ("swallowed on the way, IPv6", v6(1), Some("blackhole"), SWALLOWED),
        ("unreachable, says a router, IPv6", v6(2), Some("unreachable"), GONE),
        ("prohibited, says a router, IPv6", v6(3), Some("prohibit"), GONE),
        ("a withdrawn prefix, IPv6", v6(4), None, GONE),
    ];
    for (n, (name, address, kind, words)) in all.into_iter().enumerate() {
        let there = Remote::new(world, &address, n + 20);
        let (net, address) = (Arc::clone(&world.far.net), there.address.clone());
        let (family, length) = (there.family, there.length);
        let switch: Switch = Arc::new(move |on| {
            let of_lo = format!("{address}/{length} dev lo");
            if on {
                net.ip(&format!("{family} addr del {of_lo}"));
            }
            if let Some(kind) = kind {
                let change = if on { "add" } else { "del" };
                net.ip(&format!("{family} route {change} {kind} {address}"));
            }
            if !on {
                net.ip(&format!("{family} addr add {of_lo}"));
            }
        });
        world.add(Scenario::of_one(name, &there.url, "", outage(switch, words)));
    }
    for (n, (name, address, kind)) in [
        ("unreachable by a route of our own", v4(8), "unreachable"),
        ("prohibited by a route of our own", v4(9), "prohibit"),
        ("unreachable by a route of our own, IPv6", v6(8), "unreachable"),
    ]
    .into_iter()
    .enumerate()
    {
        let there = Remote::new(world, &address, n + 40);
        let (net, url) = (Arc::clone(&world.near), there.url.clone());
        let switch: Switch = Arc::new(move |on| {
            let (family, address) = (there.family, &there.address);
            if on {
                net.ip(&format!("{family} route replace {kind} {address}"));
            } else {
                net.ip(&format!("{family} route del {kind} {address}"));
                net.ip(&there.route);
            }
        });
        // The API may be well for all others: it is not accused, and that nothing can be told of it is told.
        let story = unclear(switch, &["no route"]);
        world.add(Scenario::of_one(name, &url, "unclear_after_seconds = 5", story));
    }
}

/// An address behind the router, and the way to it.
struct Remote {
    address: String,
    family: &'static str,
    length: u8,
    url: String,
    /// What makes the route.
    route: String,
}

impl Remote {
    /// The way has an address of its own at our end: routers say no more than so much a second to one address.
    fn new(world: &World, address: &str, n: usize) -> Self {
        let is_v6 = address.contains(':');
        let (family, length, host) =
            if is_v6 { ("-6", 128, format!("[{address}]")) } else { ("-4", 32, address.to_owned()) };
        world.far.net.ip(&format!("{family} addr add {address}/{length} dev lo"));
        let route = if is_v6 {
            format!("-6 route replace {address} via {FAR_V6} dev near")
        } else {
            world.near.ip(&format!("addr add 10.77.0.1{n}/32 dev near"));
            format!("route replace {address} via {FAR} dev near src 10.77.0.1{n}")
        };
        world.near.ip(&route);
        let target = world.far.target(well().serve());
        Self { address: address.to_owned(), family, length, url: format!("http://{host}:{}/", target.port), route }
    }
}

/// A name with two addresses of which one is good.
fn one_of_two(world: &mut World) {
    let target = world.far.target_at(FAR.into(), well().serve());
    let (good, refusing, silent) = (FAR.into(), FAR_TOO[0].into(), [10, 88, 1, 1].into());
    world.far.net.ip("route add blackhole 10.88.1.0/24");
    for (label, other) in [("one address of two refuses", refusing), ("one address of two is silent", silent)] {
        let name = world.name(&crate::scenario::id(label), &[good]);
        let (names, looked_up) = (world.names.clone(), name.clone());
        let switch: Switch = Arc::new(move |on| {
            let addresses = if on { vec![other, good] } else { vec![good] };
            names.set(&looked_up, crate::name_server::Said::Addresses(addresses));
        });
        world.add(Scenario::of_one(label, &format!("http://{name}:{}/", target.port), "", untold(switch)));
    }
}
