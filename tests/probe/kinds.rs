//! What is asked otherwise than by a plain request: another place, a certificate and a name of its own, connections, name servers,
//! streams, and secrets in the URL.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use api_health::probe::guard::{Allowed, Network};
use api_health::probe::{Client, HttpProbe, Limits};
use api_health_actors::ports::Probe as _;
use api_health_core::asking::Identity;
use api_health_core::assertion::judge;
use api_health_core::{Answer, ApiConfig, Asking, Failure, Observation, Outcome, Protocol, Secret, Verdict};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;

use crate::name_server::{NameServer, Reply};
use crate::port::{Ticking, config};
use crate::server::{AUTHORITY, CLIENT, End, Script, Server, authority, good_config, run, server_config};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

pub fn probe_of(client: &Client) -> HttpProbe {
    HttpProbe::new(
        client.clone(),
        Arc::new(Ticking::default()),
        Limits { max_in_flight: 100, max_in_flight_per_host: 100, body_bytes_max: 1_000 },
    )
}

pub fn api(url: &str, asking: Asking) -> ApiConfig {
    ApiConfig { asking: Some(Box::new(asking)), timeout: Duration::from_secs(5), ..config(url) }
}

pub async fn ask(api: ApiConfig) -> (Observation, Outcome) {
    let seen = probe_of(&CLIENT).probe(Arc::new(api.clone())).await;
    let outcome = judge(&api, &seen);
    (seen, outcome)
}

pub fn reason(outcome: &Outcome) -> String {
    outcome.reason().unwrap_or_default()
}

#[test]
fn one_backend_is_asked_by_its_address_and_under_the_name_of_the_site() {
    run(async {
        let config = server_config(&AUTHORITY, &["shop.test"], |_| {});
        let server = Server::start(Some(config), Script::new(ANSWER, End::Fin)).await;
        let asking = Asking { connect_to: Some(server.address.to_string()), ..Asking::default() };
        let (seen, outcome) = ask(api("https://shop.test/health", asking)).await;
        assert_eq!((outcome.verdict, seen.address), (Verdict::Pass, Some(server.address)), "{outcome:?}");
        assert!(String::from_utf8_lossy(&server.asked.borrow()).contains("\r\nhost: shop.test\r\n"));
        // A redirect leads to where its own name is.
        *server.script.borrow_mut() =
            Script::new("HTTP/1.1 302 X\r\nlocation: http://other.invalid/\r\ncontent-length: 0\r\n\r\n", End::Fin);
        let asking = Asking { connect_to: Some(server.address.to_string()), ..Asking::default() };
        let (seen, _) = ask(ApiConfig { max_redirects: 1, ..api("https://shop.test/", asking) }).await;
        assert_eq!(seen.answer, Answer::Failure(Failure::NameNotFound { host: "other.invalid".into() }));
        let asking = Asking { connect_to: Some("169.254.169.254:80".into()), ..Asking::default() };
        let (seen, _) = ask(api("http://shop.test/", asking)).await;
        assert!(matches!(seen.answer, Answer::Failure(Failure::AddressRefused { .. })), "{:?}", seen.answer);
    });
}

#[test]
fn the_name_for_tls_may_be_another_than_that_of_the_url() {
    run(async {
        let config = server_config(&AUTHORITY, &["inner.test"], |_| {});
        let server = Server::start(Some(config), Script::new(ANSWER, End::Fin)).await;
        let (_, outcome) = ask(api(&server.url("https"), Asking::default())).await;
        assert!(reason(&outcome).contains("not for localhost but for inner.test"), "{outcome:?}");
        let asking = Asking { server_name: Some("inner.test".into()), ..Asking::default() };
        assert_eq!(ask(api(&server.url("https"), asking)).await.1.verdict, Verdict::Pass);
    });
}

#[test]
fn an_api_may_trust_authorities_of_its_own_and_no_others() {
    run(async {
        let other = authority("another authority");
        let pem = || Some(Secret::new(other.pem()));
        let server =
            Server::start(Some(server_config(&other, &["localhost"], |_| {})), Script::new(ANSWER, End::Fin)).await;
        let (_, outcome) = ask(api(&server.url("https"), Asking::default())).await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        let asking = || Asking { ca_certificates: pem(), ..Asking::default() };
        assert_eq!(ask(api(&server.url("https"), asking())).await.1.verdict, Verdict::Pass);
        let trusted_else = Server::start(Some(good_config()), Script::new(ANSWER, End::Fin)).await;
        assert!(reason(&ask(api(&trusted_else.url("https"), asking())).await.1).contains("issuer is unknown"));
    });
}

