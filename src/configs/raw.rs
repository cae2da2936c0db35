//! Rows as they were written: any fields at all, and where they stand. What is meant by them is found in `validate`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use api_health_actors::ports::SourceError;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::fields::API_ID;

/// Where a row stands, as a person would look for it: `apis.toml, line 12`, `DynamoDB table api_health_configs`. In a file it knows that
/// of its fields as well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    row: String,
    /// How much of that names the file.
    file_bytes: usize,
    /// Name, line and column of each field.
    fields: Box<[(Box<str>, u32, u32)]>,
}

impl Location {
    /// In a file, with name, line and column of each field.
    pub(super) fn in_file(file: &str, line: usize, fields: impl Iterator<Item = (Box<str>, usize, usize)>) -> Self {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let fields = fields.map(|(name, line, column)| (name, small(line), small(column))).collect();
        Self { row: format!("{file}, line {line}"), file_bytes: file.len(), fields }
    }

    /// Where a field stands; where the row does, if that is not known.
    pub fn of_field(&self, name: &str) -> Cow<'_, str> {
        match self.fields.iter().find(|(known, ..)| **known == *name) {
            Some((_, line, column)) => format!("{}, line {line}, column {column}", &self.row[..self.file_bytes]).into(),
            None => Cow::Borrowed(&self.row),
        }
    }
}

impl<T: Into<String>> From<T> for Location {
    fn from(text: T) -> Self {
        Self { row: text.into(), ..Self::default() }
    }
}

impl Deref for Location {
    type Target = str;

    fn deref(&self) -> &str {
        &self.row
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.row)
    }
}

/// One row of a table or one `[[api]]` of a file, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRow {
    pub location: Location,
    /// The fields by name. They may hold anything.
    pub fields: Map<String, Value>,
}

impl RawRow {
    /// What it says is its key, if that is a text.
    pub fn api_id(&self) -> Option<&str> {
        api_id_of(&self.fields)
    }
}

/// The key among these fields, if it is a text.
pub fn api_id_of(fields: &Map<String, Value>) -> Option<&str> {
    fields.get(API_ID.name)?.as_str()
}

/// One change of one row, with the row as it was read when the change was planned.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// A row where none was.
    Add(Map<String, Value>),
    /// Another row in the place of `old`. Both have the same `api_id`.
    Replace {
        /// The row as it was read.
        old: Map<String, Value>,
        /// The whole row from now on.
        new: Map<String, Value>,
    },
    /// No row in the place of this one.
    Remove(Map<String, Value>),
}

impl RowChange {
    /// The row that is expected in the table.
    pub fn expected(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Add(_) => None,
            Self::Replace { old, .. } | Self::Remove(old) => Some(old),
        }
    }

    /// The row that is wanted.
    pub fn wanted(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Add(new) | Self::Replace { new, .. } => Some(new),
            Self::Remove(_) => None,
        }
    }

    /// What `apply` answers without a write, where `there` is the row that is in the table now; `None` if it is to be written.
    pub fn answer_without_write(&self, there: Option<&Map<String, Value>>) -> Option<bool> {
        let is = |row: Option<&Map<String, Value>>| match (there, row) {
            (None, None) => true,
            (Some(there), Some(row)) => same_row(there, row),
            _ => false,
        };
        if is(self.wanted()) {
            return Some(true);
        }
        (!is(self.expected())).then_some(false)
    }

    /// The key, if it is a text.
    pub fn api_id(&self) -> Option<&str> {
        api_id_of(self.wanted().or(self.expected())?)
    }
}

/// Whether two rows mean the same: a store gives 10.0 back as 10.
pub fn same_row(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
}

/// Whether two values of a row mean the same; see [`same_row`].
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => same_row(a, b),
        _ => a == b,
    }
}

/// A table of rows that can be edited: what `api-health apis …` works on. The key is the field `api_id`.
///
/// Promises (`tests/contract/config_source.rs`): rows come back as they were put, in the order of their ids; a row that
/// makes no sense is given as it is and hides no other; `put` replaces the whole row; `apply` overwrites nothing that it
/// was not made for.
pub trait RowTable: Send + Sync {
    /// Its name for people: `SQLite file api-health.db`, `DynamoDB table api_health_configs`.
    fn name(&self) -> String;

    /// Every row, and what was written before is seen.
    fn rows(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>>;

    /// Every row, read again and again: what is younger than a few seconds may be missing, if that makes it cheaper.
    fn rows_again(&self) -> BoxFuture<'_, Result<Vec<RawRow>, SourceError>> {
        self.rows()
    }

    /// These rows alone, seeing what was written before; one that is not among them is not there. `None`: the table is nobody
    /// else's, and is read whole.
    fn some(&self, _: Vec<String>) -> BoxFuture<'_, Option<Result<Vec<RawRow>, SourceError>>> {
        Box::pin(std::future::ready(None))
    }

    fn get(&self, api_id: String) -> BoxFuture<'_, Result<Option<RawRow>, SourceError>>;

    /// Creates or replaces a row. `fields` holds an `api_id` that is a string.
    fn put(&self, fields: Map<String, Value>) -> BoxFuture<'_, Result<(), SourceError>>;

    /// Removes a row; whether there was one.
    fn delete(&self, api_id: String) -> BoxFuture<'_, Result<bool, SourceError>>;

    /// Makes a change if the row is still as it was read, in one step; whether the row is now as wanted. A row that somebody
    /// else has brought to what is wanted counts as done.
    fn apply(&self, change: RowChange) -> BoxFuture<'_, Result<bool, SourceError>>;

    /// A token that differs whenever rows differ, where that is cheap to tell; else `None`.
    fn revision(&self) -> BoxFuture<'_, Option<u64>>;
}
