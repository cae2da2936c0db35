//! The table of history in DynamoDB: there, with its two keys, deleting what expired, readable and writable. Whatever is wrong with it
//! is a warning, since everything is watched without it; no answer at all is a fault, as elsewhere.

use api_health_actors::ports::StoreError;
use api_health_core::history::{Slot, UtcMonth};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};

use super::tables::{NEVER, PRETENDED_KEY, key_of};
use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::fault::Fault;
use crate::store::dynamodb::KEY;
use crate::store::dynamodb::errors::{Call, is_condition_refused, is_denied};
use crate::store::history::DynamoHistoryStore;
use crate::store::history::dynamodb::{EXPIRES_AT, SLOT};

const CHECK: Check = Check::HistoryTable;

/// The table that is to be looked at.
pub(super) struct HistoryTable<'a> {
    client: Client,
    name: &'a str,
}

impl<'a> HistoryTable<'a> {
    pub(super) fn new(config: &SdkConfig, name: &'a str) -> Self {
        Self { client: Client::new(config), name }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, self.name, action).of_history()
    }

    /// One finding where all is well, else one for each thing that is not.
    pub(super) async fn examine(self) -> Vec<Finding> {
        if let Err(finding) = self.read().await {
            return vec![finding];
        }
        let found = [self.keys().await, self.expiry().await, self.pretend_to_write().await];
        let found: Vec<Finding> = found.into_iter().flatten().collect();
        if !found.is_empty() {
            return found;
        }
        let well =
            format!("keys {KEY} (S) and {SLOT} (S), {EXPIRES_AT} deletes what expired, read and put are permitted");
        CHECK.ok(format!("table {}: {well} (the put was made so that it writes nothing)", self.name)).into()
    }

    /// As a start does: it tells whether the table is there at all, with the keys that are needed.
    async fn read(&self) -> Result<(), Finding> {
        DynamoHistoryStore::new(self.client.clone(), self.name).look().await.map_err(|error| match error {
            StoreError::Misconfigured { what, .. } if what.contains(" does not exist in region ") => CHECK.warn(
                format!("{what}: no history is kept"),
                "apply infra/terraform of this release, which makes it, and set DDB_HISTORY_TABLE to what `terraform output -raw \
                 history_table_name` prints; history.enabled = false if none is wanted",
            ),
            StoreError::Misconfigured { what, remedy } => CHECK.warn(format!("{what}: no history is kept"), remedy),
            StoreError::Unavailable(what) => Self::silent(what),
        })
    }

    /// The daemon itself never asks for the form of the table.
    fn not_shown(&self, what: &str, action: &str) -> Finding {
        CHECK.warn(
            format!("table {}: {what} may not be looked at", self.name),
            format!("allow {action} on it, which doctor alone needs"),
        )
    }

    /// A fault, which follows from that of the endpoint where there is one. A warning would say that calls get through.
    fn silent(what: String) -> Finding {
        CHECK.fault(what, "see the endpoint above and the state of AWS, and look again")
    }

    fn fault(fault: Fault) -> Finding {
        match StoreError::from(fault) {
            StoreError::Misconfigured { what, remedy } => CHECK.warn(what, remedy),
            StoreError::Unavailable(what) => Self::silent(what),
        }
    }

    /// A read needs both keys, and would not mind another type or order.
    async fn keys(&self) -> Option<Finding> {
        let answer = self.client.describe_table().table_name(self.name).send().await;
        if is_denied(&answer) {
            return Some(self.not_shown("its form", "dynamodb:DescribeTable"));
        }
        let table = match self.call("dynamodb:DescribeTable").answer(answer) {
            Ok(answer) => answer.table,
            Err(fault) => return Some(Self::fault(fault)),
        };
        let key = table.as_ref().map(key_of).unwrap_or_default();
        let right = format!("{KEY} (S) and {SLOT} (S)");
        (key != right).then(|| {
            CHECK.warn(
                format!("table {}: its key is {key}, and not {right}", self.name),
                "name another table: the key of a table cannot be changed; infra/terraform makes the right one",
            )
        })
    }

    async fn expiry(&self) -> Option<Finding> {
        let answer = self.client.describe_time_to_live().table_name(self.name).send().await;
        if is_denied(&answer) {
            return Some(self.not_shown("its TTL", "dynamodb:DescribeTimeToLive"));
        }
        let ttl = match self.call("dynamodb:DescribeTimeToLive").answer(answer) {
            Ok(answer) => answer.time_to_live_description,
            Err(fault) => return Some(Self::fault(fault)),
        };
        let is_on = ttl.is_some_and(|ttl| {
            let status = ttl.time_to_live_status;
            ttl.attribute_name.as_deref() == Some(EXPIRES_AT)
                && matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        });
        (!is_on).then(|| {
            CHECK.warn(
                format!("table {}: its TTL is not on {EXPIRES_AT}, so that it grows for ever", self.name),
                format!(
                    "aws dynamodb update-time-to-live --table-name {} --time-to-live-specification \
                     Enabled=true,AttributeName={EXPIRES_AT}",
                    self.name
                ),
            )
        })
    }

    /// A put that must be refused for its condition, which comes after permissions.
    async fn pretend_to_write(&self) -> Option<Finding> {
        let slot = Slot::Month(UtcMonth::default()).to_string();
        let put = self.client.put_item().table_name(self.name).item(KEY, AttributeValue::S(PRETENDED_KEY.into()));
        let put = put.item(SLOT, AttributeValue::S(slot));
        let answer = put.condition_expression(NEVER).expression_attribute_names("#key", KEY).send().await;
        if is_condition_refused(&answer) {
            return None;
        }
        Some(match self.call("dynamodb:PutItem").answer(answer) {
            Err(fault) => Self::fault(fault),
            Ok(_) => CHECK.warn(
                format!("table {}: a write was done whose condition cannot hold: what answers heeds none", self.name),
                format!("use DynamoDB or an emulator that knows conditions, and delete the item {PRETENDED_KEY}"),
            ),
        })
    }
}
