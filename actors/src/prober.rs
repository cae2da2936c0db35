//! The prober: one actor per API. When it is due it probes, judges, and sends the outcome to the state-keeper through its
//! thread's outcome batcher.
//!
//! It never waits for anybody while a tick is due. The next due time comes from the schedule alone, and sending an outcome goes
//! on beside it. A tick that comes while a probe is still running is missed, and counted.

mod timing;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle, WrapFuture,
};
use api_health_core::capacity::HELD_UP_MIN;
use api_health_core::keep::CompletedProbe;
use api_health_core::network::{self, Testimony};
use api_health_core::schedule::{Due, Moment};
use api_health_core::{Answer, ApiConfig, Observation, Outcome, Verdict};
use tracing::Instrument;

use crate::handle::Handle;
use crate::liveness::Liveness;
use crate::own_side::OwnSide;
use crate::ports::{PreparedProbe, Probe};
use crate::state_keeper::SubmitOutcome;
use crate::stats::Stats;
use crate::timebase::TimeBase;

/// Messages in a prober's mailbox: it is sent a new config or a stop, and both are rare.
pub const MAILBOX_CAPACITY: usize = 4;

/// Outcomes of one API on their way to the keeper. The keeper never blocks, so there is hardly ever more than one; beyond this
/// the newest is dropped, and logged.
const OUTCOMES_IN_FLIGHT_MAX: u8 = 8;

/// What all probers of a thread share.
pub struct ProberContext {
    pub probe: Arc<dyn Probe>,
    /// The outcome batcher of this thread.
    pub batcher: Handle<Recipient<SubmitOutcome>>,
    pub time: TimeBase,
    pub stats: Arc<Stats>,
    pub own_side: Arc<OwnSide>,
    /// Each API is probed at its own slot inside the tick, instead of all at once.
    pub spread: bool,
}

/// When a prober starts, and whether it goes on.
pub enum Start {
    /// At its next regular due time.
    Scheduled,
    /// After this wait, and then by schedule.
    Soon(Duration),
    /// After this wait, and again until the API is not suspect; then the prober ends.
    Once(Duration),
}

/// How one life of a prober begins.
pub struct ProberInit {
    /// When it probes first.
    pub start: Start,
    /// Watched by the supervisor; has the resume point of the life before.
    pub liveness: Arc<Liveness>,
}

/// What an exchange says of when the next one may come. It goes along with the outcome: a prober is one for each API, and its task as large as
/// the next multiple of 128 bytes.
#[derive(Clone, Copy)]
struct ForRecheck {
    /// How long testimony was waited for: a recheck is due that much sooner.
    waited: Duration,
    /// How long the API asked not to be asked again, with its answer.
    patience: Option<Duration>,
}

pub struct Prober {
    api: Arc<ApiConfig>,
    /// Made before the first probe with this config.
    prepared: Option<Rc<dyn PreparedProbe>>,
    context: Arc<ProberContext>,
    liveness: Arc<Liveness>,
    /// The due time that the timer is set for; `None` while it is set for the first probe or a recheck.
    due: Option<Due>,
    /// Ticks missed and not reported yet.
    missed: u32,
    timer: Option<SpawnHandle>,
    armed_at: Moment,
    /// How long the timer was set for, from `armed_at` on; of one that has not begun, how long it is to be set for.
    armed_for: Duration,
    /// It begins by its schedule, and not after that wait.
    begins_by_schedule: bool,
    /// It ends when the API is not suspect.
    is_once: bool,
    probing: bool,
    /// It waits for what the witnesses say of the last exchange.
    judging: bool,
    /// A tick came meanwhile: it is served, or gives way to a recheck, when that is known.
    tick_waits: bool,
    stopping: bool,
    in_flight: u8,
    /// The last outcome was a pass, and the keeper asked for no recheck: the next pass may be batched.
    last_pass_acknowledged: bool,
    /// The last outcome was inconclusive: the warning is logged once in a row.
    was_inconclusive: bool,
    /// The last probe missed ticks: the warning is logged once in a row.
    was_late: bool,
    /// The last outcome was dropped: the error is logged once in a row.
    was_dropped: bool,
}

impl Prober {
    /// A prober that has not begun.
    pub fn new(api: Arc<ApiConfig>, context: Arc<ProberContext>, init: ProberInit) -> Self {
        let armed_at = context.time.moment();
        let missed = init.liveness.with(|resume| u32::try_from(resume.missed).unwrap_or(u32::MAX));
        let first_wait = match init.start {
            Start::Scheduled => None,
            Start::Soon(wait) | Start::Once(wait) => Some(wait),
        };
        Self {
            api,
            prepared: None,
            context,
            liveness: init.liveness,
            due: None,
            missed,
            timer: None,
            armed_at,
            armed_for: first_wait.unwrap_or_default(),
            begins_by_schedule: first_wait.is_none(),
            is_once: matches!(init.start, Start::Once(_)),
            probing: false,
            judging: false,
            tick_waits: false,
            stopping: false,
            in_flight: 0,
            // The first outcome of a life may contradict the state, and is sent without batching.
            last_pass_acknowledged: false,
            was_inconclusive: false,
            was_late: false,
            was_dropped: false,
        }
    }

