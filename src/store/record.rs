//! The stored form of an API's state: what stands in the table, apart from the core's types so that either can change.
//!
//! `schema` tells the form. A field may be added under the same schema if it may be absent; anything else raises it.
//! Readers take no part of a record that they do not fully understand: it is reported as unreadable and stays.

mod evidence;
pub(crate) mod heartbeat;
mod held;
mod incident;
pub(crate) mod lease;
mod owed;
mod recent;

use std::borrow::Cow;
use std::fmt;

use api_health_actors::ports::UnreadableState;
use api_health_core::state::{LastProbe, Streak};
use api_health_core::{ApiId, ApiState, Status, Timestamp, Toward, Verdict, invariant};
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::fault::one_line;
pub(crate) use held::StoredMaintenance;
use held::{StoredFlap, StoredHeld};
use incident::{StoredIncident, StoredStory};
pub(crate) use owed::KindWord;
use owed::StoredOwed;

/// The form that this program writes.
///
/// 1: the first release. 2: what came of each delivery, and the name and URL of an incident. Since then `epoch`, `owed_to` (of an alert and of an incident) and a
/// streak's `question` were added, and `evidence`, `recent_outcomes` and `recent_alerts`, and may be absent, as `closed` and `ended` may, and `told` and `confirmed_at` of an incident; `claim` is no longer written, and not read.
pub const SCHEMA: u32 = 2;

/// What earlier versions would take for damaged is written as this, so that they leave it alone:
/// the records of what they do not know, such as the workers' own.
pub const SCHEMA_OF_FLEETS: u32 = 3;

/// The newest form of all: a record that holds alerts, or tells of a certificate, which earlier versions would take for damaged.
pub const SCHEMA_OF_HOLDS: u32 = 4;

/// Every field of a record.
pub(crate) const FIELDS: [&str; 23] = [
    "schema",
    "api_id",
    "version",
    "status",
    "since",
    "last_checked_at",
    "last_verdict",
    "last_latency_ms",
    "last_status_code",
    "last_error",
    "streak",
    "incident",
    "last_told_status",
    "missed_ticks",
    "owed",
    "closed",
    "ended",
    "epoch",
    "recent_outcomes",
    "recent_alerts",
    "held",
    "flap",
    "maintenance",
];

/// One record. Absent is what is `None`; times are RFC 3339 with milliseconds, to be read in a console.
#[derive(Serialize, Deserialize)]
pub(crate) struct StateRecord<'a> {
    schema: u32,
    api_id: Cow<'a, str>,
    version: u64,
    #[serde(with = "StatusWord")]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_checked_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_verdict: Option<StoredVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_latency_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    streak: Option<StoredStreak>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<StoredIncident<'a>>,
    #[serde(with = "StatusWord")]
    last_told_status: Status,
    missed_ticks: u64,
    owed: Vec<StoredOwed<'a>>,
    /// Incidents that are over and wait for history. A version that does not know them leaves them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    closed: Vec<StoredStory<'a>>,
    /// Which incidents ended last: hexadecimal numbers made of their ids. A version that does not know it leaves it out, and withdraws one of
    /// them once more if somebody asks.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    ended: Cow<'a, str>,
    /// The fencing token of whoever wrote it; absent where nobody shares the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    /// For people; see [`recent`].
    #[serde(default, skip_serializing_if = "str::is_empty")]
    recent_outcomes: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    recent_alerts: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<StoredHeld<'a>>,
    /// Without `since` it may be dropped by a version that does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    flap: Option<StoredFlap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance: Option<StoredMaintenance<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredStreak {
    #[serde(with = "TowardWord")]
    toward: Toward,
    count: u32,
    first_at: Time,
    /// What was asked, as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<u16>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Status", rename_all = "snake_case")]
