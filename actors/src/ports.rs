//! What the actors need from outside, as traits. The adapters are in `src/`; the fakes are in `testkit`.
//!
//! Errors are typed by who must act next: the adapter decides whether waiting may help, or a person has to do something.

use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::history::{HistoryItem, HistorySlot, Series};
use api_health_core::network::{Ballot, OwnPart};
use api_health_core::{Alert, ApiConfig, ApiId, ApiState, ConfigFault, Heartbeat, Observation, Timestamp};

pub use api_health_core::store::{CommitError, CommitLimits, StateWrite, StoreError};
use futures_util::future::{BoxFuture, LocalBoxFuture};

/// The wall clock, for timestamps. Waiting is done with tokio's time, so that tests can drive the real actors in virtual time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// How long this machine has been suspended since it was started: what the clock that is waited by does not count.
    fn suspended(&self) -> Duration {
        Duration::ZERO
    }
}

/// Those who can say whether our own side is well, when something failed that may be due to it.
pub trait Witnesses: Send + Sync {
    /// Asks all that can say something in this part, side by side, and comes back within
    /// [`ASKED_WITHIN`](crate::own_side::ASKED_WITHIN). A witness is called the same each time. `names` were looked up well a moment ago.
    fn ask(&self, part: OwnPart, names: Vec<String>) -> LocalBoxFuture<'_, Ballot>;
}

/// There are none.
pub struct NoWitnesses;

impl Witnesses for NoWitnesses {
    fn ask(&self, _: OwnPart, _: Vec<String>) -> LocalBoxFuture<'_, Ballot> {
        Box::pin(std::future::ready(Ballot::new()))
    }
}

pub trait Probe: Send + Sync {
    /// Prepares what is the same for each probe of `api`. Its prober does this once for each config.
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe>;

    fn probe(&self, api: Arc<ApiConfig>) -> LocalBoxFuture<'static, Observation> {
        self.prepare(api).run()
    }
}

/// A probe of one API, ready to run as often as it is due.
pub trait PreparedProbe {
    /// One exchange, from name resolution to the last byte, within the API's timeout. Whatever happens is an observation.
    /// Dropping the future ends the exchange and closes its connection.
    fn run(self: Rc<Self>) -> LocalBoxFuture<'static, Observation>;
}

impl<F: Fn() -> LocalBoxFuture<'static, Observation>> PreparedProbe for F {
    fn run(self: Rc<Self>) -> LocalBoxFuture<'static, Observation> {
        self()
    }
}

/// Keeps one record for each API. Owned by the state-keeper alone.
///
/// The promises that every adapter is held to (`tests/contract`):
/// 1. A write that was acknowledged survives kill -9.
/// 2. State and owed alerts of one record change together or not at all.
/// 3. A write succeeds only over exactly the version that it names, and over no higher epoch; else it is a conflict, and
///    nothing changed.
/// 4. A failed write of a batch affects no other write of it.
/// 5. What was written is read back equal.
/// 6. A record that cannot be read is reported with its id and hides no other.
/// 7. A record in quarantine is kept, and affects nothing.
/// 8. A heartbeat replaces the one before, whoever wrote that, and is never read as the record of an API.
pub trait StateStore: Send + Sync {
    /// Every record, and those that could not be read.
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>>;

    /// The record of one API, if there is one.
    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>>;

    /// Moves an unreadable record to where a person can look at it: from then on its API has no record. One that is gone, or that
    /// can be read by now, stays as it is.
    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a batch, at most [`CommitLimits::batch_max`] of it, each API at most once; one result for each, in order.
    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>>;

    /// Writes the heartbeat over the one before.
    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last heartbeat of each running process; where none runs, of the last one that did.
    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>>;

    fn limits(&self) -> CommitLimits;
}

/// Keeps what people look at of the past, beside the states. Nothing waits for it, and but for incidents all of it may be lost.
///
/// The promises that every adapter is held to (`tests/contract`):
/// 1. A write that was acknowledged survives kill -9.
/// 2. An item replaces the one of the same series and slot, unless that has a higher epoch: then it is left, and the write counts as done,
///    since there is nothing to try again.
/// 3. A failed write of a batch affects no other write of it.
/// 4. What was written is read back equal, the oldest slot first, until it need not be kept any longer.
/// 5. An item that cannot be read is passed over and hides no other.
pub trait HistoryStore: Send + Sync {
    /// Writes a batch, at most [`HistoryStore::batch_max`] of it, each key at most once; one result for each, in order.
    fn write(&self, items: Vec<HistoryItem>) -> BoxFuture<'_, Vec<Result<(), StoreError>>>;

