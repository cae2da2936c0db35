//! The promises of `StateStore`, kept by every adapter. Each is written once, below, and named after what it promises.

mod durability;
mod dynamodb_faults;
mod sqlite_faults;
mod versions;
pub(crate) mod worlds;

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{CommitError, StateStore, StateWrite, StoreError, UnreadableState};
use api_health_core::delivery::OWED_MAX;
use api_health_core::heartbeat::{INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use api_health_core::{ApiId, ApiState, Heartbeat, Timestamp};
use futures_util::StreamExt;
use serde_json::{Value, json};
use versions::{
    a_write_succeeds_only_over_exactly_the_version_that_it_names, a_write_succeeds_over_no_higher_epoch,
    of_many_writers_of_one_version_exactly_one_wins,
};
use worlds::{World, id, over_the_one_before, rich, with_owed};

promises! { sqlite:
    a_new_store_holds_nothing
    what_was_written_is_read_back_equal_by_whoever_opens_it_next
    a_write_succeeds_only_over_exactly_the_version_that_it_names
    a_write_succeeds_over_no_higher_epoch
    of_many_writers_of_one_version_exactly_one_wins
    a_conflict_within_a_batch_hurts_no_other_write_of_it
    state_and_owed_alerts_change_together
    a_full_outbox_fits_into_one_record
    thousands_of_records_are_all_loaded
    a_record_that_cannot_be_read_is_reported_and_hides_no_other
    a_damaged_record_that_is_set_aside_is_kept_for_a_person_and_in_nobodys_way
    a_record_that_was_mended_or_replaced_or_is_newer_stays_where_it_is
    what_the_monitor_watches_about_itself_is_stored_beside_the_apis
    a_record_of_an_earlier_release_is_read_and_written_back_as_it_is_written_now
    a_heartbeat_replaces_the_one_before_and_is_read_back_equal
    a_heartbeat_is_no_state_and_no_damage_and_stays_where_it_is
    the_largest_heartbeat_is_a_few_kilobytes_and_is_taken
}

/// Writes as the keeper does: within the store's limits. The results are in order.
async fn commit_all(store: &dyn StateStore, states: Vec<ApiState>) -> Vec<Result<(), CommitError>> {
    let limits = store.limits();
    let writes: Vec<StateWrite> = states.into_iter().map(over_the_one_before).collect();
    let batches: Vec<_> = writes.chunks(limits.batch_max).map(<[_]>::to_vec).collect();
    futures_util::stream::iter(batches)
        .map(|batch| store.commit(batch))
        .buffered(limits.batches_in_flight_max)
        .collect::<Vec<_>>()
        .await
        .concat()
}

async fn commit_one(store: &dyn StateStore, state: ApiState) -> Result<(), CommitError> {
    commit_over(store, state.version.saturating_sub(1), state).await
}

async fn commit_over(store: &dyn StateStore, expected_version: u64, state: ApiState) -> Result<(), CommitError> {
    let mut results = store.commit(vec![StateWrite { expected_version, state: Arc::new(state) }]).await;
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
    let store = world.open();
    // An emulator on a busy machine may take longer for a page than a read is given: then the program reads again, too.
    let mut tries = 0;
    let mut loaded = loop {
        match store.load_all().await {
            Err(StoreError::Unavailable(_)) if tries < 5 => tries += 1,
            loaded => break loaded.unwrap(),
        }
    };
    assert_eq!((loaded.states.len(), loaded.unreadable.len()), (COUNT, 0));
    loaded.states.sort_by(|a, b| a.api_id.cmp(&b.api_id));
    assert!(loaded.states == states);
}

/// A record that lacks a field.
fn torn(name: &str, version: u64) -> Value {
    json!({ "schema": 2, "api_id": name, "version": version, "last_told_status": "up", "note": "by hand" })
}

/// The same, mended.
fn mended(name: &str, version: u64) -> Value {
    json!({
        "schema": 2, "api_id": name, "version": version, "status": "up", "since": "2026-11-22T07:30:00.000Z",
        "last_told_status": "up", "missed_ticks": 0, "owed": []
    })
}

fn newer(name: &str) -> Value {
    json!({ "schema": 99, "api_id": name, "version": 1, "colour": "blue" })
}

async fn a_record_that_cannot_be_read_is_reported_and_hides_no_other(world: World) {
    let store = world.open();
    assert_eq!(commit_one(&*store, rich("good", 1)).await, Ok(()));
    world.write_raw("newer", newer("newer")).await;
    world.write_raw("torn", torn("torn", 1)).await;
    let loaded = store.load_all().await.unwrap();
    assert_eq!(loaded.states, [rich("good", 1)]);
    assert_eq!(loaded.unreadable.len(), 2);
    let found = |name: &str| loaded.unreadable.iter().find(|u| u.api_id == name).unwrap();
    assert_eq!(found("newer").why, "it was written by a newer version of this program (schema 99, this one reads 4)");
    assert!(found("torn").why.starts_with("missing field `status`"), "{:?}", found("torn"));
    assert_eq!((found("newer").is_newer, found("torn").is_newer), (true, false));
    for name in ["newer", "torn"] {
        assert_eq!(store.load(id(name)).await.unwrap().unwrap().unwrap_err(), *found(name), "alone it says the same");
        assert_eq!(commit_one(&*store, rich(name, 1)).await, Err(CommitError::Conflict), "it stays where it is");
    }
    assert_eq!(store.load_all().await.unwrap().unreadable.len(), 2);
}

async fn a_damaged_record_that_is_set_aside_is_kept_for_a_person_and_in_nobodys_way(world: World) {
    let store = world.open();
    assert_eq!(commit_one(&*store, rich("good", 1)).await, Ok(()));
    world.write_raw("torn", torn("torn", 7)).await;
    let found = store.load_all().await.unwrap().unreadable.remove(0);
    // Twice, and from two sides, as two processes that start at one time would.
    let other = world.open();
    let both = futures_util::future::join(store.quarantine(found.clone()), other.quarantine(found.clone())).await;
    assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
    assert!([&both.0, &both.1].into_iter().all(|r| matches!(r, Ok(()) | Err(StoreError::Unavailable(_)))), "{both:?}");
    store.quarantine(found.clone()).await.unwrap();
    let kept = world.kept("torn").await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let record: Value = serde_json::from_str(&kept[0].0).unwrap();
    assert_eq!((&record["note"], &record["api_id"], &kept[0].1), (&json!("by hand"), &json!("torn"), &found.why));

    assert_eq!(store.load(id("torn")).await.unwrap(), None);
    let loaded = world.open().load_all().await.unwrap();
    assert_eq!((loaded.states, loaded.unreadable, loaded.quarantined), (vec![rich("good", 1)], vec![], 1));
    assert_eq!(commit_one(&*store, rich("torn", 1)).await, Ok(()), "its API can be written as new");
    store.quarantine(found).await.unwrap();
    assert_eq!(stored(&*store, "torn").await, Some(rich("torn", 1)), "a late call takes nothing away");

    // The next one that is damaged is kept beside the first.
    world.write_raw("torn", torn("torn", 8)).await;
    let found = store.load(id("torn")).await.unwrap().unwrap().unwrap_err();
    store.quarantine(found).await.unwrap();
    assert_eq!(world.kept("torn").await.len(), 2);
    assert_eq!(store.load_all().await.unwrap().quarantined, 2);
}

async fn a_record_that_was_mended_or_replaced_or_is_newer_stays_where_it_is(world: World) {
    let store = world.open();
    world.write_raw("mended", torn("mended", 3)).await;
    world.write_raw("replaced", torn("replaced", 1)).await;
    world.write_raw("newer", newer("newer")).await;
    let found = store.load_all().await.unwrap().unreadable;
    assert_eq!(found.len(), 3);
    world.write_raw("mended", mended("mended", 3)).await;
    world.write_raw("replaced", newer("replaced")).await;
    for record in found {
        store.quarantine(record).await.unwrap();
    }
    assert_eq!(stored(&*store, "mended").await.unwrap().version, 3);
    for name in ["newer", "replaced"] {
        let there = store.load(id(name)).await.unwrap().unwrap().unwrap_err();
        assert!(there.is_newer, "{there:?}");
    }
    for name in ["mended", "replaced", "newer"] {
        assert_eq!(world.kept(name).await, []);
    }
}

/// moto undoes what others wrote while a transaction of it fails, so it is not asked.
mod somebody_mends_a_record_while_it_is_set_aside {
    #[test]
    fn and_wins_on_sqlite() {
        crate::worlds::here(super::mends_while_set_aside);
    }

    #[test]
    fn and_wins_on_dynamodb_local() {
        crate::worlds::on_local(super::mends_while_set_aside);
    }
}

async fn mends_while_set_aside(world: World) {
    let store = world.open();
    for round in 0..40_u64 {
        let name = format!("api-{round}");
        world.write_raw(&name, torn(&name, 3)).await;
        let found = store.load(id(&name)).await.unwrap().unwrap().unwrap_err();
        let mend = async {
            tokio::time::sleep(std::time::Duration::from_micros(400 * round)).await;
            world.write_raw(&name, mended(&name, 3)).await;
        };
        let (quarantine, ()) = futures_util::future::join(store.quarantine(found), mend).await;
        assert!(matches!(quarantine, Ok(()) | Err(StoreError::Unavailable(_))), "{quarantine:?}");
        // Before the move: it stays. After it: it is new. Never: it is gone.
        assert_eq!(stored(&*store, &name).await.map(|state| state.version), Some(3), "round {round}");
    }
}

async fn what_the_monitor_watches_about_itself_is_stored_beside_the_apis(world: World) {
    let store = world.open();
    let own =
        [ApiId::monitor_store(), ApiId::monitor_fleet(), ApiId::monitor_capacity(), ApiId::monitor_prober(&id("shop"))];
    let states: Vec<ApiState> = own.iter().map(|own_id| own_state(own_id, 1)).chain([rich("shop", 1)]).collect();
    assert!(commit_all(&*store, states.clone()).await.iter().all(Result::is_ok));
    for own_id in own {
        assert_eq!(store.load(own_id.clone()).await.unwrap(), Some(Ok(own_state(&own_id, 1))));
    }
    let mut loaded = world.open().load_all().await.unwrap();
    assert_eq!(loaded.unreadable, []);
    loaded.states.sort_by_key(|s| states.iter().position(|t| t.api_id == s.api_id));
    assert_eq!(loaded.states, states);
}

/// [`rich`] under an id that no person can write, and without a URL.
fn own_state(api_id: &ApiId, version: u64) -> ApiState {
    let mut state = ApiState { api_id: api_id.clone(), ..rich("own", version) };
    for owed in &mut state.owed {
        owed.alert.api_id = api_id.clone();
        owed.alert.url = String::new();
    }
    if let Some(incident) = &mut state.incident {
        incident.url = String::new();
    }
    state
}

async fn a_record_of_an_earlier_release_is_read_and_written_back_as_it_is_written_now(world: World) {
    let store = world.open();
    for (text, owed) in [
        (include_str!("../testdata/store/v1/down-and-owed.json"), true),
        (include_str!("../testdata/store/v1/never-probed.json"), false),
        (include_str!("../testdata/store/v2/down-and-owed.json"), true), // with a claim
    ] {
        let record: Value = serde_json::from_str(text).unwrap();
        let name = record["api_id"].as_str().unwrap().to_owned();
        world.write_raw(&name, record).await;
        let state = stored(&*store, &name).await.unwrap();
        assert_eq!(!state.owed.is_empty(), owed);
        let next = ApiState { version: state.version + 1, epoch: 1, ..state };
        assert_eq!(commit_one(&*store, next.clone()).await, Ok(()));
        assert_eq!(stored(&*store, &name).await, Some(next));
        let written = world.raw(&name).await;
        assert_eq!((&written["schema"], written.get("claim")), (&json!(2), None));
    }
    assert_eq!(store.load_all().await.unwrap().unreadable, []);
}

const HEARTBEAT: &str = "api-health:heartbeat";

pub(crate) fn heartbeat(n: u64) -> Heartbeat {
    Heartbeat {
        at: Timestamp::from_millis(1_795_332_600_250 + i64::try_from(n).unwrap()),
        instance: format!("host-{n}:4711:1795332600250"),
        version: "0.1.0".into(),
        period: (!n.is_multiple_of(2)).then(|| Duration::from_secs(60)),
        checkpoint: Duration::from_secs(3_600),
        apis: 6 + n,
        up: 3,
        down: 2,
        unknown: 1 + n,
        owed: u64::MAX,
        probes: 0,
        probes_since: Timestamp::from_millis(1_795_332_540_250),
        late: 1,
        late_api_ids: vec![id("shop")],
        inconclusive: n,
        inconclusive_api_ids: if n > 0 { vec![id("cart")] } else { vec![] },
    }
}

async fn a_heartbeat_replaces_the_one_before_and_is_read_back_equal(world: World) {
    let (store, other) = (world.open(), world.open());
    assert_eq!(store.read_heartbeats().await.unwrap(), []);
    for n in 1..=4 {
        let by = if n < 3 { &store } else { &other };
        by.write_heartbeat(heartbeat(n)).await.unwrap();
        assert_eq!(store.read_heartbeats().await.unwrap(), [Ok(heartbeat(n))]);
    }
    // In the past, by somebody else: nothing is compared.
    store.write_heartbeat(heartbeat(0)).await.unwrap();
    assert_eq!(world.open().read_heartbeats().await.unwrap(), [Ok(heartbeat(0))]);
}

async fn a_heartbeat_is_no_state_and_no_damage_and_stays_where_it_is(world: World) {
    let store = world.open();
    assert_eq!(commit_one(&*store, rich("shop", 1)).await, Ok(()));
    store.write_heartbeat(heartbeat(1)).await.unwrap();
    let loaded = store.load_all().await.unwrap();
    assert_eq!((loaded.states, loaded.unreadable), (vec![rich("shop", 1)], vec![]));
    let taken_for_damage = UnreadableState { api_id: HEARTBEAT.into(), why: "it is no state".into(), is_newer: false };
    store.quarantine(taken_for_damage).await.unwrap();
    assert_eq!(store.read_heartbeats().await.unwrap(), [Ok(heartbeat(1))]);
    assert_eq!(world.kept(HEARTBEAT).await, []);
    assert_eq!(commit_one(&*store, rich("shop", 2)).await, Ok(()), "and no write is in its way");
}

async fn the_largest_heartbeat_is_a_few_kilobytes_and_is_taken(world: World) {
    let longest = |n: usize| id(&format!("{n:0>width$}", width = ApiId::CHARS_MAX));
    let largest = Heartbeat {
        late: u64::MAX,
        late_api_ids: (0..LATE_NAMED_MAX).map(longest).collect(),
        inconclusive: u64::MAX,
        inconclusive_api_ids: (0..INCONCLUSIVE_NAMED_MAX).map(longest).collect(),
        ..heartbeat(1)
    };
    let store = world.open();
    store.write_heartbeat(largest.clone()).await.unwrap();
    assert_eq!(store.read_heartbeats().await.unwrap(), [Ok(largest)]);
}
