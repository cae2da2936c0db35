//! Where the promises are tried: each world is a store of its own, empty, that can be opened more than once.

use std::sync::Arc;
use std::time::Duration;

use api_health::sqlite::SqliteFile;
use api_health::store::{DynamoStateStore, SqliteStateStore};
use api_health_actors::ports::{StateStore, StateWrite};
use api_health_actors::testkit::store::MemoryStore;
use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::evidence::Certificate;
use api_health_core::incident::{Ended, Incident};
use api_health_core::recent::{Recent, RecentAlert, Run};
use api_health_core::state::{LastProbe, Streak};
use api_health_core::{
    Alert, AlertKind, ApiId, ApiState, Evidence, PhaseTimes, Status, Timestamp, Toward, Verdict, invariant,
};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Value, json};

use crate::support::dynamodb::create_table;
use crate::worlds;

pub(super) enum World {
    Sqlite {
        file: SqliteFile,
        _folder: tempfile::TempDir,
    },
    Dynamo {
        client: Client,
        table: String,
    },
    /// What the simulations write to. Nothing is put there behind its back.
    Memory(MemoryStore),
}

impl World {
    /// One more handle on the same data.
    pub(super) fn open(&self) -> Arc<dyn StateStore> {
        match self {
            Self::Sqlite { file, .. } => Arc::new(SqliteStateStore::open(file).unwrap()),
            Self::Dynamo { client, table } => Arc::new(DynamoStateStore::new(client.clone(), table)),
            Self::Memory(store) => Arc::new(store.clone()),
        }
    }

    /// Many unknown APIs at once, by the quickest way that the server has.
    pub(super) async fn fill(&self, unknown: &[ApiState]) {
        match self {
            Self::Sqlite { .. } | Self::Memory(_) => {
                let results = super::commit_all(&*self.open(), unknown.to_vec()).await;
                assert!(results.iter().all(Result::is_ok));
            }
            Self::Dynamo { client, table } => {
                for chunk in unknown.chunks(25) {
                    let put = |state: &ApiState| {
                        let record = json!({
                            "schema": 1, "api_id": state.api_id.as_str(), "version": 1, "status": "unknown",
                            "last_told_status": "unknown", "missed_ticks": 0, "owed": []
                        });
                        let put = PutRequest::builder().set_item(Some(serde_dynamo::to_item(record).unwrap()));
                        WriteRequest::builder().put_request(put.build().unwrap()).build()
                    };
                    let request = client.batch_write_item().request_items(table, chunk.iter().map(put).collect());
                    let left = request.send().await.unwrap().unprocessed_items.unwrap_or_default();
                    assert!(left.is_empty());
                }
            }
        }
    }

    /// Puts a record there behind the store's back.
    pub(super) async fn write_raw(&self, api_id: &str, record: Value) {
        match self {
            Self::Sqlite { file, .. } => {
                let version = record["version"].as_i64().unwrap_or(1);
                let write = "INSERT OR REPLACE INTO api_health_states VALUES (?1, ?2, 'up', ?3)";
                let connection = rusqlite::Connection::open(file.path()).unwrap();
                connection.execute(write, rusqlite::params![api_id, version, record.to_string()]).unwrap();
            }
            Self::Dynamo { client, table } => {
                let item = serde_dynamo::to_item::<_, std::collections::HashMap<String, AttributeValue>>(record);
                client.put_item().table_name(table).set_item(Some(item.unwrap())).send().await.unwrap();
            }
            Self::Memory(_) => unreachable!("nothing is read or written there behind its back"),
        }
    }
}

impl World {
    /// A record as it stands there.
    pub(super) async fn raw(&self, api_id: &str) -> Value {
        match self {
            Self::Sqlite { file, .. } => {
                let connection = rusqlite::Connection::open(file.path()).unwrap();
                let read = "SELECT record FROM api_health_states WHERE api_id = ?1";
                let text: String = connection.query_row(read, [api_id], |row| row.get(0)).unwrap();
                serde_json::from_str(&text).unwrap()
            }
            Self::Dynamo { client, table } => {
                let get = client.get_item().table_name(table).key("api_id", AttributeValue::S(api_id.into()));
                serde_dynamo::from_item(get.send().await.unwrap().item.unwrap()).unwrap()
            }
            Self::Memory(_) => unreachable!("nothing is read or written there behind its back"),
        }
    }

    /// What is kept of the records of an API that were set aside, by the way that is told to people: its JSON, and why.
    pub(super) async fn kept(&self, api_id: &str) -> Vec<(String, String)> {
        match self {
            Self::Sqlite { file, .. } => {
                let connection = rusqlite::Connection::open(file.path()).unwrap();
                let Ok(mut statement) =
                    connection.prepare("SELECT record, why FROM api_health_states_set_aside WHERE api_id = ?1")
                else {
                    return vec![]; // none was ever set aside
                };
                let rows = statement.query_map([api_id], |row| Ok((row.get(0)?, row.get(1)?)));
                rows.unwrap().map(Result::unwrap).collect()
            }
            Self::Dynamo { client, table } => {
                let scan = client.scan().table_name(table).consistent_read(true);
                let scan = scan.filter_expression("begins_with(api_id, :prefix)").expression_attribute_values(
                    ":prefix",
                    AttributeValue::S(format!("api-health:set-aside:{api_id}:")),
                );
                let items = scan.send().await.unwrap().items.unwrap_or_default();
                let kept = |mut item: std::collections::HashMap<String, AttributeValue>| {
                    let why = item.remove("set_aside_why").unwrap().as_s().unwrap().clone();
                    item.insert("api_id".into(), AttributeValue::S(api_id.into()));
                    (serde_dynamo::from_item::<_, Value>(item).unwrap().to_string(), why)
                };
                items.into_iter().map(kept).collect()
            }
            Self::Memory(_) => unreachable!("nothing is read or written there behind its back"),
        }
    }
}

