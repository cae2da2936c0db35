//! What `fleet` prints: a table for people, JSON for scripts.

use api_health_core::Timestamp;
use api_health_core::own::notices::{Ask, AskFor};
use api_health_core::own::records::{Role, WorkerRecord, WorkerState};
use api_health_core::own::shards::Shard;
use serde_json::{Value, json};

use super::sight::Sight;
use crate::cli::out::{BAD, DIM, GOOD, Out};
use crate::cli::table::{Cell, Table};
use crate::cli::text;

/// The last asks that are printed; `--json` has all.
const ASKS_SHOWN: usize = 5;

pub(super) fn text_of(store: &str, sight: &Sight, now: Timestamp, out: &Out) -> String {
    let Some(assignment) = &sight.assignment else {
        return format!("no worker has used {store} yet\n");
    };
    let mut table = Table::new(&[
        "WORKER",
        "HOST",
        "STATE",
        "?ROLE",
        "?SINCE",
        "LAST SEEN",
        ">SHARDS",
        "?>APIS",
        "?CHANNELS",
        "VERSION",
    ]);
    let mut owners = String::new();
    for record in sight.workers.values() {
        let shards: Vec<Shard> = sight.owned_by(record).into_keys().collect();
        let heartbeat = record.heartbeat.as_ref();
        table.push(vec![
            record.id.as_str().into(),
            record.host.as_str().into(),
            state_cell(record.state),
            role(record.role).into(),
            text::span(now.since(record.started_at)).into(),
            heartbeat.map_or("-".into(), |heartbeat| text::ago(heartbeat.at, now)).into(),
            shards.len().to_string().into(),
            heartbeat.map_or("-".into(), |heartbeat| heartbeat.apis.to_string()).into(),
            channels(record).into(),
            record.program.as_str().into(),
        ]);
        if !shards.is_empty() {
            owners.push_str(&format!("{} owns {}\n", record.id, ranges(&shards)));
        }
    }
    let free = sight.free();
    if free.is_empty() {
        owners.push_str(&format!("each of the {} shards has an owner\n", assignment.shards()));
    } else {
        let what = format!("nobody owns {}", ranges(&free));
        owners.push_str(&format!("{}\n", out.paint(BAD, &what)));
    }
    let mut asks = String::new();
    for ask in assignment.asks.iter().rev().take(ASKS_SHOWN) {
        asks.push_str(&format!("asked {}: {}\n", text::ago(ask.at, now), ask_words(ask)));
    }
    let schema = assignment.writes_schema;
    format!("{}\n{owners}{asks}states are written in schema {schema}\n", table.render(out))
}

fn state_word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Live => "live",
        WorkerState::Left => "left",
        WorkerState::Fenced => "fenced",
    }
}

fn state_cell(state: WorkerState) -> Cell {
    let style = match state {
        WorkerState::Live => GOOD,
        WorkerState::Left => DIM,
        WorkerState::Fenced => BAD,
    };
    Cell::styled(state_word(state), style)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Worker => "worker",
        Role::Standby => "standby",
    }
}

fn channels(record: &WorkerRecord) -> String {
    let names: Vec<String> = record.channels.iter().map(|channel| text::line(channel)).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

/// `shards 0-20, 22, 40-63`.
fn ranges(shards: &[Shard]) -> String {
    let mut ranges: Vec<(u16, u16)> = vec![];
    for number in shards.iter().map(|shard| shard.number()) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    let shards = if shards.len() == 1 { "shard" } else { "shards" };
    format!("{shards} {}", words.join(", "))
}

fn ask_words(ask: &Ask) -> String {
    match &ask.what {
        AskFor::Retry { alert_ids: Some(ids) } => format!("try {} again now", text::count(ids.len(), "owed alert")),
        AskFor::Retry { alert_ids: None } => "try what is owed again now".to_owned(),
        AskFor::Withdraw { api_id, incident_id, .. } => {
            format!("take back what was told of {api_id} and not stored ({})", text::line(incident_id))
        }
        AskFor::DropChannel { channel } => format!("owe nothing more to {}", text::line(channel)),
        AskFor::Maintenance { of, window: Some(window) } => {
            format!("hold alerts of {} until {}", text::line(&of.to_string()), window.until)
        }
        AskFor::Maintenance { of, window: None } => format!("end maintenance of {}", text::line(&of.to_string())),
    }
}

/// `owner_pid`: of an SQLite file.
pub(super) fn json_of(store: &str, sight: &Sight, owner_pid: Option<u32>, now: Timestamp) -> Value {
    let assignment = sight.assignment.as_ref();
    json!({
        "schema": 1,
        "at": now.to_string(),
        "store": store,
        "owner_pid": owner_pid,
        "shards": assignment.map(|assignment| assignment.shards()),
        "unowned_shards": sight.free().iter().map(|shard| shard.number()).collect::<Vec<_>>(),
        "writes_schema": assignment.map(|assignment| assignment.writes_schema),
        "workers": sight.workers.values().map(|record| json_of_worker(sight, record, now)).collect::<Vec<_>>(),
        "asks": assignment.iter().flat_map(|assignment| &assignment.asks).map(json_of_ask).collect::<Vec<_>>(),
    })
}

fn json_of_worker(sight: &Sight, record: &WorkerRecord, now: Timestamp) -> Value {
    let owned = sight.owned_by(record).into_iter();
    let shards: Vec<Value> = owned.map(|(shard, epoch)| json!({ "shard": shard.number(), "epoch": epoch })).collect();
    let heartbeat = record.heartbeat.as_ref();
    json!({
        "worker": record.id.as_str(),
        "host": record.host,
        "state": state_word(record.state),
        "role": role(record.role),
        "session": record.session,
        "version": record.version,
        "since": record.started_at.to_string(),
        "last_seen_at": heartbeat.map(|heartbeat| heartbeat.at.to_string()),
        "last_seen_seconds": heartbeat.map(|heartbeat| now.since(heartbeat.at).as_secs()),
        "lease_seconds": record.lease.as_secs_f64(),
        "renew_seconds": record.renew.as_secs_f64(),
        "program_version": record.program,
        "reads_schema": record.speaks.reads_schema,
        "channels": record.channels,
        "shards": shards,
        "apis": heartbeat.map(|heartbeat| heartbeat.apis),
    })
}

fn json_of_ask(ask: &Ask) -> Value {
    let (what, about) = match &ask.what {
        AskFor::Retry { alert_ids } => ("retry", json!({ "alert_ids": alert_ids })),
        AskFor::Withdraw { api_id, incident_id, .. } => {
            ("withdraw", json!({ "api_id": api_id.as_str(), "incident_id": incident_id }))
        }
        AskFor::DropChannel { channel } => ("drop_channel", json!({ "channel": channel })),
        AskFor::Maintenance { of, window } => {
            let until = window.as_ref().map(|window| window.until.to_string());
            ("maintenance", json!({ "all": of.all, "api_ids": of.api_ids, "tags": of.tags, "until": until }))
        }
    };
    let mut json = json!({
        "id": ask.id,
        "at": ask.at.to_string(),
        "what": what,
        "api_id": null,
        "alert_ids": null,
        "incident_id": null,
        "channel": null,
    });
    for (key, value) in about.as_object().into_iter().flatten() {
        json[key] = value.clone();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_told_in_ranges() {
        let shards = |numbers: &[u16]| ranges(&numbers.iter().map(|n| Shard::new(*n)).collect::<Vec<_>>());
        assert_eq!(shards(&[0, 1, 2, 5, 7, 8]), "shards 0-2, 5, 7-8");
        assert_eq!(shards(&[63]), "shard 63");
    }
}
