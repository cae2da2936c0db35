//! What one life of the keeper leaves to the next: all that it holds, if it lives; what the store kept, if it died.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::child::{Child, panic_text};
use crate::ports::StateStore;
use crate::retry::{RetryPolicy, Waits};
use crate::state_keeper::{Carried, Retire, StateKeeper};

/// A live keeper hands over within this; one that does not is stuck, and its next life starts from the store.
const RETIRE_MAX: Duration = Duration::from_secs(5);

/// After a keeper's death the states are read for this long, again and again; then the process ends.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// One reading of all states takes no longer.
const LOAD_TRY_MAX: Duration = Duration::from_secs(20);

/// All that a live keeper holds; `None` if it does not answer.
pub(super) async fn retire(keeper: &Child<StateKeeper>) -> Option<Carried> {
    let carried = tokio::time::timeout(RETIRE_MAX, keeper.addr.send(Retire)).await.ok().and_then(Result::ok);
    if carried.is_none() {
        tracing::error!("the state-keeper handed nothing over; its next life goes on from what is stored");
    }
    keeper.kill.abort();
    carried
}

/// Reads the states as at the start of the program, on the thread of the keeper, where the store's connections live.
pub(super) async fn load_on(
    thread: &ArbiterHandle,
    store: Arc<dyn StateStore>,
    alone: bool,
) -> Result<Carried, String> {
    let (done, loaded) = oneshot::channel();
    thread.spawn(async move {
        let _ = done.send(load(&*store, alone).await); // nobody waits any more once the process is ending
    });
    loaded.await.unwrap_or_else(|_| Err("the thread of the state-keeper is gone".into()))
}

async fn load(store: &dyn StateStore, alone: bool) -> Result<Carried, String> {
    let (began, mut waits) = (Instant::now(), Waits::new(RetryPolicy::STORE));
    loop {
        let reading = AssertUnwindSafe(async { store.load_all().await }).catch_unwind();
        let why = match tokio::time::timeout(LOAD_TRY_MAX, reading).await {
            Ok(Ok(Ok(loaded))) => {
                for record in loaded.unreadable {
                    tracing::error!(api_id = record.api_id, why = record.why, "a stored state cannot be read");
                }
                return Ok(Carried::loaded(loaded.states, alone));
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => format!("it panicked: {}", panic_text(&*panic)),
            Err(_) => format!("no answer within {} s", LOAD_TRY_MAX.as_secs()),
        };
        if began.elapsed() >= LOAD_MAX {
            return Err(format!("the states could not be read for {} s: {why}", LOAD_MAX.as_secs()));
        }
        tracing::error!(why, "the states cannot be read; tried again");
        tokio::time::sleep(waits.next_wait()).await;
    }
}
