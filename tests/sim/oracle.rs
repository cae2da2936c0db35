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
//!
//! # What counts after a hand in the table
//!
//! See [`hand`]: a record that somebody else wrote, deleted or brought back.

mod end;
pub(crate) mod fleet;
mod hand;
mod lives;
mod rows;
mod stored;
mod told;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::stage::{Entry, Event};
use api_health_actors::testkit::target::Behaviour;
use api_health_core::keep::DIGEST_ALERTS_MAX;
use api_health_core::{AlertKind, ApiConfig, ApiId, ApiState, Heartbeat, Timestamp, Verdict};

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
/// And within so much more while the store is in trouble (P5): until it goes unstored.
const UNSTORED_WITHIN: Duration = Duration::from_secs(30);
/// The longest wait after an attempt that failed.
const TURN_WITHIN: Duration = Duration::from_secs(310);
/// An alert that is in no record is not told before it has waited for so long.
const UNSTORED_MIN: Duration = Duration::from_millis(29_500);
/// And within so much more after a restart, or after somebody else wrote.
const RESTARTED_WITHIN: Duration = Duration::from_secs(5);

/// Who starves is late in the heartbeats after this: its timeout again, and 15 s.
const LATE_WITHIN: Duration = Duration::from_secs(60);

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

/// Whether one message may hold an alert of each of these.
fn is_a_digest(apis: &[ApiId]) -> bool {
    apis.len() <= DIGEST_ALERTS_MAX && apis.iter().collect::<HashSet<_>>().len() == apis.len()
}

/// How much happened, by name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Something that was told of one of the monitor's own.
struct SelfMonitoringAlert {
    alert_id: String,
    incident_id: String,
    kind: AlertKind,
    life: u64,
}

struct One {
    model: Model,
    cadence: Cadence,
    /// What is in the store.
    stored: Option<Known>,
    /// How many items the program has stored.
    stored_items: usize,
    /// And how many of those it knows to be stored.
    said_items: usize,
    /// Since when it knows that.
    said_at: Duration,
    /// And which version, and which it knows of.
    stored_version: u64,
    said_version: u64,
    /// What was ever stored under a version, for telling what an old copy knows.
    copies: HashMap<u64, Known>,
    /// What may have happened instead, until a record says which: an outcome was on its way when a record was adopted.
    other: Option<Model>,
    /// The record was lost or brought back with a crash on top: what was told before is not known any more.
    has_forgotten: bool,
    /// Another thing was asked of it at some time.
    is_asked_anew: bool,
    /// It was brought back at the beginning of this life.
    was_brought_back: bool,
    in_flight: Vec<Option<u64>>,
}

/// A record, and how many items it knows.
#[derive(Clone)]
struct Known {
    record: Arc<ApiState>,
    items: usize,
}

impl One {
    /// One more thing happened. Returns whether it changed anything that must be stored.
    fn happens(&mut self, item: Item, at: Duration, life: u64) -> bool {
        if let Some(other) = &mut self.other {
            other.happens(item.clone(), at, life);
        }
        self.model.happens(item, at, life)
    }
}

struct Call {
    api_id: ApiId,
    channel: usize,
    /// Which change it tells; `None` for one of the monitor's own.
    change: Option<usize>,
    /// The outage that it tells, where that was forgotten meanwhile.
    forgotten: Option<Change>,
}

pub(crate) struct Oracle<'a> {
    script: &'a Script,
    channels: Vec<&'static str>,
    troubles: Troubles,
    apis: BTreeMap<ApiId, One>,
    /// By channel, in order.
    own: BTreeMap<ApiId, Vec<Vec<SelfMonitoringAlert>>>,
    /// Incidents of its own that it had stored. One that it told because the store was gone, and forgot in a crash, nobody
    /// can end.
    own_stored: HashSet<String>,
    roster: BTreeMap<ApiId, Arc<ApiConfig>>,
    /// The program has read the records that it goes on from.
    is_up: bool,
    /// Rows that were read before that.
    rows: Option<Rows>,
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

