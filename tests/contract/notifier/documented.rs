//! What `docs/alerts.md` shows is what the program does: its examples are compared and run.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use api_health::notify::digest::Digest;
use api_health::notify::message::Message;
use api_health::notify::sns::SnsNotifier;
use api_health::notify::terminal::TerminalNotifier;
use api_health_actors::ports::{Clock as _, Notifier};
use api_health_core::evidence::Certificate;
use api_health_core::{Alert, ApiId, Evidence, PhaseTimes, Timestamp};
use serde_json::{Value, json};

use super::channels::{DELIVER_TIMEOUT, Screen, Subscribed, WEBHOOK_SECRET, aws_config, topic, webhook_to};
use super::http_server::{Script, Server};
use super::{TestClock, down, run, up};
use crate::support::moto::Moto;

const PAGE: &str = include_str!("../../../docs/alerts.md");

/// The fenced block after the comment `<!-- example: NAME -->`.
fn example(name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("<!-- example: {name} -->\n```")).unwrap_or_else(|| panic!("no {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("\n```").unwrap().0
}

fn documented() -> Arc<Alert> {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let us = |us| Some(Duration::from_micros(us));
    let evidence = Evidence {
        seen_at: at("2026-11-22T07:34:15Z"),
        addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
        address: Some("10.0.0.2:443".parse().unwrap()),
        phases: PhaseTimes {
            resolve: us(1_300),
            connect: us(2_000),
            tls: us(8_000),
            first_byte: us(31_000),
            body: us(100),
        },
        status_line: Some("HTTP/1.1 200 OK".into()),
        certificate: Some(Certificate {
            subject: "shop.test".into(),
            issuer: "Test CA".into(),
            not_before: at("2026-10-01T00:00:00Z"),
            not_after: at("2026-12-30T00:00:00Z"),
        }),
        body_start: Some("{\"status\":\"ok\"}".into()),
        ..Evidence::default()
    };
    let (api_id, evidence) = (ApiId::parse("shop").unwrap(), Some(Arc::new(evidence)));
    Arc::new(Alert { api_id, name: "Shop".into(), evidence, ..(*up()).clone() })
}

fn clock() -> Arc<TestClock> {
    TestClock::at("2026-11-22T07:36:20Z")
}

#[test]
fn the_examples_are_what_the_program_makes() {
    let (alert, now) = (documented(), clock().now());
    let message = Message::new(&alert, "production", now);
    assert_eq!(example("subject"), message.subject());
    assert_eq!(example("short text"), message.sms());
    assert_eq!(example("text"), message.text().trim_end());
    let page: Value = serde_json::from_str(example("machine form")).unwrap();
    let made: Value = serde_json::from_str(&message.json()).unwrap();
    assert_eq!(page, made);
    for field in made.as_object().unwrap().keys() {
        assert!(PAGE.contains(&format!("\n| `{field}` |")), "{field} is not described");
    }
    let (_, described) = PAGE.split_once("| field of `evidence` |").unwrap();
    for field in made["evidence"].as_object().unwrap().keys() {
        assert!(described.contains(&format!("`{field}`")), "{field} is not described");
    }
}

#[test]
fn the_terminal_shows_what_the_page_shows_and_colours_only_when_asked() {
    run(async {
        for colour in [false, true] {
            let screen = Screen::default();
            let notifier = TerminalNotifier::new(screen.clone(), "production".into(), colour, clock()).unwrap();
            notifier.deliver(documented()).await.unwrap();
            let shown = screen.text();
            assert_eq!(shown.contains('\u{1b}'), colour);
            if colour {
                assert!(shown.starts_with("\u{1b}[1m\u{1b}[32mUP Shop again after 4 min 10 s\u{1b}[0m\n"), "{shown:?}");
            } else {
                assert_eq!(shown.trim_end(), example("terminal"));
            }
        }
    });
}

/// An outage and a recovery of two APIs.
fn many() -> Vec<Arc<Alert>> {
    let cart = Alert {
        alert_id: "cart.1795332600000.3.down".into(),
        incident_id: "cart.1795332600000.3".into(),
        api_id: ApiId::parse("cart").unwrap(),
        name: "Cart".into(),
        ..(*down()).clone()
    };
    vec![Arc::new(cart), documented()]
}

#[test]
fn a_digest_is_what_the_page_shows_and_its_repeat_carries_the_same_id() {
    run(async {
        let alerts = many();
        let digest = Digest::new(&alerts, "production", clock().now());
        assert_eq!(example("digest text"), digest.text().trim_end());
        let page: Value = serde_json::from_str(example("digest")).unwrap();
        let server = Server::plain(Script::status("200 OK", "", ""));
        let webhook = webhook_to(&server, &clock(), DELIVER_TIMEOUT);
        for _ in 0..2 {
            webhook.digests().unwrap().deliver_digest(many()).await.unwrap();
        }
        for request in server.requests() {
            assert_eq!(page, serde_json::from_str::<Value>(&request.body).unwrap());
            assert_eq!(request.header("x-api-health-alert-id"), page["digest_id"].as_str());
        }
        assert_eq!(server.requests().len(), 2);
        assert_ne!(Digest::new(&alerts[1..], "production", clock().now()).id(), digest.id());
        let screen = Screen::default();
        let terminal = TerminalNotifier::new(screen.clone(), "production".into(), false, clock()).unwrap();
        terminal.digests().unwrap().deliver_digest(many()).await.unwrap();
        let shown = screen.text();
        for line in digest.lines().chain([digest.line(), digest.id()]) {
            assert!(shown.contains(&line), "{line} is not in {shown}");
        }
    });
}

#[test]
fn sns_takes_a_digest_on_a_standard_topic_alone() {
    run(async {
        let config = aws_config(&Moto::shared().endpoint).await;
        for is_fifo in [false, true] {
            let subscribed = Subscribed::new("digest", is_fifo, true).await;
            let topic = topic(&subscribed.topic_arn);
            let notifier =
                SnsNotifier::new(aws_sdk_sns::Client::new(&config), topic, "production".into(), clock() as _);
            let Some(digests) = notifier.digests() else {
                assert!(is_fifo);
                continue;
            };
            digests.deliver_digest(many()).await.unwrap();
            let body = subscribed.messages(1).await.remove(0).body.unwrap();
            let page: Value = serde_json::from_str(example("digest")).unwrap();
            assert_eq!(page, serde_json::from_str::<Value>(&body).unwrap());
            assert!(!is_fifo);
        }
    });
}

#[test]
fn the_page_s_python_tells_a_genuine_request_from_others() {
    let request = std::cell::RefCell::new(None);
    run(async {
        let server = Server::plain(Script::status("200 OK", "", ""));
        webhook_to(&server, &clock(), DELIVER_TIMEOUT).deliver(documented()).await.unwrap();
        request.replace(server.requests().pop());
    });
    let request = request.take().unwrap();
    let header = |name: &str| request.header(name).unwrap().to_owned();
    let (timestamp, signature) = (header("x-api-health-timestamp"), header("x-api-health-signature"));
    let now: i64 = timestamp.parse().unwrap();
    let verdict = |secret: &str, timestamp: &str, body: &str, now: i64| {
        let headers = json!({ "x-api-health-timestamp": timestamp, "x-api-health-signature": signature });
        python(&json!({ "secret": secret, "headers": headers, "body": body, "now": now }))
    };
    assert_eq!(verdict(WEBHOOK_SECRET, &timestamp, &request.body, now + 299), "True");
    assert_eq!(verdict("another", &timestamp, &request.body, now), "False", "another secret");
    assert_eq!(verdict(WEBHOOK_SECRET, &timestamp, &request.body.replace("up", "down"), now), "False", "another body");
    assert_eq!(verdict(WEBHOOK_SECRET, &timestamp, &request.body, now + 301), "False", "old");
    let fresh = (now + 301).to_string();
    assert_eq!(verdict(WEBHOOK_SECRET, &fresh, &request.body, now + 301), "False", "old, with a new timestamp");
}

/// Runs the page's function on `input`.
fn python(input: &Value) -> String {
    let script = format!(
        "{}\nimport json, sys\ni = json.load(sys.stdin)\n\
         print(is_genuine(i['secret'].encode(), i['headers'], i['body'].encode(), i['now']))",
        example("check a signature")
    );
    let mut child =
        Command::new("python3").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
