//! HTTP/2: a server that speaks nothing else is asked over it, by whatever it shows that it does; one that does not is judged as before.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health::probe::Request;
use api_health_core::{Failure, Method, Phase, Secret};
use bytes::Bytes;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{AUTHORITY, CLIENT, End, Script, Server, get, good_config, run, server_config};

/// A server's TLS that offers these protocols.
fn offering(protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(&server_config(&AUTHORITY, &["localhost"], |_| {}));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// What a server does with a request of HTTP/2.
#[derive(Clone, Copy)]
enum Does {
    Answer(&'static str),
    CutBody,
    LongHead,
    Refuse,
    Hold,
}

type Asked = Rc<RefCell<Vec<http::Request<Bytes>>>>;

/// A server of HTTP/2 alone; its URL, and what it was asked.
async fn serve(config: Arc<ServerConfig>, does: Does) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/health?deep=1", listener.local_addr().unwrap().port());
    let asked = Asked::default();
    let noted = Rc::clone(&asked);
    actix_rt::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (config, noted) = (Arc::clone(&config), Rc::clone(&noted));
            actix_rt::spawn(async move {
                let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let noted = Rc::clone(&noted);
                    actix_rt::spawn(async move {
                        let (parts, mut body) = request.into_parts();
                        let mut whole = Vec::new();
                        while let Some(Ok(piece)) = body.data().await {
                            whole.extend_from_slice(&piece);
                        }
                        noted.borrow_mut().push(http::Request::from_parts(parts, Bytes::from(whole)));
                        let answer = |length: usize| {
                            let answer = http::Response::builder().header("content-length", length).header("x-a", "b");
                            answer.body(()).unwrap()
                        };
                        match does {
                            Does::Answer(text) => {
                                let mut sending = respond.send_response(answer(text.len()), text.is_empty()).unwrap();
                                if !text.is_empty() {
                                    sending.send_data(Bytes::from(text), true).unwrap();
                                }
                            }
                            Does::CutBody => {
                                let mut sending = respond.send_response(answer(10), false).unwrap();
                                sending.send_data(Bytes::from("hi"), false).unwrap();
                                sending.send_reset(h2::Reason::INTERNAL_ERROR);
                            }
                            Does::LongHead => {
                                let mut answer = answer(0);
                                let long = http::HeaderValue::from_str(&"x".repeat(300 * 1024)).unwrap();
                                answer.headers_mut().insert("x-long", long);
                                let _ = respond.send_response(answer, true);
                            }
                            Does::Refuse => respond.send_reset(h2::Reason::HTTP_1_1_REQUIRED),
                            Does::Hold => std::future::pending().await,
                        }
                    });
                }
            });
        }
    });
    (url, asked)
}

#[test]
fn a_server_of_http_2_alone_is_asked_over_it() {
    run(async {
        // It refuses HTTP/1.1 by an alert; or it overhears that it was offered, and sends its own first frame.
        for config in [offering(&["h2"]), offering(&[])] {
            let offers_nothing = config.alpn_protocols.is_empty();
            let (url, asked) = serve(config, Does::Answer("hi there")).await;
            let request = Request {
                method: Method::Post,
                headers: vec![("X-Key".into(), Secret::new("k")), ("Connection".into(), Secret::new("close"))],
                body: Some(Bytes::from("ping")),
                ..get(&url)
            };
            let prepared = CLIENT.prepare(request).unwrap();
            for _ in 0..2 {
                let exchange = CLIENT.exchange_prepared(&prepared).await;
                if offers_nothing {
                    // Who agrees on no protocol by ALPN has not said that HTTP/2 is spoken.
                    assert!(matches!(exchange.result, Err(Failure::NotHttp { .. })), "{:?}", exchange.result);
                    continue;
                }
                let reply = exchange.result.unwrap();
                assert_eq!((reply.status, &reply.body[..], reply.body_bytes), (200, &b"hi there"[..], 8));
                assert_eq!(reply.headers.get("X-A"), Some(&b"b"[..]));
                assert!(exchange.phases.tls.is_some() && exchange.phases.body.is_some() && exchange.address.is_some());
            }
            for request in asked.borrow().iter() {
                assert_eq!(request.uri().path_and_query().unwrap(), "/health?deep=1");
                assert_eq!((request.method().as_str(), request.headers()["x-key"].as_bytes()), ("POST", &b"k"[..]));
                assert_eq!(request.headers()["content-length"], "4");
                assert!(!request.headers().contains_key("host") && !request.headers().contains_key("connection"));
                assert_eq!(request.body(), "ping");
            }
            assert_eq!(asked.borrow().len(), if offers_nothing { 0 } else { 2 });
        }
    });
}

