//! How things stand when faults have been over for long.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health_core::Status;

use super::holds::told_outage;
use super::{Checked, Fleet};

/// Shards move no more this long after the last fault.
const SETTLES: Duration = Duration::from_secs(600);

impl Fleet<'_> {
    pub(super) fn at_the_end(&mut self) -> Checked {
        self.shares_at_the_end()?;
        self.nothing_is_held_at_the_end()?;
        let mut probed = vec![];
        for (n, api) in self.script.apis.iter().enumerate() {
            let (api_id, one) = (&api.api_id, &self.apis[&api.api_id]);
            let untold = |(id, owed_to): &&(String, Vec<String>)| {
                let has_it =
                    |to: &String| one.lanes.iter().any(|((alert, by), lane)| alert == id && by == to && lane.taken);
                !one.left_out.contains(id) && !owed_to.iter().all(has_it)
            };
            if let Some((id, owed_to)) = one.stored.iter().find(untold) {
                let what = format!("{id} was stored, and not told to each of {owed_to:?}");
                return Err(self.violation("what_is_owed_outlives_every_owner", Some(api_id), what));
            }
            let Some(record) = &one.record else { continue };
            if !record.owed.is_empty() {
                return Err(self.violation("nothing owed at the end", Some(api_id), "an alert is still owed"));
            }
            let is_down = !self.script.well_at_end[n];
            if (record.status == Status::Down) != is_down {
                return Err(self.violation("the status is true", Some(api_id), format!("{:?}", record.status)));
            }
            // What was told unstored by a process that died of it, nobody knows of.
            let is_known = |id: &String, by: usize| {
                one.stored.iter().any(|(stored, _)| stored == id) || self.history.processes[by].ended.is_none()
            };
            let is_that = |incident: &String| told_outage(record) == Some(incident);
            let all = one.open.iter().flat_map(|(channel, open)| open.iter().map(move |open| (*channel, open)));
            let mut untold = all.filter(|(_, (incident, (id, by)))| !is_that(incident) && is_known(id, *by));
            if let Some((channel, (incident, _))) = untold.next() {
                let what = format!("{channel} was never told that {incident} ended");
                return Err(self.violation("the last told is true", Some(api_id), what));
            }
            probed.push(one.last_began.unwrap_or_default().0 + super::gap(api) + api.timeout);
        }
        let starved = probed.into_iter().min().is_some_and(|by| by + Duration::from_secs(2) < self.at);
        if starved {
            return Err(self.violation("every_shard_has_an_owner_within_thirteen_seconds", None, "nobody probes some"));
        }
        Ok(())
    }

    /// Shares differ by one at most, and nothing moves any more.
    fn shares_at_the_end(&mut self) -> Checked {
        let check = "shards_differ_by_one_and_move_no_more_than_they_must";
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        for held in &self.shards {
            let Some(owner) = &held.owner else { return Err(self.violation(check, None, "a shard is nobody's")) };
            *shares.entry(owner.worker.as_str()).or_default() += 1;
        }
        // Workers that have every channel own; others only where there is none of those. The first one has them all.
        let all = self.script.workers[0].channels.len();
        let owns = |worker: &&crate::fleet_script::Worker| !worker.is_standby && worker.channels.len() == all;
        let expected = self.script.workers.iter().filter(owns).count();
        let (least, most) = (shares.values().min().copied().unwrap_or(0), shares.values().max().copied().unwrap_or(0));
        if shares.len() != expected || most - least > 1 {
            return Err(self.violation(check, None, format!("{shares:?} for {expected} workers")));
        }
        if self.last_move > self.script.quiet_at + SETTLES {
            let what = format!("a shard moved at {} s", self.last_move.as_secs_f64());
            return Err(self.violation(check, None, what));
        }
        self.count(&format!("worlds of {}", self.script.workers.len()));
        Ok(())
    }
}