    fn probe(&mut self, ctx: &mut Context<Self>) {
        self.probing = true;
        // At debug, like the lines about verdicts: without those the span is not worth its microseconds. Other lines name the API
        // themselves.
        let span = tracing::debug_span!("probe", api_id = %self.api.api_id);
        let prepared = self.prepared.get_or_insert_with(|| self.context.probe.prepare(Arc::clone(&self.api)));
        let exchange = Rc::clone(prepared).run().instrument(span.clone());
        let api = Arc::clone(&self.api);
        let suspended = self.context.time.suspended();
        ctx.spawn(exchange.into_actor(self).map(move |mut observation, prober, ctx| {
            let _in_span = span.enter();
            // The clock of the exchange stands still while the machine is suspended.
            observation.took += prober.context.time.suspended().saturating_sub(suspended);
            prober.on_probe_finished(api, observation, ctx);
        }));
    }

    /// `api` is the config of the probe; the row may have changed meanwhile.
    fn on_probe_finished(&mut self, api: Arc<ApiConfig>, observation: Observation, ctx: &mut Context<Self>) {
        self.probing = false;
        let patience = match &observation.answer {
            Answer::Response(response) => response.patience(),
            _ => None,
        };
        let now = self.context.time.moment();
        let not_ours = observation.took.saturating_add(observation.waited_for_host);
        let since_due = now.monotonic.saturating_sub(self.armed_at.monotonic + self.armed_for);
        if since_due.saturating_sub(not_ours) >= HELD_UP_MIN {
            self.context.stats.held_up();
        }
        self.count_missed(now);
        self.liveness.with(|resume| (resume.counted_until, resume.probed_at) = (now, Some(now.monotonic)));
        self.liveness.expect_by(now.monotonic); // the keeper answers at once
        // The next due time is set first: it waits for nobody.
        if !self.is_once && !self.stopping {
            self.arm_by_schedule(now, ctx);
        }
        let Some(part) = self.context.own_side.saw(&api, &observation, now.monotonic) else {
            let outcome = network::judge(&api, &observation, &Testimony::default());
            return self.on_judged(api, outcome, ForRecheck { waited: Duration::ZERO, patience }, ctx);
        };
        self.judging = true;
        let own_side = Arc::clone(&self.context.own_side);
        let judging = async move {
            let testimony = own_side.testimony(part, &api, &observation, now.monotonic).await;
            (network::judge(&api, &observation, &testimony), api)
        };
        ctx.spawn(judging.into_actor(self).map(move |(outcome, api), prober, ctx| {
            prober.judging = false;
            let waited = prober.context.time.monotonic().saturating_sub(now.monotonic);
            prober.on_judged(api, outcome, ForRecheck { waited, patience }, ctx);
        }));
    }

    fn on_judged(&mut self, api: Arc<ApiConfig>, mut outcome: Outcome, next: ForRecheck, ctx: &mut Context<Self>) {
        if !Arc::ptr_eq(&api, &self.api) && !api.same_request(&self.api) {
            // An outcome of the old request must not change the status.
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons = vec!["the config changed while this probe was running".into()];
        }
        let api_id = &api.api_id;
        self.context.stats.measured.judged(outcome.verdict, outcome.figures.took());
        match outcome.verdict {
            Verdict::Pass => tracing::debug!(latency_ms = outcome.latency_ms, status = outcome.status_code, "pass"),
            Verdict::Fail => tracing::debug!(reason = outcome.reason(), "fail"),
            Verdict::Inconclusive if self.was_inconclusive => {
                tracing::debug!(reason = outcome.reason(), "inconclusive again");
            }
            Verdict::Inconclusive => tracing::warn!(%api_id, reason = outcome.reason(), "inconclusive"),
        }
        self.was_inconclusive = outcome.verdict == Verdict::Inconclusive;
        self.submit(api, outcome, next, ctx);
    }

