//! What was seen when a status changed, in words and for machines: in alerts, and in `explain`.

use std::time::Duration;

use api_health_core::{Evidence, PhaseTimes, text};
use serde::Serialize;

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
