//! Tables, topic, role and instance profile: those that Terraform made, or a copy of them whose policy a test may bend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::daemon::{Home, SOON, let_pass, wait_for};
use crate::strict::{Caller, Instance, Strict};
use crate::support::dynamodb;

/// The name of the role's policy that is the daemon's.
const DAEMON: &str = "daemon";

/// How often a table or a queue is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who may do everything, by boto3.
pub(crate) fn administrator() -> &'static Caller {
    static SHARED: OnceLock<Caller> = OnceLock::new();
    SHARED.get_or_init(|| Caller::with(&Strict::shared().administrator()))
}

/// What the parts of a deployment are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) configs: String,
    pub(crate) states: String,
    pub(crate) history: String,
    pub(crate) topic_arn: String,
    pub(crate) role: String,
    pub(crate) profile: String,
}

/// One deployment.
pub(crate) struct Place {
    names: Names,
    /// What Terraform grants to those who edit configs.
    operator_policy: Value,
    queue_url: String,
    dynamodb: aws_sdk_dynamodb::Client,
    runtime: tokio::runtime::Runtime,
    received: Mutex<Vec<Value>>,
}

impl std::ops::Deref for Place {
    type Target = Names;

    fn deref(&self) -> &Names {
        &self.names
    }
}

impl Place {
    /// What is there under these names. A queue is subscribed to the topic, to see what is told.
    pub(crate) fn of(names: &Names, operator_policy: Value) -> Self {
        let topic_arn = &names.topic_arn;
        let name = topic_arn.rsplit(':').next().unwrap();
        let queue = administrator().call("sqs", "create_queue", &json!({ "QueueName": name }));
        let subscription = json!({
            "TopicArn": topic_arn, "Protocol": "sqs", "Endpoint": topic_arn.replace(":sns:", ":sqs:"),
            "Attributes": { "RawMessageDelivery": "true" },
        });
        administrator().call("sns", "subscribe", &subscription);
        Self {
            names: names.clone(),
            operator_policy,
            queue_url: queue["QueueUrl"].as_str().unwrap().into(),
            dynamodb: dynamodb::client(&Strict::shared().endpoint),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            received: Mutex::default(),
        }
    }

