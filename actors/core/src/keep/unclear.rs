//! Who cannot be judged, and when that is alerted: so that nobody is blind in silence.
//!
//! An API of which nothing but inconclusive outcomes come, or none at all, is alerted as unclear after a while
//! ([`ApiConfig::unclear_after`]), once, and once when it can be judged again. That is a record of its own beside the API's, whose status
//! stays as it is. While an alert says that our own network, clock or capacity is at fault that explains it, and it is alerted one
//! interval after that is over, if it is still so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Keeper;
use super::entry::Entry;
use super::log_event::LogEvent;
use super::self_monitoring::{SelfMonitored, self_outcome};
use crate::api::{ApiConfig, ApiId};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::Moment;
use crate::time::Timestamp;

/// How often those are looked for of whom nothing at all is heard.
const SCAN_EVERY: Duration = Duration::from_secs(10);

/// A look that is later than this says more of this machine than of any API: time that it slept through does not count.
const BLIND_AFTER: Duration = Duration::from_secs(2);

/// An API that cannot be judged just now.
#[derive(Clone, Debug)]
struct Doubt {
    api: Arc<ApiConfig>,
    since: Timestamp,
    /// When it is alerted.
    due: Duration,
    /// One interval of it.
    interval: Duration,
    why: String,
}

/// What is known of those that cannot be judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Unclear {
    /// Those without an alert yet.
    doubts: HashMap<ApiId, Doubt>,
    alerted: HashSet<ApiId>,
    looked_at: Option<Duration>,
    scanned_at: Duration,
    /// When our own side was known last to be at fault for it.
    explained_at: Option<Duration>,
}

impl Unclear {
    /// It is watched no longer, or by another worker.
    pub(super) fn forget(&mut self, api_id: &ApiId) {
        let unclear = api_id.unclear_api();
        let api_id = unclear.as_ref().unwrap_or(api_id);
        self.doubts.remove(api_id);
        self.alerted.remove(api_id);
    }

    /// It was alerted by a process before this one.
    pub(super) fn note_alerted(&mut self, api_id: ApiId) {
        self.alerted.insert(api_id);
    }

    fn doubt(&mut self, api: &Arc<ApiConfig>, since: Timestamp, why: String, now: Moment) {
        if self.alerted.contains(&api.api_id) {
            return;
        }
        match self.doubts.get_mut(&api.api_id) {
            Some(doubt) => doubt.why = why,
            None => {
                let due = now.monotonic.saturating_add(api.unclear_after(now));
                let interval = api.schedule.shortest_gap_from(now);
                self.doubts.insert(api.api_id.clone(), Doubt { api: Arc::clone(api), since, due, interval, why });
            }
        }
    }

    /// Those that are to be alerted now.
    fn take_due(&mut self, now: Duration) -> Vec<Doubt> {
        let blind = now.saturating_sub(self.looked_at.replace(now).unwrap_or(now));
        if blind > BLIND_AFTER {
            self.doubts.values_mut().for_each(|doubt| doubt.due = doubt.due.saturating_add(blind));
        }
        let explained_at = self.explained_at;
        let is_due = |doubt: &Doubt| {
            let again = explained_at.map_or(Duration::ZERO, |at| at.saturating_add(doubt.interval));
            now >= doubt.due.max(again)
        };
        let mut due: Vec<ApiId> =
            self.doubts.iter().filter(|(_, doubt)| is_due(doubt)).map(|(api_id, _)| api_id.clone()).collect();
        due.sort_unstable();
        due.iter().filter_map(|api_id| self.doubts.remove(api_id)).collect()
    }
}

impl Keeper {
    /// An outcome came: whether the API can be judged by it.
    pub(super) fn note_clarity(&mut self, api: &Arc<ApiConfig>, outcome: &Outcome, now: Moment) {
        if self.setup.once {
            return;
        }
        if outcome.verdict == Verdict::Inconclusive {
            let why = outcome.reason().unwrap_or_default();
            self.unclear.doubt(api, outcome.started_at, why, now);
            return;
        }
        if !self.unclear.doubts.is_empty() {
            self.unclear.doubts.remove(&api.api_id);
        }
        if !self.unclear.alerted.is_empty() && self.unclear.alerted.remove(&api.api_id) {
            self.decide_unclear(api, None, now.wall, now);
            self.log.push(LogEvent::Clear { api_id: api.api_id.clone(), status: self.status_of(&api.api_id) });
        }
    }

    /// Alerts of those that could not be judged for long.
    pub(super) fn report_unclear(&mut self, now: Moment) {
        self.close_what_is_well(now);
        if self.setup.once || self.shutting_down {
            return;
        }
        if now.monotonic.saturating_sub(self.unclear.scanned_at) >= SCAN_EVERY {
            self.unclear.scanned_at = now.monotonic;
            self.look_for_the_silent(now);
        }
        if !self.own_side.open.is_empty() {
            self.unclear.explained_at = Some(now.monotonic);
        }
        for Doubt { api, since, why, .. } in self.unclear.take_due(now.monotonic) {
            if self.owned.is_releasing(&api.api_id) || self.given_up.contains(&api.api_id) {
                continue; // its next owner finds it, or it is alerted as such
            }
            self.decide_unclear(&api, Some(why.clone()), since, now);
            self.log.push(LogEvent::Unclear { api_id: api.api_id.clone(), since, reason: why });
            self.unclear.alerted.insert(api.api_id.clone());
        }
        self.write_queued(now);
    }

    /// Finds those that should have been heard of. A prober that was given up has an alert of its own.
    fn look_for_the_silent(&mut self, now: Moment) {
        let is_silent = |entry: &Entry| entry.late_after.is_some_and(|after| after <= now.monotonic);
        let silent: Vec<Arc<ApiConfig>> = (self.watched())
            .filter(|(api_id, entry)| is_silent(entry) && !self.given_up.contains(*api_id))
            .filter_map(|(_, entry)| entry.api.clone())
            .collect();
        for api in silent {
            self.unclear.doubt(&api, now.wall, "it was not probed when it was due".into(), now);
        }
    }

    fn decide_unclear(&mut self, api: &ApiConfig, fault: Option<String>, since: Timestamp, now: Moment) {
        let what = SelfMonitored::unclear(api);
        if self.owned.owns(&what.api_id) {
            let outcome = self_outcome(fault, since, now.wall);
            let state = self.ledger.entry(&what.api_id).state.clone();
            let decision = self.decide_beside(api, &what, &state, &outcome, now);
            self.apply_decision(&what.api_id, decision, now);
        }
    }
}
