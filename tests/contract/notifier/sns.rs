//! What SNS is sent, and what its subscribers get.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_health::notify::sns::SnsNotifier;
use api_health::settings::SnsSettings;
use api_health_actors::ports::Notifier;
use api_health_core::Alert;
use serde_json::Value;

use super::channels::{Subscribed, aws_config, topic};
use super::faults::TOPIC;
use super::http_server::{Script, Server};
use super::{TestClock, down, run, up};
use crate::support::moto::Moto;

async fn notifier(endpoint: &str, topic_arn: &str) -> Arc<SnsNotifier> {
    notifier_of(endpoint, topic(topic_arn)).await
}

async fn notifier_of(endpoint: &str, topic: SnsSettings) -> Arc<SnsNotifier> {
    let client = aws_sdk_sns::Client::new(&aws_config(endpoint).await);
    let clock = TestClock::at("2026-11-22T07:30:06Z");
    Arc::new(SnsNotifier::new(client, topic, "production".into(), clock))
}

/// The form fields of each publish that a recording server saw.
async fn published(topic: SnsSettings) -> Vec<BTreeMap<String, String>> {
    let answer = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                  <MessageId>m</MessageId></PublishResult></PublishResponse>";
    let server = Server::plain(Script::status("200 OK", "content-type: text/xml\r\n", answer));
    let notifier = notifier_of(&server.endpoint(), topic).await;
    for alert in [down(), down(), up()] {
        notifier.deliver(alert).await.unwrap();
    }
    let bodies = server.requests().into_iter().map(|request| request.body);
    let asked = bodies.map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect());
    asked.filter(|fields: &BTreeMap<_, _>| fields["Action"] == "Publish").collect()
}

#[test]
fn a_publish_has_a_text_for_every_protocol() {
    run(async {
        let sent = published(topic("arn:aws:sns:eu-central-1:123456789012:alerts")).await;
        let sent = &sent[0];
        assert_eq!(sent["Action"], "Publish");
        assert_eq!(sent["Subject"], "DOWN Grosse: status 503 is not in 2xx");
        assert_eq!(sent["MessageStructure"], "json");
        let texts: BTreeMap<String, String> = serde_json::from_str(&sent["Message"]).unwrap();
        assert_eq!(texts["default"], "DOWN Größe: status 503 is not in 2xx");
        assert_eq!(texts["sms"], "DOWN Grosse: status 503 is not in 2xx (2026-11-22 07:30:00 UTC)");
        assert!(texts["email"].contains("URL:         https://shop.test/health\n"), "{}", texts["email"]);
        for protocol in ["email-json", "firehose", "http", "https", "lambda", "sqs"] {
            let machine: Value = serde_json::from_str(&texts[protocol]).unwrap();
            assert_eq!((&machine["schema"], &machine["name"]), (&1.into(), &"Größe".into()), "{protocol}");
        }
        assert_eq!(texts.len(), 9);
        assert!(!sent.contains_key("MessageDeduplicationId") && !sent.contains_key("MessageGroupId"));
    });
}

#[test]
fn a_fifo_publish_is_deduplicated_by_the_alert_and_grouped_by_the_api() {
    run(async {
        let sent = published(topic("arn:aws:sns:eu-central-1:123456789012:alerts.fifo")).await;
        let ids: Vec<_> = sent.iter().map(|fields| fields["MessageDeduplicationId"].as_str()).collect();
        let (down, up) = ("shop.1795332600000.3.down", "shop.1795332600000.3.up");
        assert_eq!(ids, [down, down, up], "a repeat has the same id, and the recovery another");
        assert!(sent.iter().all(|fields| fields["MessageGroupId"] == "shop"));
    });
}

