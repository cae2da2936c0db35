//! The oracle of worlds with several workers: it goes through what really happened, and knows the properties by name.
//!
//! It does not replay decisions, as the one for a single process does. It knows who owned which shard at each moment, since it
//! sees each lease record that was written; it knows what was stored, what each channel took, and what each worker suffered. A
//! worker that may have lost its lease is judged by the store's record of it and not by what it believes.

mod digests;
mod end;
mod holds;
mod leases;
mod telling;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::stage::{Answered, Entry, Event};
use api_health_actors::testkit::target::Behaviour;
use api_health_core::own::records::{Session, WorkerRecord};
use api_health_core::own::shards::{SHARDS, Shard};
use api_health_core::{Alert, ApiConfig, ApiId, ApiState, invariant};

use super::{Checked, Counts, Violation};
use crate::fleet_history::{FleetHistory, What};
use crate::fleet_script::{Cut, FleetScript};
use crate::schedules::Spec;

/// A lease lasts 10 s, and the others look every 3 s; then records are read.
const FAILOVER: Duration = Duration::from_secs(16);
/// A stop ends within 10 s, and storing and telling get 5 s at least.
const LEAVES: Duration = Duration::from_secs(15);
/// An attempt is cut after this.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// Workers have seen each other this long after a join.
const ACQUAINTED: Duration = Duration::from_secs(70);
/// Whoever is fenced has found that out this long after it can.
const FINDS_OUT: Duration = Duration::from_secs(12);
/// A worker that did not renew for less than this is not fenced.
const EXPIRES: Duration = Duration::from_secs(16);

/// What came of one alert in one channel.
#[derive(Clone, Debug, Default)]
struct DeliverySlot {
    taken: bool,
    /// A process heard that the channel has it.
    answered: Option<(Duration, usize)>,
}

/// One API.
struct One {
    api: Arc<ApiConfig>,
    record: Option<Arc<ApiState>>,
    /// Every alert that was ever stored, in the order in which they were, with the channels that it was owed to.
    stored: Vec<(String, Vec<String>)>,
    left_out: HashSet<String>,
    lanes: HashMap<(String, &'static str), DeliverySlot>,
    /// The incidents that each channel was told of and not that they ended: by which alert, of which process.
    open: HashMap<&'static str, BTreeMap<String, (String, usize)>>,
    /// Probes that failed, and the ids of outages that were told.
    fails: u32,
    outages: HashSet<String>,
    /// When it was probed last, and by which process.
    last_began: Option<(Duration, usize)>,
    holding: holds::Holding,
}

/// A shard, as the lease records say.
#[derive(Clone, Debug, Default)]
struct Held {
    owner: Option<Session>,
    epoch: u64,
    since: Duration,
    /// The epoch with which it was taken from another, which did not give it back: each record is written with it first.
    taken_with: u64,
    /// Whose it was before, and since when: a process, or nobody's.
    before: Vec<(Duration, Option<usize>)>,
}

impl Held {
    /// Whose it was at some time in that span; `None` among them: nobody's.
    fn owners_between(&self, from: Duration, to: Duration) -> impl Iterator<Item = Option<usize>> {
        let ends = self.before.iter().skip(1).map(|(since, _)| *since).chain([self.since]);
        self.before
            .iter()
            .zip(ends)
            .filter(move |((since, _), end)| *since <= to && *end >= from)
            .map(|((_, by), _)| *by)
    }
}

pub(super) struct Fleet<'a> {
    script: &'a FleetScript,
    history: &'a FleetHistory,
    apis: BTreeMap<ApiId, One>,
    shards: Vec<Held>,
    /// Whose sessions are whose.
    processes: HashMap<Session, usize>,
    workers: HashMap<String, WorkerRecord>,
    /// Who wrote with which epoch of a shard.
    writers: HashMap<(Shard, u64), usize>,
    calls: HashMap<u64, (&'static str, Arc<Alert>)>,
    storms: digests::Storms,
    probes: HashMap<u64, ApiId>,
    last_move: Duration,
    process: usize,
    at: Duration,
    counts: Counts,
}

/// Goes through the history of a seed.
pub(crate) fn check(script: &FleetScript, history: &FleetHistory) -> (Checked, Counts, Duration) {
    let mut fleet = Fleet::new(script, history);
    let mut checked = history.journal.iter().try_for_each(|entry| fleet.happens(entry));
    if checked.is_ok() {
        checked = match history.panics.first() {
            Some(panic) => Err(fleet.violation("no panic", None, panic.clone())),
            None => fleet.at_the_end(),
        };
    }
    let api_time =
        script.actions.last().map_or(Duration::ZERO, |(at, _)| *at) * u32::try_from(script.apis.len()).unwrap_or(0);
    (checked, fleet.counts, api_time)
}

impl<'a> Fleet<'a> {
    fn new(script: &'a FleetScript, history: &'a FleetHistory) -> Self {
        let one = |api: &Arc<ApiConfig>| One {
            api: Arc::clone(api),
            record: None,
            stored: vec![],
            left_out: HashSet::new(),
            lanes: HashMap::new(),
            open: HashMap::new(),
            fails: 0,
            outages: HashSet::new(),
            last_began: None,
            holding: holds::Holding::default(),
        };
        Self {
            script,
            history,
            apis: script.apis.iter().map(|api| (api.api_id.clone(), one(api))).collect(),
            shards: vec![Held::default(); usize::from(SHARDS)],
            processes: HashMap::new(),
            workers: HashMap::new(),
            writers: HashMap::new(),
            calls: HashMap::new(),
            storms: digests::Storms::default(),
            probes: HashMap::new(),
            last_move: Duration::ZERO,
            process: 0,
            at: Duration::ZERO,
            counts: Counts::new(),
        }
    }

