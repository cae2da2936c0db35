//! What a start waits for: AWS that may come by itself, and a store that does not answer yet; and the loading of the states.

use std::convert::Infallible;
use std::time::Duration;

use api_health_actors::ports::{LoadedStates, StateStore, StoreError, UnreadableState};
use api_health_core::ApiState;

use super::AppError;
use crate::aws;
use crate::store::fault::one_line;
use crate::systemd;

/// Stored states that cannot be read are named one by one up to this many, and counted beyond.
const SAID_MAX: usize = 100;

/// How long a start waits for a store that does not answer, before the process ends and whoever started it decides.
const LOAD_PATIENCE: Duration = Duration::from_secs(60);

/// Region and credentials that are not there yet are looked for again after this, and after twice as long each time,
const AWS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// up to this.
const AWS_AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Between two tries of loading the states.
const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// While the states are loaded, systemd is told so this often,
const LOAD_TOLD_EVERY: Duration = Duration::from_secs(10);

/// and no longer than this: a table of a hundred thousand states that is throttled is read within minutes, and what takes
/// longer is left to systemd's own patience with a start.
const LOAD_TOLD_MAX: Duration = Duration::from_secs(600);

/// Opens something, and with `waits` again and again while what it lacks may come by itself.
pub(super) async fn patiently<T>(
    waits: bool,
    mut open: impl AsyncFnMut() -> Result<T, AppError>,
) -> Result<T, AppError> {
    let mut wait = AWS_AGAIN_AFTER;
    loop {
        let why = match open().await {
            Err(AppError::NotYet(why)) if waits => why,
            done => return done,
        };
        tracing::warn!(why, again_after_seconds = wait.as_secs(), "AWS cannot be called yet; waiting for it");
        systemd::waits(&format!("waiting for AWS: {why}"), wait + aws::PREFLIGHT_MAX);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AWS_AGAIN_AFTER_MAX);
    }
}

/// Loads all states, and again for a while if the store does not answer: to probe without them would tell every outage
/// a second time. Damaged records are set aside.
pub(super) async fn load_states(store: &dyn StateStore) -> Result<Vec<ApiState>, AppError> {
    let began = tokio::time::Instant::now();
    loop {
        match told(store.load_all()).await {
            Ok(LoadedStates { states, unreadable }) => {
                let count = unreadable.len();
                for (index, record) in unreadable.into_iter().enumerate() {
                    set_aside(store, record, index < SAID_MAX).await;
                }
                if count > SAID_MAX {
                    tracing::error!(count, "so many stored states could not be read; the first ones are named above");
                }
                return Ok(states);
            }
            Err(StoreError::Unavailable(why)) if began.elapsed() < LOAD_PATIENCE => {
                tracing::warn!(why, "the store does not answer; waiting for it");
                systemd::waits(&format!("the store does not answer; waiting for it: {why}"), LOAD_AGAIN_AFTER);
                tokio::time::sleep(LOAD_AGAIN_AFTER).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the states, and tells systemd so.
async fn told<T>(loading: impl Future<Output = T>) -> T {
    let telling = async {
        for _ in 0..LOAD_TOLD_MAX.as_secs() / LOAD_TOLD_EVERY.as_secs() {
            systemd::waits("loading the stored states", LOAD_TOLD_EVERY);
            tokio::time::sleep(LOAD_TOLD_EVERY).await;
        }
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased; // told before it may be over
        never = telling => match never {},
        loaded = loading => loaded,
    }
}

/// A record that cannot be read hurts its own API alone.
async fn set_aside(store: &dyn StateStore, record: UnreadableState, is_said: bool) {
    let (api_id, why) = (one_line(&record.api_id), record.why.clone());
    if record.is_newer {
        if is_said {
            tracing::error!(
                api_id,
                why,
                "a stored state cannot be read; it is left alone, and its API starts as unknown"
            );
        }
        return;
    }
    match store.set_aside(record).await {
        _ if !is_said => {}
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
