//! Every channel in working order, with a way to see what arrived at its far end.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use api_health::aws;
use api_health::notify::channel::ChannelSettings;
use api_health::notify::posted::PostedNotifier;
use api_health::notify::sns::SnsNotifier;
use api_health::notify::terminal::TerminalNotifier;
use api_health::probe::Client;
use api_health::probe::proxies::Proxies;
use api_health::settings::SnsSettings;
use api_health_actors::ports::Notifier;
use api_health_core::Secret;
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::TestClock;
use super::http_server::{Recorded, Script, Server};
use super::vendors::Vendor;
use crate::support::moto::Moto;

const REGION: &str = "eu-central-1";

/// As a settings file has it.
pub(crate) fn topic(topic_arn: &str) -> SnsSettings {
    SnsSettings { topic_arn: topic_arn.into(), chat: false }
}

pub(crate) const WEBHOOK_SECRET: &str = "contract-webhook-secret";
pub(crate) const WEBHOOK_PATH: &str = "/services/contract-path-token?key=contract-query-token";
/// What must be in no error and no log line; of the path, as much as a cut quotation would show.
pub(crate) const SECRETS: [&str; 5] =
    [WEBHOOK_SECRET, "contract-path", "contract-query-token", "contract-secret-key", "contract-session-token"];

/// A channel in working order.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) notifier: Arc<dyn Notifier>,
    /// It drops a repeat by itself, because the repeat carries the same id.
    pub(crate) drops_repeats: bool,
    /// The alert ids that arrived, oldest first, once there are as many as asked for.
    pub(crate) received: Box<dyn Fn(usize) -> LocalBoxFuture<'static, Vec<String>>>,
}

