//! TLS with somebody in the middle who changes what the server sends: no byte of it is ever taken for an answer.

use std::net::SocketAddr;
use std::time::Duration;

use api_health::probe::Request;
use api_health_core::Failure;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config;
use crate::server::{CLIENT, End, Script, Server, get, good_config, run};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// What is done to the stream of the server: a byte at this place is changed, more are put before it, or it ends there.
#[derive(Clone, Debug)]
struct Tampering {
    at: usize,
    mask: u8,
    insert: Vec<u8>,
    end: bool,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    // A handshake takes between one and two thousand bytes; what lies behind its end changes nothing.
    let insert = prop_oneof![3 => Just(vec![]), 1 => vec(any::<u8>(), 1..300)];
    let at = prop_oneof![1 => 0..16_usize, 3 => 0..1_500_usize];
    (at, any::<u8>(), insert, prop::bool::weighted(0.1)).prop_map(|(at, mask, insert, end)| Tampering {
        at,
        mask,
        insert,
        end,
    })
}

/// Stands before `server` and tampers; returns where.
async fn stand_before(server: SocketAddr, tampering: Tampering) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
        actix_rt::spawn(async move {
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        });
        let mut place = 0;
        let mut space = vec![0; 4096];
        while let Ok(read @ 1..) = from_server.read(&mut space).await {
            let mut piece = space[..read].to_vec();
            if (place..place + read).contains(&tampering.at) {
                let at = tampering.at - place;
                piece[at] ^= tampering.mask;
                piece.splice(at..at, tampering.insert.iter().copied());
                if tampering.end {
                    piece.truncate(at);
                }
            }
            place += read;
            if to_client.write_all(&piece).await.is_err() || (tampering.end && place > tampering.at) {
                return;
            }
        }
    });
    address
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn what_somebody_changed_on_the_way_is_never_an_answer(all in vec(tampering(), 16)) {
        let results = run(async {
            let server = Server::start(Some(good_config()), Script::new(ANSWER, End::Fin)).await;
            join_all(all.iter().map(|tampering| async {
                let address = stand_before(server.address, tampering.clone()).await;
                let url = format!("https://localhost:{}/x", address.port());
                let request = Request { timeout: Duration::from_millis(1_500), ..get(&url) };
                CLIENT.exchange(&request).await.result
            })).await
        });
        for (result, tampering) in results.iter().zip(&all) {
            match result {
                Ok(reply) => prop_assert_eq!((reply.status, reply.body.as_slice()), (200, b"hello".as_slice()), "{:?}", tampering),
                Err(Failure::Local(fault)) => prop_assert!(false, "{fault:?} of {tampering:?}"),
                Err(failure) => prop_assert!(!failure.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_tls_are_a_failure(all in vec(vec(any::<u8>(), 0..600), 16), kind in 20..25_u8) {
        let results = run(async {
            join_all(all.iter().enumerate().map(|(n, bytes)| async move {
                // Half of them look like a record of TLS.
                let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                let head = if n % 2 == 0 { vec![kind, 3, 3, length[0], length[1]] } else { vec![] };
                let script = Script { early: false, ..Script::new([head, bytes.clone()].concat(), End::Fin) };
                let server = Server::start(None, Script { early: true, ..script }).await;
                let url = format!("https://localhost:{}/x", server.address.port());
                CLIENT.exchange(&Request { timeout: Duration::from_millis(500), ..get(&url) }).await.result
            })).await
        });
        for result in results {
            match result {
                Ok(reply) => prop_assert!(false, "{}", reply.status),
                Err(failure) => prop_assert!(!matches!(failure, Failure::Local(_)), "{failure:?}"),
            }
        }
    }
}
