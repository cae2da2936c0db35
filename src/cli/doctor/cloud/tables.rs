//! The tables of configs and states in DynamoDB: there, and of the right form; and the one of states writable, without a write. The checks of rows
//! and states read them.

use std::error::Error;

use api_health_actors::ports::StoreError;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::types::{AttributeValue, TableDescription, TableStatus};

use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::fault::Fault;
use crate::store::dynamodb::KEY;
use crate::store::dynamodb::errors::{Call, is_condition_refused, is_denied};

/// What the writes that must not happen would write to: no API can have this id.
pub(super) const PRETENDED_KEY: &str = "api-health:doctor";

/// No item can fulfil it: the key is there and is not. A write on this condition is refused after permissions were looked
/// at, and writes nothing, whatever the table holds.
pub(super) const NEVER: &str = "attribute_exists(#key) AND attribute_not_exists(#key)";

/// A table that is to be looked at.
pub(super) struct Table<'a> {
    client: Client,
    check: Check,
    name: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn new(config: &SdkConfig, check: Check, name: &'a str) -> Self {
        Self { client: Client::new(config), check, name }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, self.name, action)
    }

    /// There, active, with the right key.
    pub(super) async fn describe(self) -> Finding {
        let answer = self.client.describe_table().table_name(self.name).send().await;
        if is_denied(&answer) {
            // The daemon itself never asks this.
            let what = format!("table {}: its form may not be looked at", self.name);
            return self.check.warn(what, "allow dynamodb:DescribeTable on it, which doctor alone needs");
        }
        match self.call("dynamodb:DescribeTable").answer(answer) {
            Ok(answer) => self.judge(&answer.table.unwrap_or_else(|| TableDescription::builder().build())),
            Err(fault) => self.fault(fault),
        }
    }

    fn judge(&self, table: &TableDescription) -> Finding {
        let (name, key) = (self.name, key_of(table));
        if key != format!("{KEY} (S)") {
            return self.check.fault(
                format!("table {name}: its key is {key}, and not {KEY} (S) alone"),
                "name another table: the key of a table cannot be changed; infra/terraform makes the right ones",
            );
        }
        let is_protected = table.deletion_protection_enabled() == Some(true);
        let protection = if is_protected { "" } else { ", not protected from deletion" };
        let what = format!("table {name}: key {key}{protection}");
        match table.table_status() {
            Some(TableStatus::Active | TableStatus::Updating) => self.check.ok(what),
            status => {
                let status = status.map_or("of no known status", TableStatus::as_str);
                let todo = "wait until it is ACTIVE; if it is being deleted, name another one";
                self.check.fault(format!("{what}, {status}"), todo)
            }
        }
    }

    /// A put and a delete that must be refused for their condition, which comes after permissions.
    pub(super) async fn pretend_to_write(self) -> Finding {
        let key = || AttributeValue::S(PRETENDED_KEY.into());
        let put = self.client.put_item().table_name(self.name).item(KEY, key());
        let put = put.condition_expression(NEVER).expression_attribute_names("#key", KEY);
        let delete = self.client.delete_item().table_name(self.name).key(KEY, key());
        let delete = delete.condition_expression(NEVER).expression_attribute_names("#key", KEY);
        let refused = match self.is_refused("dynamodb:PutItem", put.send().await) {
            Ok(()) => self.is_refused("dynamodb:DeleteItem", delete.send().await),
            unlike => unlike,
        };
        let well = "put and delete are permitted (both were made so that they write nothing)";
        refused.map_or_else(|finding| finding, |()| self.check.ok(format!("table {}: {well}", self.name)))
    }

    fn is_refused<T, E>(
        &self,
        action: &'static str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), Finding>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        if is_condition_refused(&answer) {
            return Ok(());
        }
        Err(match self.call(action).answer(answer) {
            Err(fault) => self.fault(fault),
            Ok(_) => self.check.fault(
                format!("table {}: a write was done whose condition cannot hold: what answers heeds none", self.name),
                format!("use DynamoDB or an emulator that knows conditions, and delete the item {PRETENDED_KEY}"),
            ),
        })
    }

    fn fault(&self, fault: Fault) -> Finding {
        let (variable, output) = match self.check {
            Check::ConfigsTable => ("DDB_CONFIG_TABLE", "configs_table_name"),
            _ => ("DDB_STATE_TABLE", "states_table_name"),
        };
        let (what, todo) = match StoreError::from(fault) {
            StoreError::Misconfigured { what, .. } if what.contains(" does not exist in region ") => {
                let printed = format!("set {variable} to what `terraform output -raw {output}` prints");
                (what, format!("{printed}, and AWS_REGION to its region, in /etc/api-health/env"))
            }
            StoreError::Misconfigured { what, remedy } => (what, remedy),
            StoreError::Unavailable(what) => {
                (what, "see the endpoint above and the state of AWS, and look again".into())
            }
        };
        self.check.fault(what, todo)
    }
}

/// `api_id (S)`, `name (N) and at (S)`.
pub(super) fn key_of(table: &TableDescription) -> String {
    let kind = |name: &str| {
        let found = table.attribute_definitions().iter().find(|attribute| attribute.attribute_name() == name);
        found.map_or("?", |attribute| attribute.attribute_type().as_str())
    };
    let part = |name: &str| format!("{name} ({})", kind(name));
    table.key_schema().iter().map(|key| part(key.attribute_name())).collect::<Vec<_>>().join(" and ")
}
