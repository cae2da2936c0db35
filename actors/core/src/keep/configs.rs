//! Applies config changes: an API that is no longer watched has its incident closed, and outcomes of an old request no longer
//! count.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::heartbeats::late_after;
use super::holds::Dependents;
use super::{Keeper, LogEvent};
use crate::api::{ApiConfig, ApiId};
use crate::decide::stop_watching;
use crate::schedule::{Moment, Slot};
use crate::supervise::RESTARTS_PER_SECOND;

/// The reason given when a start finds the state of an API that has no row.
const NOT_CONFIGURED: &str = "it is no longer configured";

/// A change of the set of monitored APIs. The keeper must get it before their probers start.
#[derive(Clone, Debug, Default)]
pub struct ConfigDiff {
    /// APIs to watch from now on.
    pub started: Vec<Arc<ApiConfig>>,
    /// Watched APIs with a new config.
    pub changed: Vec<Arc<ApiConfig>>,
    /// APIs that are no longer watched, and why.
    pub stopped: Vec<(ApiId, &'static str)>,
    /// Every API that is configured, where that is certain: any other stored state is of an API that was removed while no process
    /// ran.
    pub configured: Option<HashSet<ApiId>>,
    /// Who depends on whom, of all that is configured, whoever owns it; `None`: that has not changed.
    pub dependents: Option<Dependents>,
}

impl Keeper {
    /// Applies a config change.
    pub fn apply_configs(&mut self, diff: &ConfigDiff, now: Moment) {
        self.is_configured = true;
        for api in diff.started.iter().chain(&diff.changed).filter(|api| self.owned.owns(&api.api_id)) {
            let entry = self.ledger.entry(&api.api_id);
            entry.request_fingerprint = Some(api.request_fingerprint());
            entry.api = Some(Arc::clone(api));
        }
        let mut unserved = diff.started.iter().chain(&diff.changed).filter(|api| !self.setup.routes.serves(&api.tags));
        if let Some(first) = unserved.next() {
            self.log.push(LogEvent::Unserved { api_id: first.api_id.clone(), others: unserved.count() });
        }
        if let Some(dependents) = &diff.dependents {
            self.holds.dependents.clone_from(dependents);
        }
        self.expect_first_outcomes(&diff.started, now);
        self.expect_first_outcomes(&diff.changed, now);
        for (api_id, why) in &diff.stopped {
            self.stop_watching(api_id, why, now);
        }
        if let Some(configured) = &diff.configured {
            let is_gone = |id: &ApiId| match id.about_api() {
                Some(about) => !configured.contains(&about),
                None => !id.is_self_monitoring() && !configured.contains(id),
            };
            let gone: Vec<ApiId> = self.ledger.entries.keys().filter(|id| is_gone(id)).cloned().collect();
            for api_id in gone {
                self.stop_watching(&api_id, NOT_CONFIGURED, now);
            }
        }
        self.write_queued(now);
        self.answer_waiters();
    }

    /// Neither the API nor its prober is watched from now on.
    fn stop_watching(&mut self, api_id: &ApiId, why: &'static str, now: Moment) {
        self.stop_recording(api_id, now);
        self.given_up.remove(api_id);
        self.unclear.forget(api_id);
        self.certificates.remove(api_id);
        let api = self.ledger.get(api_id).and_then(|entry| entry.api.clone());
        let beside = [ApiId::monitor_prober, ApiId::monitor_unclear, ApiId::monitor_certificate];
        for id in std::iter::once(api_id.clone()).chain(beside.map(|of| of(api_id))) {
            let Some(entry) = self.ledger.get_mut(&id) else { continue };
            (entry.request_fingerprint, entry.api) = (None, None);
            let channels = self.setup.routes.of(&id, api.as_ref().map(|api| api.tags.as_slice()));
            if let Some(decision) = stop_watching(&entry.state, why, &channels, now.wall) {
                self.apply_decision(&id, decision, now);
            }
        }
    }

    /// Expects an outcome of each by its next tick. Probers are not all started at once.
    fn expect_first_outcomes(&mut self, apis: &[Arc<ApiConfig>], now: Moment) {
        let starting = Duration::from_secs(apis.len() as u64 / u64::from(RESTARTS_PER_SECOND));
        for api in apis {
            let (once, spread) = (self.setup.once, self.setup.spread);
            let Some(entry) = self.ledger.get_mut(&api.api_id) else { continue };
            let slot = if spread { Slot::of(&api.api_id) } else { Slot::AT_TICK };
            let wait = if once {
                Some(Duration::ZERO) // it is probed now, and only now
            } else {
                api.schedule.next_due(slot, now).map(|due| due.wait(now))
            };
            let expected = wait.and_then(|wait| late_after(now.monotonic, wait.saturating_add(starting), api));
            // A recheck that is set already comes first.
            let asked_again = entry.late_after.filter(|_| entry.state.is_suspect());
            entry.late_after = expected.map(|at| asked_again.map_or(at, |again| again.max(at)));
        }
    }

    /// The APIs that are watched.
    pub(super) fn watched(&self) -> impl Iterator<Item = (&ApiId, &Entry)> {
        self.ledger.entries.iter().map(|(api_id, entry)| (api_id, &**entry)).filter(|(_, entry)| entry.is_watched())
    }
}
