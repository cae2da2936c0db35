//! Time: a timeout in each phase, addresses that lead nowhere, a connection of its own for each exchange.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api_health::probe::{Client, Exchange, Request, Resolver};
use api_health_core::{Failure, Phase};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::ports;
use crate::server::{CLIENT, End, Script, Server, get, good_config, run};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const LIMIT: Duration = Duration::from_millis(500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);

fn assert_timed_out(exchange: &Exchange, phase: Phase) {
    assert_eq!(exchange.result.as_ref().unwrap_err(), &Failure::TimedOut { phase, after: LIMIT });
    assert!(exchange.took >= LIMIT && exchange.took < LIMIT + SLACK, "took {:?}", exchange.took);
}

fn resolver(answers: Vec<IpAddr>) -> Resolver {
    Resolver::from_fn(move |_, port| {
        let addresses = answers.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        Box::pin(async move { Ok(addresses) })
    })
}

#[test]
fn timed_out_looking_up_the_name() {
    let client = CLIENT.clone().with_resolver(Resolver::from_fn(|_, _| Box::pin(std::future::pending())));
    let exchange = run(client.exchange(&Request { timeout: LIMIT, ..get("http://a.test/") }));
    assert_timed_out(&exchange, Phase::Resolve);
    assert_eq!(exchange.phases, Default::default());
}

#[test]
fn a_host_that_tls_cannot_name_is_looked_up_first_and_may_not_exist() {
    let nobody = Resolver::from_fn(|_, _| {
        let error = "failed to lookup address information: Name or service not known";
        Box::pin(async move { Err(std::io::Error::other(error)) })
    });
    let client = Client::new(None).unwrap().with_resolver(nobody);
    let failure = run(client.exchange(&get("https://api-.example.test/"))).result.unwrap_err();
    assert_eq!(failure, Failure::NameNotFound { host: "api-.example.test".into() });
}

#[test]
fn names_that_are_not_there_and_lookups_that_fail() {
    let failing = |words: &'static str| {
        let error = move || io::Error::other(format!("failed to lookup address information: {words}"));
        let client = CLIENT.clone().with_resolver(Resolver::from_fn(move |_, _| {
            let error = error();
            Box::pin(async move { Err(error) })
        }));
        run(client.exchange(&get("http://a.test/"))).result.unwrap_err()
    };
    assert_eq!(failing("Name or service not known").to_string(), "name a.test not found");
    assert_eq!(
        failing("Temporary failure in name resolution").to_string(),
        "name a.test could not be looked up: Temporary failure in name resolution"
    );
    let empty = CLIENT.clone().with_resolver(resolver(Vec::new()));
    let failure = run(empty.exchange(&get("http://a.test/"))).result.unwrap_err();
    assert_eq!(failure.to_string(), "name a.test exists and has no IP address");
}

/// A port that lets nobody in: its queue of connections is full, and Linux drops what does not fit.
struct BlackHole {
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
            assert!(queue.len() < 10, "the queue does not fill");
        }
        Self { _listener: listener, _queue: queue }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn timed_out_connecting() {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let exchange = run(async {
        let _hole = BlackHole::at(address).await;
        CLIENT.exchange(&Request { timeout: LIMIT, ..get(&format!("http://{address}/")) }).await
    });
    assert_timed_out(&exchange, Phase::Connect);
    assert_eq!(exchange.address, None);
}

#[test]
#[cfg(target_os = "linux")]
fn an_address_that_leads_nowhere_does_not_hide_one_that_answers() {
    run(async {
        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        let hole: IpAddr = [127, 0, 0, 2].into();
        let _hole = BlackHole::at(SocketAddr::new(hole, server.address.port())).await;
        let client = CLIENT.clone().with_resolver(resolver(vec![hole, server.address.ip()]));
        let exchange = client.exchange(&get(&format!("http://a.test:{}/", server.address.port()))).await;
        assert_eq!(exchange.result.unwrap().status, 200);
        assert_eq!(exchange.address, Some(server.address));
        let connect = exchange.phases.connect.unwrap();
        assert!(connect >= Duration::from_millis(250) && connect < SLACK, "{connect:?}");
        assert!(exchange.phases.resolve.is_some());
    });
}

#[test]
fn addresses_that_refuse_do_not_hold_up_the_next() {
    run(async {
        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        let mut answers: Vec<IpAddr> = (2..9).map(|i| [127, 0, 0, i].into()).collect();
        answers.push(server.address.ip());
        let client = CLIENT.clone().with_resolver(resolver(answers));
        let exchange = client.exchange(&get(&format!("http://a.test:{}/", server.address.port()))).await;
        assert_eq!(exchange.result.unwrap().status, 200);
        let connect = exchange.phases.connect.unwrap();
        assert!(connect < Duration::from_secs(1), "seven pauses of 250 ms would be more than {connect:?}");
    });
}

#[test]
fn refused() {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let exchange = run(CLIENT.exchange(&get(&format!("http://{address}/"))));
    assert_eq!(exchange.result.unwrap_err(), Failure::Refused { address });
}

