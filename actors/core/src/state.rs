//! What is known of one API, and has to survive a restart.

use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::delivery::{Claim, OwedAlert};
use crate::incident::Incident;
use crate::outcome::Verdict;
use crate::time::Timestamp;

/// The confirmed status of an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// No outcome has settled it yet.
    #[default]
    Unknown,
    /// It answers as asked.
    Up,
    /// It does not.
    Down,
}

impl Status {
    /// The word for it in tables, machine forms and the stored record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unknown, Self::Up, Self::Down].into_iter().find(|status| status.as_str() == text)
    }
}

/// Outcomes in a row that speak against the present status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streak {
    /// What they would lead to.
    pub toward: AlertKind,
    /// How many there are; at least 1, and less than the threshold.
    pub count: u32,
    /// The start of the first of them: when it happened, should it be confirmed.
    pub first_at: Timestamp,
}

/// The last probe, for people to look at; nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastProbe {
    /// When it was over.
    pub at: Timestamp,
    /// Its verdict.
    pub verdict: Verdict,
    /// How long the exchange took, if there was an answer.
    pub latency_ms: Option<u32>,
    /// The HTTP status code, if there was an answer.
    pub status_code: Option<u16>,
    /// Why it was not a pass.
    pub error: Option<String>,
}

/// The state of one API: one record in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiState {
    /// The key.
    pub api_id: ApiId,
    /// Grows by one with each stored write; 0 for a state that was never stored.
    pub version: u64,
    /// The confirmed status.
    pub status: Status,
    /// When that status began; `None` while unknown.
    pub since: Option<Timestamp>,
    /// Outcomes that speak against it, if there are any just now: the API is *suspect*.
    pub streak: Option<Streak>,
    /// The open incident; there is one exactly while the status is down.
    pub incident: Option<Incident>,
    /// The last status that was told or is owed; [`Status::Unknown`] if nothing ever was.
    pub last_told: Status,
    /// Alerts that are not delivered everywhere yet, oldest first.
    pub owed: Vec<OwedAlert>,
    /// Which process hands the owed alerts over just now, if one does.
    pub claim: Option<Claim>,
    /// The last probe.
    pub last_probe: Option<LastProbe>,
    /// Ticks that could not run since the API was first seen.
    pub missed_ticks: u64,
}

impl ApiState {
    /// The state of an API of which nothing is known.
    pub fn unknown(api_id: ApiId) -> Self {
        Self {
            api_id,
            version: 0,
            status: Status::Unknown,
            since: None,
            streak: None,
            incident: None,
            last_told: Status::Unknown,
            owed: Vec::new(),
            claim: None,
            last_probe: None,
            missed_ticks: 0,
        }
    }

    /// Whether the last outcomes speak against the present status, so that it should be probed again soon.
    pub fn is_suspect(&self) -> bool {
        self.streak.is_some()
    }
}

/// Small, plain values for this crate's own tests.
#[cfg(test)]
pub(crate) mod tests_support {
    use crate::api::{ApiConfig, ApiId, Method};
    use crate::schedule::Schedule;
    use crate::status_set::StatusSet;
    use std::sync::Arc;
    use std::time::Duration;

    pub(crate) fn config() -> ApiConfig {
        ApiConfig {
            api_id: ApiId::parse("shop").unwrap(),
            name: "Shop".into(),
            url: "https://shop.test/health".into(),
            method: Method::Get,
            headers: vec![],
            body: None,
            expected_status: StatusSet::default(),
            timeout: Duration::from_secs(10),
            max_redirects: 0,
            schedule: Arc::new(Schedule::every(Duration::from_secs(60))),
            enabled: true,
            failure_threshold: 2,
            success_threshold: 2,
            recheck: Duration::from_secs(5),
            tags: vec![],
        }
    }
}
