//! By way of a proxy: what it is asked, what is guarded, and whose fault what is.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use api_health::probe::proxies::{Proxies, Proxy, ProxyChoice};
use api_health::probe::{Client, Reply as Answer, Request, Resolver, ResolverFiles};
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::name_server::{NameServer, Reply};
use crate::ports;
use crate::server::{CLIENT, End, Script, Server, get, good_config, run};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A proxy that answers a CONNECT with `connect` and then joins it with `server`, if that is a 200, and all else with [`ANSWER`].
struct Between {
    address: String,
    heads: Rc<RefCell<Vec<String>>>,
}

impl Between {
    async fn start(answer: &'static str, server: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let between = Self { address: listener.local_addr().unwrap().to_string(), heads: Rc::default() };
        let heads = Rc::clone(&between.heads);
        actix_rt::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let heads = Rc::clone(&heads);
                actix_rt::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    heads.borrow_mut().push(String::from_utf8(head).unwrap());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if let Some(port) = server {
                        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut server).await;
                    }
                });
            }
        });
        between
    }

    fn heads(&self) -> Vec<String> {
        self.heads.borrow().clone()
    }
}

fn by(proxy: &str) -> Client {
    let proxy = Arc::new(Proxy::parse(proxy).unwrap());
    let proxies = Proxies { http: Some(Arc::clone(&proxy)), https: Some(proxy), ..Proxies::default() };
    CLIENT.clone().with_proxies(Arc::new(proxies))
}

async fn ask(client: &Client, request: &Request) -> Result<Answer, Failure> {
    client.exchange(request).await.result
}

#[test]
fn over_http_the_proxy_is_asked_for_the_whole_url_and_looks_the_name_up() {
    run(async {
        let proxy = Between::start(ANSWER, None).await;
        let client = by(&format!("http://me:p%40ss@{}", proxy.address));
        let request =
            Request { headers: vec![("X-Key".into(), Secret::new("k"))], ..get("http://shop.invalid:8080/a?b=c") };
        let reply = ask(&client, &request).await.unwrap();
        assert_eq!((reply.status, reply.proxy.as_deref()), (200, Some(&*proxy.address)));
        let head = proxy.heads().concat();
        let begin = "GET http://shop.invalid:8080/a?b=c HTTP/1.1\r\nproxy-authorization: Basic bWU6cEBzcw==\r\nhost: shop.invalid:8080\r\n";
        assert!(head.starts_with(begin) && head.contains("\r\nX-Key: k\r\n"), "{head}");
    });
}

#[test]
fn over_https_it_opens_a_connection_and_sees_nothing_of_what_is_asked() {
    run(async {
        let server = Server::start(Some(good_config()), Script::new(ANSWER, End::Fin)).await;
        let proxy =
            Between::start("HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n", Some(server.address.port())).await;
        let client = by(&format!("http://me:pass@{}", proxy.address));
        let request = Request { headers: vec![("X-Key".into(), Secret::new("k"))], ..get(&server.url("https")) };
        let reply = ask(&client, &request).await.unwrap();
        assert_eq!((reply.status, reply.proxy.as_deref()), (200, Some(&*proxy.address)));
        let head = proxy.heads().concat();
        assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.address.port())), "{head}");
        assert!(head.contains("\r\nproxy-authorization: Basic bWU6cGFzcw==\r\n") && !head.contains("X-Key"), "{head}");
        let asked = String::from_utf8(server.asked.borrow().clone()).unwrap();
        assert!(asked.starts_with("GET /x HTTP/1.1\r\n") && !asked.contains("proxy-authorization"), "{asked}");
    });
}

