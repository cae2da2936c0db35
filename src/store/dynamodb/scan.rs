//! Reads a whole table, page by page: a large one in a few segments side by side, a small one in one, since the last page of
//! each segment is paid for as if it were full to the next 4 KB.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::errors::{Call, table_name};
use crate::fault::Fault;
use crate::store::{PAGE_ITEMS, RECORDS_MAX};

/// Segments of a large table that are read at once: enough to hide most of the waiting.
const SEGMENTS: i32 = 4;

/// A table with fewer items is read in one segment: that takes a few seconds at most.
const SMALL_ITEMS: usize = 10_000;

type Item = HashMap<String, AttributeValue>;

/// How a table is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanOptions {
    /// What was written before is seen. Else a read costs half, and may miss what is younger than a second or so.
    pub(crate) is_consistent: bool,
    segments: i32,
}

impl ScanOptions {
    /// A table of unknown size, completely.
    pub(crate) const ALL: Self = Self { is_consistent: true, segments: SEGMENTS };

    /// A table that held this many items when it was read last.
    pub(crate) fn of_about(items: usize, is_consistent: bool) -> Self {
        Self { is_consistent, segments: if items < SMALL_ITEMS { 1 } else { SEGMENTS } }
    }
}

/// Gives every item of `table` to `take`, in no order.
pub(crate) async fn every_item(
    client: &Client,
    table: &str,
    how: ScanOptions,
    mut take: impl FnMut(Item),
) -> Result<(), Fault> {
    let page = |segment, start| page(client, table, how, segment, start);
    let mut pages: FuturesUnordered<_> = (0..how.segments).map(|segment| page(segment, None)).collect();
    let mut count = 0_usize;
    while let Some(result) = pages.next().await {
        let Page { segment, items, next } = result?;
        count += items.len();
        if count > RECORDS_MAX {
            return Err(Fault::Person {
                place: table_name(table),
                what: format!("holds more than {RECORDS_MAX} items"),
                remedy: "the name of another table, or delete what does not belong in this one".into(),
            });
        }
        items.into_iter().for_each(&mut take);
        if next.is_some() {
            pages.push(page(segment, next));
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

async fn page(
    client: &Client,
    table: &str,
    how: ScanOptions,
    segment: i32,
    start: Option<Item>,
) -> Result<Page, Fault> {
    let request = client
        .scan()
        .table_name(table)
        .consistent_read(how.is_consistent)
        .limit(PAGE_ITEMS.into())
        .segment(segment)
        .total_segments(how.segments)
        .set_exclusive_start_key(start);
    let answer = Call::new(client, table, "dynamodb:Scan").answer(request.send().await)?;
    let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
    Ok(Page { segment, items: answer.items.unwrap_or_default(), next })
}
