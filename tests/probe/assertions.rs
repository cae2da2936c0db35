//! Answers that are judged by more than their status: what is asked for, kept and unpacked, and what follows.

use std::io::Read as _;
use std::sync::Arc;

use api_health_actors::ports::Probe as _;
use api_health_core::assertion::{Assertion, judge};
use api_health_core::certificate::Validity;
use api_health_core::{Answer, ApiConfig, Observation, Secret, Timestamp, Verdict};
use flate2::Compression;
use flate2::read::GzEncoder;

use crate::port::{config, probe};
use crate::server::{AUTHORITY, End, Script, Server, run, server_config};

fn expecting(url: &str, assertions: &[&str]) -> ApiConfig {
    let assertions = assertions.iter().map(|text| Arc::new(Assertion::parse(text).unwrap())).collect();
    ApiConfig { assertions, max_redirects: 1, ..config(url) }
}

/// An answer with these headers and this body, whose length is told.
fn answer(headers: &str, body: &[u8]) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Script::new([head.as_bytes(), body].concat(), End::Hold)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(bytes, Compression::best()).read_to_end(&mut packed).unwrap();
    packed
}

/// What is found of a server that plays `script`, where these are expected, and what it was asked.
async fn found(script: Script, assertions: &[&str]) -> (Vec<String>, String) {
    let server = Server::start(None, script).await;
    let api = expecting(&server.url("http"), assertions);
    let seen = probe(1, 4 << 20).probe(Arc::new(api.clone())).await;
    let asked = String::from_utf8(server.asked.borrow().clone()).unwrap();
    let outcome = judge(&api, &seen);
    assert_eq!(outcome.verdict == Verdict::Pass, outcome.reasons.is_empty(), "{outcome:?}");
    (outcome.reasons, asked)
}

