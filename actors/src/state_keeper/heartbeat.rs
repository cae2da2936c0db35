//! The heartbeat: every so often the keeper writes one record that says how everything stands.
//!
//! It is best effort. It goes beside the writes of states and holds none of them up, it is never owed, and that it fails says
//! nothing of the store: the states' own writes do. What it says is counted when it is due, and not before.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::heartbeat::{INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use api_health_core::schedule::Slot;
use api_health_core::{ApiConfig, ApiId, Heartbeat, Status, Timestamp, Verdict};
use tokio::time::Instant;

use super::seldom::Seldom;
use super::{KeeperOptions, StateKeeper};
use crate::ports::StoreError;
use crate::pulse::SLACK;
use crate::supervisor::RESTARTS_PER_SECOND;

/// The first heartbeat comes this soon after the start, or after its period if that is shorter: when most APIs had their first
/// probe.
pub const FIRST_BEAT_AFTER: Duration = Duration::from_secs(10);

/// A heartbeat that the store has not taken after this is given up. The adapters' own bounds are below.
pub const BEAT_MAX: Duration = Duration::from_secs(30);

/// Where the heartbeats of one keeper stand.
#[derive(Debug)]
pub(super) struct Heartbeats {
    is_on: bool,
    /// `None` in a single round.
    period: Option<Duration>,
    due: Option<Instant>,
    is_under_way: bool,
    /// No other follows.
    is_last: bool,
    /// Outcomes since `since`.
    outcomes: u64,
    since: Timestamp,
    lines: Seldom,
}

impl Heartbeats {
    pub(super) fn new(options: &KeeperOptions, now: Timestamp) -> Self {
        let period = options.heartbeat.filter(|_| !options.once);
        Self {
            is_on: options.heartbeat.is_some(),
            period,
            due: period.and_then(|period| Instant::now().checked_add(period.min(FIRST_BEAT_AFTER))),
            is_under_way: false,
            is_last: false,
            outcomes: 0,
            since: now,
            lines: Seldom::default(),
        }
    }

    pub(super) fn count_outcome(&mut self) {
        self.outcomes = self.outcomes.saturating_add(1);
    }

    /// The one at the end of a single round has no answer yet.
    pub(super) fn is_last_under_way(&self) -> bool {
        self.is_last && self.is_under_way
    }

    /// Whether it is time. One that is due while another is under way is left out; a stall makes no burst.
    fn take_due(&mut self, now: Instant) -> bool {
        let (Some(due), Some(period)) = (self.due, self.period) else { return false };
        if due > now {
            return false;
        }
        self.due = due.checked_add(period).filter(|next| *next > now).or_else(|| now.checked_add(period));
        !self.is_under_way
    }
}

/// When an outcome is late that comes in `wait` if all is well: the API may take its time, once until it gets its turn and once
/// for itself, and so may the machine, as [`crate::pulse`] has it. `None`: never.
pub(super) fn late_after(now: Instant, wait: Duration, api: &ApiConfig) -> Option<Instant> {
    now.checked_add(wait.saturating_add(api.timeout.saturating_mul(2)).saturating_add(SLACK))
}

impl StateKeeper {
    /// Each of these is to be heard of by its next tick. Probers are not all started at once.
    pub(super) fn expect_first_outcomes(&mut self, apis: &[Arc<ApiConfig>]) {
        let (now, moment) = (Instant::now(), self.time.moment());
        let starting = Duration::from_secs(apis.len() as u64 / u64::from(RESTARTS_PER_SECOND));
        for api in apis {
            let Some(entry) = self.entries.get_mut(&api.api_id) else { continue };
            let slot = if self.spread { Slot::of(&api.api_id) } else { Slot::AT_TICK };
            let wait = if self.once {
                Some(Duration::ZERO) // its turn is now, and there is no other
            } else {
                api.schedule.next_due(slot, moment).map(|due| due.wait(moment))
            };
            let expected = wait.and_then(|wait| late_after(now, wait.saturating_add(starting), api));
            // A recheck that is set already comes first, however far it is.
            let asked_again = entry.late_after.filter(|_| entry.state.is_suspect());
            entry.late_after = expected.map(|at| asked_again.map_or(at, |again| again.max(at)));
        }
    }

