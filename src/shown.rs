//! How an API is by what is stored of it: its record, what the monitor tells beside it, and the last heartbeats. For commands that look at
//! the store, and for the page where other workers watch.

use std::collections::HashMap;
use std::sync::Arc;

use api_health_actors::liveness::SLACK;
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::view::{ApiView, Beside, Trouble};
use api_health_core::{ApiConfig, ApiId, ApiState, Heartbeat, Status, Timestamp};

/// What the monitor tells of itself, by the id of each part.
#[derive(Debug, Default)]
pub struct Own(HashMap<ApiId, Incident>);

impl Own {
    /// Takes it out of all records; what is left are those of APIs.
    pub fn split(states: Vec<ApiState>) -> (Self, Vec<ApiState>) {
        let (own, states): (Vec<_>, Vec<_>) = states.into_iter().partition(|state| state.api_id.is_self_monitoring());
        (Self(own.into_iter().filter_map(|state| Some((state.api_id, *state.incident?))).collect()), states)
    }

    pub fn get(&self, api_id: &ApiId) -> Option<&Incident> {
        self.0.get(api_id)
    }

    fn beside(&self, api_id: &ApiId) -> Beside {
        let trouble = |id: ApiId| self.get(&id).map(Trouble::of);
        Beside {
            not_probed: trouble(ApiId::monitor_prober(api_id)),
            unclear: trouble(ApiId::monitor_unclear(api_id)),
            certificate: trouble(ApiId::monitor_certificate(api_id)),
        }
    }
}

/// How it is at `now`, and what the heartbeat says of it.
pub fn view(
    state: &ApiState,
    config: Option<&Arc<ApiConfig>>,
    own: &Own,
    heartbeat: Option<&Heartbeat>,
    now: Timestamp,
) -> (ApiView, Option<Said>) {
    let mut view = ApiView::of(state, config, own.beside(&state.api_id), now);
    let said = heartbeat.and_then(|heartbeat| said(&view, heartbeat, now));
    match said {
        Some(Said::Late) => view.late_after = heartbeat.map(|heartbeat| heartbeat.at),
        // Its record is from before.
        Some(Said::CouldNotTell) => {
            if let Some(probe) = &mut view.last_probe {
                (probe.verdict, probe.error) =
                    (Verdict::Inconclusive, Some("the last probe could tell nothing".into()));
            }
        }
        Some(Said::OnTime) | None => {}
    }
    (view, said)
}

/// What a heartbeat says of one API, where it says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was probed when it should have been, and the probe could tell.
    OnTime,
    /// It was not probed when it should have been.
    Late,
    /// It was probed, and the probe could not tell: what the record says of it is from before.
    CouldNotTell,
}

/// What the heartbeat says of an API; `None` where that is nothing of the present or of this API.
fn said(view: &ApiView, heartbeat: &Heartbeat, now: Timestamp) -> Option<Said> {
    let (probe, api_id) = (view.last_probe.as_ref()?, &view.api_id);
    // After a single round nobody probes, and an old heartbeat knows nothing of today.
    if heartbeat.period.is_none() || heartbeat.is_overdue(now) || view.config.is_none() || !view.is_enabled() {
        return None;
    }
    // Who is named in it is watched. Of the time after the heartbeat it knows nothing.
    let is_from_before = probe.at <= heartbeat.at;
    if heartbeat.late_api_ids.contains(api_id) {
        return is_from_before.then_some(Said::Late);
    }
    if heartbeat.inconclusive_api_ids.contains(api_id) {
        return is_from_before.then_some(Said::CouldNotTell);
    }
    let is_well = heartbeat.is_late(api_id) == Some(false) && heartbeat.is_inconclusive(api_id) == Some(false);
    let is_known = view.status != Status::Unknown && view.beside.not_probed.is_none();
    (is_well && is_known && is_watched(view, heartbeat)).then_some(Said::OnTime)
}

/// Whether the record is as fresh as that of a watched API is. The heartbeat does not list who is watched, and one that is not
/// (its config came an hour ago, in a source that the daemon does not read) is not late either. The first probe after a write
/// begins the wait for the next one, so a record may be a gap older than the checkpoint.
fn is_watched(view: &ApiView, heartbeat: &Heartbeat) -> bool {
    let (Some(probe), Some(config)) = (&view.last_probe, &view.config) else { return false };
    let age = heartbeat.at.since(probe.at);
    let without_gap = heartbeat.checkpoint.saturating_add(config.timeout.saturating_mul(2)).saturating_add(SLACK);
    // The gaps of a cron expression take a while to find.
    age <= without_gap || age <= without_gap.saturating_add(config.schedule.longest_gap())
}
