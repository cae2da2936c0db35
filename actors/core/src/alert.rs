//! An alert tells people of one confirmed change of status. `src/notify` puts it into words.

use std::sync::Arc;

use crate::api::ApiId;
use crate::evidence::Evidence;
use crate::incident::Incident;
use crate::status::Status;
use crate::time::Timestamp;

/// The change that an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertKind {
    Down,
    Up,
    /// The API was down and is no longer watched, so nobody will see it recover; or an outage is withdrawn.
    Closed,
    /// It changes too often, and its changes are held until it is steady.
    Flapping,
    /// It is still down.
    Reminder,
}

impl AlertKind {
    pub const ALL: [Self; 5] = [Self::Down, Self::Up, Self::Closed, Self::Flapping, Self::Reminder];

    /// The word for it in ids, in JSON and in the stored record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Closed => "closed",
            Self::Flapping => "flapping",
            Self::Reminder => "reminder",
        }
    }

    /// Whether it starts an incident. Of one API, alerts that start and that end one alternate.
    pub const fn starts_incident(self) -> bool {
        matches!(self, Self::Down)
    }

    /// Whether it starts or ends none: what people know of the status is the same after it.
    pub const fn changes_no_status(self) -> bool {
        matches!(self, Self::Flapping | Self::Reminder)
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The status after the change; unknown for an API that is no longer watched, and for one that flaps.
    pub const fn status(self) -> Status {
        match self {
            Self::Down | Self::Reminder => Status::Down,
            Self::Up => Status::Up,
            Self::Closed | Self::Flapping => Status::Unknown,
        }
    }
}

/// One alert, complete: a notifier needs nothing else to put it into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The same in every repeat, and in no other alert: receivers deduplicate by it.
    pub alert_id: String,
    /// The incident that it starts or ends.
    pub incident_id: String,
    pub kind: AlertKind,
    pub api_id: ApiId,
    /// Its name when this was decided.
    pub name: String,
    /// Its URL when this was decided; empty for the monitor's own store.
    pub url: String,
    /// The status before the change; of flapping, reminder, certificate and unclear alerts, which change no status, the API's own at
    /// that moment; unknown where an outage is withdrawn.
    pub previous_status: Status,
    /// When it happened: the start of the first probe of the streak; for [`AlertKind::Closed`] when it was closed.
    pub happened_at: Timestamp,
    /// When it was confirmed.
    pub detected_at: Timestamp,
    /// When the incident began; equal to `happened_at` for [`AlertKind::Down`].
    pub incident_started_at: Timestamp,
    /// Why: for an outage what failed, for a recovery what had failed, for an incident that is closed why that is.
    pub reason: String,
    /// Changes beside it without an alert, which cancel each other: earlier ones that were [held](crate::hold), and later ones because
    /// the outbox was full ([`delivery::OWED_MAX`](crate::delivery::OWED_MAX)).
    pub changes_left_out: u32,
    /// What was seen when the change was confirmed.
    pub evidence: Option<Arc<Evidence>>,
}

impl Alert {
    /// One of this kind about an incident of `api_id`, at that moment, by what is known of the incident.
    pub(crate) fn about(incident: &Incident, kind: AlertKind, api_id: &ApiId, at: Timestamp) -> Self {
        Self {
            alert_id: Self::id(&incident.incident_id, kind),
            incident_id: incident.incident_id.clone(),
            kind,
            api_id: api_id.clone(),
            name: incident.name.clone(),
            url: incident.url.clone(),
            previous_status: Status::Unknown,
            happened_at: at,
            detected_at: at,
            incident_started_at: incident.started_at,
            reason: incident.reason.clone(),
            changes_left_out: 0,
            evidence: None,
        }
    }

    /// An outage that a worker sent before it lost the API and could not store: as much of it as it takes to withdraw it.
    pub fn of_lost_outage(api_id: &ApiId, incident_id: String, kind: AlertKind, at: Timestamp) -> Self {
        let (name, reason) = (api_id.to_string(), "its worker lost the API before it could store it".into());
        let incident = Incident { incident_id, started_at: at, reason, name, ..Incident::default() };
        Self::about(&incident, kind, api_id, at)
    }

    /// The id of the alert of this kind for an incident. Outage and recovery have different ids, so that a channel that drops repeats
    /// does not drop the recovery.
    pub fn id(incident_id: &str, kind: AlertKind) -> String {
        format!("{incident_id}.{}", kind.as_str())
    }

    /// Whether the last alert that people get is as true without it.
    pub(crate) fn is_spare(&self) -> bool {
        self.is_withdrawal() || self.kind.changes_no_status()
    }

    /// Whether it withdraws an outage that was sent and is not in the record.
    pub fn is_withdrawal(&self) -> bool {
        self.kind == AlertKind::Closed && self.previous_status == Status::Unknown
    }
}
