//! The records of workers in the table of the states: read by key, and written over exactly the version before.

use api_health_actors::leases::Leases;
use api_health_actors::ports::{CommitError, StoreError};
use api_health_core::own::records::{Key, LeaseRecord};
use aws_sdk_dynamodb::Client;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::errors::{Call, table_name};
use super::{get, put_conditionally, value};
use crate::fault::Fault;
use crate::store::record::lease;

/// Records that are read at once; a fleet of a hundred workers is read in a few rounds.
pub(super) const READS_IN_FLIGHT_MAX: usize = 32;

/// The records of workers, beside the states.
pub struct DynamoLeases {
    client: Client,
    table: String,
}

impl DynamoLeases {
    /// Uses `client`, whose connections belong to the thread that calls it; see [`crate::aws`] for its bounds on waits.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        Self { client, table: table_name.into() }
    }

    async fn read_one(&self, key: Key) -> Result<Option<LeaseRecord>, Fault> {
        let key = lease::key_text(&key);
        let Some(item) = get(&self.client, &self.table, &key).await? else { return Ok(None) };
        let read = lease::read(value::object(item)).map_err(|unreadable| Fault::Person {
            place: table_name(&self.table),
            what: format!("has a record {key} that cannot be read: {}", unreadable.why),
            remedy: "what is right into it, or delete it: the workers then make a new one".into(),
        });
        read.map(Some)
    }
}

impl Leases for DynamoLeases {
    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<LeaseRecord>, StoreError>> {
        async move {
            let reads = stream::iter(keys).map(|key| self.read_one(key)).buffer_unordered(READS_IN_FLIGHT_MAX);
            let found: Vec<Option<LeaseRecord>> = reads.try_collect().await?;
            Ok(found.into_iter().flatten().collect())
        }
        .boxed()
    }

    fn put(&self, record: LeaseRecord, expected_version: u64) -> BoxFuture<'_, Result<(), CommitError>> {
        async move {
            if expected_version.checked_add(1) != Some(record.version()) {
                return Err(CommitError::Conflict);
            }
            let fields = lease::fields(&record).map_err(|why| {
                let call = Call::new(&self.client, &self.table, "dynamodb:PutItem");
                CommitError::Store(call.odd(&format!("cannot hold {}: {why}", lease::key_text(&record.key()))).into())
            })?;
            put_conditionally(&self.client, &self.table, value::item(fields), expected_version, None).await
        }
        .boxed()
    }
}
