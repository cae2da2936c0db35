//! Config rows in a DynamoDB table: one item for each, its attributes as a person writes them in the console.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health_actors::ports::SourceError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};

use super::dynamodb_change;
use super::raw::{RawRow, RowChange, RowTable, api_id_of};
use super::sqlite_table::no_key;
use crate::fault::Fault;
use crate::store::dynamodb::errors::{Call, table_name};
use crate::store::dynamodb::{KEY, scan, value};

/// Rows that DynamoDB gives in one call at most.
const KEYS_IN_CALL: usize = 100;

/// How often rows are asked for that a throttled table leaves unread.
const TRIES: usize = 10;

/// with this between them.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The config rows in a table.
pub struct DynamoConfigTable {
    client: Client,
    table: String,
    /// Rows that were there when all were read last; `usize::MAX` before that.
    last_count: AtomicUsize,
}

impl DynamoConfigTable {
    /// Uses `client`, whose connections belong to the thread that calls it; see [`crate::aws`] for its bounds on waits.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        Self { client, table: table_name.into(), last_count: AtomicUsize::new(usize::MAX) }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, &self.table, action)
    }

    fn row(&self, item: HashMap<String, AttributeValue>) -> RawRow {
        RawRow { location: table_name(&self.table).into(), fields: value::object(item) }
    }

    async fn read_all(&self, is_consistent: bool) -> Result<Vec<RawRow>, Fault> {
        let mut rows = Vec::new();
        let how = scan::ScanOptions::of_about(self.last_count.load(Ordering::Relaxed), is_consistent);
        scan::every_item(&self.client, &self.table, how, |item| rows.push(self.row(item))).await?;
        self.last_count.store(rows.len(), Ordering::Relaxed);
        rows.sort_by(|a, b| a.api_id().cmp(&b.api_id()));
        Ok(rows)
    }

    async fn read_one(&self, api_id: String) -> Result<Option<RawRow>, Fault> {
        let request = self.client.get_item().table_name(&self.table).key(KEY, AttributeValue::S(api_id));
        let answer = self.call("dynamodb:GetItem").edits().answer(request.consistent_read(true).send().await)?;
        Ok(answer.item.map(|item| self.row(item)))
    }

    /// In as few calls as DynamoDB takes. What a throttled table leaves unread is asked for again, a few times.
    async fn read_some(&self, api_ids: Vec<String>) -> Result<Vec<RawRow>, Fault> {
        let key = |api_id| HashMap::from([(KEY.to_owned(), AttributeValue::S(api_id))]);
        let mut wanted: Vec<HashMap<String, AttributeValue>> = api_ids.into_iter().map(key).collect();
        let mut rows = Vec::new();
        if wanted.is_empty() {
            return Ok(rows);
        }
        for _ in 0..TRIES {
            let now: Vec<_> = wanted.drain(..wanted.len().min(KEYS_IN_CALL)).collect();
            let keys = KeysAndAttributes::builder().set_keys(Some(now)).consistent_read(true).build();
            let keys = keys.map_err(|error| self.call("dynamodb:BatchGetItem").odd(&error.to_string()))?;
            let request = self.client.batch_get_item().request_items(&self.table, keys);
            let answer = self.call("dynamodb:BatchGetItem").answer(request.send().await)?;
            let found = answer.responses.unwrap_or_default().into_values().flatten();
            rows.extend(found.map(|item| self.row(item)));
            wanted.extend(answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys));
            if wanted.is_empty() {
                return Ok(rows);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        Err(Fault::Wait { place: table_name(&self.table), what: "leaves rows unread: it is throttled".into() })
    }

    async fn write(&self, fields: Map<String, Value>) -> Result<(), Fault> {
        if api_id_of(&fields).is_none() {
            return Err(no_key(table_name(&self.table)));
        }
        let request = self.client.put_item().table_name(&self.table).set_item(Some(value::item(fields)));
        self.call("dynamodb:PutItem").edits().answer(request.send().await).map(drop)
    }

    async fn remove(&self, api_id: String) -> Result<bool, Fault> {
        let request = self.client.delete_item().table_name(&self.table).key(KEY, AttributeValue::S(api_id));
        let answer = request.return_values(ReturnValue::AllOld).send().await;
        let answer = self.call("dynamodb:DeleteItem").edits().answer(answer)?;
        Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
    }
}

impl RowTable for DynamoConfigTable {
    fn name(&self) -> String {
        table_name(&self.table)
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        async { Ok(self.read_all(true).await?) }.boxed()
    }

    /// At half the price.
    fn rows_again(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        async { Ok(self.read_all(false).await?) }.boxed()
    }

    fn some(&self, api_ids: Vec<String>) -> BoxFuture<'_, Option<Result<Vec<RawRow>, SourceError>>> {
        async { Some(self.read_some(api_ids).await.map_err(SourceError::from)) }.boxed()
    }

    fn get(&self, api_id: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>> {
        async { Ok(self.read_one(api_id).await?) }.boxed()
    }

    fn put(&self, fields: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>> {
        async { Ok(self.write(fields).await?) }.boxed()
    }

    fn delete(&self, api_id: String) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(self.remove(api_id).await?) }.boxed()
    }

    fn apply(&self, change: RowChange) -> BoxFuture<'_, Result<bool, SourceError>> {
        async { Ok(dynamodb_change::apply(&self.client, &self.table, change).await?) }.boxed()
    }

    /// Whether a table changed is known only when it is read.
    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { None }.boxed()
    }
}
