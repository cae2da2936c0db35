//! The notifier alone, over real sockets.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api_health::notify::channel::{ChannelSettings, Success};
use api_health::notify::kinds::KINDS;
use api_health::notify::posted::PostedNotifier;
use api_health::probe::Client;
use api_health_actors::ports::{Clock, Notifier, NotifyError};
use api_health_core::{Alert, AlertKind, ApiId, Secret, Status, Timestamp};
use serde_json::Value;

use super::sink::{Mood, Sink};
use super::vendors::{Answer, Request, SECRET, Said, VENDORS, Vendor};

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-22T07:30:06Z").unwrap()
    }
}

/// With a name that calls everybody, in every chat's way.
fn alert(api_id: &str, kind: AlertKind) -> Arc<Alert> {
    let at = Timestamp::parse("2026-11-22T07:30:00Z").unwrap();
    Arc::new(Alert {
        alert_id: format!("{api_id}.1795332600000.3.{}", kind.as_str()),
        incident_id: format!("{api_id}.1795332600000.3"),
        kind,
        api_id: ApiId::parse(api_id).unwrap(),
        name: "<!channel> @here <at user_id=\"all\">x</at> *b* \"q\" \\ größe 🛒".into(),
        url: format!("https://shop.test/{}", "long/".repeat(300)),
        previous_status: Status::Up,
        happened_at: at,
        detected_at: at,
        incident_started_at: at,
        reason: "status 503 is not in 2xx ".repeat(12),
        changes_left_out: 0,
        evidence: None,
    })
}

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

fn notifier(vendor: &Vendor, sink: &Sink) -> PostedNotifier {
    let settings = vendor.settings(sink.port, Duration::from_millis(700));
    PostedNotifier::new(&Client::new(None).unwrap(), settings, "production".into(), Arc::new(StillClock)).unwrap()
}

#[test]
fn every_kind_that_is_posted_to_has_its_other_end_here() {
    let posted: Vec<&str> = KINDS.iter().filter(|kind| kind.posting.is_some()).map(|kind| kind.name).collect();
    let here: Vec<&str> = VENDORS.iter().map(|vendor| vendor.kind).collect();
    assert_eq!(here, posted);
}

#[test]
fn an_alert_is_taken_when_the_service_says_so_and_not_before() {
    run(async {
        for vendor in VENDORS {
            let sink = Sink::start(vendor);
            let notifier = notifier(vendor, &sink);
            sink.state().moods.extend([Mood::Refuses, Mood::Limits, Mood::Fails, Mood::Hangs]);
            let mut failures = Vec::new();
            for _ in 0..4 {
                failures.push(notifier.deliver(alert("shop", AlertKind::Down)).await.expect_err(vendor.kind));
            }
            let [refused, limited, failed, hung] = &failures[..] else { unreachable!() };
            assert!(matches!(refused, NotifyError::Permanent { .. }), "{}: {refused:?}", vendor.kind);
            match limited {
                NotifyError::Retryable { after, .. } => assert_eq!(*after, vendor.asks, "{}", vendor.kind),
                NotifyError::Permanent { .. } => panic!("{}: {limited:?}", vendor.kind),
            }
            for error in [failed, hung] {
                assert!(matches!(error, NotifyError::Retryable { after: None, .. }), "{}: {error:?}", vendor.kind);
            }
            assert!(failed.to_string().contains("upstream connect error"), "its own words are told: {failed}");
            assert!(sink.state().taken.is_empty());
            for kind in [AlertKind::Down, AlertKind::Down, AlertKind::Up] {
                assert_eq!(
                    notifier.deliver(alert("shop", kind)).await,
                    Ok(()),
                    "{} {:?}",
                    vendor.kind,
                    sink.state().faults
                );
            }
            let state = sink.state();
            assert_eq!((state.faults.len(), state.taken.len(), state.asked), (0, 3, 7), "{:?}", state.faults);
            let drops = vendor.kind().posting.as_ref().unwrap().repeats != "nobody";
            let shown = state.shown();
            assert_eq!(shown.len(), if drops { 2 } else { 3 }, "{}: what a repeat does", vendor.kind);
            assert!(
                shown[0].words.to_lowercase().contains("down")
                    && shown[shown.len() - 1].words.to_lowercase().contains("up"),
                "{shown:?}"
            );
            assert!(
                shown.iter().all(|shown| shown.words.contains("shop.1795332600000.3.")),
                "{}: the alert id",
                vendor.kind
            );
            if ["pagerduty", "opsgenie", "jsm"].contains(&vendor.kind) {
                assert!(shown[1].ends && shown[0].key == shown[1].key, "{shown:?}");
            }
        }
    });
}

#[test]
fn nobody_is_called_and_every_alert_of_a_digest_is_told_or_counted() {
    run(async {
        for vendor in VENDORS {
            let sink = Sink::start(vendor);
            let notifier = notifier(vendor, &sink);
            for kind in AlertKind::ALL {
                notifier.deliver(alert("shop", kind)).await.expect(vendor.kind);
            }
            let Some(many) = notifier.digests() else { continue };
            let alerts: Vec<_> = (0..50).map(|n| alert(&format!("shop-{n}"), AlertKind::Down)).collect();
            many.deliver_digest(alerts).await.unwrap_or_else(|error| panic!("{error} {:?}", sink.state().faults));
            let state = sink.state();
            let digest = &state.taken[state.taken.len() - 1].words;
            if vendor.kind == "webhook" {
                assert!(digest.contains("shop-49"));
                continue;
            }
            assert!(digest.contains("50 ALERTS: 50 down"), "{}: {digest}", vendor.kind);
            let named = digest.matches("DOWN").count();
            assert!(
                named > 3 && (named == 50 || digest.contains(&format!("and {} more", 50 - named))),
                "{}: {digest}",
                vendor.kind
            );
            let plain = ["gotify", "jsm", "matrix", "ntfy", "opsgenie", "pagerduty", "pushover", "teams"];
            for call in ["@here", "<!", "<at "].iter().filter(|_| !plain.contains(&vendor.kind)) {
                let calls = state.taken.iter().any(|taken| taken.words.contains(call));
                assert!(!calls || (vendor.kind == "slack" && *call == "@here"), "{}: {call}", vendor.kind);
            }
        }
    });
}

