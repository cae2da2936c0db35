//! Shards: every API lies in one of a fixed number of them, and a worker owns whole shards.

use std::collections::BTreeSet;
use std::fmt;

use crate::api::ApiId;

/// How many shards a new fleet has. It is fixed in the assignment from then on.
pub const SHARDS: u16 = 64;

/// One part of all APIs, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

/// Several shards, in order.
pub type ShardSet = BTreeSet<Shard>;

impl Shard {
    /// Its owner is the leader: it watches the store and the fleet, and reads the configs for all.
    pub const LEADER: Self = Self(0);

    /// The shard of that number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number, from 0.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its place in a list of all shards.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// All of `shards` shards, in order.
    pub fn all(shards: u16) -> impl Iterator<Item = Self> {
        (0..shards).map(Self)
    }

    /// The shard of `api_id`, out of `shards` (0 is read as 1). Self monitoring about an API is in the shard of that API, about a worker in
    /// one of its shards, and all other in the first shard.
    ///
    /// It is taken from the middle of [`ApiId::stable_hash`]: threads are chosen by the low bits and slots by the high ones, and
    /// the APIs of one shard should spread over all of those.
    pub fn of(api_id: &ApiId, shards: u16) -> Self {
        if let Some(about) = api_id.about_api() {
            return Self::of(&about, shards);
        }
        if let Some(shard) = api_id.shard_of_worker().filter(|shard| *shard < shards) {
            return Self(shard);
        }
        if api_id.is_self_monitoring() {
            return Self::LEADER;
        }
        let number = (api_id.stable_hash() >> 24) % u64::from(shards.max(1));
        Self(u16::try_from(number).unwrap_or(0)) // always below `shards`
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ApiId {
        ApiId::parse(text).unwrap()
    }

    #[test]
    fn the_shard_of_an_id_is_pinned_because_all_versions_must_agree() {
        let shards: Vec<u16> =
            ["shop", "api-0001", "api-0002"].into_iter().map(|api| Shard::of(&id(api), 64).number()).collect();
        assert_eq!(shards, [21, 51, 12]);
    }

    #[test]
    fn a_prober_lies_with_its_api_and_the_store_in_the_first_shard() {
        assert_eq!(Shard::of(&ApiId::monitor_prober(&id("shop")), 64), Shard::of(&id("shop"), 64));
        assert_eq!(Shard::of(&ApiId::monitor_store(), 64), Shard::LEADER);
        assert_eq!(Shard::of(&id("shop"), 0), Shard::LEADER, "no shards are read as one");
    }

    #[test]
    fn shards_are_about_equal_and_each_spreads_over_the_threads() {
        let mut counts = vec![[0_u32; 4]; 64];
        for n in 0..64_000 {
            let api_id = id(&format!("api-{n}"));
            counts[Shard::of(&api_id, 64).index()][usize::try_from(api_id.stable_hash() % 4).unwrap()] += 1;
        }
        for by_thread in counts {
            assert!((800..1_200).contains(&by_thread.iter().sum::<u32>()), "{by_thread:?}");
            assert!(by_thread.iter().all(|count| (150..350).contains(count)), "{by_thread:?}");
        }
    }
}
