//! Shares of a fleet: from any assignment and with any workers, those that follow the plan arrive at shares that differ by one at
//! most, move no more than they must on the way, and then move nothing.

use std::collections::{BTreeMap, BTreeSet};

use api_health_core::own::fleet::{ShardPlan, View, plan};
use api_health_core::own::records::{Assignment, Ownership, Session, WorkerId, WorkerRecord};
use api_health_core::own::shards::ShardSet;
use api_health_core::own::terms::Terms;
use proptest::prelude::*;

fn session(worker: u8) -> Session {
    let worker = WorkerId::parse(&format!("worker-{worker}")).expect("a plain name");
    Session { worker, number: 1 }
}

fn record(worker: u8) -> WorkerRecord {
    WorkerRecord { version: 1, session: 1, ..WorkerRecord::new(session(worker).worker, &Terms::DEFAULT, 2) }
}

struct Fleet {
    assignment: Assignment,
    live: BTreeMap<WorkerId, WorkerRecord>,
    moves: usize,
    takings: usize,
}

impl Fleet {
    /// Owners by number; those that are not among the workers are dead.
    fn new(workers: &BTreeSet<u8>, owners: &[Option<u8>]) -> Self {
        let mut assignment = Assignment::none(1, 2);
        assignment.owners = owners.iter().map(|owner| Ownership { owner: owner.map(session), epoch: 1 }).collect();
        assignment.workers = workers.iter().map(|worker| session(*worker).worker).collect();
        let live = workers.iter().map(|worker| (session(*worker).worker, record(*worker))).collect();
        Self { assignment, live, moves: 0, takings: 0 }
    }

    /// One worker's turn; returns whether it changed anything.
    fn turn(&mut self, worker: u8) -> bool {
        let me = session(worker);
        let owned: ShardSet = self.assignment.owned_by(&me).into_keys().collect();
        let ShardPlan { release, take } = plan(View { assignment: &self.assignment, live: &self.live }, &me, &owned);
        assert!(release.is_empty() || take.is_empty(), "never both");
        assert!(release.len() <= owned.len().div_ceil(4), "a quarter at a time");
        self.moves += release.len();
        self.takings += take.len();
        for shard in &release {
            self.assignment.owners[shard.index()].owner = None;
        }
        for shard in &take {
            let own = &mut self.assignment.owners[shard.index()];
            assert!(own.owner.as_ref().is_none_or(|owner| !self.live.contains_key(&owner.worker)), "nothing is stolen");
            *own = Ownership { owner: Some(me.clone()), epoch: own.epoch + 1 };
        }
        !release.is_empty() || !take.is_empty()
    }

    fn count(&self, worker: u8) -> usize {
        self.assignment.owned_by(&session(worker)).len()
    }

    /// Turns in a random order until nobody changes anything.
    fn settle(&mut self, workers: &BTreeSet<u8>, order: &[u8]) {
        let workers: Vec<u8> = workers.iter().copied().collect();
        let turns = order.iter().map(|turn| workers[usize::from(*turn) % workers.len()]);
        turns.for_each(|worker| {
            self.turn(worker);
        });
        for _ in 0..200 {
            let changed = workers.iter().filter(|worker| self.turn(**worker)).count();
            if changed == 0 {
                return;
            }
        }
        panic!("shards circulate");
    }

    fn assert_settled(&self, workers: &BTreeSet<u8>) {
        let counts: Vec<usize> = workers.iter().map(|worker| self.count(*worker)).collect();
        assert_eq!(counts.iter().sum::<usize>(), self.assignment.owners.len(), "{counts:?}");
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
    }
}

/// What must be let go of, at the least, so that shares differ by one.
fn surplus(mut counts: Vec<usize>, shards: usize) -> usize {
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (each, more) = (shards / counts.len(), shards % counts.len());
    counts.iter().enumerate().map(|(n, count)| count.saturating_sub(each + usize::from(n < more))).sum()
}

fn workers() -> impl Strategy<Value = BTreeSet<u8>> {
    prop::collection::btree_set(0..8_u8, 1..7)
}

proptest! {
    #[test]
    fn shares_differ_by_one_and_no_more_is_moved_than_must_be(
        first in workers(),
        then in workers(),
        owners in prop::collection::vec(prop::option::of(0..8_u8), 1..70),
        order in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut fleet = Fleet::new(&first, &owners);
        for workers in [&first, &then] {
            let next: Vec<Option<u8>> = fleet.assignment.owners.iter()
                .map(|own| workers.iter().copied().find(|worker| own.owner == Some(session(*worker)))).collect();
            fleet = Fleet::new(workers, &next);
            let must = surplus(workers.iter().map(|worker| fleet.count(*worker)).collect(), owners.len());
            let free = next.iter().filter(|owner| owner.is_none()).count();
            fleet.settle(workers, &order);
            fleet.assert_settled(workers);
            prop_assert_eq!((fleet.moves, fleet.takings), (must, must + free));
        }
    }
}