#[test]
fn timed_out_in_the_tls_handshake() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("https://localhost:{}/", address.port());
        let exchange = CLIENT.exchange(&Request { timeout: LIMIT, ..get(&url) }).await;
        assert_timed_out(&exchange, Phase::Tls);
        assert_eq!((exchange.address, exchange.phases.tls), (Some(address), None));
        assert!(exchange.phases.connect.is_some());
    });
}

#[test]
fn timed_out_before_the_first_byte_and_in_the_body() {
    for (tls, scheme) in [(false, "http"), (true, "https")] {
        run(async {
            let server = Server::start(tls.then(good_config), Script::new("", End::Hold)).await;
            let request = Request { timeout: LIMIT, ..get(&server.url(scheme)) };
            let exchange = CLIENT.exchange(&request).await;
            assert_timed_out(&exchange, Phase::FirstByte);
            assert_eq!(exchange.phases.tls.is_some(), tls);

            let drip = format!("HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n{}", "x".repeat(60));
            let mut script = Script::new(drip, End::Hold);
            script.piece = Some((50, Duration::from_secs(1)));
            *server.script.borrow_mut() = script;
            let exchange = CLIENT.exchange(&request).await;
            assert_timed_out(&exchange, Phase::Body);
            assert!(exchange.phases.first_byte.is_some() && exchange.phases.body.is_none());
        });
    }
}

#[test]
fn every_phase_of_a_good_exchange_has_its_time() {
    run(async {
        let server = Server::start(Some(good_config()), Script::new(ANSWER, End::Hold)).await;
        let exchange = CLIENT.exchange(&get(&server.url("https"))).await;
        let phases = exchange.phases;
        let all = [phases.resolve, phases.connect, phases.tls, phases.first_byte, phases.body];
        assert!(all.iter().all(Option::is_some), "{phases:?}");
        assert!(all.iter().flatten().sum::<Duration>() <= exchange.took);
        assert_eq!(exchange.address, Some(server.address));

        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        let exchange = CLIENT.exchange(&get(&format!("http://{}/", server.address))).await;
        assert_eq!((exchange.phases.resolve, exchange.phases.tls), (None, None));
    });
}

#[test]
fn a_connection_of_its_own_for_each_exchange() {
    run(async {
        let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
        for _ in 0..5 {
            assert_eq!(CLIENT.exchange(&get(&server.url("http"))).await.result.unwrap().status, 200);
        }
        assert_eq!(server.accepted.get(), 5);
    });
}

/// Waits until the client of the one connection has closed it.
async fn closed(listener: &TcpListener) -> bool {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut space = [0; 4096];
    timeout(Duration::from_secs(5), async { while stream.read(&mut space).await.is_ok_and(|n| n > 0) {} }).await.is_ok()
}

#[test]
fn dropping_the_future_and_timing_out_both_close_the_connection() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let request = get(&url);
        assert!(timeout(Duration::from_millis(100), CLIENT.exchange(&request)).await.is_err());
        assert!(closed(&listener).await);
        let exchange = CLIENT.exchange(&Request { timeout: Duration::from_millis(100), ..request }).await;
        assert!(matches!(exchange.result, Err(Failure::TimedOut { .. })));
        assert!(closed(&listener).await);
    });
}

#[test]
fn the_body_is_read_to_its_bound_and_not_a_byte_further() {
    run(async {
        let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "5\r\nabcde\r\n".repeat(100));
        let server = Server::start(None, Script::new(endless, End::Hold)).await;
        for (bound, cut) in [(0, true), (7, true), (499, true)] {
            let request = Request { body_bytes_max: bound, ..get(&server.url("http")) };
            let reply = CLIENT.exchange(&request).await.result.unwrap();
            assert_eq!((reply.body.len(), reply.body_cut_at_bound), (bound, cut), "bound {bound}");
        }
        *server.script.borrow_mut() = Script::new(ANSWER, End::Hold);
        for (bound, cut) in [(0, true), (1, true), (2, false), (3, false)] {
            let request = Request { body_bytes_max: bound, ..get(&server.url("http")) };
            let reply = CLIENT.exchange(&request).await.result.unwrap();
            assert_eq!((reply.body.len(), reply.body_cut_at_bound), (bound.min(2), cut), "bound {bound}");
        }
    });
}

#[test]
fn a_client_goes_to_any_thread() {
    fn any_thread<T: Send + Sync + Clone>() {}
    any_thread::<Client>();
    let reply = std::thread::spawn(|| {
        run(async {
            let server = Server::start(None, Script::new(ANSWER, End::Hold)).await;
            let reply = CLIENT.exchange(&get(&server.url("http"))).await.result.unwrap();
            sleep(Duration::from_millis(1)).await;
            reply
        })
    });
    let reply = reply.join().unwrap();
    assert_eq!(reply.headers.get("Content-Length"), Some(&b"2"[..]));
}
