//! Heartbeats in a table that workers share: each worker's record carries its own.

use api_health::store::DynamoStateStore;
use api_health_actors::ports::StateStore;
use api_health_core::own::records::{WorkerRecord, WorkerState};
use api_health_core::{Heartbeat, Timestamp};

use super::{Leases, World, assignment, name, of_all, of_worker, worker};
use crate::state_store::heartbeat;
use crate::worlds::on_moto;

#[test]
fn they_are_those_of_the_live_workers_and_else_the_last_one_of_all() {
    on_moto(of_workers);
}

/// What `worker` said at that second.
fn of(worker: &str, second: i64) -> Heartbeat {
    Heartbeat { instance: worker.into(), at: Timestamp::from_millis(second * 1_000), ..heartbeat(1) }
}

async fn put(leases: &dyn Leases, id: &str, version: u64, state: WorkerState, said: Option<Heartbeat>) {
    let record = WorkerRecord { state, heartbeat: said, ..worker(id, version) };
    assert_eq!(leases.put(of_worker(record), version - 1).await, Ok(()));
}

async fn of_workers(world: World) {
    let leases = world.open();
    let World::Dynamo(client, table) = &world else { unreachable!() };
    let store = DynamoStateStore::new(client.clone(), table);
    let read = async || store.read_heartbeats().await.unwrap();
    // An earlier release, or a single round.
    store.write_heartbeat(of("earlier", 1)).await.unwrap();
    assert_eq!(read().await, [Ok(of("earlier", 1))]);
    // A worker that has said nothing yet takes its place once it has.
    let mut fleet = assignment(1);
    fleet.workers.insert(name("c"));
    assert_eq!(leases.put(of_all(fleet), 0).await, Ok(()));
    put(&*leases, "a", 1, WorkerState::Live, None).await;
    assert_eq!(read().await, [Ok(of("earlier", 1))]);
    put(&*leases, "a", 2, WorkerState::Live, Some(of("a", 2))).await;
    assert_eq!(read().await, [Ok(of("a", 2))]);
    // Two live, and one is over.
    put(&*leases, "b", 1, WorkerState::Live, Some(of("b", 3))).await;
    put(&*leases, "c", 1, WorkerState::Fenced, Some(of("c", 1))).await;
    assert_eq!(read().await, [Ok(of("a", 2)), Ok(of("b", 3))]);
    // Nobody lives any more: whoever watched last.
    put(&*leases, "a", 3, WorkerState::Left, Some(of("a", 4))).await;
    put(&*leases, "b", 2, WorkerState::Fenced, Some(of("b", 3))).await;
    assert_eq!(read().await, [Ok(of("a", 4))]);
}
