//! The assignment as it is stored.
//!
//! Whose a shard is takes a few bytes, since all workers read all of it every few seconds: `0#3/17` is the third session of the
//! first worker in the list, by epoch 17; `-/17` is nobody's.

use std::borrow::Cow;
use std::collections::BTreeSet;

use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::own::notices::{ASKS_MAX, Ask, AskFor, ConfigsRevision};
use api_health_core::own::records::{Assignment, Ownership, Session, WORKERS_MAX, WorkerId};
use api_health_core::{AlertKind, ApiId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ASSIGNMENT, SCHEMA, kept, parse, version};
use crate::fault::one_line;
use crate::store::record::{KindWord, StoredMaintenance, Time};

/// Those that this version cannot read are kept as they are, for the workers that can.
const ASKS: &str = "asks";

#[derive(Serialize, Deserialize)]
pub(super) struct StoredAssignment<'a> {
    schema: u32,
    api_id: Cow<'a, str>,
    version: u64,
    shards: u16,
    workers: Vec<Cow<'a, str>>,
    owners: Vec<String>,
    writes_schema: u32,
    #[serde(default)]
    asks: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configs: Option<StoredConfigs>,
    #[serde(flatten, skip_serializing)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct StoredAsk<'a> {
    id: Cow<'a, str>,
    at: Time,
    #[serde(flatten)]
    what: StoredAskFor<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum StoredAskFor<'a> {
    Retry {
        #[serde(skip_serializing_if = "Option::is_none")]
        alert_ids: Option<Vec<Cow<'a, str>>>,
    },
    Withdraw {
        api_id: Cow<'a, str>,
        incident_id: Cow<'a, str>,
        #[serde(with = "KindWord")]
        told: AlertKind,
    },
    DropChannel {
        channel: Cow<'a, str>,
    },
    Maintenance {
        #[serde(default)]
        all: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        api_ids: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<StoredMaintenance<'a>>,
    },
}

