//! How things stand when faults have been over for long: all is told, nothing is owed, and what was told last is true.

use api_health_core::{AlertKind, Status};

use super::{Checked, Oracle, SelfMonitoringAlert};
use crate::model::Change;
use crate::script::QUIET;

/// So many outcomes without a death tell that a prober is well again.
const OUTCOMES_TO_BE_WELL: usize = 3;

impl Oracle<'_> {
    /// Faults are over, and have been for long.
    pub(super) fn at_the_end(&mut self) -> Checked {
        for (n, api) in self.script.apis.iter().enumerate() {
            let api_id = &api.api_id;
            let one = &self.apis[api_id];
            let taking = self.channels.iter().enumerate().filter(|(channel, _)| self.takes(api_id, *channel));
            for (channel, name) in taking {
                let untold = |change: &&Change| !change.left_out && change.lanes[channel].taken_at.is_none();
                if let Some(change) = one.model.changes.iter().find(untold) {
                    let what = format!("{} of {} was never told to {name}", change.kind.as_str(), change.happened_at);
                    return Err(self.violation("told at least once", Some(api_id), what));
                }
                let last = one.model.changes.iter().rfind(|change| change.lanes[channel].taken_at.is_some());
                let is_told_down = last.is_some_and(|change| change.kind == AlertKind::Down);
                let is_down = one.cadence.watched.is_some() && !self.script.well_at_end[n];
                if is_told_down != is_down && !one.has_forgotten {
                    let what =
                        format!("{name} was told last that it is {}", if is_told_down { "down" } else { "not down" });
                    return Err(self.violation("the last told is true", Some(api_id), what));
                }
            }
            if let Some(record) = one.stored.as_ref().map(|known| &known.record) {
                if !record.owed.is_empty() {
                    return Err(self.violation("nothing owed at the end", Some(api_id), "an alert is still owed"));
                }
                let is_down = record.status == Status::Down;
                if one.cadence.watched.is_some() && is_down == self.script.well_at_end[n] {
                    return Err(self.violation("the status is true", Some(api_id), format!("{:?}", record.status)));
                }
            }
        }
        for (api_id, told) in &self.own {
            // One that no record ever had, told in a life that is over, nobody can end.
            let is_open = |told: &SelfMonitoringAlert| {
                told.kind.starts_incident()
                    && (told.life + 1 == self.life || self.own_stored.contains(&told.incident_id))
            };
            // A schedule with long gaps may not have come due often enough, since faults were over, to show that a prober is well.
            let quiet_at = self.now.at.saturating_sub(QUIET);
            let is_too_soon = api_id.about_api().and_then(|api_id| self.apis.get(&api_id)).is_some_and(|one| {
                one.cadence.probes_due(quiet_at, self.now).is_some_and(|due| due < OUTCOMES_TO_BE_WELL)
            });
            if !is_too_soon && told.iter().any(|told| told.last().is_some_and(is_open)) {
                return Err(self.violation(
                    "the last told is true",
                    Some(api_id),
                    "all is well, and that was not told",
                ));
            }
        }
        Ok(())
    }
}
