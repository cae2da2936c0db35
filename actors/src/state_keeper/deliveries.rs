//! Handing over what is owed: to each channel the oldest alert of an API that it does not have, one at a time.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::{ApiId, delivery};
use tokio::time::Instant;

use super::entry::Change;
use super::{StateKeeper, UNSTORED_MAX};
use crate::alerter::DeliverAlert;

impl StateKeeper {
    /// Offers to every channel what it should have next of this API, unless that is under way.
    pub(super) fn offer(&mut self, api_id: &ApiId, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get(api_id) else { return };
        if entry.state.owed.is_empty() {
            self.owing.remove(api_id);
            return;
        }
        let unstored_too_long = entry.unstored_since.is_some_and(|since| since.elapsed() >= UNSTORED_MAX);
        let mut offers = Vec::new();
        for &channel in &self.channels {
            if self.offered.contains_key(&(api_id.clone(), channel)) {
                continue;
            }
            if let Some(alert) = delivery::next_for(&entry.state, channel)
                && (entry.is_stored(&alert.alert_id) || unstored_too_long)
            {
                offers.push((channel, Arc::new(alert.clone())));
            }
        }
        for (channel, alert) in offers {
            self.hand_over(api_id, channel, DeliverAlert { channel, alert }, ctx);
        }
    }

    fn hand_over(&mut self, api_id: &ApiId, channel: &'static str, message: DeliverAlert, ctx: &mut Context<Self>) {
        let alert_id = message.alert.alert_id.clone();
        let lane = (api_id.clone(), channel);
        self.offered.insert(lane.clone(), alert_id.clone());
        let delivered = self.alerter.send(message);
        ctx.spawn(delivered.into_actor(self).map(move |answer, keeper, ctx| {
            keeper.offered.remove(&lane);
            // No answer means that the alerter is gone: the next look offers the alert again.
            if answer.is_ok() {
                keeper.settle(&lane.0, lane.1, alert_id, ctx);
            }
        }));
    }

    fn settle(&mut self, api_id: &ApiId, channel: &'static str, alert_id: String, ctx: &mut Context<Self>) {
        self.stats.alert_delivered();
        let Some(entry) = self.entries.get_mut(api_id) else { return };
        if delivery::settle(&mut entry.state, &alert_id, channel, &self.channel_names) {
            entry.changed(Change::Settled { alert_id, channel }, Instant::now());
            self.queue_write(api_id);
            self.pump(ctx);
        }
        self.offer(api_id, ctx);
        self.tell_idle_waiters();
    }
}