    /// The same with names of its own.
    pub(crate) fn copy(&self) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = |name: &str| format!("{name}-{number}");
        let admin = administrator();
        for table in [&self.configs, &self.states, &self.history] {
            let described = admin.call("dynamodb", "describe_table", &json!({ "TableName": table }))["Table"].take();
            let create = json!({
                "TableName": new(table), "KeySchema": described["KeySchema"], "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": described["AttributeDefinitions"],
            });
            admin.call("dynamodb", "create_table", &create);
        }
        let topic = json!({ "Name": new(self.topic_arn.rsplit(':').next().unwrap()) });
        let topic_arn = admin.call("sns", "create_topic", &topic)["TopicArn"].as_str().unwrap().to_owned();
        let (role, profile) = (new(&self.role), new(&self.profile));
        let trust =
            admin.call("iam", "get_role", &json!({ "RoleName": self.role }))["Role"]["AssumeRolePolicyDocument"].take();
        admin.call("iam", "create_role", &json!({ "RoleName": role, "AssumeRolePolicyDocument": trust.to_string() }));
        admin.call("iam", "create_instance_profile", &json!({ "InstanceProfileName": profile }));
        admin.call("iam", "add_role_to_instance_profile", &json!({ "InstanceProfileName": profile, "RoleName": role }));
        let (configs, states, history) = (new(&self.configs), new(&self.states), new(&self.history));
        let names = Names { configs, states, history, topic_arn, role, profile };
        let mut copy = Self::of(&names, Value::Null);
        copy.operator_policy = copy.renamed(self, &self.operator_policy);
        copy.grant(&copy.renamed(self, &self.policy()));
        copy
    }

    /// A policy of `other` with the names of this.
    pub(crate) fn renamed(&self, other: &Self, policy: &Value) -> Value {
        let mut text = policy.to_string();
        for (from, to) in [
            (format!("table/{}\"", other.configs), format!("table/{}\"", self.configs)),
            (format!("table/{}\"", other.states), format!("table/{}\"", self.states)),
            (format!("table/{}\"", other.history), format!("table/{}\"", self.history)),
            (format!("{}\"", other.topic_arn), format!("{}\"", self.topic_arn)),
        ] {
            text = text.replace(&from, &to);
        }
        serde_json::from_str(&text).unwrap()
    }

    /// What Terraform grants to those who edit configs.
    pub(crate) fn operator_policy(&self) -> Value {
        self.operator_policy.clone()
    }

    /// The daemon's policy, as IAM has it.
    pub(crate) fn policy(&self) -> Value {
        let of = json!({ "RoleName": self.role, "PolicyName": DAEMON });
        administrator().call("iam", "get_role_policy", &of)["PolicyDocument"].take()
    }

    /// Puts another policy in its place.
    pub(crate) fn grant(&self, policy: &Value) {
        let put = json!({ "RoleName": self.role, "PolicyName": DAEMON, "PolicyDocument": policy.to_string() });
        administrator().call("iam", "put_role_policy", &put);
    }

    /// An instance with this role.
    pub(crate) fn instance(&self, mut settings: Value) -> Instance {
        settings["profile"] = json!(self.profile);
        if settings["listening"].is_null() {
            settings["listening"] = json!(true);
        }
        Strict::shared().instance(&settings)
    }

    /// A home that knows this by its environment, with the way to credentials that is given.
    pub(crate) fn home(&self, credentials: &[(&'static str, String)]) -> Home {
        let mut home = Home::empty();
        for (name, value) in credentials {
            home.env(name, value);
        }
        let state = home.path().join("state"); // of each instance its own: a worker's name is kept there
        std::fs::create_dir(&state).unwrap();
        home.env("APP_ENVIRONMENT", "iam")
            .env("STATE_DIRECTORY", state.display().to_string())
            .env("DDB_CONFIG_TABLE", &self.configs)
            .env("DDB_STATE_TABLE", &self.states)
            .env("DDB_HISTORY_TABLE", &self.history)
            .env("SNS_TOPIC_ARN", &self.topic_arn);
        home
    }

    /// Puts a row for `url`, every second.
    pub(crate) fn put_row(&self, api_id: &str, url: &str) {
        let second = || AttributeValue::N("1".into());
        self.put(
            &self.configs,
            &[
                ("api_id", AttributeValue::S(api_id.into())),
                ("url", AttributeValue::S(url.into())),
                ("interval_seconds", second()),
                ("recheck_seconds", second()),
            ],
        );
    }

    /// Puts a record that makes no sense.
    pub(crate) fn put_damaged_record(&self, api_id: &str) {
        let fields = [("api_id", AttributeValue::S(api_id.into())), ("status", AttributeValue::S("sideways".into()))];
        self.put(&self.states, &fields);
    }

    fn put(&self, table: &str, fields: &[(&str, AttributeValue)]) {
        let put = self.dynamodb.put_item().table_name(table);
        let put = fields.iter().fold(put, |put, (name, value)| put.item(*name, value.clone()));
        self.runtime.block_on(put.send()).unwrap();
    }

    /// Every stored item of the table of states, by key.
    pub(crate) fn states(&self) -> BTreeMap<String, std::collections::HashMap<String, AttributeValue>> {
        let scan = self.dynamodb.scan().table_name(&self.states).consistent_read(true).send();
        let items = self.runtime.block_on(scan).unwrap().items.unwrap_or_default();
        items.into_iter().map(|item| (item["api_id"].as_s().unwrap().clone(), item)).collect()
    }

    /// Waits until the stored status of an API is `status` and so many alerts are owed.
    pub(crate) fn wait_for_status(&self, api_id: &str, status: &str, owed: usize) {
        wait_for(&format!("{api_id} is {status} and owes {owed}"), SOON, || {
            let_pass(LOOK_EVERY);
            let item = self.states().remove(api_id)?;
            let owes = item.get("owed").and_then(|owed| owed.as_l().ok()).map(Vec::len);
            let is = item.get("status").and_then(|status| status.as_s().ok()).is_some_and(|is| is == status);
            (is && owes == Some(owed)).then_some(())
        });
    }

    /// `(api_id, kind)` of every alert that came through the topic, in order, repeats included.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let mut received = self.received.lock().unwrap();
        let receive = json!({ "QueueUrl": self.queue_url, "MaxNumberOfMessages": 10 });
        let answer = administrator().call("sqs", "receive_message", &receive);
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let delete = json!({ "QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"] });
            administrator().call("sqs", "delete_message", &delete);
            received.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        received.iter().map(|alert| (text(&alert["api_id"]), text(&alert["kind"]))).collect()
    }

    /// Waits until an alert of `kind` of an API came through the topic.
    pub(crate) fn wait_for_alert(&self, api_id: &str, kind: &str) {
        wait_for(&format!("the {kind} of {api_id} through SNS"), SOON, || {
            let_pass(LOOK_EVERY);
            self.told().contains(&(api_id.to_owned(), kind.to_owned())).then_some(())
        });
    }
}
