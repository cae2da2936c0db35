//! The stored form of the heartbeat: plain fields, to be read in a console.
//!
//! In DynamoDB it stands in the table of the states, under a key with a colon, which no API can have. Releases that
//! know no heartbeat take every item for a state; its `schema` is above the newest that they read, so they say that a newer
//! version wrote it and leave it alone.

use std::borrow::Cow;
use std::time::Duration;

use api_health_actors::ports::{StoredHeartbeat, UnreadableState};
use api_health_core::heartbeat::{INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use api_health_core::{ApiId, Heartbeat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Time, Unreadable, describe};

/// Its `api_id`.
pub(crate) const KEY: &str = "api-health:heartbeat";

/// The form that this program writes, and the newest that it reads. It never goes below 3: see above.
pub(crate) const SCHEMA: u32 = 3;

/// The longest text that is read as one.
const BYTES_MAX: usize = 64 * 1024;

/// The record, or a part of a worker's record, which says schema and key itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct HeartbeatRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_id: Option<Cow<'a, str>>,
    at: Time,
    instance: Cow<'a, str>,
    program_version: Cow<'a, str>,
    /// Absent after a single round.
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_seconds: Option<u64>,
    checkpoint_seconds: u64,
    apis: u64,
    up: u64,
    down: u64,
    unknown: u64,
    owed: u64,
    probes: u64,
    probes_since: Time,
    late: u64,
    late_api_ids: Vec<Cow<'a, str>>,
    /// Absent in the records of programs that did not count them.
    #[serde(default)]
    inconclusive: u64,
    #[serde(default)]
    inconclusive_api_ids: Vec<Cow<'a, str>>,
}

impl<'a> From<&'a Heartbeat> for HeartbeatRecord<'a> {
    fn from(heartbeat: &'a Heartbeat) -> Self {
        Self {
            schema: Some(SCHEMA),
            api_id: Some(KEY.into()),
            at: Time(heartbeat.at),
            instance: heartbeat.instance.as_str().into(),
            program_version: heartbeat.version.as_str().into(),
            heartbeat_seconds: heartbeat.period.map(|period| period.as_secs()),
            checkpoint_seconds: heartbeat.checkpoint.as_secs(),
            apis: heartbeat.apis,
            up: heartbeat.up,
            down: heartbeat.down,
            unknown: heartbeat.unknown,
            owed: heartbeat.owed,
            probes: heartbeat.probes,
            probes_since: Time(heartbeat.probes_since),
            late: heartbeat.late,
            late_api_ids: texts(&heartbeat.late_api_ids),
            inconclusive: heartbeat.inconclusive,
            inconclusive_api_ids: texts(&heartbeat.inconclusive_api_ids),
        }
    }
}

impl<'a> HeartbeatRecord<'a> {
    /// As a part of another record.
    pub(crate) fn within_another(heartbeat: &'a Heartbeat) -> Self {
        Self { schema: None, api_id: None, ..Self::from(heartbeat) }
    }

    fn into_heartbeat(self) -> Result<Heartbeat, String> {
        Ok(Heartbeat {
            late_api_ids: ids("late_api_ids", &self.late_api_ids, LATE_NAMED_MAX)?,
            inconclusive_api_ids: ids("inconclusive_api_ids", &self.inconclusive_api_ids, INCONCLUSIVE_NAMED_MAX)?,
            at: self.at.0,
            instance: self.instance.into_owned(),
            version: self.program_version.into_owned(),
            period: self.heartbeat_seconds.map(Duration::from_secs),
            checkpoint: Duration::from_secs(self.checkpoint_seconds),
            apis: self.apis,
            up: self.up,
            down: self.down,
            unknown: self.unknown,
            owed: self.owed,
            probes: self.probes,
            probes_since: self.probes_since.0,
            late: self.late,
            inconclusive: self.inconclusive,
        })
    }
}

fn texts(ids: &[ApiId]) -> Vec<Cow<'_, str>> {
    ids.iter().map(|api_id| api_id.as_str().into()).collect()
}

fn ids(field: &str, texts: &[Cow<'_, str>], most: usize) -> Result<Vec<ApiId>, String> {
    let ids = texts.iter().take(most).map(|text| ApiId::parse(text));
    ids.collect::<Result<_, _>>().map_err(|why| format!("{field}: an id {why}"))
}

/// Reads one from a JSON value, as DynamoDB's attributes become one.
pub(crate) fn read_value(value: &Value) -> StoredHeartbeat {
    let newer = value.get("schema").and_then(Value::as_u64).filter(|schema| *schema > u64::from(SCHEMA));
    if let Some(schema) = newer {
        return Err(Unreadable::newer(schema, SCHEMA).of(KEY.into()));
    }
    if value.get("schema").is_none() {
        return Err(unreadable("missing field `schema`".into()));
    }
    read_within_another(value).map_err(unreadable)
}

/// Reads one that is a part of another record.
///
/// # Errors
/// Says in one line why it cannot be read.
pub(crate) fn read_within_another(value: &Value) -> Result<Heartbeat, String> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| describe(error.path(), error.inner()))
        .and_then(HeartbeatRecord::into_heartbeat)
}

