//! What this process owns, as the supervisor knows it: which shards, with which epochs, and how far they are.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::ApiId;
use api_health_core::keep::Grant;
use api_health_core::own::member::Fleet;
use api_health_core::own::notices::{ASKS_MAX, Ask};
use api_health_core::own::records::{self, Session};
use api_health_core::own::shards::{SHARDS, Shard, ShardSet};
use tokio::sync::{oneshot, watch};

use crate::lease_holder::{Gained, LeaseHandle, Sight};
use crate::lease_view::NextHeartbeat;
use crate::world::LeaseParts;

/// That fewer workers live than are expected is reported after this long: one that is started again is not missed.
pub(super) const SHORT_FOR: Duration = Duration::from_secs(60);

/// A shard that is owned.
#[derive(Clone, Copy, Debug)]
struct OwnedShard {
    grant: Grant,
    /// Its records are with the keeper, so it is probed. It stays so when it is granted again: it was not lost in between.
    is_loaded: bool,
    /// Its records are still to be read for this grant.
    is_to_read: bool,
    is_leaving: bool,
}

impl OwnedShard {
    const fn of(grant: Grant) -> Self {
        Self { grant, is_loaded: false, is_to_read: true, is_leaving: false }
    }
}

#[derive(Default)]
pub(crate) struct Ownership {
    owned: BTreeMap<Shard, OwnedShard>,
    /// The present keeper reads records. The next reading begins when that is over, so that no old one comes last.
    pub(super) is_being_read: bool,
    pub(super) parts: Option<LeaseParts>,
    pub(super) handle: Option<LeaseHandle>,
    /// Dropped with the supervisor: the lease holder ends then.
    pub(super) alive: Option<oneshot::Sender<()>>,
    pub(super) next_heartbeat: NextHeartbeat,
    pub(super) expected: Option<usize>,
    pub(super) alone: bool,
    /// Since when fewer workers live than are expected.
    short_since: Option<Duration>,
    /// Asks that were acted upon, oldest first.
    acted: VecDeque<String>,
    /// Who waits until the worker has left.
    pub(super) leaving: Option<oneshot::Sender<()>>,
    /// Set once it is known what is owned at first, or why this process, which wants all, does nothing.
    pub(crate) joined: watch::Sender<Option<Result<(), String>>>,
}

pub(super) fn shard(api_id: &ApiId) -> Shard {
    Shard::of(api_id, SHARDS)
}

impl Ownership {
    /// Everything is owned, or nothing yet where there are leases.
    pub(super) fn new(parts: Option<LeaseParts>) -> Self {
        let grant = |shard| Grant { shard, epoch: 0, clean: true, fresh: false };
        let of_all = |shard| (shard, OwnedShard::of(grant(shard)));
        Self {
            owned: if parts.is_some() { BTreeMap::new() } else { Shard::all(SHARDS).map(of_all).collect() },
            expected: parts.as_ref().and_then(|parts| parts.expected),
            alone: parts.as_ref().is_some_and(|parts| parts.alone),
            joined: watch::Sender::new(parts.is_none().then_some(Ok(()))),
            parts,
            ..Self::default()
        }
    }

    /// Whether this shard is owned, and not let go of. Its probers live on while its records are read again.
    pub(super) fn owns(&self, shard: Shard) -> bool {
        self.owned.get(&shard).is_some_and(|owned| !owned.is_leaving)
    }

    /// Whether what lies in this shard is to be probed here.
    pub(super) fn is_ready(&self, shard: Shard) -> bool {
        self.owned.get(&shard).is_some_and(|owned| owned.is_loaded && !owned.is_leaving)
    }

    /// The others, and what is said to all.
    pub(super) fn fleet(&self) -> Option<Arc<Fleet>> {
        self.handle.as_ref()?.sight().borrow().fleet.clone()
    }

    /// Whether it was known what this process owns at first.
    pub(super) fn has_joined(&self) -> bool {
        *self.joined.borrow() == Some(Ok(()))
    }

    /// Says so, or why it does nothing: once.
    pub(super) fn join(&self, joined: Result<(), String>) {
        self.joined.send_if_modified(|before| before.is_none() && before.replace(joined).is_none());
    }

    /// These were taken.
    pub(super) fn gained(&mut self, gained: &[Gained]) {
        for Gained { shard, epoch, is_clean, .. } in gained {
            let grant = Grant { shard: *shard, epoch: *epoch, clean: *is_clean, fresh: true };
            let owned = self.owned.entry(*shard).or_insert(OwnedShard::of(grant));
            (owned.grant, owned.is_to_read) = (grant, true);
        }
    }

    /// The records of what is owned are read again: what a keeper that is dead sent may still land.
    pub(super) fn forget_loaded(&mut self) {
        self.is_being_read = false;
        for owned in self.owned.values_mut() {
            owned.grant.clean = owned.grant.epoch == 0;
            owned.grant.fresh &= owned.is_to_read;
            (owned.is_loaded, owned.is_to_read) = (false, true);
        }
    }

    /// What is owned and not read yet.
    pub(super) fn is_unread(&self) -> bool {
        self.owned.values().any(|owned| owned.is_to_read)
    }

