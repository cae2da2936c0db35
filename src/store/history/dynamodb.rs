//! History in a DynamoDB table of its own: one item for each, which DynamoDB deletes by itself once it expired.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use api_health_actors::ports::{HistoryStore, StoreError};
use api_health_core::Timestamp;
use api_health_core::history::item::ITEM_BYTES_MAX;
use api_health_core::history::{HistoryItem, HistorySlot, Series, UtcMonth};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};

use super::{BATCH_MAX, READ_MAX, refusal};
use crate::fault::Fault;
use crate::store::dynamodb::KEY;
use crate::store::dynamodb::errors::{Call, is_condition_refused, table_name};

/// Writes under way at once, as many as of states: no batch of DynamoDB's own knows conditions.
const WRITES_IN_FLIGHT_MAX: usize = 32;

/// The second part of the key, a string (S).
pub(crate) const SLOT: &str = "slot";

/// When DynamoDB may delete the item: a number of seconds since 1970, as its TTL wants it. An item that is kept for ever has none.
pub(crate) const EXPIRES_AT: &str = "expires_at";

const EPOCH: &str = "epoch";
const BYTES: &str = "bytes";

type Item = HashMap<String, AttributeValue>;

/// The history in a table.
pub struct DynamoHistoryStore {
    client: Client,
    table: String,
}

impl DynamoHistoryStore {
    /// Uses `client`, whose connections belong to the thread that calls it; see [`crate::aws`] for its bounds on waits.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        Self { client, table: table_name.into() }
    }

    /// Reads where there is nothing, to find out whether the table is there, has the right key, and may be read.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn look(&self) -> Result<(), StoreError> {
        let month = UtcMonth::default();
        self.read(Series::Incidents(month), HistorySlot::Month(month)..=HistorySlot::Month(month), 1).await.map(drop)
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call::new(&self.client, &self.table, action).of_history()
    }

    /// A refusal for a higher epoch counts as done.
    async fn put(&self, item: HistoryItem) -> Result<(), StoreError> {
        if let Some(error) = refusal(&table_name(&self.table), &item) {
            return Err(error);
        }
        let epoch = AttributeValue::N(item.epoch.to_string());
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)))
            .condition_expression("attribute_not_exists(#epoch) OR #epoch <= :epoch")
            .expression_attribute_names("#epoch", EPOCH)
            .expression_attribute_values(":epoch", epoch);
        match request.send().await {
            answer if is_condition_refused(&answer) => Ok(()),
            answer => Ok(self.call("dynamodb:PutItem").answer(answer).map(drop)?),
        }
    }

    /// Page by page, the newest first.
    async fn query(
        &self,
        series: Series,
        slots: &RangeInclusive<HistorySlot>,
        limit: usize,
    ) -> Result<Vec<HistoryItem>, Fault> {
        let limit = limit.min(READ_MAX);
        let mut items = Vec::new();
        let mut start = None;
        // DynamoDB refuses a range that is none.
        while items.len() < limit && !slots.is_empty() {
            let page = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(false)
                .limit(page)
                .key_condition_expression("#series = :series AND #slot BETWEEN :first AND :last")
                .expression_attribute_names("#series", KEY)
                .expression_attribute_names("#slot", SLOT)
                .expression_attribute_values(":series", AttributeValue::S(series.to_string()))
                .expression_attribute_values(":first", AttributeValue::S(slots.start().to_string()))
                .expression_attribute_values(":last", AttributeValue::S(slots.end().to_string()))
                .set_exclusive_start_key(start);
            let answer = self.call("dynamodb:Query").answer(request.send().await)?;
            let found = answer.items.unwrap_or_default();
            let is_empty = found.is_empty();
            items.extend(found.into_iter().filter_map(|item| read_item(&series, item)));
            start = answer.last_evaluated_key.filter(|key| !key.is_empty() && !is_empty);
            if start.is_none() {
                break;
            }
        }
        items.reverse();
        Ok(items)
    }
}

impl HistoryStore for DynamoHistoryStore {
    fn write(&self, items: Vec<HistoryItem>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        async move { stream::iter(items).map(|item| self.put(item)).buffered(WRITES_IN_FLIGHT_MAX).collect().await }
            .boxed()
    }

    fn read(
        &self,
        series: Series,
        slots: RangeInclusive<HistorySlot>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryItem>, StoreError>> {
        async move { Ok(self.query(series, &slots, limit).await?) }.boxed()
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }
}

fn to_item(HistoryItem { series, slot, epoch, kept_until, bytes }: HistoryItem) -> Item {
    let number = |number: String| AttributeValue::N(number);
    let mut item = Item::from([
        (KEY.into(), AttributeValue::S(series.to_string())),
        (SLOT.into(), AttributeValue::S(slot.to_string())),
        (EPOCH.into(), number(epoch.to_string())),
        (BYTES.into(), AttributeValue::B(Blob::new(bytes))),
    ]);
    if let Some(at) = kept_until {
        // Rounded up: it is deleted no sooner.
        item.insert(EXPIRES_AT.into(), number((at.as_millis().saturating_add(999)).div_euclid(1_000).to_string()));
    }
    item
}

/// `None`: it cannot be read.
fn read_item(series: &Series, mut item: Item) -> Option<HistoryItem> {
    let slot = HistorySlot::parse(item.get(SLOT)?.as_s().ok()?)?;
    let epoch = item.get(EPOCH)?.as_n().ok()?.parse().ok()?;
    let kept_until = match item.get(EXPIRES_AT) {
        Some(seconds) => {
            let seconds: i64 = seconds.as_n().ok()?.parse().ok()?;
            Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
        }
        None => None,
    };
    let Some(AttributeValue::B(bytes)) = item.remove(BYTES) else { return None };
    let bytes = bytes.into_inner();
    (bytes.len() <= ITEM_BYTES_MAX).then(|| HistoryItem { series: series.clone(), slot, epoch, kept_until, bytes })
}
