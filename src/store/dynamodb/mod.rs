//! States in a DynamoDB table: one item for each API, each write conditional on the version before, and on no higher epoch.
//!
//! The outbox lies inside the item, so that one conditional write of one item is all that a change of status needs.
//! When the answer to a write is lost, the same write again is a conflict; the keeper then reads what is there.
//! Beside the states stand the heartbeat and the records of the workers ([`leases`]), under keys that no API can have.

pub(crate) mod errors;
mod heartbeats;
pub mod leases;
mod quarantine;
pub(crate) mod scan;
pub(crate) mod value;

use std::collections::HashMap;

use api_health_actors::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredHeartbeat, StoredState,
    UnreadableState,
};
use api_health_core::{ApiId, Heartbeat};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};

use super::record::{self, StateRecord, heartbeat, lease};
use crate::fault::Fault;
use errors::Call;

/// A batch is one item, since a batch in DynamoDB knows no conditions and a transaction costs twice. 32 calls in flight
/// bound the connections of one client.
const LIMITS: CommitLimits = CommitLimits { batch_max: 1, batches_in_flight_max: 32 };

/// The key of both tables, a string (S).
pub(crate) const KEY: &str = "api_id";

type Item = HashMap<String, AttributeValue>;

/// The states in a table.
pub struct DynamoStateStore {
    client: Client,
    table: String,
}

impl DynamoStateStore {
    /// Uses `client`, whose connections belong to the thread that calls it; see [`crate::aws`] for its bounds on waits.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        Self { client, table: table_name.into() }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, &self.table, action)
    }

    async fn get(&self, api_id: &str) -> Result<Option<Item>, Fault> {
        get(&self.client, &self.table, api_id).await
    }

    async fn put(&self, StateWrite { expected_version, state }: StateWrite) -> Result<(), CommitError> {
        if state.version <= expected_version {
            return Err(CommitError::Conflict);
        }
        let call = self.call("dynamodb:PutItem");
        let item: Item = serde_dynamo::to_item(StateRecord::from(&*state)).map_err(|e| {
            CommitError::Store(call.odd(&format!("cannot hold the state of {}: {e}", state.api_id)).into())
        })?;
        put_conditionally(&self.client, &self.table, item, expected_version, Some(state.epoch)).await
    }

    async fn read_all(&self) -> Result<LoadedStates, Fault> {
        // A scan does not care what the key is; a read by key is refused if it is another. So a table that cannot be
        // written to is told at the start.
        self.get("api-health").await?;
        let mut loaded = LoadedStates::default();
        scan::every_item(&self.client, &self.table, scan::ScanOptions::ALL, |item| {
            if quarantine::is_quarantined(&item) {
                loaded.quarantined += 1;
            } else if !is_no_state(&item) {
                match read_item(item) {
                    Ok(state) => loaded.states.push(state),
                    Err(unreadable) => loaded.unreadable.push(unreadable),
                }
            }
        })
        .await?;
        loaded.states.sort_unstable_by(|a, b| a.api_id.cmp(&b.api_id));
        loaded.unreadable.sort_unstable_by(|a, b| a.api_id.cmp(&b.api_id));
        Ok(loaded)
    }
}

impl StateStore for DynamoStateStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        async { Ok(self.read_all().await?) }.boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async move { Ok(self.get(api_id.as_str()).await?.map(read_item)) }.boxed()
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { Ok(quarantine::quarantine(self, &record).await?) }.boxed()
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let puts = writes.into_iter().map(|write| self.put(write));
            stream::iter(puts).buffered(LIMITS.batches_in_flight_max).collect().await
        }
        .boxed()
    }

    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { Ok(heartbeats::put(self, &heartbeat).await?) }.boxed()
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        async { Ok(heartbeats::read(self).await?) }.boxed()
    }

    fn limits(&self) -> CommitLimits {
        LIMITS
    }
}

/// The heartbeat and the records of workers stand beside the states, under keys that no API can have.
fn is_no_state(item: &Item) -> bool {
    matches!(item.get(KEY), Some(AttributeValue::S(key)) if key == heartbeat::KEY || lease::is_key(key))
}

/// The item of that key as it is now.
async fn get(client: &Client, table: &str, key: &str) -> Result<Option<Item>, Fault> {
    let request = client.get_item().table_name(table).key(KEY, AttributeValue::S(key.into())).consistent_read(true);
    Ok(Call::new(client, table, "dynamodb:GetItem").answer(request.send().await)?.item)
}

/// Writes `item` in place of exactly `expected_version` of it (0: there must be none), and of no higher epoch than this one, if it has one.
async fn put_conditionally(
    client: &Client,
    table: &str,
    item: Item,
    expected_version: u64,
    epoch: Option<u64>,
) -> Result<(), CommitError> {
    let number = |number: u64| AttributeValue::N(number.to_string());
    let request = client.put_item().table_name(table).set_item(Some(item));
    let require = |condition: &str| {
        request
            .clone()
            .condition_expression(condition)
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":expected", number(expected_version))
    };
    let request = match (expected_version, epoch) {
        (0, _) => request.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", KEY),
        (_, None) => require("#version = :expected"),
        (_, Some(epoch)) => require("#version = :expected AND (attribute_not_exists(#epoch) OR #epoch <= :epoch)")
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_values(":epoch", number(epoch)),
    };
    match request.send().await {
        answer if errors::is_condition_refused(&answer) => Err(CommitError::Conflict),
        answer => {
            let call = Call::new(client, table, "dynamodb:PutItem");
            call.answer(answer).map(drop).map_err(|fault| CommitError::Store(fault.into()))
        }
    }
}

fn read_item(item: Item) -> StoredState {
    let fields = value::object(item);
    let api_id = match fields.get(KEY) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    record::read_value(&fields.into()).map_err(|unreadable| unreadable.of(api_id))
}