#[derive(Serialize, Deserialize)]
struct StoredConfigs {
    revision: u64,
    changed: Vec<StoredChange>,
    unnamed_until: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredChange {
    revision: u64,
    api_id: String,
}

impl<'a> StoredAssignment<'a> {
    /// # Errors
    /// A shard is owned by a worker that is not in the list.
    pub(super) fn of(record: &'a Assignment) -> Result<Self, String> {
        let workers: Vec<&WorkerId> = record.workers.iter().collect();
        let owners = record.owners.iter().map(|own| owner_text(own, &workers)).collect::<Result<_, _>>()?;
        let asks = record.asks.iter().map(|ask| serde_json::to_value(StoredAsk::from(ask)));
        Ok(Self {
            schema: SCHEMA,
            api_id: ASSIGNMENT.into(),
            version: record.version,
            shards: record.shards(),
            workers: workers.into_iter().map(|worker| worker.as_str().into()).collect(),
            owners,
            writes_schema: record.writes_schema,
            asks: asks.collect::<Result<_, _>>().map_err(|error| error.to_string())?,
            configs: (record.configs != ConfigsRevision::default()).then(|| StoredConfigs::from(&record.configs)),
            unknown: Map::new(),
        })
    }
}

fn owner_text(own: &Ownership, workers: &[&WorkerId]) -> Result<String, String> {
    let Some(Session { worker, number }) = &own.owner else { return Ok(format!("-/{}", own.epoch)) };
    match workers.binary_search(&worker) {
        Ok(at) => Ok(format!("{at}#{number}/{}", own.epoch)),
        Err(_) => Err(format!("{worker} owns a shard and is not among the workers")),
    }
}

fn read_owner(text: &str, workers: &[WorkerId]) -> Option<Ownership> {
    let (owner, epoch) = text.split_once('/')?;
    let epoch = epoch.parse().ok()?;
    if owner == "-" {
        return Some(Ownership { owner: None, epoch });
    }
    let (worker, number) = owner.split_once('#')?;
    let worker = workers.get(worker.parse::<usize>().ok()?)?.clone();
    Some(Ownership { owner: Some(Session { worker, number: number.parse().ok()? }), epoch })
}

pub(super) fn read(fields: Map<String, Value>) -> Result<Assignment, String> {
    let stored: StoredAssignment<'static> = parse(fields)?;
    let mut extra = kept(stored.unknown);
    if stored.api_id != ASSIGNMENT {
        return Err(one_line(&format!("api_id: {:?} is no record of workers", stored.api_id)));
    }
    if stored.owners.is_empty() || stored.owners.len() != usize::from(stored.shards) {
        return Err(format!("owners: there are {}, and {} shards", stored.owners.len(), stored.shards));
    }
    if stored.workers.len() > WORKERS_MAX {
        return Err(format!("workers: there are more than {WORKERS_MAX}"));
    }
    let workers = stored.workers.iter().map(|name| WorkerId::parse(name)).collect::<Result<Vec<_>, _>>();
    let workers = workers.map_err(|why| one_line(&format!("workers: a name {why}")))?;
    let owner = |text: &String| {
        read_owner(text, &workers).ok_or_else(|| {
            one_line(&format!("owners: {text:?} is not one of the workers, its session and the epoch, such as 0#3/17"))
        })
    };
    let owners = stored.owners.iter().map(owner).collect::<Result<_, _>>()?;
    let (mut asks, mut unknown) = (vec![], vec![]);
    for value in stored.asks {
        match read_ask(&value) {
            Some(ask) => asks.push(ask),
            None => unknown.push(value),
        }
    }
    unknown.drain(..unknown.len().saturating_sub(ASKS_MAX));
    if !unknown.is_empty() {
        extra.insert(ASKS.into(), Value::Array(unknown).to_string());
    }
    Ok(Assignment {
        version: version(stored.version)?,
        workers: workers.into_iter().collect::<BTreeSet<_>>(),
        owners,
        writes_schema: stored.writes_schema,
        asks,
        configs: stored.configs.as_ref().map_or_else(|| Ok(ConfigsRevision::default()), read_configs)?,
        extra,
    })
}

impl<'a> From<&'a Ask> for StoredAsk<'a> {
    fn from(ask: &'a Ask) -> Self {
        let what = match &ask.what {
            AskFor::Retry { alert_ids } => StoredAskFor::Retry {
                alert_ids: alert_ids.as_ref().map(|ids| ids.iter().map(|id| id.as_str().into()).collect()),
            },
            AskFor::Withdraw { api_id, incident_id, kind } => StoredAskFor::Withdraw {
                api_id: api_id.as_str().into(),
                incident_id: incident_id.as_str().into(),
                told: *kind,
            },
            AskFor::DropChannel { channel } => StoredAskFor::DropChannel { channel: channel.as_str().into() },
            AskFor::Maintenance { of, window } => StoredAskFor::Maintenance {
                all: of.all,
                api_ids: of.api_ids.clone(),
                tags: of.tags.clone(),
                window: window.as_ref().map(StoredMaintenance::from),
            },
        };
        Self { id: ask.id.as_str().into(), at: Time(ask.at), what }
    }
}

fn read_ask(value: &Value) -> Option<Ask> {
    let stored = StoredAsk::deserialize(value).ok()?;
    let what = match stored.what {
        StoredAskFor::Retry { alert_ids } => {
            AskFor::Retry { alert_ids: alert_ids.map(|ids| ids.into_iter().map(Cow::into_owned).collect()) }
        }
        StoredAskFor::Withdraw { api_id, incident_id, told } => AskFor::Withdraw {
            api_id: ApiId::parse_stored(&api_id).ok()?,
            incident_id: incident_id.into_owned(),
            kind: told,
        },
        StoredAskFor::DropChannel { channel } => AskFor::DropChannel { channel: channel.into_owned() },
        StoredAskFor::Maintenance { all, api_ids, tags, window } => {
            AskFor::Maintenance { of: Selection { all, api_ids, tags }, window: window.map(Maintenance::from) }
        }
    };
    Some(Ask { id: stored.id.into_owned(), at: stored.at.0, what })
}

impl From<&ConfigsRevision> for StoredConfigs {
    fn from(configs: &ConfigsRevision) -> Self {
        let change =
            |(revision, api_id): &(u64, ApiId)| StoredChange { revision: *revision, api_id: api_id.to_string() };
        Self {
            revision: configs.revision,
            changed: configs.changed.iter().map(change).collect(),
            unnamed_until: configs.unnamed_until,
        }
    }
}

fn read_configs(stored: &StoredConfigs) -> Result<ConfigsRevision, String> {
    let change = |change: &StoredChange| Ok((change.revision, ApiId::parse_stored(&change.api_id)?));
    let changed = stored.changed.iter().map(change).collect::<Result<_, String>>();
    let changed = changed.map_err(|why| one_line(&format!("configs.changed: an id {why}")))?;
    Ok(ConfigsRevision { revision: stored.revision, changed, unnamed_until: stored.unnamed_until })
}
