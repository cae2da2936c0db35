//! Manners: how many probes one host bears at once, and who it is that asks.

use std::sync::Arc;
use std::time::Duration;

use api_health::probe::{HttpProbe, Limits};
use api_health_actors::ports::Probe as _;
use api_health_core::assertion::judge;
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, Failure, Secret, Verdict};
use futures_util::future::{Either, join_all, select};

use crate::port::{clock, config};
use crate::server::{CLIENT, End, Script, Server, run};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn probe(max_in_flight: usize, max_in_flight_per_host: usize) -> HttpProbe {
    HttpProbe::new(CLIENT.clone(), clock(), Limits { max_in_flight, max_in_flight_per_host, body_bytes_max: 100 })
}

fn api(url: &str, timeout: Duration) -> Arc<ApiConfig> {
    Arc::new(ApiConfig { timeout, ..config(url) })
}

#[test]
fn so_many_probes_are_under_way_to_one_host_and_another_host_does_not_wait() {
    run(async {
        let hangs = Server::start(None, Script::new("", End::Hold)).await;
        let well = Server::start(None, Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold)).await;
        // Three turns in all, so that a crowd that held them while it waits for its host would keep the other one waiting.
        let probe = probe(3, 2);
        let crowd = join_all((0..8).map(|_| probe.probe(api(&hangs.url("http"), HALF_A_MINUTE))));
        // Its name is another, so it is another host.
        let other = api(&format!("http://{}/", well.address), HALF_A_MINUTE);
        let others = async {
            while hangs.accepted.get() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for _ in 0..3 {
                let seen = probe.probe(Arc::clone(&other)).await;
                assert!(matches!(&seen.answer, Answer::Response(r) if r.status == 204), "{:?}", seen.answer);
            }
        };
        if let Either::Right(_) = select(Box::pin(others), crowd).await {
            panic!("the other host waited for the crowd");
        }
        assert_eq!(hangs.accepted.get(), 2, "at once, of eight");
    });
}

#[test]
fn a_wait_for_others_of_its_host_is_told_and_is_no_part_of_the_time_of_a_probe() {
    run(async {
        let mut slow = Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold);
        slow.piece = Some((6, Duration::from_millis(100))); // 200 ms for each answer
        let slow = Server::start(None, slow).await;
        let probe = probe(100, 2);
        let crowd = join_all((0..24).map(|_| probe.probe(api(&slow.url("http"), HALF_A_MINUTE)))).await;
        for seen in &crowd {
            assert!(matches!(&seen.answer, Answer::Response(r) if r.status == 204), "{:?}", seen.answer);
            assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
        }
        let longest = crowd.iter().map(|seen| seen.waited_for_host).max();
        assert!(longest >= Some(Duration::from_secs(2)), "two at a time: {longest:?}");
    });
}

#[test]
fn who_has_no_turn_of_its_host_in_time_says_so_and_calls_nothing_down() {
    run(async {
        let server = Server::start(None, Script::new("", End::Hold)).await;
        let probe = probe(9, 1);
        let hangs = probe.probe(api(&server.url("http"), HALF_A_MINUTE));
        let late = api(&server.url("http").replace("/x", "/another"), Duration::from_millis(300));
        let Either::Right((seen, _)) = select(Box::pin(hangs), Box::pin(probe.probe(Arc::clone(&late)))).await else {
            panic!("the one that hangs has half a minute")
        };
        let full = LocalFault::HostShareFull { host: "localhost".into() };
        assert_eq!(seen.answer, Answer::Failure(Failure::Local(full)));
        assert!(seen.took.is_zero() && seen.waited_for_host >= late.timeout, "{seen:?}");
        let outcome = judge(&late, &seen);
        assert_eq!(outcome.verdict, Verdict::Inconclusive);
        let reason = outcome.reason().unwrap();
        assert!(reason.contains("localhost") && reason.contains("[probe] max_in_flight_per_host"), "{reason}");
        assert_eq!(server.accepted.get(), 1);
    });
}

#[test]
fn the_user_agent_names_whom_to_turn_to_unless_the_row_has_its_own() {
    run(async {
        let server = Server::start(None, Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold)).await;
        let limits = Limits { max_in_flight: 1, max_in_flight_per_host: 1, body_bytes_max: 100 };
        let asked = async |contact: Option<&str>, headers: &[(&str, &str)]| {
            let probe = HttpProbe::new(CLIENT.clone().with_contact(contact), clock(), limits);
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
            probe.probe(Arc::new(ApiConfig { headers, ..config(&server.url("http")) })).await;
            let head = String::from_utf8(server.asked.borrow().clone()).unwrap().to_lowercase();
            let of_that_name = head.lines().filter_map(|line| line.strip_prefix("user-agent: ").map(str::to_owned));
            of_that_name.collect::<Vec<_>>()
        };
        let ours = format!("api-health/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(asked(None, &[]).await, std::slice::from_ref(&ours));
        let contact = Some("https://status.example.com");
        assert_eq!(asked(contact, &[]).await, [format!("{ours} (+https://status.example.com)")]);
        assert_eq!(asked(contact, &[("User-Agent", "me/1")]).await, ["me/1"]);
    });
}

#[test]
fn a_redirect_within_its_host_takes_whom_to_turn_to_along() {
    run(async {
        let there = Server::start(None, Script::new("HTTP/1.1 204 X\r\n\r\n", End::Hold)).await;
        let answer = format!("HTTP/1.1 302 X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", there.url("http"));
        let here = Server::start(None, Script::new(answer, End::Hold)).await;
        let client = CLIENT.clone().with_contact(Some("ops@example.com"));
        let limits = Limits { max_in_flight: 1, max_in_flight_per_host: 1, body_bytes_max: 100 };
        let probe = HttpProbe::new(client, clock(), limits);
        let seen = probe.probe(Arc::new(ApiConfig { max_redirects: 1, ..config(&here.url("http")) })).await;
        assert!(matches!(&seen.answer, Answer::Response(r) if r.status == 204), "{:?}", seen.answer);
        let asked = String::from_utf8(there.asked.borrow().clone()).unwrap();
        assert!(asked.contains(" (+ops@example.com)\r\n"), "{asked}");
    });
}
