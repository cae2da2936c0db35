//! What the actors need of the world, as traits. The adapters are in `src/`; the fakes are in `testkit`.
//!
//! Errors are typed by who must act next, never by where they came from: an adapter decides whether waiting may help.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::network::{Ballot, Way};
use api_health_core::{Alert, ApiConfig, ApiId, ApiState, ConfigIssue, Heartbeat, Observation, Timestamp};

pub use api_health_core::store::{CommitError, CommitLimits, StateWrite, StoreError};
use futures_util::future::{BoxFuture, LocalBoxFuture};

/// The wall clock, for stamps. Waiting is done with tokio's time, so that paused time drives the real actors.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// How long this machine has been suspended since it was started: what the clock that is waited by does not count.
    fn suspended(&self) -> Duration {
        Duration::ZERO
    }
}

/// Those who can say whether our own side is well, when something failed that may be due to it.
pub trait Witnesses: Send + Sync {
    /// Asks all that can say something in this way, side by side, and comes back within
    /// [`ASKED_WITHIN`](crate::own_side::ASKED_WITHIN). A witness is called the same each time. `names` were looked up well a moment ago.
    fn ask(&self, way: Way, names: Vec<String>) -> BoxFuture<'_, Ballot>;
}

/// There are none.
pub struct NoWitnesses;

impl Witnesses for NoWitnesses {
    fn ask(&self, _: Way, _: Vec<String>) -> BoxFuture<'_, Ballot> {
        Box::pin(std::future::ready(Ballot::new()))
    }
}

pub trait Probe: Send + Sync {
    /// Makes ready what is the same each time that `api` is asked. Its prober does this once, and asks as often as it is due.
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn Ask>;

    fn probe(&self, api: Arc<ApiConfig>) -> LocalBoxFuture<'static, Observation> {
        self.prepare(api).ask()
    }
}

/// One API, ready to be asked.
pub trait Ask {
    /// One exchange, from name resolution to the last byte, inside the API's timeout. Whatever happens is an observation.
    /// Dropping the future ends the exchange and closes its connection.
    fn ask(self: Rc<Self>) -> LocalBoxFuture<'static, Observation>;
}

impl<F: Fn() -> LocalBoxFuture<'static, Observation>> Ask for F {
    fn ask(self: Rc<Self>) -> LocalBoxFuture<'static, Observation> {
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
/// 4. A failed write of a batch hurts no other write of it.
/// 5. What was written is read back equal.
/// 6. A record that cannot be read is reported with its id and hides no other.
/// 7. A record that was set aside is kept, and is in nobody's way.
/// 8. A heartbeat replaces the one before, whoever wrote that, and is never taken for the record of an API.
pub trait StateStore: Send + Sync {
    /// Every record, and those that could not be read.
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>>;

    /// The record of one API, if there is one.
    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>>;

    /// Moves a record that makes no sense out of the way, to where a person can look at it: from then on its API has no
    /// record. A record that is gone already, or that can be read by now, stays as it is.
    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a batch, at most [`CommitLimits::batch_max`] of it, each API at most once; one result for each, in order.
    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>>;

    /// Writes the heartbeat over the one before.
    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last heartbeat of each process that watches; where none does any more, that of the one that watched last.
    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>>;

    fn limits(&self) -> CommitLimits;
}

/// Every record of a store.
#[derive(Debug, Default)]
pub struct LoadedStates {
    /// The records that could be read.
    pub states: Vec<ApiState>,
    pub unreadable: Vec<UnreadableState>,
}

/// A record as it was read.
pub type StoredState = Result<ApiState, UnreadableState>;

/// A heartbeat as it was read.
pub type StoredHeartbeat = Result<Heartbeat, UnreadableState>;

/// A stored record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableState {
    /// Whose record it is, as far as that can be told.
    pub api_id: String,
    /// What is wrong with it.
    pub why: String,
    /// A newer version of this program wrote it, and can read it: it is left alone. Any other is damaged, and is set aside.
    pub is_newer: bool,
}

/// Sends alerts through one channel. Owned by the alerter alone, and called on its thread alone.
///
/// The promises that every adapter is held to (`tests/contract`):
/// 1. `Ok` means that the channel has taken the alert over.
/// 2. Every repeat carries the same alert id.
/// 3. A call ends within the adapter's own stated timeout; past
///    [`DELIVERY_TIMEOUT`](api_health_core::delivery::DELIVERY_TIMEOUT) it is cut and counts as failed.
/// 4. No secret is in the text of an error.
pub trait Notifier: Send + Sync {
    /// The name of the channel, for the record of what was delivered: stable across versions.
    fn channel(&self) -> &'static str;

    /// Hands over one alert.
    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>>;
}

/// Why an alert was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyError {
    /// Transient: unreachable, throttled, 5xx.
    Retryable {
        reason: String,
        /// The channel asked for this much patience.
        after: Option<Duration>,
    },
    /// An operator must act: no such topic, no permission, a refused parameter. Retried all the same, every five minutes.
    Permanent { reason: String, remedy: String },
}

/// Where configs come from: a table, a file, the command line.
pub trait ConfigSource: Send + Sync {
    /// What people call it: `apis.toml`, `DynamoDB table api_health_configs`.
    fn name(&self) -> String;

    /// Reads and validates every row, and sees whatever was written before.
    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>>;

    /// The same where nobody waits for what was written a moment ago, since it is done again and again: an adapter may read in
    /// a cheaper way that misses what is younger than a few seconds.
    fn load_again(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        self.load()
    }

    /// The rows of these APIs alone, seeing whatever was written before; one that is not among them is not there any more. `None`:
    /// this source is not shared with other workers, so that nobody says which rows changed.
    fn load_some(&self, _: Vec<ApiId>) -> BoxFuture<'_, Option<Result<LoadedConfigs, SourceError>>> {
        Box::pin(std::future::ready(None))
    }

    /// Whether it may be read while somebody writes it, as a file is: rows that vanish are not believed at once then.
    fn may_be_cut(&self) -> bool {
        false
    }

    /// A token that differs whenever the rows differ, if that is cheap to tell (a file, an embedded table): it is asked
    /// for every second. `None`: only loading tells, every `reload_seconds`.
    fn revision(&self) -> BoxFuture<'_, Option<u64>>;
}

/// What a source holds.
#[derive(Debug, Default)]
pub struct LoadedConfigs {
    /// The rows that are good.
    pub good: Vec<Arc<ApiConfig>>,
    /// The rows that are not, each with all its faults.
    pub refused: Vec<RefusedRow>,
    /// It was written a moment ago, and perhaps not to its end.
    pub is_fresh: bool,
    /// The last rows of files that have less in them than before, and may be cut.
    pub cut: Vec<ApiId>,
}

/// A row that is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Whose row it is, if its id at least is good.
    pub api_id: Option<ApiId>,
    /// All its faults.
    pub issues: Vec<ConfigIssue>,
}

/// Why a source as a whole could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Waiting may help: unreachable, throttled, half written.
    Unavailable(String),
    /// A person must act: no such table or file, no permission, not TOML.
    Misconfigured(ConfigIssue),
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
            Self::Misconfigured(issue) => issue.fmt(f),
        }
    }
}

impl std::error::Error for NotifyError {}
impl std::error::Error for SourceError {}
