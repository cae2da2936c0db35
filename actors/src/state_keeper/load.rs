//! Reads records. A damaged one affects its own API alone: it goes into quarantine, where a person can look at it.

use std::collections::BTreeSet;

use api_health_core::keep::{Grant, RecordRead};
use api_health_core::own::shards::Shard;
use api_health_core::{ApiId, ApiState, Timestamp};

use crate::ports::{StateStore, StoreError, UnreadableState};

/// Unreadable records that are logged one by one; beyond this they are counted.
const LOGGED_MAX: usize = 5;

/// The records of these shards.
pub(super) async fn load(store: &dyn StateStore, grants: &[Grant], shards: u16) -> Result<Vec<ApiState>, StoreError> {
    let wanted: BTreeSet<Shard> = grants.iter().map(|grant| grant.shard).collect();
    let is_ours = |api_id: &ApiId| wanted.contains(&Shard::of(api_id, shards));
    let mut loaded = store.load_all().await?;
    loaded.states.retain(|state| is_ours(&state.api_id));
    // An unreadable id is in no shard: the leader takes care of it.
    let is_ours_to_handle = |record: &UnreadableState| match ApiId::parse_stored(&record.api_id) {
        Ok(api_id) => is_ours(&api_id),
        Err(_) => wanted.contains(&Shard::LEADER),
    };
    loaded.unreadable.retain(is_ours_to_handle);
    let count = loaded.unreadable.len();
    for (index, record) in loaded.unreadable.into_iter().enumerate() {
        quarantine(store, record, index < LOGGED_MAX).await;
    }
    if count > LOGGED_MAX {
        tracing::error!(count, "some stored states could not be read; the first ones are named above");
    }
    let owed: usize = loaded.states.iter().map(|state| state.owed.len()).sum();
    tracing::info!(states = loaded.states.len(), owed, shards = grants.len(), "states loaded");
    Ok(loaded.states)
}

/// Until when some process watched, as the heartbeats say.
pub(super) async fn alive_until(store: &dyn StateStore) -> Option<Timestamp> {
    let heartbeats = store.read_heartbeats().await.ok()?;
    heartbeats.into_iter().flatten().map(|heartbeat| heartbeat.at).max()
}

async fn quarantine(store: &dyn StateStore, record: UnreadableState, is_logged: bool) {
    let (api_id, why) = (record.api_id.clone(), record.why.clone());
    if record.is_newer {
        if is_logged {
            tracing::error!(
                api_id,
                why,
                "a stored state cannot be read; it is left alone, and its API starts as unknown"
            );
        }
        return;
    }
    match store.quarantine(record).await {
        _ if !is_logged => {}
        Ok(()) => {
            tracing::error!(api_id, why, "a stored state is damaged; it is set aside, and its API starts as unknown");
        }
        Err(error) => tracing::error!(
            api_id,
            why,
            %error,
            "a stored state is damaged and could not be set aside; its API starts as unknown"
        ),
    }
}

/// Reads one record. A damaged one goes into quarantine first.
pub(super) async fn read(store: &dyn StateStore, api_id: &ApiId) -> RecordRead {
    match store.load(api_id.clone()).await {
        Ok(Some(Ok(state))) => RecordRead::Found(Box::new(state)),
        Ok(None) => RecordRead::Gone,
        Ok(Some(Err(record))) if record.is_newer => RecordRead::Newer(record.why),
        Ok(Some(Err(record))) => {
            let why = record.why.clone();
            match store.quarantine(record).await {
                Ok(()) => {
                    tracing::error!(%api_id, why, "the stored record of this API is damaged; it is set aside");
                    RecordRead::Quarantined
                }
                Err(error) => RecordRead::Failed(error),
            }
        }
        Err(error) => RecordRead::Failed(error),
    }
}