enum StatusWord {
    Unknown,
    Up,
    Down,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Toward", rename_all = "snake_case")]
enum TowardWord {
    Down,
    Up,
}

#[derive(Serialize, Deserialize)]
struct StoredVerdict(#[serde(with = "VerdictWord")] Verdict);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Verdict", rename_all = "snake_case")]
enum VerdictWord {
    Pass,
    Fail,
    Inconclusive,
}

/// Such a number is left out.
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// A time as text. Beyond the years that RFC 3339 can name it is the number of milliseconds, in words.
#[derive(Clone, Copy)]
struct Time(Timestamp);

/// How [`Timestamp`] writes what RFC 3339 cannot name.
const BEYOND_RFC_3339: &str = " ms after 1970";

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let beyond = || Some(Timestamp::from_millis(text.strip_suffix(BEYOND_RFC_3339)?.parse().ok()?));
        Timestamp::parse(&text)
            .or_else(beyond)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format_args!("{text:?} is not a time, such as 2026-11-22T07:30:00.000Z")))
    }
}

/// The oldest form whose readers do not take the record for damaged, and set it aside, and that says all that is in it.
fn schema_of(state: &ApiState) -> u32 {
    let api_id = &state.api_id;
    let holds = state.held.is_some() || state.is_flapping() || state.maintenance.is_some();
    if holds || api_id.certificate_api().is_some() || state.owed.iter().any(|owed| owed.alert.kind.changes_no_status())
    {
        return SCHEMA_OF_HOLDS;
    }
    let is_of_fleets = [ApiId::monitor_fleet(), ApiId::monitor_capacity()].contains(api_id)
        || api_id.shard_of_worker().is_some()
        || api_id.unclear_api().is_some()
        || state.owed.iter().any(|owed| owed.alert.is_withdrawal());
    if is_of_fleets { SCHEMA_OF_FLEETS } else { SCHEMA }
}

impl<'a> From<&'a ApiState> for StateRecord<'a> {
    fn from(state: &'a ApiState) -> Self {
        let last = state.last_probe.as_ref();
        Self {
            schema: schema_of(state),
            api_id: state.api_id.as_str().into(),
            version: state.version,
            status: state.status,
            since: state.since.map(Time),
            last_checked_at: last.map(|l| Time(l.at)),
            last_verdict: last.map(|l| StoredVerdict(l.verdict)),
            last_latency_ms: last.and_then(|l| l.latency_ms),
            last_status_code: last.and_then(|l| l.status_code),
            last_error: last.and_then(|l| l.error.as_deref()).map(Cow::Borrowed),
            streak: state.streak.as_ref().map(|s| StoredStreak {
                toward: s.toward,
                count: s.count,
                first_at: Time(s.first_at),
                question: Some(s.request_fingerprint).filter(|question| *question != 0),
            }),
            incident: state.incident.as_deref().map(StoredIncident::from),
            last_told_status: state.last_alerted,
            missed_ticks: state.missed_ticks,
            owed: state.owed.iter().map(StoredOwed::from).collect(),
            closed: state.awaiting_history.iter().map(StoredStory::from).collect(),
            ended: recent::ended(&state.ended),
            epoch: Some(state.epoch).filter(|epoch| *epoch != 0),
            recent_outcomes: recent::outcomes(&state.recent),
            recent_alerts: recent::alerts(&state.recent),
            held: state.held.as_deref().map(StoredHeld::from),
            flap: state.flap.as_deref().map(StoredFlap::from),
            maintenance: state.maintenance.as_deref().map(StoredMaintenance::from),
        }
    }
}

/// Why a record cannot be read, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) why: String,
    /// A newer version of this program wrote it.
    pub(crate) is_newer: bool,
}

impl From<String> for Unreadable {
    fn from(why: String) -> Self {
        Self { why, is_newer: false }
    }
}

impl Unreadable {
    /// A newer version than one that reads `known` wrote it.
    fn newer(schema: u64, known: u32) -> Self {
        let why =
            format!("it was written by a newer version of this program (schema {schema}, this one reads {known})");
        Self { why, is_newer: true }
    }

    /// The same for the port: it is the record of `api_id`.
    pub(crate) fn of(self, api_id: String) -> UnreadableState {
        UnreadableState { api_id, why: self.why, is_newer: self.is_newer }
    }
}

