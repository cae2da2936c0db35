//! What `status` makes of the heartbeat: who watches, how long ago that was known, and who was probed on time where a row is
//! older than its last probe.

use std::time::Duration;

use api_health_core::schedule::Moment;
use api_health_core::words::number;
use api_health_core::{ApiId, Heartbeat, Timestamp};
use serde_json::{Value, json};

use super::Row;
use crate::cli::text;

/// APIs that the footer names of those that are late, and of those that could not be told; `--json` has more.
const NAMED: usize = 5;

/// The host of an instance, which is named `host:pid:start`.
fn host(heartbeat: &Heartbeat) -> String {
    text::line(heartbeat.instance.split(':').next().unwrap_or_default())
}

/// `ip-10-0-1-7`, or `3 workers (ip-10-0-1-7, ip-10-0-2-9, …)`.
fn hosts(heartbeats: &[Heartbeat]) -> String {
    if let [one] = heartbeats {
        return host(one);
    }
    let named: Vec<String> = heartbeats.iter().take(NAMED).map(host).collect();
    let more = if heartbeats.len() > named.len() { ", …" } else { "" };
    format!("{} ({}{more})", text::count(heartbeats.len(), "worker"), named.join(", "))
}

/// `watched by ip-10-0-1-7, 12 s ago: 1,000 APIs, 0 late, 3 could not be told`: what `heartbeat` says, which is all of `each` as one.
/// `are_on`: heartbeats are written by these settings.
pub(in crate::cli) fn words(heartbeat: &Heartbeat, each: &[Heartbeat], are_on: bool, now: Timestamp) -> String {
    let by = match heartbeat.period {
        Some(_) if !are_on => "heartbeats are off (store.heartbeat_seconds = 0); the last one came from",
        Some(_) => "watched by",
        None => "a single round by",
    };
    let (hosts, ago) = (hosts(each), text::ago(heartbeat.at, now));
    let apis = match heartbeat.apis {
        1 => "1 API".to_owned(),
        apis => format!("{} APIs", number(apis)),
    };
    let mut words = format!("{by} {hosts}, {ago}: {apis}, {} late", number(heartbeat.late));
    words.push_str(&named(heartbeat.late, &heartbeat.late_api_ids));
    if heartbeat.inconclusive > 0 {
        words.push_str(&format!(", {} could not be told", number(heartbeat.inconclusive)));
        words.push_str(&named(heartbeat.inconclusive, &heartbeat.inconclusive_api_ids));
    }
    words
}

/// ` (shop, mail, …)`, or nothing where there is none.
fn named(count: u64, ids: &[ApiId]) -> String {
    if count == 0 {
        return String::new();
    }
    let named: Vec<&str> = ids.iter().take(NAMED).map(ApiId::as_str).collect();
    let more = if count > named.len() as u64 { ", …" } else { "" };
    format!(" ({}{more})", named.join(", "))
}

/// A warning where heartbeats have stopped coming; none where they were switched off since.
pub(in crate::cli) fn overdue_words(heartbeat: &Heartbeat, now: Timestamp) -> Option<String> {
    let period = heartbeat.period.filter(|_| heartbeat.is_overdue(now))?;
    Some(format!(
        "the last heartbeat is {} old, and one should come every {}: `api-health run` does not run on {}, or cannot write to \
         the store",
        text::span(now.since(heartbeat.at)),
        text::span(period),
        host(heartbeat),
    ))
}

/// Whether the row is older than the last probe should be, by the schedule at that time.
pub(super) fn is_row_behind(row: &Row, now: Timestamp) -> bool {
    let (Some(probe), Some(config)) = (&row.state.last_probe, row.config()) else { return false };
    let then = Moment { wall: probe.at, monotonic: Duration::ZERO };
    let allowed = config.schedule.shortest_gap_from(then).saturating_add(config.timeout);
    now.since(probe.at) > allowed
}

pub(super) fn json_of(heartbeat: &Heartbeat, are_on: bool, now: Timestamp) -> Value {
    json!({
        "at": heartbeat.at.to_string(),
        "age_seconds": now.since(heartbeat.at).as_secs(),
        "is_overdue": are_on && heartbeat.is_overdue(now),
        "instance": heartbeat.instance,
        "program_version": heartbeat.version,
        "heartbeat_seconds": heartbeat.period.map(|period| period.as_secs()),
        "checkpoint_seconds": heartbeat.checkpoint.as_secs(),
        "apis": heartbeat.apis,
        "up": heartbeat.up,
        "down": heartbeat.down,
        "unknown": heartbeat.unknown,
        "owed": heartbeat.owed,
        "probes": heartbeat.probes,
        "probes_since": heartbeat.probes_since.to_string(),
        "late": heartbeat.late,
        "late_api_ids": heartbeat.late_api_ids.iter().map(ApiId::as_str).collect::<Vec<_>>(),
        "inconclusive": heartbeat.inconclusive,
        "inconclusive_api_ids": heartbeat.inconclusive_api_ids.iter().map(ApiId::as_str).collect::<Vec<_>>(),
    })
}
