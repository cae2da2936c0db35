//! What `status` makes of the heartbeat: who watches, how long ago that was known, and who was probed on time where a row is
//! older than its last probe.

use std::time::Duration;

use api_health_core::schedule::Moment;
use api_health_core::{Heartbeat, Timestamp};
use serde_json::{Value, json};

use super::Row;
use crate::cli::text;
use crate::cost::page::grouped;

/// Late APIs that the footer names; `--json` has more.
const NAMED: usize = 5;

/// The host of an instance, which is named `host:pid:start`.
fn host(beat: &Heartbeat) -> String {
    text::line(beat.instance.split(':').next().unwrap_or_default())
}

/// `watched by ip-10-0-1-7, 12 s ago: 1,000 APIs, 0 late`.
pub(super) fn words(beat: &Heartbeat, now: Timestamp) -> String {
    let by = if beat.period.is_some() { "watched by" } else { "a single round by" };
    let (host, ago) = (host(beat), text::ago(beat.at, now));
    let apis = match beat.apis {
        1 => "1 API".to_owned(),
        apis => format!("{} APIs", grouped(&apis.to_string())),
    };
    let mut words = format!("{by} {host}, {ago}: {apis}, {} late", grouped(&beat.late.to_string()));
    if beat.late > 0 {
        let named: Vec<&str> = beat.late_api_ids.iter().take(NAMED).map(|api_id| api_id.as_str()).collect();
        let more = if beat.late > named.len() as u64 { ", …" } else { "" };
        words.push_str(&format!(" ({}{more})", named.join(", ")));
    }
    words
}

/// That no heartbeat comes any more, if that is so.
pub(super) fn overdue_words(beat: &Heartbeat, now: Timestamp) -> Option<String> {
    let period = beat.period.filter(|_| beat.is_overdue(now))?;
    Some(format!(
        "the last heartbeat is {} old, and one should come every {}: `api-health run` does not run on {}, or cannot write to \
         the store; what stands above is from before",
        text::span(now.since(beat.at)),
        text::span(period),
        host(beat),
    ))
}

/// Whether an API was probed on time, as of the heartbeat; `None` where that says nothing of the present or of this API.
pub(super) fn on_time(row: &Row, beat: &Heartbeat, now: Timestamp) -> Option<bool> {
    let probe = row.state.last_probe.as_ref()?;
    // After a single round nobody probes, and an old heartbeat knows nothing of today.
    if beat.period.is_none() || beat.is_overdue(now) || row.config.is_none() || !row.enabled() {
        return None;
    }
    match beat.is_late(&row.state.api_id)? {
        true => (probe.at <= beat.at).then_some(false), // it was heard of since then
        false => Some(true),
    }
}

/// Whether the row is older than the last probe should be, by the schedule at that time.
pub(super) fn is_row_behind(row: &Row, now: Timestamp) -> bool {
    let (Some(probe), Some(config)) = (&row.state.last_probe, &row.config) else { return false };
    let then = Moment { wall: probe.at, uptime: Duration::ZERO };
    let allowed = config.schedule.shortest_gap_from(then).saturating_add(config.timeout);
    now.since(probe.at) > allowed
}

pub(super) fn json_of(beat: &Heartbeat, now: Timestamp) -> Value {
    json!({
        "at": beat.at.to_string(),
        "age_seconds": now.since(beat.at).as_secs(),
        "is_overdue": beat.is_overdue(now),
        "instance": beat.instance,
        "program_version": beat.version,
        "heartbeat_seconds": beat.period.map(|period| period.as_secs()),
        "checkpoint_seconds": beat.checkpoint.as_secs(),
        "apis": beat.apis,
        "up": beat.up,
        "down": beat.down,
        "unknown": beat.unknown,
        "owed": beat.owed,
        "probes": beat.probes,
        "probes_since": beat.probes_since.to_string(),
        "late": beat.late,
        "late_api_ids": beat.late_api_ids.iter().map(|api_id| api_id.as_str()).collect::<Vec<_>>(),
    })
}
