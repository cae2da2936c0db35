//! The port: from a config to an observation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api_health::probe::{HttpProbe, Limits};
use api_health_actors::ports::{Clock, Probe as _};
use api_health_core::assertion::judge;
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, ApiId, Failure, Method, Schedule, Secret, StatusSet, Timestamp, Verdict};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::server::{CLIENT, End, Script, Server, run};

/// Each look is a millisecond later than the one before.
#[derive(Default)]
pub struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(Ticking(AtomicI64::new(1_000)))
}

pub fn probe(max_in_flight: usize, body_bytes_max: usize) -> HttpProbe {
    let max_in_flight_per_host = usize::MAX;
    HttpProbe::new(CLIENT.clone(), clock(), Limits { max_in_flight, max_in_flight_per_host, body_bytes_max })
}

pub fn config(url: &str) -> ApiConfig {
    ApiConfig {
        name: "A".into(),
        expected_status: StatusSet::parse("2xx").unwrap(),
        ..ApiConfig::plain(ApiId::parse("a").unwrap(), url.into(), Arc::new(Schedule::every(Duration::from_secs(60))))
    }
}

#[test]
fn an_answer_becomes_an_observation() {
    run(async {
        let server = Server::start(None, Script::new("HTTP/1.1 503 No\r\n\r\nhello", End::Fin)).await;
        let api = ApiConfig {
            method: Method::Post,
            headers: vec![("x-key".into(), Secret::new("k"))],
            body: Some(Secret::new("ping")),
            ..config(&server.url("http"))
        };
        let seen = probe(1, 3).probe(Arc::new(api)).await;
        let Answer::Response(response) = seen.answer else { panic!("{:?}", seen.answer) };
        assert_eq!((response.status, response.body_bytes, response.body_cut_at_bound), (503, 3, true));
        assert_eq!((response.location, response.redirects), (None, 0));
        assert_eq!((seen.started_at.as_millis(), seen.finished_at.as_millis()), (1_000, 1_001));
        assert!(seen.took > Duration::ZERO && seen.phases.body.is_some());
        assert_eq!(seen.address, Some(server.address));
        let asked = String::from_utf8(server.asked.borrow().clone()).unwrap();
        assert!(asked.starts_with("POST /x HTTP/1.1\r\nhost: localhost:"), "{asked}");
        assert!(asked.contains("\r\nx-key: k\r\n") && asked.ends_with("content-length: 4\r\n\r\nping"), "{asked}");
        assert!(!asked.contains("\r\ndate:") && !asked.contains("accept-encoding"), "{asked}");
    });
}

#[test]
fn a_redirect_that_is_not_followed_tells_its_location_short_and_harmless() {
    run(async {
        let answer =
            format!("HTTP/1.1 302 X\r\nlocation: /\u{9b}\u{202e}{}\r\ncontent-length: 0\r\n\r\n", "y".repeat(500));
        let server = Server::start(None, Script::new(answer, End::Hold)).await;
        let seen = probe(1, 100).probe(Arc::new(config(&server.url("http")))).await;
        let Answer::Response(response) = seen.answer else { panic!("{:?}", seen.answer) };
        let location = response.location.unwrap();
        assert!(location.starts_with("/\u{fffd}\u{fffd}yyy") && location.chars().count() == 200, "{location}");
    });
}

#[test]
fn a_failure_becomes_an_observation_and_a_bad_config_is_our_own_fault() {
    run(async {
        let seen = probe(1, 100).probe(Arc::new(config("http://169.254.169.254/"))).await;
        assert!(matches!(seen.answer, Answer::Failure(Failure::AddressRefused { .. })), "{:?}", seen.answer);
        let line_break = vec![("x".into(), Secret::new("a\r\nb: hunter2"))];
        let server = Server::start(None, Script::new("", End::Fin)).await;
        for api in [
            config("no url"),
            config("ftp://localhost/"),
            ApiConfig { headers: line_break, ..config(&server.url("http")) },
        ] {
            let seen = probe(1, 100).probe(Arc::new(api)).await;
            assert!(
                matches!(&seen.answer, Answer::Failure(Failure::Local(LocalFault::Internal(_)))),
                "{:?}",
                seen.answer
            );
            assert!(!format!("{seen:?}").contains("hunter2"));
        }
    });
}

