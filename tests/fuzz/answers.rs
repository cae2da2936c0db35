//! What channels and AWS answer: whatever it is, a delivery is done or has an error that says who must act, in one line.

use std::sync::Arc;
use std::time::Duration;

use api_health::notify::channel::ChannelSettings;
use api_health::notify::posted::{PostedNotifier, RETRY_AFTER_MAX};
use api_health::notify::sns::SnsNotifier;
use api_health::settings::SnsSettings;
use api_health::store::DynamoStateStore;
use api_health_actors::ports::{Notifier, NotifyError, StateStore as _};
use api_health_core::{Alert, Secret, Verdict};
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bytes::{bytes, text};
use crate::records;
use crate::server::{CLIENT, End, Script, Server, run};
use crate::{SECRET, StillClock, config, dynamodb, is_clear};

const WORDS: &[&str] = &[
    "HTTP/1.1 503 X\r\n",
    "HTTP/1.1 429 X\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 400 X\r\n",
    "retry-after: ",
    "0",
    "99999999999999999999999",
    "-1",
    "Sun, 22 Nov 2026 07:30:00 GMT",
    "Sunday, 22-Nov-26 07:30:00 GMT",
    "{\"ok\":false}",
    "\"code\":429,",
    "\"errcode\":",
    SECRET,
    "content-length: 0\r\n",
    "content-type: text/xml\r\n",
    "\r\n",
    "<ErrorResponse>",
    "</Error>",
    "<Code>",
    "&#x0;",
    "&lt;",
    "<![CDATA[",
    "{\"__type\":",
    "\"message\":",
    "{",
    "}",
    "Throttling",
    "NotFound",
    "InvalidParameter",
    "x-amzn-errortype: A\r\n",
    "x-amz-crc32: 1\r\n",
];

fn seeds() -> Vec<Vec<u8>> {
    let with_length =
        |head: &str, body: &str| format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let error = "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>InvalidParameter</Code>\
                 <Message>Invalid parameter: TopicArn</Message></Error><RequestId>r</RequestId></ErrorResponse>";
    let done = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
    vec![
        with_length("HTTP/1.1 503 X\r\nretry-after: 120\r\n", "no"),
        with_length("HTTP/1.1 200 OK\r\n", "{\"ok\":false,\"error\":\"no_text\"}"),
        with_length("HTTP/1.1 400 Bad Request\r\n", &format!("no POST /{SECRET}")),
        with_length("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n", done),
        with_length("HTTP/1.1 400 Bad Request\r\ncontent-type: text/xml\r\n", error),
        with_length("HTTP/1.1 404 Not Found\r\n", "<html>"),
        with_length(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n",
            "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\",\"message\":\"Requested resource not found\"}",
        ),
        with_length(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: 1\r\n",
            "{\"Items\":[{\"api_id\":{\"S\":\"a\"}}],\"Count\":1}",
        ),
    ]
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    vec(bytes(seeds(), WORDS).prop_map(|bytes| Script::new(bytes, End::Fin)), 12)
}

pub fn alert() -> Arc<Alert> {
    let state = records::after("shop", &vec![(Verdict::Fail, "status 503 is not in 2xx".to_owned()); 3]);
    Arc::new(state.owed[0].alert.clone())
}

/// What holds of every delivery.
fn check(result: &Result<(), NotifyError>) -> Result<(), TestCaseError> {
    let Err(error) = result else { return Ok(()) };
    is_clear(&error.to_string(), 1_000).map_err(TestCaseError::fail)?;
    if let NotifyError::Retryable { after: Some(after), .. } = error {
        prop_assert!(*after <= RETRY_AFTER_MAX, "{after:?}");
    }
    Ok(())
}

fn webhook(server: &Server) -> PostedNotifier {
    let url = Secret::new(format!("http://{}/{SECRET}", server.address));
    let settings = ChannelSettings::webhook(url, Some(Secret::new(SECRET)), Duration::from_millis(500));
    PostedNotifier::new(&CLIENT, settings, "test".into(), Arc::new(StillClock)).unwrap()
}

fn sns(server: &Server) -> SnsNotifier {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(SECRET, SECRET, Some(SECRET.into()), None, "test"))
        .endpoint_url(format!("http://{}", server.address))
        .retry_config(RetryConfig::disabled())
        .timeout_config(api_health::aws::timeouts())
        .build();
    let topic = "arn:aws:sns:eu-central-1:123456789012:alerts".to_owned();
    SnsNotifier::new(
        aws_sdk_sns::Client::from_conf(config),
        SnsSettings { topic_arn: topic, chat: false },
        "test".into(),
        Arc::new(StillClock),
    )
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn a_webhook_may_answer_anything(scripts in scripts()) {
        let results = run(async { join_all(scripts.into_iter().map(|script| async {
            webhook(&Server::start(None, script).await).deliver(alert()).await
        })).await });
        for result in &results {
            check(result)?;
        }
    }

    #[test]
    fn patience_is_asked_for_within_the_bound(values in vec(prop_oneof![text(), "[1-9][0-9]{0,22}", "[0-9 ]{0,30}", "[A-Za-z0-9,: +-]{0,30}"], 12)) {
        let results = run(async { join_all(values.iter().map(|value| async {
            let value = value.replace(['\r', '\n', '\0'], "");
            let answer = format!("HTTP/1.1 503 X\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
            webhook(&Server::start(None, Script::new(answer, End::Hold)).await).deliver(alert()).await
        })).await });
        for (result, value) in results.iter().zip(&values) {
            check(result)?;
            prop_assert!(result.is_err());
            let seconds = value.trim_matches([' ', '\t', '\r', '\n', '\0']).parse::<u64>().ok();
            if let (Some(seconds), Err(NotifyError::Retryable { after, .. })) = (seconds, result) && !value.contains(['+', '\r', '\n', '\0']) {
                prop_assert_eq!(*after, Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX)), "{:?}", value);
            }
        }
    }

    #[test]
    fn sns_may_answer_anything(scripts in scripts()) {
        let results = run(async { join_all(scripts.into_iter().map(|script| async {
            sns(&Server::start(None, script).await).deliver(alert()).await
        })).await });
        for result in &results {
            check(result)?;
        }
    }

    #[test]
    fn dynamodb_may_answer_anything(scripts in scripts()) {
        let results = run(async { join_all(scripts.into_iter().map(|script| async {
            let server = Server::start(None, script).await;
            let store = DynamoStateStore::new(dynamodb::client(&format!("http://{}", server.address)), "t");
            store.load_all().await
        })).await });
        for result in results {
            match result {
                Ok(loaded) => prop_assert!(loaded.states.is_empty(), "{loaded:?}"),
                Err(error) => is_clear(&error.to_string(), 1_000).map_err(TestCaseError::fail)?,
            }
        }
    }
}