#[test]
fn no_secret_of_a_channel_is_in_an_error_even_if_the_receiver_repeats_it() {
    run(async {
        for vendor in VENDORS {
            let sink = Sink::start(vendor);
            sink.state().moods.push_back(Mood::Echoes);
            let error = notifier(vendor, &sink).deliver(alert("shop", AlertKind::Down)).await.unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("secret-token") && !text.contains(SECRET), "{}: {text}", vendor.kind);
                assert!(text.contains("403"), "{text}");
            }
        }
    });
}

/// As Discord repeats a long message: what shows that it was taken comes last.
#[test]
fn an_answer_of_any_size_is_read_as_far_as_it_is_needed() {
    run(async {
        for (padding, taken) in [(5_000, true), (60_000, true), (70_000, false)] {
            let body: &'static str = format!("{{\"content\":\"{}\",\"id\":\"1\"}}", "x".repeat(padding)).leak();
            let discord = VENDORS.iter().find(|vendor| vendor.kind == "discord").unwrap();
            let vendor: &'static Vendor = Box::leak(Box::new(Vendor { takes: (200, "", body), ..*discord }));
            let result = notifier(vendor, &Sink::start(vendor)).deliver(alert("shop", AlertKind::Down)).await;
            assert_eq!(result.is_ok(), taken, "{padding}: {result:?}");
        }
    });
}

#[test]
fn the_page_about_alerts_has_every_kind_with_its_keys() {
    let page = include_str!("../../docs/alerts.md");
    for vendor in VENDORS {
        let row = page.lines().find(|line| {
            let first = line.split('|').nth(1).unwrap_or_default();
            line.starts_with("| `") && first.split(", ").any(|name| name.trim() == format!("`{}`", vendor.kind))
        });
        let row = row.unwrap_or_else(|| panic!("{} is missing", vendor.kind));
        for key in vendor.kind().keys {
            let inherited = row.contains("likewise") && key.name != "url";
            assert!(row.contains(&format!("`{}`", key.name)) || inherited, "{}: {}", vendor.kind, key.name);
        }
    }
}

/// Takes everything, and keeps it.
fn open(takes: Answer) -> &'static Vendor {
    let read = |request: &Request, _: &Value| {
        Ok(Said { words: format!("{}{}", request.head, request.body), key: None, ends: false })
    };
    Box::leak(Box::new(Vendor {
        kind: "webhook",
        page: "/hook",
        read,
        takes,
        refuses: takes,
        limits: takes,
        asks: None,
    }))
}

#[test]
fn a_body_headers_and_a_rule_of_ones_own_replace_those_of_the_kind() {
    run(async {
        let json = Success::Json { pointer: "/result/code".into(), equals: 0.into() };
        for (success, body, taken) in [
            (json.clone(), r#"{"result":{"code":0}}"#, true),
            (json.clone(), r#"{"result":{"code":7}}"#, false),
            (json, "", false),
            (Success::Contains("accepted".into()), "it was accepted", true),
            (Success::Contains("accepted".into()), r#"{"ok":true}"#, false),
        ] {
            let vendor = open((200, "", body));
            let sink = Sink::start(vendor);
            let template = "{\"text\": {{ title ~ \" \" ~ url }}, \"of\": {{ alerts|length }}}";
            let settings = ChannelSettings {
                template: Some(template.into()),
                headers: vec![
                    ("Authorization".into(), Secret::new("Bearer own")),
                    ("User-Agent".into(), Secret::new("me")),
                ],
                success: Some(success),
                ..vendor.settings(sink.port, Duration::from_secs(5))
            };
            let client = Client::new(None).unwrap();
            let notifier = PostedNotifier::new(&client, settings, String::new(), Arc::new(StillClock)).unwrap();
            let result = notifier.deliver(alert("shop", AlertKind::Up)).await;
            assert_eq!(result.is_ok(), taken, "{body}: {result:?}");
            let sent = sink.state().taken[0].words.clone();
            assert!(sent.contains("{\"text\": \"UP ") && sent.contains("\"of\": 0}"), "{sent}");
            assert!(sent.contains("authorization: Bearer own\r\n") && sent.contains("user-agent: me\r\n"), "{sent}");
        }
    });
}

#[test]
fn a_body_that_is_no_json_is_sent_as_it_is() {
    run(async {
        let vendor = open((204, "", ""));
        let sink = Sink::start(vendor);
        let settings = ChannelSettings {
            template: Some("{{ status }}: {{ reason }}".into()),
            headers: vec![("content-type".into(), Secret::new("text/plain"))],
            ..vendor.settings(sink.port, Duration::from_secs(5))
        };
        let client = Client::new(None).unwrap();
        let notifier = PostedNotifier::new(&client, settings, String::new(), Arc::new(StillClock)).unwrap();
        notifier.deliver(alert("shop", AlertKind::Down)).await.unwrap();
        let sent = sink.state().taken[0].words.clone();
        assert!(sent.contains("content-type: text/plain\r\n") && sent.contains("\r\ndown: status 503"), "{sent}");
    });
}
