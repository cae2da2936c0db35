//! An incident as it stands in a record.

use std::borrow::Cow;

use api_health_core::AlertKind;
use api_health_core::history::Story;
use api_health_core::incident::{DeliveredAlert, Incident};
use serde::{Deserialize, Serialize};

use super::evidence::{StoredEvidence, into_evidence};
use super::{KindWord, Time, is_zero};

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
    /// When it was confirmed and who has what of it. A version that does not know these leaves them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<StoredDelivery<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredDelivery<'a> {
    channel: Cow<'a, str>,
    #[serde(with = "KindWord")]
    kind: AlertKind,
    at: Time,
}

/// An incident that is over, and that history does not have yet.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredStory<'a> {
    incident: StoredIncident<'a>,
    began_at: Time,
    ended_at: Time,
    end_confirmed_at: Time,
    #[serde(default)]
    is_closed: bool,
    #[serde(default)]
    excluded_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_evidence: Option<StoredEvidence<'a>>,
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
            confirmed_at: incident.confirmed_at.map(Time),
            told: incident.delivered.iter().map(StoredDelivery::from).collect(),
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
            confirmed_at: self.confirmed_at.map(|at| at.0),
            delivered: self.told.into_iter().map(DeliveredAlert::from).collect(),
            evidence: into_evidence(self.evidence),
        }
    }
}

impl<'a> From<&'a DeliveredAlert> for StoredDelivery<'a> {
    fn from(told: &'a DeliveredAlert) -> Self {
        Self { channel: told.channel.as_str().into(), kind: told.kind, at: Time(told.at) }
    }
}

impl From<StoredDelivery<'_>> for DeliveredAlert {
    fn from(stored: StoredDelivery<'_>) -> Self {
        Self { channel: stored.channel.into_owned(), kind: stored.kind, at: stored.at.0 }
    }
}

impl<'a> From<&'a Story> for StoredStory<'a> {
    fn from(story: &'a Story) -> Self {
        Self {
            incident: StoredIncident::from(&story.incident),
            began_at: Time(story.began_at),
            ended_at: Time(story.ended_at),
            end_confirmed_at: Time(story.end_confirmed_at),
            is_closed: story.is_closed,
            excluded_ms: story.excluded_ms,
            end_evidence: story.end_evidence.as_deref().map(StoredEvidence::from),
        }
    }
}

impl StoredStory<'_> {
    pub(super) fn into_story(self, api_id: &str) -> Story {
        Story {
            incident: self.incident.into_incident(api_id),
            began_at: self.began_at.0,
            ended_at: self.ended_at.0,
            end_confirmed_at: self.end_confirmed_at.0,
            is_closed: self.is_closed,
            excluded_ms: self.excluded_ms,
            end_evidence: into_evidence(self.end_evidence),
        }
    }
}
