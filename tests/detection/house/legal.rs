//! What other clients put up with: an API that they are served by is not down.

use std::net::SocketAddr;

use crate::play::{End, Step, by_request, bytes, http, well};
use crate::scenario::{Scenario, id, untold};
use crate::world::{FAR, World};

use super::fine;

pub(super) fn add(world: &mut World) {
    let ok = |headers: &[u8]| {
        let parts: [&[u8]; 3] = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", headers, b"\r\nhi"];
        bytes(parts.concat(), End::Hold)
    };
    for (name, headers) in [
        ("a folded header", &b"x-note: one\r\n two\r\n"[..]),
        ("a control character in a cookie", b"set-cookie: a=\x01b\r\n"),
        ("odd bytes in a header", b"x-note: \xfc\xff\r\n"),
        ("an empty header", b"x-note:\r\n"),
    ] {
        fine(world, name, "", ok(headers));
    }
    let latin_1 = |head: &str| {
        let answer: &[u8] = if head.starts_with("GET /caf%E9 ") {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
        } else {
            b"HTTP/1.1 301 Moved\r\nlocation: /caf\xe9\r\ncontent-length: 0\r\n\r\n"
        };
        vec![Step::Send(answer.to_vec())]
    };
    fine(world, "a location in Latin-1", "max_redirects = 1", by_request(latin_1, End::Hold));
    let cookie = |head: &str| {
        let answer = if head.to_ascii_lowercase().contains("cookie: seen=1") {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
        } else if head.starts_with("GET / ") {
            "HTTP/1.1 302 Found\r\nset-cookie: seen=1; Path=/\r\nlocation: /in\r\ncontent-length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
        };
        vec![Step::Send(answer.into())]
    };
    fine(world, "a cookie that the next page wants", "max_redirects = 1", by_request(cookie, End::Hold));
    fine(world, "status 999 where it is expected", "expected_status = \"200,999\"", http("999 Odd", ""));
    world.add(upgrade(world));
    fine(world, "line feeds alone", "", bytes("HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", End::Hold));
}

/// From http to https on one host: what was configured goes along, and the server asks for it.
fn upgrade(world: &World) -> Scenario {
    let name = "an upgrade to https of the same host";
    let host = world.name(&id(name), &[FAR.into()]);
    let wants = |head: &str| {
        let status = if head.contains("known-to-the-firewall") { "200 OK" } else { "403 Forbidden" };
        vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi").into_bytes())]
    };
    let secure = by_request(wants, End::Hold).over(&world.authority.server(&[&host]));
    world.far.target_on(SocketAddr::new(FAR.into(), 443), secure.serve());
    let target = world.far.target_on(SocketAddr::new(FAR.into(), 80), well().serve());
    let to = http("301 Moved", &format!("location: https://{host}/\r\n"));
    let fields = "max_redirects = 1\nheaders = { User-Agent = \"known-to-the-firewall\" }";
    let story = untold(target.switch(well().serve(), to.serve()));
    Scenario::of_one(name, &format!("http://{host}/"), fields, story)
}
