//! API configs: rows as people write them, and what they mean.

mod alerting;
mod asking;
pub mod assertions;
pub mod checker;
mod cron_text;
pub mod defaults;
#[cfg(feature = "aws")]
mod dynamodb_change;
#[cfg(feature = "aws")]
pub mod dynamodb_table;
pub mod field;
pub mod fields;
pub mod file;
pub mod files;
pub mod headers;
pub mod kinds;
pub mod nearest;
pub mod pipes;
pub mod raw;
pub mod schedules;
pub mod schema;
pub mod secrets;
pub mod shared_windows;
pub mod source;
pub(crate) mod span;
pub mod sqlite_table;
pub(crate) mod stand_in;
pub mod target;
pub mod timing;
pub mod toml_text;
pub mod url;
pub mod urls;
pub mod validate;
pub mod values;
