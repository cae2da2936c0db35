//! How a store is written to, and how it answers: values that the decisions are made by and that every adapter gives.

use std::fmt;
use std::sync::Arc;

use crate::state::ApiState;

/// One write: `state` replaces the record of version `expected_version`, or creates the record where that is 0.
///
/// It is refused where the record there has another version, or a higher epoch: then somebody else owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// The version of the record that is there.
    pub expected_version: u64,
    /// What is written. Its version is higher than `expected_version`.
    pub state: Arc<ApiState>,
}

/// How a store likes to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitLimits {
    /// Writes in one batch.
    pub batch_max: usize,
    /// Batches under way at once.
    pub batches_in_flight_max: usize,
}

/// Why the store as a whole did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Waiting may help: unreachable, throttled, busy.
    Unavailable(String),
    /// A person must act: no such table, no permission, a file that is no database.
    Misconfigured { what: String, remedy: String },
}

/// Why one write did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// The stored record has another version than expected, or a higher epoch: somebody else wrote, or an answer to an earlier
    /// write of ours was lost. Read it.
    Conflict,
    /// As for the whole store.
    Store(StoreError),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(what) => f.write_str(what),
            Self::Misconfigured { what, remedy } => write!(f, "{what}; {remedy}"),
        }
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the stored record has another version than expected"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}
impl std::error::Error for CommitError {}
