//! What is decided upon: an API, or something that the monitor watches about itself.
//!
//! The monitor's own health is told like any API's: the store that takes no writes and the prober that was given up have
//! a state, an incident and owed alerts of their own, under ids that no person can write.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::Moment;
use api_health_core::{ApiConfig, ApiId, Outcome, Policy, Timestamp, Verdict};

/// A prober that was given up is well again when it has handed over so many outcomes without a death between them.
pub(super) const OUTCOMES_OF_A_WELL_PROBER: u32 = 3;

/// By what an outcome is decided.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// An API, by the config that it was judged by.
    Api(Arc<ApiConfig>),
    /// One of the monitor's own.
    Own(Arc<Own>),
}

/// Something that the monitor watches about itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    api_id: ApiId,
    name: String,
    url: String,
    success_threshold: u32,
}

impl Own {
    /// The store, by what people call it.
    pub(super) fn store(name: &str) -> Self {
        Self {
            api_id: ApiId::own_store(),
            name: format!("api-health's store ({name})"),
            url: String::new(),
            success_threshold: 1,
        }
    }

    /// The prober of an API.
    pub(super) fn prober(api: &ApiConfig) -> Self {
        Self {
            api_id: ApiId::own_prober(&api.api_id),
            name: format!("api-health's prober of {}", api.name),
            url: api.url.clone(),
            success_threshold: OUTCOMES_OF_A_WELL_PROBER,
        }
    }
}

impl Subject {
    pub(super) fn api_id(&self) -> &ApiId {
        match self {
            Self::Api(api) => &api.api_id,
            Self::Own(own) => &own.api_id,
        }
    }

    /// The wait after an outcome of that time that asks for another: never slower than the schedule, as with the prober.
    pub(super) fn recheck_from(&self, wall: Timestamp) -> Duration {
        match self {
            Self::Api(api) => {
                // A gap between two ticks is the same whatever the uptime.
                let now = Moment { wall, uptime: Duration::ZERO };
                api.recheck.min(api.schedule.shortest_gap_from(now))
            }
            Self::Own(_) => Duration::ZERO,
        }
    }

    pub(super) fn policy(&self) -> Policy<'_> {
        match self {
            Self::Api(api) => api.policy(),
            Self::Own(own) => Policy {
                api_id: &own.api_id,
                name: &own.name,
                url: &own.url,
                failure_threshold: 1,
                success_threshold: own.success_threshold,
                recheck: Duration::ZERO,
            },
        }
    }
}

/// What the monitor found out about itself at `now`: a fault, or that all is well.
pub(super) fn own_outcome(fault: Option<String>, began_at: Timestamp, now: Timestamp) -> Outcome {
    Outcome {
        started_at: began_at,
        finished_at: now,
        verdict: if fault.is_some() { Verdict::Fail } else { Verdict::Pass },
        latency_ms: None,
        status_code: None,
        reasons: fault.into_iter().collect(),
    }
}