/// A server that lets nobody in without a certificate of `people`.
fn wants_certificate(people: &rcgen::CertifiedIssuer<'static, KeyPair>) -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(people.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &*AUTHORITY).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    Arc::new(config.unwrap())
}

fn identity_of(people: &rcgen::CertifiedIssuer<'static, KeyPair>) -> Asking {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["client".into()]).unwrap().signed_by(&key, people).unwrap();
    let identity = Identity { certificate: Secret::new(certificate.pem()), key: Secret::new(key.serialize_pem()) };
    Asking { identity: Some(identity), ..Asking::default() }
}

#[test]
fn a_client_certificate_is_shown_to_whoever_wants_one() {
    run(async {
        let people = authority("people");
        let server = Server::start(Some(wants_certificate(&people)), Script::new(ANSWER, End::Fin)).await;
        assert_eq!(ask(api(&server.url("https"), identity_of(&people))).await.1.verdict, Verdict::Pass);
        let (_, without) = ask(config(&server.url("https"))).await;
        assert!(reason(&without).contains("wants a client certificate, and this API has none"), "{without:?}");
        let (_, strange) = ask(api(&server.url("https"), identity_of(&authority("strangers")))).await;
        assert!(reason(&strange).contains("refused the client certificate of this API"), "{strange:?}");
        // Whoever wants none is shown none.
        let server = Server::start(Some(good_config()), Script::new(ANSWER, End::Fin)).await;
        assert_eq!(ask(api(&server.url("https"), identity_of(&people))).await.1.verdict, Verdict::Pass);
    });
}

#[test]
fn a_stream_is_judged_by_its_head() {
    run(async {
        let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n";
        let server = Server::start(None, Script::new(stream, End::Hold)).await;
        let (seen, outcome) = ask(config(&server.url("http"))).await;
        assert!(outcome.verdict == Verdict::Pass && seen.took < Duration::from_secs(5), "{outcome:?}");
        let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}";
        let server = Server::start(None, Script::new(endless, End::Hold)).await;
        let asking = Asking { head_only: true, ..Asking::default() };
        let (seen, outcome) = ask(api(&server.url("http"), asking)).await;
        assert_eq!(outcome.verdict, Verdict::Pass);
        let Answer::Response(response) = seen.answer else { panic!("{:?}", seen.answer) };
        assert!(response.body_cut_at_bound && response.body_bytes == 0, "{response:?}");
        let short = ApiConfig { timeout: Duration::from_secs(1), ..config(&server.url("http")) };
        assert!(reason(&ask(short).await.1).contains("while reading the answer"));
    });
}

#[test]
fn a_secret_in_the_url_is_sent_and_what_a_server_echoes_of_it_is_masked() {
    run(async {
        let answer = "HTTP/1.1 301 X\r\nlocation: /hook/hunter2/\r\ncontent-length: 0\r\n\r\n";
        let server = Server::start(None, Script::new(answer, End::Fin)).await;
        let whole = format!("http://localhost:{}/hook/hunter2", server.address.port());
        let asking = Asking {
            secret_url: Some(Secret::new(&whole)),
            url_secrets: vec![Secret::new("hunter2")],
            ..Asking::default()
        };
        let api = api(&whole.replace("hunter2", "***"), asking);
        let shown = format!("{api:?}");
        let (seen, outcome) = ask(api).await;
        assert!(server.asked.borrow().starts_with(b"GET /hook/hunter2 HTTP/1.1\r\n"));
        assert!(reason(&outcome).ends_with("(redirects to /hook/***/)"), "{outcome:?}");
        assert!(!format!("{shown}{seen:?}{outcome:?}").contains("hunter2"));
    });
}

