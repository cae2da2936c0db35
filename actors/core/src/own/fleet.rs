//! Who should own what: the share of each worker, and which shards this one releases and takes to get there.
//!
//! All workers that see the same assignment and the same others compute the same shares, so that they reach them and then move
//! nothing more. A shard of a live session is never taken from it: that session releases it first.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{Assignment, Role, Session, WorkerId, WorkerRecord};
use super::shards::{Shard, ShardSet};

/// A worker releases at most one in this many of its shards at a time, and at least one shard.
const RELEASE_PARTS: usize = 4;

/// The fleet as one worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Who owns what.
    pub assignment: &'a Assignment,
    /// The records of all that live, its own among them.
    pub live: &'a BTreeMap<WorkerId, WorkerRecord>,
}

/// What this worker does next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPlan {
    /// Release these, and then give them back in the assignment.
    pub release: ShardSet,
    /// Take these, which have no live owner.
    pub take: ShardSet,
}

/// What the session `me` should do, which acts for `owned`. Other shards that the assignment has as its own are being released
/// already.
pub fn plan(view: View<'_>, me: &Session, owned: &ShardSet) -> ShardPlan {
    let share = view.shares().get(&me.worker).copied().unwrap_or(0);
    let mine = view.assignment.owned_by(me);
    let mut plan = ShardPlan::default();
    if let Some(surplus) = mine.len().checked_sub(share).filter(|surplus| *surplus > 0) {
        let at_once = surplus.min(mine.len().div_ceil(RELEASE_PARTS));
        let leaving = mine.keys().filter(|shard| !owned.contains(shard)).count();
        let more = at_once.saturating_sub(leaving);
        plan.release.extend(owned.iter().rev().filter(|shard| mine.contains_key(shard)).take(more));
    }
    plan.take.extend(view.free().take(share.saturating_sub(mine.len())));
    plan
}

