//! The prober: one actor per API. When it is due it probes, judges, and hands the outcome to the state-keeper,
//! by way of its arbiter's outcome batcher.
//!
//! It never waits for anybody while a tick is due. The next deadline comes from the schedule alone; handing an outcome
//! over goes on beside it. A tick that comes while a probe is still running is missed, and counted.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle, WrapFuture,
};
use api_health_core::keep::Completed;
use api_health_core::load::HELD_UP_MIN;
use api_health_core::network::{self, Testimony, Way};
use api_health_core::schedule::{Due, Moment, Slot};
use api_health_core::{ApiConfig, Observation, Outcome, Verdict};
use tracing::Instrument;

use crate::handle::Handle;
use crate::liveness::Liveness;
use crate::own_side::OwnSide;
use crate::ports::{Ask, Probe};
use crate::state_keeper::ProbeCompleted;
use crate::stats::Stats;
use crate::timebase::TimeBase;

/// Messages in a prober's mailbox: it is sent a new config or a stop, and both are rare.
pub const MAILBOX_CAPACITY: usize = 4;

/// Outcomes of one API on their way to the keeper. The keeper never blocks, so there is hardly ever one waiting; past
/// this bound the newest is dropped and said so.
const HANDOVERS_MAX: u8 = 8;

/// The longest sleep towards a due time on the wall clock, after which it is looked at again.
const WALL_SLEEP_MAX: Duration = Duration::from_secs(300);

/// The same towards a due time in uptime.
const UPTIME_SLEEP_MAX: Duration = Duration::from_secs(300);

/// The two clocks drifting apart by more than this during one sleep means that the wall clock was set.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(2);

/// What all probers share.
pub struct Shared {
    /// Asks an API.
    pub probe: Arc<dyn Probe>,
    /// Carries outcomes to the keeper: the outcome batcher of this arbiter.
    pub batcher: Handle<Recipient<ProbeCompleted>>,
    /// The present.
    pub time: TimeBase,
    /// Counts.
    pub stats: Arc<Stats>,
    /// Our own side of every exchange.
    pub own_side: Arc<OwnSide>,
    /// Each API at its own slot, or all at the tick.
    pub spread: bool,
}

/// When a prober starts, and whether it goes on.
pub enum Start {
    /// At its next regular due time.
    Scheduled,
    /// After this wait, and then by schedule.
    Soon(Duration),
    /// After this wait, until nothing is suspect, and then no more.
    Once(Duration),
}

/// How one life of a prober begins.
pub struct ProberInit {
    /// When it probes first.
    pub start: Start,
    /// By which it is watched, with what the life before this one left.
    pub liveness: Arc<Liveness>,
}

/// An exchange that is over, and the way in which its failure may be ours.
struct Unjudged {
    /// The config that was probed; the row may have changed meanwhile.
    api: Arc<ApiConfig>,
    observation: Observation,
    doubt: Option<Way>,
    ended: Duration,
}

pub struct Prober {
    api: Arc<ApiConfig>,
    /// The API, ready to be asked; made before the first probe, and anew when the row changes.
    ask: Option<Rc<dyn Ask>>,
    shared: Arc<Shared>,
    start: Start,
    liveness: Arc<Liveness>,
    /// The due time that the timer is set for; `None` while it is set for the first probe or a recheck.
    due: Option<Due>,
    /// The due time that the probe under way serves, or when it began: ticks after it are missed while it runs.
    scheduled_for: Moment,
    /// Ticks missed and not reported yet.
    missed: u64,
    timer: Option<SpawnHandle>,
    armed_at: Moment,
    /// How long the timer was set for, from `armed_at` on.
    armed_for: Duration,
    probing: bool,
    /// Exchanges that are over and not judged, in order: what the witnesses say of the first one is waited for.
    unjudged: VecDeque<Unjudged>,
    judging: bool,
    stopping: bool,
    handovers: u8,
    /// The last outcome was a pass, and the keeper did not ask for another.
    steady: bool,
    /// So was the last outcome: it is said once.
    inconclusive: bool,
    /// The last probe missed ticks, which is said once.
    late: bool,
    /// The last outcome was dropped, which is said once.
    dropped: bool,
}