    /// Writes a heartbeat if it is time.
    pub(super) fn beat_if_due(&mut self, ctx: &mut Context<Self>) {
        if !self.hurry && self.heartbeats.take_due(Instant::now()) {
            self.beat(ctx);
        }
    }

    /// Writes the heartbeat of a single round, which is over.
    pub(super) fn beat_at_the_end(&mut self, ctx: &mut Context<Self>) {
        if self.once && self.heartbeats.is_on && !std::mem::replace(&mut self.heartbeats.is_last, true) {
            self.beat(ctx);
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        let heartbeat = self.heartbeat();
        let (outcomes, since) = (self.heartbeats.outcomes, self.heartbeats.since);
        (self.heartbeats.outcomes, self.heartbeats.since) = (0, heartbeat.at);
        self.heartbeats.is_under_way = true;
        let store = Arc::clone(&self.store);
        let writing = async move {
            let no_answer = |_| StoreError::Unavailable(format!("no answer within {} s", BEAT_MAX.as_secs()));
            tokio::time::timeout(BEAT_MAX, store.write_heartbeat(heartbeat)).await.map_err(no_answer).flatten()
        };
        ctx.spawn(writing.into_actor(self).map(move |written, keeper, _| {
            keeper.heartbeats.is_under_way = false;
            if let Err(error) = written {
                // The next one tells of them.
                keeper.heartbeats.outcomes = keeper.heartbeats.outcomes.saturating_add(outcomes);
                keeper.heartbeats.since = since;
                if let Some(lines_left_out) = keeper.heartbeats.lines.say(Instant::now()) {
                    tracing::warn!(%error, lines_left_out, "the heartbeat was not written; the next one will say it all");
                }
            }
            keeper.tell_idle_waiters();
        }));
    }

    /// How everything stands.
    fn heartbeat(&self) -> Heartbeat {
        let now = Instant::now();
        let mut counts = [0_u64; 3];
        let mut owed = 0;
        let mut late: Vec<(Instant, &ApiId)> = Vec::new();
        let mut inconclusive: Vec<&ApiId> = Vec::new();
        for (api_id, entry) in &self.entries {
            owed += entry.state.owed.len() as u64;
            if !entry.watched {
                continue;
            }
            let status = if self.given_up.contains(api_id) { Status::Unknown } else { entry.state.status };
            counts[match status {
                Status::Up => 0,
                Status::Down => 1,
                Status::Unknown => 2,
            }] += 1;
            // In a single round nothing is expected of those that had their turn.
            let is_late = |after: &Instant| *after <= now || self.once;
            late.extend(entry.late_after.filter(is_late).map(|after| (after, api_id)));
            let last = entry.state.last_probe.as_ref();
            inconclusive.extend(last.filter(|probe| probe.verdict == Verdict::Inconclusive).map(|_| api_id));
        }
        let could_not_tell = inconclusive.len() as u64;
        if inconclusive.len() > INCONCLUSIVE_NAMED_MAX {
            inconclusive.select_nth_unstable(INCONCLUSIVE_NAMED_MAX);
            inconclusive.truncate(INCONCLUSIVE_NAMED_MAX);
        }
        inconclusive.sort_unstable();
        let count = late.len() as u64;
        if late.len() > LATE_NAMED_MAX {
            late.select_nth_unstable(LATE_NAMED_MAX);
            late.truncate(LATE_NAMED_MAX);
        }
        late.sort_unstable();
        let [up, down, unknown] = counts;
        Heartbeat {
            at: self.time.wall(),
            instance: self.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            period: self.heartbeats.period,
            checkpoint: self.checkpoint,
            apis: up + down + unknown,
            up,
            down,
            unknown,
            owed,
            probes: self.heartbeats.outcomes,
            probes_since: self.heartbeats.since,
            late: count,
            late_api_ids: late.into_iter().map(|(_, api_id)| api_id.clone()).collect(),
            inconclusive: could_not_tell,
            inconclusive_api_ids: inconclusive.into_iter().cloned().collect(),
        }
    }
}
