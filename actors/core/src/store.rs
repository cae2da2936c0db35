//! Writes to a store, and their results.

use std::fmt;
use std::sync::Arc;

use crate::state::ApiState;

/// One write: `state` replaces the record of version `expected_version`, or creates the record where that is 0.
///
/// It is a conflict if the stored record has another version, or a higher epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// The version of the stored record; 0: there is none.
    pub expected_version: u64,
    /// The new record. Its version is higher than `expected_version`.
    pub state: Arc<ApiState>,
}

/// How many writes a store takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitLimits {
    /// Writes in one batch.
    pub batch_max: usize,
    /// Batches under way at once.
    pub batches_in_flight_max: usize,
}

/// Why a call to the store failed.
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
    /// The stored record has another version than expected, or a higher epoch: somebody else wrote it, or an answer to an earlier
    /// write of ours was lost. Reading it tells which.
    Conflict,
    /// The call failed.
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
