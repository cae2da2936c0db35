//! The records that workers write and read: one for each worker, and one assignment of shards to their sessions.
//!
//! They are plain values; an adapter stores them. Each write replaces exactly the version before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::notices::{ASK_ALERTS_MAX, ASKS_MAX, Ask, AskFor, ConfigsRevision, Notice, WITHDRAWALS_MAX};
use super::shards::Shard;
use super::terms::Terms;
use crate::heartbeat::Heartbeat;
use crate::text;
use crate::time::Timestamp;

/// Longer than the lease and the heartbeat period of a worker that is alone.
const SEEN_WITHIN: Duration = Duration::from_secs(180);

/// Workers of one fleet. Any more own nothing.
pub const WORKERS_MAX: usize = 100;

/// Fields of a stored record that this version does not know, as text that only the adapter reads. They are written back.
pub type Extra = BTreeMap<String, String>;

/// The name of a worker, which outlives its process: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    pub const CHARS_MAX: usize = 64;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// Says why `text` is not a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::name(text, Self::CHARS_MAX).map(Self)
    }

    /// A name of 128 random bits.
    pub fn of_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a worker. When a session ends, its shards have no owner, even if the same worker begins the next one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    pub worker: WorkerId,
    /// 1, 2, …
    pub number: u64,
}

/// `name#3`.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.worker, self.number)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The state of the session in a worker's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerState {
    /// It renews its lease; [`watch`](super::watch) judges whether it still does.
    Live,
    /// It ended by itself.
    Left,
    /// Another worker ended it, since its lease had expired.
    Fenced,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Owns its share.
    #[default]
    Worker,
    /// Owns shards only while no worker lives.
    Standby,
}

/// What a version of the program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Speaks {
    /// The version of the rules in this module.
    pub protocol: u32,
    /// The newest schema of state records that it can read.
    pub reads_schema: u32,
}

/// The record of one worker, written with each renewal of its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    pub id: WorkerId,
    /// Grows by one with each write, which is what the others watch.
    pub version: u64,
    /// The number of its present session.
    pub session: u64,
    pub state: WorkerState,
    pub role: Role,
    /// If the record does not change for this long, the session has expired.
    pub lease: Duration,
    /// How often it is renewed.
    pub renew: Duration,
    /// The channels that it has.
    pub channels: BTreeSet<String>,
    pub speaks: Speaks,
    /// The name of its machine.
    pub host: String,
    /// The kernel's id of the present boot of its machine.
    pub boot_id: String,
    /// When the process began, on its own wall clock: for people, and never compared.
    pub started_at: Timestamp,
    pub program: String,
    /// For people; nothing is decided by it.
    pub heartbeat: Option<Heartbeat>,
    pub extra: Extra,
}

impl WorkerRecord {
    /// The record of a worker of this version without a session. Role, channels, machine and start time are still to be set.
    pub fn new(id: WorkerId, terms: &Terms, reads_schema: u32) -> Self {
        Self {
            id,
            version: 0,
            session: 0,
            state: WorkerState::Live,
            role: Role::Worker,
            lease: terms.lease,
            renew: terms.renew,
            channels: BTreeSet::new(),
            speaks: Speaks { protocol: 1, reads_schema },
            host: String::new(),
            boot_id: String::new(),
            started_at: Timestamp::default(),
            program: String::new(),
            heartbeat: None,
            extra: Extra::new(),
        }
    }

    pub fn session(&self) -> Session {
        Session { worker: self.id.clone(), number: self.session }
    }

    /// Whether it probably lives, by the wall clocks of both, which may differ. Ownership is never decided by this guess: it only keeps a
    /// process that must be alone from starting.
    pub fn is_about(&self, now: Timestamp) -> bool {
        let seen_at = self.heartbeat.as_ref().map_or(self.started_at, |heartbeat| heartbeat.at.max(self.started_at));
        self.is_live() && now.since(seen_at) < SEEN_WITHIN
    }

    /// Whether the record says that it lives.
    pub fn is_live(&self) -> bool {
        self.state == WorkerState::Live
    }
}

/// The owner of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// The session that owns it, as long as that lives; `None`: nobody.
    pub owner: Option<Session>,
    /// The fencing token: it grows each time the shard is taken, and the store refuses writes with a lower one.
    pub epoch: u64,
}

impl Ownership {
    /// Whether its last owner released it, so that no write of that one can still be on its way.
    pub fn is_clean(&self) -> bool {
        self.owner.is_none() && self.epoch > 0
    }
}

/// Who owns which shard, and what all workers have to know. There is one for the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Grows by one with each write; 0: there is no record yet.
    pub version: u64,
    /// The workers whose records are read, [`WORKERS_MAX`] at most: all that own something, and all that live.
    pub workers: BTreeSet<WorkerId>,
    /// The owner of each shard, by number. How many there are is fixed when the first record is written.
    pub owners: Vec<Ownership>,
    /// The schema in which all of them write state records.
    pub writes_schema: u32,
    /// Asks of people, and of workers that lost a shard: [`ASKS_MAX`] at most, oldest first.
    pub asks: Vec<Ask>,
    pub configs: ConfigsRevision,
    pub extra: Extra,
}

