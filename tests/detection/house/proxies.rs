//! An API that is asked by way of a proxy: what the proxy does is not charged to the API.

use crate::far::Switch;
use crate::play::{Act, End, Play, Step, by_request, http, well};
use crate::scenario::{Scenario, outage, unclear};
use crate::world::{FAR, World};

pub(super) fn add(world: &mut World) {
    let proxy = |head: &str| {
        let status = if head.starts_with("GET http://behind.example:8080/ ") { "200 OK" } else { "400 Bad Request" };
        vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi").into_bytes())]
    };
    let good = by_request(proxy, End::Hold).serve();
    let refuses = http("407 Proxy Authentication Required", "proxy-authenticate: Basic\r\n").serve();
    for (name, bad) in [("the proxy is gone", Play::Refuse), ("the proxy wants a password", refuses)] {
        let (fields, switch) = asked_by(world, &good, bad, "unclear_after_seconds = 5\n");
        let story = unclear(switch, &["proxy"]);
        world.add(Scenario::of_one(name, "http://behind.example:8080/", &fields, story));
    }
    let name = "bad behind a proxy";
    let (fields, switch) = asked_by(world, &good, http("500 Internal Server Error", "").serve(), "");
    let story = outage(switch, &["status 500"]);
    world.add(Scenario::of_one(name, "http://behind.example:8080/", &fields, story));
    by_connect(world);
}

/// Over https, the proxy opens a connection.
fn by_connect(world: &mut World) {
    const HOST: &str = "secure.example";
    let tls = world.authority.server(&[HOST]);
    let server = |act: Act| act.over(&tls).by_connect().serve();
    let (good, url) = (server(well()), format!("https://{HOST}/"));
    let refuses = http("403 Forbidden", "").serve();
    for (name, bad) in [("a proxy by CONNECT dies", Play::Refuse), ("a proxy by CONNECT refuses us", refuses)] {
        let (fields, switch) = asked_by(world, &good, bad, "unclear_after_seconds = 5\n");
        world.add(Scenario::of_one(name, &url, &fields, unclear(switch, &["proxy"])));
    }
    let bad = server(http("500 Internal Server Error", ""));
    for (name, bad, words) in [
        ("bad behind a proxy by CONNECT", bad, "status 500"),
        ("out of reach of a proxy by CONNECT", http("502 Bad Gateway", "").serve(), "could not open a connection"),
    ] {
        let (fields, switch) = asked_by(world, &good, bad, "");
        let words = vec![words].leak();
        world.add(Scenario::of_one(name, &url, &fields, outage(switch, words)));
    }
}

/// More fields of a row, and the switch of the proxy that they name.
fn asked_by(world: &World, good: &Play, bad: Play, fields: &str) -> (String, Switch) {
    let target = world.far.target(good.clone());
    (format!("{fields}proxy = \"http://{FAR}:{}\"\n", target.port), target.switch(good.clone(), bad))
}
