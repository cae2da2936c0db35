//! Where the promises are tried: each world is a store of its own, empty, that can be opened more than once.

use std::sync::Arc;

use api_health::sqlite::SqliteFile;
use api_health::store::history::{DynamoHistoryStore, SqliteHistoryStore};
use api_health_actors::ports::HistoryStore;
use api_health_actors::testkit::VirtualClock;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::support::dynamodb::create_history_table;
use crate::worlds;

pub(super) enum World {
    Sqlite { file: SqliteFile, clock: VirtualClock, _folder: tempfile::TempDir },
    Dynamo { client: Client, table: String },
}

impl World {
    /// One more handle on the same data.
    pub(super) fn open(&self) -> Arc<dyn HistoryStore> {
        match self {
            Self::Sqlite { file, clock, .. } => {
                Arc::new(SqliteHistoryStore::open(file, Arc::new(clock.clone())).unwrap())
            }
            Self::Dynamo { client, table } => Arc::new(DynamoHistoryStore::new(client.clone(), table)),
        }
    }

    /// Puts an item of `shop` there behind the store's back.
    pub(super) async fn write_raw(&self, slot: &str, epoch: i64, bytes: &[u8]) {
        match self {
            Self::Sqlite { file, .. } => {
                let write = "INSERT OR REPLACE INTO api_health_history VALUES ('shop', ?1, ?2, NULL, ?3)";
                let connection = rusqlite::Connection::open(file.path()).unwrap();
                connection.execute(write, rusqlite::params![slot, epoch, bytes]).unwrap();
            }
            Self::Dynamo { client, table } => {
                let put = client.put_item().table_name(table);
                let put = put.item("api_id", AttributeValue::S("shop".into()));
                let put = put.item("slot", AttributeValue::S(slot.into()));
                let put = put.item("epoch", AttributeValue::N(epoch.to_string()));
                put.item("bytes", AttributeValue::B(Blob::new(bytes))).send().await.unwrap();
            }
        }
    }
}

impl worlds::World for World {
    fn here() -> Self {
        let (file, folder) = worlds::sqlite_file();
        Self::Sqlite { file, clock: VirtualClock::new(), _folder: folder }
    }

    async fn on_dynamodb(client: Client) -> Self {
        let table = create_history_table(&client).await;
        Self::Dynamo { client, table }
    }
}