impl View<'_> {
    /// Whether that session lives.
    pub fn lives(&self, session: &Session) -> bool {
        self.live.get(&session.worker).is_some_and(|record| record.session == session.number && record.is_live())
    }

    /// The shards without an owner, or of a session that has ended.
    pub fn free(&self) -> impl Iterator<Item = Shard> {
        let numbered = Shard::all(self.assignment.shards()).zip(&self.assignment.owners);
        numbered.filter(|(_, own)| own.owner.as_ref().is_none_or(|owner| !self.lives(owner))).map(|(shard, _)| shard)
    }

    /// How many shards each eligible worker should own. Shares differ by one at most; the larger ones go to those that own more
    /// already, so that as little as possible moves.
    pub fn shares(&self) -> BTreeMap<WorkerId, usize> {
        let mut owned: BTreeMap<&WorkerId, usize> = self.eligible().into_iter().map(|worker| (worker, 0)).collect();
        for owner in self.assignment.owners.iter().filter_map(|own| own.owner.as_ref()) {
            if self.lives(owner)
                && let Some(count) = owned.get_mut(&owner.worker)
            {
                *count += 1;
            }
        }
        let shards = self.assignment.owners.len();
        let workers = owned.len().max(1);
        let mut by_count: Vec<(&WorkerId, usize)> = owned.into_iter().collect();
        by_count.sort_by_key(|(_, count)| usize::MAX - count); // stable: equal ones stay in the order of their names
        let share_of = |place| shards / workers + usize::from(place < shards % workers);
        by_count.into_iter().enumerate().map(|(place, (worker, _))| (worker.clone(), share_of(place))).collect()
    }

    /// Who may own shards: the best kind of those that can read the records. Workers come before standbys, and of either those that have
    /// all channels, since they can deliver every alert.
    fn eligible(&self) -> Vec<&WorkerId> {
        let channels: BTreeSet<&String> = self.live.values().flat_map(|record| &record.channels).collect();
        let rank = |record: &WorkerRecord| (record.role == Role::Standby, record.channels.len() < channels.len());
        let may_own = |record: &&WorkerRecord| {
            record.is_live()
                && record.speaks.reads_schema >= self.assignment.writes_schema
                && self.assignment.workers.contains(&record.id)
        };
        let candidates = || self.live.values().filter(may_own);
        let best = candidates().map(rank).min();
        candidates().filter(|record| Some(rank(record)) == best).map(|record| &record.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::member::tests::{named, record};
    use crate::own::records::{Ownership, WorkerState};

    struct Fleet {
        assignment: Assignment,
        live: BTreeMap<WorkerId, WorkerRecord>,
    }

    impl Fleet {
        /// The owner of each shard by name; `-` for nobody.
        fn new(workers: &[&str], owners: &[&str]) -> Self {
            let mut assignment = Assignment::none(1, 2);
            assignment.workers = workers.iter().map(|name| named(name)).collect();
            let owner = |name: &&str| (*name != "-").then(|| record(name, 1).session());
            assignment.owners = owners.iter().map(|name| Ownership { owner: owner(name), epoch: 1 }).collect();
            Self { assignment, live: workers.iter().map(|name| (named(name), record(name, 1))).collect() }
        }

        fn plan(&self, name: &str) -> (Vec<u16>, Vec<u16>) {
            let me = record(name, 1).session();
            let owned = self.assignment.owned_by(&me).into_keys().collect();
            self.plan_owning(name, &owned)
        }

        fn plan_owning(&self, name: &str, owned: &ShardSet) -> (Vec<u16>, Vec<u16>) {
            let view = View { assignment: &self.assignment, live: &self.live };
            let plan = plan(view, &record(name, 1).session(), owned);
            let numbers = |shards: ShardSet| shards.into_iter().map(Shard::number).collect();
            (numbers(plan.release), numbers(plan.take))
        }
    }

    #[test]
    fn what_is_nobodys_is_taken_up_to_the_share() {
        let fleet = Fleet::new(&["a", "b"], &["-", "-", "-", "-", "dead"]);
        assert_eq!(fleet.plan("a"), (vec![], vec![0, 1, 2]));
        assert_eq!(fleet.plan("b"), (vec![], vec![0, 1]));
    }

    #[test]
    fn a_live_session_is_left_what_it_has_until_it_lets_go() {
        let fleet = Fleet::new(&["a", "b"], &["a"; 8]);
        assert_eq!(fleet.plan("b"), (vec![], vec![]));
        assert_eq!(fleet.plan("a"), (vec![6, 7], vec![]), "a quarter");
        let owned = Shard::all(7).collect();
        assert_eq!(fleet.plan_owning("a", &owned), (vec![6], vec![]), "one is on its way out already");
        let owned = Shard::all(6).collect();
        assert_eq!(fleet.plan_owning("a", &owned), (vec![], vec![]), "both are");
    }

    #[test]
    fn shares_that_differ_by_one_stay_as_they_are() {
        let fleet = Fleet::new(&["a", "b"], &["b", "b", "a"]);
        assert_eq!((fleet.plan("a"), fleet.plan("b")), ((vec![], vec![]), (vec![], vec![])));
        let fleet = Fleet::new(&["a", "b"], &["b"]);
        assert_eq!((fleet.plan("a"), fleet.plan("b")), ((vec![], vec![]), (vec![], vec![])));
    }

    #[test]
    fn a_session_that_is_over_owns_nothing_even_if_its_worker_lives_on() {
        let mut fleet = Fleet::new(&["a"], &["a", "a"]);
        fleet.live.insert(named("a"), record("a", 2));
        assert_eq!(fleet.plan("a").1, Vec::<u16>::new(), "nor does it plan any more");
        let view = View { assignment: &fleet.assignment, live: &fleet.live };
        assert_eq!(plan(view, &record("a", 2).session(), &ShardSet::new()).take.len(), 2);
    }

    #[test]
    fn a_standby_owns_something_only_while_no_worker_lives() {
        let mut fleet = Fleet::new(&["a", "b"], &["-", "-"]);
        fleet.live.get_mut(&named("a")).unwrap().role = Role::Standby;
        assert_eq!((fleet.plan("a").1, fleet.plan("b").1), (vec![], vec![0, 1]));
        fleet.live.get_mut(&named("b")).unwrap().state = WorkerState::Left;
        assert_eq!(fleet.plan("a").1, [0, 1]);
    }

    #[test]
    fn whoever_lacks_a_channel_or_cannot_read_the_records_owns_nothing_beside_one_that_does_not() {
        let mut fleet = Fleet::new(&["a", "b"], &["-", "-"]);
        fleet.live.get_mut(&named("b")).unwrap().channels.insert("webhook".into());
        assert_eq!((fleet.plan("a").1, fleet.plan("b").1), (vec![], vec![0, 1]));
        fleet.live.get_mut(&named("a")).unwrap().channels.insert("pager".into());
        assert_eq!((fleet.plan("a").1, fleet.plan("b").1), (vec![0], vec![0]), "neither has all");
        fleet.assignment.writes_schema = 3;
        fleet.live.get_mut(&named("a")).unwrap().speaks.reads_schema = 3;
        assert_eq!((fleet.plan("a").1, fleet.plan("b").1), (vec![0, 1], vec![]));
        fleet.live.remove(&named("a"));
        assert_eq!(fleet.plan("b").1, Vec::<u16>::new(), "not even alone");
    }
}
