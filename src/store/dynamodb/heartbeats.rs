//! Heartbeats in the table of the states. Whoever shares the table by leases has its own in its worker record, which it writes
//! to renew its lease; an earlier release has one record for it.

use api_health_actors::ports::{StoredHeartbeat, UnreadableState};
use api_health_core::Heartbeat;
use api_health_core::own::records::{Key, LeaseRecord, WorkerRecord};
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::leases::READS_IN_FLIGHT_MAX;
use super::{DynamoStateStore, Item, value};
use crate::fault::Fault;
use crate::store::record::heartbeat::{self, HeartbeatRecord};
use crate::store::record::lease::{self, worker};

/// Over whatever is there, so that there is nothing to conflict with.
pub(super) async fn put(store: &DynamoStateStore, heartbeat: &Heartbeat) -> Result<(), Fault> {
    let call = store.call("dynamodb:PutItem");
    let item: Item = serde_dynamo::to_item(HeartbeatRecord::from(heartbeat))
        .map_err(|e| call.odd(&format!("cannot hold the heartbeat: {e}")))?;
    let request = store.client.put_item().table_name(&store.table).set_item(Some(item));
    call.answer(request.send().await).map(drop)
}

/// That of each live worker; where none lives, the last one of all.
pub(super) async fn read(store: &DynamoStateStore) -> Result<Vec<StoredHeartbeat>, Fault> {
    let (single, assignment) = try_join(store.get(heartbeat::KEY), read_lease(store, Key::Assignment)).await?;
    let mut found: Vec<StoredHeartbeat> = vec![];
    let mut keys = vec![];
    match assignment {
        Some(Ok(LeaseRecord::Assignment(assignment))) => keys.extend(assignment.workers.into_iter().map(Key::Worker)),
        Some(Err(unreadable)) => found.push(Err(unreadable)),
        Some(Ok(LeaseRecord::Worker(_))) | None => {}
    }
    let reads = stream::iter(keys).map(|key| read_lease(store, key)).buffered(READS_IN_FLIGHT_MAX);
    let records: Vec<_> = reads.try_collect().await?;
    let mut last = single.map(|item| heartbeat::read_value(&value::object(item).into()));
    for record in records.into_iter().flatten() {
        match record {
            Ok(LeaseRecord::Worker(record)) if record.is_live() => found.extend(heartbeat(*record)),
            Ok(LeaseRecord::Worker(record)) => last = newer(last, heartbeat(*record)),
            Ok(LeaseRecord::Assignment(_)) => {}
            Err(unreadable) => found.push(Err(unreadable)),
        }
    }
    // Whoever wrote it watches no longer, if somebody wrote a newer one.
    let is_last = |last: &StoredHeartbeat| match last {
        Ok(last) => found.iter().flatten().all(|heartbeat| heartbeat.at < last.at),
        Err(_) => found.iter().all(Result::is_err),
    };
    found.extend(last.filter(is_last));
    Ok(found)
}

async fn read_lease(store: &DynamoStateStore, key: Key) -> Result<Option<Result<LeaseRecord, UnreadableState>>, Fault> {
    let key = lease::key_text(&key);
    let item = store.get(&key).await?;
    Ok(item.map(|item| lease::read(value::object(item)).map_err(|unreadable| unreadable.of(key))))
}

/// What a worker said last, if it did.
fn heartbeat(record: WorkerRecord) -> Option<StoredHeartbeat> {
    if record.extra.contains_key(worker::HEARTBEAT) {
        let api_id = lease::key_text(&Key::Worker(record.id));
        let why = "its heartbeat is not one that this version knows".into();
        return Some(Err(UnreadableState { api_id, why, is_newer: false }));
    }
    record.heartbeat.map(Ok)
}

fn newer(one: Option<StoredHeartbeat>, other: Option<StoredHeartbeat>) -> Option<StoredHeartbeat> {
    match (&one, &other) {
        (Some(Ok(first)), Some(Ok(second))) if first.at > second.at => one,
        (Some(Ok(_)), Some(Err(_)) | None) | (Some(Err(_)), None) => one,
        _ => other,
    }
}
