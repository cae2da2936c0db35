//! Every fault between the monitor and an API: the verdict is right, the deadline is kept, and no other API is late.

use std::time::{Duration, Instant};

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::Server;
use crate::support::http_proxy::{Fault, HttpProxy};

/// A fault, and the words with which it is told; none where it is no outage.
struct Case {
    api_id: &'static str,
    fault: Fault,
    told: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let case = |api_id, fault, told| Case { api_id, fault, told };
    let slow = |millis| Fault::Trickle(Duration::from_millis(millis));
    let status = |status: &str| Fault::answer(status, "retry-after: 30\r\n", "no");
    let truncated = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal".to_vec();
    vec![
        case("refuse", Fault::Refuse, Some("refused")),
        case("hang", Fault::Hang, Some("timed out after 1 s while waiting for the first byte")),
        case("reset", Fault::Reset, Some("connection reset")),
        case("close", Fault::Close, Some("connection closed")),
        case("lose-answer", Fault::LoseAnswer, Some("connection reset")),
        case("trickle", slow(300), Some("timed out after 1 s while")),
        case("cut-head", Fault::CutHead, Some("closed")),
        case("cut-body", Fault::CutBody, Some("body cut short at 1 of 2 bytes")),
        case("cut-chunk", Fault::Answer(truncated), Some("body cut short")),
        case("500", status("500 Internal Server Error"), Some("status 500 is not in 2xx")),
        case("503", status("503 Service Unavailable"), Some("status 503 is not in 2xx")),
        case("429", status("429 Too Many Requests"), Some("status 429 is not in 2xx")),
        case("redirect", Fault::answer("302 Found", "location: /login\r\n", ""), Some("redirects to")),
        case("garbage", Fault::garbage(), Some("not valid HTTP")),
        case("ssh", Fault::Answer(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Some("not valid HTTP")),
        case("two-lengths", Fault::answer("200 OK", "content-length: 7\r\n", "no"), Some("not valid HTTP")),
        // Slow is not down while it is in time, and nothing asks what the body says.
        case("slow", slow(5), None),
        case("html", Fault::html_page(), None),
    ]
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn each_fault_of_a_target_gets_its_verdict_in_time_and_costs_no_other_api_a_probe() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let cases: Vec<(Case, HttpProxy)> = cases().into_iter().map(|case| (case, HttpProxy::to(target.port))).collect();
    let rows = cases.iter().map(|(case, proxy)| {
        let patience = matches!(case.api_id, "hang" | "trickle").then_some("timeout_seconds = 1");
        row_with(case.api_id, &proxy.url("/"), patience.unwrap_or("timeout_seconds = 20"))
    });
    let steady = row("steady", &target.url("/steady"));
    let home = Home::new(&receiver.settings(), &(rows.collect::<String>() + &steady));
    let daemon = home.run();
    for (case, _) in &cases {
        home.wait_for_state(case.api_id, "up", |state| state["status"] == "up");
    }

    let (hits, began) = (target.hits("/steady"), Instant::now());
    cases.iter().for_each(|(case, proxy)| proxy.strike(case.fault.clone()));
    for (case, proxy) in &cases {
        let Some(words) = case.told else { continue };
        let down = receiver.wait_for(case.api_id, "down", SOON);
        assert!(down.text("reason").contains(words), "{}: {}", case.api_id, down.text("reason"));
        // Two probes and the second between them. A busy machine is slow; a probe without a deadline would last longer
        // than this, or for ever.
        let took = down.time("detected_at").duration_since(down.time("happened_at")).unwrap();
        assert!(took < Duration::from_secs(20), "{}: confirmed after {took:?}", case.api_id);
        let struck = proxy.struck();
        let goes_on = || (proxy.struck() >= struck + 2 || case.fault == Fault::Refuse).then_some(());
        wait_for(&format!("{} is probed on", case.api_id), SOON, goes_on);
    }
    for (case, proxy) in cases.iter().filter(|(case, _)| case.told.is_none()) {
        wait_for(&format!("{} is probed", case.api_id), SOON, || (proxy.struck() >= 4).then_some(()));
        home.wait_for_state(case.api_id, "up and not suspect", |s| s["status"] == "up" && s["streak"].is_null());
    }
    let (hits, seconds) = (target.hits("/steady") - hits, began.elapsed().as_secs_f64());
    assert!(hits as f64 >= seconds * 0.6 - 1.0, "steady: {hits} probes in {seconds:.0} s");

    cases.iter().for_each(|(_, proxy)| proxy.mend());
    for (case, _) in &cases {
        if case.told.is_some() {
            receiver.wait_for(case.api_id, "up", SOON);
        }
    }
    assert_eq!(daemon.stop().code, Some(0));
    for (case, _) in &cases {
        let told: &[&str] = if case.told.is_some() { &["down", "up"] } else { &[] };
        assert_eq!(receiver.told_of(case.api_id), told, "{}", case.api_id);
    }
    assert_eq!(receiver.told_of("steady"), [""; 0]);
}
