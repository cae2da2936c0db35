//! The pair of tables that the workers share, as the test sees it: rows, records, and who owns what.

use std::collections::{BTreeMap, BTreeSet};

use api_health::store::dynamodb::leases::DynamoLeases;
use api_health_actors::leases::Leases as _;
use api_health_core::own::records::{Key, LeaseRecord, Session, WorkerRecord};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::daemon::Home;
use crate::store::{Records, read};
use crate::support::dynamodb::{client, create_history_table, create_table};
use crate::world::ApiPlan;

/// Two tables of an emulator that no other test has.
pub(crate) struct Tables {
    endpoint: String,
    config_table: String,
    state_table: String,
    history_table: String,
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Tables {
    /// With a row for each API, probed every second.
    pub(crate) fn new(endpoint: &str, apis: &[ApiPlan], url: impl Fn(&ApiPlan) -> String) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = client(endpoint);
        let [config_table, state_table] = ["api_id"; 2].map(|key| runtime.block_on(create_table(&client, key)));
        let history_table = runtime.block_on(create_history_table(&client));
        for api in apis {
            let put = client.put_item().table_name(&config_table);
            let put = put.item("api_id", AttributeValue::S(api.id.into())).item("url", AttributeValue::S(url(api)));
            let numbers = [
                ("interval_seconds", 1),
                ("recheck_seconds", 1),
                ("failure_threshold", api.failure_threshold),
                ("success_threshold", api.success_threshold),
            ];
            let put = numbers.iter().fold(put, |put, (name, n)| put.item(*name, AttributeValue::N(n.to_string())));
            runtime.block_on(put.send()).unwrap();
        }
        Self { endpoint: endpoint.into(), config_table, state_table, history_table, runtime, client }
    }

    /// The port of the emulator.
    pub(crate) fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Has what is started there use these tables, by way of `endpoint`.
    pub(crate) fn be_known_to(&self, home: &mut Home, endpoint: String) {
        home.env("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("DDB_CONFIG_TABLE", &self.config_table)
            .env("DDB_STATE_TABLE", &self.state_table)
            .env("DDB_HISTORY_TABLE", &self.history_table);
    }

    /// The records of all APIs as they are stored now.
    pub(crate) fn records(&self) -> Records {
        let scan = self.client.scan().table_name(&self.state_table).consistent_read(true).send();
        let items = self.runtime.block_on(scan).unwrap().items.unwrap_or_default();
        let items = items.into_iter().map(|item| (item["api_id"].as_s().unwrap().clone(), item));
        let of_apis = items.filter(|(id, _)| !id.contains(':'));
        of_apis.map(|(id, item)| (id, read(&serde_dynamo::from_item::<_, Value>(item).unwrap()))).collect()
    }

    /// How many shards each live session owns; `None` while a shard is nobody's.
    pub(crate) fn owners(&self) -> Option<BTreeMap<Session, usize>> {
        let leases = DynamoLeases::new(self.client.clone(), self.state_table.clone());
        let read = |keys| self.runtime.block_on(leases.read(keys)).unwrap();
        let Some(LeaseRecord::Assignment(assignment)) = read(vec![Key::Assignment]).pop() else { return None };
        let workers: BTreeSet<_> =
            assignment.owners.iter().filter_map(|own| Some(own.owner.as_ref()?.worker.clone())).collect();
        let records = read(workers.into_iter().map(Key::Worker).collect());
        let live: BTreeSet<Session> = records
            .iter()
            .filter_map(|record| match record {
                LeaseRecord::Worker(record) => record.is_live().then(|| WorkerRecord::session(record)),
                LeaseRecord::Assignment(_) => None,
            })
            .collect();
        let mut owners = BTreeMap::new();
        for own in &assignment.owners {
            let owner = own.owner.as_ref().filter(|owner| live.contains(owner))?;
            *owners.entry(owner.clone()).or_default() += 1;
        }
        Some(owners)
    }
}
