//! Answers without an end, over a real socket: what is taken of them is bounded, in bytes and in memory.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health::probe::{HttpProbe, Limits, Request};
use api_health_actors::ports::Probe as _;
use api_health_core::assertion::judge;
use api_health_core::{Answer, ApiConfig, Failure, Observation};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::server::{CLIENT, get, run};
use crate::{StillClock, fields, memory_peak, row, rules};

const MIB: usize = 1024 * 1024;

/// What lies in the sockets on both sides when one of them stops.
const IN_SOCKETS: usize = 16 * MIB;

/// Answers with `first`, then with `rest` again and again until nobody takes it. Counts the bytes that were taken.
async fn endless(first: Vec<u8>, rest: Vec<u8>) -> (SocketAddr, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Rc::new(Cell::new(0));
    let count = Rc::clone(&taken);
    actix_rt::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut from, mut to) = stream.into_split();
        // What is asked is taken out of the way, so that closing is no reset.
        actix_rt::spawn(async move {
            let mut space = [0; 4096];
            while from.read(&mut space).await.is_ok_and(|n| n > 0) {}
        });
        if to.write_all(&first).await.is_err() {
            return;
        }
        let rest = rest.repeat((16 * 1024 / rest.len()).max(1));
        while to.write_all(&rest).await.is_ok() {
            count.set(count.get() + rest.len());
        }
    });
    (address, taken)
}

fn api(address: SocketAddr, timeout: Duration) -> ApiConfig {
    let api = rules().check(&row(fields(json!({ "api_id": "a", "url": format!("http://{address}/") })))).unwrap();
    ApiConfig { timeout, ..api }
}

async fn observe(first: &str, rest: &str, timeout: Duration) -> (Observation, usize) {
    let (address, taken) = endless(first.into(), rest.into()).await;
    let probe = HttpProbe::new(
        CLIENT.clone(),
        Arc::new(StillClock),
        Limits { max_in_flight: 1, max_in_flight_per_host: 1, body_bytes_max: MIB },
    );
    let api = api(address, timeout);
    let seen = probe.probe(Arc::new(api.clone())).await;
    assert!(judge(&api, &seen).reason().is_none_or(|reason| reason.chars().count() <= 300));
    (seen, taken.get())
}

#[test]
fn of_an_answer_without_an_end_no_more_is_taken_than_the_bound() {
    let long = Duration::from_secs(60);
    run(async {
        let _ = CLIENT.clone(); // made first: it holds the root certificates
        let before = memory_peak();
        for (first, rest, why) in [
            ("", "x", "not valid HTTP"),
            ("HTTP/1.1 200 OK\r\nx: ", "y", "its head is longer than 262144 bytes"),
            ("HTTP/1.1 200 OK\r\n", "x: y\r\n", "more than 512 headers"),
            ("", "HTTP/1.1 103 Early Hints\r\n\r\n", "more than 16 interim responses"),
        ] {
            let (seen, taken) = observe(first, rest, long).await;
            let Answer::Failure(failure @ Failure::NotHttp { .. }) = &seen.answer else { panic!("{:?}", seen.answer) };
            assert!(failure.to_string().contains(why), "{failure}");
            assert!(taken < IN_SOCKETS, "{why}: {taken} bytes");
        }
        for (first, rest) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "x"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n", "x"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ] {
            let (seen, taken) = observe(first, rest, long).await;
            let Answer::Response(response) = &seen.answer else { panic!("{:?}", seen.answer) };
            assert!(response.body_cut_at_bound && response.body_bytes == MIB as u64, "{response:?}");
            assert!(taken < 6 * MIB + IN_SOCKETS, "{taken} bytes of {rest:?}");
        }
        let grown = memory_peak().saturating_sub(before);
        assert!(grown < crate::GROWN_MAX_MIB, "{grown} MiB");
    });
}

/// What is no body and has no end is bounded by the timeout, and nothing of it is kept.
#[test]
fn framing_without_an_end_is_bounded_by_the_timeout_and_fills_no_memory() {
    run(async {
        let _ = CLIENT.clone();
        let before = memory_peak();
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (first, rest) in [("1;", "x"), ("1", "0"), ("0\r\n", "x: y\r\n"), ("0\r\nx: ", "y")] {
            let (seen, _) = observe(&format!("{chunked}{first}"), rest, Duration::from_secs(1)).await;
            let ended = match &seen.answer {
                Answer::Failure(Failure::TimedOut { .. } | Failure::NotHttp { .. } | Failure::BodyCutShort { .. }) => {
                    true
                }
                Answer::Response(response) => response.body_bytes <= 1,
                _ => false,
            };
            assert!(ended, "{first:?}{rest:?}: {:?}", seen.answer);
        }
        let grown = memory_peak().saturating_sub(before);
        assert!(grown < crate::GROWN_MAX_MIB, "{grown} MiB");
    });
}

#[test]
fn a_handshake_without_an_end_is_given_up() {
    let record = |kind: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3, length[0], length[1]], payload].concat()
    };
    run(async {
        let _ = CLIENT.clone();
        let before = memory_peak();
        // A message of 16 MiB; messages of no length; warnings; changes of cipher; data before its time.
        for (first, rest) in [
            (record(22, &[2, 0xff, 0xff, 0xff]), record(22, &[0; 1_000])),
            (record(22, &[]), record(22, &[])),
            (vec![], record(21, &[1, 90])),
            (vec![], record(20, &[1])),
            (vec![], record(23, &[0; 1_000])),
        ] {
            let (address, taken) = endless(first, rest.clone()).await;
            let url = format!("https://localhost:{}/", address.port());
            let failure =
                CLIENT.exchange(&Request { timeout: Duration::from_secs(60), ..get(&url) }).await.result.unwrap_err();
            assert!(matches!(failure, Failure::Tls { .. } | Failure::Reset { .. }), "{failure:?} of {rest:?}");
            assert!(taken.get() < IN_SOCKETS, "{} bytes", taken.get());
        }
        let grown = memory_peak().saturating_sub(before);
        assert!(grown < crate::GROWN_MAX_MIB, "{grown} MiB");
    });
}
