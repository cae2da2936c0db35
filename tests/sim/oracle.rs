//! The oracle: goes through what really happened, and says where the program did not keep its promises.
//!
//! What it goes by is written by the fakes and not by the program: what each probe got, what each channel took, what the
//! store was asked to write and when it was durable, what the configs said. Beside it runs the reference [`Model`].
//!
//! # What counts after a crash
//!
//! A crash loses what was in memory, and that is allowed. So the model is cut back to what the stored record knows: the
//! record names the last probe that it knows of, and must be equal to what the model had after exactly that one (or after
//! later ones that changed nothing). That is checked for each record that is ever written, crash or not. How much may be
//! lost is bounded on its own: what must be stored is stored within 2 s, unless the store was in trouble. What a life told
//! without having stored it (P5) and then forgot is no change of the next life, and may be told again under another id.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::stage::{Answered, Entry, Event};
use api_health_actors::testkit::target::Behaviour;
use api_health_core::{Alert, AlertKind, ApiConfig, ApiId, ApiState, Status, Timestamp, Verdict, invariant};

use crate::cadence::{Cadence, Moment};
use crate::model::{Change, Item, Model, Seen};
use crate::script::Script;
use crate::trouble::Troubles;
use crate::world::History;

/// What must be stored is stored within this, if all is well.
const STORED_WITHIN: Duration = Duration::from_secs(2);
/// For so long a store that was in trouble may still be waited for.
const AFTER_TROUBLE: Duration = Duration::from_secs(40);
/// An alert is offered within this, if all is well.
const OFFERED_WITHIN: Duration = Duration::from_secs(3);
/// And within so much more while the store is in trouble (P5): 30 s until it goes unstored; or it is stored late, and then
/// no claim is confirmed in time for another 30 s.
const UNSTORED_WITHIN: Duration = Duration::from_secs(70);
/// And within so much more after a restart, by what the life before it noted.
const RESTARTED_WITHIN: Duration = Duration::from_secs(95);

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Violation {
    /// Which check found it.
    pub(crate) check: &'static str,
    /// Whose.
    pub(crate) api_id: Option<ApiId>,
    pub(crate) at: Duration,
    pub(crate) what: String,
}

/// How much happened, by name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Something that was told of one of the monitor's own.
struct OwnTold {
    alert_id: String,
    incident_id: String,
    kind: AlertKind,
    life: u64,
}

struct One {
    model: Model,
    cadence: Cadence,
    stored: Option<Arc<ApiState>>,
    /// How many items the stored record knows.
    stored_items: usize,
    /// The record was lost with a crash on top: what was told before is not known any more.
    has_forgotten: bool,
    in_flight: Vec<Option<u64>>,
}

struct Call {
    api_id: ApiId,
    channel: usize,
    /// Which change it tells; `None` for one of the monitor's own.
    change: Option<usize>,
}

pub(crate) struct Oracle<'a> {
    script: &'a Script,
    channels: Vec<&'static str>,
    troubles: Troubles,
    apis: BTreeMap<ApiId, One>,
    /// By channel, in order.
    own: BTreeMap<ApiId, Vec<Vec<OwnTold>>>,
    /// Incidents of its own that it had stored. One that it told because the store was gone, and forgot in a crash, nobody
    /// can end.
    own_stored: HashSet<String>,
    roster: BTreeMap<ApiId, Arc<ApiConfig>>,
    probes: HashMap<u64, Arc<ApiConfig>>,
    calls: HashMap<u64, Call>,
    life: u64,
    life_began: Duration,
    life_ended: Vec<Duration>,
    is_running: bool,
    is_stopping: bool,
    looked_for_unconfigured: bool,
    now: Moment,
    pub(crate) counts: Counts,
    pub(crate) api_time: Duration,
}

type Checked = Result<(), Violation>;

/// Goes through the history of a seed.
pub(crate) fn check(script: &Script, history: &History) -> (Checked, Counts, Duration) {
    let mut oracle = Oracle::new(script, &history.journal);
    let mut checked = history.journal.iter().try_for_each(|entry| oracle.happens(entry));
    if checked.is_ok() {
        checked = match history.panics.first() {
            Some(panic) => Err(oracle.violation("no panic", None, panic.clone())),
            None => oracle.at_the_end(),
        };
    }
    (checked, oracle.counts, oracle.api_time)
}

