//! API configs: rows as people write them, and what they mean.

pub mod defaults;
pub mod dynamodb_table;
pub mod raw;
pub mod sqlite_table;
