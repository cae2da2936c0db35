//! The history of a seed, to be read.

use std::collections::HashMap;
use std::fmt::Write as _;

use api_health_actors::testkit::stage::{Entry, Event};
use api_health_core::own::records::LeaseRecord;
use api_health_core::{ApiId, ApiState};

/// All that concerns one API (or all of them), a line for each event.
pub(crate) fn lines(journal: &[Entry], of: Option<&ApiId>) -> String {
    let mut text = String::new();
    let mut probes = HashMap::new();
    let mut calls = HashMap::new();
    for Entry { process, at, wall, event } in journal {
        let (api_id, line) = match event {
            Event::ProbeBegan { probe, api } => {
                probes.insert(*probe, api.api_id.clone());
                (Some(api.api_id.clone()), format!("probe {probe} begins ({})", api.schedule))
            }
            Event::ProbeEnded { probe, behaviour, started_at, .. } => {
                (probes.get(probe).cloned(), format!("probe {probe} of {started_at} ends: {behaviour:?}"))
            }
            Event::ProbeCut { probe, panicked } => (
                probes.get(probe).cloned(),
                format!("probe {probe} is cut{}", if *panicked { " by a panic" } else { "" }),
            ),
            Event::Written { record, said } => (
                Some(record.api_id.clone()),
                format!("stored{}: {}", if *said { "" } else { ", and the answer is lost" }, record_in_words(record)),
            ),
            Event::Overwritten { record } => {
                (Some(record.api_id.clone()), format!("somebody else stores: {}", record_in_words(record)))
            }
            Event::Read { api_id, record } => (
                Some(api_id.clone()),
                format!("read: {}", record.as_ref().map_or("nothing".into(), |record| record_in_words(record))),
            ),
            Event::Leased { record } => (None, lease_in_words(record)),
            Event::AllRead => (None, "all records are read".into()),
            Event::Deleted { api_id } => (Some(api_id.clone()), "somebody else deletes the record".into()),
            Event::NotWritten { api_id, conflict } => {
                (Some(api_id.clone()), format!("not stored: {}", if *conflict { "a conflict" } else { "a fault" }))
            }
            Event::DeliverBegan { call, channel, alert } => {
                calls.insert(*call, alert.api_id.clone());
                let (kind, id) = (alert.kind.as_str(), &alert.alert_id);
                (
                    Some(alert.api_id.clone()),
                    format!("{channel} is offered {kind} of {} (call {call}, {id})", alert.happened_at),
                )
            }
            Event::TookOver { call } => (calls.get(call).cloned(), format!("taken over (call {call})")),
            Event::DeliverEnded { call, answered } => {
                (calls.get(call).cloned(), format!("answered: {answered:?} (call {call})"))
            }
            Event::ConfigsRead { rows } => {
                let rows = rows.as_ref().map(|(good, refused)| (good.len(), refused.len()));
                (None, format!("the configs are read, good and refused: {rows:?}"))
            }
            Event::Heartbeat { heartbeat } => {
                (None, format!("a heartbeat: {} APIs, {} late", heartbeat.apis, heartbeat.late))
            }
            Event::CommitBegan { call, writes } => (None, format!("commit {call} of {writes} begins")),
            Event::CommitEnded { call, all_well } => {
                (None, format!("commit {call} ends, {}", if *all_well { "well" } else { "not well" }))
            }
            other => (None, format!("{other:?}")),
        };
        let is_noise =
            of.is_some() && matches!(event, Event::CommitBegan { .. } | Event::CommitEnded { all_well: true, .. });
        if !is_noise && (of.is_none() || api_id.is_none() || api_id.as_ref() == of) {
            let api_id = api_id.as_ref().map_or("", ApiId::as_str);
            let _ = writeln!(text, "{:>12.3} s  {wall}  {process:>2} {api_id:<8} {line}", at.as_secs_f64());
        }
    }
    text
}

fn lease_in_words(record: &LeaseRecord) -> String {
    match record {
        LeaseRecord::Worker(worker) => {
            format!("lease: {} session {}, version {}, {:?}", worker.id, worker.session, worker.version, worker.state)
        }
        LeaseRecord::Assignment(assignment) => {
            let owners = assignment.owners.iter().map(|own| match &own.owner {
                Some(owner) => format!("{}#{}/{}", owner.worker, owner.number, own.epoch),
                None => format!("-/{}", own.epoch),
            });
            format!("assignment {}: {}", assignment.version, owners.collect::<Vec<_>>().join(" "))
        }
    }
}

fn record_in_words(record: &ApiState) -> String {
    let mut text = format!("version {}, epoch {}, {}", record.version, record.epoch, record.status.as_str());
    if let Some(streak) = &record.streak {
        let _ = write!(text, ", {} toward {}", streak.count, streak.toward.as_str());
    }
    if let Some(last) = &record.last_probe {
        let _ = write!(text, ", probed {}", last.at);
    }
    for owed in &record.owed {
        let delivered: Vec<&str> = owed.deliveries.iter().filter(|d| d.delivered).map(|d| d.channel.as_str()).collect();
        let _ = write!(text, ", owes {} (has {delivered:?})", owed.alert.alert_id);
    }
    text
}
