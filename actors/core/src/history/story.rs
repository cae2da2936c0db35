//! An incident that is over, with its story: what failed, when it was found, who was told when, and when it came back.
//!
//! It stays in the record of its API until history has it, so that kill -9 loses none ([`ApiState::awaiting_history`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bytes::{FormError, read_json};
use crate::alert::{Alert, AlertKind};
use crate::evidence::{Certificate, Evidence};
use crate::incident::{DeliveredAlert, Incident};
use crate::observation::PhaseTimes;
use crate::state::ApiState;
use crate::status::Status;
use crate::text;
use crate::time::Timestamp;

/// The form of a story that this program writes.
const FORM: u8 = 1;

/// Stories that wait for history in one record; the oldest is dropped where there are more.
pub const AWAITING_HISTORY_MAX: usize = 4;

/// A stretch of time in which an API was down, now over. An incident whose end was held, and that went on, has one for each stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    pub incident: Incident,
    /// The start of the first probe that failed.
    pub began_at: Timestamp,
    /// The start of the first probe that passed; when it was no longer watched, where that ended it.
    pub ended_at: Timestamp,
    /// When the end was confirmed.
    pub end_confirmed_at: Timestamp,
    /// It did not recover, but is no longer watched.
    pub is_closed: bool,
    /// Of the time from beginning to end, what does not count as down.
    pub excluded_ms: u64,
    /// What was seen when the end was confirmed, where that was told at once.
    pub end_evidence: Option<Arc<Evidence>>,
}

impl Story {
    /// What was just over, if a decision led from `before` to `after`.
    pub fn of(before: &ApiState, after: &ApiState, now: Timestamp) -> Option<Self> {
        let incident = before.incident.as_ref().filter(|_| after.status != Status::Down)?;
        let is_its_end = |alert: &Alert| alert.kind == AlertKind::Up && alert.incident_id == incident.incident_id;
        let owed_end = after.owed.last().filter(|owed| is_its_end(&owed.alert));
        Some(Self {
            incident: Incident::clone(incident),
            began_at: before.since.unwrap_or(incident.started_at),
            ended_at: after.since.unwrap_or(now),
            end_confirmed_at: now,
            is_closed: after.status == Status::Unknown,
            excluded_ms: 0,
            end_evidence: owed_end.and_then(|owed| owed.alert.evidence.clone()),
        })
    }

    /// JSON, without what only this program needs: channels that are owed the end, and the URL, which the configs have.
    pub fn encode(&self) -> Vec<u8> {
        let incident = &self.incident;
        let told = incident
            .delivered
            .iter()
            .map(|told| json!({ "channel": told.channel, "kind": told.kind.as_str(), "at": told.at.as_millis() }));
        let mut story = json!({
            "form": FORM,
            "id": incident.incident_id,
            "name": incident.name,
            "reason": incident.reason,
            "incident_started_at": incident.started_at.as_millis(),
            "began_at": self.began_at.as_millis(),
            "ended_at": self.ended_at.as_millis(),
            "end_confirmed_at": self.end_confirmed_at.as_millis(),
            "is_closed": self.is_closed,
            "excluded_ms": self.excluded_ms,
            "reminders": incident.reminders,
            "told": told.collect::<Vec<_>>(),
        });
        if let Some(at) = incident.confirmed_at {
            story["confirmed_at"] = at.as_millis().into();
        }
        if let Some(evidence) = &incident.evidence {
            story["evidence"] = write_evidence(evidence);
        }
        if let Some(evidence) = &self.end_evidence {
            story["end_evidence"] = write_evidence(evidence);
        }
        story.to_string().into_bytes()
    }

    /// Reads the item of an incident.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        read(&read_json(bytes, FORM)?).ok_or(FormError::Damaged("a part of the story is missing"))
    }
}

fn read(story: &Value) -> Option<Story> {
    let told = story["told"].as_array()?.iter().map(|told| {
        Some(DeliveredAlert {
            channel: words(&told["channel"])?,
            kind: AlertKind::parse(told["kind"].as_str()?)?,
            at: time(&told["at"])?,
        })
    });
    let evidence = |name: &str| story.get(name).and_then(read_evidence).map(Arc::new);
    let incident = Incident {
        incident_id: words(&story["id"])?,
        started_at: time(&story["incident_started_at"])?,
        confirmed_at: time(&story["confirmed_at"]),
        reason: words(&story["reason"])?,
        name: words(&story["name"])?,
        url: String::new(),
        owed_to: Vec::new(),
        evidence: evidence("evidence"),
        reminders: number(&story["reminders"])?,
        delivered: told.collect::<Option<_>>()?,
    };
    Some(Story {
        incident,
        began_at: time(&story["began_at"])?,
        ended_at: time(&story["ended_at"])?,
        end_confirmed_at: time(&story["end_confirmed_at"])?,
        is_closed: story["is_closed"].as_bool()?,
        excluded_ms: story["excluded_ms"].as_u64()?,
        end_evidence: evidence("end_evidence"),
    })
}

fn write_evidence(evidence: &Evidence) -> Value {
    let PhaseTimes { resolve, connect, tls, first_byte, body } = evidence.phases;
    let phases = [resolve, connect, tls, first_byte, body].map(|phase| phase.map(|phase| phase.as_micros() as u64));
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("seen_at", evidence.seen_at.as_millis().into());
    put("addresses", evidence.addresses.iter().map(ToString::to_string).collect());
    put("more_addresses", evidence.more_addresses.into());
    put("phases_us", json!(phases));
    put("well", json!(evidence.well));
    put("ill", json!(evidence.ill));
    if let Some(address) = evidence.address {
        put("address", address.to_string().into());
    }
    for (name, words) in [("status_line", &evidence.status_line), ("body_start", &evidence.body_start)] {
        if let Some(words) = words {
            put(name, words.as_str().into());
        }
    }
    if let Some(certificate) = &evidence.certificate {
        let (not_before, not_after) = (certificate.not_before.as_millis(), certificate.not_after.as_millis());
        put("certificate", json!([certificate.subject, certificate.issuer, not_before, not_after]));
    }
    Value::Object(all)
}

fn read_evidence(all: &Value) -> Option<Evidence> {
    let list = |name: &str| all[name].as_array()?.iter().map(words).collect::<Option<Vec<String>>>();
    let phase = |at: usize| all["phases_us"][at].as_u64().map(Duration::from_micros);
    let certificate = all.get("certificate").and_then(|certificate| {
        Some(Certificate {
            subject: words(&certificate[0])?,
            issuer: words(&certificate[1])?,
            not_before: time(&certificate[2])?,
            not_after: time(&certificate[3])?,
        })
    });
    Some(Evidence {
        seen_at: time(&all["seen_at"])?,
        addresses: list("addresses")?.iter().filter_map(|address| address.parse::<IpAddr>().ok()).collect(),
        more_addresses: u16::try_from(all["more_addresses"].as_u64()?).ok()?,
        address: all["address"].as_str().and_then(|address| address.parse::<SocketAddr>().ok()),
        phases: PhaseTimes {
            resolve: phase(0),
            connect: phase(1),
            tls: phase(2),
            first_byte: phase(3),
            body: phase(4),
        },
        status_line: words(&all["status_line"]),
        certificate,
        body_start: words(&all["body_start"]),
        well: list("well")?,
        ill: list("ill")?,
    })
}

/// Text of a store, made safe once more, since it may have been written by hand.
fn words(value: &Value) -> Option<String> {
    value.as_str().map(|words| text::line(words, WORDS_CHARS_MAX))
}

const WORDS_CHARS_MAX: usize = 512;

fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_millis)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
pub(crate) mod tests;
