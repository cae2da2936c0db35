//! Certificates good and bad, and handshakes that fail: each with its own words.

use api_health::probe::{Client, Request, Resolver};
use api_health_core::Failure;
use api_health_core::observation::CertificateFault;
use api_health_core::{Phase, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{
    AUTHORITY, AUTHORITY_NAME, CLIENT, End, Script, Server, authority, get, good_config, run, server_config,
};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn ask_with(client: &Client, config: std::sync::Arc<rustls::ServerConfig>, host: &str) -> Result<u16, Failure> {
    run(async {
        let server = Server::start(Some(config), Script::new(ANSWER, End::Fin)).await;
        let exchange = client.exchange(&get(&format!("https://{host}:{}/", server.address.port()))).await;
        exchange.result.map(|reply| reply.status)
    })
}

fn ask(config: std::sync::Arc<rustls::ServerConfig>, host: &str) -> Result<u16, Failure> {
    ask_with(&CLIENT, config, host)
}

#[test]
fn a_good_certificate_for_a_name_and_for_an_address() {
    assert_eq!(ask(good_config(), "localhost"), Ok(200));
    assert_eq!(ask(good_config(), "127.0.0.1"), Ok(200));
    // With the dot that ends a full name; not every machine's resolver knows that one.
    let resolver = Resolver::from_fn(|_, port| Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) }));
    assert_eq!(ask_with(&CLIENT.clone().with_resolver(resolver), good_config(), "localhost."), Ok(200));
}

