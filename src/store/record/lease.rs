//! The stored form of what workers write for each other: a record for each worker, and one assignment of shards to them.
//!
//! They stand in the DynamoDB table of the states, under keys with a colon, which no API can have. Their `schema` is above the
//! newest that the first release reads, so that it takes them for a newer version's states and leaves them alone.
//! A field that this version does not know is kept as JSON text, and written back; a fraction in it may lose its last digit.

mod assignment;
#[cfg(test)]
mod tests;
pub(crate) mod worker;

use api_health_core::own::records::{Extra, Key, LeaseRecord};
use serde_json::{Map, Value};

use super::{Unreadable, describe};
use assignment::StoredAssignment;
use worker::StoredWorker;

/// The `api_id` of the assignment.
const ASSIGNMENT: &str = "api-health:assignment";

/// That of a worker is this and its name.
const WORKER: &str = "api-health:worker:";

/// The form that this program writes, and the newest that it reads. It never goes below 3: see above.
const SCHEMA: u32 = super::SCHEMA_OF_FLEETS;

/// The `api_id` of a record.
pub(crate) fn key_text(key: &Key) -> String {
    match key {
        Key::Worker(id) => format!("{WORKER}{id}"),
        Key::Assignment => ASSIGNMENT.to_owned(),
    }
}

/// Whether a record of that `api_id` is one of these.
pub(crate) fn is_key(api_id: &str) -> bool {
    api_id == ASSIGNMENT || api_id.starts_with(WORKER)
}

/// The fields of a record.
///
/// # Errors
/// Says what it cannot hold.
pub(crate) fn fields(record: &LeaseRecord) -> Result<Map<String, Value>, String> {
    let (value, extra) = match record {
        LeaseRecord::Worker(record) => (serde_json::to_value(StoredWorker::from(&**record)), &record.extra),
        LeaseRecord::Assignment(record) => (serde_json::to_value(StoredAssignment::of(record)?), &record.extra),
    };
    let Value::Object(mut fields) = value.map_err(|error| error.to_string())? else {
        return Err("it is no object".into()); // structs are objects
    };
    for (name, text) in extra {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        match (fields.get_mut(name), value) {
            (Some(Value::Array(known)), Value::Array(unknown)) => known.extend(unknown),
            (Some(_), _) => {} // what this version knows wins
            (None, value) => drop(fields.insert(name.clone(), value)),
        }
    }
    Ok(fields)
}

/// Reads a record from the fields of an item.
///
/// # Errors
/// Says in one line why it cannot be read.
pub(crate) fn read(fields: Map<String, Value>) -> Result<LeaseRecord, Unreadable> {
    let schema = fields.get("schema").and_then(Value::as_u64);
    if let Some(schema) = schema.filter(|schema| *schema > u64::from(SCHEMA)) {
        return Err(Unreadable::newer(schema, SCHEMA));
    }
    let api_id = fields.get("api_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(match api_id.strip_prefix(WORKER) {
        Some(name) => LeaseRecord::Worker(Box::new(worker::read(name, fields)?)),
        None => LeaseRecord::Assignment(Box::new(assignment::read(fields)?)),
    })
}

/// A stored form.
fn parse<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|e| describe(e.path(), e.inner()))
}

/// The fields that a stored form does not know.
fn kept(unknown: Map<String, Value>) -> Extra {
    unknown.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// A version as it is stored.
fn version(version: u64) -> Result<u64, String> {
    if version == 0 { Err("version: 0 is that of a record that was never stored".into()) } else { Ok(version) }
}