/// OpenSSL's own habit: where the protocols do not meet, nothing is agreed on, and what understands no HTTP/1.1 closes.
#[test]
fn a_server_that_closes_where_no_protocol_was_agreed_on_is_asked_again() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        actix_rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
                let Ok(hello) = acceptor.await else { continue };
                let has_http_2 = hello.client_hello().alpn().is_some_and(|mut all| all.any(|one| one == b"h2"));
                let config = if has_http_2 { offering(&["h2"]) } else { offering(&[]) };
                let Ok(stream) = hello.into_stream(config).await else { continue };
                if has_http_2 {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    actix_rt::spawn(async move {
                        while let Some(Ok((_, mut respond))) = connection.accept().await {
                            respond.send_response(http::Response::new(()), true).unwrap();
                        }
                    });
                }
            }
        });
        assert_eq!(CLIENT.exchange(&get(&url)).await.result.unwrap().status, 200);
    });
}

#[test]
fn a_server_without_http_2_is_judged_by_what_it_did_first() {
    run(async {
        let server = Server::start(Some(good_config()), Script::new("", End::Fin)).await;
        let exchange = CLIENT.exchange(&get(&server.url("https"))).await;
        assert_eq!(exchange.result.unwrap_err(), Failure::Closed { phase: Phase::FirstByte });
        assert!(exchange.phases.tls.is_some() && exchange.address == Some(server.address));
        assert_eq!(server.accepted.get(), 2, "asked once whether it speaks HTTP/2");
        let server = Server::start(Some(offering(&["imap"])), Script::new("", End::Fin)).await;
        let failure = CLIENT.exchange(&get(&server.url("https"))).await.result.unwrap_err();
        assert!(failure.to_string().contains("takes neither HTTP/1.1 nor HTTP/2"), "{failure}");
    });
}

#[test]
fn what_goes_wrong_over_http_2_is_told() {
    run(async {
        for (does, words) in [
            (Does::CutBody, "answer is not valid HTTP: the server broke off over HTTP/2"),
            (Does::Refuse, "over HTTP/2, the server wants HTTP/1.1"),
            (Does::LongHead, "answer is not valid HTTP: the server broke"),
            (Does::Hold, "timed out after 1 s while waiting for the first byte"),
        ] {
            let (url, _) = serve(offering(&["h2"]), does).await;
            let prepared = CLIENT.prepare(Request { timeout: Duration::from_secs(1), ..get(&url) }).unwrap();
            let mut said = String::new();
            for _ in 0..2 {
                said = CLIENT.exchange_prepared(&prepared).await.result.unwrap_err().to_string();
            }
            assert!(said.contains(words), "{said}");
        }
    });
}

/// One that both sides could speak is spoken as before.
#[test]
fn a_server_of_both_is_asked_over_http_1() {
    run(async {
        let answer = Script::new("HTTP/1.1 204 X\r\n\r\n", End::Fin);
        let server = Server::start(Some(offering(&["h2", "http/1.1"])), answer).await;
        assert_eq!(CLIENT.exchange(&get(&server.url("https"))).await.result.unwrap().status, 204);
        assert_eq!(server.accepted.get(), 1);
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(b"x").await;
        let _ = stream.read(&mut [0; 8]).await;
    });
}
