//! DynamoDB, SNS and SQS on moto: tables, a topic and a queue that no other test has, and a look into them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::daemon::{Home, let_pass, wait_for};
use crate::support::dynamodb;
use crate::support::http::{Answer, Server};
use crate::support::moto::Moto;

/// What only the program and AWS may know.
pub(crate) const SECRET_KEY: &str = "aws-secret-key-5b1d9c";
/// The same for a session.
pub(crate) const SESSION_TOKEN: &str = "aws-session-token-e07f42";

/// Many tests look into one moto, which serves a few hundred calls a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The AWS side of one test.
pub(crate) struct Cloud {
    pub(crate) config_table: String,
    pub(crate) state_table: String,
    pub(crate) history_table: String,
    pub(crate) topic_arn: String,
    queue_url: String,
    runtime: tokio::runtime::Runtime,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    received: Mutex<Vec<Value>>,
}

impl Cloud {
    /// Three tables, and a topic with a queue that gets the machine form.
    pub(crate) fn new() -> Self {
        let endpoint = &Moto::shared().endpoint;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dynamodb = dynamodb::client(endpoint);
        let (config_table, state_table, history_table) = runtime.block_on(async {
            let [configs, states] =
                [dynamodb::create_table(&dynamodb, "api_id"), dynamodb::create_table(&dynamodb, "api_id")];
            (configs.await, states.await, dynamodb::create_history_table(&dynamodb).await)
        });
        let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("eu-central-1"))
            .endpoint_url(endpoint)
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .build();
        let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let (topic_arn, queue_url) = runtime.block_on(async {
            let topic_arn = sns.create_topic().name(&state_table).send().await.unwrap().topic_arn.unwrap();
            let queue_url = sqs.create_queue().queue_name(&state_table).send().await.unwrap().queue_url.unwrap();
            let subscribe =
                sns.subscribe().topic_arn(&topic_arn).protocol("sqs").endpoint(topic_arn.replace(":sns:", ":sqs:"));
            subscribe.attributes("RawMessageDelivery", "true").send().await.unwrap();
            (topic_arn, queue_url)
        });
        let received = Mutex::default();
        Self { config_table, state_table, history_table, topic_arn, queue_url, runtime, dynamodb, sqs, received }
    }

    /// A home that knows this by its environment alone, as an EC2 instance would.
    pub(crate) fn home(&self) -> Home {
        let mut home = Home::empty();
        self.be_known_to(&mut home);
        home.env("SNS_TOPIC_ARN", &self.topic_arn);
        home
    }

    /// The API `shop` that is down, and a home whose topic is not there: its alert stays owed.
    pub(crate) fn outage_without_its_topic(&self) -> (Server, Home) {
        let target = Server::start();
        target.set("/shop", Answer::Status(500));
        self.put_row("shop", &target.url("/shop"), &[]);
        let mut home = self.home();
        home.env("SNS_TOPIC_ARN", format!("{}-misspelt", self.topic_arn));
        (target, home)
    }

    /// Sets the environment for the tables, and not for the topic.
    pub(crate) fn be_known_to(&self, home: &mut Home) {
        for (name, value) in Moto::shared().environment() {
            home.env(name, value);
        }
        home.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_SESSION_TOKEN", SESSION_TOKEN)
            .env("APP_ENVIRONMENT", "e2e-cloud")
            .env("DDB_CONFIG_TABLE", &self.config_table)
            .env("DDB_STATE_TABLE", &self.state_table)
            .env("DDB_HISTORY_TABLE", &self.history_table);
    }

    /// The same, without a region and without credentials: where they come from is for the test.
    pub(crate) fn be_known_without_credentials_to(&self, home: &mut Home) {
        home.env("AWS_ENDPOINT_URL", &Moto::shared().endpoint)
            .env("DDB_CONFIG_TABLE", &self.config_table)
            .env("DDB_STATE_TABLE", &self.state_table)
            .env("DDB_HISTORY_TABLE", &self.history_table);
    }

    /// Puts a row for `url`, every second; `more` are further fields that are text.
    pub(crate) fn put_row(&self, api_id: &str, url: &str, more: &[(&str, AttributeValue)]) {
        let second = || AttributeValue::N("1".into());
        let mut put = self
            .dynamodb
            .put_item()
            .table_name(&self.config_table)
            .item("api_id", AttributeValue::S(api_id.into()))
            .item("url", AttributeValue::S(url.into()))
            .item("interval_seconds", second())
            .item("recheck_seconds", second());
        for (name, value) in more {
            put = put.item(*name, value.clone());
        }
        self.runtime.block_on(put.send()).unwrap();
    }

    /// Puts a record among the states, as a hand in the table would.
    pub(crate) fn put_state(&self, record: &Value) {
        self.put_item(serde_dynamo::to_item(record).unwrap());
    }

    /// Changes a record among the states, which is there.
    pub(crate) fn change_state(
        &self,
        key: &str,
        change: impl FnOnce(&mut std::collections::HashMap<String, AttributeValue>),
    ) {
        let mut item = self.states().remove(key).unwrap();
        change(&mut item);
        self.put_item(item);
    }

    fn put_item(&self, item: std::collections::HashMap<String, AttributeValue>) {
        let put = self.dynamodb.put_item().table_name(&self.state_table).set_item(Some(item));
        self.runtime.block_on(put.send()).unwrap();
    }

    /// Every stored state as DynamoDB has it, by API.
    pub(crate) fn states(&self) -> BTreeMap<String, std::collections::HashMap<String, AttributeValue>> {
        let scan = self.dynamodb.scan().table_name(&self.state_table).consistent_read(true).send();
        let items = self.runtime.block_on(scan).unwrap().items.unwrap_or_default();
        items.into_iter().map(|item| (item["api_id"].as_s().unwrap().clone(), item)).collect()
    }

    /// Waits until the stored status of an API is `status` and so many alerts are owed.
    pub(crate) fn wait_for_status(&self, api_id: &str, status: &str, owed: usize) {
        wait_for(&format!("{api_id} is {status} and owes {owed} in DynamoDB"), crate::daemon::SOON, || {
            let item = self.states().remove(api_id)?;
            let is = item["status"].as_s().unwrap() == status && item["owed"].as_l().unwrap().len() == owed;
            let_pass(LOOK_EVERY);
            is.then_some(())
        });
    }

    /// Every alert that came through the topic, in order, repeats included.
    pub(crate) fn received(&self) -> Vec<Value> {
        let mut received = self.received.lock().unwrap();
        self.runtime.block_on(async {
            let receive = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            for message in receive.send().await.unwrap().messages.unwrap_or_default() {
                let handle = message.receipt_handle.unwrap();
                self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle).send().await.unwrap();
                received.push(serde_json::from_str(&message.body.unwrap()).unwrap());
            }
        });
        received.clone()
    }

    /// `(api_id, kind)` of each.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.received().iter().map(|alert| (text(&alert["api_id"]), text(&alert["kind"]))).collect()
    }

    /// Waits for the alert of `kind` of an API.
    pub(crate) fn wait_for(&self, api_id: &str, kind: &str, within: Duration) -> Value {
        wait_for(&format!("the {kind} of {api_id} through SNS"), within, || {
            let_pass(LOOK_EVERY);
            self.received().into_iter().find(|alert| alert["api_id"] == api_id && alert["kind"] == kind)
        })
    }
}