#[test]
fn whose_fault_it_is_when_a_proxy_is_in_the_way() {
    let of = |answer: &'static str, url: &'static str| {
        run(async {
            let proxy = Between::start(answer, None).await;
            let failure = ask(&by(&proxy.address), &get(url)).await.unwrap_err();
            (failure.to_string().replace(&proxy.address, "PROXY"), matches!(failure, Failure::Local(_)))
        })
    };
    let wants = "the proxy PROXY wants a user name and password (status 407), and its URL has none".to_owned();
    for url in ["http://a.invalid/", "https://a.invalid/"] {
        assert_eq!(of("HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n", url), (wants.clone(), true));
    }
    let (said, is_ours) = of("HTTP/1.1 502 Bad Gateway\r\n\r\n", "https://a.invalid/");
    assert_eq!((&*said, is_ours), ("the proxy PROXY answered 502: it could not open a connection to the API", false));
    let (said, is_ours) = of("HTTP/1.1 403 Forbidden\r\n\r\n", "https://a.invalid/");
    assert_eq!((&*said, is_ours), ("the proxy PROXY answered 403, and opens no connection for us", true));
    assert!(of("SSH-2.0\r\n\r\n", "https://a.invalid/").0.ends_with("gave an answer that is not HTTP"));

    let closed = format!("127.0.0.1:{}", ports::free());
    for url in ["http://a.invalid/", "https://a.invalid/"] {
        let failure = run(ask(&by(&closed), &get(url))).unwrap_err();
        let did = "refused the connection".to_owned();
        assert_eq!(failure, Failure::Local(LocalFault::Proxy { proxy: closed.clone(), did }));
        assert_eq!(failure.to_string(), format!("the proxy {closed} refused the connection"));
    }
    let failure = run(ask(&by("no-such-proxy.invalid:80"), &get("http://a.invalid/"))).unwrap_err();
    assert!(matches!(&failure, Failure::Local(LocalFault::Proxy { .. })), "{failure}");
}

#[test]
fn an_answer_of_a_proxy_has_an_end() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        actix_rt::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 1_024]).await.is_ok() {}
        });
        let failure = ask(&by(&address), &get("https://a.invalid/")).await.unwrap_err();
        assert_eq!(failure.to_string(), format!("the proxy {address} gave an answer without an end"));
    });
}

#[test]
fn an_address_that_is_never_probed_is_not_asked_for_by_a_proxy_either() {
    run(async {
        let proxy =
            Between::start("HTTP/1.1 302 X\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", None)
                .await;
        let client = by(&proxy.address);
        for url in ["http://169.254.169.254/", "https://169.254.169.254/", "http://[fd00:ec2::254]/"] {
            assert!(matches!(ask(&client, &get(url)).await, Err(Failure::AddressRefused { .. })), "{url}");
        }
        assert!(proxy.heads().is_empty());
        let redirected = Request { max_redirects: 3, ..get("http://a.invalid/") };
        assert!(matches!(ask(&client, &redirected).await, Err(Failure::AddressRefused { .. })));
        assert_eq!(proxy.heads().len(), 1);
        let failure = ask(&by("http://169.254.169.254:80"), &get("http://a.invalid/")).await.unwrap_err();
        assert!(failure.to_string().starts_with("the proxy 169.254.169.254:80 cannot be reached"), "{failure}");
    });
}

#[test]
fn one_api_may_go_another_way_than_is_set() {
    run(async {
        let (proxy, other) = (Between::start(ANSWER, None).await, Between::start(ANSWER, None).await);
        let server = Server::start(None, Script::new(ANSWER, End::Fin)).await;
        let client = by(&proxy.address);
        let asked = async |route: &str, url: &str| {
            let prepared = client.prepare(get(url)).unwrap().with_proxy_choice(ProxyChoice::parse(route).unwrap());
            assert_eq!(client.exchange_prepared(&prepared).await.result.unwrap().status, 200);
        };
        asked("none", &server.url("http")).await;
        asked(&other.address, "http://a.invalid/").await;
        assert_eq!((proxy.heads().len(), other.heads().len(), server.accepted.get()), (0, 1, 1));

        let proxies = Proxies {
            http: Some(Arc::new(Proxy::parse(&proxy.address).unwrap())),
            except: "localhost".into(),
            ..Proxies::default()
        };
        let client = CLIENT.clone().with_proxies(Arc::new(proxies));
        assert_eq!(ask(&client, &get(&server.url("http"))).await.unwrap().proxy, None);
        assert!(ask(&client, &get("http://a.invalid/")).await.unwrap().proxy.is_some());
    });
}

#[test]
fn a_proxy_whose_name_no_name_server_answers_is_ours() {
    let silent = NameServer::start("127.0.0.1", |_, _| Reply::Silent);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = format!("nameserver {}\nsearch .\noptions timeout:1 attempts:1\n", silent.address.ip());
    std::fs::write(path("resolv.conf"), text).unwrap();
    let files = ResolverFiles {
        resolv_conf: path("resolv.conf"),
        hosts: path("hosts"),
        nsswitch_conf: path("nsswitch.conf"),
        port: silent.address.port(),
    };
    let failure = run(async {
        let client = by("proxy.test:3128").with_resolver(Resolver::own(files));
        ask(&client, &get("http://a.invalid/")).await.unwrap_err()
    });
    let did = "has a name that no name server answers".to_owned();
    assert_eq!(failure, Failure::Local(LocalFault::Proxy { proxy: "proxy.test:3128".into(), did }));
}