impl worlds::World for World {
    fn here() -> Self {
        let (file, folder) = worlds::sqlite_file();
        Self::Sqlite { file, _folder: folder }
    }

    async fn on_dynamodb(client: Client) -> Self {
        let table = create_table(&client, "api_id").await;
        Self::Dynamo { client, table }
    }
}

/// Writes `state` over the version before it, as a keeper does as a rule.
pub(crate) fn over_the_one_before(state: ApiState) -> StateWrite {
    StateWrite { expected_version: state.version.saturating_sub(1), state: Arc::new(state) }
}

pub(crate) fn id(text: &str) -> ApiId {
    ApiId::parse(text).unwrap()
}

/// A state with something in every field, told apart from its neighbours by `version`: down at the odd ones.
pub(crate) fn rich(name: &str, version: u64) -> ApiState {
    let began = Timestamp::from_millis(1_795_332_600_250 + i64::try_from(version % 1_000).unwrap() * 60_000);
    let is_down = !version.is_multiple_of(2);
    let incident = Incident {
        incident_id: format!("{name}.{version}"),
        started_at: began,
        reason: "Größe 🦀 \"\\\n".into(),
        name: "Käse & Co".into(),
        url: "https://shop.test/?a=1&b=%20".into(),
        owed_to: vec!["sns".into(), "webhook".into()],
        evidence: None,
        reminders: 0,
        confirmed_at: None,
        delivered: Vec::new(),
    };
    let incident = Incident { evidence: Some(Arc::new(evidence(began))), ..incident };
    let runs = [Run::new(Verdict::Fail, None, 2, began), Run::new(Verdict::Pass, Some(200), u32::MAX, began)];
    let told = RecentAlert { kind: AlertKind::Closed, happened_at: began, detected_at: began };
    let state = ApiState {
        version,
        recent: Recent::of(runs, [told]),
        ended: Ended::of([7, u32::MAX]),
        status: if is_down { Status::Down } else { Status::Up },
        since: Some(began),
        streak: Some(Streak {
            toward: if is_down { Toward::Up } else { Toward::Down },
            request_fingerprint: u16::MAX,
            count: 1,
            first_at: began,
        }),
        incident: is_down.then_some(Box::new(incident)),
        last_alerted: if is_down { Status::Down } else { Status::Up },
        last_probe: Some(LastProbe {
            at: began,
            verdict: if is_down { Verdict::Fail } else { Verdict::Pass },
            latency_ms: Some(u32::MAX),
            status_code: Some(503),
            error: Some("连接被拒绝".into()),
        }),
        missed_ticks: u64::MAX,
        ..ApiState::unknown(id(name))
    };
    with_owed(state, if is_down { 3 } else { 2 }, "refused")
}

/// With something in every field.
fn evidence(seen_at: Timestamp) -> Evidence {
    Evidence {
        seen_at,
        addresses: vec!["10.0.0.2".parse().unwrap(), "2001:db8::2".parse().unwrap()],
        more_addresses: 7,
        address: Some("[2001:db8::2]:443".parse().unwrap()),
        phases: PhaseTimes {
            resolve: Some(Duration::ZERO),
            body: Some(Duration::from_micros(u64::MAX)),
            ..PhaseTimes::default()
        },
        status_line: Some("HTTP/1.1 503 \u{fffd}".into()),
        certificate: Some(Certificate {
            subject: "*.käse.test".into(),
            issuer: "\"\\".into(),
            not_before: seen_at,
            not_after: Timestamp::from_millis(i64::MAX),
        }),
        body_start: Some("{\"Größe\": \"🦀\"}".into()),
        well: vec!["name server 10.0.0.53".into()],
        ill: vec!["2 more".into()],
    }
}

/// `state`, owing `count` alerts, in turn, the last of them about its status.
pub(super) fn with_owed(mut state: ApiState, count: usize, reason: &str) -> ApiState {
    let at = state.since.unwrap();
    let kind = |n: usize| {
        let as_the_last = (count - n) % 2 == 1;
        if as_the_last == (state.status == Status::Down) { AlertKind::Down } else { AlertKind::Up }
    };
    state.owed = (0..count)
        .map(|n| OwedAlert {
            alert: Alert {
                alert_id: format!("{}.{}.{n}", state.api_id, state.version),
                incident_id: format!("i{n}"),
                kind: kind(n),
                api_id: state.api_id.clone(),
                name: "Käse & Co".into(),
                url: "https://shop.test/health?a=1&b=%20".into(),
                previous_status: Status::Unknown,
                happened_at: at,
                detected_at: at,
                incident_started_at: at,
                reason: reason.into(),
                changes_left_out: u32::MAX,
                evidence: (n % 2 == 0).then(|| Arc::new(evidence(at))),
            },
            owed_to: vec!["webhook".into(), "sns".into()],
            deliveries: vec![
                Delivery { channel: "webhook".into(), delivered: true, ..Delivery::default() },
                Delivery {
                    channel: "sns".into(),
                    delivered: false,
                    failures: 3,
                    last_error: Some("gedrosselt – später".into()),
                    next_try_at: Some(at),
                },
            ],
        })
        .collect();
    assert_eq!(invariant::first_broken(&state), None);
    state
}
