//! TLS: certificates that are not good, and handshakes that come to nothing.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::certificates::{Authority, self_signed};
use crate::far::Switch;
use crate::play::{Act, End, bytes, well};
use crate::scenario::{Scenario, id, outage, untold};
use crate::world::{FAR, World};

const HTTP: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

pub(super) fn add(world: &mut World) {
    certificates(world);
    handshakes(world);
    goodbyes(world);
}

/// The URL of an API by https, whose server is well, and does what `bad` makes of its name while the fault is on.
fn server(world: &World, name: &str, bad: impl FnOnce(&Authority, &str) -> Act) -> (String, Switch) {
    let host = world.name(&id(name), &[FAR.into()]);
    let good = well().over(&world.authority.server(&[&host])).serve();
    let target = world.far.target(good.clone());
    let switch = target.switch(good, bad(&world.authority, &host).serve());
    (format!("https://{host}:{}/", target.port), switch)
}

fn down(world: &mut World, name: &str, words: &'static [&'static str], bad: impl FnOnce(&Authority, &str) -> Act) {
    let (url, switch) = server(world, name, bad);
    world.add(Scenario::of_one(name, &url, "", outage(switch, words)));
}

fn fine(world: &mut World, name: &str, odd: impl FnOnce(&Authority, &str) -> Act) {
    let (url, switch) = server(world, name, odd);
    world.add(Scenario::of_one(name, &url, "", untold(switch)));
}

fn certificates(world: &mut World) {
    let with = |config: Arc<ServerConfig>| well().over(&config);
    down(world, "certificate expired", &["expired"], |authority, host| {
        with(authority.server_with(&[host], |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }))
    });
    down(world, "certificate not yet valid", &["not valid before", "not yet valid"], |authority, host| {
        with(authority.server_with(&[host], |params| {
            params.not_before = rcgen::date_time_ymd(2090, 1, 1);
            params.not_after = rcgen::date_time_ymd(2091, 1, 1);
        }))
    });
    down(world, "certificate for another name", &["other.example"], |authority, _| {
        with(authority.server(&["other.example"]))
    });
    down(world, "certificate of an unknown authority", &["issuer is unknown", "unknown"], |_, host| {
        with(Authority::new("another authority").server(&[host]))
    });
    down(world, "certificate signed by itself", &["certificate"], |_, host| with(self_signed(&[host])));
    down(world, "certificate without its intermediate", &["certificate"], |authority, host| {
        with(authority.below("an intermediate").server(&[host]))
    });
    fine(world, "certificate with its intermediate", |authority, host| {
        with(authority.below("an intermediate").server_with_chain(&[host]))
    });
    let name = "a certificate wanted of us";
    let (url, switch) = server(world, name, |authority, host| with(authority.server_that_wants_one(&[host])));
    let wanted = Scenario::of_one(name, &url, "", outage(switch, &["client certificate"]));
    world.add(wanted);
}

fn handshakes(world: &mut World) {
    // What a server says that has TLS 1.1 and nothing newer.
    down(world, "an old version of TLS alone", &["TLS"], |_, _| {
        bytes(b"\x15\x03\x02\x00\x02\x02\x46", End::Fin).early()
    });
    // What a server says that has no cipher suite that we have.
    let name = "old cipher suites alone";
    let (url, switch) = server(world, name, |_, _| bytes(b"\x15\x03\x03\x00\x02\x02\x28", End::Fin).early());
    world.add(Scenario::of_one(name, &url, "", outage(switch, &["suite"])));
    down(world, "a handshake that stalls", &["doing the TLS handshake"], |_, _| bytes("", End::Hold).early());
    down(world, "a handshake that is closed", &["closed"], |_, _| bytes("", End::Fin).early());
    down(world, "a handshake that is reset", &["reset"], |_, _| bytes("", End::Reset).early());
    down(world, "plain HTTP where TLS is asked for", &["does not speak TLS"], |_, _| {
        bytes("HTTP/1.1 400 Bad Request\r\n\r\n", End::Fin).early()
    });
}

/// Ends of a connection without the goodbye of TLS.
fn goodbyes(world: &mut World) {
    let cut = HTTP.replace("length: 2", "length: 9");
    down(world, "a body cut short, and no goodbye", &["cut short"], move |authority, host| {
        bytes(cut, End::NoNotify).over(&authority.server(&[host]))
    });
    for (name, text) in
        [("a whole body, and no goodbye", HTTP), ("a body to the end, and no goodbye", "HTTP/1.1 200 OK\r\n\r\nhi")]
    {
        fine(world, name, |authority, host| bytes(text, End::NoNotify).over(&authority.server(&[host])));
    }
}