impl Prober {
    /// A prober that has not begun.
    pub fn new(api: Arc<ApiConfig>, shared: Arc<Shared>, init: ProberInit) -> Self {
        let armed_at = shared.time.moment();
        let missed = init.liveness.missed_so_far();
        Self {
            api,
            ask: None,
            shared,
            start: init.start,
            liveness: init.liveness,
            due: None,
            scheduled_for: armed_at,
            missed,
            timer: None,
            armed_at,
            armed_for: Duration::ZERO,
            probing: false,
            unjudged: VecDeque::new(),
            judging: false,
            stopping: false,
            handovers: 0,
            // What this life finds first may contradict what is known, and is not waited with.
            steady: false,
            inconclusive: false,
            late: false,
            dropped: false,
        }
    }

    fn slot(&self) -> Slot {
        if self.shared.spread { Slot::of(&self.api.api_id) } else { Slot::AT_TICK }
    }

    fn is_once(&self) -> bool {
        matches!(self.start, Start::Once(_))
    }

    /// Sets the timer for the next regular due time.
    fn arm_by_schedule(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.time.moment();
        self.due = self.api.schedule.next_due(self.slot(), now);
        match self.due {
            Some(due) => self.arm(sleep_for(due, now), ctx),
            // Validation asks for a next due time, so this is the end of the calendar.
            None => {
                self.liveness.expect_nothing();
                tracing::error!(api_id = %self.api.api_id, "the schedule never comes due again");
            }
        }
    }

    fn arm(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.armed_at = self.shared.time.moment();
        self.armed_for = wait;
        self.liveness.idle_until(self.armed_at.uptime.saturating_add(wait));
        self.timer = Some(ctx.run_later(wait, Self::wake));
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        if self.stopping {
            return;
        }
        let now = self.shared.time.moment();
        let mut lateness = None;
        if let Some(due @ Due::Wall(_)) = self.due
            && clock_was_set(self.armed_at, now)
        {
            tracing::warn!(api_id = %self.api.api_id, "the wall clock was set; the schedule goes on from the new time");
            if due.wait(now) > Duration::ZERO {
                return self.arm_by_schedule(ctx);
            }
        } else if let Some(due) = self.due {
            let wait = due.wait(now);
            if wait > Duration::ZERO {
                return self.arm(sleep_for(due, now), ctx);
            }
            lateness = Some(due.lateness(now));
        }
        self.scheduled_for = match (self.due, lateness) {
            (Some(due), Some(_)) => due.moment(now),
            (None, _) => self.intended_start(now),
            _ => now,
        };
        self.liveness.begins(self.scheduled_for);
        // It may wait for its turn for as long as it may take.
        self.liveness.expect_by(now.uptime.saturating_add(self.api.timeout.saturating_mul(2)));
        self.shared.stats.probe_began(lateness);
        self.probe(ctx);
    }

    /// When a first probe or a recheck was meant to begin, if this process was held up meanwhile; else `now`.
    fn intended_start(&self, now: Moment) -> Moment {
        let Moment { wall, uptime } = self.armed_at;
        let meant = Moment { wall: wall.plus(self.armed_for), uptime: uptime + self.armed_for };
        let held_up = now.uptime.saturating_sub(meant.uptime) >= HELD_UP_MIN;
        if held_up && !clock_was_set(self.armed_at, now) { meant } else { now }
    }

    fn probe(&mut self, ctx: &mut Context<Self>) {
        self.probing = true;
        // At the level of what is said of a verdict: where that is not heard, the span is not worth its microseconds. What
        // is said at any level names the API itself.
        let span = tracing::debug_span!("probe", api_id = %self.api.api_id);
        let ask = self.ask.get_or_insert_with(|| self.shared.probe.prepare(Arc::clone(&self.api)));
        let exchange = Rc::clone(ask).ask().instrument(span.clone());
        let api = Arc::clone(&self.api);
        let suspended = self.shared.time.suspended();
        ctx.spawn(exchange.into_actor(self).map(move |mut observation, prober, ctx| {
            let _in_span = span.enter();
            // The clock of the exchange stands still while the machine is suspended.
            observation.took += prober.shared.time.suspended().saturating_sub(suspended);
            prober.probed(api, observation, ctx);
        }));
    }