impl Assignment {
    /// The assignment where there is no record: no shard has an owner.
    pub fn none(shards: u16, writes_schema: u32) -> Self {
        Self {
            version: 0,
            workers: BTreeSet::new(),
            owners: vec![Ownership::default(); usize::from(shards.max(1))],
            writes_schema,
            asks: vec![],
            configs: ConfigsRevision::default(),
            extra: Extra::new(),
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        u16::try_from(self.owners.len()).unwrap_or(u16::MAX)
    }

    /// The owner of that shard; nobody if there is no such shard.
    pub fn ownership(&self, shard: Shard) -> Ownership {
        self.owners.get(shard.index()).cloned().unwrap_or_default()
    }

    /// Adds a notice to the assignment.
    pub fn apply(&mut self, notice: Notice) {
        match notice {
            Notice::Ask(ask) if self.asks.iter().any(|known| known.id == ask.id) => {}
            Notice::Ask(mut ask) => {
                if let AskFor::Retry { alert_ids } = &mut ask.what
                    && alert_ids.as_ref().is_some_and(|ids| ids.len() > ASK_ALERTS_MAX)
                {
                    *alert_ids = None; // trying more than was asked for harms nobody
                }
                while self.asks.len() >= ASKS_MAX {
                    let place = self.place_to_give(&ask);
                    self.asks.remove(place);
                }
                self.asks.push(ask);
            }
            Notice::Done(id) => self.asks.retain(|ask| ask.id != id),
            Notice::ConfigsChanged(api_ids) => self.configs.change(api_ids),
            Notice::WritesSchema(schema) => self.writes_schema = self.writes_schema.max(schema),
        }
    }

    /// Whether a notice may be added now, or has to wait until others are done: of those to withdraw outages there may be hundreds at once,
    /// and what people asked for must find room beside them. One at a time goes in whatever else is there.
    pub(super) fn has_room_for(&self, notice: &Notice) -> bool {
        let Notice::Ask(ask) = notice else { return true };
        if !ask.is_withdrawal() || self.asks.iter().any(|known| known.id == ask.id) {
            return true;
        }
        let withdrawals = self.asks.iter().filter(|ask| ask.is_withdrawal()).count();
        let is_free = self.asks.len() < ASKS_MAX || self.asks.iter().any(Ask::is_retry);
        withdrawals == 0 || (withdrawals < WITHDRAWALS_MAX && is_free)
    }

    /// Which of the asks gives its place to another one: the oldest, but none to withdraw an outage. Such a one takes the place of an ask to
    /// try again first, which was done as soon as it was seen.
    fn place_to_give(&self, to: &Ask) -> usize {
        let retry = self.asks.iter().position(Ask::is_retry).filter(|_| to.is_withdrawal());
        retry.or_else(|| self.asks.iter().position(|ask| !ask.is_withdrawal())).unwrap_or(0)
    }

    /// The shards of a session, with their epochs.
    pub fn owned_by(&self, session: &Session) -> BTreeMap<Shard, u64> {
        let numbered = Shard::all(self.shards()).zip(&self.owners);
        numbered.filter(|(_, own)| own.owner.as_ref() == Some(session)).map(|(shard, own)| (shard, own.epoch)).collect()
    }
}

/// The key of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Worker(WorkerId),
    Assignment,
}

/// Any of these records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseRecord {
    Worker(Box<WorkerRecord>),
    Assignment(Box<Assignment>),
}

impl LeaseRecord {
    pub fn key(&self) -> Key {
        match self {
            Self::Worker(record) => Key::Worker(record.id.clone()),
            Self::Assignment(_) => Key::Assignment,
        }
    }

    pub fn version(&self) -> u64 {
        match self {
            Self::Worker(record) => record.version,
            Self::Assignment(record) => record.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shard_that_was_let_go_of_is_clean() {
        let owner = Some(Session { worker: WorkerId::parse("a").unwrap(), number: 1 });
        assert!(Ownership { owner: None, epoch: 3 }.is_clean());
        assert!(!Ownership { owner, epoch: 3 }.is_clean());
        assert!(!Ownership::default().is_clean(), "nobody knows what was before there was a record");
    }

    #[test]
    fn names_of_workers_are_short_and_plain() {
        assert!(WorkerId::parse(&"a".repeat(WorkerId::CHARS_MAX)).is_ok());
        assert!(WorkerId::parse(&"a".repeat(WorkerId::CHARS_MAX + 1)).unwrap_err().contains("64"));
        assert!(WorkerId::parse("").unwrap_err().contains("empty"));
        assert!(WorkerId::parse("a:b").unwrap_err().contains("':'"));
    }
}
