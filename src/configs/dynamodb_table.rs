//! Config rows in a DynamoDB table: one item for each, its attributes as a person writes them in the console.

use std::collections::HashMap;

use api_health_actors::ports::SourceError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};

use super::dynamodb_change;
use super::raw::{RawRow, RowChange, RowTable};
use super::sqlite_table::no_key;
use crate::store::dynamodb::errors::{Call, table_name};
use crate::store::dynamodb::{KEY, scan, value};
use crate::store::fault::Fault;

/// The config rows in a table.
pub struct DynamoConfigTable {
    client: Client,
    table: String,
}

impl DynamoConfigTable {
    /// Uses `client`, whose connections belong to the thread that calls it; see [`crate::aws`] for its bounds on waits.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        Self { client, table: table_name.into() }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, &self.table, action)
    }

    fn row(&self, item: HashMap<String, AttributeValue>) -> RawRow {
        RawRow { location: table_name(&self.table), fields: value::object(item) }
    }

    async fn read_all(&self) -> Result<Vec<RawRow>, Fault> {
        let mut rows = Vec::new();
        scan::every_item(&self.client, &self.table, |item| rows.push(self.row(item))).await?;
        rows.sort_by(|a, b| key_of(a).cmp(&key_of(b)));
        Ok(rows)
    }

    async fn read_one(&self, api_id: String) -> Result<Option<RawRow>, Fault> {
        let request = self.client.get_item().table_name(&self.table).key(KEY, AttributeValue::S(api_id));
        let answer = self.call("dynamodb:GetItem").edits().answer(request.consistent_read(true).send().await)?;
        Ok(answer.item.map(|item| self.row(item)))
    }

    async fn write(&self, fields: Map<String, Value>) -> Result<(), Fault> {
        if !fields.get(KEY).is_some_and(Value::is_string) {
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

fn key_of(row: &RawRow) -> Option<&str> {
    row.fields.get(KEY).and_then(Value::as_str)
}

impl RowTable for DynamoConfigTable {
    fn name(&self) -> String {
        table_name(&self.table)
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        async { Ok(self.read_all().await?) }.boxed()
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

    /// A table tells only when it is read.
    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { None }.boxed()
    }
}
