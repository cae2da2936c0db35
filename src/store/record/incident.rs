//! An incident as it stands in a record.

use std::borrow::Cow;

use api_health_core::incident::Incident;
use serde::{Deserialize, Serialize};

use super::Time;
use super::evidence::{StoredEvidence, into_evidence};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredIncident<'a> {
    incident_id: Cow<'a, str>,
    started_at: Time,
    reason: Cow<'a, str>,
    /// Since schema 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    /// Since schema 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    /// The channels that must hear of its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owed_to: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<StoredEvidence<'a>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    reminders: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl<'a> From<&'a Incident> for StoredIncident<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            incident_id: incident.incident_id.as_str().into(),
            started_at: Time(incident.started_at),
            reason: incident.reason.as_str().into(),
            name: Some(incident.name.as_str().into()),
            url: Some(incident.url.as_str()).filter(|url| !url.is_empty()).map(Cow::Borrowed),
            owed_to: incident.owed_to.iter().map(|channel| channel.as_str().into()).collect(),
            reminders: incident.reminders,
            evidence: incident.evidence.as_deref().map(StoredEvidence::from),
        }
    }
}

impl StoredIncident<'_> {
    pub(super) fn into_incident(self, api_id: &str) -> Incident {
        Incident {
            incident_id: self.incident_id.into_owned(),
            started_at: self.started_at.0,
            reason: self.reason.into_owned(),
            name: self.name.map_or_else(|| api_id.to_owned(), Cow::into_owned),
            url: self.url.unwrap_or_default().into_owned(),
            owed_to: self.owed_to.into_iter().map(Cow::into_owned).collect(),
            reminders: self.reminders,
            evidence: into_evidence(self.evidence),
        }
    }
}
