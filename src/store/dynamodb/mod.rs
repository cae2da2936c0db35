//! States in a DynamoDB table: one item for each API, each write conditional on the version before.
//!
//! The outbox lies inside the item, so that one conditional write of one item is all that a change of status needs.
//! When the answer to a write is lost, the same write again is a conflict; the keeper then reads what is there.

pub(crate) mod errors;
pub(crate) mod scan;
pub(crate) mod value;

use std::collections::HashMap;

use api_health_actors::ports::{
    CommitError, CommitLimits, LoadedStates, StateStore, StateWrite, StoreError, StoredState, UnreadableState,
};
use api_health_core::ApiId;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};

use super::fault::Fault;
use super::record::{self, Record};
use errors::Call;

/// A batch is one item, since a batch in DynamoDB knows no conditions and a transaction costs twice. 32 calls in flight
/// bound the connections of one client.
const LIMITS: CommitLimits = CommitLimits { batch_max: 1, batches_in_flight_max: 32 };

/// The key of both tables, a string (S).
pub(crate) const KEY: &str = "api_id";

/// Records that were set aside stay in the table, under the key of their API behind this and before a number.
const SET_ASIDE: &str = "api-health:set-aside:";

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
        let request = self.client.get_item().table_name(&self.table).key(KEY, AttributeValue::S(api_id.into()));
        Ok(self.call("dynamodb:GetItem").answer(request.consistent_read(true).send().await)?.item)
    }

    async fn put(&self, state: StateWrite) -> Result<(), CommitError> {
        let Some(expected) = state.version.checked_sub(1) else {
            return Err(CommitError::Conflict); // a state of version 0 was never meant to be stored
        };
        let call = self.call("dynamodb:PutItem");
        let item: Item = serde_dynamo::to_item(Record::from(&*state)).map_err(|e| {
            CommitError::Store(call.odd(&format!("cannot hold the state of {}: {e}", state.api_id)).into())
        })?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = match expected {
            0 => request.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", KEY),
            _ => request
                .condition_expression("#version = :expected")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", AttributeValue::N(expected.to_string())),
        };
        match request.send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Err(CommitError::Conflict)
            }
            answer => call.answer(answer).map(drop).map_err(|fault| CommitError::Store(fault.into())),
        }
    }

    async fn read_all(&self) -> Result<LoadedStates, Fault> {
        // A scan does not care what the key is; a read by key is refused if it is another. So a table that cannot be
        // written to is told at the start.
        self.get("api-health").await?;
        let mut loaded = LoadedStates::default();
        scan::every_item(&self.client, &self.table, |item| match read_item(item) {
            Ok(state) => loaded.states.push(state),
            Err(unreadable) if unreadable.api_id.starts_with(SET_ASIDE) => {}
            Err(unreadable) => loaded.unreadable.push(unreadable),
        })
        .await?;
        loaded.states.sort_unstable_by(|a, b| a.api_id.cmp(&b.api_id));
        loaded.unreadable.sort_unstable_by(|a, b| a.api_id.cmp(&b.api_id));
        Ok(loaded)
    }

    /// In one transaction, so that the record is under one key or the other; on the condition that it is still the one that
    /// was looked at.
    async fn move_aside(&self, record: &UnreadableState) -> Result<(), Fault> {
        let Some(item) = self.get(&record.api_id).await? else { return Ok(()) };
        if !read_item(item.clone()).is_err_and(|unreadable| !unreadable.is_newer) {
            return Ok(());
        }
        let call = self.call("dynamodb:TransactWriteItems");
        let unbuilt = |e: aws_sdk_dynamodb::error::BuildError| call.odd(&format!("cannot set a record aside: {e}"));
        let delete = Delete::builder().table_name(&self.table).key(KEY, AttributeValue::S(record.api_id.clone()));
        let delete = match item.get("version") {
            Some(version) => delete
                .condition_expression("#version = :version")
                .expression_attribute_values(":version", version.clone()),
            None => delete.condition_expression("attribute_not_exists(#version)"),
        };
        let delete = delete.expression_attribute_names("#version", "version").build().map_err(unbuilt)?;
        let mut copy = item;
        copy.insert(KEY.into(), AttributeValue::S(set_aside_key(&record.api_id, &copy)));
        copy.insert("set_aside_why".into(), AttributeValue::S(record.why.clone()));
        let put = Put::builder().table_name(&self.table).set_item(Some(copy)).build().map_err(unbuilt)?;
        let request = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().delete(delete).build());
        call.answer(request.send().await).map(drop)
    }
}

impl StateStore for DynamoStateStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        async { Ok(self.read_all().await?) }.boxed()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        async move { Ok(self.get(api_id.as_str()).await?.map(read_item)) }.boxed()
    }

    fn set_aside(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { Ok(self.move_aside(&record).await?) }.boxed()
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let puts = writes.into_iter().map(|state| self.put(state));
            stream::iter(puts).buffered(LIMITS.batches_in_flight_max).collect().await
        }
        .boxed()
    }

    fn limits(&self) -> CommitLimits {
        LIMITS
    }
}

/// A key for what was set aside that is the same for the same record, and mostly another for another.
fn set_aside_key(api_id: &str, item: &Item) -> String {
    let mut fields: Vec<String> = item.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
    fields.sort_unstable();
    let number = fields.join(" ").bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    // A key has 2,048 bytes at most.
    let api_id: String = api_id.chars().take(256).collect();
    format!("{SET_ASIDE}{api_id}:{number}")
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
