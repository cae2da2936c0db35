//! The two tables in DynamoDB: there, of the right form, readable; and the one of states writable, without a write.

use std::error::Error;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, KeyType, ScalarAttributeType, Select, TableDescription, TableStatus,
};
use tokio::time::Instant;

use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::cli::text;
use crate::fault::Fault;
use crate::store::dynamodb::KEY;
use crate::store::dynamodb::errors::{Call, is_condition_refused};

/// What the writes that must not happen would write to: no API can have this id.
const PRETENDED_KEY: &str = "api-health:doctor";

/// No item can fulfil it: the key is there and is not. A write on this condition is refused after permissions were looked
/// at, and writes nothing, whatever the table holds.
const NEVER: &str = "attribute_exists(#key) AND attribute_not_exists(#key)";

/// How the keys of damaged records begin that were set aside.
const SET_ASIDE: &str = "api-health:set-aside:";

/// Pages of 1 MB that are read to count them.
const PAGES_MAX: usize = 10;

/// A table that is to be looked at.
pub(super) struct Table<'a> {
    client: Client,
    check: Check,
    name: &'a str,
    /// The environment variable that names it.
    variable: &'static str,
    /// The output of infra/terraform that does.
    output: &'static str,
}

impl<'a> Table<'a> {
    /// The one of API configs.
    pub(super) fn of_configs(config: &SdkConfig, name: &'a str) -> Self {
        Self {
            client: Client::new(config),
            check: Check::ConfigsTable,
            name,
            variable: "DDB_CONFIG_TABLE",
            output: "configs_table_name",
        }
    }

    /// The one of states.
    pub(super) fn of_states(config: &SdkConfig, name: &'a str) -> Self {
        Self {
            client: Client::new(config),
            check: Check::StatesTable,
            name,
            variable: "DDB_STATE_TABLE",
            output: "states_table_name",
        }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, self.name, action)
    }

    /// Of configs: described and read.
    pub(super) async fn look_and_read(&self) -> Vec<Finding> {
        let mut found = self.look().await;
        let began = Instant::now();
        let answer = self.client.scan().table_name(self.name).limit(1).send().await;
        match self.call("dynamodb:Scan").answer(answer) {
            Ok(_) => {
                if let Some(first) = found.first_mut() {
                    first.what.push_str(&format!("; read in {}", text::millis(began.elapsed())));
                }
            }
            Err(fault) if found.iter().all(|finding| finding.what != what_of(&fault)) => {
                found.push(self.finding(self.check, fault));
            }
            Err(_) => {} // told already
        }
        found
    }

    /// There, active, with the right key.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let began = Instant::now();
        let answer = self.client.describe_table().table_name(self.name).send().await;
        if is_denied(&answer) {
            // The daemon itself never asks this.
            return vec![Finding::warn(
                self.check,
                format!("table {}: its form may not be looked at", self.name),
                "allow dynamodb:DescribeTable on it, which doctor alone needs",
            )];
        }
        match self.call("dynamodb:DescribeTable").answer(answer) {
            Ok(answer) => answer.table.map_or_else(Vec::new, |table| {
                let mut found = judge(self.check, self.name, &table);
                if let Some(first) = found.first_mut() {
                    first.what.push_str(&format!("; answers in {}", text::millis(began.elapsed())));
                }
                found
            }),
            Err(fault) => vec![self.finding(self.check, fault)],
        }
    }

    /// A put and a delete that must be refused for their condition, which comes after permissions.
    pub(super) async fn pretend_to_write(&self) -> Vec<Finding> {
        let key = || AttributeValue::S(PRETENDED_KEY.into());
        let put = self.client.put_item().table_name(self.name).item(KEY, key());
        let put = put.condition_expression(NEVER).expression_attribute_names("#key", KEY).send().await;
        if !is_condition_refused(&put) {
            return vec![self.written(self.call("dynamodb:PutItem").answer(put).map(drop))];
        }
        let delete = self.client.delete_item().table_name(self.name).key(KEY, key());
        let delete = delete.condition_expression(NEVER).expression_attribute_names("#key", KEY).send().await;
        if !is_condition_refused(&delete) {
            return vec![self.written(self.call("dynamodb:DeleteItem").answer(delete).map(drop))];
        }
        let what =
            format!("table {}: put and delete are permitted (both were made so that they write nothing)", self.name);
        vec![Finding::ok(Check::StatesWrite, what)]
    }

    /// How many damaged records lie set aside in it, as far as [`PAGES_MAX`] pages reach.
    pub(super) async fn count_quarantined(&self) -> Result<u32, Fault> {
        let (mut count, mut start) = (0_u32, None);
        for _ in 0..PAGES_MAX {
            let scan = self.client.scan().table_name(self.name).select(Select::Count);
            let scan = scan.filter_expression("begins_with(#key, :prefix)").expression_attribute_names("#key", KEY);
            let scan = scan.expression_attribute_values(":prefix", AttributeValue::S(SET_ASIDE.into()));
            let answer = self.call("dynamodb:Scan").answer(scan.set_exclusive_start_key(start).send().await)?;
            count = count.saturating_add(u32::try_from(answer.count()).unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(count)
    }

    fn written(&self, answer: Result<(), Fault>) -> Finding {
        match answer {
            Err(fault) => self.finding(Check::StatesWrite, fault),
            Ok(()) => Finding::fault(
                Check::StatesWrite,
                format!("table {}: a write was done whose condition cannot hold: what answers heeds none", self.name),
                format!("use DynamoDB or an emulator that knows conditions, and delete the item {PRETENDED_KEY}"),
            ),
        }
    }

    fn finding(&self, check: Check, fault: Fault) -> Finding {
        let what = what_of(&fault);
        match fault {
            Fault::Wait { .. } => {
                Finding::fault(check, what, "see the endpoint above and the state of AWS, and look again")
            }
            Fault::Person { what: why, .. } if why.starts_with("does not exist") => Finding::fault(
                check,
                what,
                format!(
                    "set {} to what `terraform output -raw {}` prints, and AWS_REGION to its region, in \
                     /etc/api-health/env",
                    self.variable, self.output
                ),
            ),
            Fault::Person { remedy, .. } => Finding::fault(check, what, format!("write {remedy}")),
        }
    }
}

fn what_of(fault: &Fault) -> String {
    match fault {
        Fault::Wait { place, what } | Fault::Person { place, what, .. } => format!("{place} {what}"),
    }
}

fn is_denied<T, E>(answer: &Result<T, SdkError<E, HttpResponse>>) -> bool
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = answer.as_ref().err().and_then(|error| error.as_service_error()).and_then(|error| error.code());
    code == Some("AccessDeniedException")
}

