//! The port through which workers agree on who owns what: reads and writes of records that all of them see.
//!
//! An SQLite file needs no adapter. Its lock says that there is one worker, and [`LeaseClock::always_valid`] that this one owns all.
//!
//! [`LeaseClock::always_valid`]: crate::lease_clock::LeaseClock::always_valid

use api_health_core::own::records::{Key, LeaseRecord};
use futures_util::future::BoxFuture;

use crate::ports::{CommitError, StoreError};

/// Stores the records of workers, and their assignment. Used by the lease holder alone, one call at a time.
///
/// The promises that every adapter is held to:
/// 1. A write succeeds only over exactly the version before it; else it is a conflict, and nothing changed. Of several writers over
///    one version exactly one succeeds.
/// 2. What was acknowledged is seen by every read that begins after it, whoever reads.
/// 3. What was written is read back equal, fields included that this version does not know.
/// 4. A call that failed may have been carried out, or be carried out later. No call is repeated by the adapter itself, so that
///    nothing is written that the holder does not know of.
/// 5. `Unavailable` is where waiting may help, and says nothing about others; `Misconfigured` is where the store answers and
///    refuses this worker. A record that cannot be read is a refusal.
pub trait Leases: Send + Sync {
    /// Those of these records that there are, in any order.
    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<LeaseRecord>, StoreError>>;

    /// Replaces the record of version `expected_version`, which is one less than that of `record`; 0: there must be none.
    fn put(&self, record: LeaseRecord, expected_version: u64) -> BoxFuture<'_, Result<(), CommitError>>;
}
