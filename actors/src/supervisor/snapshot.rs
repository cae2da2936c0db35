//! What one life of the keeper leaves to the next: all that it knows, if it lives; else its next life starts from the store.

use std::time::Duration;

use api_health_core::keep::Keeper;

use crate::child::Child;
use crate::state_keeper::{Retire, StateKeeper};

/// A live keeper hands over within this; one that does not is stuck, and its next life starts from the store.
const RETIRE_MAX: Duration = Duration::from_secs(5);

/// All that a live keeper knows; `None` if it does not answer.
pub(super) async fn retire(keeper: &Child<StateKeeper>) -> Option<Keeper> {
    let core = tokio::time::timeout(RETIRE_MAX, keeper.addr.send(Retire)).await.ok().and_then(Result::ok);
    if core.is_none() {
        tracing::error!("the state-keeper handed nothing over; its next life goes on from what is stored");
    }
    keeper.kill.abort();
    core
}
