//! Telling all workers something: a notice in their assignment, written over exactly the version that was read.

use std::time::Duration;

use api_health_actors::leases::Leases;
use api_health_actors::ports::{CommitError, StoreError};
use api_health_core::own::notices::Notice;
use api_health_core::own::records::{Key, LeaseRecord};

/// How often it is written while others write to the same record, and how long after each time.
const TRIES: u32 = 20;
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Writes it. `false`: no worker has used the table yet, so that there is nobody to tell.
///
/// # Errors
/// The table does not take it, or others write to the record all the time.
pub(in crate::cli) async fn write(leases: &dyn Leases, notice: &Notice) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        let Some(LeaseRecord::Assignment(mut assignment)) = leases.read(vec![Key::Assignment]).await?.pop() else {
            return Ok(false);
        };
        let expected_version = assignment.version;
        assignment.version = expected_version.saturating_add(1);
        assignment.apply(notice.clone());
        match leases.put(LeaseRecord::Assignment(assignment), expected_version).await {
            Ok(()) => return Ok(true),
            Err(CommitError::Conflict) => tokio::time::sleep(AGAIN_AFTER).await,
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("others keep changing the record of who owns what; try again".into()))
}