/// Reads one from JSON text.
pub(crate) fn read_text(text: &[u8]) -> StoredHeartbeat {
    if text.len() > BYTES_MAX {
        return Err(unreadable(format!("it has more than {BYTES_MAX} bytes")));
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => read_value(&value),
        Err(error) => Err(unreadable(super::one_line(&error.to_string()))),
    }
}

fn unreadable(why: String) -> UnreadableState {
    Unreadable::from(why).of(KEY.into())
}

#[cfg(test)]
mod tests {
    use api_health_core::Timestamp;
    use serde_json::json;

    use super::*;

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            at: Timestamp::from_millis(1_795_332_600_250),
            instance: "ip-10-0-1-7.eu-central-1.compute.internal:12345:1795332600250".into(),
            version: "0.1.0".into(),
            period: Some(Duration::from_secs(60)),
            checkpoint: Duration::from_secs(3_600),
            apis: 1_000,
            up: 997,
            down: 2,
            unknown: 1,
            owed: 3,
            probes: 1_003,
            probes_since: Timestamp::from_millis(1_795_332_540_250),
            late: 2,
            late_api_ids: ["shop", "mail"].map(|text| ApiId::parse(text).unwrap()).into(),
            inconclusive: 1,
            inconclusive_api_ids: vec![ApiId::parse("cart").unwrap()],
        }
    }

    fn value(heartbeat: &Heartbeat) -> Value {
        serde_json::to_value(HeartbeatRecord::from(heartbeat)).unwrap()
    }

    #[test]
    fn it_is_plain_fields_with_times_that_a_person_reads() {
        assert_eq!(
            value(&heartbeat()),
            json!({
                "schema": 3,
                "api_id": "api-health:heartbeat",
                "at": "2026-11-22T07:30:00.250Z",
                "instance": "ip-10-0-1-7.eu-central-1.compute.internal:12345:1795332600250",
                "program_version": "0.1.0",
                "heartbeat_seconds": 60,
                "checkpoint_seconds": 3600,
                "apis": 1000,
                "up": 997,
                "down": 2,
                "unknown": 1,
                "owed": 3,
                "probes": 1003,
                "probes_since": "2026-11-22T07:29:00.250Z",
                "late": 2,
                "late_api_ids": ["shop", "mail"],
                "inconclusive": 1,
                "inconclusive_api_ids": ["cart"],
            })
        );
    }

    #[test]
    fn it_is_read_back_as_it_was() {
        for heartbeat in [heartbeat(), Heartbeat { period: None, late: 0, late_api_ids: vec![], ..heartbeat() }] {
            assert_eq!(read_value(&value(&heartbeat)), Ok(heartbeat.clone()));
            assert_eq!(read_text(value(&heartbeat).to_string().as_bytes()), Ok(heartbeat));
        }
    }

    #[test]
    fn one_from_before_inconclusive_outcomes_were_counted_is_read() {
        let mut older = value(&heartbeat());
        for field in ["inconclusive", "inconclusive_api_ids"] {
            assert!(older.as_object_mut().unwrap().remove(field).is_some());
        }
        let expected = Heartbeat { inconclusive: 0, inconclusive_api_ids: vec![], ..heartbeat() };
        assert_eq!(read_value(&older), Ok(expected.clone()));
        assert_eq!(read_text(older.to_string().as_bytes()), Ok(expected));
    }

    #[test]
    fn what_makes_no_sense_is_said_and_a_newer_one_is_told_from_it() {
        let with = |field: &str, to: Value| {
            let mut value = value(&heartbeat());
            value[field] = to;
            read_value(&value).unwrap_err()
        };
        assert!(with("apis", json!("many")).why.contains("apis"));
        assert!(with("late_api_ids", json!(["a b"])).why.contains("late_api_ids"));
        assert!(with("inconclusive_api_ids", json!(["a b"])).why.contains("inconclusive_api_ids"));
        assert!(with("schema", json!(4)).is_newer);
        assert!(!with("at", json!("yesterday")).is_newer);
        assert!(read_text(b"{").is_err());
        let long = value(&heartbeat()).to_string() + &" ".repeat(BYTES_MAX);
        assert!(read_text(long.as_bytes()).unwrap_err().why.contains("more than 65536 bytes"));
    }

    #[test]
    fn a_release_that_knows_no_heartbeat_leaves_it_alone() {
        // It reads schemas 1 and 2, and takes what has a higher one for newer, which it never touches.
        assert_eq!(value(&heartbeat())["schema"], 3);
        assert!(ApiId::parse_stored(KEY).is_err(), "no API and none of the monitor's own has this id");
    }
}
