//! Names: what the name server says of one of them while all others are answered, so that the fault is that name's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::far::{Switch, Target};
use crate::name_server::{NO_ERROR, NXDOMAIN, REFUSED, SERVFAIL, Said};
use crate::play::well;
use crate::scenario::{Scenario, id, outage, untold};
use crate::world::{FAR, FAR_TOO, World};

const NOT_FOUND: &[&str] = &["not found", "has no"];
const FAILED: &[&str] = &["looked up", "looking up"];

pub(super) fn add(world: &mut World) {
    let target = world.far.target_at(FAR.into(), well().serve());
    for (name, bad, words) in [
        ("a name that does not exist", Said::Code(NXDOMAIN), NOT_FOUND),
        ("a name without an address", Said::Code(NO_ERROR), NOT_FOUND),
        ("a name that gets SERVFAIL", Said::Code(SERVFAIL), FAILED),
        ("a name that gets REFUSED", Said::Code(REFUSED), FAILED),
        ("a name that gets no answer", Said::Silence, FAILED),
        ("a name that gets garbage", Said::Garbage, FAILED),
        ("a name that is cut, and nothing over TCP", Said::Cut(Vec::new()), FAILED),
        ("a name with a wrong address", Said::Addresses(vec![FAR_TOO[0].into()]), &["refused"]),
        ("a name that leads to the metadata service", Said::Addresses(vec![[169, 254, 169, 254].into()]), &["never"]),
        ("a name that leads to link-local IPv6", Said::Addresses(vec!["fe80::1".parse().unwrap()]), &["never"]),
    ] {
        let (url, switch) = named(world, &target, name, bad);
        world.add(Scenario::of_one(name, &url, "", outage(switch, words)));
    }
    let far: IpAddr = FAR.into();
    for (name, odd) in [
        ("a name that is answered late", Said::Late(Duration::from_millis(400), vec![far])),
        ("a name that is cut, and whole over TCP", Said::Cut(vec![far])),
        ("a good address and a stray link-local one", Said::Addresses(vec!["fe80::1".parse().unwrap(), far])),
        ("a good address and a dead one of IPv6", Said::Addresses(vec!["fd88:1::1".parse().unwrap(), far])),
    ] {
        let (url, switch) = named(world, &target, name, odd);
        world.add(Scenario::of_one(name, &url, "", untold(switch)));
    }
    let name = "a name of the hosts file";
    let (url, switch) = named(world, &target, name, Said::Code(NXDOMAIN));
    append(world, "hosts", &format!("{FAR} {}.example\n", id(name)));
    world.add(Scenario::of_one(name, &url, "", untold(switch)));
    let name = "a short name and the search rule";
    let (url, switch) = named(world, &target, name, Said::Code(NXDOMAIN));
    append(world, "resolv.conf", "search example\n");
    world.add(Scenario::of_one(name, &url.replace(".example", ""), "", outage(switch, NOT_FOUND)));
}

fn append(world: &World, file: &str, line: &str) {
    let path = world.etc.path().join(file);
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before + line).unwrap();
}

/// The URL of an API by a name that is answered so while the fault is on.
fn named(world: &World, target: &Target, name: &str, said: Said) -> (String, Switch) {
    let host = world.name(&id(name), &[FAR.into()]);
    let (names, looked_up) = (world.names.clone(), host.clone());
    let switch: Switch = Arc::new(move |on| {
        names.set(&looked_up, if on { said.clone() } else { Said::Addresses(vec![FAR.into()]) });
    });
    (format!("http://{host}:{}/", target.port), switch)
}
