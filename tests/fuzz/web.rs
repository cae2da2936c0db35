//! What comes over HTTP to the page: paths, queries, headers and what is no request at all, over a real socket.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};

use api_health_actors::board::Board;
use api_health_actors::testkit;
use api_health_core::ApiConfig;
use api_health_web::access::TokenHash;
use api_health_web::model::{About, NoneElsewhere};
use api_health_web::{Access, Limits, Listen, Server, Site, server};
use proptest::prelude::*;

use crate::bytes::bytes;
use crate::{NOW, SECRET, SOON, StillClock, config, soon};

const PATHS: &[&str] = &[
    "/",
    "/apis",
    "/apis/shop",
    "/apis?tag=a&state=down&q=x&sort=name&cursor=0&limit=1000&tz=Europe/Berlin",
    "/incidents",
    "/incidents/shop.1.1",
    "/reports/2026-11",
    "/wall",
    "/public",
    "/api/v1/summary",
    "/api/v1/apis?limit=1&cursor=x",
    "/api/v1/apis/shop",
    "/api/v1/apis/shop/history?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&step=hour",
    "/api/v1/incidents",
    "/api/v1/reports/2026-11",
    "/api/v1/openapi.json",
    "/api/v2/summary.json",
    "/feed.atom",
    "/badge/shop/status.svg",
    "/badge/shop/uptime-30d.json",
    "/metrics",
    "/probe?target=https://a.test/",
    "/sd/prometheus",
    "/healthz",
    "/readyz",
];

const WORDS: &[&str] = &[
    "GET ",
    "HEAD ",
    "POST ",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "\r\n\r\n",
    "\r\n",
    "Host: ",
    "localhost",
    "[::1]:8462",
    "evil.example",
    "Last-Event-ID: ",
    "If-None-Match: W/\"1\"\r\n",
    "Accept-Encoding: gzip\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "Authorization: Basic ",
    "Authorization: Bearer ",
    "X-Forwarded-For: 192.0.2.1\r\n",
    "%",
    "%00",
    "%2e%2e/",
    "%ff",
    "//",
    "?",
    "&",
    "=",
    "#",
    "2026-13",
    "9999999999999999999999",
    "-1",
];

fn seeds() -> Vec<Vec<u8>> {
    let whole =
        |path: &&str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\r\n\r\n").into_bytes();
    PATHS.iter().map(whole).collect()
}

/// One server for all cases, over three APIs. What is secret of them stands where secrets stand.
fn page() -> &'static Server {
    static PAGE: OnceLock<Server> = OnceLock::new();
    PAGE.get_or_init(|| {
        let board = Arc::new(Board::default());
        let view = |id: &str| {
            let headers = vec![("Authorization".into(), api_health_core::Secret::new(SECRET))];
            testkit::board::view(ApiConfig { headers, ..testkit::api(id, 60) }, NOW)
        };
        testkit::board::show(&board, ["shop", "mail", "blog"].map(view).into(), Vec::new(), NOW);
        let site = Site {
            board,
            stats: Arc::default(),
            history: None,
            clock: Arc::new(StillClock),
            elsewhere: Arc::new(NoneElsewhere),
            about: About::default(),
        };
        let access = Access { tokens: vec![TokenHash::of("x")], ..Access::default() };
        let addresses = vec![([127, 0, 0, 1], 0).into()];
        server::start(site, &Listen { addresses, access, limits: Limits::default() }).unwrap()
    })
}

/// The first of what is answered to these bytes and nothing more; a stream of events goes on until it is left.
fn answer_to(request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(page().addresses()[0]).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // Whoever is refused early may not read to the end.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let (mut answer, mut part) = (Vec::new(), [0; 4_096]);
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
        if answer.windows(17).any(|window| window == b"text/event-stream") {
            break;
        }
    }
    answer
}

fn check(request: &[u8]) -> Result<(), TestCaseError> {
    let answer = soon(|| answer_to(request));
    let text = String::from_utf8_lossy(&answer);
    prop_assert!(!text.starts_with("HTTP/1.1 500") && !text.contains(SECRET), "{text}");
    prop_assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text}");
    prop_assert!(page().is_alive());
    Ok(())
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn any_bytes_are_answered_or_refused(request in bytes(seeds(), WORDS)) {
        check(&request)?;
    }

    #[test]
    fn any_path_query_and_header_is_answered_or_refused(
        path in prop::sample::select(PATHS),
        more in "[!-~]{0,40}",
        name in prop::sample::select(&["Host", "Last-Event-ID", "If-None-Match", "Authorization", "Accept", "Cookie"][..]),
        value in "[ -~\u{80}-\u{ff}]{0,40}",
    ) {
        let host = if name == "Host" { "" } else { "Host: localhost\r\n" };
        check(format!("GET {path}{more} HTTP/1.1\r\n{host}{name}: {value}\r\n\r\n").as_bytes())?;
    }
}
