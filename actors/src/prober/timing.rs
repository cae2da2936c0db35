//! When a prober probes: by its schedule, or after a wait of its own; and which of its ticks are missed.

use std::time::Duration;

use actix::{AsyncContext, Context};
use api_health_core::capacity::HELD_UP_MIN;
use api_health_core::schedule::{Due, Moment, Slot};

use super::Prober;

/// The longest sleep towards a due time; then the clocks are read again. The wall clock may have been set, and a machine that was
/// suspended has slept longer than it waited.
const SLEEP_MAX: Duration = Duration::from_secs(300);

/// The clocks differ by more than this after one sleep: the wall clock was set.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(2);

impl Prober {
    fn slot(&self) -> Slot {
        if self.context.spread { Slot::of(&self.api.api_id) } else { Slot::AT_TICK }
    }

    /// Sets the timer for the next regular due time.
    pub(super) fn arm_by_schedule(&mut self, now: Moment, ctx: &mut Context<Self>) {
        self.due = self.api.schedule.next_due(self.slot(), now);
        match self.due {
            Some(due) => self.arm_towards(due, now, ctx),
            // Validation asks for a next due time, so this is the end of the calendar.
            None => {
                self.liveness.expect_nothing();
                tracing::error!(api_id = %self.api.api_id, "the schedule never comes due again");
            }
        }
    }

    fn arm_towards(&mut self, due: Due, now: Moment, ctx: &mut Context<Self>) {
        self.arm(due.wait(now).min(SLEEP_MAX), now, ctx);
    }

    /// Sets the timer.
    pub(super) fn arm(&mut self, wait: Duration, now: Moment, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.armed_at = now;
        self.armed_for = wait;
        self.liveness.idle_until(self.armed_at.monotonic.saturating_add(wait));
        self.timer = Some(ctx.run_later(wait, Self::wake));
    }

    /// The timer goes off.
    pub(super) fn wake(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        if self.stopping {
            return;
        }
        if self.judging {
            self.tick_waits = true;
            return;
        }
        let now = self.context.time.moment();
        let is_clock_set = matches!(self.due, Some(Due::Wall(_))) && clock_was_set(self.armed_at, now);
        if is_clock_set {
            tracing::warn!(api_id = %self.api.api_id, "the wall clock was set; the schedule goes on from the new time");
        }
        // Ticks after that are missed while the probe runs.
        let (scheduled_for, lateness) = match self.due {
            Some(due) if due.wait(now) > Duration::ZERO => {
                return if is_clock_set { self.arm_by_schedule(now, ctx) } else { self.arm_towards(due, now, ctx) };
            }
            Some(due) if !is_clock_set => (due.moment(now), Some(due.lateness(now))),
            Some(_) => (now, None),
            None => (self.intended_start(now), None),
        };
        self.liveness.with(|resume| (resume.counted_until, resume.is_acknowledged) = (scheduled_for, false));
        // Up to one timeout of waiting for a permit, and one for the exchange.
        self.liveness.expect_by(now.monotonic.saturating_add(self.api.timeout.saturating_mul(2)));
        self.context.stats.probe_began(lateness);
        self.probe(ctx);
    }

    /// When a first probe or a recheck should have begun, if this process was held up; else `now`.
    fn intended_start(&self, now: Moment) -> Moment {
        let Moment { wall, monotonic } = self.armed_at;
        let intended = Moment { wall: wall.plus(self.armed_for), monotonic: monotonic + self.armed_for };
        let held_up = now.monotonic.saturating_sub(intended.monotonic) >= HELD_UP_MIN;
        if held_up && !clock_was_set(self.armed_at, now) { intended } else { now }
    }

    /// Counts due times that passed while the probe was running.
    pub(super) fn count_missed(&mut self, now: Moment) {
        let scheduled_for = self.liveness.with(|resume| resume.counted_until);
        let missed = self.api.schedule.missed(self.slot(), scheduled_for, now);
        if missed > 0 {
            self.missed = self.missed.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX));
            self.liveness.with(|resume| resume.missed = resume.missed.saturating_add(missed));
            self.context.stats.ticks_missed(missed);
            let api_id = &self.api.api_id;
            if self.was_late {
                tracing::debug!(%api_id, missed, "ticks came again while the last probe was running or was held up");
            } else {
                tracing::warn!(%api_id, missed, "ticks came while the last probe was running or was held up");
            }
        }
        self.was_late = missed > 0;
    }
}

/// Whether the wall clock was set between `then` and `now`.
fn clock_was_set(then: Moment, now: Moment) -> bool {
    let passed = now.monotonic.saturating_sub(then.monotonic);
    let expected = then.wall.plus(passed);
    expected.since(now.wall).max(now.wall.since(expected)) > CLOCK_STEP_MIN
}
