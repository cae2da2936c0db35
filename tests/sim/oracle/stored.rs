//! What is stored: each record is compared with the model, and its outbox with what was really told.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{Alert, AlertKind, ApiId, ApiState, Status, Timestamp, Verdict, invariant};

use super::{AFTER_TROUBLE, Checked, Known, One, Oracle, STORED_WITHIN};
use crate::model::{Item, Model, Seen};

impl Oracle<'_> {
    /// A record is durable: it must say what the model says.
    pub(super) fn written(&mut self, record: &Arc<ApiState>, said: bool) -> Checked {
        let api_id = &record.api_id;
        if let Some(broken) = invariant::first_broken(record) {
            return Err(self.violation("invariant", Some(api_id), broken));
        }
        let Some(one) = self.apis.get(api_id) else {
            self.own_stored.extend(record.incident.as_ref().map(|incident| incident.incident_id.clone()));
            let own = api_id.is_self_monitoring();
            return if own { Ok(()) } else { Err(self.violation("stored", Some(api_id), "nobody configured it")) };
        };
        // Where nothing shifted a tick, each that was missed is counted.
        let counts_missed = one.cadence.is_plain && self.life == 0;
        let items = match explain(one, &one.model, record, counts_missed) {
            Ok(items) => items,
            Err(what) => {
                let other = one.other.as_ref().and_then(|other| explain(one, other, record, false).ok());
                let Some(items) = other else {
                    return Err(self.violation("same decisions as the model", Some(api_id), what));
                };
                self.it_was_the_other(&api_id.clone());
                items
            }
        };
        self.stored_in_time(api_id)?;
        self.outbox(record, items)?;
        let at = self.now.at;
        if let Some(one) = self.apis.get_mut(api_id) {
            let known = Known { record: Arc::clone(record), items };
            one.copies.insert(record.version, known.clone());
            one.stored = Some(known);
            one.stored_items = items;
            one.stored_version = record.version;
            if said {
                (one.said_items, one.said_at, one.said_version) = (items, at, record.version);
            }
            let changes = one.model.snapshots[items].changes;
            for change in &mut one.model.changes[..changes] {
                change.stored_at.get_or_insert(at);
            }
        }
        Ok(())
    }

    /// What mattered first of what was not stored until now was not left lying about.
    pub(super) fn stored_in_time(&self, api_id: &ApiId) -> Checked {
        let one = &self.apis[api_id];
        let Some(first) = one.model.snapshots[one.stored_items + 1..].iter().find(|snapshot| snapshot.mattered) else {
            return Ok(());
        };
        let late = self.now.at.saturating_sub(first.at);
        let in_trouble = self.troubles.store.touch(first.at.saturating_sub(AFTER_TROUBLE), self.now.at);
        if late > STORED_WITHIN && first.at >= self.life_began && !in_trouble {
            let what = format!("what happened {} s ago is not stored, and the store is well", late.as_secs_f64());
            return Err(self.violation("stored in time", Some(api_id), what));
        }
        Ok(())
    }

    /// The outbox of a record has what is owed, neither more nor less.
    pub(super) fn outbox(&mut self, record: &ApiState, items: usize) -> Checked {
        let api_id = &record.api_id;
        let mut owed = record.owed.iter().peekable();
        let counts = self.apis[api_id].model.snapshots[items].changes;
        let folds = record.owed.iter().any(|owed| owed.alert.changes_left_out > 0);
        for index in 0..counts {
            let change = &self.apis[api_id].model.changes[index];
            let here = owed.next_if(|owed| {
                owed.alert.kind == change.kind
                    && owed.alert.happened_at == change.happened_at
                    && change.alert_id.as_ref().is_none_or(|id| *id == owed.alert.alert_id)
            });
            let here = here.cloned();
            if let Some(here) = &here {
                self.is_as_it_was(api_id, index, &here.alert)?;
            }
            for (channel, name) in self.channels.clone().into_iter().enumerate() {
                if !self.takes(api_id, channel) {
                    continue;
                }
                let names_it = here.as_ref().is_none_or(|here| here.owed_to.iter().any(|owed_to| owed_to == name));
                if !names_it {
                    let what =
                        format!("{} is not owed to {name}", self.apis[api_id].model.changes[index].kind.as_str());
                    return Err(self.violation("owed to whom it concerns", Some(api_id), what));
                }
                let delivered = here.as_ref().is_none_or(|here| here.is_delivered(name));
                let Some(one) = self.apis.get_mut(api_id) else { return Ok(()) };
                let change = &mut one.model.changes[index];
                if delivered && change.lanes[channel].answered.is_none() && !change.left_out {
                    if here.is_none() && folds {
                        change.left_out = true;
                        continue;
                    }
                    let (kind, at) = (change.kind.as_str(), change.happened_at);
                    let what =
                        format!("{kind} of {at} is not owed to {name} any more, which never said that it has it");
                    return Err(self.violation("owed until delivered", Some(api_id), what));
                }
                change.lanes[channel].delivered = delivered;
            }
        }
        match owed.next() {
            None => Ok(()),
            Some(more) => {
                let what =
                    format!("{} of {} is owed, and did not happen", more.alert.kind.as_str(), more.alert.happened_at);
                Err(self.violation("none owed that did not happen", Some(api_id), what))
            }
        }
    }

    /// The words of an alert are those of the change, and its id is the same each time.
    pub(super) fn is_as_it_was(&mut self, api_id: &ApiId, index: usize, alert: &Alert) -> Checked {
        let change = &self.apis[api_id].model.changes[index];
        let near = |a: Timestamp, b: Timestamp| a.as_millis().abs_diff(b.as_millis()) <= 1_000;
        let is_set = self.troubles.meddling.touch(change.at, change.at + Duration::from_secs(1));
        let wrong = if alert.incident_started_at != change.incident_started_at {
            Some(format!("the incident began at {}, not at {}", change.incident_started_at, alert.incident_started_at))
        } else if alert.previous_status != change.previous {
            Some(format!("it was {:?} before, not {:?}", change.previous, alert.previous_status))
        } else if (&alert.name, &alert.url) != (&change.name, &change.url) {
            Some(format!("it was called {} ({}), not {} ({})", change.name, change.url, alert.name, alert.url))
        } else if !near(alert.detected_at, change.detected_at) && !is_set {
            Some(format!("it was confirmed at {}, not at {}", change.detected_at, alert.detected_at))
        } else if change.alert_id.as_ref().is_some_and(|id| *id != alert.alert_id) {
            Some(format!("its id was {}, and is {}", change.alert_id.clone().unwrap_or_default(), alert.alert_id))
        } else {
            None
        };
        if let Some(what) = wrong {
            return Err(self.violation("as it happened", Some(api_id), what));
        }
        let Some(one) = self.apis.get_mut(api_id) else { return Ok(()) };
        one.model.changes[index].alert_id = Some(alert.alert_id.clone());
        let with_id = one.model.changes.iter().filter(|change| change.alert_id.as_ref() == Some(&alert.alert_id));
        if with_id.count() > 1 {
            return Err(self.violation(
                "as it happened",
                Some(api_id),
                format!("two alerts have the id {}", alert.alert_id),
            ));
        }
        Ok(())
    }
}

