//! The shards that this keeper owns, with their epochs, and the lease on them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::ApiId;
use crate::own::shards::{Shard, ShardSet};

/// A shard that is owned from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub shard: Shard,
    /// Every write to the shard carries it.
    pub epoch: u64,
    /// Its last owner released it, so no late write of that one can land.
    pub clean: bool,
    /// It was taken just now, so no record may have this epoch yet. `false`: its owner reads it again.
    pub fresh: bool,
}

/// Whether the lease is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    #[default]
    Valid,
    /// It could not be renewed in time: another worker may own the shards.
    Lapsed {
        lapsed_for: Duration,
        /// This process has seen another worker live.
        met_others: bool,
        /// The store answers, and refuses this worker: it is there for others.
        refused: bool,
    },
    /// There is none: nothing may begin.
    NoSession,
}

#[derive(Clone, Debug)]
pub(super) struct OwnedShards {
    shards: u16,
    epochs: BTreeMap<Shard, u64>,
    /// Nothing more is begun for these.
    releasing: ShardSet,
}

impl OwnedShards {
    pub(super) fn new(shards: u16) -> Self {
        Self { shards, epochs: BTreeMap::new(), releasing: ShardSet::new() }
    }

    pub(super) fn shard(&self, api_id: &ApiId) -> Shard {
        Shard::of(api_id, self.shards)
    }

    pub(super) fn add(&mut self, grant: Grant) {
        self.epochs.insert(grant.shard, grant.epoch);
    }

    /// Whether it is owned already with this epoch or a higher one.
    pub(super) fn has(&self, grant: &Grant) -> bool {
        self.epochs.get(&grant.shard).is_some_and(|epoch| *epoch >= grant.epoch)
    }

    /// Begins to release a shard; `false`: it is not owned.
    pub(super) fn release(&mut self, shard: Shard) -> bool {
        let is_owned = self.epochs.contains_key(&shard);
        if is_owned {
            self.releasing.insert(shard);
        }
        is_owned
    }

    pub(super) fn remove(&mut self, shards: &ShardSet) {
        self.epochs.retain(|shard, _| !shards.contains(shard));
        self.releasing.retain(|shard| !shards.contains(shard));
    }

    /// The epoch for writes of an API; `None`: it has another owner.
    pub(super) fn epoch(&self, api_id: &ApiId) -> Option<u64> {
        self.epochs.get(&self.shard(api_id)).copied()
    }

    pub(super) fn owns(&self, api_id: &ApiId) -> bool {
        self.epoch(api_id).is_some()
    }

    /// Whether the shard of this API is being released.
    pub(super) fn is_releasing(&self, api_id: &ApiId) -> bool {
        !self.releasing.is_empty() && self.releasing.contains(&self.shard(api_id))
    }

    /// The shards that are being released.
    pub(super) fn releasing(&self) -> &ShardSet {
        &self.releasing
    }

    /// The first one that is not being released.
    pub(super) fn first(&self) -> Option<Shard> {
        self.epochs.keys().copied().find(|shard| !self.releasing.contains(shard))
    }

    pub(super) fn is_leader(&self) -> bool {
        self.epochs.contains_key(&Shard::LEADER)
    }
}
