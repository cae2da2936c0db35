//! What a webhook's server is sent, and which webhooks are refused before anything is sent.

use std::time::Duration;

use api_health::app::{App, Screen};
use api_health::notify::channel::ChannelSettings;
use api_health::notify::posted::PostedNotifier;
use api_health::probe::Client;
use api_health_actors::ports::{Notifier, NotifyError};
use api_health_core::Secret;

use super::channels::{DELIVER_TIMEOUT, SECRETS, WEBHOOK_PATH, webhook_to};
use super::http_server::{Script, Server};
use super::{TestClock, down, run};

#[test]
fn a_post_says_who_sends_it_what_it_is_and_when() {
    run(async {
        let server = Server::plain(Script::status("200 OK", "", "thanks"));
        webhook_to(&server, &TestClock::at("2026-11-22T07:30:06.900Z"), DELIVER_TIMEOUT).deliver(down()).await.unwrap();
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
fn a_secret_in_a_file_that_gets_another_content_signs_the_next_post_and_half_a_change_breaks_none() {
    run(async {
        let server = Server::plain(Script::status("200 OK", "", ""));
        let folder = tempfile::tempdir().unwrap();
        let [path, secret] = ["path", "secret"].map(|name| folder.path().join(name));
        std::fs::write(&path, "old").unwrap();
        std::fs::write(&secret, "first").unwrap();
        let settings = format!(
            "[notify.webhook]\nurl = \"{}/${{file:{}}}\"\nsecret = \"${{file:{}}}\"\n",
            server.endpoint(),
            path.display(),
            secret.display()
        );
        std::fs::write(folder.path().join("api-health.toml"), settings).unwrap();
        let loaded = api_health::settings::load::load(None, folder.path(), &|_| None).unwrap();
        let notifiers = App::new(loaded.settings)
            .notifiers(&Client::new(None).unwrap(), Screen::Stdout { colour: false }, false)
            .await
            .unwrap();
        let post = async || {
            notifiers[0].deliver(down()).await.unwrap();
            let request = server.requests().pop().unwrap();
            let signed = |key: &str| {
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
                let timestamp = request.header("x-api-health-timestamp").unwrap();
                let sign = aws_lc_rs::hmac::sign(&key, format!("{timestamp}.{}", request.body).as_bytes());
                sign.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            };
            let signature = request.header("x-api-health-signature").unwrap().trim_start_matches("v1=").to_owned();
            let by = ["first", "second"].into_iter().find(|key| signed(key) == signature);
            (request.head.split(' ').nth(1).unwrap().to_owned(), by)
        };
        assert_eq!(post().await, ("/old".into(), Some("first")));
        std::fs::write(&path, "new").unwrap();
        std::fs::write(&secret, "").unwrap();
        assert_eq!(post().await, ("/old".into(), Some("first")), "half of it cannot be used");
        std::fs::write(&secret, "second\n").unwrap();
        assert_eq!(post().await, ("/new".into(), Some("second")));
    });
}

#[test]
fn without_a_secret_there_is_no_signature() {
    run(async {
        let server = Server::plain(Script::status("202 Accepted", "", ""));
        let settings = ChannelSettings::webhook(Secret::new(server.endpoint()), None, DELIVER_TIMEOUT);
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let notifier = PostedNotifier::new(&Client::new(None).unwrap(), settings, String::new(), clock).unwrap();
        notifier.deliver(down()).await.unwrap();
        assert_eq!(server.requests()[0].header("x-api-health-signature"), None);
    });
}

async fn told_by(script: Script) -> Result<(), NotifyError> {
    let clock = TestClock::at("2026-11-22T07:30:06Z");
    webhook_to(&Server::plain(script), &clock, Duration::from_secs(2)).deliver(down()).await
}

#[test]
fn who_refuses_in_a_2xx_has_not_taken_the_alert_and_its_words_are_told() {
    let teams = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error";
    let refusals = [
        (format!("{teams} 429 with ContextId tcid=0"), false),
        (format!("{teams} 413 with ContextId tcid=0"), true),
        (r#"{"errcode":310000,"errmsg":"not in whitelist"}"#.into(), true),
        (r#"{"code":19001,"msg":"param invalid"}"#.into(), true),
        (r#"{"ok":false,"error":"channel_not_found"}"#.into(), true),
        (r#"{"success":false,"error":"too many requests"}"#.into(), false),
    ];
    run(async {
        for (body, person) in refusals {
            for status in ["200 OK", "202 Accepted"] {
                let error = told_by(Script::status(status, "", &body)).await.unwrap_err();
                assert_eq!(matches!(error, NotifyError::Permanent { .. }), person, "{error:?}");
                assert!(error.to_string().contains(&format!(" {} and refused: {body}", &status[..3])), "{error}");
            }
        }
        // It has said so, though it never comes to an end.
        let endless = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"ok\":false}".to_owned();
        assert!(told_by(Script::Hold(endless)).await.is_err());
    });
}

#[test]
fn a_2xx_that_does_not_refuse_has_taken_the_alert_however_its_body_ends() {
    let long = format!(r#"{{"ok":false,"padding":"{}"}}"#, "x".repeat(4_096));
    let bodies =
        ["", "ok", "1", r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"ok":true}"#, r#"{"code":200}"#, "<html>", &long];
    run(async {
        for body in bodies {
            assert_eq!(told_by(Script::status("200 OK", "", body)).await, Ok(()), "{body}");
        }
        let head = "HTTP/1.1 200 OK\r\n";
        for broken in [
            format!("{head}content-length: 99\r\n\r\n{{\"ok\":fal"),
            format!("{head}transfer-encoding: chunked\r\n\r\nno chunk"),
        ] {
            assert_eq!(told_by(Script::Answer(broken.clone())).await, Ok(()), "{broken}");
            assert_eq!(told_by(Script::Hold(broken.clone())).await, Ok(()), "{broken}");
        }
    });
}

#[test]
fn the_first_words_of_who_refuses_are_told_and_of_a_page_none() {
    run(async {
        for (body, says) in [("no_text\n", "with status 400: no_text; "), ("<html>Oops</html>", "with status 400; ")] {
            let error = told_by(Script::status("400 Bad Request", "", body)).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = told_by(Script::status("503 Busy", "", "back\u{202e} soon")).await.unwrap_err().to_string();
        assert!(error.ends_with("with status 503: back\u{fffd} soon"), "{error}");
    });
}

#[test]
fn a_webhook_that_cannot_work_is_refused_at_once_without_its_url() {
    for (url, secret, says) in [
        ("ftp://h.test/contract-path-token", None, "http or https"),
        ("https://u:contract-secret-key@h.test/", None, "user name or password"),
        ("https://h.test/contract-path-token", Some(""), "secret is empty"),
    ] {
        let settings = ChannelSettings::webhook(Secret::new(url), secret.map(Secret::new), DELIVER_TIMEOUT);
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let made = PostedNotifier::new(&Client::new(None).unwrap(), settings, String::new(), clock);
        let error = made.err().unwrap();
        assert!(error.contains(says) && error.contains("; write"), "{error}");
        assert!(SECRETS.iter().all(|secret| !error.contains(secret)), "{error}");
    }
}
