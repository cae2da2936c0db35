//! What a webhook's server is sent, and which webhooks are refused before anything is sent.

use api_health::notify::webhook::WebhookNotifier;
use api_health::probe::Client;
use api_health_actors::ports::Notifier;
use api_health_core::Secret;

use super::channels::{SECRETS, WEBHOOK_PATH, webhook_to};
use super::http_server::{Script, Server};
use super::{TestClock, down, run};

#[test]
fn a_post_says_who_sends_it_what_it_is_and_when() {
    run(async {
        let server = Server::plain(Script::status("200 OK", "", "thanks"));
        webhook_to(&server, &TestClock::at("2026-11-22T07:30:06.900Z")).deliver(down()).await.unwrap();
        let requests = server.requests();
        let request = &requests[0];
        assert!(request.head.starts_with(&format!("POST {WEBHOOK_PATH} HTTP/1.1\r\n")), "{}", request.head);
        for (name, value) in [
            ("content-type", "application/json"),
            ("user-agent", concat!("api-health/", env!("CARGO_PKG_VERSION"))),
            ("x-api-health-alert-id", "shop.1795332600000.3.down"),
            ("x-api-health-timestamp", "1795332606"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
        let signature = request.header("x-api-health-signature").unwrap();
        assert!(signature.starts_with("v1=") && signature.len() == 3 + 64, "{signature}");
        let machine: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(machine["late_seconds"], 1);
    });
}

#[test]
fn without_a_secret_there_is_no_signature() {
    run(async {
        let server = Server::plain(Script::status("202 Accepted", "", ""));
        let url = server.endpoint().parse().unwrap();
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let notifier = WebhookNotifier::new(Client::new(None).unwrap(), url, None, String::new(), clock).unwrap();
        notifier.deliver(down()).await.unwrap();
        assert_eq!(server.requests()[0].header("x-api-health-signature"), None);
    });
}

#[test]
fn a_webhook_that_cannot_work_is_refused_at_once_without_its_url() {
    for (url, secret, says) in [
        ("ftp://h.test/contract-path-token", None, "http or https"),
        ("https://u:contract-secret-key@h.test/", None, "user name or password"),
        ("https://h.test/contract-path-token", Some(""), "secret is empty"),
    ] {
        let secret = secret.map(Secret::new);
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let made = WebhookNotifier::new(
            Client::new(None).unwrap(),
            url.parse().unwrap(),
            secret.as_ref(),
            String::new(),
            clock,
        );
        let error = made.err().unwrap();
        assert!(error.contains(says) && error.contains("; write"), "{error}");
        assert!(SECRETS.iter().all(|secret| !error.contains(secret)), "{error}");
    }
}