fn verdict(behaviour: Behaviour) -> Verdict {
    match behaviour {
        Behaviour::Answers(200..=299) => Verdict::Pass,
        Behaviour::CannotBeAsked => Verdict::Inconclusive,
        _ => Verdict::Fail,
    }
}

impl<'a> Oracle<'a> {
    fn new(script: &'a Script, journal: &[Entry]) -> Self {
        let channels = ["pager", "mail"][..script.channels].to_vec();
        let one = || One {
            model: Model::new(script.channels),
            cadence: Cadence::new(Duration::ZERO, true),
            stored: None,
            stored_items: 0,
            has_forgotten: false,
            in_flight: vec![None; script.channels],
        };
        Self {
            script,
            channels,
            troubles: Troubles::of(journal),
            apis: script.apis.iter().map(|api| (api.api_id.clone(), one())).collect(),
            own: BTreeMap::new(),
            own_stored: HashSet::new(),
            roster: BTreeMap::new(),
            probes: HashMap::new(),
            calls: HashMap::new(),
            life: 0,
            life_began: Duration::ZERO,
            life_ended: vec![],
            is_running: false,
            is_stopping: false,
            looked_for_unconfigured: false,
            now: Moment { at: Duration::ZERO, wall: Timestamp::default() },
            counts: Counts::new(),
            api_time: Duration::ZERO,
        }
    }

    fn violation(&self, check: &'static str, api_id: Option<&ApiId>, what: impl Into<String>) -> Violation {
        Violation { check, api_id: api_id.cloned(), at: self.now.at, what: what.into() }
    }

    fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(what.to_owned(), 1);
            }
        }
    }

    fn happens(&mut self, entry: &Entry) -> Checked {
        self.now = Moment { at: entry.at, wall: entry.wall };
        match &entry.event {
            Event::LifeBegan => self.life_begins(),
            Event::LifeEnded { how } => return self.life_ends(how),
            Event::ClockSet { by_ms } => {
                self.count(if *by_ms > 0 { "clock set forward" } else { "clock set back" });
                self.apis.values_mut().for_each(|one| one.cadence.clock_was_set());
            }
            Event::Scripted(what) => {
                self.is_stopping |= what == "Restart";
                let name = what.split(['{', ':', '"']).next().unwrap_or(what);
                let name: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
                self.count(&format!("script: {}", name.trim()));
            }
            Event::ProbeBegan { probe, api } => {
                self.probes.insert(*probe, Arc::clone(api));
                let now = self.now;
                let Some(one) = self.apis.get_mut(&api.api_id) else {
                    return Err(self.violation(
                        "cadence",
                        Some(&api.api_id),
                        "an API is probed that nobody configured",
                    ));
                };
                let began = one.cadence.began(*probe, api, now);
                return began.map_err(|what| self.violation("cadence", Some(&api.api_id), what));
            }
            Event::ProbeCut { probe, panicked } => {
                if let Some(api) = self.probes.remove(probe)
                    && let Some(one) = self.apis.get_mut(&api.api_id)
                {
                    one.cadence.cut(*panicked, entry.at);
                }
                self.count(if *panicked { "probe: panicked" } else { "probe: cut" });
            }
            Event::ProbeEnded { probe, behaviour, started_at, finished_at } => {
                self.probe_ended(*probe, *behaviour, *started_at, *finished_at);
            }
            Event::CommitBegan { .. } => {}
            Event::CommitEnded { all_well, .. } => {
                if !all_well {
                    self.count("store: a call failed");
                }
            }
            Event::NotWritten { conflict, .. } => {
                self.count(if *conflict { "store: conflict" } else { "store: one write failed" });
            }
            Event::Written { record } => return self.written(record),
            Event::Overwritten { record } => {
                if let Some(one) = self.apis.get_mut(&record.api_id) {
                    one.stored = Some(Arc::clone(record));
                }
                self.count("store: somebody else wrote");
            }
            Event::Deleted { api_id } => {
                if let Some(one) = self.apis.get_mut(api_id) {
                    one.stored = None;
                }
                self.count("store: somebody else deleted");
            }
            Event::DeliverBegan { call, channel, alert } => return self.offered(*call, channel, alert),
            Event::TookOver { call } => self.taken_over(*call),
            Event::DeliverEnded { call, answered } => self.answered(*call, *answered),
            Event::ConfigsRead { rows } => return self.configs_read(rows.as_ref()),
        }
        Ok(())
    }

    fn life_begins(&mut self) {
        self.is_running = true;
        self.is_stopping = false;
        self.looked_for_unconfigured = false;
        self.life_began = self.now.at;
        self.roster.clear();
        self.probes.clear();
        self.calls.clear();
        for one in self.apis.values_mut() {
            if one.stored.is_none() {
                one.has_forgotten |= one.stored_items > 0;
                one.stored_items = 0;
            }
            one.model.forget_after(one.stored_items);
            for lane in one.model.changes.iter_mut().flat_map(|change| &mut change.lanes) {
                lane.owed_at_start = !lane.settled;
            }
            one.in_flight.iter_mut().for_each(|call| *call = None);
            one.cadence = Cadence::new(self.life_began, one.cadence.is_plain && self.life == 0);
        }
    }

    fn life_ends(&mut self, how: &str) -> Checked {
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
            for channel in 0..self.channels.len() {
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

    fn probe_ended(&mut self, probe: u64, behaviour: Behaviour, started_at: Timestamp, finished_at: Timestamp) {
        let (now, life) = (self.now, self.life);
        self.count(match behaviour {
            Behaviour::Answers(200..=299) => "probe: passed",
            Behaviour::Answers(_) => "probe: another status",
            Behaviour::Refuses => "probe: refused",
            Behaviour::Hangs => "probe: timed out",
            Behaviour::CannotBeAsked => "probe: inconclusive",
            Behaviour::Panics | Behaviour::NeverEnds => "probe: never ended",
        });
        let Some(api) = self.probes.remove(&probe) else { return };
        let Some(one) = self.apis.get_mut(&api.api_id) else { return };
        let missed = one.cadence.ended(now);
        if one.cadence.watched.is_none() {
            return;
        }
        let recheck = api.recheck;
        let seen = Seen { verdict: verdict(behaviour), started_at, finished_at, api, missed };
        one.model.happens(Item::Outcome(seen), now.at, life);
        let is_suspect = one.model.now().streak.is_some();
        one.cadence.recheck(is_suspect.then_some(recheck));
        if missed > 0 {
            self.count("ticks missed");
        }
    }

    fn configs_read(&mut self, rows: Option<&(Vec<Arc<ApiConfig>>, Vec<ApiId>)>) -> Checked {
        let Some((good, refused)) = rows else {
            self.count("configs: unreachable");
            return Ok(());
        };
        if self.is_stopping {
            return Ok(());
        }
        if good.is_empty() && refused.is_empty() {
            self.count("configs: empty");
            if !self.roster.is_empty() {
                return Ok(());
            }
        }
        let mut roster: BTreeMap<ApiId, Arc<ApiConfig>> =
            good.iter().map(|row| (row.api_id.clone(), Arc::clone(row))).collect();
        for api_id in refused {
            self.count("configs: a row refused");
            if let Some(last_good) = self.roster.get(api_id) {
                roster.insert(api_id.clone(), Arc::clone(last_good));
            }
        }
        let looks = !self.looked_for_unconfigured && roster.values().any(|row| row.enabled) | !refused.is_empty();
        self.looked_for_unconfigured |= looks;
        let (now, life) = (self.now, self.life);
        for (api_id, one) in &mut self.apis {
            let row = roster.get(api_id).filter(|row| row.enabled);
            let was = one.cadence.watched.as_ref().map(|(row, _)| Arc::clone(row));
            let stops = was.is_some() && row.is_none();
            let is_gone = looks && row.is_none() && !refused.contains(api_id);
            if stops || is_gone {
                one.model.happens(Item::Unwatched(now.wall), now.at, life);
            }
            if let (Some(was), Some(row)) = (&was, row)
                && was.url != row.url
            {
                one.model.happens(Item::AskedAnew, now.at, life);
            }
            if stops {
                self.api_time += now.at - self.life_began;
            }
            one.cadence.row(row, now).map_err(|what| Violation {
                check: "starved",
                api_id: Some(api_id.clone()),
                at: now.at,
                what,
            })?;
        }
        self.roster = roster;
        Ok(())
    }

    /// A record is durable: it must say what the model says.
    fn written(&mut self, record: &Arc<ApiState>) -> Checked {
        let api_id = &record.api_id;
        if let Some(broken) = invariant::first_broken(record) {
            return Err(self.violation("invariant", Some(api_id), broken));
        }
        let Some(one) = self.apis.get(api_id) else {
            self.own_stored.extend(record.incident.as_ref().map(|incident| incident.incident_id.clone()));
            let own = api_id.is_own();
            return if own { Ok(()) } else { Err(self.violation("stored", Some(api_id), "nobody configured it")) };
        };
        // Where nothing shifted a tick, each that was missed is counted.
        let items = match explain(one, record, one.cadence.is_plain && self.life == 0) {
            Ok(items) => items,
            Err(what) => return Err(self.violation("same decisions as the model", Some(api_id), what)),
        };
        self.stored_in_time(api_id)?;
        self.outbox(record, items)?;
        let at = self.now.at;
        if let Some(one) = self.apis.get_mut(api_id) {
            one.stored = Some(Arc::clone(record));
            one.stored_items = items;
            let changes = one.model.snapshots[items].changes;
            for change in &mut one.model.changes[..changes] {
                change.stored_at.get_or_insert(at);
            }
        }
        Ok(())
    }

    /// What mattered first of what was not stored until now was not left lying about.
    fn stored_in_time(&self, api_id: &ApiId) -> Checked {
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
    fn outbox(&mut self, record: &ApiState, items: usize) -> Checked {
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
                let settled = here.as_ref().is_none_or(|here| here.is_delivered(name));
                let Some(one) = self.apis.get_mut(api_id) else { return Ok(()) };
                let change = &mut one.model.changes[index];
                if settled && change.lanes[channel].answered.is_none() && !change.left_out {
                    if here.is_none() && folds {
                        change.left_out = true;
                        continue;
                    }
                    let (kind, at) = (change.kind.as_str(), change.happened_at);
                    let what =
                        format!("{kind} of {at} is not owed to {name} any more, which never said that it has it");
                    return Err(self.violation("owed until delivered", Some(api_id), what));
                }
                change.lanes[channel].settled = settled;
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
    fn is_as_it_was(&mut self, api_id: &ApiId, index: usize, alert: &Alert) -> Checked {
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

    fn offered(&mut self, number: u64, channel: &'static str, alert: &Alert) -> Checked {
        let api_id = &alert.api_id;
        let channel = self.channels.iter().position(|name| *name == channel).unwrap_or(0);
        let Some(one) = self.apis.get(api_id) else {
            self.calls.insert(number, Call { api_id: api_id.clone(), channel, change: None });
            return self.own_offered(channel, alert);
        };
        let told = one.model.changes.iter().rposition(|change| {
            change.kind == alert.kind
                && change.happened_at == alert.happened_at
                && change.alert_id.as_ref().is_none_or(|id| *id == alert.alert_id)
        });
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
        let claim = one.stored.as_ref().and_then(|record| record.claim.as_ref());
        let is_claimed = claim.is_some_and(|claim| claim.until > self.now.wall);
        let is_set = self.troubles.clock.touch(now.saturating_sub(Duration::from_secs(31)), now);
        let is_theirs = is_claimed && claim.is_some_and(|claim| claim.by == crate::world::ANOTHER);
        if (!is_claimed || is_theirs) && !is_set && !trouble(now.saturating_sub(Duration::from_secs(31))) {
            return Err(self.violation("claimed before it is told", Some(api_id), format!("the claim is {claim:?}")));
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
            if ended > answered_at + STORED_WITHIN && !in_trouble {
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
            one.model.changes[index].lanes[channel].offered_at.get_or_insert(now);
            one.in_flight[channel] = Some(number);
        }
        self.calls.insert(number, Call { api_id: api_id.clone(), channel, change: Some(index) });
        Ok(())
    }

    fn count_repeat(&mut self) {
        self.count("told again: a crash before that was stored");
    }

    /// An alert that was not offered until now did not wait for longer than it must.
    fn offered_in_time(&self, api_id: &ApiId, index: usize, channel: usize) -> Checked {
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
        let is_first_an_end = last.is_none() && !alert.kind.opens();
        let is_same_again = last.is_some_and(|last| {
            last.kind.opens() == alert.kind.opens()
                && (last.life == self.life || self.own_stored.contains(&last.incident_id))
        });
        told.push(OwnTold {
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

    fn taken_over(&mut self, number: u64) {
        let at = self.now.at;
        self.count("told");
        if let Some(Call { api_id, channel, change: Some(index) }) = self.calls.get(&number)
            && let Some(one) = self.apis.get_mut(api_id)
        {
            one.model.changes[*index].lanes[*channel].taken_at.get_or_insert(at);
        }
    }

    fn answered(&mut self, number: u64, answered: Answered) {
        let (at, life) = (self.now.at, self.life);
        self.count(match answered {
            Answered::Ok => "channel: took over",
            Answered::Retryable => "channel: refused",
            Answered::Permanent => "channel: a person must act",
            Answered::Panicked => "channel: panicked",
            Answered::Cut => "channel: did not answer",
        });
        if let Some(Call { api_id, channel, change: Some(index) }) = self.calls.remove(&number)
            && let Some(one) = self.apis.get_mut(&api_id)
        {
            one.in_flight[channel] = None;
            if answered == Answered::Ok {
                one.model.changes[index].lanes[channel].answered = Some((at, life));
            }
        }
    }

    /// Faults are over, and have been for long.
    fn at_the_end(&mut self) -> Checked {
        for (n, api) in self.script.apis.iter().enumerate() {
            let api_id = &api.api_id;
            let one = &self.apis[api_id];
            for (channel, name) in self.channels.iter().enumerate() {
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
            if let Some(record) = &one.stored {
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
            let is_open = |told: &OwnTold| {
                told.kind.opens() && (told.life + 1 == self.life || self.own_stored.contains(&told.incident_id))
            };
            if told.iter().any(|told| told.last().is_some_and(is_open)) {
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

/// How many items of the model a record knows: it names the last probe that it knows of, and may know of later items
/// that are no probes, or of probes that changed nothing.
fn explain(one: &One, record: &ApiState, counts_missed: bool) -> Result<usize, String> {
    let model = &one.model;
    let named = match &record.last_probe {
        None => 0,
        Some(last) => {
            let is_it = |item: &Item| matches!(item, Item::Outcome(seen) if seen.finished_at == last.at && seen.verdict == last.verdict);
            1 + model
                .items
                .iter()
                .rposition(is_it)
                .ok_or_else(|| format!("it knows of a probe that never was: {}", last.at))?
        }
    };
    let missed = model.snapshots[named].missed;
    if counts_missed && record.missed_ticks != missed {
        return Err(format!("{} ticks were missed, and should be {missed}", record.missed_ticks));
    }
    let mut best = None;
    let mut differs = String::new();
    for items in named.max(one.stored_items)..=model.items.len() {
        let is_new_outcome = items > named.max(one.stored_items) && matches!(model.items[items - 1], Item::Outcome(_));
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
    let streak = record.streak.as_ref().map(|streak| (streak.toward, streak.count, streak.first_at));
    let last = model.changes[..snapshot.changes].last();
    let last_told = last.map_or(Status::Unknown, |change| change.kind.status());
    let incident = record.incident.as_ref().map(|incident| incident.started_at);
    let open = last.filter(|change| change.kind == AlertKind::Down).map(|change| change.happened_at);
    if record.status != snapshot.status {
        Some(format!("the status is {:?}, and should be {:?}", record.status, snapshot.status))
    } else if record.since != snapshot.since {
        Some(format!("it is so since {:?}, and should be since {:?}", record.since, snapshot.since))
    } else if streak != snapshot.streak {
        Some(format!("the streak is {streak:?}, and should be {:?}", snapshot.streak))
    } else if record.last_told != last_told {
        Some(format!("told last is {:?}, and should be {last_told:?}", record.last_told))
    } else if incident != open {
        Some(format!("the incident began at {incident:?}, and should have at {open:?}"))
    } else {
        None
    }
}
