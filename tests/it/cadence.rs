//! APIs that hang, drip, never end or redirect for ever, and alerts that nobody takes, cost the other APIs nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};
use crate::support::ports;

const APIS: usize = 200;
const HANGING: usize = 20;

/// Whether an API that is due each second was probed so often in that time.
fn assert_on_time(api_id: &str, probes: usize, seconds: f64) {
    // A tick that comes while the machine is busy may be missed; it is never made up for.
    let fits = probes as f64 >= seconds * 0.5 && probes as f64 <= seconds + 2.0;
    assert!(fits, "{api_id}: {probes} probes in {seconds:.1} s");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn with_one_api_in_ten_hanging_the_others_keep_their_cadence() {
    let target = Server::start();
    let mut rows = String::new();
    for n in 0..APIS {
        let path = format!("/{n}");
        if n % (APIS / HANGING) == 0 {
            target.set(&path, Answer::Hang);
        }
        rows.push_str(&row_with(&format!("api-{n}"), &target.url(&path), "timeout_seconds = 120"));
    }
    let home = Home::new("[run]\nshutdown_seconds = 1\n", &rows);
    let daemon = home.run();
    let hits = || -> Vec<usize> { (0..APIS).map(|n| target.hits(&format!("/{n}"))).collect() };
    wait_for("all are probed", SOON, || hits().iter().all(|count| *count > 0).then_some(()));
    let (before, began) = (hits(), Instant::now());
    let_pass(Duration::from_secs(8));
    let (after, seconds) = (hits(), began.elapsed().as_secs_f64());
    for n in 0..APIS {
        if n % (APIS / HANGING) == 0 {
            assert_eq!(after[n], 1, "api-{n}: its one probe is still under way");
        } else {
            assert_on_time(&format!("api-{n}"), after[n] - before[n], seconds);
        }
    }
    assert_eq!(daemon.stop().code, Some(0));
}

/// A port that plays every trick on whoever asks, by path; each connection on a thread of its own.
fn start_tricks() -> u16 {
    let listener = ports::listen();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || trick(stream.unwrap()));
        }
    });
    port
}

