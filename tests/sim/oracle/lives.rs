//! A life of the program begins and ends: what it goes on from, and what must have happened by then.

use api_health_core::ApiId;

use super::{Checked, Oracle};
use crate::cadence::Cadence;

impl Oracle<'_> {
    pub(super) fn life_begins(&mut self) {
        self.is_running = true;
        self.is_stopping = false;
        self.looked_for_unconfigured = false;
        self.life_began = self.now.at;
        self.roster.clear();
        self.is_up = false;
        self.rows = None;
        self.probes.clear();
        self.calls.clear();
        for one in self.apis.values_mut() {
            let known = one.stored.as_ref().map_or(0, |known| known.items);
            one.other = None;
            one.was_brought_back = known < one.stored_items;
            one.has_forgotten |= one.was_brought_back;
            (one.stored_items, one.said_items) = (known, known);
            one.stored_version = one.stored.as_ref().map_or(0, |known| known.record.version);
            one.said_version = one.stored_version;
            one.model.forget_after(known);
            one.delivered_as_stored(&self.channels);
            for lane in one.model.changes.iter_mut().flat_map(|change| &mut change.lanes) {
                lane.owed_at_start = !lane.delivered;
            }
            one.in_flight.iter_mut().for_each(|call| *call = None);
            one.cadence = Cadence::new(self.life_began, one.cadence.is_plain && self.life == 0);
        }
    }

    pub(super) fn life_ends(&mut self, how: &str) -> Checked {
        self.count(&format!("life: {how}"));
        if !self.is_running {
            self.life_ended.push(self.now.at);
            self.life += 1;
            return Ok(()); // it never began
        }
        self.is_running = false;
        let ids: Vec<ApiId> = self.apis.keys().cloned().collect();
        for api_id in &ids {
            let one = &self.apis[api_id];
            if !self.is_stopping {
                one.cadence.not_starved(self.now.at).map_err(|what| self.violation("starved", Some(api_id), what))?;
            }
            if one.cadence.watched.is_some() {
                self.api_time += self.now.at - self.life_began;
            }
            self.stored_in_time(api_id)?;
            for channel in (0..self.channels.len()).filter(|channel| self.takes(api_id, *channel)).collect::<Vec<_>>() {
                for change in 0..self.apis[api_id].model.changes.len() {
                    if self.apis[api_id].model.changes[change].lanes[channel].offered_at.is_none() {
                        self.offered_in_time(api_id, change, channel)?;
                        break;
                    }
                }
            }
        }
        self.life_ended.push(self.now.at);
        self.life += 1;
        Ok(())
    }
}
