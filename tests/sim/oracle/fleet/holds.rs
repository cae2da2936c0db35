//! Alerts that are held: what is told follows the rules, and each change that was held is accounted for.
//!
//! Records are written one over the other, so what was decided between two of them is what differs. A probe that may have led to an
//! alert is one that ended after the last probe that the record before knew of. If something surely held the alert at each of those,
//! it should not be there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::WORLD_BEGINS;
use api_health_core::delivery::OWED_MAX;
use api_health_core::{
    Alert, AlertKind, Alerting, ApiConfig, ApiId, ApiState, Status, Timestamp, Verdict, maintenance,
};

use super::{Checked, Fleet, keeps_from_storing};
use crate::fleet_history::What;

/// An outcome is decided about within this, witnesses and all.
const DECIDED: Duration = Duration::from_secs(6);
/// Whoever reads the record of a parent elsewhere knows it after this.
const KNOWS_OTHERS: Duration = Duration::from_secs(40);
/// The last hold is over, and it was probed since: the longest interval, and time to be asked.
const RELEASED: Duration = Duration::from_secs(660);

/// A probe that is over.
pub(super) struct Ended {
    at: Duration,
    finished_at: Timestamp,
    is_pass: bool,
    process: usize,
}

/// What is known of one API for the sake of what is held.
#[derive(Default)]
pub(super) struct Holding {
    ended: Vec<Ended>,
    /// When it was surely down, as its record said: until it passed.
    down: Vec<(Duration, Option<Duration>)>,
    /// Since when it flapped, the last time that an alert of it said so.
    flapping: Option<Timestamp>,
}

impl Holding {
    pub(super) fn ended(&mut self, at: Duration, finished_at: Timestamp, is_pass: bool, process: usize) {
        self.ended.push(Ended { at, finished_at, is_pass, process });
        if is_pass && let Some((_, to @ None)) = self.down.last_mut() {
            *to = Some(at);
        }
    }

    fn written(&mut self, at: Duration, record: &ApiState) {
        let passed = self.ended.iter().rfind(|ended| ended.is_pass).map(|ended| ended.finished_at);
        let failed = record.last_probe.as_ref().filter(|last| last.verdict == Verdict::Fail).map(|last| last.at);
        let is_open = matches!(self.down.last(), Some((_, None)));
        if record.status == Status::Down && !is_open && failed > passed {
            self.down.push((at, None));
        }
    }

    fn was_down(&self, from: Duration, to: Duration) -> bool {
        self.down.iter().any(|(began, ended)| *began <= from && ended.is_none_or(|ended| ended >= to))
    }
}

/// The outage that people know of, as far as a record tells.
pub(super) fn told_outage(record: &ApiState) -> Option<&String> {
    let ended = || record.held.as_ref().and_then(|held| held.ended.as_deref());
    let told = record.incident.as_deref().or_else(ended).filter(|_| record.last_alerted == Status::Down);
    told.map(|incident| &incident.incident_id)
}

/// Pairs were left out since the outbox was full; changes that were held are left out as well, and that is something else.
pub(super) fn folds(before: &ApiState, record: &ApiState) -> bool {
    before.owed.len().max(record.owed.len()) + 5 > OWED_MAX
}

