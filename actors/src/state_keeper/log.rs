//! Writes what the keeper decided to log.

use api_health_core::keep::LogEvent;

pub(super) fn log(event: LogEvent) {
    match event {
        LogEvent::Suspect { api_id, status, reason } => {
            tracing::info!(%api_id, status = status.as_str(), reason, "suspect: probed again soon");
        }
        LogEvent::StatusChanged { api_id, from, to, incident: Some((incident_id, reason)), .. } => {
            let (from, to) = (from.as_str(), to.as_str());
            tracing::warn!(%api_id, from, to, incident_id, reason, "status changed");
        }
        LogEvent::StatusChanged { api_id, from, to, latency_ms, .. } => {
            tracing::info!(%api_id, from = from.as_str(), to = to.as_str(), latency_ms, "status changed");
        }
        LogEvent::Unclear { api_id, since, reason } => {
            tracing::warn!(%api_id, %since, reason, "unclear: no probe of this API could be judged since then");
        }
        LogEvent::Clear { api_id, status } => {
            tracing::info!(%api_id, status = status.as_str(), "clear: this API can be judged again");
        }
        LogEvent::Held { api_id, why } => {
            tracing::info!(%api_id, why, "its alert is held: a status that still differs from the last one told is told when that is over");
        }
        LogEvent::Released { api_id, alert: Some(kind) } => {
            tracing::info!(%api_id, told = kind.as_str(), "its alerts are held no longer");
        }
        LogEvent::Released { api_id, alert: None } => {
            tracing::info!(%api_id, "its alerts are held no longer, and there is nothing to tell: its status is the last one told");
        }
        LogEvent::CertificateEndsSoon { api_id, reason } => {
            tracing::warn!(%api_id, reason, "the certificate of this API ends soon");
        }
        LogEvent::CertificateRenewed { api_id, reason } => {
            tracing::info!(%api_id, reason, "the certificate of this API was renewed");
        }
        LogEvent::LateOutcome { api_id } => {
            tracing::debug!(%api_id, "the outcome of an API that is no longer watched");
        }
        LogEvent::StoreGone { error, seconds, waiting, still: true, .. } => {
            tracing::error!(error, seconds, waiting, "the store still does not take writes");
        }
        LogEvent::StoreGone { error, lines_left_out, .. } => {
            tracing::error!(
                error,
                lines_left_out,
                "the store does not take writes; probing goes on, changes wait in memory"
            );
        }
        LogEvent::StoreBack { seconds } => tracing::info!(seconds, "the store takes writes again"),
        LogEvent::OneRecord { api_id, error, lines_left_out } => {
            tracing::warn!(error, %api_id, lines_left_out, "one record was not written, and others were; it is tried again");
        }
        LogEvent::AnswerLost { api_id } => {
            tracing::debug!(%api_id, "the answer to a write was lost; the write was not");
        }
        LogEvent::Adopted { api_id, version, lines_left_out } => {
            tracing::warn!(%api_id, version, lines_left_out, "somebody else wrote this record; it counts, and the API is probed again. If this repeats, somebody writes into the table by hand");
        }
        LogEvent::OldCopy { api_id, version, lines_left_out } => {
            tracing::warn!(%api_id, version, lines_left_out, "the stored record of this API is an older copy; what is known here is written over it");
        }
        LogEvent::RecordGone { api_id } => {
            tracing::warn!(%api_id, "the stored record of this API is gone; it is written again");
        }
        LogEvent::RecordsRewritten { others } => {
            tracing::warn!(
                others,
                "a stored record is gone; the others are written again, in case they are gone as well"
            );
        }
        LogEvent::RecordNewer { api_id, why } => {
            tracing::error!(%api_id, why, "the stored record of this API cannot be read, and nothing is written over it; run the version that wrote it, or delete it");
        }
        LogEvent::HeartbeatFailed { error, lines_left_out } => {
            tracing::warn!(error, lines_left_out, "the heartbeat was not written; the next one will say it all");
        }
        LogEvent::HistoryFailed { error, lines_left_out } => {
            tracing::warn!(
                error,
                lines_left_out,
                "history was not written or read; it is tried again, and nothing waits for it"
            );
        }
        LogEvent::HistoryDropped { days } => {
            tracing::warn!(
                days,
                "days of figures could not be written to history in time, and are lost; no incident is"
            );
        }
        LogEvent::IncidentDropped { api_id, incident_id } => {
            tracing::error!(%api_id, incident_id, "more incidents ended than a record keeps while history cannot be written: this one will not be in history");
        }
        LogEvent::Backlog { channel, alerts, left } => {
            let seconds_left = left.map(|left| left.as_secs());
            tracing::warn!(
                channel,
                alerts,
                seconds_left,
                "many alerts wait for this channel, the oldest goes first; seconds_left is an estimate from its rate so far"
            );
        }
        LogEvent::Unserved { api_id, others } => {
            tracing::warn!(%api_id, others, "no channel is configured for the tags of these APIs: their alerts go to all channels, until one has a tag of theirs, or no tags");
        }
        LogEvent::ForeignChannel { channel, alerts } => {
            tracing::error!(
                channel,
                alerts,
                "alerts are owed to a channel that no running api-health has; they stay owed until one has it again, or: api-health alerts drop --channel"
            );
        }
    }
}