/// Ends when whoever asked has closed the connection.
#[allow(clippy::disallowed_methods, reason = "a target that takes its time")]
fn trick(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let ok = "HTTP/1.1 200 OK\r\n";
    let (said, then, pause): (String, &[u8], u64) = match path.as_str() {
        "/drips-its-head" => (ok.into(), b"x", 1_000),
        "/drips-its-body" => (format!("{ok}content-length: 1000\r\n\r\n"), b"x", 1_000),
        "/never-ends" => (format!("{ok}transfer-encoding: chunked\r\n\r\n"), b"8\r\nnever en\r\n", 1),
        "/circles" => ("HTTP/1.1 302 X\r\nlocation: /circles\r\ncontent-length: 0\r\n\r\n".into(), b"", 100),
        _ => (String::new(), b"", 100),
    };
    let mut going = stream.write_all(said.as_bytes());
    let mut gone = [0; 1];
    while going.is_ok() {
        stream.set_nonblocking(true).unwrap();
        if matches!(std::io::Read::read(&mut stream, &mut gone), Ok(0)) {
            return;
        }
        stream.set_nonblocking(false).unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        going = stream.write_all(then);
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn targets_that_never_answer_drip_never_end_or_redirect_for_ever_meet_their_deadline_and_the_others_are_on_time() {
    const TRICKS: [(&str, &str); 5] = [
        ("never-answers", "timed out after 2 s while waiting for the first byte"),
        ("drips-its-head", "timed out after 2 s while reading the answer"),
        ("drips-its-body", "timed out after 2 s while reading the answer"),
        ("never-ends", "timed out after 2 s while reading the answer"),
        ("circles", "still redirected after 3 redirects"),
    ];
    let (target, port) = (Server::start(), start_tricks());
    let fields = "timeout_seconds = 2\nmax_redirects = 3";
    let mut rows: String = (0..APIS).map(|n| row(&format!("api-{n}"), &target.url(&format!("/{n}")))).collect();
    for (trick, _) in TRICKS {
        rows.push_str(&row_with(trick, &format!("http://127.0.0.1:{port}/{trick}"), fields));
    }
    let home = Home::new("[run]\nshutdown_seconds = 1\n[store]\ncheckpoint_seconds = 1\n", &rows);
    let daemon = home.run();
    for (trick, said) in TRICKS {
        let down = home.wait_for_state(trick, "down", |state| state["status"] == "down");
        assert_eq!(down["last_error"], said, "{trick}: {down}");
    }
    let hits = || -> Vec<usize> { (0..APIS).map(|n| target.hits(&format!("/{n}"))).collect() };
    let (before, began) = (hits(), Instant::now());
    // Each deadline holds once more, and once more again.
    for _ in 0..2 {
        let probed_at = home.states();
        for (trick, said) in TRICKS {
            let again = home.wait_for_state(trick, "probed again", |state| {
                state["last_checked_at"] != probed_at[trick]["last_checked_at"]
            });
            assert_eq!(again["last_error"], said, "{trick}: {again}");
        }
    }
    let_pass(Duration::from_secs(8).saturating_sub(began.elapsed()));
    let (after, seconds) = (hits(), began.elapsed().as_secs_f64());
    for n in 0..APIS {
        assert_on_time(&format!("api-{n}"), after[n] - before[n], seconds);
    }
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn an_alert_channel_that_hangs_for_sixty_seconds_changes_no_cadence() {
    const DOWN: usize = 40;
    let (target, receiver) = (Server::start(), Receiver::start());
    let rows: String = (0..APIS).map(|n| row(&format!("api-{n}"), &target.url(&format!("/{n}")))).collect();
    let hook = receiver.server.url("/hook");
    let home = Home::new(
        &format!("[notify]\ndigest_above = 0\n[notify.webhook]\nurl = \"{hook}\"\ntimeout_seconds = 15\n"),
        &rows,
    );
    let daemon = home.run();
    let hits = || -> Vec<usize> { (0..APIS).map(|n| target.hits(&format!("/{n}"))).collect() };
    wait_for("all are probed", SOON, || hits().iter().all(|count| *count > 0).then_some(()));
    let (first, began) = (hits(), Instant::now());
    let_pass(Duration::from_secs(10));
    let (second, seconds_before) = (hits(), began.elapsed().as_secs_f64());

    receiver.answer(Answer::Hang);
    for n in 0..DOWN {
        target.set(&format!("/{n}"), Answer::Status(500));
    }
    wait_for("an alert is under way, and hangs", SOON, || (receiver.server.hits("/hook") > 0).then_some(()));
    let (third, began) = (hits(), Instant::now());
    let_pass(Duration::from_secs(60));
    let (fourth, seconds_hanging) = (hits(), began.elapsed().as_secs_f64());
    for n in 0..APIS {
        let rate = (second[n] - first[n]) as f64 / seconds_before;
        let hanging = (fourth[n] - third[n]) as f64 / seconds_hanging;
        // Over a minute a probe or two less is what a busy machine makes; who waits for the channel makes none.
        assert!(hanging >= rate * 0.7, "api-{n}: {hanging:.2} probes a second while it hangs, {rate:.2} before");
    }
    assert_eq!(receiver.told(), [], "it took nothing over");
    receiver.server.refuse(); // what hangs is cut, so that the end need not wait for it
    assert_eq!(daemon.stop().code, Some(0));
    assert!(home.states().values().filter(|state| state["owed"] != serde_json::json!([])).count() >= DOWN);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn the_first_round_of_a_thousand_targets_is_complete_within_one_interval_of_the_start() {
    const INTERVAL: Duration = Duration::from_secs(60);
    let target = Server::start();
    let row = |n: usize| {
        let url = target.url(&format!("/{n}"));
        format!("[[api]]\napi_id = \"api-{n}\"\nurl = \"{url}\"\ninterval_seconds = {}\n", INTERVAL.as_secs())
    };
    let rows: String = (0..1_000).map(row).collect();
    let home = Home::new("[store]\ncheckpoint_seconds = 1\n", &rows);
    let began = Instant::now();
    let daemon = home.run();
    wait_for("all are probed", INTERVAL, || (0..1_000).all(|n| target.hits(&format!("/{n}")) > 0).then_some(()));
    wait_for("all are known to be up", SOON, || {
        (home.states().values().filter(|state| state["status"] == "up").count() == 1_000).then_some(())
    });
    println!("up after {:?}", began.elapsed());
    assert_eq!(daemon.stop().code, Some(0));
}
