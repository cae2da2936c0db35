//! What SNS is sent, and what its subscribers get.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_health::notify::sns::SnsNotifier;
use api_health_actors::ports::Notifier;
use serde_json::Value;

use super::channels::{Subscribed, aws_config};
use super::http_server::{Script, Server};
use super::{TestClock, down, run, up};
use crate::support::moto::Moto;

async fn notifier(endpoint: &str, topic_arn: &str) -> Arc<SnsNotifier> {
    let client = aws_sdk_sns::Client::new(&aws_config(endpoint).await);
    let clock = TestClock::at("2026-11-22T07:30:06Z");
    Arc::new(SnsNotifier::new(client, topic_arn.into(), "production".into(), clock))
}

/// The form fields of the one publish that a recording server saw.
async fn published(topic_arn: &str) -> Vec<BTreeMap<String, String>> {
    let answer = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                  <MessageId>m</MessageId></PublishResult></PublishResponse>";
    let server = Server::plain(Script::status("200 OK", "content-type: text/xml\r\n", answer));
    let notifier = notifier(&server.endpoint(), topic_arn).await;
    for alert in [down(), down(), up()] {
        notifier.deliver(alert).await.unwrap();
    }
    let bodies = server.requests().into_iter().map(|request| request.body);
    bodies.map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()).collect()
}

#[test]
fn a_publish_has_a_text_for_every_protocol() {
    run(async {
        let sent = published("arn:aws:sns:eu-central-1:123456789012:alerts").await;
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
        let sent = published("arn:aws:sns:eu-central-1:123456789012:alerts.fifo").await;
        let ids: Vec<_> = sent.iter().map(|fields| fields["MessageDeduplicationId"].as_str()).collect();
        let (down, up) = ("shop.1795332600000.3.down", "shop.1795332600000.3.up");
        assert_eq!(ids, [down, down, up], "a repeat has the same id, and the recovery another");
        assert!(sent.iter().all(|fields| fields["MessageGroupId"] == "shop"));
    });
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
