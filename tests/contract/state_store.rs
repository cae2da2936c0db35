//! The promises of `StateStore`, kept by every adapter. Each is written once, below, and named after what it promises.

mod durability;
mod dynamodb_faults;
mod sqlite_faults;
mod worlds;

use std::sync::Arc;

use api_health_actors::ports::{CommitError, StateStore, StateWrite, StoreError};
use api_health_core::delivery::OWED_MAX;
use api_health_core::{ApiId, ApiState};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::json;
use worlds::{World, id, rich, with_owed};

/// Makes a test of each promise on each adapter.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod sqlite { $(#[test] fn $promise() { super::worlds::on_sqlite(super::$promise); })* }
        mod dynamodb_on_moto { $(#[test] fn $promise() { super::worlds::on_moto(super::$promise); })* }
        mod dynamodb_on_dynamodb_local { $(#[test] fn $promise() { super::worlds::on_local(super::$promise); })* }
    };
}

promises! {
    a_new_store_holds_nothing
    what_was_written_is_read_back_equal_by_whoever_opens_it_next
    a_write_succeeds_only_over_exactly_the_version_before_it
    of_many_writers_of_one_version_exactly_one_wins
    a_conflict_within_a_batch_hurts_no_other_write_of_it
    state_and_owed_alerts_change_together
    a_full_outbox_fits_into_one_record
    thousands_of_records_are_all_loaded
    a_record_that_cannot_be_read_is_reported_and_hides_no_other
}

/// Writes as the keeper does: within the store's limits. The results are in order.
async fn commit_all(store: &dyn StateStore, states: Vec<ApiState>) -> Vec<Result<(), CommitError>> {
    let limits = store.limits();
    let writes: Vec<StateWrite> = states.into_iter().map(Arc::new).collect();
    let batches: Vec<_> = writes.chunks(limits.batch_max).map(<[_]>::to_vec).collect();
    futures_util::stream::iter(batches)
        .map(|batch| store.commit(batch))
        .buffered(limits.batches_in_flight_max)
        .collect::<Vec<_>>()
        .await
        .concat()
}

async fn commit_one(store: &dyn StateStore, state: ApiState) -> Result<(), CommitError> {
    let mut results = store.commit(vec![Arc::new(state)]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

async fn stored(store: &dyn StateStore, name: &str) -> Option<ApiState> {
    store.load(id(name)).await.unwrap().map(Result::unwrap)
}

async fn a_new_store_holds_nothing(world: World) {
    let store = world.open();
    let loaded = store.load_all().await.unwrap();
    assert!(loaded.states.is_empty() && loaded.unreadable.is_empty());
    assert_eq!(stored(&*store, "shop").await, None);
    assert_eq!(store.commit(vec![]).await, []);
}

async fn what_was_written_is_read_back_equal_by_whoever_opens_it_next(world: World) {
    let longest = "x".repeat(ApiId::CHARS_MAX);
    let states =
        vec![rich("shop", 1), ApiState { version: 1, ..ApiState::unknown(id("never-seen")) }, rich(&longest, 1)];
    let store = world.open();
    assert_eq!(commit_all(&*store, states.clone()).await, [Ok(()), Ok(()), Ok(())]);
    drop(store);
    let store = world.open();
    for state in &states {
        assert_eq!(stored(&*store, state.api_id.as_str()).await.as_ref(), Some(state));
    }
    let mut loaded = store.load_all().await.unwrap();
    assert_eq!(loaded.unreadable, []);
    loaded.states.sort_by_key(|s| states.iter().position(|t| t.api_id == s.api_id));
    assert_eq!(loaded.states, states);
}

async fn a_write_succeeds_only_over_exactly_the_version_before_it(world: World) {
    let store = world.open();
    assert_eq!(commit_one(&*store, rich("a", 2)).await, Err(CommitError::Conflict), "there is nothing to replace");
    assert_eq!(stored(&*store, "a").await, None, "and nothing came of it");
    assert_eq!(commit_one(&*store, rich("a", 1)).await, Ok(()));
    assert_eq!(commit_one(&*store, rich("a", 2)).await, Ok(()));
    for version in [0, 1, 2, 4, u64::MAX] {
        let other = ApiState { missed_ticks: 99, ..rich("a", version) };
        assert_eq!(commit_one(&*store, other).await, Err(CommitError::Conflict), "version {version} over 2");
        assert_eq!(stored(&*store, "a").await, Some(rich("a", 2)), "nothing changed");
    }
    assert_eq!(commit_one(&*store, rich("a", 3)).await, Ok(()));
}

async fn of_many_writers_of_one_version_exactly_one_wins(world: World) {
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

async fn a_conflict_within_a_batch_hurts_no_other_write_of_it(world: World) {
    let store = world.open();
    let names = ["a", "b", "c", "d", "e"];
    assert!(commit_all(&*store, names.map(|n| rich(n, 1)).into()).await.iter().all(Result::is_ok));
    let mut second: Vec<ApiState> = names.map(|n| rich(n, 2)).into();
    second[2].version = 7;
    let results = commit_all(&*store, second).await;
    assert_eq!(results, [Ok(()), Ok(()), Err(CommitError::Conflict), Ok(()), Ok(())]);
    for name in names {
        let version = if name == "c" { 1 } else { 2 };
        assert_eq!(stored(&*store, name).await, Some(rich(name, version)));
    }
}

async fn state_and_owed_alerts_change_together(world: World) {
    const VERSIONS: u64 = 30;
    let (writer, reader) = (world.open(), world.open());
    // An odd version is down and owes one alert more than an even one, so a mixture of two would show.
    let write = async {
        for version in 1..=VERSIONS {
            assert_eq!(commit_one(&*writer, rich("a", version)).await, Ok(()));
        }
    };
    let read = async {
        let mut seen = 0;
        while seen < VERSIONS {
            if let Some(state) = stored(&*reader, "a").await {
                assert!(state.version >= seen, "time runs forward");
                seen = state.version;
                assert_eq!(state, rich("a", seen));
            }
        }
    };
    futures_util::future::join(write, read).await;
}

async fn a_full_outbox_fits_into_one_record(world: World) {
    let store = world.open();
    let full = with_owed(rich("a", 1), OWED_MAX, &"ü".repeat(300));
    assert_eq!(full.owed.len(), OWED_MAX);
    assert_eq!(commit_one(&*store, full.clone()).await, Ok(()));
    assert_eq!(stored(&*store, "a").await, Some(full));
}

async fn thousands_of_records_are_all_loaded(world: World) {
    const COUNT: usize = 2_500;
    let states: Vec<ApiState> =
        (0..COUNT).map(|n| ApiState { version: 1, ..ApiState::unknown(id(&format!("api-{n:04}"))) }).collect();
    world.fill(&states).await;
    let mut loaded = world.open().load_all().await.unwrap();
    assert_eq!((loaded.states.len(), loaded.unreadable.len()), (COUNT, 0));
    loaded.states.sort_by(|a, b| a.api_id.cmp(&b.api_id));
    assert!(loaded.states == states);
}

async fn a_record_that_cannot_be_read_is_reported_and_hides_no_other(world: World) {
    let store = world.open();
    assert_eq!(commit_one(&*store, rich("good", 1)).await, Ok(()));
    world.write_raw("newer", json!({ "schema": 2, "api_id": "newer", "version": 1 })).await;
    world.write_raw("torn", json!({ "schema": 1, "api_id": "torn", "version": 1 })).await;
    let loaded = store.load_all().await.unwrap();
    assert_eq!(loaded.states, [rich("good", 1)]);
    let why = |name: &str| &*loaded.unreadable.iter().find(|u| u.api_id == name).unwrap().why;
    assert_eq!(loaded.unreadable.len(), 2);
    assert_eq!(why("newer"), "it was written by a newer version of this program (schema 2, this one reads 1)");
    assert!(why("torn").starts_with("missing field `status`"), "{}", why("torn"));
    let alone = store.load(id("torn")).await.unwrap_err();
    assert!(
        matches!(&alone, StoreError::Misconfigured { what, .. } if what.contains("missing field `status`")),
        "{alone}"
    );
    assert_eq!(commit_one(&*store, rich("torn", 1)).await, Err(CommitError::Conflict), "it stays where it is");
    assert_eq!(store.load_all().await.unwrap().unreadable.len(), 2);
}
