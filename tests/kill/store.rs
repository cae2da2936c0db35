//! The store of a killed daemon, read past the daemon: what the dead process left behind.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::alerts::{Received, Receiver};
use crate::apis::row_with;
use crate::cloud::Cloud;
use crate::daemon::Home;
use crate::oracle::Heard;
use crate::support::http::Server;
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;
use crate::world::ApiPlan;
use aws_sdk_dynamodb::types::AttributeValue;

/// What of a stored record matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) version: u64,
    pub(crate) status: String,
    /// Alert ids, oldest first.
    pub(crate) owed: Vec<String>,
}

/// All records by API.
pub(crate) type Records = BTreeMap<String, Record>;

/// A home with rows and settings, and a look into its store.
pub(crate) trait Place {
    /// Where the daemon is started.
    fn home(&self) -> &Home;
    /// Every record as it is stored now. A record that cannot be read fails the test.
    fn records(&self) -> Records;
    /// Whether a write of a dead process can come after its death, as over a network.
    fn writes_outlive_the_writer(&self) -> bool;
    /// Has writes take this long for a while, or no longer.
    fn slow_down(&self, span: Duration);
    /// Everything that a second channel took over, in order; the webhook may lag behind it.
    fn taken_elsewhere(&self) -> Option<Vec<Heard>> {
        None
    }
    /// Checks the store as a whole, when all is over.
    fn check_whole(&self);
}

/// Rows in a file, states in an SQLite file.
pub(crate) struct OnSqlite(Home);

impl OnSqlite {
    pub(crate) fn new(target: &Server, webhook: &Receiver, apis: &[ApiPlan]) -> Self {
        let row = |api: &ApiPlan| {
            let (down, up) = (api.failure_threshold, api.success_threshold);
            let fields = format!("failure_threshold = {down}\nsuccess_threshold = {up}");
            row_with(api.id, &target.url(&api.path()), &fields)
        };
        Self(Home::new(&webhook.settings_within(5), &apis.iter().map(row).collect::<String>()))
    }
}

impl Place for OnSqlite {
    fn home(&self) -> &Home {
        &self.0
    }

    fn records(&self) -> Records {
        self.0.states().into_iter().map(|(id, record)| (id, read(&record))).collect()
    }

    fn writes_outlive_the_writer(&self) -> bool {
        false
    }

    /// Somebody else holds the file for so long, once.
    #[allow(clippy::disallowed_methods, reason = "a thread of the test's own")]
    fn slow_down(&self, span: Duration) {
        let Ok(holder) = self.0.open_database() else { return };
        std::thread::spawn(move || {
            if holder.execute_batch("BEGIN IMMEDIATE").is_ok() {
                std::thread::sleep(span);
            }
        });
    }

    fn check_whole(&self) {
        let check = |connection: rusqlite::Connection| {
            connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(check(self.0.open_database().unwrap()), "ok");
    }
}

/// Rows and states in tables of DynamoDB, and a topic of SNS beside the webhook.
pub(crate) struct OnDynamoDb {
    home: Home,
    cloud: Cloud,
    proxy: HttpProxy,
}

impl OnDynamoDb {
    pub(crate) fn new(target: &Server, webhook: &Receiver, apis: &[ApiPlan]) -> Self {
        let cloud = Cloud::new();
        for api in apis {
            let number = |n: u32| AttributeValue::N(n.to_string());
            let thresholds = [
                ("failure_threshold", number(api.failure_threshold)),
                ("success_threshold", number(api.success_threshold)),
            ];
            cloud.put_row(api.id, &target.url(&api.path()), &thresholds);
        }
        let mut home = Home::empty();
        cloud.be_known_to(&mut home);
        let proxy = HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap());
        home.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url(""));
        home.env("SNS_TOPIC_ARN", &cloud.topic_arn);
        home.write("api-health.toml", &webhook.settings_within(5));
        Self { home, cloud, proxy }
    }
}

impl Place for OnDynamoDb {
    fn home(&self) -> &Home {
        &self.home
    }

    fn records(&self) -> Records {
        // Who owns what, and what the workers say of themselves, are no states, and owe nothing.
        let is_state = |id: &str| id != "api-health:assignment" && !id.starts_with("api-health:worker:");
        let items = self.cloud.states().into_iter().filter(|(id, _)| is_state(id));
        items.map(|(id, item)| (id, read(&serde_dynamo::from_item::<_, Value>(item).unwrap()))).collect()
    }

    fn writes_outlive_the_writer(&self) -> bool {
        true
    }

    fn slow_down(&self, span: Duration) {
        if span.is_zero() { self.proxy.mend() } else { self.proxy.strike_only(Fault::Delay(span), "PutItem") }
    }

    fn taken_elsewhere(&self) -> Option<Vec<Heard>> {
        let mut alerts = self.cloud.received();
        loop {
            let more = self.cloud.received();
            if more.len() == alerts.len() {
                break;
            }
            alerts = more;
        }
        let heard = |alert| Heard::of(&Received { at: UNIX_EPOCH, alert }, 200);
        Some(alerts.into_iter().map(heard).collect())
    }

    fn check_whole(&self) {}
}

/// What of a stored record matters here; one that cannot be read fails the test.
pub(crate) fn read(record: &Value) -> Record {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("corrupt: {record}")).to_owned();
    let version = record["version"].as_u64().unwrap_or_else(|| panic!("corrupt: {record}"));
    let owed = record["owed"].as_array().unwrap_or_else(|| panic!("corrupt: {record}"));
    Record { version, status: text(&record["status"]), owed: owed.iter().map(|owed| text(&owed["alert_id"])).collect() }
}
