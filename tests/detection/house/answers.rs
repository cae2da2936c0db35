//! What an API answers: every class of status, and bytes that are no answer, or not all of it.

use crate::play::{End, Step, by_request, bytes, http};
use crate::world::{FAR, World};

use super::{down, down_with, fine};

pub(super) fn add(world: &mut World) {
    statuses(world);
    redirects(world);
    no_answers(world);
    cut_answers(world);
}

fn statuses(world: &mut World) {
    down(world, "status 101 that nobody asked for", http("101 Switching Protocols", ""), &["status 101"]);
    down(world, "status 304 that nobody asked for", http("304 Not Modified", ""), &["status 304"]);
    down(world, "status 401", http("401 Unauthorized", "www-authenticate: Basic\r\n"), &["status 401"]);
    down(world, "status 404", http("404 Not Found", ""), &["status 404"]);
    down(world, "status 500", http("500 Internal Server Error", ""), &["status 500"]);
    down(world, "status 503", http("503 Service Unavailable", ""), &["status 503"]);
    down(world, "status 999", http("999 Odd", ""), &["status 999"]);
    down_with(
        world,
        "status 200 where 404 is expected",
        "expected_status = \"200,404\"",
        http("201 Created", ""),
        &["status 201"],
    );
    fine(world, "status 404 where it is expected", "expected_status = \"200,404\"", http("404 Not Found", ""));
    fine(
        world,
        "status 204 with a length",
        "",
        bytes("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", End::Hold),
    );
}

fn redirects(world: &mut World) {
    down(
        world,
        "a redirect where none is followed",
        http("301 Moved", "location: /there\r\n"),
        &["status 301", "/there"],
    );
    let chain = |length: usize| {
        let next = move |head: &str| {
            let at: usize =
                head.split(' ').nth(1).and_then(|path| path.trim_start_matches('/').parse().ok()).unwrap_or(0);
            let answer = if at >= length {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned()
            } else {
                format!("HTTP/1.1 302 Found\r\nlocation: /{}\r\ncontent-length: 0\r\n\r\n", at + 1)
            };
            vec![Step::Send(answer.into_bytes())]
        };
        by_request(next, End::Hold)
    };
    let follow = "max_redirects = 3";
    fine(world, "three redirects where three are followed", follow, chain(3));
    down_with(world, "four redirects where three are followed", follow, chain(4), &["redirect"]);
    down_with(world, "a redirect to itself", follow, http("302 Found", "location: /\r\n"), &["redirect"]);
    let metadata = http("302 Found", "location: http://169.254.169.254/latest/meta-data/\r\n");
    down_with(world, "a redirect to the metadata service", follow, metadata, &["never"]);
    down_with(
        world,
        "a redirect to a file",
        follow,
        http("302 Found", "location: file:///etc/passwd\r\n"),
        &["redirect"],
    );
    let nowhere = http("302 Found", &format!("location: http://{FAR}:9/\r\n"));
    down_with(world, "a redirect to a port that is closed", follow, nowhere, &["refused"]);
}

fn no_answers(world: &mut World) {
    let not_http: &[&str] = &["not valid HTTP"];
    down(world, "garbage", bytes("garbage\r\n\r\n", End::Hold), not_http);
    down(world, "an SSH server", bytes("SSH-2.0-OpenSSH_9.2\r\n", End::Hold).early(), not_http);
    down(world, "two lengths that differ", http("200 OK", "content-length: 3\r\n"), not_http);
    down(
        world,
        "a length that is no number",
        bytes("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nhi", End::Hold),
        not_http,
    );
    let headers: String = (0..600).map(|n| format!("x-{n}: {n}\r\n")).collect();
    down(world, "600 headers", http("200 OK", &headers), not_http);
    down(world, "a header of 300 KB", http("200 OK", &format!("x: {}\r\n", "v".repeat(300_000))), not_http);
    fine(world, "a header of 100 KB", "", http("200 OK", &format!("x: {}\r\n", "v".repeat(100_000))));
    down(world, "reset before an answer", bytes("", End::Reset), &["reset"]);
    down(world, "closed before an answer", bytes("", End::Fin), &["closed"]);
    down(world, "half closed before the request", bytes("", End::Fin).early(), &["closed"]);
}

fn cut_answers(world: &mut World) {
    let of_ten = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    down(world, "a body cut short of its length", bytes(of_ten, End::Fin), &["cut short"]);
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    down(world, "a body cut between chunks", bytes(chunk, End::Fin), &["cut short"]);
    down(world, "a body cut within a chunk", bytes(chunk.replace("3\r\n", "9\r\n"), End::Fin), &["cut short"]);
    down(world, "reset in the body", bytes(of_ten, End::Reset), &["reset"]);
    down(world, "a head cut short", bytes("HTTP/1.1 200 OK\r\ncontent-le", End::Fin), &["closed"]);
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let then =
        |first: &str, last: &str| bytes(format!("{first}HTTP/1.1 {last}\r\ncontent-length: 2\r\n\r\nhi"), End::Hold);
    fine(world, "early hints, then 200", "", then(hints, "200 OK"));
    fine(world, "100 Continue, then 200", "", then("HTTP/1.1 100 Continue\r\n\r\n", "200 OK"));
    down(world, "early hints, then 503", then(hints, "503 No"), &["status 503"]);
    down(world, "early hints, then the end", bytes(hints, End::Fin), &["closed"]);
}
