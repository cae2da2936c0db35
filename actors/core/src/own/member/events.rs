//! What a worker is told, and what it says is to be done.

use std::collections::BTreeMap;

use crate::heartbeat::Heartbeat;
use crate::own::notices::Notice;
use crate::own::records::{Key, LeaseRecord};
use crate::own::shards::{Shard, ShardSet};
use crate::time::BootTime;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The time that was slept for has come, or anything else; never wrong.
    Woke,
    /// The answer to [`Effect::AskProgress`].
    Progress {
        /// Probing progresses, so that this worker is worth its shards.
        is_made: bool,
        /// How its APIs stand, for people; `None`: as before.
        heartbeat: Option<Box<Heartbeat>>,
    },
    /// The answer to [`Effect::Put`].
    Put(Result<(), CallError>),
    /// The answer to [`Effect::Read`]: the records that there are.
    Read(Result<Vec<LeaseRecord>, CallError>),
    /// These shards are let go of: nothing of them is probed, stored or told here any more, and each of their records is sealed and
    /// stored. What cannot be let go of in order is left out. Each with the epoch that it was held with, so that an answer that comes
    /// late lets go of nothing that was gained since.
    Released(BTreeMap<Shard, u64>),
    /// The highest epoch in the records of a shard that was gained. If that is not below the one it was gained with, it is taken
    /// once more with a higher one, and is not to be used before.
    StoredEpoch {
        shard: Shard,
        /// 0 if no record has any.
        epoch: u64,
    },
    /// All should know this.
    Notice(Notice),
    /// There are new figures of how the APIs stand: a worker that takes its time renews its lease with them.
    Beat,
    /// Look at the assignment now: somebody says that there is something new in it.
    ReadFleet,
    /// Let go of everything in order, and leave.
    Leave,
    /// While leaving: no further [`Event::Released`] will come. What is still held has no orderly end.
    Ended,
}

impl Event {
    /// The answer to [`Effect::AskProgress`] where there are no figures.
    pub const fn progress(is_made: bool) -> Self {
        Self::Progress { is_made, heartbeat: None }
    }
}

/// Why a call to the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallError {
    /// Of a put: the stored record has another version than expected.
    Conflict,
    /// No answer, or one that says that waiting may help. The call may have been carried out, or still be.
    NoAnswer,
    /// The store refuses, and a person must act: it is there for others.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask whether probing progresses. Answered by [`Event::Progress`], also where nobody answers.
    AskProgress,
    /// Write this record over exactly the version `expected_version`; 0: there must be none. Answered by [`Event::Put`].
    Put {
        /// Its own version is already one higher.
        record: LeaseRecord,
        /// The version that it replaces.
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
        /// Its last owner let go of it in order, so that its records need no seal.
        is_clean: bool,
    },
    /// Let go of these in order, then answer with [`Event::Released`].
    Release { shards: ShardSet },
    /// These are somebody else's, or will be: drop all that is known of them and not stored.
    Lost { shards: ShardSet, why: Loss },
    /// Nothing to do until then; [`Event::Woke`] at that time.
    SleepUntil(BootTime),
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

/// What a worker may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// It has no session, and owns nothing.
    NoSession,
    /// It owns what it holds, until this time of the clock that `now` is of.
    Held { until: BootTime },
    /// Its lease was not renewed in time, and it does not know whether anybody took over.
    Lapsed {
        /// The deadline that passed.
        since: BootTime,
        /// The store answers and refuses this worker, so that others may well reach it.
        is_refused: bool,
    },
}
