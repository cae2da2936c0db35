//! Evidence: what a probe brings home of an exchange that failed, or may be a recovery, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use api_health::probe::{HttpProbe, Limits, Resolver};
use api_health_actors::ports::Probe as _;
use api_health_core::network::{self, Testimony};
use api_health_core::{ApiConfig, Evidence, Observation, Secret, Timestamp, Verdict};

use crate::port::{clock, config, probe};
use crate::server::{AUTHORITY, AUTHORITY_NAME, CLIENT, End, Script, Server, good_config, run, server_config};

fn evidence(api: &ApiConfig, observation: &Observation) -> Evidence {
    let outcome = network::judge(api, observation, &Testimony::default());
    (*outcome.evidence.expect("there is evidence")).clone()
}

async fn asked(api: &Arc<ApiConfig>) -> Evidence {
    evidence(api, &probe(1, 10_000).probe(Arc::clone(api)).await)
}

#[test]
fn an_answer_that_is_not_expected_is_seen_with_all_its_parts_and_without_secrets() {
    run(async {
        let body = "<h1>No</h1>\r\n you sent Bearer hunter22 and hun";
        let length = body.len();
        let answer = format!("HTTP/1.1 503 Out of \x1b[31morder\r\ncontent-length: {length}\r\n\r\n{body}");
        let server = Server::start(Some(good_config()), Script::new(answer, End::Fin)).await;
        let headers = vec![("authorization".into(), Secret::new("Bearer hunter22"))];
        let api = Arc::new(ApiConfig { headers, ..config(&server.url("https")) });
        let seen = asked(&api).await;
        assert_eq!(seen.status_line.as_deref(), Some("HTTP/1.1 503 Out of \u{fffd}[31morder"));
        assert_eq!(seen.body_start.as_deref(), Some("<h1>No</h1> you sent *** and hun"));
        assert_eq!(seen.address, Some(server.address));
        assert!(!seen.addresses.is_empty(), "{seen:?}");
        let phases = seen.phases;
        assert!(
            [phases.resolve, phases.connect, phases.tls, phases.first_byte, phases.body].iter().all(Option::is_some)
        );
        let certificate = seen.certificate.unwrap();
        assert_eq!(certificate.issuer, AUTHORITY_NAME);
        assert!(certificate.not_before < certificate.not_after);
    });
}

#[test]
fn a_body_that_breaks_off_or_never_ends_is_seen_as_far_as_it_came() {
    run(async {
        for end in [End::Fin, End::Hold] {
            let script = Script::new("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it", end);
            let server = Server::start(None, script).await;
            let timeout = Duration::from_millis(700);
            let api = Arc::new(ApiConfig { timeout, ..config(&server.url("http")) });
            let seen = asked(&api).await;
            assert_eq!(seen.status_line.as_deref(), Some("HTTP/1.1 200 OK"), "{end:?}");
            assert_eq!(seen.body_start.as_deref(), Some("half of it"), "{end:?}");
            assert!(seen.phases.first_byte.is_some() && seen.phases.body.is_none(), "{end:?}");
        }
    });
}

#[test]
fn a_certificate_that_is_refused_is_seen_with_its_dates() {
    run(async {
        let over = server_config(&AUTHORITY, &["localhost"], |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        });
        let server = Server::start(Some(over), Script::new("", End::Fin)).await;
        let seen = asked(&Arc::new(config(&server.url("https")))).await;
        let certificate = seen.certificate.unwrap();
        assert_eq!(Some(certificate.not_after), Timestamp::parse("2021-01-01T00:00:00Z"));
        assert_eq!((certificate.issuer.as_str(), seen.status_line), (AUTHORITY_NAME, None));
    });
}

#[test]
fn a_certificate_that_is_far_too_long_is_no_evidence() {
    run(async {
        let long = server_config(&AUTHORITY, &["localhost"], |params| {
            let names = (0..1_000).map(|n| format!("a-name-that-is-rather-long-{n}.test"));
            params.subject_alt_names.extend(names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap())));
        });
        let server = Server::start(Some(long), Script::new("HTTP/1.1 503 No\r\n\r\n", End::Fin)).await;
        let seen = asked(&Arc::new(config(&server.url("https")))).await;
        assert_eq!((seen.status_line.as_deref(), seen.certificate), (Some("HTTP/1.1 503 No"), None));
    });
}

#[test]
fn every_address_of_a_name_is_seen_and_which_one_was_tried() {
    run(async {
        let server = Server::start(None, Script::new("HTTP/1.1 500 No\r\n\r\n", End::Fin)).await;
        let resolver = Resolver::from_fn(|_, port| {
            Box::pin(async move { Ok((1..=9).map(|n| ([127, 0, 0, n], port).into()).collect()) })
        });
        let limits = Limits { max_in_flight: 1, max_in_flight_per_host: 1, body_bytes_max: 100 };
        let probe = HttpProbe::new(CLIENT.clone().with_resolver(resolver), clock(), limits);
        let api = Arc::new(config(&format!("http://many.test:{}/", server.address.port())));
        let seen = evidence(&api, &probe.probe(Arc::clone(&api)).await);
        assert_eq!((seen.addresses.len(), seen.more_addresses), (6, 3));
        assert_eq!(seen.address, Some(server.address));
    });
}

#[test]
fn passes_bring_evidence_as_long_as_they_may_be_a_recovery_and_no_longer() {
    run(async {
        let server = Server::start(None, Script::new("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup", End::Fin)).await;
        let api = Arc::new(config(&server.url("http")));
        let prepared = probe(1, 100).prepare(Arc::clone(&api));
        let has_evidence = async || {
            let observation = std::rc::Rc::clone(&prepared).run().await;
            let outcome = network::judge(&api, &observation, &Testimony::default());
            (outcome.verdict, outcome.evidence.is_some())
        };
        let pass = |has| (Verdict::Pass, has);
        for expected in [pass(true), pass(true), pass(false), pass(false)] {
            assert_eq!(has_evidence().await, expected, "two in a row confirm it");
        }
        server.script.borrow_mut().bytes = b"HTTP/1.1 500 No\r\n\r\n".to_vec();
        assert_eq!(has_evidence().await, (Verdict::Fail, true));
        server.script.borrow_mut().bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        for expected in [pass(true), pass(true), pass(false)] {
            assert_eq!(has_evidence().await, expected);
        }
    });
}

#[test]
fn a_secret_in_a_location_is_hidden_in_the_reason() {
    run(async {
        let answer = "HTTP/1.1 302 X\r\nlocation: /login/hunter22/x\r\ncontent-length: 0\r\n\r\n";
        let server = Server::start(None, Script::new(answer, End::Fin)).await;
        let headers = vec![("x-key".into(), Secret::new("hunter22"))];
        let api = Arc::new(ApiConfig { headers, ..config(&server.url("http")) });
        let observation = probe(1, 100).probe(Arc::clone(&api)).await;
        let reason = network::judge(&api, &observation, &Testimony::default()).reason().unwrap();
        assert!(reason.ends_with("(redirects to /login/***/x)"), "{reason}");
    });
}
