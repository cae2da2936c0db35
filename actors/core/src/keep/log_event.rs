//! What the keeper has to log, as values. The actors crate puts it into words.

use std::time::Duration;

use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::status::Status;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Outcomes speak against the status, and the API is probed again soon.
    Suspect {
        api_id: ApiId,
        /// The present status.
        status: Status,
        /// Why it is not a pass, if it is not.
        reason: Option<String>,
    },
    /// The status changed.
    StatusChanged {
        api_id: ApiId,
        from: Status,
        to: Status,
        /// The incident that is open now, and why it began.
        incident: Option<(String, String)>,
        /// Of the last probe, in milliseconds.
        latency_ms: Option<u32>,
    },
    /// An API could not be judged for long, and that is alerted.
    Unclear { api_id: ApiId, since: Timestamp, reason: String },
    /// It can be judged again.
    Clear { api_id: ApiId, status: Status },
    /// A change of its status is confirmed, and its alert is held.
    Held { api_id: ApiId, why: String },
    /// Nothing is held any more. The alert that this owes; `None`: the changes cancelled each other.
    Released { api_id: ApiId, alert: Option<AlertKind> },
    /// The certificate of an API ends soon, and that is alerted.
    CertificateEndsSoon { api_id: ApiId, reason: String },
    /// It was renewed.
    CertificateRenewed { api_id: ApiId, reason: String },
    /// An outcome came too late: the API is no longer watched, or not by this worker.
    LateOutcome { api_id: ApiId },
    /// The store takes no writes.
    StoreGone {
        error: String,
        /// For how long.
        seconds: u64,
        /// How many records wait.
        waiting: usize,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
        /// It was logged before.
        still: bool,
    },
    /// It takes writes again.
    StoreBack {
        /// How long it did not.
        seconds: u64,
    },
    /// One record was not written while others were.
    OneRecord {
        api_id: ApiId,
        error: String,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
    },
    /// Only the answer to a write was lost.
    AnswerLost { api_id: ApiId },
    /// A former owner or a person wrote a record after the shard was taken over.
    Adopted {
        api_id: ApiId,
        version: u64,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
    },
    /// An older copy of a record is in the store, and is overwritten.
    OldCopy {
        api_id: ApiId,
        version: u64,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
    },
    /// A stored record is missing, and is written again.
    RecordGone { api_id: ApiId },
    /// All others are written again too, in case they are missing as well.
    RecordsRewritten { others: usize },
    /// A newer version wrote the record: it is left alone.
    RecordNewer {
        api_id: ApiId,
        /// Why it cannot be read.
        why: String,
    },
    /// A heartbeat was not written.
    HeartbeatFailed {
        error: String,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
    },
    /// Where history is kept takes nothing just now.
    HistoryFailed {
        error: String,
        /// Lines of this kind that were suppressed before this one.
        lines_left_out: u64,
    },
    /// So many days of figures could not be written and are lost.
    HistoryDropped { days: u64 },
    /// More incidents ended than a record keeps for history: the oldest is lost there.
    IncidentDropped { api_id: ApiId, incident_id: String },
    /// A channel is owed many alerts: how long they will take, if that can be told.
    Backlog { channel: String, alerts: usize, left: Option<Duration> },
    /// No channel asks for the tags of some APIs: their alerts go to all. The first of them, and how many others there are.
    Unserved { api_id: ApiId, others: usize },
    /// Alerts are owed to a channel that this process does not have.
    ForeignChannel { channel: String, alerts: u64 },
}
