//! Self monitoring: the store, the workers, this machine and each prober are watched like APIs.
//!
//! Each has a state, an incident and owed alerts of its own, decided by the same `decide`, under an id with a colon, which nobody
//! can write into a config.

use std::time::Duration;

use crate::api::{ApiConfig, ApiId, Policy};
use crate::outcome::{Outcome, Verdict};
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