#[test]
fn an_expired_certificate() {
    let config = server_config(&AUTHORITY, &["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let failure = ask(config, "localhost").unwrap_err();
    let not_after = Timestamp::parse("2021-01-01T00:00:00Z");
    assert_eq!(failure, Failure::Certificate(CertificateFault::Expired { not_after }));
    assert_eq!(failure.to_string(), "certificate expired at 2021-01-01T00:00:00.000Z");
}

#[test]
fn a_certificate_that_is_not_yet_valid() {
    let config = server_config(&AUTHORITY, &["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let failure = ask(config, "localhost").unwrap_err();
    let not_before = Timestamp::parse("2090-01-01T00:00:00Z");
    assert_eq!(failure, Failure::Certificate(CertificateFault::NotYetValid { not_before }));
    assert_eq!(failure.to_string(), "certificate not valid before 2090-01-01T00:00:00.000Z");
}

#[test]
fn a_certificate_for_other_names() {
    let failure = ask(server_config(&AUTHORITY, &["a.test", "b.test"], |_| {}), "localhost").unwrap_err();
    assert_eq!(failure.to_string(), "certificate is not for localhost but for a.test, b.test");
    let failure = ask(server_config(&AUTHORITY, &["localhost"], |_| {}), "127.0.0.1").unwrap_err();
    assert_eq!(failure.to_string(), "certificate is not for 127.0.0.1 but for localhost");
}

#[test]
fn a_certificate_of_an_unknown_issuer() {
    let failure = ask(server_config(&authority("another authority"), &["localhost"], |_| {}), "localhost").unwrap_err();
    let issuer = "another authority".to_owned();
    assert_eq!(failure, Failure::Certificate(CertificateFault::UnknownIssuer { issuer, sent_alone: true }));
    assert!(
        failure
            .to_string()
            .starts_with("certificate issuer is unknown: the server sent no certificate of \"another authority\"")
    );
}

#[test]
fn a_certificate_that_lies_about_its_issuer() {
    let failure = ask(server_config(&authority(AUTHORITY_NAME), &["localhost"], |_| {}), "localhost").unwrap_err();
    let words = "certificate refused: its signature is not that of the authority that it names, or that has too short a key (RSA \
                 of fewer than 2048 bits)";
    assert_eq!(failure.to_string(), words);
}

#[test]
fn a_certificate_of_an_authority_that_stands_for_itself() {
    let config = server_config(&AUTHORITY, &["localhost"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let failure = ask(config, "localhost").unwrap_err().to_string();
    assert!(failure.starts_with("certificate refused: it is that of an authority"), "{failure}");
}

#[test]
fn extra_roots_that_hold_no_certificate_are_told() {
    assert!(Client::new(Some(b"nothing")).is_err_and(|e| e.contains("BEGIN CERTIFICATE")));
    assert!(Client::new(None).is_ok());
}

/// Plays `server` to one connection, and gives what the client says of it.
fn against<F, G>(server: F) -> Failure
where
    F: FnOnce(TcpStream) -> G + 'static,
    G: Future<Output = ()>,
{
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        actix_rt::spawn(async move { server(listener.accept().await.unwrap().0).await });
        CLIENT.exchange(&Request { timeout: std::time::Duration::from_secs(5), ..get(&url) }).await.result.unwrap_err()
    })
}

async fn hello(stream: &mut TcpStream) {
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
}

#[test]
fn plain_http_where_tls_is_asked_for() {
    let failure = against(|mut stream| async move {
        hello(&mut stream).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
    });
    assert_eq!(failure.to_string(), "TLS handshake failed: what answers on this port does not speak TLS");
}

#[test]
fn closed_and_reset_in_the_handshake() {
    let closed = against(|mut stream| async move {
        hello(&mut stream).await;
        stream.shutdown().await.unwrap();
    });
    assert_eq!(closed, Failure::Closed { phase: Phase::Tls });
    let reset = against(|mut stream| async move {
        hello(&mut stream).await;
        stream.set_zero_linger().unwrap();
    });
    assert_eq!(reset, Failure::Reset { phase: Phase::Tls });
}

#[test]
fn an_alert_in_the_handshake() {
    let alert = |code: u8| {
        let failure = against(move |mut stream| async move {
            hello(&mut stream).await;
            stream.write_all(&[0x15, 3, 3, 0, 2, 2, code]).await.unwrap(); // fatal
            let _ = stream.read(&mut [0; 64]).await;
        });
        assert!(matches!(failure, Failure::Tls { .. }), "{failure:?}");
        failure.to_string()
    };
    for (code, name) in [(40, "handshake failure"), (70, "protocol version"), (71, "insufficient security")] {
        let words = alert(code);
        assert!(words.contains(name) && words.contains("cipher suite") && words.contains("TLS 1.2"), "{words}");
        assert!(words.ends_with("other clients may connect"), "{words}");
    }
    assert!(alert(112).ends_with("the server has no site of the name that was asked for"));
    assert!(alert(120).contains("takes neither HTTP/1.1 nor HTTP/2"));
    assert!(alert(80).ends_with("(its alert: internal error)"));
}

#[test]
fn a_server_of_an_old_version_alone() {
    let failure = against(|mut stream| async move {
        hello(&mut stream).await;
        // A ServerHello of TLS 1.0, with a suite that we did not offer.
        let mut answer = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        answer.extend_from_slice(&[7; 32]);
        answer.extend_from_slice(&[0, 0, 0x2f, 0]);
        stream.write_all(&answer).await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
    });
    let words = failure.to_string();
    assert!(words.contains("no TLS in common") && words.contains("TLS 1.2 with the cipher suites"), "{words}");
}

#[test]
fn the_server_is_told_that_the_end_is_meant() {
    let ended = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let server = actix_rt::spawn(async move {
            let stream = listener.accept().await.unwrap().0;
            let mut stream = tokio_rustls::TlsAcceptor::from(good_config()).accept(stream).await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(ANSWER.as_bytes()).await.unwrap();
            stream.read(&mut [0; 64]).await
        });
        assert_eq!(CLIENT.exchange(&get(&url)).await.result.unwrap().status, 200);
        server.await.unwrap()
    });
    assert_eq!(ended.unwrap(), 0, "a missing close_notify would be an error");
}
