//! The state of one API: what has to survive a restart.

use crate::alert::{Alert, AlertKind};
use crate::api::ApiId;
use crate::delivery::{self, OwedAlert};
use crate::flap::Flap;
use crate::history::Story;
use crate::hold::Held;
use crate::incident::{Ended, Incident};
use crate::maintenance::Maintenance;
use crate::outcome::Verdict;
use crate::recent::Recent;
use crate::status::Status;
use crate::time::Timestamp;

/// The status that a streak would confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toward {
    /// Fails in a row: an outage.
    Down,
    /// Passes in a row: a recovery.
    Up,
}

impl Toward {
    /// The status that it leads to.
    pub const fn status(self) -> Status {
        match self {
            Self::Down => Status::Down,
            Self::Up => Status::Up,
        }
    }

    /// The alert that its confirmation owes.
    pub const fn kind(self) -> AlertKind {
        match self {
            Self::Down => AlertKind::Down,
            Self::Up => AlertKind::Up,
        }
    }

    /// The word for it in JSON and in the stored record.
    pub const fn as_str(self) -> &'static str {
        self.status().as_str()
    }
}

/// Outcomes in a row that contradict the present status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streak {
    /// What they would lead to.
    pub toward: Toward,
    /// The [fingerprint](crate::ApiConfig::request_fingerprint) of the request that they answer; 0: not noted. Outcomes of another
    /// request are another streak.
    pub request_fingerprint: u16,
    /// How many there are; at least 1, and less than the threshold.
    pub count: u32,
    /// The start of the first of them, which dates the change if it is confirmed.
    pub first_at: Timestamp,
}

/// The last probe, as shown to people. Nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastProbe {
    /// When it ended.
    pub at: Timestamp,
    pub verdict: Verdict,
    /// How long the exchange took, if there was an answer.
    pub latency_ms: Option<u32>,
    /// The HTTP status code, if there was an answer.
    pub status_code: Option<u16>,
    /// Why it was not a pass.
    pub error: Option<String>,
}

impl LastProbe {
    /// The most bytes of why it was not a pass, so that a record that is in no incident stays within one write unit of DynamoDB.
    pub const ERROR_BYTES_MAX: usize = 220;
}

/// The state of one API: one record in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiState {
    pub api_id: ApiId,
    /// Grows by one with each stored write; 0 for a state that was never stored.
    pub version: u64,
    /// The fencing token of the worker that wrote the record: the epoch of its shard. It never falls; 0 where the store is not
    /// shared.
    pub epoch: u64,
    /// The confirmed status.
    pub status: Status,
    /// When that status began; `None` while unknown.
    pub since: Option<Timestamp>,
    /// Outcomes that contradict it: the API is *suspect*. `None`: there are none.
    pub streak: Option<Streak>,
    /// The open incident; there is one exactly while the status is down.
    pub incident: Option<Box<Incident>>,
    /// The status of the last alert, delivered or owed; [`Status::Unknown`] if none was. It differs from the status only while
    /// something is held.
    pub last_alerted: Status,
    /// Changes that were confirmed and not alerted yet.
    pub held: Option<Box<Held>>,
    /// Its latest changes, where it is looked at for flapping.
    pub flap: Option<Box<Flap>>,
    /// A maintenance window that a person opened by hand; it may be over.
    pub maintenance: Option<Box<Maintenance>>,
    /// Alerts that are not delivered everywhere yet, oldest first.
    pub owed: Vec<OwedAlert>,
    /// Incidents that are over and that history does not have yet, oldest first; at most
    /// [`AWAITING_HISTORY_MAX`](crate::history::story::AWAITING_HISTORY_MAX).
    pub awaiting_history: Vec<Story>,
    /// The incidents whose end was delivered last.
    pub ended: Ended,
    pub last_probe: Option<LastProbe>,
    pub recent: Recent,
    /// Ticks that could not run since the API was first seen.
    pub missed_ticks: u64,
}

impl ApiState {
    /// The state of an API that was never probed.
    pub fn unknown(api_id: ApiId) -> Self {
        Self {
            api_id,
            version: 0,
            epoch: 0,
            status: Status::Unknown,
            since: None,
            streak: None,
            incident: None,
            last_alerted: Status::Unknown,
            held: None,
            flap: None,
            maintenance: None,
            owed: Vec::new(),
            awaiting_history: Vec::new(),
            ended: Ended::default(),
            last_probe: None,
            recent: Recent::default(),
            missed_ticks: 0,
        }
    }

    /// A channel has an alert: see [`delivery::mark_delivered`]. If all of them have the end of an incident by that, it is noted.
    pub(crate) fn mark_delivered(&mut self, alert_id: &str, channel: &str) -> bool {
        let ends = |alert: &&Alert| {
            alert.alert_id == alert_id && !alert.kind.starts_incident() && !alert.kind.changes_no_status()
        };
        let ended = self.owed.iter().map(|owed| &owed.alert).find(ends).map(|alert| alert.incident_id.clone());
        let is_news = delivery::mark_delivered(&mut self.owed, alert_id, channel);
        let is_owed = || self.owed.iter().any(|owed| owed.alert.alert_id == alert_id);
        if let Some(incident_id) = ended.filter(|_| !is_owed()) {
            self.ended.note(&incident_id);
        }
        is_news
    }

    /// Whether it changes too often for an alert of each change.
    pub fn is_flapping(&self) -> bool {
        self.flap.as_ref().is_some_and(|flap| flap.since.is_some())
    }

    /// Whether the last outcomes contradict the present status, so that it is probed again soon.
    pub fn is_suspect(&self) -> bool {
        self.streak.is_some()
    }
}

/// Small, plain values for this crate's own tests.
#[cfg(test)]
pub(crate) mod tests_support {
    use crate::api::{ApiConfig, ApiId};
    use crate::schedule::Schedule;
    use std::sync::Arc;
    use std::time::Duration;

    pub(crate) fn config() -> ApiConfig {
        ApiConfig {
            name: "Shop".into(),
            ..ApiConfig::plain(
                ApiId::parse("shop").unwrap(),
                "https://shop.test/health".into(),
                Arc::new(Schedule::every(Duration::from_secs(60))),
            )
        }
    }
}
