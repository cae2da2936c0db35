//! The port `StateStore`: one record for each API, in an SQLite file or in a DynamoDB table.
//!
//! Both keep the same record ([`record`]), outbox and all, so that a change of status and the alert that it owes are one
//! write. Faults are told by who must act next (`crate::fault`). What people look at of the past lies beside it ([`history`]).

#[cfg(feature = "aws")]
pub mod dynamodb;
pub mod history;
#[cfg_attr(not(feature = "aws"), allow(dead_code))] // leases, and records among other keys, are DynamoDB's alone
pub mod record;
pub mod sqlite;

#[cfg(feature = "aws")]
pub use dynamodb::DynamoStateStore;
pub use sqlite::SqliteStateStore;

/// The most records or rows that are read from one table; more are refused as a mistake, before they fill the memory.
/// Ten times what one instance is meant to watch.
pub const RECORDS_MAX: usize = 1_000_000;

/// Items in one page of a table in DynamoDB, which itself keeps a page within 1 MB: small enough to arrive in time over a slow line.
pub const PAGE_ITEMS: u16 = 500;

/// The bytes of an item, by DynamoDB's rules: names and texts in UTF-8, a number by its digits, a list or map 3 and 1 for each.
#[cfg(test)]
pub(crate) fn item_bytes(fields: &serde_json::Map<String, serde_json::Value>) -> usize {
    use serde_json::Value;
    fn bytes(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) => 1,
            Value::Number(number) => number.to_string().len().div_ceil(2) + 1,
            Value::String(text) => text.len(),
            Value::Array(list) => 3 + list.iter().map(|value| 1 + bytes(value)).sum::<usize>(),
            Value::Object(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + bytes(value)).sum::<usize>(),
        }
    }
    fields.iter().map(|(name, value)| name.len() + bytes(value)).sum()
}
