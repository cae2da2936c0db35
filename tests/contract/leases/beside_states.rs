//! The records of workers stand in one table with the states: neither is in the other's way, and one that makes no sense is
//! refused by name.

use std::collections::HashMap;

use api_health::store::DynamoStateStore;
use api_health_actors::ports::{StateStore, StoreError, UnreadableState};
use api_health_core::own::records::{Key, LeaseRecord};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::{World, assignment, name, of_all, of_worker, worker};
use crate::state_store::worlds::{id, over_the_one_before, rich};
use crate::worlds::on_moto;

const KEYS: [&str; 2] = ["api-health:worker:a", "api-health:assignment"];

#[test]
fn they_are_no_states_and_no_damage_and_stay_where_they_are() {
    on_moto(beside_states);
}

async fn beside_states(world: World) {
    let leases = world.open();
    let World::Dynamo(client, table) = &world else { unreachable!() };
    let store = DynamoStateStore::new(client.clone(), table);
    let records = [of_worker(worker("a", 1)), of_all(assignment(1))];
    for record in &records {
        assert_eq!(leases.put(record.clone(), 0).await, Ok(()));
    }
    let written = store.commit(vec![over_the_one_before(rich("shop", 1))]).await;
    assert_eq!(written, [Ok(())]);
    let loaded = store.load_all().await.unwrap();
    assert_eq!((loaded.states, loaded.unreadable), (vec![rich("shop", 1)], vec![]));
    for key in KEYS {
        let taken_for_damage = UnreadableState { api_id: key.into(), why: "it is no state".into(), is_newer: false };
        store.quarantine(taken_for_damage).await.unwrap();
    }
    let mut found = leases.read(vec![Key::Worker(name("a")), Key::Assignment]).await.unwrap();
    found.sort_by_key(LeaseRecord::key);
    assert_eq!(found, records);
    assert_eq!(store.load(id("shop")).await.unwrap(), Some(Ok(rich("shop", 1))));
}

#[test]
fn one_that_makes_no_sense_is_refused_by_name_and_says_what_to_do() {
    on_moto(senseless);
}

async fn senseless(world: World) {
    let leases = world.open();
    let World::Dynamo(client, table) = &world else { unreachable!() };
    let write = |record: Value| {
        let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(record).unwrap();
        client.put_item().table_name(table).set_item(Some(item)).send()
    };
    for (key, why) in KEYS.into_iter().zip(["missing field `session`", "missing field `shards`"]) {
        write(json!({ "schema": 3, "api_id": key, "version": 1 })).await.unwrap();
        let Err(StoreError::Misconfigured { what, remedy }) =
            leases.read(vec![Key::Assignment, Key::Worker(name("a"))]).await
        else {
            panic!("{key} is refused")
        };
        assert_eq!(what, format!("DynamoDB table {table} has a record {key} that cannot be read: {why}"));
        assert!(remedy.starts_with("write what is right into it, or delete it"), "{remedy}");
        write(json!({ "schema": 5, "api_id": key, "version": "of tomorrow" })).await.unwrap();
        let error = leases.read(vec![Key::Assignment, Key::Worker(name("a"))]).await.unwrap_err();
        assert!(error.to_string().contains("written by a newer version"), "{error}");
        client.delete_item().table_name(table).key("api_id", AttributeValue::S(key.into())).send().await.unwrap();
    }
}