    fn violation(&self, check: &'static str, api_id: Option<&ApiId>, what: impl Into<String>) -> Violation {
        Violation { check, api_id: api_id.cloned(), at: self.at, what: what.into() }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(format!("fleet: {what}")).or_default() += 1;
    }

    fn happens(&mut self, entry: &Entry) -> Checked {
        (self.process, self.at) = (entry.process, entry.at);
        match &entry.event {
            Event::LifeEnded { how } => self.count(&format!("life {how}")),
            Event::Scripted(what) => {
                let name: String = what.chars().filter(|c| !c.is_ascii_digit()).collect();
                self.count(&format!("script {name}"));
            }
            Event::ProbeBegan { probe, api } => {
                self.probes.insert(*probe, api.api_id.clone());
                return self.probe_began(&api.api_id);
            }
            Event::ProbeEnded { probe, behaviour, finished_at, .. } => {
                if let Some(one) = self.probes.remove(probe).and_then(|api_id| self.apis.get_mut(&api_id)) {
                    let is_pass = matches!(behaviour, Behaviour::Answers(200..=299));
                    let is_fail = !is_pass && *behaviour != Behaviour::CannotBeAsked;
                    one.fails += u32::from(is_fail);
                    if is_pass || is_fail {
                        one.holding.ended(entry.at, *finished_at, is_pass, entry.process);
                    }
                }
            }
            Event::Leased { record } => return self.leased(record),
            Event::Written { record, .. } => return self.written(record),
            Event::DigestBegan { apis, .. } => return self.digest_began(apis),
            Event::DeliverBegan { call, channel, alert } => {
                self.offered(*call, channel, alert)?;
                return self.storms_are_told_in_digests(*call, channel);
            }
            Event::TookOver { call } => self.taken_over(*call),
            Event::DeliverEnded { call, answered } => {
                if let Some((channel, alert)) = self.calls.remove(call) {
                    self.call_ended(*call, channel, *answered);
                    if *answered == Answered::Ok
                        && let Some(one) = self.apis.get_mut(&alert.api_id)
                    {
                        one.lanes.entry((alert.alert_id.clone(), channel)).or_default().answered =
                            Some((entry.at, entry.process));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether that process suffered anything of this kind in that time, or all did.
    fn troubled(&self, process: usize, from: Duration, to: Duration, kind: impl Fn(What) -> bool) -> bool {
        self.history.troubles.iter().any(|trouble| {
            let to_the_end = trouble.to + lingers(trouble.what);
            trouble.process.is_none_or(|of| of == process)
                && kind(trouble.what)
                && trouble.from <= to
                && to_the_end >= from
        })
    }

    /// Whether it was there for all of that time.
    fn lives(&self, process: usize, from: Duration, to: Duration) -> bool {
        let life = &self.history.processes[process];
        life.began <= from && life.ended.is_none_or(|(at, _)| at > to) && life.asked_to_leave.is_none_or(|at| at > to)
    }

    /// Somebody who may own everything was well for all of that time, and so was the store.
    fn is_somebody_well(&self, from: Duration, to: Duration) -> bool {
        let is_well = |process: usize| {
            let life = &self.history.processes[process];
            !self.script.workers[life.worker].is_standby
                && self.lives(process, from.saturating_sub(ACQUAINTED), to)
                && !self.troubled(process, from.saturating_sub(ACQUAINTED), to, keeps_from_owning)
        };
        from > ACQUAINTED && (1..self.history.processes.len()).any(is_well)
    }

    fn held(&self, api_id: &ApiId) -> &Held {
        &self.shards[Shard::of(api_id, SHARDS).index()]
    }

    /// The process that owns an API, if its session lives.
    fn owner(&self, api_id: &ApiId) -> Option<usize> {
        let session = self.held(api_id).owner.as_ref()?;
        let record = self.workers.get(session.worker.as_str())?;
        let lives = record.session == session.number && record.is_live();
        lives.then(|| self.processes.get(session).copied()).flatten()
    }

    fn probe_began(&mut self, api_id: &ApiId) -> Checked {
        self.count("probes");
        let (process, now) = (self.process, self.at);
        let owner = self.owner(api_id);
        let held = self.held(api_id);
        let is_others = owner.is_some_and(|owner| owner != process) && now > held.since + FINDS_OUT;
        if is_others && !self.troubled(process, now.saturating_sub(FINDS_OUT), now, keeps_from_owning) {
            let what = format!("process {process} probes what process {owner:?} owns");
            return Err(self.violation("each_api_is_probed_by_its_owner_alone", Some(api_id), what));
        }
        let Some(one) = self.apis.get(api_id) else { return Ok(()) };
        let (last, by) = one.last_began.unwrap_or_default();
        // Probers that were given up are tried again after minutes, whoever owns them, also where it was another's in between.
        let is_gray = held
            .owners_between(last, now)
            .flatten()
            .chain([by, process])
            .any(|owner| self.troubled(owner, last, now, |what| what == What::Cut(Cut::Probing)));
        // A prober that waits for a time on the wall clock looks at that every five minutes, and it may have been set.
        let looks = if Spec::of(&one.api.schedule).is_cron() { Duration::from_secs(300) } else { Duration::ZERO };
        // One that is told to stop probes nothing more, and has until its deadline to store and to tell; if it cannot by then, its
        // lease runs out.
        let life = &self.history.processes[by];
        let leaves = life.asked_to_leave.filter(|at| (last..now).contains(at)).map_or(Duration::ZERO, |asked| {
            let ended = life.ended.map_or(now, |(at, _)| at);
            ended.saturating_sub(asked).min(LEAVES)
        });
        // What is let go of waits for attempts under way, which a channel in trouble holds up.
        let is_held_up = held.owners_between(last, now).any(|owner| owner.is_none())
            && self.troubled(by, last, now, |what| matches!(what, What::Channel(_) | What::Cut(Cut::Channels)));
        let waits = if is_held_up { DELIVERY_TIMEOUT } else { Duration::ZERO };
        let bound = gap(&one.api) + one.api.timeout + Duration::from_secs(1) + FAILOVER + looks + leaves + waits;
        if now.saturating_sub(last) > bound && !is_gray && self.is_somebody_well(last, now) {
            let what = format!("not probed for {} s, although somebody was well", (now - last).as_secs_f64());
            return Err(self.violation("every_shard_has_an_owner_within_thirteen_seconds", Some(api_id), what));
        }
        if let Some(one) = self.apis.get_mut(api_id) {
            one.last_began = Some((now, process));
        }
        Ok(())
    }

    fn written(&mut self, record: &Arc<ApiState>) -> Checked {
        let api_id = &record.api_id;
        if let Some(broken) = invariant::first_broken(record) {
            return Err(self.violation("invariant", Some(api_id), broken));
        }
        let shard = Shard::of(api_id, SHARDS);
        let process = self.process;
        let writer = *self.writers.entry((shard, record.epoch)).or_insert(process);
        if writer != process {
            let what = format!("process {process} writes with epoch {}, which is process {writer}'s", record.epoch);
            return Err(self.violation("a_sealed_record_takes_nothing_from_before", Some(api_id), what));
        }
        // The next owner of what was given back in order trusts what it reads.
        let held = &self.shards[shard.index()];
        if record.epoch < held.epoch && held.taken_with == 0 && self.owner(api_id) != Some(process) {
            let what = format!("process {process} gave the shard back with epoch {} at most", held.epoch - 1);
            return Err(self.violation("nothing_is_stored_of_what_was_given_back", Some(api_id), what));
        }
        let Some(before) = self.apis.get(api_id).map(|one| one.record.clone()) else { return Ok(()) };
        if let Some(before) = &before {
            if record.epoch < before.epoch {
                let what = format!("epoch {} over epoch {}", record.epoch, before.epoch);
                return Err(self.violation("one_owner_stores", Some(api_id), what));
            }
            self.removes_what_was_delivered(before, record)?;
        }
        self.owes_what_changed(before.as_deref(), record)?;
        self.holds_as_it_should(before.as_deref(), record)?;
        let Some(one) = self.apis.get_mut(api_id) else { return Ok(()) };
        for owed in &record.owed {
            if !one.stored.iter().any(|(id, _)| *id == owed.alert.alert_id) {
                one.stored.push((owed.alert.alert_id.clone(), owed.owed_to.clone()));
            }
        }
        if before.is_some_and(|before| before.epoch < record.epoch) {
            self.count("records sealed");
        }
        if let Some(one) = self.apis.get_mut(api_id) {
            one.record = Some(Arc::clone(record));
        }
        Ok(())
    }
}

/// For how long it is felt after it is over: calls that are under way, and probers that were given up.
fn lingers(what: What) -> Duration {
    Duration::from_secs(match what {
        What::Cut(Cut::Probing) => 400,
        What::Cut(Cut::StoreSilent) | What::Store | What::FlakyStore => 22,
        What::Cut(Cut::Slow) => 9,
        _ => 0,
    })
}

/// Whether somebody who suffers that may lose what it owns.
fn keeps_from_owning(what: What) -> bool {
    !matches!(what, What::Channel(_) | What::Cut(Cut::Channels | Cut::Targets))
}

/// Whether somebody who suffers that gets no answer from the store.
fn keeps_from_storing(what: What) -> bool {
    !matches!(what, What::Channel(_) | What::Cut(Cut::Channels | Cut::Targets | Cut::Probing | Cut::StoreRefuses))
}

fn gap(api: &ApiConfig) -> Duration {
    let spec = Spec::of(&api.schedule);
    let uneven = if spec.is_cron() { spec.longest_gap_ms() / 2 } else { 0 };
    Duration::from_millis((spec.longest_gap_ms() + uneven).unsigned_abs())
}
