//! The state-keeper as a plain value: it holds every API's state, decides, and says what to write and which alerts to send.
//!
//! [`Keeper`] takes what happened and when, and returns [`Effect`]s; the actor (`actors/src/state_keeper`) executes them and feeds
//! the results back. It never waits: everything is decided in memory at once, so that no prober ever waits for the store. The
//! record is the truth: an owed alert that is not being delivered is offered again.
//!
//! | file | answers |
//! |---|---|
//! | [`mod@deciding`] | what follows from an outcome |
//! | [`mod@self_monitoring`] | the same for what the monitor watches of itself |
//! | [`mod@ledger`] | what is known and not stored, and what is written next |
//! | [`mod@entry`] | the same for one API, and how a version conflict is resolved |
//! | [`mod@deliver`] | may this alert go out now; what came of the attempt |
//! | [`mod@own_channel`] | what waits for each channel, and how it takes that |
//! | [`mod@delivery_queue`] | which alert goes to it next |
//! | [`mod@flow_control`] | how many attempts it may have at once, and how long what it is owed will take |
//! | [`mod@owed`] | what each channel is owed, and what is said of it |
//! | [`mod@digest`] | whether what waits for it goes out one by one or together |
//! | [`mod@owned_shards`] | which shards this keeper owns, and whether its lease holds |
//! | [`mod@shards`] | what happens when a shard comes or goes |
//! | [`mod@configs`] | what happens when a config is added, changed or removed |
//! | [`mod@log_event`] | what is to be logged |
//! | [`mod@answers`] | what the store's answers mean |
//! | [`mod@health`] | whether the store takes writes |
//! | [`mod@own_side`] | which alerts there are of our own network and clock |
//! | [`mod@unclear`] | who cannot be judged, and when that is alerted |
//! | [`mod@certificates`] | whose certificate ends soon, and when that is alerted |
//! | [`mod@holds`] | whose alerts are held, and when that is over |
//! | [`mod@history`] | what is recorded for people, and how it comes to where that is kept |
//! | [`mod@heartbeats`] | when the heartbeat is written |
//! | [`mod@report`] | what the heartbeat and reports say |
//! | [`mod@shown`] | what people are shown who look at the running program |

mod answers;
mod certificates;
mod configs;
mod deciding;
mod deliver;
mod delivery_queue;
mod digest;
mod entry;
mod flow_control;
mod health;
mod heartbeats;
mod history;
mod holds;
mod ledger;
mod log_event;
mod owed;
mod own_channel;
mod own_side;
mod owned_shards;
mod report;
mod self_monitoring;
mod shards;
mod shown;
mod unclear;
mod waits;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Alert;
use crate::api::{ApiConfig, ApiId};
use crate::heartbeat::Heartbeat;
use crate::history::{HistoryItem, HistorySlot, Series};
use crate::outcome::Outcome;
use crate::own::shards::{Shard, ShardSet};
use crate::routes::Routes;
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::store::{CommitLimits, StateWrite};
use crate::time::Monotonic;
use health::Health;
use heartbeats::HeartbeatSchedule;
use history::HistoryQueue;
use holds::Holds;
use ledger::Ledger;
use owed::Owed;
use own_channel::OwnChannel;
use own_side::OwnSide;
use owned_shards::OwnedShards;
use unclear::Unclear;

pub use answers::RecordRead;
pub use configs::ConfigDiff;
pub use deliver::{DeliveryResult, NOTED_WITHIN, UNSTORED_MAX};
pub use delivery_queue::DELIVERIES_IN_FLIGHT_MAX;
pub use digest::{DIGEST_ALERTS_MAX, GATHERED_FOR, STORM_WITHIN};
pub use flow_control::time_left;
pub use health::STORE_GONE_AFTER;
pub use heartbeats::{FIRST_HEARTBEAT_AFTER, HEARTBEAT_MAX};
pub use history::HistorySetup;
pub use holds::{Dependents, PARENT_ASKED_WITHIN};
pub use ledger::REWRITES_PER_SECOND;
pub use log_event::LogEvent;
pub use owed::{BACKLOG_MIN, ChannelOwed};
pub use own_channel::Channel;
pub use own_side::OwnSideKind;
pub use owned_shards::{Grant, Lease};
pub use report::Report;
pub use shown::Shown;

