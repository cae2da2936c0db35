//! The port `HistoryStore`: items of history in the SQLite file of the states, or in a DynamoDB table of their own.
//!
//! Neither looks into the bytes. Each has a connection of its own, so that states and alerts never queue behind history.

#[cfg(feature = "aws")]
pub mod dynamodb;
pub mod sqlite;

#[cfg(feature = "aws")]
pub use dynamodb::DynamoHistoryStore;
pub use sqlite::SqliteHistoryStore;

use api_health_actors::ports::StoreError;
use api_health_core::history::HistoryItem;
use api_health_core::history::item::ITEM_BYTES_MAX;

/// Items in one batch. With SQLite it holds the lock of the file for some 3 ms, which is what a write of states may wait for it;
/// with DynamoDB it is three rounds of calls.
pub const BATCH_MAX: usize = 100;

/// Items that one reading gives at most, whatever its limit: 16 MiB in the worst case, and 1 MB as a rule.
pub const READ_MAX: usize = 1_000;

/// Why an item is not written, if it is too long. Whoever made it has a fault, since it is cut to fit before.
fn refusal(place: &str, item: &HistoryItem) -> Option<StoreError> {
    let HistoryItem { series, slot, bytes, .. } = item;
    (bytes.len() > ITEM_BYTES_MAX).then(|| StoreError::Misconfigured {
        what: format!(
            "{place} takes no item of more than {ITEM_BYTES_MAX} bytes: {slot} of {series} has {}",
            bytes.len()
        ),
        remedy: "report it: that is a fault of api-health".into(),
    })
}