/// How many items of the model a record knows: it names the last probe that it knows of, and may know of later items
/// that are no probes, or of probes that changed nothing.
fn explain(one: &One, model: &Model, record: &ApiState, counts_missed: bool) -> Result<usize, String> {
    let stored_items = one.stored_items;
    let named = match &record.last_probe {
        None => 0,
        Some(last) => {
            // A pass that was on its way when another thing was asked says nothing any more, and changes nothing either way.
            let is_verdict = |seen: &Seen| {
                seen.verdict == last.verdict
                    || (one.is_asked_anew && (seen.verdict, last.verdict) == (Verdict::Pass, Verdict::Inconclusive))
            };
            let is_it =
                |item: &Item| matches!(item, Item::Outcome(seen) if seen.finished_at == last.at && is_verdict(seen));
            1 + model
                .items
                .iter()
                .rposition(is_it)
                .ok_or_else(|| format!("it knows of a probe that never was: {}", last.at))?
        }
    };
    // Over a record that somebody else wrote, the count may be newer than the probe that is named.
    let missed = model.snapshots[named].missed..=model.now().missed;
    if counts_missed && !missed.contains(&record.missed_ticks) {
        return Err(format!("{} ticks were missed, and should be {missed:?}", record.missed_ticks));
    }
    let mut best = None;
    let mut differs = String::new();
    for items in named.max(stored_items)..=model.items.len() {
        let is_new_outcome = items > named.max(stored_items) && matches!(model.items[items - 1], Item::Outcome(_));
        if is_new_outcome && model.snapshots[items].mattered {
            break;
        }
        match difference(model, items, record) {
            None => best = Some(items),
            Some(difference) if differs.is_empty() => differs = difference,
            Some(_) => {}
        }
    }
    best.ok_or(differs)
}

fn difference(model: &Model, items: usize, record: &ApiState) -> Option<String> {
    let snapshot = &model.snapshots[items];
    let streak = record.streak.as_ref().map(|streak| (streak.toward.kind(), streak.count, streak.first_at));
    let last = model.last_change(snapshot.changes);
    let last_alerted = last.map_or(Status::Unknown, |change| change.kind.status());
    let incident = record.incident.as_ref().map(|incident| incident.started_at);
    let open = last.filter(|change| change.kind == AlertKind::Down).map(|change| change.happened_at);
    if record.status != snapshot.status {
        Some(format!("the status is {:?}, and should be {:?}", record.status, snapshot.status))
    } else if record.since != snapshot.since {
        Some(format!("it is so since {:?}, and should be since {:?}", record.since, snapshot.since))
    } else if streak != snapshot.streak {
        Some(format!("the streak is {streak:?}, and should be {:?}", snapshot.streak))
    } else if record.last_alerted != last_alerted {
        Some(format!("told last is {:?}, and should be {last_alerted:?}", record.last_alerted))
    } else if incident != open {
        Some(format!("the incident began at {incident:?}, and should have at {open:?}"))
    } else {
        None
    }
}