#[test]
fn a_tcp_port_is_open_or_not_and_tls_has_a_good_certificate_or_not() {
    run(async {
        let of = |protocol| Asking { protocol, ..Asking::default() };
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", plain.local_addr().unwrap());
        let (seen, outcome) = ask(api(&url, of(Protocol::Tcp))).await;
        assert_eq!((seen.answer, outcome.verdict), (Answer::Connected { certificate: None }, Verdict::Pass));
        assert!(seen.phases.connect.is_some() && seen.phases.tls.is_none() && outcome.latency_ms.is_some());
        drop(plain);
        assert!(reason(&ask(api(&url, of(Protocol::Tcp))).await.1).ends_with("refused"));
        let server = Server::start(Some(good_config()), Script::new("", End::Hold)).await;
        let port = server.address.port();
        let (seen, outcome) = ask(api(&format!("tls://localhost:{port}"), of(Protocol::Tls))).await;
        assert!(outcome.verdict == Verdict::Pass && seen.phases.tls.is_some(), "{outcome:?}");
        let certificate = outcome.certificate.expect("its end is told as that of any other");
        assert!(certificate.not_before < certificate.not_after);
        let named = Asking { server_name: Some("other.test".into()), ..of(Protocol::Tls) };
        let (_, outcome) = ask(api(&format!("tls://localhost:{port}"), named)).await;
        assert!(reason(&outcome).contains("certificate is not for other.test"), "{outcome:?}");
        let elsewhere = Asking { connect_to: Some(server.address.to_string()), ..of(Protocol::Tls) };
        let (_, outcome) = ask(api("tls://shop.test", elsewhere)).await;
        assert!(reason(&outcome).contains("certificate is not for shop.test"), "{outcome:?}");
    });
}

#[test]
fn a_name_server_is_asked_and_its_answer_compared() {
    run(async {
        let server = NameServer::start("127.0.0.1", |name, kind| match (name, kind) {
            ("shop.test", 1) => {
                Reply::Addresses(vec![Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into()])
            }
            ("shop.test", _) => Reply::Addresses(Vec::new()),
            ("ill.test", _) => Reply::Code(2),
            ("silent.test", _) => Reply::Silent,
            _ => Reply::Code(3),
        });
        let question = |name: &str, expected: &[&str]| {
            let expected_answers = expected.iter().map(ToString::to_string).collect();
            let asking = Asking { protocol: Protocol::Dns, expected_answers, ..Asking::default() };
            ApiConfig { timeout: Duration::from_secs(1), ..api(&format!("dns://{}/{name}", server.address), asking) }
        };
        let (seen, outcome) = ask(question("shop.test", &["10.0.0.2"])).await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        assert_eq!(seen.answer, Answer::Records(vec!["10.0.0.1".into(), "10.0.0.2".into()]));
        assert!(seen.phases.first_byte.is_some() && seen.address == Some(server.address));
        for (name, expected, words) in [
            ("shop.test", &["10.0.0.9"][..], "the answer lacks 10.0.0.9 (it is 10.0.0.1, 10.0.0.2)"),
            ("shop.test?type=MX", &[], "the name exists and has no record of that type"),
            ("none.test", &[], "name none.test not found"),
            ("ill.test", &[], "answered SERVFAIL: it could not find out"),
            ("silent.test", &[], "timed out after 1 s while waiting for the first byte"),
        ] {
            let (_, outcome) = ask(question(name, expected)).await;
            assert!(outcome.verdict == Verdict::Fail && reason(&outcome).ends_with(words), "{outcome:?}");
        }
        let free = crate::ports::listen().local_addr().unwrap().port();
        let nobody =
            api(&format!("dns://127.0.0.1:{free}/shop.test"), Asking { protocol: Protocol::Dns, ..Asking::default() });
        assert!(reason(&ask(nobody).await.1).ends_with("refused"));
    });
}

#[test]
fn link_local_services_are_probed_where_they_are_allowed() {
    run(async {
        let service = "http://169.254.171.5:9/";
        let refused = |seen: &Observation| matches!(seen.answer, Answer::Failure(Failure::AddressRefused { .. }));
        let short = |url: &str| Arc::new(ApiConfig { timeout: Duration::from_millis(200), ..config(url) });
        assert!(refused(&probe_of(&CLIENT).probe(short(service)).await));
        // It is never connected to from here: a family that the address is not of ends it after the guard.
        let allowed = Allowed::new(vec![Network::parse("169.254.171.0/24").unwrap()]);
        let client = CLIENT.clone().with_allowed(allowed);
        let other_family = |url: &str| {
            Arc::new(ApiConfig { ip_family: api_health_core::IpFamily::Ipv6, ..ApiConfig::clone(&short(url)) })
        };
        assert!(!refused(&probe_of(&client).probe(other_family(service)).await));
        assert!(refused(&probe_of(&client).probe(other_family("http://169.254.169.254/")).await));
        assert!(refused(&probe_of(&client).probe(other_family("http://169.254.172.1/")).await));
    });
}
