//! The tables in DynamoDB: there, of the right form, and writable, without a write. The checks of rows and states read theirs.
//!
//! Whatever is wrong with the table of history is a warning, since everything is watched without it; no answer at all is a fault there too.

use std::error::Error;

use api_health_actors::ports::StoreError;
use api_health_core::history::{HistorySlot, UtcMonth};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::types::{AttributeValue, TableDescription, TableStatus, TimeToLiveStatus};

use crate::cli::checks::Check;
use crate::cli::doctor::report::{Finding, Mark};
use crate::store::dynamodb::KEY;
use crate::store::dynamodb::errors::{Call, is_condition_refused, is_denied};
use crate::store::history::DynamoHistoryStore;
use crate::store::history::dynamodb::{EXPIRES_AT, SLOT};

/// What the writes that must not happen would write to: no API can have this id.
const PRETENDED_KEY: &str = "api-health:doctor";

/// No item can fulfil it: the key is there and is not. A write on this condition is refused after permissions were looked
/// at, and writes nothing, whatever the table holds.
const NEVER: &str = "attribute_exists(#key) AND attribute_not_exists(#key)";

type Answer<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// A table that is to be looked at, for one check.
pub(super) struct Table<'a> {
    client: Client,
    check: Check,
    name: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn new(config: &SdkConfig, check: Check, name: &'a str) -> Self {
        Self { client: Client::new(config), check, name }
    }

    /// There, active, with the right key.
    pub(super) async fn form(self) -> Finding {
        let table = match self.description().await {
            Ok(table) => table,
            Err(unlike) => return unlike,
        };
        let is_protected = table.deletion_protection_enabled() == Some(true);
        let protection = if is_protected { "" } else { ", not protected from deletion" };
        let what = format!("table {}: key {KEY} (S){protection}", self.name);
        match table.table_status() {
            Some(TableStatus::Active | TableStatus::Updating) => self.check.ok(what),
            status => {
                let status = status.map_or("of no known status", TableStatus::as_str);
                let todo = "wait until it is ACTIVE; if it is being deleted, name another one";
                self.check.fault(format!("{what}, {status}"), todo)
            }
        }
    }

    /// A put and a delete are permitted.
    pub(super) async fn writes(self) -> Finding {
        let delete = self.client.delete_item().table_name(self.name).key(KEY, AttributeValue::S(PRETENDED_KEY.into()));
        let delete = delete.condition_expression(NEVER).expression_attribute_names("#key", KEY);
        let both = async {
            self.put().await?;
            self.refused("dynamodb:DeleteItem", delete.send().await)
        };
        let well = "put and delete are permitted (both were made so that they write nothing)";
        both.await.map_or_else(|unlike| unlike, |()| self.check.ok(format!("table {}: {well}", self.name)))
    }

    /// One finding where all is well, else one for each thing that is not.
    pub(super) async fn history(self) -> Vec<Finding> {
        // As a start does: it tells whether the table is there at all, with the keys that are needed.
        if let Err(error) = DynamoHistoryStore::new(self.client.clone(), self.name).look().await {
            let mut finding = self.fault(error);
            if finding.mark == Mark::Warn {
                finding.what.push_str(": no history is kept");
            }
            return finding.into();
        }
        let found = [self.description().await.err(), self.expiry().await.err(), self.put().await.err()];
        let found: Vec<Finding> = found.into_iter().flatten().collect();
        if !found.is_empty() {
            return found;
        }
        let well =
            format!("keys {KEY} (S) and {SLOT} (S), {EXPIRES_AT} deletes what expired, read and put are permitted");
        self.check.ok(format!("table {}: {well} (the put was made so that it writes nothing)", self.name)).into()
    }

    /// As DynamoDB describes it, if its key is the right one. A read alone would not mind another type or order.
    async fn description(&self) -> Result<TableDescription, Finding> {
        let answer = self.client.describe_table().table_name(self.name).send().await;
        let table = self.answer("dynamodb:DescribeTable", answer)?.table;
        let table = table.unwrap_or_else(|| TableDescription::builder().build());
        let (second, alone) =
            if self.is_of_history() { (format!(" and {SLOT} (S)"), "") } else { (String::new(), " alone") };
        let right = format!("{KEY} (S){second}");
        match key_of(&table) {
            key if key == right => Ok(table),
            key => Err(self.bad(
                format!("table {}: its key is {key}, and not {right}{alone}", self.name),
                "name another table: the key of a table cannot be changed; infra/terraform makes the right ones",
            )),
        }
    }

    async fn expiry(&self) -> Result<(), Finding> {
        let answer = self.client.describe_time_to_live().table_name(self.name).send().await;
        let ttl = self.answer("dynamodb:DescribeTimeToLive", answer)?.time_to_live_description;
        let is_on = ttl.is_some_and(|ttl| {
            ttl.attribute_name() == Some(EXPIRES_AT)
                && matches!(ttl.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        });
        let name = self.name;
        is_on.then_some(()).ok_or_else(|| {
            self.bad(
                format!("table {name}: its TTL is not on {EXPIRES_AT}, so that it grows for ever"),
                format!(
                    "aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification \
                     Enabled=true,AttributeName={EXPIRES_AT}"
                ),
            )
        })
    }

    /// A put that must be refused for its condition, which comes after permissions.
    async fn put(&self) -> Result<(), Finding> {
        let slot = self.is_of_history().then(|| (SLOT, HistorySlot::Month(UtcMonth::default()).to_string()));
        let mut put = self.client.put_item().table_name(self.name);
        for (name, value) in [(KEY, PRETENDED_KEY.to_owned())].into_iter().chain(slot) {
            put = put.item(name, AttributeValue::S(value));
        }
        let put = put.condition_expression(NEVER).expression_attribute_names("#key", KEY);
        self.refused("dynamodb:PutItem", put.send().await)
    }

    fn refused<T, E>(&self, action: &'static str, answer: Answer<T, E>) -> Result<(), Finding>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        if is_condition_refused(&answer) {
            return Ok(());
        }
        self.answer(action, answer)?;
        Err(self.bad(
            format!("table {}: a write was done whose condition cannot hold: what answers heeds none", self.name),
            format!("use DynamoDB or an emulator that knows conditions, and delete the item {PRETENDED_KEY}"),
        ))
    }

    fn answer<T, E>(&self, action: &'static str, answer: Answer<T, E>) -> Result<T, Finding>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        // The daemon itself never asks for a description, and may not be allowed to.
        if is_denied(&answer) && action.starts_with("dynamodb:Describe") {
            let what = format!("table {}: {action} is not allowed, so this may not be looked at", self.name);
            return Err(self.check.warn(what, format!("allow {action} on it, which doctor alone needs")));
        }
        let call = Call::new(&self.client, self.name, action);
        let call = if self.is_of_history() { call.of_history() } else { call };
        call.answer(answer).map_err(|fault| self.fault(fault.into()))
    }

    fn is_of_history(&self) -> bool {
        self.check == Check::HistoryTable
    }

    fn bad(&self, what: String, todo: impl Into<String>) -> Finding {
        if self.is_of_history() { self.check.warn(what, todo) } else { self.check.fault(what, todo) }
    }

    fn fault(&self, error: StoreError) -> Finding {
        match error {
            StoreError::Misconfigured { what, .. } if what.contains(" does not exist in region ") => {
                let (variable, output) = match self.check {
                    Check::HistoryTable => ("DDB_HISTORY_TABLE", "history_table_name"),
                    Check::ConfigsTable => ("DDB_CONFIG_TABLE", "configs_table_name"),
                    _ => ("DDB_STATE_TABLE", "states_table_name"),
                };
                let set = format!("set {variable} to what `terraform output -raw {output}` prints");
                let todo = if self.is_of_history() {
                    format!(
                        "apply infra/terraform of this release, which makes it, and {set}; history.enabled = false if none is wanted"
                    )
                } else {
                    format!("{set}, and AWS_REGION to its region, in /etc/api-health/env")
                };
                self.bad(what, todo)
            }
            StoreError::Misconfigured { what, remedy } => self.bad(what, remedy),
            // Also of history: it follows from the fault of the endpoint where there is one, and a warning would say that calls get through.
            StoreError::Unavailable(what) => {
                self.check.fault(what, "see the endpoint above and the state of AWS, and look again")
            }
        }
    }
}

/// `api_id (S)`, `name (N) and at (S)`.
fn key_of(table: &TableDescription) -> String {
    let kind = |name: &str| {
        let found = table.attribute_definitions().iter().find(|attribute| attribute.attribute_name() == name);
        found.map_or("?", |attribute| attribute.attribute_type().as_str())
    };
    let part = |name: &str| format!("{name} ({})", kind(name));
    table.key_schema().iter().map(|key| part(key.attribute_name())).collect::<Vec<_>>().join(" and ")
}