/// Region, endpoint and credentials of the test, over the product's own timeouts.
pub(crate) async fn aws_config(endpoint: &str) -> aws_config::SdkConfig {
    let credentials =
        Credentials::new("contract", "contract-secret-key", Some("contract-session-token".into()), None, "contract");
    aws::load(Some(REGION.into()), &Proxies::default())
        .await
        .into_builder()
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A topic on moto and a queue that is subscribed to it.
pub(crate) struct Subscribed {
    pub(crate) topic_arn: String,
    pub(crate) queue_url: String,
    pub(crate) sqs: aws_sdk_sqs::Client,
}

impl Subscribed {
    pub(crate) async fn new(name: &str, fifo: bool, raw: bool) -> Self {
        let config = aws_config(&Moto::shared().endpoint).await;
        let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let name = format!("{name}-{}{}", unique(), if fifo { ".fifo" } else { "" });
        let mut topic = sns.create_topic().name(&name);
        let mut queue = sqs.create_queue().queue_name(&name);
        if fifo {
            topic = topic.attributes("FifoTopic", "true");
            queue = queue.attributes(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true");
        }
        let topic_arn = topic.send().await.unwrap().topic_arn.unwrap();
        let queue_url = queue.send().await.unwrap().queue_url.unwrap();
        let queue_arn = topic_arn.replace(":sns:", ":sqs:");
        let subscribe = sns.subscribe().topic_arn(&topic_arn).protocol("sqs").endpoint(queue_arn);
        subscribe.attributes("RawMessageDelivery", raw.to_string()).send().await.unwrap();
        Self { topic_arn, queue_url, sqs }
    }

    /// The messages that arrived, at least `count` of them unless 10 s pass.
    pub(crate) async fn messages(&self, count: usize) -> Vec<aws_sdk_sqs::types::Message> {
        let mut messages = Vec::new();
        for _ in 0..100 {
            let receive = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            let receive = receive
                .message_attribute_names("All")
                .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
            for message in receive.send().await.unwrap().messages.unwrap_or_default() {
                let handle = message.receipt_handle.clone().unwrap();
                self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle).send().await.unwrap();
                messages.push(message);
            }
            if messages.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        messages
    }
}

fn unique() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

pub(crate) async fn sns(clock: &Arc<TestClock>, name: &str, fifo: bool) -> Channel {
    let subscribed = Arc::new(Subscribed::new(name, fifo, true).await);
    let client = aws_sdk_sns::Client::new(&aws_config(&Moto::shared().endpoint).await);
    let notifier =
        Arc::new(SnsNotifier::new(client, topic(&subscribed.topic_arn), "production".into(), Arc::clone(clock) as _));
    Channel {
        name: format!("SNS, {name} topic"),
        notifier,
        drops_repeats: fifo,
        received: Box::new(move |count| {
            let subscribed = Arc::clone(&subscribed);
            Box::pin(async move {
                let bodies = subscribed.messages(count).await.into_iter().map(|message| message.body.unwrap());
                bodies.map(|body| alert_id(&body)).collect()
            })
        }),
    }
}

fn alert_id(machine: &str) -> String {
    let machine: Value = serde_json::from_str(machine).unwrap();
    machine["alert_id"].as_str().unwrap().to_owned()
}

/// Bound on one post, as the settings have it by default.
pub(crate) const DELIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// A webhook notifier for a server of the test.
pub(crate) fn webhook_to(server: &Server, clock: &Arc<TestClock>, timeout: Duration) -> PostedNotifier {
    let origin = match &server.root_pem {
        Some(_) => format!("https://localhost:{}", server.port),
        None => server.endpoint(),
    };
    let client = Client::new(server.root_pem.as_ref().map(String::as_bytes)).unwrap();
    let url = Secret::new(format!("{origin}{WEBHOOK_PATH}"));
    let settings = ChannelSettings::webhook(url, Some(Secret::new(WEBHOOK_SECRET)), timeout);
    PostedNotifier::new(&client, settings, "production".into(), Arc::clone(clock) as _).unwrap()
}

pub(crate) fn webhook(clock: &Arc<TestClock>, tls: bool) -> Channel {
    let script = Script::status("204 No Content", "", "");
    let server = if tls { Server::tls(script) } else { Server::plain(script) };
    let notifier = Arc::new(webhook_to(&server, clock, DELIVER_TIMEOUT));
    let server = Arc::new(server);
    Channel {
        name: format!("webhook, {}", if tls { "TLS" } else { "plain" }),
        notifier,
        drops_repeats: false,
        received: Box::new(move |_| {
            let ids = server.requests().iter().map(|request| alert_id(&request.body)).collect();
            Box::pin(async move { ids })
        }),
    }
}

/// A channel of a preset, whose service takes everything and shows each repeat.
pub(crate) fn preset(clock: &Arc<TestClock>, vendor: &Vendor) -> Channel {
    let (status, headers, body) = vendor.takes;
    let server = Arc::new(Server::plain(Script::status(&format!("{status} X"), headers, body)));
    let settings = vendor.settings(server.port, DELIVER_TIMEOUT);
    let client = Client::new(None).unwrap();
    let notifier = PostedNotifier::new(&client, settings, "production".into(), Arc::clone(clock) as _).unwrap();
    Channel {
        name: vendor.kind.into(),
        notifier: Arc::new(notifier),
        drops_repeats: false,
        received: Box::new(move |_| {
            let told = |request: &Recorded| {
                let (_, rest) = request
                    .body
                    .split_once("shop.1795332600000.3.")
                    .or(request.head.split_once("shop.1795332600000.3."))
                    .unwrap();
                let kind: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
                format!("shop.1795332600000.3.{kind}")
            };
            let ids = server.requests().iter().map(told).collect();
            Box::pin(async move { ids })
        }),
    }
}

/// A terminal: it shows what was written only once that is flushed.
#[derive(Clone, Default)]
pub(crate) struct Screen {
    shown: Arc<Mutex<Vec<u8>>>,
    written: Vec<u8>,
}

impl Screen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.shown.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.shown.lock().unwrap().append(&mut self.written);
        Ok(())
    }
}

pub(crate) fn terminal(clock: &Arc<TestClock>) -> Channel {
    let screen = Screen::default();
    let notifier = TerminalNotifier::new(screen.clone(), "production".into(), false, Arc::clone(clock) as _).unwrap();
    Channel {
        name: "terminal".into(),
        notifier: Arc::new(notifier),
        drops_repeats: false,
        received: Box::new(move |_| {
            let text = screen.text();
            let ids = text.lines().filter_map(|line| line.trim().strip_prefix("Alert ")).map(|id| id.trim().to_owned());
            let ids: Vec<String> = ids.collect();
            Box::pin(async move { ids })
        }),
    }
}