#[test]
fn an_answer_is_judged_by_its_body_and_headers() {
    run(async {
        let script =
            || answer("X-Cache: HIT\r\ncontent-type: application/json\r\nx-cache: FAR\r\n", br#"{"db":"up","lag":3}"#);
        let good =
            ["json $.db = \"up\"", "header x-cache = HIT, FAR", "content-type = application/json", "latency < 10 s"];
        let (reasons, asked) = found(script(), &good).await;
        assert_eq!(reasons, [""; 0]);
        assert!(asked.contains("\r\naccept-encoding: gzip, deflate, br\r\n"), "{asked}");
        let (reasons, _) = found(script(), &["json $.lag < 3", "body lacks up", "header age exists"]).await;
        assert_eq!(
            reasons,
            [
                "expected json $.lag < 3, found 3",
                "expected body lacks up, found it at byte 8",
                "expected header age exists, found no such header",
            ]
        );
        let (reasons, asked) = found(script(), &["header x-cache exists"]).await;
        assert!(reasons.is_empty() && !asked.contains("accept-encoding"), "no body is judged: {asked}");
        let (reasons, _) = found(Script::new("HTTP/1.1 503 No\r\n\r\noops", End::Fin), &["body contains well"]).await;
        assert_eq!(reasons, ["status 503 is not in 2xx"], "which says enough");
    });
}

#[test]
fn a_packed_body_is_judged_unpacked_and_a_bomb_is_a_reason() {
    run(async {
        let packed = |coding: &str, body: &[u8]| answer(&format!("content-encoding: {coding}\r\n"), body);
        let page = gzip(b"Welcome");
        assert_eq!(found(packed("gzip", &page), &["body contains Welcome", "body size = 7"]).await.0, [""; 0]);
        let (reasons, _) = found(packed("gzip", &page[..page.len() - 4]), &["body contains Welcome"]).await;
        assert!(reasons.len() == 1 && reasons[0].starts_with("the body cannot be unpacked"), "{reasons:?}");
        let (reasons, _) = found(packed("zstd", &page), &["body contains Welcome"]).await;
        assert_eq!(reasons, ["the body is packed as zstd, which api-health cannot undo and did not ask for"]);
        let bomb = gzip(&vec![0; 256 << 20]);
        let (reasons, _) = found(packed("gzip", &bomb), &["body contains Welcome", "json $.a exists"]).await;
        assert!(reasons.len() == 1 && reasons[0].starts_with("the body is a bomb: "), "{reasons:?}");
        // Nobody looks at the body: nobody unpacks it.
        assert_eq!(found(packed("gzip", &bomb), &["latency < 10 s"]).await.0, [""; 0]);
    });
}

#[test]
fn of_a_long_body_its_first_part_is_judged() {
    run(async {
        let long = "x".repeat(3 << 20) + "end";
        let (reasons, _) = found(answer("", long.as_bytes()), &["body contains xxx", "body contains end"]).await;
        assert_eq!(reasons, ["expected body contains end, found nothing of it in the first 1048576 bytes"]);
        let (reasons, _) = found(answer("", format!("\"{long}\"").as_bytes()), &["json $ exists"]).await;
        assert_eq!(
            reasons,
            ["expected json $ exists, found a body that is longer than the 1048576 bytes that are read"]
        );
    });
}

#[test]
fn the_address_after_redirects_is_judged() {
    run(async {
        let login = Server::start(None, answer("", b"log in")).await;
        let moved =
            |to: &str| Script::new(format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"), End::Hold);
        let to = format!("{}?session=hunter2", login.url("http"));
        let expected = "url lacks /x";
        let (reasons, _) = found(moved(&to), &[expected, "body contains log in"]).await;
        assert_eq!(reasons, [format!("expected {expected}, found {}?***", login.url("http"))]);
        let (reasons, _) = found(moved(&to), &[&format!("url = {to}")]).await;
        assert_eq!(reasons, [""; 0]);
    });
}

#[test]
fn a_server_that_repeats_a_secret_of_the_row_does_not_bring_it_into_the_reasons() {
    run(async {
        let headers =
            "x-echo: key hunter22-and-more\r\nx-long: ".to_owned() + &"x".repeat(70) + "hunter22-and-more\r\n";
        let server = Server::start(None, answer(&headers, br#"{"error": "bad key hunter22-and-more"}"#)).await;
        let mut api =
            expecting(&server.url("http"), &["header x-echo = ok", "header x-long = ok", r#"json $.error = "fine""#]);
        api.headers = vec![("X-Key".into(), Secret::new("hunter22-and-more"))];
        let reasons = judge(&api, &probe(1, 100).probe(Arc::new(api.clone())).await).reasons;
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(reasons.iter().all(|reason| !reason.contains("hunter")), "{reasons:?}");
        assert!(
            reasons[0].ends_with("found \"key ***\"") && reasons[2].ends_with("found \"bad key ***\""),
            "{reasons:?}"
        );
    });
}

#[test]
fn the_version_of_tls_and_the_end_of_the_certificate_are_seen() {
    run(async {
        let of = |year| rcgen::date_time_ymd(year, 6, 1);
        let config = server_config(&AUTHORITY, &["localhost"], |params| {
            (params.not_before, params.not_after) = (of(2020), of(2049));
        });
        let server = Server::start(Some(config), answer("", b"hi")).await;
        let api = expecting(&server.url("https"), &["tls >= 1.3", "tls < 1.3"]);
        let seen: Observation = probe(1, 100).probe(Arc::new(api.clone())).await;
        let outcome = judge(&api, &seen);
        assert_eq!(outcome.reasons, ["expected tls < 1.3, found TLS 1.3"]);
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let good = Validity { not_before: at("2020-06-01T00:00:00Z"), not_after: at("2049-06-01T00:00:00Z") };
        assert_eq!(outcome.certificate, Some(good));
    });
}

#[test]
fn a_row_without_assertions_keeps_nothing() {
    run(async {
        let server = Server::start(None, answer("", b"hi")).await;
        let seen = probe(1, 100).probe(Arc::new(config(&server.url("http")))).await;
        let Answer::Response(response) = seen.answer else { panic!("{:?}", seen.answer) };
        assert_eq!((response.certificate, response.body_bytes), (None, 2));
    });
}
