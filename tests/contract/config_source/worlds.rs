//! Where the promises are tried: each world is a table of its own, empty, that can be opened more than once.

use std::sync::Arc;

use api_health::configs::dynamodb_table::DynamoConfigTable;
use api_health::configs::raw::RowTable;
use api_health::configs::sqlite_table::SqliteConfigTable;
use api_health::sqlite::SqliteFile;
use aws_sdk_dynamodb::Client;

use crate::support::dynamodb::{client, create_table};
use crate::support::dynamodb_local;
use crate::support::moto::Moto;

pub(super) enum World {
    Sqlite { file: SqliteFile, _folder: tempfile::TempDir },
    Dynamo { client: Client, table: String },
}

impl World {
    /// One more handle on the same table.
    pub(super) fn open(&self) -> Arc<dyn RowTable> {
        match self {
            Self::Sqlite { file, .. } => Arc::new(SqliteConfigTable::open(file).unwrap()),
            Self::Dynamo { client, table } => Arc::new(DynamoConfigTable::new(client.clone(), table)),
        }
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn on_sqlite<F: Future<Output = ()>>(promise: fn(World) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("api-health.db")).unwrap();
    block_on(promise(World::Sqlite { file, _folder: folder }));
}

pub(super) fn on_moto<F: Future<Output = ()>>(promise: fn(World) -> F) {
    on_dynamodb(&Moto::shared().endpoint, promise);
}

pub(super) fn on_local<F: Future<Output = ()>>(promise: fn(World) -> F) {
    if let Some(server) = dynamodb_local::shared() {
        on_dynamodb(&server.endpoint, promise);
    }
}

fn on_dynamodb<F: Future<Output = ()>>(endpoint: &str, promise: fn(World) -> F) {
    block_on(async {
        let client = client(endpoint);
        let table = create_table(&client, "api_id").await;
        promise(World::Dynamo { client, table }).await;
    });
}
