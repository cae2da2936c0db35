//! Where the promises are tried: each world is a table of its own, empty, that can be opened more than once.

use std::sync::Arc;

use api_health::configs::dynamodb_table::DynamoConfigTable;
use api_health::configs::raw::RowTable;
use api_health::configs::sqlite_table::SqliteConfigTable;
use api_health::sqlite::SqliteFile;
use aws_sdk_dynamodb::Client;

use crate::support::dynamodb::create_table;
use crate::worlds;

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

impl worlds::World for World {
    fn here() -> Self {
        let (file, folder) = worlds::sqlite_file();
        Self::Sqlite { file, _folder: folder }
    }

    async fn on_dynamodb(client: Client) -> Self {
        let table = create_table(&client, "api_id").await;
        Self::Dynamo { client, table }
    }
}
