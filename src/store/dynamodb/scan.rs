//! Reads a whole table, page by page, in a few segments side by side.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::errors::{Call, table_name};
use crate::store::RECORDS_MAX;
use crate::store::fault::Fault;

/// Segments that are read at once: enough to hide most of the waiting.
const SEGMENTS: i32 = 4;

/// Items in one page, which DynamoDB itself keeps within 1 MB: small enough to arrive in time over a slow line.
const PAGE_ITEMS: i32 = 500;

type Item = HashMap<String, AttributeValue>;

/// Gives every item of `table` to `take`, in no order. Reads are consistent: what was written before is seen.
pub(crate) async fn every_item(client: &Client, table: &str, mut take: impl FnMut(Item)) -> Result<(), Fault> {
    let mut pages: FuturesUnordered<_> = (0..SEGMENTS).map(|segment| page(client, table, segment, None)).collect();
    let mut count = 0_usize;
    while let Some(result) = pages.next().await {
        let Page { segment, items, next } = result?;
        count += items.len();
        if count > RECORDS_MAX {
            return Err(Fault::Person {
                place: table_name(table),
                what: format!("holds more than {RECORDS_MAX} items"),
                instead: "the name of another table, or delete what does not belong in this one".into(),
            });
        }
        items.into_iter().for_each(&mut take);
        if next.is_some() {
            pages.push(page(client, table, segment, next));
        }
    }
    Ok(())
}

/// What one call gave.
struct Page {
    segment: i32,
    items: Vec<Item>,
    /// Where the segment goes on, if it does.
    next: Option<Item>,
}

async fn page(client: &Client, table: &str, segment: i32, start: Option<Item>) -> Result<Page, Fault> {
    let request = client
        .scan()
        .table_name(table)
        .consistent_read(true)
        .limit(PAGE_ITEMS)
        .segment(segment)
        .total_segments(SEGMENTS)
        .set_exclusive_start_key(start);
    let answer = Call::new(client, table, "dynamodb:Scan").answer(request.send().await)?;
    let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
    Ok(Page { segment, items: answer.items.unwrap_or_default(), next })
}
