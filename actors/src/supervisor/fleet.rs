//! The fleet, looked at each second: who is missing, and what is asked of the owners of APIs.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::Alert;
use api_health_core::keep::Keeper;
use api_health_core::own::notices::{Ask, AskFor, Notice};

use super::Supervisor;
use super::ownership::shard;
use crate::child::ExitReason;
use crate::ports::StoreError;
use crate::state_keeper::Apply;

impl Supervisor {
    /// Looks at the fleet: who is missing, and what is asked of the owners.
    pub(super) fn look_at_fleet(&mut self, ctx: &mut Context<Self>) {
        let Some(handle) = self.ownership.handle.clone() else { return };
        // A round does not wait until a person has mended what keeps it from a lease.
        if let (true, Some(error @ StoreError::Misconfigured { .. })) =
            (self.options.once && !self.stopping && !self.ownership.has_joined(), &handle.renewals().borrow().error)
        {
            self.escalate("lease holder", ExitReason::Unstartable(error.to_string()));
        }
        let sight = handle.sight().borrow().clone();
        let Some(fleet) = &sight.fleet else { return };
        self.ownership.note_sight(&sight);
        let others: Vec<_> = fleet.others.values().filter(|record| record.is_live()).collect();
        // Whoever owns all by now was first: it is the other one that does nothing. One that was not seen for long is waited for
        // instead, as long as its lease lasts: it may be dead.
        let must_not_be = self.ownership.alone && !self.ownership.has_joined();
        let wall = self.time.wall();
        if let (true, Some(other)) = (must_not_be, others.iter().find(|record| record.is_about(wall))) {
            let why = format!("another api-health shares this store: {} on host {}", other.id, other.host);
            return self.ownership.join(Err(why));
        }
        let channels: Vec<String> = others.iter().flat_map(|record| record.channels.iter().cloned()).collect();
        let now = self.monotonic();
        let fault = self.ownership.fault(&sight, now);
        let about_the_others = move |core: &mut Keeper, now| {
            core.set_channels_elsewhere(channels);
            core.on_fleet_status(fault, now);
        };
        self.report(about_the_others, ctx);
        for ask in self.ownership.open_asks(&sight) {
            let id = ask.id.clone();
            if self.act_on(ask, ctx) {
                self.ownership.acted_on(id);
            }
        }
    }

    /// Whether that is done with here: one that somebody else has to act upon now may be ours to act upon later.
    fn act_on(&self, Ask { id, at, what }: Ask, ctx: &mut Context<Self>) -> bool {
        let Some(keeper) = self.chain.keeper.as_ref().filter(|_| self.chain.is_up()) else { return false };
        match what {
            AskFor::Retry { alert_ids } => {
                self.tell_keeper(move |core, now| core.retry(alert_ids.as_deref(), now), ctx);
            }
            AskFor::DropChannel { channel } => {
                self.tell_keeper(move |core, now| core.drop_channel(&channel, at, now), ctx);
            }
            AskFor::Maintenance { of, window } => {
                self.tell_keeper(move |core, now| core.set_maintenance(&of, window.as_ref(), now), ctx);
            }
            AskFor::Withdraw { api_id, incident_id, kind } => {
                if !self.ownership.is_ready(shard(&api_id)) {
                    return false; // its owner does
                }
                let outage = Arc::new(Alert::of_lost_outage(&api_id, incident_id, kind, at));
                let sent = keeper.addr.send(Apply::new(move |core, now| core.withdraw(&outage, now)));
                ctx.spawn(sent.into_actor(self).map(move |sent, supervisor, _| match &supervisor.ownership.handle {
                    Some(handle) if sent.is_ok() => handle.notice(Notice::Done(id)),
                    _ => supervisor.ownership.forget_acted(|acted| acted == id), // the keeper died: its next life is told
                }));
            }
        }
        true
    }
}
