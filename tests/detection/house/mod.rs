//! The house: many APIs that one daemon watches over a good network, each with a fault of its own.

mod answers;
mod connections;
mod content;
mod handshakes;
mod legal;
mod lookups;
mod patience;
mod proxies;
mod rhythm;
mod ways;

use crate::far::Switch;
use crate::play::{Act, well};
use crate::scenario::{Scenario, outage, untold};
use crate::world::{FAR, World};

pub fn world() -> World {
    let mut world = World::new("house");
    world.far.net.set("ipv4/ip_forward", "1");
    world.far.net.set("ipv6/conf/all/forwarding", "1");
    // What a router says is said to everybody who asks, not once in a second.
    world.far.net.set("ipv4/icmp_ratelimit", "0");
    world.far.net.set("ipv6/icmp/ratelimit", "0");
    for add in [
        answers::add,
        connections::add,
        content::add,
        handshakes::add,
        legal::add,
        lookups::add,
        patience::add,
        proxies::add,
        rhythm::add,
        ways::add,
    ] {
        add(&mut world);
    }
    world
}

/// A server that is well, and does `bad` while the fault is on.
fn server(world: &World, bad: Act) -> (String, Switch) {
    let target = world.far.target(well().serve());
    (format!("http://{FAR}:{}/", target.port), target.switch(well().serve(), bad.serve()))
}

/// An outage of a server that does `bad`.
fn down(world: &mut World, name: &str, bad: Act, words: &'static [&'static str]) {
    down_with(world, name, "", bad, words);
}

/// The same, with more fields of the row.
fn down_with(world: &mut World, name: &str, fields: &str, bad: Act, words: &'static [&'static str]) {
    let (url, switch) = server(world, bad);
    world.add(Scenario::of_one(name, &url, fields, outage(switch, words)));
}

/// Nothing is told of a server that does `odd`.
fn fine(world: &mut World, name: &str, fields: &str, odd: Act) {
    let (url, switch) = server(world, odd);
    world.add(Scenario::of_one(name, &url, fields, untold(switch)));
}