#[test]
fn a_chat_gets_the_form_that_it_shows_and_nobody_is_called_by_an_api_s_name() {
    run(async {
        let chat = SnsSettings { chat: true, ..topic("arn:aws:sns:eu-central-1:123456789012:alerts") };
        let sent = published(chat).await;
        let texts: BTreeMap<String, String> = serde_json::from_str(&sent[0]["Message"]).unwrap();
        let note: Value = serde_json::from_str(&texts["https"]).unwrap();
        assert_eq!((&note["version"], &note["source"]), (&"1.0".into(), &"custom".into()));
        assert_eq!(note["content"]["title"], "DOWN Größe: status 503 is not in 2xx");
        let description = note["content"]["description"].as_str().unwrap();
        assert!(description.contains("*URL*: https://shop.test/health\n"), "{description}");
        assert_eq!(note["metadata"]["threadId"], "shop.1795332600000.3");
        assert!(serde_json::from_str::<Value>(&texts["sqs"]).unwrap()["schema"].is_u64(), "programs get their form");
        let server = Server::plain(Script::status("200 OK", "", "<PublishResponse/>"));
        let notifier = notifier_of(&server.endpoint(), SnsSettings { chat: true, ..topic(TOPIC) }).await;
        let shouting = Alert { name: "<!channel> @here".into(), ..(*down()).clone() };
        let _ = notifier.deliver(Arc::new(shouting)).await;
        let body = &server.requests()[0].body;
        let fields: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let texts: BTreeMap<String, String> = serde_json::from_str(&fields["Message"]).unwrap();
        assert!(!texts["https"].contains("<!") && !texts["https"].contains("@here"), "{}", texts["https"]);
    });
}

#[test]
fn a_topic_that_nobody_hears_is_said_and_one_that_is_heard_is_not() {
    let log = super::captured(|log| async move {
        let heard = Subscribed::new("heard", false, true).await;
        let notifier_of_heard = notifier(&Moto::shared().endpoint, &heard.topic_arn).await;
        notifier_of_heard.deliver(down()).await.unwrap();
        let config = aws_config(&Moto::shared().endpoint).await;
        let created = aws_sdk_sns::Client::new(&config).create_topic().name("nobody-hears").send().await.unwrap();
        let notifier = notifier(&Moto::shared().endpoint, &created.topic_arn.unwrap()).await;
        notifier.deliver(down()).await.unwrap();
        // The looks go on by themselves.
        while !String::from_utf8_lossy(&log.lock().unwrap()).contains("nobody is subscribed") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let said: Vec<&str> = log.lines().filter(|line| line.contains("nobody is subscribed")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("nobody-hears") && said[0].contains("ERROR"), "{said:?}");
}

#[test]
fn a_raw_subscriber_gets_the_machine_form_and_the_attributes() {
    run(async {
        for fifo in [false, true] {
            let subscribed = Subscribed::new("raw", fifo, true).await;
            let notifier = notifier(&Moto::shared().endpoint, &subscribed.topic_arn).await;
            notifier.deliver(down()).await.unwrap();
            let message = subscribed.messages(1).await.remove(0);
            let machine: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
            assert_eq!(machine["alert_id"], "shop.1795332600000.3.down");
            let attributes = message.message_attributes.unwrap();
            let attributes: BTreeMap<_, _> =
                attributes.iter().map(|(name, v)| (name.as_str(), v.string_value.as_deref().unwrap())).collect();
            let expected = [
                ("api_id", "shop"),
                ("environment", "production"),
                ("kind", "down"),
                ("schema", "1"),
                ("status", "down"),
            ];
            assert_eq!(attributes, BTreeMap::from(expected));
            if fifo {
                use aws_sdk_sqs::types::MessageSystemAttributeName as Name;
                let system = message.attributes.unwrap();
                assert_eq!(system[&Name::MessageDeduplicationId], "shop.1795332600000.3.down");
                assert_eq!(system[&Name::MessageGroupId], "shop");
            }
        }
    });
}

#[test]
fn a_subscriber_with_an_envelope_gets_the_subject_too() {
    run(async {
        let subscribed = Subscribed::new("envelope", false, false).await;
        let notifier = notifier(&Moto::shared().endpoint, &subscribed.topic_arn).await;
        notifier.deliver(up()).await.unwrap();
        let message = subscribed.messages(1).await.remove(0);
        let envelope: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
        assert_eq!(envelope["Subject"], "UP Grosse again after 4 min 10 s");
        assert_eq!(envelope["MessageAttributes"]["kind"]["Value"], "up");
        let machine: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        assert_eq!(machine["duration_seconds"], 250);
    });
}