    /// The items of a series from one slot to another of the same kind, both included, at most `limit`: the newest of them, where there are
    /// more. The oldest comes first.
    fn read(
        &self,
        series: Series,
        slots: RangeInclusive<HistorySlot>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryItem>, StoreError>>;

    /// Items in one batch.
    fn batch_max(&self) -> usize;
}

/// Every record of a store.
#[derive(Debug, Default)]
pub struct LoadedStates {
    /// The records that could be read.
    pub states: Vec<ApiState>,
    pub unreadable: Vec<UnreadableState>,
    /// How many lie where [`StateStore::quarantine`] moved them.
    pub quarantined: usize,
}

/// A record as it was read.
pub type StoredState = Result<ApiState, UnreadableState>;

/// A heartbeat as it was read.
pub type StoredHeartbeat = Result<Heartbeat, UnreadableState>;

/// A stored record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableState {
    /// Whose record it is, as far as is known.
    pub api_id: String,
    /// What is wrong with it.
    pub why: String,
    /// A newer version of this program wrote it, and can read it: it is left alone. Any other is damaged, and goes into quarantine.
    pub is_newer: bool,
}

/// Sends alerts through one channel. Owned by the alerter alone, and called on its thread alone.
///
/// The promises that every adapter is held to (`tests/contract`):
/// 1. `Ok` means that the channel has accepted the alert.
/// 2. Every repeat carries the same alert id.
/// 3. A call ends within the adapter's own stated timeout; past
///    [`DELIVERY_TIMEOUT`](api_health_core::delivery::DELIVERY_TIMEOUT) it is cancelled and counts as failed.
/// 4. No secret is in the text of an error.
pub trait Notifier: Send + Sync {
    /// The name of the channel, as stored with each delivery: stable across versions.
    fn channel(&self) -> &str;

    /// Sends one alert.
    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>>;

    /// This channel as one that takes many alerts in one message; `None`: it takes them one by one.
    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        None
    }
}

/// Sends many alerts in one message, under the promises of [`Notifier`]: `Ok` means that all of them are accepted, and any error that
/// none counts as accepted. A repeat with the same alerts carries the same id.
pub trait NotifierOfMany {
    /// Sends a digest of at most [`DIGEST_ALERTS_MAX`](api_health_core::keep::DIGEST_ALERTS_MAX) alerts, each of another API.
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>>;
}

/// Why an alert was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyError {
    /// Waiting may help: unreachable, throttled, 5xx.
    Retryable {
        reason: String,
        /// The channel asked to be tried again no sooner than this.
        after: Option<Duration>,
    },
    /// An operator must act: no such topic, no permission, a refused parameter. It is retried anyway, every five minutes.
    Permanent { reason: String, remedy: String },
}

/// Where configs come from: a table, a file, the command line.
pub trait ConfigSource: Send + Sync {
    /// Its display name: `apis.toml`, `DynamoDB table api_health_configs`.
    fn name(&self) -> String;

    /// Reads and validates every row. Sees everything that was written before.
    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>>;

    /// The same for periodic reads: an adapter may read in a cheaper way that misses the writes of the last few seconds.
    fn load_relaxed(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        self.load()
    }

    /// The rows of these APIs alone. Sees everything that was written before; a row that is missing was removed. `None`: this source
    /// is not shared with other workers, so that nobody announces which rows changed.
    fn load_some(&self, _: Vec<ApiId>) -> BoxFuture<'_, Option<Result<LoadedConfigs, SourceError>>> {
        Box::pin(std::future::ready(None))
    }

    /// Whether it may be read while it is being written, as a file may: then rows that are missing do not count as removed at once.
    fn may_be_partial(&self) -> bool {
        false
    }

    /// A token that changes whenever the rows change, if that is cheap to find out (a file, an embedded table): it is polled every
    /// second. `None`: the rows are read every `reload_seconds` instead.
    fn revision(&self) -> BoxFuture<'_, Option<u64>>;
}

/// The rows of a source.
#[derive(Debug, Default)]
pub struct LoadedConfigs {
    /// Valid rows.
    pub good: Vec<Arc<ApiConfig>>,
    /// Invalid rows, each with all its faults.
    pub refused: Vec<RefusedRow>,
    /// It was modified a moment ago, so that it may still be being written.
    pub is_fresh: bool,
    /// The last rows of files that became shorter: each may be half written.
    pub partial_rows: Vec<ApiId>,
}

/// An invalid row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its id, if that is valid.
    pub api_id: Option<ApiId>,
    pub faults: Vec<ConfigFault>,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Waiting may help: unreachable, throttled, half written.
    Unavailable(String),
    /// A person must act: no such table or file, no permission, not TOML.
    Misconfigured(ConfigFault),
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retryable { reason, .. } => f.write_str(reason),
            Self::Permanent { reason, remedy } => write!(f, "{reason}; {remedy}"),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(what) => f.write_str(what),
            Self::Misconfigured(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for NotifyError {}
impl std::error::Error for SourceError {}