impl Fleet<'_> {
    /// A record replaces the one before.
    pub(super) fn holds_as_it_should(&mut self, before: Option<&ApiState>, record: &ApiState) -> Checked {
        let api_id = &record.api_id;
        let new = |alert: &&Alert| !self.apis[api_id].stored.iter().any(|(id, _)| *id == alert.alert_id);
        let new: Vec<Alert> = record.owed.iter().map(|owed| &owed.alert).filter(new).cloned().collect();
        if let Some(before) = before {
            self.each_change_is_accounted_for(before, record, &new)?;
            for alert in new.iter().filter(|alert| alert.kind != AlertKind::Closed) {
                self.is_told_when_nothing_holds_it(before, record, alert)?;
            }
        }
        let at = self.at;
        if let Some(one) = self.apis.get_mut(api_id) {
            one.holding.written(at, record);
        }
        Ok(())
    }

    /// From what was told before to what is told now leads what is new in the outbox, and nothing else.
    fn each_change_is_accounted_for(&mut self, before: &ApiState, record: &ApiState, new: &[Alert]) -> Checked {
        let check = "each_held_change_is_accounted_for";
        let api_id = &record.api_id;
        let Some(one) = self.apis.get(api_id) else { return Ok(()) };
        if folds(before, record) {
            return Ok(());
        }
        // What was told while the store was away may be owed no longer when that is stored.
        let is_alerted = |incident: &String, kind| one.lanes.keys().any(|(id, _)| *id == Alert::id(incident, kind));
        let follows = |from: Option<&String>, to: Option<&String>| {
            let is_over = |incident| is_alerted(incident, AlertKind::Up) || is_alerted(incident, AlertKind::Closed);
            from == to || (from.is_none_or(is_over) && to.is_none_or(|incident| is_alerted(incident, AlertKind::Down)))
        };
        let mut told = told_outage(before);
        for alert in new.iter().filter(|alert| !alert.kind.changes_no_status() && !alert.is_withdrawal()) {
            let is_next = if alert.kind == AlertKind::Down { None } else { Some(&alert.incident_id) };
            if !follows(told, is_next) {
                let what = format!("{} is owed after {told:?}", alert.alert_id);
                return Err(self.violation(check, Some(api_id), what));
            }
            told = (alert.kind == AlertKind::Down).then_some(&alert.incident_id);
        }
        if !follows(told, told_outage(record)) {
            let what = format!("told is {told:?}, and it should be {:?}", told_outage(record));
            return Err(self.violation(check, Some(api_id), what));
        }
        let reminded = new.iter().find(|alert| alert.kind == AlertKind::Reminder);
        let is_of_told = |alert: &Alert| {
            [told_outage(before), told].contains(&Some(&alert.incident_id))
                || new.iter().any(|other| other.kind == AlertKind::Down && other.incident_id == alert.incident_id)
        };
        if let Some(alert) = reminded.filter(|alert| !is_of_told(alert)) {
            return Err(self.violation(
                check,
                Some(api_id),
                format!("{} reminds of what was not told", alert.alert_id),
            ));
        }
        let Some(held) = &before.held else { return Ok(()) };
        let changed = new.iter().find(|alert| matches!(alert.kind, AlertKind::Down | AlertKind::Up));
        if let Some(alert) = changed.filter(|alert| alert.changes_left_out + 1 < held.changes) {
            let what = format!(
                "{} changes were held, and {} leaves out {}",
                held.changes, alert.alert_id, alert.changes_left_out
            );
            return Err(self.violation(check, Some(api_id), what));
        }
        let reasons = [
            ("maintenance", "a window"),
            ("depends on, is down", "a parent that is down"),
            ("is probed first", "a parent that is asked"),
            ("flapping", "flapping"),
        ];
        let why = reasons.into_iter().find(|(says, _)| held.why.contains(says)).map_or("nothing", |(_, why)| why);
        if record.held.is_none() {
            self.count(&format!("held by {why}, then {}", changed.map_or("cancelled", |alert| alert.kind.as_str())));
        } else if record.epoch > before.epoch {
            self.count("held over a change of owner");
        }
        Ok(())
    }

    /// At some probe that may have led to it, nothing surely held it.
    fn is_told_when_nothing_holds_it(&mut self, before: &ApiState, record: &ApiState, alert: &Alert) -> Checked {
        let flaps = |state: &ApiState| state.flap.as_ref().and_then(|flap| flap.since.filter(|_| flap.is_alerted));
        let is_flapping = flaps(before).is_some() && flaps(before) == flaps(record);
        let api_id = &record.api_id;
        if is_flapping && alert.kind != AlertKind::Reminder {
            let what = format!("{} while it flaps, which was told", alert.alert_id);
            return Err(self.violation("one_that_flaps_is_told_of_once", Some(api_id), what));
        }
        if alert.kind == AlertKind::Flapping {
            let since = record.flap.as_ref().and_then(|flap| flap.since).filter(|since| *since <= alert.happened_at);
            let one = self.apis.get_mut(api_id).expect("it is watched");
            if since.is_some() && one.holding.flapping == since {
                let what = format!("{} says again that it flaps since {since:?}", alert.alert_id);
                return Err(self.violation("one_that_flaps_is_told_of_once", Some(api_id), what));
            }
            one.holding.flapping = since;
        }
        let one = &self.apis[api_id];
        if alert.kind == AlertKind::Flapping {
            let policy = one.api.alerting.flap.expect("it has one");
            let recent = one.holding.ended.iter().filter(|ended| ended.at + policy.window + RELEASED >= self.at);
            let passes: Vec<bool> = recent.map(|ended| ended.is_pass).collect();
            let flips = passes.windows(2).filter(|pair| pair[0] != pair[1]).count();
            if flips < policy.changes as usize {
                let what = format!("it is said to flap, and turned {flips} times");
                return Err(self.violation("one_that_flaps_is_told_of_once", Some(api_id), what));
            }
        }
        if before.maintenance.is_some() && before.maintenance == record.maintenance {
            let is_open = before.maintenance.as_ref().is_some_and(|window| self.wall(self.at) < window.until);
            if is_open {
                let what = format!("{} while a window is open that a person opened", alert.alert_id);
                return Err(self.violation("nothing_is_told_while_something_holds_it", Some(api_id), what));
            }
        }
        let known = before.last_probe.as_ref().map(|last| last.at);
        let knows = record.last_probe.as_ref().map(|last| last.at);
        let may_have_led = |ended: &&Ended| {
            ended.process == self.process
                && Some(ended.finished_at) > known
                && Some(ended.finished_at) <= knows
                && match alert.kind {
                    AlertKind::Up => ended.is_pass,
                    AlertKind::Down | AlertKind::Reminder => !ended.is_pass,
                    AlertKind::Flapping | AlertKind::Closed => true,
                }
        };
        let (from, to) = (self.at.saturating_sub(DECIDED), self.at);
        let held_by = self.holding_parents(&one.api).collect::<BTreeSet<_>>();
        let in_circle = one.api.alerting.depends_on.iter().filter(|parent| !held_by.contains(parent));
        let is_circle_down = in_circle.into_iter().any(|parent| self.apis[parent].holding.was_down(from, to));
        let mut probes = one.holding.ended.iter().filter(may_have_led).peekable();
        if probes.peek().is_some() && probes.all(|ended| self.surely_holds(&one.api, alert.kind, ended.at)) {
            let Alerting { maintenance, depends_on, .. } = &*one.api.alerting;
            let what = format!("{} while something of {maintenance:?}, {depends_on:?} holds it", alert.alert_id);
            return Err(self.violation("nothing_is_told_while_something_holds_it", Some(api_id), what));
        }
        if is_circle_down {
            self.count("told while one is down that needs it as it needs that");
        }
        Ok(())
    }

    /// What it needs and what may hold it: not those that need it as well, by whatever way.
    fn holding_parents<'a>(&'a self, api: &'a ApiConfig) -> impl Iterator<Item = &'a ApiId> {
        let of = |api_id: &ApiId| &self.apis[api_id].api.alerting.depends_on;
        let needs_it = move |parent: &ApiId| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![parent]);
            while let Some(one) = next.pop() {
                next.extend(of(one).iter().filter(|needed| seen.insert(*needed)));
            }
            seen.contains(&api.api_id)
        };
        api.alerting.depends_on.iter().filter(move |parent| !needs_it(parent))
    }

    /// Something surely held an alert of this kind when what was probed until then was decided about.
    fn surely_holds(&self, api: &Arc<ApiConfig>, kind: AlertKind, probed_at: Duration) -> bool {
        let process = self.process;
        let from = probed_at.saturating_sub(Duration::from_secs(1));
        let to = probed_at + DECIDED;
        if self.troubled(process, from, to, |what| what == What::Paused) {
            return false; // who knows when
        }
        let until = |at| maintenance::open_until(&api.alerting.maintenance, self.wall(at));
        if until(from).is_some_and(|until| until > self.wall(to)) {
            return true;
        }
        self.holding_parents(api).any(|parent| {
            let down = &self.apis[parent].holding;
            let settled = probed_at.saturating_sub(Duration::from_secs(15));
            let is_settled = |api_id| self.owner(api_id) == Some(process) && self.held(api_id).since < settled;
            if is_settled(parent) && is_settled(&api.api_id) {
                return down.was_down(from, to);
            }
            // The record of a parent elsewhere is read while its dependent may be down.
            let long_before = probed_at.saturating_sub(KNOWS_OTHERS);
            kind == AlertKind::Down
                && self.owner(parent) != Some(process)
                && self.held(parent).since < long_before
                && self.lives(process, long_before, to.min(self.at))
                && !self.troubled(process, long_before, to, keeps_from_storing)
                && down.was_down(long_before, to)
        })
    }

    /// All clocks agree where something may be held.
    #[expect(clippy::unused_self, reason = "it belongs to the world")]
    fn wall(&self, at: Duration) -> Timestamp {
        WORLD_BEGINS.plus(at)
    }

    /// When faults are long over, nothing is held that nothing holds, and what was told last is so.
    pub(super) fn nothing_is_held_at_the_end(&self) -> Checked {
        for (api_id, one) in &self.apis {
            let Some(record) = &one.record else { continue };
            let is_held_by =
                |parent| self.apis[parent].record.as_ref().is_some_and(|parent| parent.status == Status::Down);
            let was_open = |ago: u64| {
                let at = self.at.saturating_sub(RELEASED).saturating_add(Duration::from_secs(ago * 30));
                maintenance::open_until(&one.api.alerting.maintenance, self.wall(at.min(self.at))).is_some()
            };
            let is_held = self.holding_parents(&one.api).any(is_held_by) || (0..=22).any(was_open);
            if record.held.is_some() && !is_held {
                let what = format!("{:?} is held, and nothing holds it", record.held);
                return Err(self.violation("each_held_change_is_accounted_for", Some(api_id), what));
            }
            let Some(incident) = record.incident.as_deref().filter(|_| record.held.is_none()) else { continue };
            let knows = |channel: &String| {
                one.open.iter().any(|(name, open)| name == channel && open.contains_key(&incident.incident_id))
            };
            // That it ended was told unstored by a process that died of it: nobody knows of that.
            let forgotten = |channel: &String| {
                let ends = [AlertKind::Up, AlertKind::Closed].map(|kind| Alert::id(&incident.incident_id, kind));
                let of_it = |(id, name): &(String, &str)| ends.contains(id) && name == channel;
                let told = one.lanes.iter().filter(|(lane, _)| of_it(lane));
                told.filter(|(_, lane)| lane.taken).any(|((id, _), lane)| {
                    let teller_lives = lane.answered.is_some_and(|(_, by)| self.history.processes[by].ended.is_none());
                    !teller_lives && one.stored.iter().all(|(stored, _)| stored != id)
                })
            };
            let untold = |channel: &&String| !knows(channel) && !forgotten(channel);
            if let Some(channel) = incident.owed_to.iter().find(untold) {
                let what = format!("{channel} was never told of {}", incident.incident_id);
                return Err(self.violation("the last told is true", Some(api_id), what));
            }
        }
        Ok(())
    }
}
