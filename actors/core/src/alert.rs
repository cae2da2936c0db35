//! What people are told: one alert for each confirmed change of status. The words are made in `src/notify`.

use crate::api::ApiId;
use crate::status::Status;
use crate::time::Timestamp;

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertKind {
    Down,
    Up,
    /// The API is no longer watched, and was down when that was decided: nobody will see it come back.
    Closed,
}

impl AlertKind {
    /// The word for it in ids, in machine forms and in the stored record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Closed => "closed",
        }
    }

    /// Whether it begins an incident; the others end one. Of one API they come in turn.
    pub const fn starts_incident(self) -> bool {
        matches!(self, Self::Down)
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Down, Self::Up, Self::Closed].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The status that it tells of: that of an API that is not watched is unknown.
    pub const fn status(self) -> Status {
        match self {
            Self::Down => Status::Down,
            Self::Up => Status::Up,
            Self::Closed => Status::Unknown,
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
    pub kind: AlertKind,
    pub api_id: ApiId,
    /// Its name when this was decided.
    pub name: String,
    /// Its URL when this was decided; empty for the monitor's own store.
    pub url: String,
    /// The status before; unknown where an outage is taken back that was told and never stored.
    pub previous_status: Status,
    /// When it happened: the start of the first probe of the streak; for [`AlertKind::Closed`] when it was closed.
    pub happened_at: Timestamp,
    /// When it was confirmed.
    pub detected_at: Timestamp,
    /// When the incident began; equal to `happened_at` for [`AlertKind::Down`].
    pub incident_started_at: Timestamp,
    /// Why: for an outage what failed, for a recovery what had failed, for an incident that is closed why that is.
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

    /// Whether it takes an outage back that was told while it could not be stored, and that proved not to be in the record.
    pub fn is_withdrawal(&self) -> bool {
        self.kind == AlertKind::Closed && self.previous_status == Status::Unknown
    }
}
