//! What a start waits for: AWS that may come by itself, a store that does not answer yet, and the stored states.

use std::convert::Infallible;
use std::time::Duration;

use api_health_actors::ports::{StateStore, StoreError};
use api_health_core::ApiId;

use super::{AppError, cloud};
use crate::systemd;

/// How long a start waits for a store that does not answer, before the process ends and whoever started it decides.
const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// Region and credentials that are not there yet are looked for again after this, and after twice as long each time,
const AWS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// up to this.
const AWS_AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Between two looks for the store.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// While the states are loaded, systemd is told so this often,
const LOAD_TOLD_EVERY: Duration = Duration::from_secs(10);

/// and no longer than this: a table of a hundred thousand states that is throttled is read within minutes, and what takes
/// longer is left to systemd's own patience with a start.
const LOAD_TOLD_MAX: Duration = Duration::from_secs(600);

/// Opens something, and with `waits` again and again while what it lacks may come by itself.
pub(super) async fn retry_until_available<T>(
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
        systemd::waits(&format!("waiting for AWS: {why}"), wait + cloud::PREFLIGHT_MAX);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AWS_AGAIN_AFTER_MAX);
    }
}

/// Waits for a while for a store that does not answer: its records are read next, and to probe without them would tell every
/// outage a second time.
pub(super) async fn wait_for_store(store: &dyn StateStore) -> Result<(), AppError> {
    let began = tokio::time::Instant::now();
    loop {
        match store.load(ApiId::monitor_store()).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Unavailable(why)) if began.elapsed() < STORE_PATIENCE => {
                tracing::warn!(why, "the store does not answer; waiting for it");
                systemd::waits(&format!("the store does not answer; waiting for it: {why}"), STORE_AGAIN_AFTER);
                tokio::time::sleep(STORE_AGAIN_AFTER).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for what begins with reading the stored states, and tells systemd so.
pub(crate) async fn told<T>(loading: impl Future<Output = T>) -> T {
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
