//! What the server holds to, over real sockets: who is let in, and that nobody gets more than a share.

#![allow(clippy::disallowed_methods, reason = "tests that wait for sockets, beside no actor")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Limits, TARGET_BYTES_MAX};
use crate::access::{Access, TokenHash};
use crate::testing::{LARGE, Shop, up, up_with};

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(shop: &Shop) -> TcpStream {
    let stream = TcpStream::connect(shop.server.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the server ends the connection.
fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // Who is refused while it still sends may be cut off.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(shop: &Shop, head: &str) -> String {
    let mut stream = connect(shop);
    stream.write_all(head.as_bytes()).unwrap();
    rest_of(&mut stream)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn a_stranger_is_asked_for_a_token_and_learns_nothing() {
    let access = Access { tokens: vec![TokenHash::of("let me in")], ..Access::default() };
    let shop = Shop::open(vec![up("shop")], access);
    let from_elsewhere = |path: &str, more: &str| {
        ask(&shop, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n{more}\r\n"))
    };
    for path in ["/", "/nothing/there", "/healthz/x"] {
        let refused = from_elsewhere(path, "");
        assert_eq!(status(&refused), "401", "{path}: {refused}");
        assert!(refused.contains("www-authenticate: Basic realm=") && !refused.contains("shop"), "{refused}");
        assert!(refused.contains("content-security-policy: default-src 'none'"), "{refused}");
    }
    let wrong = from_elsewhere("/", "Authorization: Bearer let me out\r\n");
    assert_eq!(status(&wrong), "401", "{wrong}");
    let good = from_elsewhere("/", "Authorization: Bearer let me in\r\n");
    assert!(status(&good) == "200" && good.contains(">shop<"), "{good}");
    // Whether it lives is no secret, and why it is not ready is one.
    assert_eq!(status(&from_elsewhere("/healthz", "")), "200");
    assert_eq!(status(&from_elsewhere("/readyz", "")), "200");
    shop.clock.set(crate::testing::NOW.plus(Duration::from_secs(300)));
    std::thread::sleep(Duration::from_millis(1_100)); // a snapshot is kept for a second
    let not_ready = from_elsewhere("/readyz", "");
    assert!(status(&not_ready) == "503" && not_ready.ends_with("\r\n\r\nnot ready\n"), "{not_ready}");
}

#[test]
fn it_shows_and_takes_nothing() {
    let shop = Shop::with(vec![up("shop")]);
    let of = |head: &str| ask(&shop, head);
    let post = of("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    assert!(status(&post) == "405" && post.contains("allow: GET, HEAD"), "{post}");
    assert_eq!(status(&of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")), "413");
    assert_eq!(status(&of("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")), "413");
    assert_eq!(status(&of("GET / HTTP/1.1\r\n\r\n")), "400");
    assert_eq!(status(&of("GET / HTTP/1.0\r\n\r\n")), "421");
    assert_eq!(status(&of("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")), "421");
    assert_eq!(status(&of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")), "200");
    let head = of("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"), "{head}");
    let long = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(bytes - 1));
    assert_eq!(status(&of(&long(TARGET_BYTES_MAX))), "404");
    assert_eq!(status(&of(&long(TARGET_BYTES_MAX + 1))), "414");
    for nonsense in ["\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        assert_eq!(status(&of(nonsense)), "400", "{nonsense:?}");
    }
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(status(&of(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"))).as_bytes()[0], b'4');
    assert_eq!(shop_still_answers(&shop), "200");
}

fn shop_still_answers(shop: &Shop) -> String {
    status(&ask(shop, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")).to_owned()
}

#[test]
fn a_head_without_an_end_is_bounded_in_time_and_in_size() {
    let limits = Limits { head_within: Duration::from_millis(500), ..Limits::default() };
    let shop = Shop::bounded(vec![up("shop")], Access::default(), limits);
    let mut half = connect(&shop);
    half.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    let silent = &mut connect(&shop);
    assert_eq!(status(&rest_of(&mut half)), "408");
    assert_eq!(status(&rest_of(silent)), "408");
    // Whoever sends a head of any size is not read to its end.
    let mut endless = connect(&shop);
    endless.set_write_timeout(Some(PATIENCE)).unwrap();
    let line = format!("x: {}\r\n", "a".repeat(1_000));
    let _ = endless.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
    let began = Instant::now();
    while endless.write_all(line.as_bytes()).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it reads on and on");
    }
    assert_eq!(shop_still_answers(&shop), "200");
}

#[test]
fn more_connections_than_are_served_at_once_wait_for_their_turn() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let shop = Shop::bounded(vec![up("shop")], Access::default(), limits);
    let first: Vec<TcpStream> = (0..2).map(|_| connect(&shop)).collect();
    let mut third = connect(&shop);
    third.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let early = third.read(&mut [0; 1]);
    assert!(early.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it was served beside two others");
    drop(first);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(status(&rest_of(&mut third)), "200");
}

#[test]
fn a_slow_reader_holds_nobody_and_is_cut_off() {
    let limits = Limits { connections: 2, taken_within: Duration::from_secs(1), ..Limits::default() };
    let shop = Shop::bounded(vec![up("shop")], Access::default(), limits);
    let slow = || {
        let mut slow = connect(&shop);
        rustix::net::sockopt::set_socket_recv_buffer_size(&slow, 4_096).unwrap();
        slow.write_all(format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        slow.read_exact(&mut [0; 1]).unwrap();
        slow
    };
    let mut first = slow();
    assert_eq!(shop_still_answers(&shop), "200");
    let mut second = slow();
    // All connections are taken. A byte now and then opens no window, so the kernel cuts them off, and whoever waits is served.
    let mut third = connect(&shop);
    third.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (began, mut answer) = (Instant::now(), [0; 12]);
    while third.read_exact(&mut answer).is_err() {
        assert!(began.elapsed() < PATIENCE, "they are served for ever");
        let _ = (first.read(&mut [0; 1]), second.read(&mut [0; 1]));
    }
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn the_public_page_alone_may_be_framed_where_the_settings_say_so() {
    let shop = Shop::with(vec![up_with("shop", |config| config.public = true)]);
    let of = |path: &str| ask(&shop, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(of("/public").contains("frame-ancestors https://www.example.org\r\n"), "{}", of("/public"));
    assert!(of("/").contains("frame-ancestors 'none'\r\n"));
    assert!(of("/badge/shop/status.svg").contains("cross-origin-resource-policy: cross-origin"));
    // Times are in the zone of the settings, where nobody asks for another one.
    assert!(of("/").contains("CET") && of("/?tz=UTC").contains("UTC"), "{}", of("/"));
}

#[test]
fn a_proxy_on_this_machine_that_says_nothing_of_itself_lets_nobody_in() {
    let access = Access { hosts: vec!["status.example.org".into()], ..Access::default() };
    let shop = Shop::open(vec![up("shop")], access);
    for head in [
        "GET / HTTP/1.1\r\nHost: status.example.org\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: 127.0.0.1:8462\r\nConnection: close\r\n\r\n",
    ] {
        let refused = ask(&shop, head);
        assert!(status(&refused) == "401" && !refused.contains("shop"), "{refused}");
    }
}