/// Reads a record from JSON text.
///
/// # Errors
/// Says in one line why it cannot be read.
pub(crate) fn read_text(text: &str) -> Result<ApiState, Unreadable> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|e| describe(e.path(), e.inner()));
    let read = read.and_then(|record| json.end().map(|()| record).map_err(|e| one_line(&e.to_string())));
    check(read, || serde_json::from_str(text).ok())
}

/// Reads a record from a JSON value, as DynamoDB's attributes become one.
///
/// # Errors
/// Says in one line why it cannot be read.
pub(crate) fn read_value(value: &Value) -> Result<ApiState, Unreadable> {
    let read = serde_path_to_error::deserialize(value).map_err(|e| describe(e.path(), e.inner()));
    check(read, || from_value(value))
}

fn from_value<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

fn describe(path: &serde_path_to_error::Path, error: &impl fmt::Display) -> String {
    let path = path.to_string();
    one_line(&if path == "." { error.to_string() } else { format!("{path}: {error}") })
}

/// The one field that every schema has.
#[derive(Deserialize)]
struct Head {
    schema: u64,
}

/// The state in a record as read, or why there is none; a record of another schema is refused as such, whatever else is
/// odd about it.
fn check(
    read: Result<StateRecord<'static>, String>,
    head: impl FnOnce() -> Option<Head>,
) -> Result<ApiState, Unreadable> {
    let schema = match &read {
        Ok(record) => Some(u64::from(record.schema)),
        Err(_) => head().map(|head| head.schema),
    };
    match schema {
        Some(schema) if schema > u64::from(SCHEMA_OF_HOLDS) => Err(Unreadable::newer(schema, SCHEMA_OF_HOLDS)),
        Some(0) => Err("there is no schema 0".to_owned().into()),
        _ => Ok(into_state(read?)?),
    }
}

fn into_state(record: StateRecord<'static>) -> Result<ApiState, String> {
    let api_id = ApiId::parse_stored(&record.api_id).map_err(|why| one_line(&format!("api_id: {why}")))?;
    let last_probe = match (record.last_checked_at, record.last_verdict) {
        (Some(at), Some(verdict)) => Some(LastProbe {
            at: at.0,
            verdict: verdict.0,
            latency_ms: record.last_latency_ms,
            status_code: record.last_status_code,
            error: record.last_error.map(Cow::into_owned),
        }),
        (Some(_), None) => return Err("missing field `last_verdict`, as there is a last_checked_at".into()),
        (None, Some(_)) => return Err("missing field `last_checked_at`, as there is a last_verdict".into()),
        (None, None) => None,
    };
    let state = ApiState {
        owed: record.owed.into_iter().map(|owed| owed.into_owed(&api_id)).collect(),
        awaiting_history: record.closed.into_iter().map(|story| story.into_story(&record.api_id)).collect(),
        ended: recent::read_ended(&record.ended),
        api_id,
        version: record.version,
        status: record.status,
        since: record.since.map(|t| t.0),
        streak: record.streak.map(|s| Streak {
            toward: s.toward,
            request_fingerprint: s.question.unwrap_or(0),
            count: s.count,
            first_at: s.first_at.0,
        }),
        incident: record.incident.map(|incident| Box::new(incident.into_incident(&record.api_id))),
        held: record.held.map(|held| Box::new(held.into_held(&record.api_id))),
        flap: record.flap.map(|flap| Box::new(flap.into())),
        maintenance: record.maintenance.map(|window| Box::new(window.into())),
        epoch: record.epoch.unwrap_or(0),
        last_alerted: record.last_told_status,
        last_probe,
        recent: recent::read(&record.recent_outcomes, &record.recent_alerts),
        missed_ticks: record.missed_ticks,
    };
    if state.version == 0 {
        return Err("version: 0 is that of a state that was never stored".into());
    }
    match invariant::first_broken(&state) {
        Some(name) => Err(format!("it breaks the rule that {name}")),
        None => Ok(state),
    }
}

#[cfg(test)]
mod tests;
