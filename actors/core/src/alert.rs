//! What people are told: one alert for each confirmed change of status. The words are made in `src/notify`.

use crate::api::ApiId;
use crate::state::Status;
use crate::time::Timestamp;

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertKind {
    /// The API went down.
    Down,
    /// The API came back.
    Up,
}

impl AlertKind {
    /// The word for it in ids, in machine forms and in the stored record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Down, Self::Up].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The status that it tells of.
    pub const fn status(self) -> Status {
        match self {
            Self::Down => Status::Down,
            Self::Up => Status::Up,
        }
    }
}

/// One thing to tell, complete: a notifier needs nothing else to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The same in every repeat, and in no other alert: what a receiver deduplicates by.
    pub alert_id: String,
    /// The incident that it opens or ends.
    pub incident_id: String,
    /// What it tells.
    pub kind: AlertKind,
    /// The API.
    pub api_id: ApiId,
    /// Its name when this was decided.
    pub name: String,
    /// Its URL when this was decided.
    pub url: String,
    /// The status before.
    pub previous_status: Status,
    /// When it happened: the start of the first probe of the streak.
    pub happened_at: Timestamp,
    /// When it was confirmed.
    pub detected_at: Timestamp,
    /// When the incident began; equal to `happened_at` for [`AlertKind::Down`].
    pub incident_started_at: Timestamp,
    /// Why: for an outage what failed, for a recovery what had failed.
    pub reason: String,
    /// Changes that came after this one and are not told, because the outbox was full (see
    /// [`delivery::OWED_MAX`](crate::delivery::OWED_MAX)); they cancel each other out. Nearly always 0.
    pub changes_left_out: u32,
}

impl Alert {
    /// The id of the alert that tells `kind` of an incident. It names the change, never the subject: a channel that
    /// drops repeats must not take a recovery for a repeat of the outage.
    pub fn id(incident_id: &str, kind: AlertKind) -> String {
        format!("{incident_id}.{}", kind.as_str())
    }
}
