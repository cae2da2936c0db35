//! What a hand in the table does: it bumps a version, changes a figure, deletes a record, or brings an older copy back.
//!
//! The program meets it when it writes next. A copy that is older than what it knows is overwritten, and a record that is gone is
//! written again: nothing is forgotten by that. Any other it adopts: what it decided and had not stored is forgotten, the API is
//! probed again at once, and an outage that was told unstored is taken back. Who dies before it met the hand goes on from what
//! is there.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{AlertKind, ApiId, ApiState, Verdict};

use super::{Known, One, Oracle};
use crate::model::{Change, Item};

/// An outcome that is younger may still be on its way to whoever decides.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

/// So is one longer for which witnesses were asked, which takes 900 ms here where not all is well.
const ASKED_ABOUT: Duration = Duration::from_millis(900);

impl One {
    /// Which alerts the stored record does not owe any more.
    pub(super) fn delivered_as_stored(&mut self, channels: &[&'static str]) {
        let owed = self.stored.as_ref().map_or(&[][..], |known| &known.record.owed);
        for change in &mut self.model.changes {
            for (lane, channel) in change.lanes.iter_mut().zip(channels) {
                let is_it = |owed: &&api_health_core::delivery::OwedAlert| {
                    owed.alert.kind == change.kind && owed.alert.happened_at == change.happened_at
                };
                lane.delivered = owed.iter().find(is_it).is_none_or(|owed| owed.is_delivered(channel));
            }
        }
    }

    /// The same change as it is in the model, and in the other one where it is not known which of them is true: what is told of
    /// it meanwhile is told in both.
    pub(super) fn of_both(&mut self, index: usize) -> impl Iterator<Item = &mut Change> {
        let change = self.model.changes.get_mut(index);
        let (kind, at) = change.as_ref().map(|change| (change.kind, change.happened_at)).unzip();
        let same = move |other: &&mut Change| (Some(other.kind), Some(other.happened_at)) == (kind, at);
        let other = self.other.as_mut().and_then(|other| other.changes.get_mut(index)).filter(same);
        change.into_iter().chain(other)
    }

    /// Since when something waits to be stored, in memory alone.
    pub(super) fn unsaid_since(&self) -> Duration {
        let decided = self.model.snapshots[self.said_items + 1..].iter().filter(|snapshot| snapshot.mattered);
        let lanes = self.model.changes.iter().flat_map(|change| &change.lanes);
        // What was taken while the last write was under way is not in that.
        let is_unsaid = |at: &Duration| *at + Duration::from_secs(30) >= self.said_at;
        let taken = lanes.filter_map(|lane| lane.answered.map(|(at, _)| at)).filter(is_unsaid);
        decided.map(|snapshot| snapshot.at).chain(taken).min().unwrap_or(Duration::MAX)
    }
}

impl Oracle<'_> {
    /// Somebody else wrote a record: an older copy of it, or the same with other figures.
    pub(super) fn overwritten(&mut self, record: &Arc<ApiState>) {
        let Some(one) = self.apis.get_mut(&record.api_id) else { return };
        let copy = one.copies.get(&record.version).filter(|known| known.record == *record);
        let is_copy = copy.is_some();
        let items = copy.or(one.stored.as_ref()).map_or(0, |known| known.items);
        let known = Known { record: Arc::clone(record), items };
        one.copies.insert(record.version, known.clone());
        one.stored = Some(known);
        one.cadence.is_plain = false; // its figures may be others
        self.count(if is_copy { "store: somebody else brought a copy back" } else { "store: somebody else wrote" });
    }

    pub(super) fn deleted(&mut self, api_id: &ApiId) {
        if let Some(one) = self.apis.get_mut(api_id) {
            one.stored = None;
        }
        self.count("store: somebody else deleted");
    }

    /// The program reads the record that it did not expect.
    pub(super) fn read(&mut self, api_id: &ApiId, record: Option<&Arc<ApiState>>) {
        let Some(one) = self.apis.get(api_id) else { return };
        let Some(record) = record else { return self.count("met a hand: the record is gone") };
        let written = one.copies.get(&record.version).filter(|known| known.record == *record);
        if record.version == one.stored_version && written.is_some() {
            if let Some(one) = self.apis.get_mut(api_id) {
                (one.said_items, one.said_at) = (one.stored_items, self.now.at);
                one.said_version = record.version;
            }
            self.count("met its own write: the answer was lost");
        } else if record.version <= one.said_version {
            self.count("met a hand: an old copy");
        } else {
            self.adopted(api_id, record);
        }
    }