/// How a keeper is configured.
#[derive(Clone, Debug)]
pub struct KeeperConfig {
    /// The longest that a write may wait if it changes no decision.
    pub checkpoint: Duration,
    /// Which alert is owed to which channels.
    pub routes: Routes,
    /// More alerts than this within seconds go to these channels together.
    pub digest_above: HashMap<String, usize>,
    pub limits: CommitLimits,
    /// The name of this process, as people see it.
    pub instance: String,
    pub store_name: String,
    pub version: &'static str,
    /// Retry times that an earlier process noted are respected. Not with `run --once`, which ends before: the pauses are up to
    /// whoever starts it.
    pub resumes_backoff: bool,
    /// How often a heartbeat is written; `None`: never.
    pub heartbeat: Option<Duration>,
    /// `run --once`: each API is probed until nothing is suspect, and there is one heartbeat, at the end.
    pub once: bool,
    /// Each API is probed at its own slot inside the tick, instead of all at once.
    pub spread: bool,
    /// An alert that could not be stored for [`UNSTORED_MAX`] is sent anyway (P5).
    pub fail_open: bool,
    /// How many shards there are.
    pub shards: u16,
    /// How history is written; `None`: nothing is recorded.
    pub history: Option<HistorySetup>,
}

/// What the actor has to do for the keeper.
#[derive(Debug)]
pub enum Effect {
    /// Write these records; the result goes to [`Keeper::on_commit_results`].
    Commit {
        call: u64,
        /// At most one for each API.
        writes: Vec<StateWrite>,
    },
    /// Read the record of this API; the result goes to [`Keeper::on_record_read`].
    ReadRecord { call: u64, api_id: ApiId },
    /// Send these alerts in one message; the result goes to [`Keeper::on_delivery_result`].
    Deliver {
        channel: Channel,
        /// One, or a digest of several: each of another API.
        alerts: Vec<Arc<Alert>>,
        /// Attempts that failed before this one.
        failures: u32,
        /// They are not in the store, and are sent anyway (P5).
        unstored: bool,
    },
    /// Write this heartbeat; the result goes to [`Keeper::on_heartbeat_result`].
    WriteHeartbeat(Box<Heartbeat>),
    /// Write these items of history; the results go to [`Keeper::on_history_written`].
    WriteHistory { call: u64, items: Vec<HistoryItem> },
    /// Read these; the result goes to [`Keeper::on_history_read`].
    ReadHistory { call: u64, series: Series, slots: RangeInclusive<HistorySlot>, limit: usize },
    /// Pass this on to the supervisor.
    Request(Request),
    /// What this waiter waits for has happened.
    Flushed(u64),
    /// Show this to those who look.
    Show(Box<Shown>),
}

/// What the keeper wants of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Probe this API again at once: a decision about it was dropped.
    ProbeAgain(ApiId),
    /// Somebody with this higher epoch owns this shard.
    ShardFenced {
        shard: Shard,
        /// As one of its records has it.
        epoch: u64,
    },
    /// These shards are released: everything is stored, and the keeper has forgotten them.
    ShardsReleased(ShardSet),
    /// An outage was sent that could not be stored, of an API that now has another owner: that owner has to withdraw it.
    Withdraw(Arc<Alert>),
}

/// What a waiter waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlushUntil {
    /// Every change is in the store.
    Stored,
    /// Every change is in the store, and every alert that can be delivered is.
    Delivered,
    /// Every change is in the store and no delivery is in flight. Owed alerts are left to the next process, since this one ends.
    Stopped,
}

/// An outcome, as its prober reports it.
#[derive(Clone, Debug)]
pub struct CompletedProbe {
    /// The config that was used for the probe.
    pub api: Arc<ApiConfig>,
    pub outcome: Outcome,
    /// Ticks missed since the outcome before.
    pub missed_ticks: u64,
    /// How long until the next tick of its schedule; `None` if there is none.
    pub next_tick_in: Option<Duration>,
    /// How long the API asks not to be asked again.
    pub patience: Option<Duration>,
}

#[derive(Debug)]
pub struct Keeper {
    setup: KeeperConfig,
    channels: Vec<OwnChannel>,
    ledger: Ledger,
    owned: OwnedShards,
    lease: Lease,
    owed: Owed,
    /// APIs with a non-empty outbox.
    with_outbox: HashSet<ApiId>,
    /// Channels of the other workers.
    channels_elsewhere: HashSet<String>,
    health: Health,
    heartbeats: HeartbeatSchedule,
    /// APIs whose prober was given up and has not recovered.
    given_up: HashSet<ApiId>,
    own_side: OwnSide,
    unclear: Unclear,
    holds: Holds,
    /// APIs with an alert that their certificate ends soon.
    certificates: HashSet<ApiId>,
    history: HistoryQueue,
    /// When the last pass came: our own network worked then.
    passed_at: Option<Monotonic>,
    /// It knows what is configured: before that there is nothing to show.
    is_configured: bool,
    waiters: Vec<(FlushUntil, u64)>,
    throttles: answers::Throttles,
    /// Somebody asked for a retry: until then results of deliveries are stored at once.
    store_at_once_until: Option<Monotonic>,
    /// Everything is written now, checkpoints and backoff notwithstanding.
    flushing: bool,
    /// The process ends: no delivery begins that the next process can make as well.
    shutting_down: bool,
    log: Vec<LogEvent>,
    effects: Vec<Effect>,
}

