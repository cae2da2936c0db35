//! Self monitoring: the store, the workers, this machine and each prober are watched like APIs.
//!
//! Each has a state, an incident and owed alerts of its own, decided by the same `decide`, under an id with a colon, which nobody
//! can write into a config.

use std::time::Duration;

use super::entry::Entry;
use super::{Keeper, OwnSideKind};
use crate::api::{ApiConfig, ApiId, Policy};
use crate::decide::{Decision, decide};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::status::Status;
use crate::time::Timestamp;

/// A prober that was given up counts as recovered after this many outcomes without a death in between.
const OUTCOMES_OF_A_WELL_PROBER: u32 = 3;

/// So many probes in a row that see a good certificate tell that it was renewed: behind one name there may be several servers.
const RENEWED_AFTER: u32 = 3;

/// A part of the monitor that it watches itself, with what `decide` needs to know of it.
#[derive(Clone, Debug)]
pub(super) struct SelfMonitored {
    pub(super) api_id: ApiId,
    pub(super) name: String,
    url: String,
    success_threshold: u32,
}

impl SelfMonitored {
    fn of(api_id: ApiId, name: String) -> Self {
        Self { api_id, name, url: String::new(), success_threshold: 1 }
    }

    /// What is beside an API bears the API's own name.
    fn beside(api: &ApiConfig, api_id: fn(&ApiId) -> ApiId) -> Self {
        Self { url: api.url.clone(), ..Self::of(api_id(&api.api_id), api.name.to_string()) }
    }

    /// The store, by its display name.
    pub(super) fn store(name: &str) -> Self {
        Self::of(ApiId::monitor_store(), format!("api-health's store ({name})"))
    }

    /// The workers that share the store.
    pub(super) fn fleet() -> Self {
        Self::of(ApiId::monitor_fleet(), "api-health's workers".into())
    }

    /// Whether this machine can keep up.
    pub(super) fn capacity() -> Self {
        Self::of(ApiId::monitor_capacity(), "api-health's capacity".into())
    }

    /// The network or the clock of this worker, whose record lies in that shard.
    pub(super) fn own_side(kind: OwnSideKind, shard: u16, host: &str) -> Self {
        let (api_id, name) = match kind {
            OwnSideKind::Network => (ApiId::monitor_network(shard), "network"),
            OwnSideKind::Clock => (ApiId::monitor_clock(shard), "clock"),
        };
        Self::of(api_id, format!("api-health's {name} on {host}"))
    }

    /// What can be told of an API.
    pub(super) fn unclear(api: &ApiConfig) -> Self {
        Self::beside(api, ApiId::monitor_unclear)
    }

    /// The certificate of an API.
    pub(super) fn certificate(api: &ApiConfig) -> Self {
        Self { success_threshold: RENEWED_AFTER, ..Self::beside(api, ApiId::monitor_certificate) }
    }

    /// The prober of an API.
    pub(super) fn prober(api: &ApiConfig) -> Self {
        Self {
            name: format!("api-health's prober of {}", api.name),
            success_threshold: OUTCOMES_OF_A_WELL_PROBER,
            ..Self::beside(api, ApiId::monitor_prober)
        }
    }

    pub(super) fn policy(&self) -> Policy<'_> {
        Policy {
            api_id: &self.api_id,
            name: &self.name,
            url: &self.url,
            failure_threshold: 1,
            success_threshold: self.success_threshold,
            recheck: Duration::ZERO,
            request_fingerprint: 0,
            flap: None,
            remind_after: None,
            hold: None,
        }
    }
}

/// The outcome for a part of the monitor: down because of `fault`, which began at `began_at`, or up.
pub(super) fn self_outcome(fault: Option<String>, began_at: Timestamp, now: Timestamp) -> Outcome {
    Outcome {
        started_at: began_at,
        finished_at: now,
        verdict: if fault.is_some() { Verdict::Fail } else { Verdict::Pass },
        latency_ms: None,
        status_code: None,
        evidence: None,
        reasons: fault.into_iter().collect(),
        certificate: None,
        figures: crate::ProbeFigures::default(),
    }
}

impl Keeper {
    /// The prober of an API died too often. An alert says so, and the API is shown as unknown until the prober has recovered; the
    /// stored status stays as it is.
    pub fn on_prober_given_up(&mut self, api: &ApiConfig, why: String, now: Moment) {
        if self.ledger.get(&api.api_id).is_some_and(Entry::is_watched) {
            self.given_up.insert(api.api_id.clone());
            self.decide_about(&SelfMonitored::prober(api), Some(why), now, now.wall);
        }
    }

    /// A prober that was given up has reported an outcome.
    pub(super) fn on_prober_recovered(&mut self, api: &ApiConfig, now: Moment) {
        self.decide_about(&SelfMonitored::prober(api), None, now, now.wall);
        if self.ledger.get(&ApiId::monitor_prober(&api.api_id)).is_some_and(|entry| entry.state.incident.is_none()) {
            self.given_up.remove(&api.api_id);
        }
    }

    /// Fewer workers live than are expected, in words; `None`: enough do. The leader alerts.
    pub fn on_fleet_status(&mut self, fault: Option<String>, now: Moment) {
        self.update_self_monitored(&SelfMonitored::fleet(), fault, now);
    }

    /// This machine cannot keep up with what is configured, in words; `None`: it can. The leader alerts; the other workers only log
    /// it.
    pub fn on_capacity_status(&mut self, fault: Option<String>, now: Moment) {
        self.own_side.has_capacity = fault.is_none();
        let what = SelfMonitored::capacity();
        self.update_self_monitored(&what, fault, now);
        self.note_open_or_ended(&what.api_id);
    }

    pub(super) fn update_self_monitored(&mut self, what: &SelfMonitored, fault: Option<String>, now: Moment) {
        if fault.is_some() != self.has_incident(&what.api_id) {
            self.decide_about(what, fault, now, now.wall);
        }
    }

    /// Whether the record under this id is down.
    pub(super) fn has_incident(&self, api_id: &ApiId) -> bool {
        self.state(api_id).is_some_and(|state| state.incident.is_some())
    }

    pub(super) fn status_of(&self, api_id: &ApiId) -> Status {
        self.state(api_id).map_or(Status::Unknown, |state| state.status)
    }

    /// What follows for a record beside that of an API. The alert bears the status that the API has by itself.
    pub(super) fn decide_beside(
        &self,
        api: &ApiConfig,
        what: &SelfMonitored,
        state: &ApiState,
        outcome: &Outcome,
        now: Moment,
    ) -> Decision {
        let channels = self.setup.routes.of(&what.api_id, Some(&api.tags));
        let mut decision = decide(state, outcome, &what.policy(), &channels, now.wall);
        if let Some(owed) = decision.next.owed.last_mut().filter(|_| decision.enqueued) {
            owed.alert.previous_status = self.status_of(&api.api_id);
        }
        decision
    }

    pub(super) fn decide_about(
        &mut self,
        what: &SelfMonitored,
        fault: Option<String>,
        now: Moment,
        began_at: Timestamp,
    ) {
        if self.owned.owns(&what.api_id) {
            let outcome = self_outcome(fault, began_at, now.wall);
            self.decide(&what.policy(), &outcome, now);
        }
    }
}
