//! The stored form of what is held, of the latest changes, and of a maintenance window that was opened by hand.

use std::borrow::Cow;

use api_health_core::Status;
use api_health_core::flap::Flap;
use api_health_core::hold::Held;
use api_health_core::maintenance::{Maintenance, NOTE_CHARS_MAX};
use api_health_core::text;
use serde::{Deserialize, Serialize};

use super::incident::StoredIncident;
use super::{StatusWord, Time};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredHeld<'a> {
    #[serde(with = "StatusWord")]
    from: Status,
    changes: u32,
    confirmed_at: Time,
    why: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<StoredIncident<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredFlap {
    changes: Vec<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(default)]
    told: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredMaintenance<'a> {
    since: Time,
    until: Time,
    note: Cow<'a, str>,
}

impl<'a> From<&'a Held> for StoredHeld<'a> {
    fn from(held: &'a Held) -> Self {
        Self {
            from: held.from,
            changes: held.changes,
            confirmed_at: Time(held.confirmed_at),
            why: held.why.as_str().into(),
            ended: held.ended.as_deref().map(StoredIncident::from),
        }
    }
}

impl StoredHeld<'_> {
    pub(super) fn into_held(self, api_id: &str) -> Held {
        Held {
            from: self.from,
            changes: self.changes,
            confirmed_at: self.confirmed_at.0,
            why: self.why.into_owned(),
            ended: self.ended.map(|ended| Box::new(ended.into_incident(api_id))),
        }
    }
}

impl From<&Flap> for StoredFlap {
    fn from(flap: &Flap) -> Self {
        let changes = flap.changes.iter().copied().map(Time).collect();
        Self { changes, since: flap.since.map(Time), told: flap.is_alerted }
    }
}

impl From<StoredFlap> for Flap {
    fn from(stored: StoredFlap) -> Self {
        let changes = stored.changes.into_iter().map(|time| time.0).collect();
        Self { changes, since: stored.since.map(|time| time.0), is_alerted: stored.told }
    }
}

impl<'a> From<&'a Maintenance> for StoredMaintenance<'a> {
    fn from(window: &'a Maintenance) -> Self {
        Self { since: Time(window.since), until: Time(window.until), note: window.note.as_str().into() }
    }
}

impl From<StoredMaintenance<'_>> for Maintenance {
    fn from(stored: StoredMaintenance<'_>) -> Self {
        Self { since: stored.since.0, until: stored.until.0, note: text::line(&stored.note, NOTE_CHARS_MAX) }
    }
}
