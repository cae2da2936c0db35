//! The guard where it stands: before any connection, for literal addresses, for answers of a resolver, for redirects.
//!
//! Nothing here may reach a real link-local address: a refusal comes before the connect phase, which is asserted each time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api_health::probe::{Client, Exchange, Request, Resolver};
use api_health_core::Failure;

use crate::server::{CLIENT, End, Script, Server, get, run};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn resolving_to(answers: &[&str]) -> Client {
    let answers: Vec<IpAddr> = answers.iter().map(|a| a.parse().unwrap()).collect();
    CLIENT.clone().with_resolver(Resolver::from_fn(move |_, port| {
        let addresses = answers.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        Box::pin(async move { Ok(addresses) })
    }))
}

/// If the guard should fail, a short timeout keeps what follows short.
fn ask(url: &str) -> Request {
    Request { timeout: Duration::from_millis(500), ..get(url) }
}

fn assert_refused(exchange: &Exchange, what: &str) {
    assert!(matches!(exchange.result, Err(Failure::AddressRefused { .. })), "{what}: {:?}", exchange.result);
    assert_eq!((exchange.phases.connect, exchange.address), (None, None), "{what}");
}

const DISGUISED: [&str; 14] = [
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "fe80::1",
    "fd00:ec2::254",
    "::",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2001:0:a9fe:a9fe::1",
    "2001:0:102:304::5601:5601",
];

#[test]
fn literal_addresses_in_every_spelling() {
    // Spellings that the URL standard reads as 169.254.169.254.
    let spelled =
        ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.169.254.", "%31%369.254.169.254"];
    run(async {
        let asked_resolver = CLIENT.clone().with_resolver(Resolver::from_fn(|name, _| {
            panic!("the resolver was asked for {name}");
        }));
        for address in DISGUISED {
            let url = if address.contains(':') { format!("http://[{address}]/") } else { format!("http://{address}/") };
            assert_refused(&asked_resolver.exchange(&ask(&url)).await, address);
        }
        for host in spelled {
            assert_refused(&asked_resolver.exchange(&ask(&format!("http://{host}/"))).await, host);
            assert_refused(&asked_resolver.exchange(&ask(&format!("https://{host}/"))).await, host);
        }
    });
}

#[test]
fn names_that_resolve_to_them() {
    run(async {
        for address in DISGUISED {
            let exchange = resolving_to(&[address]).exchange(&ask("http://innocent.test/")).await;
            assert_refused(&exchange, address);
            let said = exchange.result.unwrap_err().to_string();
            assert!(said.contains("which api-health never probes"), "{said}");
        }
    });
}

#[test]
fn a_mixed_answer_is_refused_as_a_whole() {
    run(async {
        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        let url = format!("http://innocent.test:{}/", server.address.port());
        for answers in [
            ["127.0.0.1", "169.254.169.254"],
            ["169.254.169.254", "127.0.0.1"],
            ["127.0.0.1", "fd00:ec2::254"],
            ["127.0.0.1", "fe80::a9fe:a9fe"],
            ["fe80::1", "169.254.169.254"],
        ] {
            assert_refused(&resolving_to(&answers).exchange(&ask(&url)).await, answers[1]);
        }
        assert_eq!(server.accepted.get(), 0);
        // The same without the bad address goes through: it was the guard that said no.
        assert_eq!(resolving_to(&["127.0.0.1"]).exchange(&ask(&url)).await.result.unwrap().status, 200);
        assert_eq!(server.accepted.get(), 1);
    });
}

#[test]
fn a_stray_link_local_address_is_passed_over_beside_a_good_one() {
    run(async {
        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        let url = format!("http://innocent.test:{}/", server.address.port());
        for answers in [["127.0.0.1", "fe80::1"], ["fe80::1", "127.0.0.1"]] {
            let exchange = resolving_to(&answers).exchange(&ask(&url)).await;
            assert_eq!((exchange.result.unwrap().status, exchange.address), (200, Some(server.address)));
        }
        assert_refused(&resolving_to(&["fe80::1", "fe80::2"]).exchange(&ask(&url)).await, "strays alone");
    });
}

#[test]
fn a_redirect_to_them() {
    run(async {
        let server = Server::start(None, Script::new("", End::Hold)).await;
        for target in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "//[::ffff:169.254.169.254]/",
            "https://[fd00:ec2::254]/",
        ] {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\n\r\n");
            *server.script.borrow_mut() = Script::new(answer, End::Hold);
            let request = Request { max_redirects: 3, ..ask(&server.url("http")) };
            assert_refused(&CLIENT.exchange(&request).await, target);
        }
        assert_eq!(server.accepted.get(), 4);
    });
}
