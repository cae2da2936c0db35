//! What a worker takes and returns.

use std::collections::BTreeMap;

use crate::heartbeat::Heartbeat;
use crate::own::notices::Notice;
use crate::own::records::{Key, LeaseRecord};
use crate::own::shards::{Shard, ShardSet};
use crate::time::BootTime;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The end of a sleep. It may be sent at any time.
    Woke,
    /// The answer to [`Effect::AskProgress`].
    Progress {
        /// Probing makes progress, so that the lease should be renewed.
        is_made: bool,
        /// For its record; `None`: that keeps the one before.
        heartbeat: Option<Box<Heartbeat>>,
    },
    /// The answer to [`Effect::Put`].
    Put(Result<(), CallError>),
    /// The answer to [`Effect::Read`]: the records that there are.
    Read(Result<Vec<LeaseRecord>, CallError>),
    /// These shards are released: they are no longer probed, stored or alerted here, and their records are sealed and stored. Each with
    /// the epoch that it was owned with, so that a late answer does not release a shard that was gained again since. A shard that
    /// cannot be released is left out.
    Released(BTreeMap<Shard, u64>),
    /// The highest epoch in the records of a shard that was gained. If it is not below the one the shard was gained with, the shard is
    /// taken again with a higher one, and must not be used before.
    StoredEpoch {
        shard: Shard,
        /// 0: there is none.
        epoch: u64,
    },
    /// Write this for all workers.
    Notice(Notice),
    /// There is a new heartbeat: a worker with a long lease renews it with that.
    RenewNow,
    /// Read the assignment now: there is something new in it.
    ReadFleet,
    /// Release everything, and leave the fleet.
    Leave,
}

impl Event {
    /// The answer to [`Effect::AskProgress`] without a heartbeat.
    pub const fn progress(is_made: bool) -> Self {
        Self::Progress { is_made, heartbeat: None }
    }
}

/// Why a call to the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallError {
    /// Of a put: the stored record has another version than expected.
    Conflict,
    /// No answer, or an error where waiting may help. The call may have been carried out, or may be later.
    NoAnswer,
    /// The store refuses, and a person must act: it may work for others.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask whether probing makes progress. Answered by [`Event::Progress`] in any case.
    AskProgress,
    /// Replace exactly the version `expected_version` by this record; 0: there must be none. Answered by [`Event::Put`].
    Put {
        /// Its own version is already one higher.
        record: LeaseRecord,
        expected_version: u64,
    },
    /// Read these, seeing all that was written before. Answered by [`Event::Read`].
    Read { keys: Vec<Key> },
    /// This worker owns the shard from now on, or has a higher epoch in one that it owns. Load its records, and answer with
    /// [`Event::StoredEpoch`].
    Gained {
        shard: Shard,
        /// Every write of it carries this.
        epoch: u64,
        /// Its last owner released it, so that its records need no seal.
        is_clean: bool,
    },
    /// Release these, then answer with [`Event::Released`].
    Release { shards: ShardSet },
    /// These are lost: drop all changes that are not stored.
    Lost { shards: ShardSet, why: Loss },
    /// Nothing to do until then: send [`Event::Woke`] at that time.
    SleepUntil(BootTime),
    /// This was not written, and will not be: too many wait, or the worker leaves.
    NoticeDropped(Notice),
    /// The worker has left. Nothing follows.
    Left,
}

/// Why a shard was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Another worker ended this session, or its record is gone.
    Fenced,
    /// The assignment names somebody else.
    Reassigned,
}

/// The lease of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// It has no session, and owns nothing.
    NoSession,
    /// It owns what it holds until this time.
    Valid { until: BootTime },
    /// Its lease was not renewed in time: another worker may have taken over.
    Lapsed {
        /// The deadline that passed.
        since: BootTime,
        /// The store refuses this worker, so that it may work for others.
        is_refused: bool,
    },
}
