//! What the keeper says in the log.

use api_health_core::keep::Line;

/// Says one line.
pub(super) fn say(line: Line) {
    match line {
        Line::Suspect { api_id, status, reason } => {
            tracing::info!(%api_id, status = status.as_str(), reason, "suspect: probed again soon");
        }
        Line::StatusChanged { api_id, from, to, incident: Some((incident_id, reason)), .. } => {
            let (from, to) = (from.as_str(), to.as_str());
            tracing::warn!(%api_id, from, to, incident_id, reason, "status changed");
        }
        Line::StatusChanged { api_id, from, to, latency_ms, .. } => {
            tracing::info!(%api_id, from = from.as_str(), to = to.as_str(), latency_ms, "status changed");
        }
        Line::Unclear { api_id, since, reason } => {
            tracing::warn!(%api_id, %since, reason, "unclear: nothing could be told of this API since then");
        }
        Line::Clear { api_id, status } => {
            tracing::info!(%api_id, status = status.as_str(), "clear: this API can be judged again");
        }
        Line::LateOutcome { api_id } => {
            tracing::debug!(%api_id, "the outcome of an API that is no longer watched");
        }
        Line::StoreGone { error, seconds, waiting, still: true, .. } => {
            tracing::error!(error, seconds, waiting, "the store still does not take writes");
        }
        Line::StoreGone { error, lines_left_out, .. } => {
            tracing::error!(
                error,
                lines_left_out,
                "the store does not take writes; probing goes on, changes wait in memory"
            );
        }
        Line::StoreBack { seconds } => tracing::info!(seconds, "the store takes writes again"),
        Line::OneRecord { api_id, error, lines_left_out } => {
            tracing::warn!(error, %api_id, lines_left_out, "one record was not written, and others were; it is tried again");
        }
        Line::AnswerLost { api_id } => tracing::debug!(%api_id, "the answer to a write was lost; the write was not"),
        Line::Adopted { api_id, version, lines_left_out } => {
            tracing::warn!(%api_id, version, lines_left_out, "somebody else wrote this record; it counts, and the API is probed again. If this repeats, somebody writes into the table by hand");
        }
        Line::OldCopy { api_id, version, lines_left_out } => {
            tracing::warn!(%api_id, version, lines_left_out, "the stored record of this API is an older copy; what is known here is written over it");
        }
        Line::RecordGone { api_id } => {
            tracing::warn!(%api_id, "the stored record of this API is gone; it is written again");
        }
        Line::RecordsAnew { others } => {
            tracing::warn!(
                others,
                "a stored record is gone; the others are written again, in case they are gone as well"
            );
        }
        Line::RecordNewer { api_id, why } => {
            tracing::error!(%api_id, why, "the stored record of this API cannot be read, and nothing is written over it; run the version that wrote it, or delete it");
        }
        Line::BeatFailed { error, lines_left_out } => {
            tracing::warn!(error, lines_left_out, "the heartbeat was not written; the next one will say it all");
        }
        Line::ForeignChannel { channel, alerts } => {
            tracing::error!(
                channel,
                alerts,
                "alerts are owed to a channel that no running api-health has; they stay owed until one has it again, or: api-health alerts drop --channel"
            );
        }
    }
}
