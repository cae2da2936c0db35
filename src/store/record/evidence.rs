//! The stored form of evidence, inside an incident and an owed alert. A version that does not know it leaves it out.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::PhaseTimes;
use api_health_core::evidence::{Certificate, Evidence};
use serde::{Deserialize, Serialize};

use super::{Time, is_zero};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredEvidence<'a> {
    seen_at: Time,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "is_zero")]
    more_addresses: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    phases_us: StoredPhases,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_line: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<StoredCertificate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_start: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    witnesses_well: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    witnesses_ill: Vec<Cow<'a, str>>,
}

/// In whole microseconds.
#[derive(Serialize, Deserialize)]
struct StoredPhases {
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredCertificate<'a> {
    subject: Cow<'a, str>,
    issuer: Cow<'a, str>,
    not_before: Time,
    not_after: Time,
}

impl<'a> From<&'a Evidence> for StoredEvidence<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        let us = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let PhaseTimes { resolve, connect, tls, first_byte, body } = evidence.phases;
        Self {
            seen_at: Time(evidence.seen_at),
            addresses: evidence.addresses.clone(),
            more_addresses: evidence.more_addresses,
            address: evidence.address,
            phases_us: StoredPhases {
                resolve: us(resolve),
                connect: us(connect),
                tls: us(tls),
                first_byte: us(first_byte),
                body: us(body),
            },
            status_line: text(&evidence.status_line),
            certificate: evidence.certificate.as_ref().map(|certificate| StoredCertificate {
                subject: certificate.subject.as_str().into(),
                issuer: certificate.issuer.as_str().into(),
                not_before: Time(certificate.not_before),
                not_after: Time(certificate.not_after),
            }),
            body_start: text(&evidence.body_start),
            witnesses_well: evidence.well.iter().map(|name| name.as_str().into()).collect(),
            witnesses_ill: evidence.ill.iter().map(|name| name.as_str().into()).collect(),
        }
    }
}

impl StoredEvidence<'_> {
    pub(super) fn into_evidence(self) -> Evidence {
        let StoredPhases { resolve, connect, tls, first_byte, body } = self.phases_us;
        let time = |us: Option<u64>| us.map(Duration::from_micros);
        Evidence {
            seen_at: self.seen_at.0,
            addresses: self.addresses,
            more_addresses: self.more_addresses,
            address: self.address,
            phases: PhaseTimes {
                resolve: time(resolve),
                connect: time(connect),
                tls: time(tls),
                first_byte: time(first_byte),
                body: time(body),
            },
            status_line: self.status_line.map(Cow::into_owned),
            certificate: self.certificate.map(|certificate| Certificate {
                subject: certificate.subject.into_owned(),
                issuer: certificate.issuer.into_owned(),
                not_before: certificate.not_before.0,
                not_after: certificate.not_after.0,
            }),
            body_start: self.body_start.map(Cow::into_owned),
            well: self.witnesses_well.into_iter().map(Cow::into_owned).collect(),
            ill: self.witnesses_ill.into_iter().map(Cow::into_owned).collect(),
        }
    }
}

pub(super) fn into_evidence(stored: Option<StoredEvidence<'_>>) -> Option<Arc<Evidence>> {
    stored.map(|stored| Arc::new(stored.into_evidence()))
}
