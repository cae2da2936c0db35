//! What is told, by whom, in which order, and how often.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{Alert, AlertKind, ApiState};

use super::holds::{folds, told_outage};
use super::{Checked, Fleet, keeps_from_owning, keeps_from_storing};
use crate::fleet_history::What;
use crate::fleet_script::Cut;

/// An alert that no record owes is not told before the store was waited for.
const UNSTORED_MIN: Duration = Duration::from_secs(29);
/// Whoever has an answer stores it within this, if nothing ails it.
const NOTED: Duration = Duration::from_secs(15);

impl Fleet<'_> {
    /// What is owed no longer was told to each channel that it was owed to.
    pub(super) fn removes_what_was_delivered(&mut self, before: &ApiState, record: &ApiState) -> Checked {
        let folds = folds(before, record);
        for was in &before.owed {
            let id = &was.alert.alert_id;
            let is = record.owed.iter().find(|owed| owed.alert.alert_id == *id);
            let Some(one) = self.apis.get_mut(&record.api_id) else { return Ok(()) };
            if is.is_none() && folds {
                one.left_out.insert(id.clone());
                continue;
            }
            for channel in was.pending_channels() {
                let still = is.is_some_and(|is| is.is_pending_for(channel));
                let has_it = one.lanes.iter().any(|((alert, to), lane)| alert == id && *to == channel && lane.taken);
                if !still && !has_it {
                    let what = format!("{id} is owed to {channel} no longer, which never had it");
                    return Err(self.violation("another_channel_strikes_nothing", Some(&record.api_id), what));
                }
            }
        }
        Ok(())
    }

    /// A change that people are to know of and the alert that it owes are in one record.
    pub(super) fn owes_what_changed(&mut self, before: Option<&ApiState>, record: &ApiState) -> Checked {
        let (was, is) = (before.and_then(told_outage), told_outage(record));
        if was == is {
            return Ok(());
        }
        let Some(one) = self.apis.get(&record.api_id) else { return Ok(()) };
        let is_owed = |incident: &str, opens: bool| {
            let owed = record.owed.iter().map(|owed| &owed.alert).filter(|alert| !alert.kind.changes_no_status());
            owed.into_iter().any(|alert| alert.incident_id == incident && alert.kind.starts_incident() == opens)
                || before.is_some_and(|before| folds(before, record))
                || one.lanes.keys().any(|(id, _)| {
                    let kinds: &[AlertKind] =
                        if opens { &[AlertKind::Down] } else { &[AlertKind::Up, AlertKind::Closed] };
                    kinds.iter().any(|kind| *id == Alert::id(incident, *kind))
                })
        };
        let missing = is.filter(|id| !is_owed(id, true)).or_else(|| was.filter(|id| !is_owed(id, false)));
        if let Some(incident) = missing {
            let what = format!("the record knows of {incident}, and does not owe it");
            return Err(self.violation("a_change_and_its_alert_are_stored_at_once", Some(&record.api_id), what));
        }
        Ok(())
    }

    pub(super) fn offered(&mut self, number: u64, channel: &'static str, alert: &Arc<Alert>) -> Checked {
        let api_id = &alert.api_id;
        self.calls.insert(number, (channel, Arc::clone(alert)));
        let (process, now) = (self.process, self.at);
        let Some(one) = self.apis.get(api_id) else { return Ok(()) };
        let plan = &self.script.workers[self.history.processes[process].worker];
        let place = one.stored.iter().position(|(id, _)| *id == alert.alert_id);
        let is_owner = self.owner(api_id) == Some(process);
        // Whom the store refuses tells what it owns, as long as its lease holds.
        let holds_up = |what| keeps_from_storing(what) || (is_owner && what == What::Cut(Cut::StoreRefuses));
        let is_cut_off = self.troubled(process, now.saturating_sub(UNSTORED_MIN), now, holds_up);
        let may_tell_unstored = plan.fail_open && is_cut_off;
        if !is_owner && !may_tell_unstored {
            let what = format!("process {process} tells what process {:?} owns", self.owner(api_id));
            return Err(self.violation("who_may_have_lost_its_lease_begins_no_attempt", Some(api_id), what));
        }
        if self.troubled(process, now, now, |what| what == What::Cut(Cut::StoreRefuses)) && !is_owner {
            return Err(self.violation("whom_the_store_refuses_keeps_quiet", Some(api_id), "it is refused, and tells"));
        }
        // What the last owner wrote may still land, until the next one has written the record.
        let is_sealed = one.record.as_ref().is_none_or(|record| record.epoch >= self.held(api_id).taken_with);
        if is_owner && !is_sealed && !may_tell_unstored {
            let what = format!("process {process} tells of a record that its last owner may still write");
            return Err(self.violation("what_was_owed_is_sealed_before_it_is_told", Some(api_id), what));
        }
        let Some(place) = place else {
            if !may_tell_unstored {
                return Err(self.violation("stored_before_it_is_told", Some(api_id), "no record ever owed it"));
            }
            return self.first_told(alert);
        };
        let is_untold = |(id, owed_to): &&(String, Vec<String>)| {
            let lane = one.lanes.get(&(id.clone(), channel));
            owed_to.iter().any(|to| to == channel) && !one.left_out.contains(id) && lane.is_none_or(|lane| !lane.taken)
        };
        if let Some((before, _)) = one.stored[..place].iter().find(is_untold)
            && !may_tell_unstored
        {
            let what = format!("{before} comes before it in {channel}");
            return Err(self.violation("alerts_of_one_api_go_out_in_order_across_owners", Some(api_id), what));
        }
        if let Some((at, by)) = one.lanes.get(&(alert.alert_id.clone(), channel)).and_then(|lane| lane.answered) {
            let owed = one.record.as_ref().is_some_and(|record| {
                record.owed.iter().any(|owed| owed.alert.alert_id == alert.alert_id && owed.is_pending_for(channel))
            });
            let from = at.saturating_sub(Duration::from_secs(20));
            let has_cause = self.troubled(by, from, at + NOTED, keeps_from_owning) || !self.lives(by, at, at + NOTED);
            // A next owner that finds what was asked of its owners takes back once more, under the same id.
            let is_asked_again = alert.is_withdrawal() && by != process && self.held(api_id).since > at;
            if !may_tell_unstored && !is_asked_again && (!owed || !has_cause) {
                let what = format!("process {by} had the answer at {} s; the record owes it: {owed}", at.as_secs_f64());
                return Err(self.violation("repeats_have_a_cause_and_the_same_id", Some(api_id), what));
            }
            self.count("told again");
        }
        self.first_told(alert)
    }

    /// Each outage has failed probes behind it. Two owners may go by the same stored streak.
    fn first_told(&mut self, alert: &Alert) -> Checked {
        let Some(one) = self.apis.get_mut(&alert.api_id) else { return Ok(()) };
        if alert.kind != AlertKind::Down || !one.outages.insert(alert.alert_id.clone()) {
            return Ok(());
        }
        let (outages, fails) = (one.outages.len(), one.fails);
        if (fails as usize) + 1 < outages + one.api.failure_threshold as usize {
            let what = format!("{fails} probes failed, and this is outage {outages}");
            return Err(self.violation("none_told_that_did_not_happen", Some(&alert.api_id), what));
        }
        Ok(())
    }

    pub(super) fn taken_over(&mut self, number: u64) {
        let Some((channel, alert)) = self.calls.get(&number).cloned() else { return };
        self.count(&format!("told {}", alert.kind.as_str()));
        let process = self.process;
        let Some(one) = self.apis.get_mut(&alert.api_id) else { return };
        let lane = one.lanes.entry((alert.alert_id.clone(), channel)).or_default();
        if !std::mem::replace(&mut lane.taken, true) && !alert.kind.changes_no_status() {
            let open = one.open.entry(channel).or_default();
            if alert.kind.starts_incident() {
                open.insert(alert.incident_id.clone(), (alert.alert_id.clone(), process));
            } else {
                open.remove(&alert.incident_id);
            }
        }
    }
}