/// The channels that an alert under this id is owed to, by what is configured now.
fn channels_of<'r>(routes: &'r Routes, ledger: &Ledger, api_id: &ApiId) -> Cow<'r, [String]> {
    if routes.is_plain() {
        return Cow::Borrowed(routes.channels());
    }
    let about = api_id.beside_api();
    let api = ledger.get(about.as_ref().unwrap_or(api_id)).and_then(|entry| entry.api.as_ref());
    routes.of(api_id, api.map(|api| api.tags.as_slice()))
}

impl Keeper {
    /// A keeper that owns nothing yet.
    pub fn new(setup: KeeperConfig, now: Moment) -> Self {
        let channel = |name: &String| OwnChannel::new(name, setup.digest_above.get(name).copied());
        let named: HashSet<&String> = setup.routes.channels().iter().collect();
        debug_assert_eq!(named.len(), setup.routes.channels().len(), "each channel has a name of its own");
        Self {
            channels: setup.routes.channels().iter().map(channel).collect(),
            ledger: Ledger::new(setup.checkpoint),
            owned: OwnedShards::new(setup.shards),
            lease: Lease::Valid,
            owed: Owed::default(),
            with_outbox: HashSet::new(),
            channels_elsewhere: HashSet::new(),
            health: Health::default(),
            heartbeats: HeartbeatSchedule::new(setup.heartbeat, setup.once, now.monotonic, now.wall),
            given_up: HashSet::new(),
            own_side: OwnSide::default(),
            unclear: Unclear::default(),
            holds: Holds::default(),
            certificates: HashSet::new(),
            history: HistoryQueue::new(setup.history),
            passed_at: None,
            is_configured: false,
            waiters: Vec::new(),
            throttles: answers::Throttles::default(),
            store_at_once_until: None,
            flushing: false,
            shutting_down: false,
            log: Vec::new(),
            effects: Vec::new(),
            setup,
        }
    }

    /// The lease as it is now.
    pub fn set_lease(&mut self, lease: Lease) {
        self.lease = lease;
    }

    /// What to log and what to do, since the last call.
    pub fn drain(&mut self) -> (Vec<LogEvent>, Vec<Effect>) {
        (mem::take(&mut self.log), mem::take(&mut self.effects))
    }

    /// Does what is due: checkpoints, failed writes, alerts to offer again. Called every few hundred milliseconds.
    pub fn tick(&mut self, now: Moment) {
        self.flush_releasing_shards();
        self.ledger.queue_due(now.monotonic, self.flushing);
        if self.health.is_out() && self.health.may_be_tried(now.monotonic) {
            self.ledger.try_another();
        }
        self.write_queued(now);
        self.write_heartbeat_if_due(now);
        self.detect_hanging_store(now);
        self.report_store_outage(now);
        self.report_unclear(now);
        self.release_holds(now);
        self.offer_all(now);
        self.write_history(now);
        self.count_owed(now);
        self.drop_released_shards();
        self.answer_waiters();
    }

    /// Writes everything now; [`Effect::Flushed`] says when that is done.
    pub fn flush(&mut self, until: FlushUntil, waiter: u64, now: Moment) {
        match &until {
            FlushUntil::Stopped => {
                self.shutting_down = true;
                self.write_last_heartbeat(now);
                self.flushing = true;
                self.flush_history(None, now);
            }
            FlushUntil::Stored | FlushUntil::Delivered => self.flushing = true,
        }
        self.waiters.push((until, waiter));
        self.tick(now);
    }

    fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        // Looking at each entry costs milliseconds with 50,000 of them, and this runs after each batch: so it is done only when
        // nothing waits anywhere.
        let unsaved = !self.ledger.is_idle() || self.ledger.unsaved() > 0;
        for (until, waiter) in mem::take(&mut self.waiters) {
            let waits = match &until {
                FlushUntil::Stored => unsaved,
                FlushUntil::Delivered => unsaved || self.has_deliverable_alerts(),
                FlushUntil::Stopped => {
                    unsaved
                        || self.in_flight().next().is_some()
                        || self.heartbeats.is_last_under_way()
                        || self.history.is_waited_for()
                }
            };
            if waits {
                self.waiters.push((until, waiter));
            } else {
                self.effects.push(Effect::Flushed(waiter));
            }
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.setup.shards
    }

    /// What is known of an API.
    pub fn state(&self, api_id: &ApiId) -> Option<&ApiState> {
        self.ledger.get(api_id).map(|entry| &entry.state)
    }
}

#[cfg(test)]
mod tests;