    /// What is to be read now, and is being read from here on.
    pub(super) fn begin_to_load(&mut self) -> Vec<Grant> {
        if self.is_being_read {
            return vec![];
        }
        let grants: Vec<Grant> =
            self.owned.values().filter(|owned| owned.is_to_read).map(|owned| owned.grant).collect();
        self.is_being_read = !grants.is_empty();
        grants
    }

    /// The records of a shard were read by this grant, and this is the highest epoch in them. Whether that epoch is news for the
    /// lease, since the grant was fresh; `None`: the shard is not owned any more.
    pub(super) fn loaded(&mut self, shard: Shard, epoch: u64, found: u64) -> Option<bool> {
        let owned = self.owned.get_mut(&shard)?;
        if owned.grant.epoch != epoch || !owned.is_to_read {
            return Some(false); // it was granted again meanwhile, and is read for that as well; or two readings ended
        }
        let was_fresh = std::mem::take(&mut owned.grant.fresh);
        owned.is_to_read = false;
        if !(was_fresh && found >= epoch) {
            owned.is_loaded = true;
        } else if !owned.is_loaded {
            self.owned.remove(&shard); // it comes back with a higher one
        }
        Some(was_fresh)
    }

    /// The epoch with which a shard is owned.
    pub(super) fn epoch(&self, shard: Shard) -> Option<u64> {
        self.owned.get(&shard).map(|owned| owned.grant.epoch)
    }

    pub(super) fn leave(&mut self, shards: &ShardSet) {
        self.owned
            .iter_mut()
            .filter(|(shard, _)| shards.contains(shard))
            .for_each(|(_, owned)| owned.is_leaving = true);
    }

    /// What the keeper can let go of by now: it does not know yet what is still to be read.
    pub(super) fn can_go(&self) -> ShardSet {
        self.owned.iter().filter(|(_, owned)| owned.is_leaving && !owned.is_to_read).map(|(shard, _)| *shard).collect()
    }

    /// Nothing of these is owned any more; with which epochs they were.
    pub(super) fn remove(&mut self, shards: &ShardSet) -> BTreeMap<Shard, u64> {
        shards.iter().filter_map(|shard| Some((*shard, self.owned.remove(shard)?.grant.epoch))).collect()
    }

    /// Whether it is known what this process owns at first, and read: it has its share of what was free, or there is nothing for it
    /// to have.
    fn has_its_share(&self, sight: &Sight) -> bool {
        let Some(fleet) = sight.fleet.as_ref().filter(|_| sight.session.is_some()) else { return false };
        if self.alone {
            return self.owned.len() == usize::from(SHARDS) && !self.is_unread();
        }
        let lives = |owner: &Session| {
            let others = fleet.others.get(&owner.worker);
            others.is_some_and(|record| record.is_live() && record.session == owner.number)
        };
        let is_others = |own: &records::Ownership| own.owner.as_ref().is_some_and(lives);
        let has_share = !self.owned.is_empty() && !self.is_unread();
        has_share || fleet.assignment.owners.iter().all(is_others)
    }

    /// Says so as soon as it is known what this process owns at first.
    pub(super) fn note_sight(&self, sight: &Sight) {
        if self.joined.borrow().is_none() && self.has_its_share(sight) {
            self.join(Ok(()));
        }
    }

    /// Asks that were not acted upon yet.
    pub(super) fn open_asks(&self, sight: &Sight) -> Vec<Ask> {
        let Some(fleet) = &sight.fleet else { return Vec::new() };
        let known: HashSet<&String> = self.acted.iter().collect();
        fleet.assignment.asks.iter().filter(|ask| !known.contains(&ask.id)).cloned().collect()
    }

    /// It is to be acted upon once more.
    pub(super) fn forget_acted(&mut self, is_meant: impl Fn(&str) -> bool) {
        self.acted.retain(|id| !is_meant(id));
    }

    /// It was acted upon.
    pub(super) fn acted_on(&mut self, id: String) {
        self.acted.push_back(id);
        let too_many = self.acted.len().saturating_sub(2 * ASKS_MAX);
        self.acted.drain(..too_many);
    }

    /// What is wrong with the fleet for long enough, in words.
    pub(super) fn fault(&mut self, sight: &Sight, now: Duration) -> Option<String> {
        let expected = self.expected?;
        let fleet = sight.fleet.as_ref()?;
        let (live, gone): (Vec<_>, Vec<_>) = fleet.others.values().partition(|record| record.is_live());
        let live = live.len() + usize::from(sight.session.is_some());
        if live >= expected {
            self.short_since = None;
            return None;
        }
        let since = *self.short_since.get_or_insert(now);
        let hosts: BTreeSet<&str> = gone.iter().map(|record| record.host.as_str()).collect();
        let missing = if hosts.is_empty() {
            String::new()
        } else {
            format!("; last seen: {}", hosts.into_iter().collect::<Vec<_>>().join(", "))
        };
        let is_due = now.saturating_sub(since) >= SHORT_FOR;
        is_due.then(|| format!("{live} of {expected} workers live{missing}"))
    }
}
