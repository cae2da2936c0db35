//! What was seen when a status changed, in words and for machines: in alerts, and in `explain`.

use std::time::Duration;

use api_health_core::{Evidence, PhaseTimes, text};
use serde::Serialize;

use super::format;

/// The form for machines: the same names as in the machine form of an alert and in `explain --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvidencePayload {
    pub seen_at: String,
    pub addresses: Vec<String>,
    pub more_addresses: u16,
    pub address: Option<String>,
    pub phases: PhasesPayload,
    pub status_line: Option<String>,
    pub certificate: Option<CertificatePayload>,
    pub body_start: Option<String>,
    pub witnesses_well: Vec<String>,
    pub witnesses_ill: Vec<String>,
}

/// In milliseconds; `None` of what did not happen or did not end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhasesPayload {
    pub resolve_ms: Option<f64>,
    pub connect_ms: Option<f64>,
    pub tls_ms: Option<f64>,
    pub first_byte_ms: Option<f64>,
    pub body_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificatePayload {
    pub subject: String,
    pub issuer: String,
    pub not_before: String,
    pub not_after: String,
}

impl From<&Evidence> for EvidencePayload {
    fn from(seen: &Evidence) -> Self {
        let line = |stored: &String| text::line(stored, stored.len());
        let ms = |time: Option<Duration>| time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
        let PhaseTimes { resolve, connect, tls, first_byte, body } = seen.phases;
        Self {
            seen_at: seen.seen_at.to_string(),
            addresses: seen.addresses.iter().map(ToString::to_string).collect(),
            more_addresses: seen.more_addresses,
            address: seen.address.map(|address| address.to_string()),
            phases: PhasesPayload {
                resolve_ms: ms(resolve),
                connect_ms: ms(connect),
                tls_ms: ms(tls),
                first_byte_ms: ms(first_byte),
                body_ms: ms(body),
            },
            status_line: seen.status_line.as_ref().map(line),
            certificate: seen.certificate.as_ref().map(|certificate| CertificatePayload {
                subject: line(&certificate.subject),
                issuer: line(&certificate.issuer),
                not_before: certificate.not_before.to_string(),
                not_after: certificate.not_after.to_string(),
            }),
            body_start: seen.body_start.as_ref().map(line),
            witnesses_well: seen.well.iter().map(line).collect(),
            witnesses_ill: seen.ill.iter().map(line).collect(),
        }
    }
}

/// What there is to know of it, one thing a line.
pub(crate) fn facts(seen: &Evidence) -> Vec<(&'static str, String)> {
    let line = |stored: &String| text::line(stored, stored.len());
    let mut facts = Vec::new();
    let answer = seen.status_line.as_ref().map_or_else(|| "no answer".to_owned(), line);
    let all = seen.addresses.len() + usize::from(seen.more_addresses);
    match seen.address {
        Some(address) if all > 1 => facts.push(("Seen", format!("{answer}, from {address}, one of {all} addresses"))),
        Some(address) => facts.push(("Seen", format!("{answer}, from {address}"))),
        None if all > 0 => facts.push(("Seen", format!("{answer}; its name has {all} addresses"))),
        None => facts.push(("Seen", answer)),
    }
    let PhaseTimes { resolve, connect, tls, first_byte, body } = seen.phases;
    let phases = [("name", resolve), ("connect", connect), ("TLS", tls), ("first byte", first_byte), ("body", body)];
    let times: Vec<String> =
        phases.iter().filter_map(|(phase, time)| Some(format!("{phase} {}", format::millis((*time)?)))).collect();
    if !times.is_empty() {
        facts.push(("Took", times.join(", ")));
    }
    if let Some(certificate) = &seen.certificate {
        let day = |at| format::moment(at).split(' ').next().unwrap_or_default().to_owned();
        let (subject, issuer) = (line(&certificate.subject), line(&certificate.issuer));
        let (from, to) = (day(certificate.not_before), day(certificate.not_after));
        facts.push(("Certificate", format!("of {subject}, by {issuer}, from {from} to {to}")));
    }
    if let Some(body) = &seen.body_start {
        facts.push(("Body", line(body)));
    }
    let witnesses = [("well", &seen.well), ("not well", &seen.ill)];
    let said: Vec<String> = witnesses
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word}: {}", names.iter().map(line).collect::<Vec<_>>().join(", ")))
        .collect();
    if !said.is_empty() {
        facts.push(("Witnesses", said.join("; ")));
    }
    facts
}