    /// What the program decided and had not stored counts no longer.
    fn adopted(&mut self, api_id: &ApiId, record: &Arc<ApiState>) {
        let (now, life) = (self.now, self.life);
        let Some(one) = self.apis.get_mut(api_id) else { return };
        let Some(items) = one.stored.as_ref().map(|known| known.items) else { return };
        let is_asked_about = |item: &Item| matches!(item, Item::Outcome(seen) if seen.verdict == Verdict::Inconclusive);
        let snapshots = &one.model.snapshots[items + 1..];
        let is_handled = |(item, at): (&Item, Duration)| {
            at + ON_ITS_WAY + if is_asked_about(item) { ASKED_ABOUT } else { Duration::ZERO } < now.at
        };
        let later = one.model.items[items..].iter().zip(snapshots.iter().map(|snapshot| snapshot.at));
        let handled = later.take_while(|one| is_handled(*one)).count();
        let has_forgotten = snapshots[..handled].iter().any(|snapshot| snapshot.mattered);
        let on_their_way: Vec<(Item, Duration)> = (one.model.items[items + handled..].iter().cloned())
            .zip(snapshots[handled..].iter().map(|snapshot| snapshot.at))
            .collect();
        let said_changes = one.model.snapshots[one.said_items].changes;
        let dropped = one.model.changes.split_off(one.model.snapshots[items].changes);
        one.model.forget_after(items);
        one.other = None;
        (one.stored_items, one.said_items, one.said_at) = (items, items, now.at);
        (one.stored_version, one.said_version) = (record.version, record.version);
        let first_dropped = one.model.changes.len();
        // Whoever rewrites what was stored, rewrites what is known of what was told. And where people heard of a recovery that is
        // not in the record, nothing takes that back but the next outage.
        let was_offered = |change: &Change| change.lanes.iter().any(|lane| lane.offered_at.is_some());
        let is_down = one.model.last_change(first_dropped).is_some_and(|last| last.kind == AlertKind::Down);
        let rewritten = said_changes.saturating_sub(first_dropped).min(dropped.len());
        one.has_forgotten |= dropped[..rewritten].iter().any(was_offered);
        one.has_forgotten |= is_down && dropped.iter().any(was_offered);
        let watched = one.cadence.watched.is_some();
        // One that is being asked about finds out what the others would.
        let finds_out = on_their_way.iter().any(|(item, _)| is_asked_about(item));
        one.cadence.asked_again(has_forgotten && watched && !self.is_stopping && !finds_out, now.at);
        for call in self.calls.values_mut().filter(|call| call.api_id == *api_id) {
            if let Some(index) = call.change.filter(|index| *index >= first_dropped) {
                call.change = None;
                let change = &dropped[index - first_dropped];
                let is_unstored = index >= said_changes && change.kind == AlertKind::Down;
                call.forgotten = is_unstored.then(|| change.clone());
            }
        }
        // For a channel that was told the end as well there is nothing to take back.
        let heard = |change: &Change| change.lanes.iter().filter(|lane| lane.answered.is_some()).count();
        let dangles = |(index, outage): (usize, &Change)| {
            let ends = dropped[index + 1..].iter().find(|end| end.incident_started_at == outage.happened_at);
            let is_open = outage.kind == AlertKind::Down && heard(outage) > ends.map_or(0, heard);
            (index >= rewritten && is_open).then(|| outage.clone())
        };
        let told: Vec<Change> = dropped.iter().enumerate().filter_map(dangles).collect();
        if !told.is_empty() {
            self.take_back(api_id, told);
        }
        if let Some(one) = self.apis.get_mut(api_id).filter(|_| !on_their_way.is_empty()) {
            let mut other = one.model.clone();
            for (item, at) in on_their_way {
                other.happens(item, at, life);
            }
            one.other = Some(other);
        }
        self.count(if has_forgotten { "met a hand: adopted, and forgot" } else { "met a hand: adopted" });
    }

    /// These outages were told and are in no record: that is told.
    pub(super) fn take_back(&mut self, api_id: &ApiId, outages: Vec<Change>) {
        let (now, life) = (self.now, self.life);
        self.count("an outage is taken back");
        if let Some(one) = self.apis.get_mut(api_id) {
            one.happens(Item::TakenBack(outages, now.wall), now.at, life);
        }
    }

    /// An outcome that was on its way when a record was adopted came after that.
    pub(super) fn it_was_the_other(&mut self, api_id: &ApiId) {
        if let Some(one) = self.apis.get_mut(api_id)
            && let Some(other) = one.other.take()
        {
            one.model = other;
        }
        self.count("an outcome came after a record was adopted");
    }
}