    fn submit(&mut self, api: Arc<ApiConfig>, outcome: Outcome, next: ForRecheck, ctx: &mut Context<Self>) {
        if self.in_flight >= OUTCOMES_IN_FLIGHT_MAX {
            if !std::mem::replace(&mut self.was_dropped, true) {
                tracing::error!(api_id = %self.api.api_id, "the state-keeper takes nothing; outcomes are dropped");
            }
            return self.serve_waiting_tick(ctx);
        }
        self.was_dropped = false;
        self.in_flight += 1;
        let ignores_recheck = outcome.verdict == Verdict::Inconclusive && self.is_once;
        let was_pass_acknowledged =
            std::mem::replace(&mut self.last_pass_acknowledged, outcome.verdict == Verdict::Pass);
        let missed_ticks = u64::from(std::mem::take(&mut self.missed));
        let next_tick_in = self.due.filter(|_| self.timer.is_some()).map(|due| due.wait(self.armed_at));
        let submitted = SubmitOutcome {
            probe: CompletedProbe { api, outcome, missed_ticks, next_tick_in, patience: next.patience },
            // In the first round somebody waits for each outcome.
            urgent: !(was_pass_acknowledged && self.last_pass_acknowledged)
                || self.liveness.with(|resume| resume.ticket.is_some()),
        };
        ctx.spawn(self.context.batcher.send(submitted).into_actor(self).map(move |reply, prober, ctx| {
            prober.in_flight -= 1;
            match reply {
                Ok(recheck) => {
                    prober.liveness.with(|resume| resume.missed = resume.missed.saturating_sub(missed_ticks));
                    // `run --once` does not wait for our own network to come back.
                    prober.on_outcome_acknowledged(recheck.filter(|_| !ignores_recheck), next.waited, ctx);
                }
                // The outcome batcher or the keeper died, and the outcome is lost: the next life probes again as soon as there
                // is a batcher.
                Err(_) => ctx.stop(),
            }
        }));
    }

    /// The keeper has the outcome, and may ask for a recheck.
    fn on_outcome_acknowledged(&mut self, recheck: Option<Duration>, waited: Duration, ctx: &mut Context<Self>) {
        self.last_pass_acknowledged &= recheck.is_none();
        match recheck {
            Some(recheck) if !self.stopping && !self.probing => {
                // Never slower than the schedule itself; a tick in between gives way to it.
                let now = self.context.time.moment();
                let recheck = recheck.min(self.api.schedule.shortest_gap_from(now)).saturating_sub(waited);
                self.due = None;
                self.tick_waits = false;
                self.arm(recheck, now, ctx);
            }
            Some(_) => {}
            None => {
                self.serve_waiting_tick(ctx);
                let is_acknowledged = !self.probing && self.in_flight == 0;
                self.liveness.with(|resume| {
                    resume.ticket = None;
                    resume.is_acknowledged |= is_acknowledged;
                });
                if self.is_once && !self.probing {
                    self.stopping = true;
                }
            }
        }
        self.stop_if_idle(ctx);
    }

    /// Serves the tick that came while the last exchange was not judged.
    fn serve_waiting_tick(&mut self, ctx: &mut Context<Self>) {
        // What was armed meanwhile comes instead.
        if std::mem::take(&mut self.tick_waits) && !self.probing && self.timer.is_none() {
            self.wake(ctx);
        }
    }

    fn stop_if_idle(&self, ctx: &mut Context<Self>) {
        if self.stopping && !self.probing && !self.judging && self.in_flight == 0 {
            ctx.stop();
        }
    }
}

impl Actor for Prober {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let now = self.context.time.moment();
        if self.begins_by_schedule {
            self.arm_by_schedule(now, ctx);
        } else {
            self.arm(self.armed_for, now, ctx);
        }
    }
}

/// The config changed. Status and streak stay; they are the keeper's.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reconfigure(pub Arc<ApiConfig>);

impl Handler<Reconfigure> for Prober {
    type Result = ();

    fn handle(&mut self, Reconfigure(api): Reconfigure, ctx: &mut Self::Context) {
        let same_schedule = self.api.schedule == api.schedule;
        self.api = api;
        self.prepared = None;
        if !same_schedule && !self.stopping && !self.is_once {
            let now = self.context.time.moment();
            self.liveness.with(|resume| resume.counted_until = now);
            // A recheck or a first probe that is set comes first; it re-arms by the new schedule when it is over.
            if self.due.is_some() && !self.probing {
                self.arm_by_schedule(now, ctx);
            }
        }
    }
}

/// Probe again at once, unless a probe is running: the keeper dropped its last decision.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ProbeAgain;

impl Handler<ProbeAgain> for Prober {
    type Result = ();

    fn handle(&mut self, _: ProbeAgain, ctx: &mut Self::Context) {
        if !self.stopping && !self.probing && !self.judging {
            self.due = None;
            self.arm(Duration::ZERO, self.context.time.moment(), ctx);
        }
    }
}

/// Begin no probe; end when the running one has ended and its outcome is sent.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Prober {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopping = true;
        self.liveness.with(|resume| resume.ticket = None);
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.stop_if_idle(ctx);
    }
}
