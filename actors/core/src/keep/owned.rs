//! Which shards this keeper owns, with which epoch, and whether its lease on them holds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::ApiId;
use crate::own::shards::{Shard, ShardSet};

/// A shard that is owned from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub shard: Shard,
    /// The fencing token of this ownership.
    pub epoch: u64,
    /// Its last owner left it in order, so that nothing of that one can land any more.
    pub clean: bool,
    /// It was taken just now: no record in it may have this epoch yet. Else it is read again by who had it already.
    pub fresh: bool,
}

/// How the lease stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    #[default]
    Held,
    /// Its deadline is past, and nobody has answered since: it may be lost.
    Lapsed {
        lapsed_for: Duration,
        /// This process has seen another worker live.
        met_others: bool,
        /// The store answers, and refuses this worker: it is there for others.
        refused: bool,
    },
    /// There is none: nothing may be begun.
    Out,
}

/// The shards that are owned.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    shards: u16,
    epochs: BTreeMap<Shard, u64>,
    /// Those that are let go of: nothing more is begun for them.
    leaving: ShardSet,
}

impl Owned {
    pub(super) fn new(shards: u16) -> Self {
        Self { shards, epochs: BTreeMap::new(), leaving: ShardSet::new() }
    }

    pub(super) fn shard(&self, api_id: &ApiId) -> Shard {
        Shard::of(api_id, self.shards)
    }

    pub(super) fn add(&mut self, grant: Grant) {
        self.epochs.insert(grant.shard, grant.epoch);
    }

    /// It was granted before, with this epoch or a higher one.
    pub(super) fn has(&self, grant: &Grant) -> bool {
        self.epochs.get(&grant.shard).is_some_and(|epoch| *epoch >= grant.epoch)
    }

    /// It is let go of from now on; `false`: it is not owned.
    pub(super) fn leave(&mut self, shard: Shard) -> bool {
        let is_owned = self.epochs.contains_key(&shard);
        if is_owned {
            self.leaving.insert(shard);
        }
        is_owned
    }

    pub(super) fn remove(&mut self, shards: &ShardSet) {
        self.epochs.retain(|shard, _| !shards.contains(shard));
        self.leaving.retain(|shard| !shards.contains(shard));
    }

    /// The epoch with which the record of an API is written; `None`: another owns it.
    pub(super) fn epoch(&self, api_id: &ApiId) -> Option<u64> {
        self.epochs.get(&self.shard(api_id)).copied()
    }

    pub(super) fn owns(&self, api_id: &ApiId) -> bool {
        self.epoch(api_id).is_some()
    }

    /// Nothing more is begun for this API.
    pub(super) fn is_leaving(&self, api_id: &ApiId) -> bool {
        !self.leaving.is_empty() && self.leaving.contains(&self.shard(api_id))
    }

    /// Those that are let go of.
    pub(super) fn leaving(&self) -> &ShardSet {
        &self.leaving
    }

    /// One that is not let go of: the first one.
    pub(super) fn first(&self) -> Option<Shard> {
        self.epochs.keys().copied().find(|shard| !self.leaving.contains(shard))
    }

    pub(super) fn is_leader(&self) -> bool {
        self.epochs.contains_key(&Shard::LEADER)
    }
}
