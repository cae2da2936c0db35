//! The port `StateStore`: one record for each API, in an SQLite file or in a DynamoDB table.
//!
//! Both keep the same record ([`record`]), outbox and all, so that a change of status and the alert that it owes are one
//! write. Faults are told by who must act next (`crate::fault`).

pub mod dynamodb;
pub mod record;
pub mod sqlite;

pub use dynamodb::DynamoStateStore;
pub use sqlite::SqliteStateStore;

/// The most records or rows that are read from one table; more are refused as a mistake, before they fill the memory.
/// Ten times what one instance is meant to watch.
pub const RECORDS_MAX: usize = 1_000_000;
