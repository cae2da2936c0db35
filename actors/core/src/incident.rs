//! An incident: from a confirmed outage to the recovery that ends it.

use std::sync::Arc;

use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::evidence::Evidence;
use crate::time::Timestamp;

/// An open incident of one API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incident {
    /// Names this incident, and no other of any API.
    pub incident_id: String,
    /// The start of the first failing probe of the streak that confirmed it.
    pub started_at: Timestamp,
    /// Why the probe that confirmed it failed.
    pub reason: String,
    /// The API's name when it began, for an alert that comes when there is no config any longer.
    pub name: String,
    /// The API's URL when it began, for the same alert.
    pub url: String,
    /// The channels that its outage was owed to: they must get its end as well.
    pub owed_to: Vec<String>,
    /// What was seen when it was confirmed.
    pub evidence: Option<Arc<Evidence>>,
    /// How often people were reminded of it.
    pub reminders: u32,
    /// When it was confirmed; `None` where an earlier version did not note that.
    pub confirmed_at: Option<Timestamp>,
    /// Which channels have its beginning, and its end, and since when; the first [`TOLD_MAX`](Incident::TOLD_MAX). Nothing is decided by it.
    pub told: Vec<ToldTo>,
}

/// A channel has an alert of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldTo {
    pub channel: String,
    pub kind: AlertKind,
    pub at: Timestamp,
}

impl Incident {
    /// Beginning and end through eight channels.
    pub const TOLD_MAX: usize = 16;

    /// Notes that a channel has an alert of it. Reminders are counted elsewhere.
    pub(crate) fn note_told(&mut self, channel: &str, kind: AlertKind, at: Timestamp) {
        let is_known = self.told.iter().any(|told| told.kind == kind && told.channel == channel);
        if !kind.is_aside() && !is_known && self.told.len() < Self::TOLD_MAX {
            self.told.push(ToldTo { channel: channel.to_owned(), kind, at });
        }
    }

    /// Its end is no longer owed to this channel. Returns whether it was.
    pub(crate) fn drop_channel(&mut self, channel: &str) -> bool {
        let before = self.owed_to.len();
        self.owed_to.retain(|owed_to| owed_to != channel);
        self.owed_to.len() != before
    }

    /// Of which API it is; `None`: it is one of the monitor's own.
    pub fn of_api(&self) -> Option<(ApiId, Timestamp)> {
        Self::of_id(&self.incident_id)
    }

    /// Whose incident has this id, and when it began. Those of the monitor itself are none of an API.
    pub fn of_id(incident_id: &str) -> Option<(ApiId, Timestamp)> {
        let (rest, _version) = incident_id.rsplit_once('.')?;
        let (api_id, started_at) = rest.rsplit_once('.')?;
        Some((ApiId::parse(api_id).ok()?, Timestamp::from_millis(started_at.parse().ok()?)))
    }

    /// The id of the incident of `api_id` that the record of version `version` opens: the API, the start in
    /// milliseconds and the version, which grows with each write, so that not even a clock set back repeats one.
    pub fn id(api_id: &ApiId, started_at: Timestamp, version: u64) -> String {
        format!("{api_id}.{}.{version}", started_at.as_millis())
    }
}
