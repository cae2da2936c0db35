//! `probe` from outside, against a listener on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use super::cli::{Place, finish};

/// Answers every request with these bytes, until the test is over.
pub(crate) fn listener(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
const BAD: &str = "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn a_pass_a_fail_and_what_cannot_be_told_have_their_exit_codes() {
    let place = Place::new();
    let url = format!("http://{}/health", listener(GOOD));
    let ran = place.run(&["probe", &url]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in
        ["connect ", "first byte ", "in all ", "status         200", "5 bytes", "pass: status 200 is in 2xx", "#"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(ran.out.is_ascii(), "a pipe gets plain text");

    let ran = place.run(&["probe", &format!("http://{}/", listener(BAD))]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("FAIL") && ran.out.contains("status 503 is not in 2xx"), "{}", ran.out);
    let ran = place.run(&["probe", "http://127.0.0.1:1/"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("failed here") && ran.out.contains("127.0.0.1:1 refused"), "{}", ran.out);

    // Without file descriptors nothing can be said of the API. How many the runtime itself needs is not ours to know.
    let program = env!("CARGO_BIN_EXE_api-health");
    let told = (5..60).any(|limit| {
        let script = format!("ulimit -n {limit}; exec '{program}' probe {url}");
        let ran = finish(std::process::Command::new("sh").args(["-c", &script]).env_clear());
        ran.code == 2 && ran.out.contains("could not tell") && ran.out.contains("file descriptors")
    });
    assert!(told);
    assert!(place.files().is_empty(), "a probe of a URL creates no store");
}

#[test]
fn json_has_every_field_that_is_documented() {
    let place = Place::new();
    let probe = place.json(&["probe", &format!("http://{}/", listener(GOOD))]);
    for field in ["schema", "method", "url", "address", "started_at", "took_ms", "status_code", "body_bytes", "verdict"]
    {
        assert!(!probe[field].is_null(), "{field}: {probe}");
    }
    assert_eq!((&probe["verdict"], &probe["status_code"]), (&"pass".into(), &200.into()));
    assert_eq!((&probe["api_id"], &probe["reasons"]), (&serde_json::Value::Null, &serde_json::json!([])));
    assert!(probe["phases"]["first_byte_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{probe}");
    assert!(probe["phases"]["tls_ms"].is_null());
    let help = place.ok(&["probe", "--help"]);
    for (name, _) in probe.as_object().unwrap().iter().chain(probe["phases"].as_object().unwrap()) {
        assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
    }
    let ran = place.run(&["probe", "http://127.0.0.1:1/", "--json"]);
    let probe: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &probe["verdict"]), (1, &"fail".into()));
    assert_eq!(probe["reasons"][0], "connection to 127.0.0.1:1 refused");
}

#[test]
fn a_configured_id_wins_over_a_url_and_its_rules_hold() {
    let place = Place::new();
    let url = format!("http://{}/", listener(BAD));
    place.ok(&["apis", "add", "--url", &url, "--id", "example.com", "--name", "Mine", "--set", "expected_status=503"]);
    let out = place.ok(&["probe", "example.com"]);
    assert!(out.contains("example.com (Mine)") && out.contains("status 503 is in 503"), "{out}");
    assert_eq!(place.json(&["probe", "example.com"])["api_id"], "example.com");
    place.ok(&["apis", "edit", "example.com", "--set", "headers.X=${env:NOT_HERE}"]);
    let ran = place.run(&["probe", "example.com"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("${env:NOT_HERE} is not set"), "{ran:?}");
}

#[test]
fn what_is_never_probed_and_what_is_no_target_is_said_in_words() {
    let place = Place::new();
    for (target, words) in [
        ("http://169.254.169.254/latest", "link-local"),
        ("nonsense", "neither the id of a configured API nor a URL"),
        ("ftp://127.0.0.1/", "neither http nor https"),
        ("http://me:hunter2@127.0.0.1/", "user name or password"),
        ("", "neither the id"),
        ("http://", "write an http or https URL"),
    ] {
        let ran = place.run(&["probe", target]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{target}: {ran:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(words), "{target}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"));
    }
    assert!(place.files().is_empty());
}