    /// `api` is the config that was probed; the row may have changed meanwhile.
    fn probed(&mut self, api: Arc<ApiConfig>, observation: Observation, ctx: &mut Context<Self>) {
        self.probing = false;
        let took = observation.took;
        let since_due = self.shared.time.moment().uptime.saturating_sub(self.armed_at.uptime + self.armed_for);
        if since_due.saturating_sub(took) >= HELD_UP_MIN {
            self.shared.stats.held_up();
        }
        self.count_missed();
        let now = self.shared.time.moment();
        self.liveness.probed(now);
        self.liveness.expect_by(now.uptime); // the keeper answers at once
        // The next deadline first: it waits for nobody.
        if !self.is_once() && !self.stopping {
            self.arm_by_schedule(ctx);
        }
        let doubt = self.shared.own_side.saw(&api, &observation, now.uptime);
        if doubt.is_none() && !self.judging {
            let outcome = network::judge(&api, &observation, &Testimony::default());
            return self.judged(api, outcome, ctx);
        }
        self.unjudged.push_back(Unjudged { api, observation, doubt, ended: now.uptime });
        self.judge_next(ctx);
    }

    /// Judges what is not judged yet, in order. What the witnesses say is waited for beside the clock.
    fn judge_next(&mut self, ctx: &mut Context<Self>) {
        if self.judging {
            return;
        }
        let Some(Unjudged { api, observation, doubt, ended }) = self.unjudged.pop_front() else { return };
        self.judging = true;
        let own_side = Arc::clone(&self.shared.own_side);
        let judging = async move {
            let testimony = match doubt {
                Some(way) => own_side.testimony(way, &api, &observation, ended).await,
                None => Testimony::default(),
            };
            (network::judge(&api, &observation, &testimony), api)
        };
        ctx.spawn(judging.into_actor(self).map(|(outcome, api), prober, ctx| {
            prober.judging = false;
            prober.judged(api, outcome, ctx);
            prober.judge_next(ctx);
        }));
    }

    fn judged(&mut self, api: Arc<ApiConfig>, mut outcome: Outcome, ctx: &mut Context<Self>) {
        if !api.same_request(&self.api) {
            // It says nothing of what is asked now, and no status must change by it.
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons = vec!["the config changed while this probe was running".into()];
        }
        let api_id = &api.api_id;
        match outcome.verdict {
            Verdict::Pass => tracing::debug!(latency_ms = outcome.latency_ms, status = outcome.status_code, "pass"),
            Verdict::Fail => tracing::debug!(reason = outcome.reason(), "fail"),
            Verdict::Inconclusive if self.inconclusive => {
                tracing::debug!(reason = outcome.reason(), "inconclusive again");
            }
            Verdict::Inconclusive => tracing::warn!(%api_id, reason = outcome.reason(), "inconclusive"),
        }
        self.inconclusive = outcome.verdict == Verdict::Inconclusive;
        self.hand_over(api, outcome, ctx);
    }

    /// Counts due times that passed while the probe was running.
    fn count_missed(&mut self) {
        let missed = self.api.schedule.missed(self.slot(), self.scheduled_for, self.shared.time.moment());
        if missed > 0 {
            self.missed += missed;
            self.liveness.missed(missed);
            self.shared.stats.ticks_missed(missed);
            let api_id = &self.api.api_id;
            if self.late {
                tracing::debug!(%api_id, missed, "ticks came again while the last probe was running or was held up");
            } else {
                tracing::warn!(%api_id, missed, "ticks came while the last probe was running or was held up");
            }
        }
        self.late = missed > 0;
    }

