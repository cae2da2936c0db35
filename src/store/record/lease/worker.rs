//! A worker's record as it is stored.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use api_health_core::own::records::{Role, Speaks, WorkerId, WorkerRecord, WorkerState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SCHEMA, WORKER, kept, parse, version};
use crate::store::record::Time;
use crate::store::record::heartbeat::{self, HeartbeatRecord};

/// Nothing is decided by it, so that one which cannot be read hurts nobody.
pub(crate) const HEARTBEAT: &str = "heartbeat";

#[derive(Serialize, Deserialize)]
pub(super) struct StoredWorker<'a> {
    schema: u32,
    api_id: Cow<'a, str>,
    version: u64,
    session: u64,
    #[serde(with = "StateWord")]
    state: WorkerState,
    #[serde(with = "RoleWord")]
    role: Role,
    lease_ms: u64,
    renew_ms: u64,
    channels: Vec<Cow<'a, str>>,
    protocol: u32,
    reads_schema: u32,
    /// Absent if empty, as some that speak DynamoDB's language store no empty text.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    host: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    boot_id: Cow<'a, str>,
    started_at: Time,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    program_version: Cow<'a, str>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    heartbeat: Option<HeartbeatRecord<'a>>,
    #[serde(flatten, skip_serializing)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WorkerState", rename_all = "snake_case")]
enum StateWord {
    Live,
    Left,
    Fenced,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", rename_all = "snake_case")]
enum RoleWord {
    Worker,
    Standby,
}

impl<'a> From<&'a WorkerRecord> for StoredWorker<'a> {
    fn from(record: &'a WorkerRecord) -> Self {
        Self {
            schema: SCHEMA,
            api_id: format!("{WORKER}{}", record.id).into(),
            version: record.version,
            session: record.session,
            state: record.state,
            role: record.role,
            lease_ms: millis(record.lease),
            renew_ms: millis(record.renew),
            channels: record.channels.iter().map(|channel| channel.as_str().into()).collect(),
            protocol: record.speaks.protocol,
            reads_schema: record.speaks.reads_schema,
            host: record.host.as_str().into(),
            boot_id: record.boot_id.as_str().into(),
            started_at: Time(record.started_at),
            program_version: record.program.as_str().into(),
            heartbeat: record.heartbeat.as_ref().map(HeartbeatRecord::within_another),
            unknown: Map::new(),
        }
    }
}

/// Reads the record of the worker of that name.
pub(super) fn read(name: &str, mut fields: Map<String, Value>) -> Result<WorkerRecord, String> {
    let id = WorkerId::parse(name).map_err(|why| crate::fault::one_line(&format!("the worker's name {why}")))?;
    let stored_heartbeat = fields.remove(HEARTBEAT).filter(|value| !value.is_null());
    let stored: StoredWorker<'static> = parse(fields)?;
    let mut extra = kept(stored.unknown);
    let heartbeat = stored_heartbeat.as_ref().and_then(|value| heartbeat::read_within_another(value).ok());
    if let (Some(stored_heartbeat), None) = (stored_heartbeat, &heartbeat) {
        extra.insert(HEARTBEAT.into(), stored_heartbeat.to_string());
    }
    Ok(WorkerRecord {
        id,
        version: version(stored.version)?,
        session: stored.session,
        state: stored.state,
        role: stored.role,
        lease: Duration::from_millis(stored.lease_ms),
        renew: Duration::from_millis(stored.renew_ms),
        channels: stored.channels.into_iter().map(Cow::into_owned).collect::<BTreeSet<_>>(),
        speaks: Speaks { protocol: stored.protocol, reads_schema: stored.reads_schema },
        host: stored.host.into_owned(),
        boot_id: stored.boot_id.into_owned(),
        started_at: stored.started_at.0,
        program: stored.program_version.into_owned(),
        heartbeat,
        extra,
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
