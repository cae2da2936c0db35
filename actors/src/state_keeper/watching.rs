//! What becomes of an API when its row changes, as far as the keeper is concerned: incidents of APIs that nobody watches
//! any more are closed, and streaks that were seen of another question are forgotten.

use std::collections::HashSet;
use std::sync::Arc;

use actix::{Context, Handler, Message};
use api_health_core::decide::{ask_anew, close};
use api_health_core::{ApiConfig, ApiId, ApiState};

use super::StateKeeper;
use super::entry::{Change, Entry};

/// Why an API is closed that has a state and no row, when the program starts.
const NOT_CONFIGURED: &str = "it is not configured any more";

/// What is watched from now on. It is sent before the probers that it is about are started.
#[derive(Debug, Default, Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// APIs that are watched from now on.
    pub started: Vec<Arc<ApiConfig>>,
    /// Watched APIs whose config is another from now on.
    pub changed: Vec<Arc<ApiConfig>>,
    /// Watched APIs of which another thing is asked from now on, such as another URL.
    pub asks_anew: Vec<ApiId>,
    /// APIs that are watched no longer, and why.
    pub stopped: Vec<(ApiId, &'static str)>,
    /// Every API that is configured, where that is known for certain: a state of any other is that of an API that was removed
    /// while the program was off.
    pub configured: Option<HashSet<ApiId>>,
}

impl Handler<Watch> for StateKeeper {
    type Result = ();

    fn handle(&mut self, watch: Watch, ctx: &mut Self::Context) {
        for api in &watch.started {
            let unknown = || Entry::new(ApiState::unknown(api.api_id.clone()));
            let entry = self.entries.entry(api.api_id.clone()).or_insert_with(unknown);
            entry.watched = true;
        }
        self.expect_first_outcomes(&watch.started);
        self.expect_first_outcomes(&watch.changed);
        for api_id in watch.asks_anew {
            if let Some(entry) = self.entries.get(&api_id) {
                let decision = ask_anew(&entry.state);
                if decision.must_store {
                    self.carry_out(&api_id, decision, Change::AskedAnew);
                }
            }
        }
        for (api_id, why) in watch.stopped {
            self.close(&api_id, why);
        }
        if let Some(configured) = watch.configured {
            let is_gone = |id: &ApiId| match id.probed() {
                Some(probed) => !configured.contains(&probed),
                None => !id.is_own() && !configured.contains(id),
            };
            let gone: Vec<ApiId> = self.entries.keys().filter(|id| is_gone(id)).cloned().collect();
            for api_id in gone {
                self.close(&api_id, NOT_CONFIGURED);
            }
        }
        self.settle_down(ctx);
    }
}

impl StateKeeper {
    /// The API is watched no longer, and neither is its prober.
    fn close(&mut self, api_id: &ApiId, why: &'static str) {
        self.given_up.remove(api_id);
        for id in [api_id.clone(), ApiId::own_prober(api_id)] {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.watched = false;
            let now = self.time.wall();
            let decision = close(&entry.state, why, now);
            if decision.must_store {
                let owed = decision.owed.as_ref().map(|alert| alert.alert_id.clone());
                self.carry_out(&id, decision, Change::Closed { why, now, owed });
            }
        }
    }

    fn settle_down(&mut self, ctx: &mut Context<Self>) {
        self.pump(ctx);
        self.tell_idle_waiters();
    }
}