#[test]
fn a_crowd_of_our_own_is_never_taken_for_a_slow_api() {
    run(async {
        let mut script = Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold);
        script.piece = Some((6, Duration::from_millis(100))); // 200 ms for each answer
        let server = Server::start(None, script).await;
        let api = Arc::new(ApiConfig { timeout: Duration::from_secs(20), ..config(&server.url("http")) });
        let probe = probe(2, 100);
        let started = Instant::now();
        let seen = join_all((0..24).map(|_| probe.probe(Arc::clone(&api)))).await;
        assert!(started.elapsed() >= Duration::from_secs(2), "two at a time, {:?}", started.elapsed());
        for observation in seen {
            assert!(matches!(&observation.answer, Answer::Response(r) if r.status == 204), "{:?}", observation.answer);
            assert!(observation.took < Duration::from_secs(2), "its wait is not counted");
        }
    });
}

#[test]
fn a_probe_waits_for_its_turn_as_long_as_its_timeout_and_then_says_that_the_fault_is_ours() {
    run(async {
        let timeout = Duration::from_millis(400);
        let server = Server::start(None, Script::new("", End::Hold)).await;
        let slow = Arc::new(ApiConfig { timeout: Duration::from_secs(30), ..config(&server.url("http")) });
        let api = Arc::new(ApiConfig { timeout, ..config(&server.url("http")) });
        let probe = probe(2, 100);
        let holding = join_all((0..2).map(|_| probe.probe(Arc::clone(&slow))));
        let waiting = join_all((0..5).map(|_| probe.probe(Arc::clone(&api))));
        let started = Instant::now();
        // Who holds the turns never ends; it is dropped when those that wait have given up.
        let futures_util::future::Either::Right((seen, holding)) = futures_util::future::select(holding, waiting).await
        else {
            panic!("the two that hang have half a minute")
        };
        assert!(started.elapsed() >= timeout);
        for observation in seen {
            assert_eq!(observation.answer, Answer::Failure(Failure::Local(LocalFault::TooManyProbes)));
            assert_eq!((observation.took, observation.address), (Duration::ZERO, None), "nothing was asked");
            let outcome = judge(&api, &observation);
            assert_eq!(outcome.verdict, Verdict::Inconclusive);
            assert!(outcome.reason().unwrap().contains("[probe] max_in_flight"), "{outcome:?}");
        }
        assert_eq!(server.accepted.get(), 2);
        drop(holding);
        *server.script.borrow_mut() = Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold);
        let seen = probe.probe(Arc::clone(&slow)).await;
        assert!(matches!(seen.answer, Answer::Response(_)), "the turns are given back: {:?}", seen.answer);
    });
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a thread that is stalled is what is tested")]
fn a_timeout_that_a_stalled_thread_saw_is_inconclusive_and_one_that_a_running_thread_saw_is_a_fail() {
    run(async {
        let server = Server::start(None, Script::new("", End::Hold)).await;
        let api = Arc::new(ApiConfig { timeout: Duration::from_millis(300), ..config(&server.url("http")) });
        let probe = probe(1, 100);
        actix_rt::spawn(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::thread::sleep(Duration::from_millis(2_000));
        });
        let stalled = judge(&api, &probe.probe(Arc::clone(&api)).await);
        assert_eq!(stalled.verdict, Verdict::Inconclusive, "{stalled:?}");
        assert!(stalled.reason().unwrap().starts_with("this process was stalled for 1 s or more: timed out"));
        let ran = probe.probe(Arc::clone(&api)).await;
        // Where the machine itself stalls meanwhile, that is told as well.
        let slow_machine = api_health_core::assertion::stalled(ran.took, api.timeout).is_some();
        assert_eq!(judge(&api, &ran).verdict, if slow_machine { Verdict::Inconclusive } else { Verdict::Fail });
    });
}
