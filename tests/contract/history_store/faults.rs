//! What goes wrong with a store of history, told by who must act.

use api_health::sqlite::SqliteFile;
use api_health::store::history::DynamoHistoryStore;
use api_health_actors::ports::{HistoryStore, StoreError};
use api_health_core::history::HistorySlot;

use super::worlds::World;
use super::{day, of_day, shop};
use crate::support::dynamodb::{client, create_table};
use crate::support::moto::Moto;
use crate::support::tools;
use crate::worlds::{World as _, block_on};

/// What a read and a write each say.
async fn faults(store: &dyn HistoryStore) -> [StoreError; 2] {
    let slot = HistorySlot::Day(day("2026-11-26"));
    let read = store.read(shop(), slot.clone()..=slot, 1).await.unwrap_err();
    [read, store.write(vec![of_day("2026-11-26", b"x")]).await.remove(0).unwrap_err()]
}

#[test]
fn a_table_that_is_not_there_or_has_another_key_says_what_to_write() {
    let client = client(&Moto::shared().endpoint);
    block_on(async {
        let gone = DynamoHistoryStore::new(client.clone(), "no-such-table");
        for error in faults(&gone).await.into_iter().chain([gone.look().await.unwrap_err()]) {
            let text = error.to_string();
            assert!(text.starts_with("DynamoDB table no-such-table does not exist in region eu-central-1"), "{text}");
            assert!(text.ends_with("or create it with the keys api_id (S) and slot (S)"), "{text}");
        }
        let of_states = DynamoHistoryStore::new(client.clone(), create_table(&client, "api_id").await);
        let error = of_states.look().await.unwrap_err().to_string();
        assert!(error.contains("has another key than is needed"), "{error}");
        assert!(error.ends_with("write the name of a table with the keys api_id (S) and slot (S) alone"), "{error}");
    });
}

#[test]
fn an_endpoint_that_refuses_is_unavailable() {
    let client = client(&format!("http://127.0.0.1:{}", tools::free_port()));
    for error in block_on(faults(&DynamoHistoryStore::new(client, "history"))) {
        assert!(matches!(&error, StoreError::Unavailable(what) if what.contains("refused")), "{error:?}");
    }
}

#[test]
fn a_file_that_is_gone_is_told_and_takes_nothing() {
    let world = World::here();
    let World::Sqlite { file, .. } = &world else { unreachable!() };
    let store = world.open();
    std::fs::remove_file(file.path()).unwrap();
    SqliteFile::open(file.path()).unwrap();
    for error in block_on(faults(&*store)) {
        assert!(error.to_string().contains("was moved, deleted or replaced"), "{error}");
    }
}
