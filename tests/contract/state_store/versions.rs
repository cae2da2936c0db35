//! Over what a write succeeds: over exactly the version that it names, and over no higher epoch.

use api_health_actors::ports::CommitError;
use api_health_core::ApiState;
use futures_util::future::{join, join_all};

use super::worlds::{World, rich};
use super::{commit_one, commit_over, stored};

pub(super) async fn a_write_succeeds_only_over_exactly_the_version_that_it_names(world: World) {
    let store = world.open();
    for expected_version in [1, 2, u64::MAX - 1] {
        let conflict = commit_over(&*store, expected_version, rich("a", expected_version + 1)).await;
        assert_eq!(conflict, Err(CommitError::Conflict), "there is nothing to replace");
        assert_eq!(stored(&*store, "a").await, None, "and nothing came of it");
    }
    assert_eq!(commit_over(&*store, 0, rich("a", 3)).await, Ok(()), "the first one may have any version");
    assert_eq!(commit_over(&*store, 3, rich("a", 4)).await, Ok(()), "as a rule it is the next one");
    assert_eq!(commit_over(&*store, 4, rich("a", 9)).await, Ok(()), "and it may be any higher one");
    for (expected_version, version) in
        [(0, 1), (0, 10), (3, 10), (8, 10), (10, 11), (9, 9), (9, 8), (9, 0), (u64::MAX, u64::MAX)]
    {
        let other = ApiState { missed_ticks: 99, ..rich("a", version) };
        let conflict = commit_over(&*store, expected_version, other).await;
        assert_eq!(conflict, Err(CommitError::Conflict), "{version} over {expected_version}, where 9 is");
        assert_eq!(stored(&*store, "a").await, Some(rich("a", 9)), "nothing changed");
    }
    assert_eq!(commit_over(&*store, 9, rich("a", 10)).await, Ok(()));
}

pub(super) async fn a_write_succeeds_over_no_higher_epoch(world: World) {
    let store = world.open();
    let with_epoch = |version, epoch| ApiState { epoch, ..rich("a", version) };
    for (version, epoch) in [(1, 0), (2, 0), (3, 7), (4, 7), (5, 8), (6, 1_000_000_000_000)] {
        assert_eq!(
            commit_one(&*store, with_epoch(version, epoch)).await,
            Ok(()),
            "none, an equal or a lower one is there"
        );
        assert_eq!(stored(&*store, "a").await, Some(with_epoch(version, epoch)));
    }
    for epoch in [0, 1, 999_999_999_999] {
        assert_eq!(commit_one(&*store, with_epoch(7, epoch)).await, Err(CommitError::Conflict), "{epoch}");
        assert_eq!(stored(&*store, "a").await, Some(with_epoch(6, 1_000_000_000_000)), "nothing changed");
    }
    // Two owners at once: one of them wins, and in the end the one who became owner last.
    let (newer, older) = (world.open(), world.open());
    let both = [with_epoch(7, 1_000_000_000_001), with_epoch(7, 1_000_000_000_000)];
    let [first, second] = both.clone();
    let results = join(commit_one(&*newer, first), commit_one(&*older, second)).await;
    assert!(results.0.is_ok() != results.1.is_ok(), "{results:?}");
    assert_eq!(stored(&*store, "a").await.as_ref(), Some(&both[usize::from(results.1.is_ok())]));
    assert_eq!(commit_one(&*newer, with_epoch(8, 1_000_000_000_001)).await, Ok(()));
    assert_eq!(commit_one(&*older, with_epoch(9, 1_000_000_000_000)).await, Err(CommitError::Conflict));
    assert_eq!(commit_over(&*newer, 8, with_epoch(12, 1_000_000_000_001)).await, Ok(()));
}

pub(super) async fn of_many_writers_of_one_version_exactly_one_wins(world: World) {
    let stores: Vec<_> = (0..8).map(|_| world.open()).collect();
    for version in 1..=3 {
        let candidate = |writer: usize| ApiState { missed_ticks: writer as u64, ..rich("a", version) };
        let results =
            join_all(stores.iter().enumerate().map(|(writer, store)| commit_one(&**store, candidate(writer)))).await;
        let winners: Vec<usize> = (0..results.len()).filter(|&writer| results[writer].is_ok()).collect();
        let [winner] = winners[..] else { panic!("version {version} was won by {winners:?}") };
        assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(CommitError::Conflict))), "{results:?}");
        assert_eq!(stored(&*stores[0], "a").await, Some(candidate(winner)));
    }
}

/// The store of the simulations is held to what the keeper leans on most, so that they try the truth.
mod memory {
    use api_health_actors::testkit::store::MemoryStore;

    use super::super::worlds::World;
    use crate::worlds::block_on;

    #[test]
    fn a_write_succeeds_only_over_exactly_the_version_that_it_names() {
        block_on(super::a_write_succeeds_only_over_exactly_the_version_that_it_names(World::Memory(
            MemoryStore::default(),
        )));
    }

    #[test]
    fn a_write_succeeds_over_no_higher_epoch() {
        block_on(super::a_write_succeeds_over_no_higher_epoch(World::Memory(MemoryStore::default())));
    }
}