    fn hand_over(&mut self, api: Arc<ApiConfig>, outcome: Outcome, ctx: &mut Context<Self>) {
        if self.handovers >= HANDOVERS_MAX {
            if !std::mem::replace(&mut self.dropped, true) {
                tracing::error!(api_id = %self.api.api_id, "the state-keeper takes nothing; outcomes are dropped");
            }
            return;
        }
        self.dropped = false;
        self.handovers += 1;
        let settled = outcome.verdict == Verdict::Inconclusive && self.is_once();
        let was_steady = std::mem::replace(&mut self.steady, outcome.verdict == Verdict::Pass);
        let missed_ticks = std::mem::take(&mut self.missed);
        let next_tick_in = self.due.filter(|_| self.timer.is_some()).map(|due| due.wait(self.armed_at));
        let completed = ProbeCompleted {
            completed: Completed { api, outcome, missed_ticks, next_tick_in },
            // While the first round lasts somebody waits for each outcome.
            urgent: !(was_steady && self.steady) || self.liveness.is_in_round(),
        };
        ctx.spawn(self.shared.batcher.send(completed).into_actor(self).map(move |reply, prober, ctx| {
            prober.handovers -= 1;
            match reply {
                Ok(recheck) => {
                    prober.liveness.reported(missed_ticks);
                    // A single round does not wait for our own network to come back.
                    prober.on_outcome_acknowledged(if settled { None } else { recheck }, ctx);
                }
                // The outcome batcher or the keeper is dead and the outcome is lost: the next life asks again, as soon as
                // there is somebody to tell it to.
                Err(_) => ctx.stop(),
            }
        }));
    }

    /// The keeper answered: probe again soon, or not.
    fn on_outcome_acknowledged(&mut self, recheck: Option<Duration>, ctx: &mut Context<Self>) {
        self.steady &= recheck.is_none();
        match recheck {
            Some(recheck) if !self.stopping && !self.probing => {
                // Never slower than the schedule itself, and never sooner after a fail than the recheck: a tick in
                // between gives way to it.
                let now = self.shared.time.moment();
                let recheck = recheck.min(self.api.schedule.shortest_gap_from(now));
                self.due = None;
                self.arm(recheck, ctx);
            }
            Some(_) => {}
            None => {
                self.liveness.end_round_turn();
                if !self.probing && self.handovers == 0 {
                    self.liveness.acknowledged();
                }
                if self.is_once() && !self.probing {
                    self.stopping = true;
                }
            }
        }
        self.stop_if_idle(ctx);
    }

    fn stop_if_idle(&self, ctx: &mut Context<Self>) {
        if self.stopping && !self.probing && !self.judging && self.handovers == 0 {
            ctx.stop();
        }
    }
}

fn sleep_for(due: Due, now: Moment) -> Duration {
    match due {
        Due::Wall(_) => due.wait(now).min(WALL_SLEEP_MAX),
        // A machine that was suspended has slept longer than it waited.
        Due::Uptime(_) => due.wait(now).min(UPTIME_SLEEP_MAX),
    }
}

/// Whether the wall clock moved by something else than the time that passed.
fn clock_was_set(then: Moment, now: Moment) -> bool {
    let passed = now.uptime.saturating_sub(then.uptime);
    let expected = then.wall.plus(passed);
    expected.since(now.wall).max(now.wall.since(expected)) > CLOCK_STEP_MIN
}

impl Actor for Prober {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.start {
            Start::Scheduled => self.arm_by_schedule(ctx),
            Start::Soon(wait) | Start::Once(wait) => self.arm(wait, ctx),
        }
    }
}

/// The row changed: go on by the new one. Status and streak stay; they are the keeper's.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reconfigure(pub Arc<ApiConfig>);

impl Handler<Reconfigure> for Prober {
    type Result = ();

    fn handle(&mut self, Reconfigure(api): Reconfigure, ctx: &mut Self::Context) {
        let same_schedule = self.api.schedule == api.schedule;
        self.api = api;
        self.ask = None;
        if !same_schedule && !self.stopping && !self.is_once() {
            self.scheduled_for = self.shared.time.moment();
            self.liveness.counted_until(self.scheduled_for);
            // A recheck or a first probe that is set comes first; it re-arms by the new schedule when it is over.
            if self.due.is_some() && !self.probing {
                self.arm_by_schedule(ctx);
            }
        }
    }
}

/// Probe again at once, unless a probe is under way: what was found out last is forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Again;

impl Handler<Again> for Prober {
    type Result = ();

    fn handle(&mut self, _: Again, ctx: &mut Self::Context) {
        if !self.stopping && !self.probing {
            self.due = None;
            self.arm(Duration::ZERO, ctx);
        }
    }
}

/// No new probes; end when the one under way is over and handed over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Prober {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopping = true;
        self.liveness.end_round_turn();
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.stop_if_idle(ctx);
    }
}
