//! Self monitoring: the store, the workers, this machine and each prober are watched like APIs.
//!
//! Each has a state, an incident and owed alerts of its own, decided by the same `decide`, under an id with a colon, which nobody
//! can write into a config.

use std::time::Duration;

use super::Keeper;
use super::entry::Entry;
use crate::api::{ApiConfig, ApiId, Policy};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::Moment;
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
    /// The store, by its display name.
    pub(super) fn store(name: &str) -> Self {
        let name = format!("api-health's store ({name})");
        Self { api_id: ApiId::monitor_store(), name, url: String::new(), success_threshold: 1 }
    }

    /// The workers that share the store.
    pub(super) fn fleet() -> Self {
        let name = "api-health's workers".to_owned();
        Self { api_id: ApiId::monitor_fleet(), name, url: String::new(), success_threshold: 1 }
    }

    /// Whether this machine can keep up.
    pub(super) fn capacity() -> Self {
        let name = "api-health's capacity".to_owned();
        Self { api_id: ApiId::monitor_capacity(), name, url: String::new(), success_threshold: 1 }
    }

    /// The network of this worker, whose record lies in that shard.
    pub(super) fn network(shard: u16, host: &str) -> Self {
        let name = format!("api-health's network on {host}");
        Self { api_id: ApiId::monitor_network(shard), name, url: String::new(), success_threshold: 1 }
    }

    /// The clock of this worker, likewise.
    pub(super) fn clock(shard: u16, host: &str) -> Self {
        let name = format!("api-health's clock on {host}");
        Self { api_id: ApiId::monitor_clock(shard), name, url: String::new(), success_threshold: 1 }
    }

    /// What can be told of an API. It bears the API's own name.
    pub(super) fn unclear(api: &ApiConfig) -> Self {
        let (name, url) = (api.name.to_string(), api.url.clone());
        Self { api_id: ApiId::monitor_unclear(&api.api_id), name, url, success_threshold: 1 }
    }

    /// The certificate of an API. It bears the API's own name.
    pub(super) fn certificate(api: &ApiConfig) -> Self {
        let (name, url) = (api.name.to_string(), api.url.clone());
        Self { api_id: ApiId::monitor_certificate(&api.api_id), name, url, success_threshold: RENEWED_AFTER }
    }

    /// The prober of an API.
    pub(super) fn prober(api: &ApiConfig) -> Self {
        Self {
            api_id: ApiId::monitor_prober(&api.api_id),
            name: format!("api-health's prober of {}", api.name),
            url: api.url.clone(),
            success_threshold: OUTCOMES_OF_A_WELL_PROBER,
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
        let is_down = self.ledger.get(&what.api_id).is_some_and(|entry| entry.state.incident.is_some());
        if fault.is_some() != is_down {
            self.decide_about(what, fault, now, now.wall);
        }
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
