//! What is told: it happened, it is told in order, in time, with its own id, and again only where that is allowed.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::stage::Answered;
use api_health_core::keep::GATHERED_FOR;
use api_health_core::{Alert, AlertKind, ApiConfig, ApiId};

use super::{
    AFTER_TROUBLE, Call, Checked, OFFERED_WITHIN, Oracle, RESTARTED_WITHIN, STORED_WITHIN, SelfMonitoringAlert,
    TURN_WITHIN, UNSTORED_MIN, UNSTORED_WITHIN,
};
use crate::model::{Change, Model};
use crate::script::TAG;

impl Oracle<'_> {
    pub(super) fn offered(&mut self, number: u64, channel: &'static str, alert: &Alert) -> Checked {
        let api_id = &alert.api_id;
        let channel = self.channels.iter().position(|name| *name == channel).unwrap_or(0);
        if !self.takes(api_id, channel) {
            if alert.kind == AlertKind::Closed {
                // Of one that has no row nobody knows whom it concerned.
                self.calls.insert(number, Call { api_id: api_id.clone(), channel, change: None, forgotten: None });
                return Ok(());
            }
            let what = format!("{} is told to {}", alert.kind.as_str(), self.channels[channel]);
            return Err(self.violation("told whom it concerns", Some(api_id), what));
        }
        let Some(one) = self.apis.get(api_id) else {
            self.calls.insert(number, Call { api_id: api_id.clone(), channel, change: None, forgotten: None });
            return self.own_offered(channel, alert);
        };
        let of = |model: &Model| {
            model.changes.iter().rposition(|change| {
                change.kind == alert.kind
                    && change.happened_at == alert.happened_at
                    && change.alert_id.as_ref().is_none_or(|id| *id == alert.alert_id)
            })
        };
        let mut told = of(&one.model);
        if told.is_none() {
            told = one.other.as_ref().and_then(of);
            if told.is_some() {
                self.it_was_the_other(api_id);
            }
        }
        let Some(index) = told else {
            let what = format!("{} of {} is told, and did not happen", alert.kind.as_str(), alert.happened_at);
            return Err(self.violation("none told that did not happen", Some(api_id), what));
        };
        self.is_as_it_was(api_id, index, alert)?;
        let one = &self.apis[api_id];
        let change = &one.model.changes[index];
        let lane = &change.lanes[channel];
        if one.in_flight[channel].is_some() {
            return Err(self.violation("one at a time", Some(api_id), "the attempt before this one is under way"));
        }
        let untold = |change: &&Change| !change.left_out && change.lanes[channel].answered.is_none();
        if let Some(before) = one.model.changes[..index].iter().find(untold) {
            let what = format!("{} of {} comes before it", before.kind.as_str(), before.happened_at);
            return Err(self.violation("told in order", Some(api_id), what));
        }
        let now = self.now.at;
        let trouble = |since: Duration| self.troubles.store.touch(since, now);
        if change.stored_at.is_none() && !trouble(now.saturating_sub(Duration::from_secs(31))) {
            return Err(self.violation("stored before it is told", Some(api_id), "no record owes it yet"));
        }
        if change.stored_at.is_none() && now.saturating_sub(one.unsaid_since()) < UNSTORED_MIN {
            return Err(self.violation("stored before it is told", Some(api_id), "the store was not waited for"));
        }
        if let Some((answered_at, life)) = lane.answered {
            self.count_repeat();
            let one = &self.apis[api_id];
            let lane = &one.model.changes[index].lanes[channel];
            if life == self.life {
                return Err(self.violation("told once", Some(api_id), "it was taken over in this very life"));
            }
            if !lane.owed_at_start {
                return Err(self.violation(
                    "told once",
                    Some(api_id),
                    "the record that this life began with knew that it was told",
                ));
            }
            let ended = self.life_ended.get(usize::try_from(life).unwrap_or(0)).copied().unwrap_or(now);
            let in_trouble = self.troubles.store.touch(answered_at.saturating_sub(AFTER_TROUBLE), ended);
            if ended > answered_at + STORED_WITHIN && !in_trouble && !one.was_brought_back {
                return Err(self.violation(
                    "told once",
                    Some(api_id),
                    "there was time enough to store that it was told",
                ));
            }
        } else if lane.taken_at.is_some() {
            self.count("told again: no answer to the time before");
        }
        if self.apis[api_id].model.changes[index].lanes[channel].offered_at.is_none() {
            self.offered_in_time(api_id, index, channel)?;
        }
        self.count(&format!("told of an API: {}", alert.kind.as_str()));
        if let Some(one) = self.apis.get_mut(api_id) {
            for change in one.of_both(index) {
                change.lanes[channel].offered_at.get_or_insert(now);
            }
            one.in_flight[channel] = Some(number);
        }
        self.calls.insert(number, Call { api_id: api_id.clone(), channel, change: Some(index), forgotten: None });
        Ok(())
    }

    /// Whether alerts under this id go to that channel.
    pub(super) fn takes(&self, api_id: &ApiId, channel: usize) -> bool {
        let about = api_id.beside_api();
        let of_api = |api: &&Arc<ApiConfig>| api.api_id == *about.as_ref().unwrap_or(api_id);
        let api = self.script.apis.iter().find(of_api);
        channel == 0 || !self.script.is_routed || api.is_some_and(|api| api.tags.iter().any(|tag| tag == TAG))
    }

    fn count_repeat(&mut self) {
        self.count("told again: a crash before that was stored");
    }

    /// An alert that was not offered until now did not wait for longer than it must.
    pub(super) fn offered_in_time(&self, api_id: &ApiId, index: usize, channel: usize) -> Checked {
        let changes = &self.apis[api_id].model.changes;
        let change = &changes[index];
        let before = index.checked_sub(1).map(|before| &changes[before].lanes[channel]);
        let Some(since) = before.map_or(Some(Duration::ZERO), |before| before.answered.map(|(at, _)| at)) else {
            return Ok(()); // it has to wait for the one before it
        };
        if change.left_out {
            return Ok(());
        }
        let since = since.max(change.at).max(self.life_began);
        let now = self.now.at;
        let mut within = OFFERED_WITHIN;
        if self.troubles.store.touch(since.saturating_sub(AFTER_TROUBLE), now) {
            within += UNSTORED_WITHIN;
        }
        if change.life != self.life || self.troubles.meddling.touch(since, now) {
            within += RESTARTED_WITHIN;
        }
        if self.script.digest_above > 0 {
            within += GATHERED_FOR + Duration::from_secs(1); // it is looked at once a second
        }
        if change.takes_back {
            within += TURN_WITHIN; // the attempt before it may have failed, and asked for patience
        }
        let name = self.channels[channel];
        let is_congested = self.troubles.channels.get(name).is_some_and(|spans| spans.touch(since, now));
        if now.saturating_sub(since) > within && !is_congested && !self.is_stopping {
            let what = format!(
                "{} of {} waits for {} s to be offered to {name}",
                change.kind.as_str(),
                change.happened_at,
                (now - since).as_secs_f64()
            );
            return Err(self.violation("told in time", Some(api_id), what));
        }
        Ok(())
    }

    /// The monitor tells of itself: beginnings and ends in turn, each with an id of its own.
    fn own_offered(&mut self, channel: usize, alert: &Alert) -> Checked {
        let channels = self.channels.len();
        let told = &mut self.own.entry(alert.api_id.clone()).or_default();
        told.resize_with(channels, Vec::new);
        let told = &mut told[channel];
        if told.iter().any(|told| told.alert_id == alert.alert_id) {
            return Ok(());
        }
        let last = told.last();
        let is_first_an_end = last.is_none() && !alert.kind.starts_incident();
        let is_same_again = last.is_some_and(|last| {
            last.kind.starts_incident() == alert.kind.starts_incident()
                && (last.life == self.life || self.own_stored.contains(&last.incident_id))
        });
        told.push(SelfMonitoringAlert {
            alert_id: alert.alert_id.clone(),
            incident_id: alert.incident_id.clone(),
            kind: alert.kind,
            life: self.life,
        });
        self.count(&format!("told of itself: {}", alert.kind.as_str()));
        if is_first_an_end || is_same_again {
            return Err(self.violation(
                "told in order",
                Some(&alert.api_id),
                "beginnings and ends do not come in turn",
            ));
        }
        Ok(())
    }

    pub(super) fn taken_over(&mut self, number: u64) {
        let at = self.now.at;
        self.count("told");
        if let Some(Call { api_id, channel, change: Some(index), .. }) = self.calls.get(&number)
            && let Some(one) = self.apis.get_mut(api_id)
        {
            for change in one.of_both(*index) {
                change.lanes[*channel].taken_at.get_or_insert(at);
            }
        }
    }

    pub(super) fn answered(&mut self, number: u64, answered: Answered) {
        let (at, life) = (self.now.at, self.life);
        self.count(match answered {
            Answered::Ok => "channel: took over",
            Answered::Retryable => "channel: refused",
            Answered::AskedForPatience(_) => "channel: asked for patience",
            Answered::Permanent => "channel: a person must act",
            Answered::Panicked => "channel: panicked",
            Answered::Cut => "channel: did not answer",
        });
        let Some(Call { api_id, channel, change, forgotten }) = self.calls.remove(&number) else { return };
        let Some(one) = self.apis.get_mut(&api_id) else { return };
        one.in_flight[channel] = None;
        if answered != Answered::Ok {
            return;
        }
        if let Some(index) = change {
            for change in one.of_both(index) {
                change.lanes[channel].answered = Some((at, life));
            }
        } else if let Some(outage) = forgotten {
            self.take_back(&api_id, vec![outage]);
        }
    }
}