/// Rows as they were read: the good ones, and the ids of the refused ones.
type Rows = (Vec<Arc<ApiConfig>>, Vec<ApiId>);

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
        // Our own resolver is dead, which accuses nobody.
        Behaviour::CannotBeAsked | Behaviour::LookupFails | Behaviour::NoRoute => Verdict::Inconclusive,
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
            said_items: 0,
            said_at: Duration::ZERO,
            is_asked_anew: false,
            stored_version: 0,
            said_version: 0,
            copies: HashMap::new(),
            other: None,
            has_forgotten: false,
            was_brought_back: false,
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
            is_up: false,
            rows: None,
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
            Event::Written { record, said } => return self.written(record, *said),
            Event::Heartbeat { heartbeat } => return self.heartbeats(heartbeat),
            Event::Overwritten { record } => self.overwritten(record),
            Event::Deleted { api_id } => self.deleted(api_id),
            Event::Read { api_id, record } => self.read(api_id, record.as_ref()),
            Event::Leased { .. } => {}
            Event::AllRead => {
                let is_first = self.is_running && !std::mem::replace(&mut self.is_up, self.is_running);
                if is_first && let Some(rows) = self.rows.take() {
                    return self.rows_apply(&rows);
                }
            }
            Event::DeliverBegan { call, channel, alert } => return self.offered(*call, channel, alert),
            Event::DigestBegan { apis, .. } => {
                self.count("told in a digest");
                if !is_a_digest(apis) {
                    return Err(self.violation("a digest has each API once", None, format!("{apis:?}")));
                }
            }
            Event::TookOver { call } => self.taken_over(*call),
            Event::DeliverEnded { call, answered } => self.answered(*call, *answered),
            Event::ConfigsRead { rows } => return self.configs_read(rows.as_ref()),
        }
        Ok(())
    }

    /// A heartbeat adds up, and passes nobody for probed who has starved.
    fn heartbeats(&mut self, heartbeat: &Heartbeat) -> Checked {
        self.count("store: heartbeat");
        if heartbeat.late > 0 {
            self.count("store: heartbeat with somebody late");
        }
        if heartbeat.up + heartbeat.down + heartbeat.unknown != heartbeat.apis
            || heartbeat.late.max(heartbeat.inconclusive) > heartbeat.apis
        {
            return Err(self.violation("heartbeat", None, format!("it does not add up: {heartbeat:?}")));
        }
        for (api_id, one) in &self.apis {
            let starves = one.cadence.not_starved(self.now.at.saturating_sub(LATE_WITHIN));
            if let (Err(what), Some(false)) = (starves, heartbeat.is_late(api_id)) {
                return Err(self.violation("heartbeat", Some(api_id), format!("not late, but {what}")));
            }
        }
        Ok(())
    }

    fn probe_ended(&mut self, probe: u64, behaviour: Behaviour, started_at: Timestamp, finished_at: Timestamp) {
        let (now, life) = (self.now, self.life);
        self.count(match behaviour {
            Behaviour::Answers(200..=299)
            | Behaviour::AnswersByProxy
            | Behaviour::WaitsForItsTurn
            | Behaviour::WaitsForItsHost => "probe: passed",
            Behaviour::Answers(_) => "probe: another status",
            Behaviour::Refuses => "probe: refused",
            Behaviour::Hangs => "probe: timed out",
            Behaviour::LookupFails => "probe: resolver dead",
            Behaviour::Unreachable | Behaviour::CertificateOver => "probe: failed otherwise",
            Behaviour::CannotBeAsked | Behaviour::NoRoute | Behaviour::ProxyIsDead => "probe: inconclusive",
            Behaviour::Panics | Behaviour::PanicsAtOnce | Behaviour::PanicsAfterwards | Behaviour::NeverEnds => {
                "probe: never ended"
            }
        });
        let Some(api) = self.probes.remove(&probe) else { return };
        let Some(one) = self.apis.get_mut(&api.api_id) else { return };
        let missed = one.cadence.ended(now);
        if behaviour == Behaviour::LookupFails {
            one.cadence.asks_witnesses(now);
        }
        if one.cadence.watched.is_none() {
            return;
        }
        // What was asked before a row changed says nothing of what is asked now.
        let same_request = self.roster.get(&api.api_id).is_none_or(|row| row.url == api.url);
        let verdict = if same_request { verdict(behaviour) } else { Verdict::Inconclusive };
        one.happens(Item::Outcome(Seen { verdict, started_at, finished_at, api, missed }), now.at, life);
        let is_suspect = one.model.now().streak.is_some();
        one.cadence.recheck(is_suspect);
        if one.other.as_ref().is_some_and(|other| other.now().streak.is_some() != is_suspect) {
            one.cadence.may_be_asked_again();
        }
        if !same_request {
            self.count("probe: of another question");
        }
        if missed > 0 {
            self.count("ticks missed");
        }
    }
}
