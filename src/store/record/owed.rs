//! An owed alert as it stands in a record, and what came of its deliveries.

use std::borrow::Cow;

use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::{Alert, AlertKind, ApiId, Status};
use serde::{Deserialize, Serialize};

use super::evidence::{StoredEvidence, into_evidence};
use super::{StatusWord, Time};

/// An owed alert; its API is that of the record.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredOwed<'a> {
    alert_id: Cow<'a, str>,
    incident_id: Cow<'a, str>,
    #[serde(with = "KindWord")]
    kind: AlertKind,
    name: Cow<'a, str>,
    /// What the monitor watches about itself has none. Absent then, as some that speak DynamoDB's language store no empty text.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    url: Cow<'a, str>,
    #[serde(with = "StatusWord")]
    previous_status: Status,
    happened_at: Time,
    detected_at: Time,
    incident_started_at: Time,
    reason: Cow<'a, str>,
    changes_left_out: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<StoredEvidence<'a>>,
    /// The channels that must have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owed_to: Vec<Cow<'a, str>>,
    /// Since schema 2.
    #[serde(default)]
    deliveries: Vec<StoredDelivery<'a>>,
    /// The channels that have it, in schema 1.
    #[serde(default, skip_serializing)]
    delivered_to: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredDelivery<'a> {
    channel: Cow<'a, str>,
    delivered: bool,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Time>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AlertKind", rename_all = "snake_case")]
pub(crate) enum KindWord {
    Down,
    Up,
    Closed,
    Flapping,
    Reminder,
}

impl<'a> From<&'a OwedAlert> for StoredOwed<'a> {
    fn from(owed: &'a OwedAlert) -> Self {
        let alert = &owed.alert;
        Self {
            alert_id: alert.alert_id.as_str().into(),
            incident_id: alert.incident_id.as_str().into(),
            kind: alert.kind,
            name: alert.name.as_str().into(),
            url: alert.url.as_str().into(),
            previous_status: alert.previous_status,
            happened_at: Time(alert.happened_at),
            detected_at: Time(alert.detected_at),
            incident_started_at: Time(alert.incident_started_at),
            reason: alert.reason.as_str().into(),
            changes_left_out: alert.changes_left_out,
            evidence: alert.evidence.as_deref().map(StoredEvidence::from),
            owed_to: owed.owed_to.iter().map(|channel| channel.as_str().into()).collect(),
            deliveries: owed.deliveries.iter().map(StoredDelivery::from).collect(),
            delivered_to: Vec::new(),
        }
    }
}

impl<'a> From<&'a Delivery> for StoredDelivery<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            channel: delivery.channel.as_str().into(),
            delivered: delivery.delivered,
            failures: delivery.failures,
            last_error: delivery.last_error.as_deref().map(Cow::Borrowed),
            next_try_at: delivery.next_try_at.map(Time),
        }
    }
}

impl From<StoredDelivery<'_>> for Delivery {
    fn from(stored: StoredDelivery<'_>) -> Self {
        Self {
            channel: stored.channel.into_owned(),
            delivered: stored.delivered,
            failures: stored.failures,
            last_error: stored.last_error.map(Cow::into_owned),
            next_try_at: stored.next_try_at.map(|time| time.0),
        }
    }
}

impl StoredOwed<'_> {
    pub(super) fn into_owed(self, api_id: &ApiId) -> OwedAlert {
        OwedAlert {
            alert: Alert {
                alert_id: self.alert_id.into_owned(),
                incident_id: self.incident_id.into_owned(),
                kind: self.kind,
                api_id: api_id.clone(),
                name: self.name.into_owned(),
                url: self.url.into_owned(),
                previous_status: self.previous_status,
                happened_at: self.happened_at.0,
                detected_at: self.detected_at.0,
                incident_started_at: self.incident_started_at.0,
                reason: self.reason.into_owned(),
                changes_left_out: self.changes_left_out,
                evidence: into_evidence(self.evidence),
            },
            owed_to: self.owed_to.into_iter().map(Cow::into_owned).collect(),
            deliveries: self
                .deliveries
                .into_iter()
                .map(Delivery::from)
                .chain(self.delivered_to.into_iter().map(|channel| Delivery {
                    channel,
                    delivered: true,
                    ..Delivery::default()
                }))
                .collect(),
        }
    }
}
