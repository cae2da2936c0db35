//! What the keeper notes about the monitor itself: a store that takes no writes, a prober that was given up.

use std::sync::Arc;

use actix::{Handler, Message};
use api_health_core::{ApiConfig, ApiId, Timestamp};

use super::StateKeeper;
use super::subject::{Own, Subject, own_outcome};

/// The prober of an API died too often. That is told, and what is shown of its API is unknown, until the prober lives again;
/// the API's own status stays as it is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GivenUp {
    /// The API.
    pub api: Arc<ApiConfig>,
    /// How its prober died, in words.
    pub why: String,
}

impl Handler<GivenUp> for StateKeeper {
    type Result = ();

    fn handle(&mut self, GivenUp { api, why }: GivenUp, ctx: &mut Self::Context) {
        if !self.entries.get(&api.api_id).is_some_and(|entry| entry.watched) {
            return;
        }
        self.given_up.insert(api.api_id.clone());
        let now = self.time.wall();
        self.decide_about(Own::prober(&api), Some(why), now);
        self.pump(ctx);
    }
}

impl StateKeeper {
    /// A prober that was given up has handed an outcome over.
    pub(super) fn prober_lives(&mut self, api: &ApiConfig) {
        let own = Own::prober(api);
        let own_id = ApiId::own_prober(&api.api_id);
        let now = self.time.wall();
        self.decide_about(own, None, now);
        if self.entries.get(&own_id).is_some_and(|entry| entry.state.incident.is_none()) {
            self.given_up.remove(&api.api_id);
        }
    }

    /// Tells once that the store is gone, when that has lasted for a while.
    pub(super) fn tell_that_the_store_is_gone(&mut self) {
        if let Some((why, since)) = self.store_trouble.as_mut().and_then(super::writes::Trouble::take_what_to_tell) {
            self.is_told_gone = true;
            self.decide_about(Own::store(&self.store_name), Some(why), since);
            // It cannot be stored, and is offered all the same: see `may_go_unstored`.
        }
    }

    /// Tells that the store is back, if it was told that it is gone.
    pub(super) fn tell_that_the_store_is_back(&mut self) {
        let own_id = ApiId::own_store();
        if self.entries.get(&own_id).is_some_and(|entry| entry.state.incident.is_some()) {
            let now = self.time.wall();
            self.decide_about(Own::store(&self.store_name), None, now);
        }
    }

    fn decide_about(&mut self, own: Own, fault: Option<String>, began_at: Timestamp) {
        let outcome = own_outcome(fault, began_at, self.time.wall());
        self.decide(&Subject::Own(Arc::new(own)), outcome);
    }
}
