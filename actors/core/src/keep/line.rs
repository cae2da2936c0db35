//! What the keeper has to say in the log, as values: ring 2 words it.

use crate::api::ApiId;
use crate::status::Status;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
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
    /// Nothing could be told of an API for long, and that is told.
    Unclear {
        api_id: ApiId,
        since: Timestamp,
        reason: String,
    },
    /// It can be judged again.
    Clear { api_id: ApiId, status: Status },
    /// An outcome came of an API that is not watched any more, or not by this worker, or of what was asked before.
    LateOutcome { api_id: ApiId },
    /// The store takes no writes.
    StoreGone {
        error: String,
        /// For how long.
        seconds: u64,
        /// How many records wait.
        waiting: usize,
        /// Lines like this one that were left out.
        lines_left_out: u64,
        /// It was said before.
        still: bool,
    },
    /// It takes writes again.
    StoreBack {
        /// After so long.
        seconds: u64,
    },
    /// One record was not written, and others were.
    OneRecord {
        api_id: ApiId,
        error: String,
        /// Lines like this one that were left out.
        lines_left_out: u64,
    },
    /// The answer to a write was lost, and the write was not.
    AnswerLost { api_id: ApiId },
    /// An owner before this one wrote a record after it was taken over, or a person did.
    Adopted {
        api_id: ApiId,
        version: u64,
        /// Lines like this one that were left out.
        lines_left_out: u64,
    },
    /// An older copy of a record is in the store, and is overwritten.
    OldCopy {
        api_id: ApiId,
        version: u64,
        /// Lines like this one that were left out.
        lines_left_out: u64,
    },
    /// The record is gone that was there, and is written again.
    RecordGone { api_id: ApiId },
    /// So are all others, in case they are gone as well.
    RecordsAnew { others: usize },
    /// A newer version wrote the record: it is left alone.
    RecordNewer {
        api_id: ApiId,
        /// What it says of itself.
        why: String,
    },
    /// A heartbeat was not written.
    BeatFailed {
        error: String,
        /// Lines like this one that were left out.
        lines_left_out: u64,
    },
    /// Alerts are owed to a channel that this process does not have.
    ForeignChannel { channel: String, alerts: u64 },
}