/// What a description says; the first finding is the one about the table as a whole.
fn judge(check: Check, name: &str, table: &TableDescription) -> Vec<Finding> {
    let key = key_of(table);
    if key != format!("{KEY} (S)") {
        return vec![Finding::fault(
            check,
            format!("table {name}: its key is {key}, and not {KEY} (S) alone"),
            "name another table: the key of a table cannot be changed; infra/terraform makes the right ones",
        )];
    }
    let billing = match table.billing_mode_summary().and_then(|summary| summary.billing_mode()) {
        Some(BillingMode::PayPerRequest) => "on demand",
        _ => "provisioned capacity", // DynamoDB says nothing of a table that was always so
    };
    let items = usize::try_from(table.item_count().unwrap_or(0)).unwrap_or(0);
    let protection =
        if table.deletion_protection_enabled() == Some(true) { "" } else { ", not protected from deletion" };
    let what = format!("table {name}: key {key}, {billing}, about {}{protection}", text::count(items, "item"));
    let status = table.table_status().cloned().unwrap_or_else(|| TableStatus::from("of no known status"));
    vec![match status {
        TableStatus::Active => Finding::ok(check, what),
        TableStatus::Updating => {
            Finding::warn(check, format!("{what}, being changed just now"), "look again when that is done")
        }
        other => Finding::fault(
            check,
            format!("{what}, {other}"),
            "wait until it is ACTIVE; if it is being deleted, name another one",
        ),
    }]
}

/// `api_id (S)`, `name (N) and at (S)`.
fn key_of(table: &TableDescription) -> String {
    let kind = |name: &str| {
        let found = table.attribute_definitions().iter().find(|attribute| attribute.attribute_name() == name);
        found.map_or("?", |attribute| match attribute.attribute_type() {
            ScalarAttributeType::S => "S",
            ScalarAttributeType::N => "N",
            ScalarAttributeType::B => "B",
            _ => "?",
        })
    };
    let mut parts: Vec<_> = table.key_schema().iter().collect();
    parts.sort_by_key(|part| *part.key_type() != KeyType::Hash);
    let parts: Vec<_> =
        parts.iter().map(|part| format!("{} ({})", part.attribute_name(), kind(part.attribute_name()))).collect();
    parts.join(" and ")
}
