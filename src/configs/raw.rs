//! Rows as they were written: any fields at all, and where they stand. What is meant by them is found in `validate`.

use api_health_actors::ports::SourceError;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

/// One row of a table or one `[[api]]` of a file, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRow {
    /// Where it stands, as a person would look for it: `apis.toml, line 12`, `DynamoDB table api_health_configs`.
    pub location: String,
    /// The fields by name. They may hold anything.
    pub fields: Map<String, Value>,
}

/// A table of rows that can be edited: what `api-health apis …` works on. The key is the field `api_id`.
///
/// Promises (`tests/contract/config_source.rs`): rows come back as they were put, in the order of their ids; a row that
/// makes no sense is given as it is and hides no other; `put` replaces the whole row.
pub trait RowTable: Send + Sync {
    /// What people call it: `SQLite file api-health.db`, `DynamoDB table api_health_configs`.
    fn name(&self) -> String;

    /// Every row, and what was written before is seen.
    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>>;

    /// Every row, read again and again: what is younger than a few seconds may be missing, if that makes it cheaper.
    fn rows_again(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        self.rows()
    }

    /// One row.
    fn get(&self, api_id: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>>;

    /// Creates or replaces a row. `fields` holds an `api_id` that is a string.
    fn put(&self, fields: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>>;

    /// Removes a row; whether there was one.
    fn delete(&self, api_id: String) -> BoxFuture<'_, Result<bool, SourceError>>;

    /// A token that differs whenever rows differ, where that is cheap to tell; else `None`.
    fn revision(&self) -> BoxFuture<'_, Option<u64>>;
}
