//! Answers of any bytes, over a real socket, through the real probe: always an observation, in time, and never a fault of ours.

use std::sync::Arc;
use std::time::Duration;

use api_health::configs::raw::RawRow;
use api_health::probe::{HttpProbe, Limits};
use api_health_actors::ports::Probe as _;
use api_health_core::assertion::judge;
use api_health_core::{Answer, ApiConfig, Failure, Method, Observation};
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::bytes::bytes;
use crate::server::{CLIENT, End, Script, Server, run};
use crate::{SOON, StillClock, config, is_clear, rules};

/// What an answer may take at most: most of what is fuzzed has an end that never comes.
const TIMEOUT: Duration = Duration::from_millis(250);
const BODY_BYTES_MAX: usize = 2_000;

const WORDS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 ",
    "HTTP/1.1 103 Early\r\n\r\n",
    "HTTP/1.1 100\r\n\r\n",
    "HTTP/1.1 101 S\r\n\r\n",
    "content-length: 5\r\n",
    "content-length: 99999999999999999999\r\n",
    "content-length: -1\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "location: /x\r\n",
    "content-encoding: gzip\r\n",
    "content-encoding: br, deflate\r\n",
    "\x1f\u{8b}\x08",
    "{\"a\":",
    "location: \r\n",
    "upgrade: h2c\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "ffffffffffffffff\r\n",
    "fffffffffffffffff\r\n",
    "5;x=\"y\"\r\n",
    "0\r\nt: u\r\n",
    "\r\n",
    "\n",
    "\r",
    ":",
    " ",
    "\t",
    "\r\n ",
    "\0",
    "204",
    "304",
    "999",
    "1",
    "000",
];

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nt: u\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nto the end",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\ncontent-length: 3\r\n\r\nno!",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\u{8b}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .chain([format!("HTTP/1.1 302 X\r\nlocation: /{}\r\ncontent-length: 0\r\n\r\n", "ü".repeat(400)).into_bytes()])
    .collect()
}

fn script() -> impl Strategy<Value = (Script, Method)> {
    let end = select(vec![End::Fin, End::Fin, End::Rst, End::Hold]);
    let piece = prop_oneof![3 => Just(None), 1 => (1..40_usize).prop_map(|size| Some((size, Duration::ZERO)))];
    let method = select(vec![Method::Get, Method::Get, Method::Head, Method::Post]);
    (bytes(seeds(), WORDS), end, piece, any::<bool>(), method).prop_map(|(bytes, end, piece, early, method)| {
        (Script { bytes, piece, end, early: early && end == End::Hold }, method)
    })
}

pub fn api(url: &str, method: Method) -> ApiConfig {
    let mut row = json!({ "api_id": "a", "url": url, "method": method.as_str() });
    if method == Method::Get {
        row["assert"] = json!(["body contains hello", "body matches (?s)^.*o$", "json $..a exists", "header x = y"]);
    }
    let Value::Object(fields) = row else { unreachable!() };
    let api = rules().check(&RawRow { location: "t".into(), fields }).unwrap();
    // Redirects are not followed here: what is made up must not lead off this machine.
    ApiConfig { timeout: TIMEOUT, max_redirects: 0, ..api }
}

pub fn check(api: &ApiConfig, seen: &Observation) -> Result<(), TestCaseError> {
    prop_assert!(seen.took < SOON, "{:?}", seen.took);
    match &seen.answer {
        Answer::Response(response) => {
            prop_assert!((100..=999).contains(&response.status), "{response:?}");
            prop_assert!(response.body_bytes <= BODY_BYTES_MAX as u64, "{response:?}");
            if let Some(location) = &response.location {
                prop_assert!(
                    location.chars().count() <= 200 && !location.chars().any(char::is_control),
                    "{location:?}"
                );
            }
        }
        Answer::Connected { .. } | Answer::Records(_) => prop_assert!(false, "no answer of HTTP"),
        Answer::Failure(Failure::Local(fault)) => {
            prop_assert!(false, "a hostile answer is no fault of ours: {fault:?}");
        }
        Answer::Failure(_) => {}
    }
    let outcome = judge(api, seen);
    if let Some(reason) = outcome.reason() {
        is_clear(&reason, 300).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

/// Probes a server that plays `script`.
pub async fn observe(script: Script, method: Method) -> (ApiConfig, Observation) {
    let server = Server::start(None, script).await;
    let api = api(&format!("http://{}/x", server.address), method);
    let limits = Limits { max_in_flight: 100, max_in_flight_per_host: 100, body_bytes_max: BODY_BYTES_MAX };
    let probe = HttpProbe::new(CLIENT.clone(), Arc::new(StillClock), limits);
    let seen = probe.probe(Arc::new(api.clone())).await;
    (api, seen)
}

proptest! {
    #![proptest_config(config(25))]

    #[test]
    fn an_answer_of_any_bytes_is_an_observation(scripts in vec(script(), 24)) {
        let seen = run(async { join_all(scripts.iter().cloned().map(|(script, method)| observe(script, method))).await });
        for ((api, seen), (script, _)) in seen.iter().zip(&scripts) {
            check(api, seen).map_err(|error| TestCaseError::fail(format!("{error}\n{:?}", script.bytes.escape_ascii().to_string())))?;
        }
    }
}
