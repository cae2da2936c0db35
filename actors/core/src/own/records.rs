//! What workers write for each other to read: a record for each worker, and one assignment of shards to their sessions.
//!
//! They are plain values; an adapter stores them. Each is written over exactly the version before it and never otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::notices::{Ask, ConfigsRevision};
use super::shards::Shard;
use super::terms::Terms;
use crate::heartbeat::Heartbeat;
use crate::text;
use crate::time::Timestamp;

/// Longer than a lease and a heartbeat of a worker that is alone.
const SEEN_WITHIN: Duration = Duration::from_secs(180);

/// Workers of one fleet. More find no place in the assignment, and own nothing.
pub const WORKERS_MAX: usize = 100;

/// Fields of a stored record that this version does not know, as text that only the adapter can read: they are written back.
pub type Extra = BTreeMap<String, String>;

/// The name of a worker, which outlives its process: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    pub const CHARS_MAX: usize = 64;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// Says in plain words why `text` is not a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::name(text, Self::CHARS_MAX).map(Self)
    }

    /// The name that these bits make: as many as no other worker draws by chance.
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

/// One life of a worker. What a session owned is nobody's once it is over, even for the same worker's next one.
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

/// How the session in a worker's record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerState {
    /// It renews its lease; whether it still does is judged by [`watch`](super::watch).
    Live,
    /// It ended by itself.
    Left,
    /// Another worker ended it, since it had not renewed its lease.
    Fenced,
}

/// What a worker is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// To own its share.
    #[default]
    Worker,
    /// To own shards only while no worker lives.
    Standby,
}

/// What a version of the program understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Speaks {
    /// Of the rules of this module.
    pub protocol: u32,
    /// The newest schema of state records that it can read.
    pub reads_schema: u32,
}

/// What a worker says of itself, written again with each renewal of its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its name, which is the key.
    pub id: WorkerId,
    /// Grows by one with each write: that it grows is what the others watch.
    pub version: u64,
    /// The number of its present life.
    pub session: u64,
    /// How that one stands.
    pub state: WorkerState,
    /// What it is there for.
    pub role: Role,
    /// A record that does not change for so long is an ended session.
    pub lease: Duration,
    /// How often it is renewed.
    pub renew: Duration,
    /// The channels through which it tells.
    pub channels: BTreeSet<String>,
    /// What it understands.
    pub speaks: Speaks,
    /// The name of its machine.
    pub host: String,
    /// The kernel's id of the present boot of that machine.
    pub boot_id: String,
    /// When the process began, on its own wall clock. Shown to people, and never compared.
    pub started_at: Timestamp,
    pub program: String,
    /// How the APIs that it owns stood. Nothing is decided by it.
    pub heartbeat: Option<Heartbeat>,
    /// What a newer version wrote besides.
    pub extra: Extra,
}

impl WorkerRecord {
    /// What a worker says of itself that speaks as this version does, before it has a session: what it is there for, its channels,
    /// its machine and when it began are still to be said.
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

    /// The session that it speaks of.
    pub fn session(&self) -> Session {
        Session { worker: self.id.clone(), number: self.session }
    }

    /// Whether it lives, and was seen lately by the wall clocks of both, which may differ: no more than a guess, by which whoever
    /// wants all for itself does not even begin. Who owns what is never decided by it.
    pub fn is_about(&self, now: Timestamp) -> bool {
        let seen_at = self.heartbeat.as_ref().map_or(self.started_at, |beat| beat.at.max(self.started_at));
        self.is_live() && now.since(seen_at) < SEEN_WITHIN
    }

    /// Whether it says that it lives.
    pub fn is_live(&self) -> bool {
        self.state == WorkerState::Live
    }
}

/// Whose a shard is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// Nobody's, or that session's, for as long as it lives.
    pub owner: Option<Session>,
    /// Grows with each taking, and never falls: the token by which the store tells a former owner's writes.
    pub epoch: u64,
}

impl Ownership {
    /// Its last owner let go of it in order: nothing of that one is on its way to the store any more.
    pub fn is_clean(&self) -> bool {
        self.owner.is_none() && self.epoch > 0
    }
}

/// Who owns what, and what all of them should know. There is one for the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Grows by one with each write; 0: there is no record yet.
    pub version: u64,
    /// The workers whose records are read, [`WORKERS_MAX`] at most: all that own something, and all that live.
    pub workers: BTreeSet<WorkerId>,
    /// For each shard, by its number. How many there are is fixed when the first record is written.
    pub owners: Vec<Ownership>,
    /// The schema in which all of them write state records.
    pub writes_schema: u32,
    /// What people, and workers that lost a shard, ask of the owners: [`ASKS_MAX`](super::notices::ASKS_MAX) at most, oldest first.
    pub asks: Vec<Ask>,
    /// How far the configs are.
    pub configs: ConfigsRevision,
    /// What a newer version wrote besides.
    pub extra: Extra,
}

impl Assignment {
    /// What stands where no record is: all shards are nobody's.
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

    /// Whose that shard is; nobody's if there is no such shard.
    pub fn ownership(&self, shard: Shard) -> Ownership {
        self.owners.get(shard.index()).cloned().unwrap_or_default()
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
    /// That of a worker.
    Worker(WorkerId),
    /// That of the assignment.
    Assignment,
}

/// A record as it is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseRecord {
    /// Of a worker.
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
