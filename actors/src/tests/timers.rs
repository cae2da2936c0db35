//! The timer of a prober: there is one, whatever comes between two probes. A second one would show as a probe that nobody asked for.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use api_health_core::network::{Ballot, OwnPart, Vote, Zone};
use api_health_core::{Answer, ApiConfig, Failure, Observation, Response, Schedule};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::handle::AddrPublisher;
use crate::liveness::{Liveness, ResumePoint};
use crate::own_side::OwnSide;
use crate::ports::{Clock as _, PreparedProbe, Probe, Witnesses};
use crate::prober::{ProbeAgain, Prober, ProberContext, ProberInit, Reconfigure, Start};
use crate::state_keeper::SubmitOutcome;
use crate::testkit::stage::Chance;
use crate::testkit::{VirtualClock, WORLD_BEGINS, api, in_virtual_time};
use crate::timebase::TimeBase;

/// What happened, and at which monotonic time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Began,
    Ended,
    /// The outcome was handed over.
    Judged,
    /// The keeper answered, and may have asked for a recheck.
    Answered(Option<Duration>),
    /// The schedule has ticks as far apart as this.
    Scheduled(Duration),
    /// The next probe may come at any time.
    Disturbed,
}

/// All that one prober has to do with.
#[derive(Clone)]
struct Surroundings {
    log: Arc<Mutex<Vec<(Duration, Event)>>>,
    chance: Arc<Mutex<Chance>>,
    clock: VirtualClock,
    time: TimeBase,
}

impl Surroundings {
    fn note(&self, event: Event) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push((self.time.monotonic(), event));
    }

    fn draw<T>(&self, from: impl FnOnce(&mut Chance) -> T) -> T {
        from(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn dawdle(&self, low_ms: u64, high_ms: u64) {
        tokio::time::sleep(self.draw(|chance| chance.millis(low_ms, high_ms))).await;
    }
}

impl Probe for Surroundings {
    fn prepare(&self, _: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let here = self.clone();
        Rc::new(move || -> LocalBoxFuture<'static, Observation> {
            let here = here.clone();
            Box::pin(async move {
                here.note(Event::Began);
                let (started_at, began) = (here.clock.now(), here.time.monotonic());
                here.dawdle(500, 2_500).await;
                let answer = if here.draw(|chance| chance.percent(50)) {
                    Answer::Response(Response { status: 200, ..Response::default() })
                } else {
                    // The witnesses are asked.
                    Answer::Failure(Failure::LookupFailed { host: "a.test".into(), detail: "for now".into() })
                };
                here.note(Event::Ended);
                let (finished_at, took) = (here.clock.now(), here.time.monotonic() - began);
                Observation { finished_at, took, ..Observation::new(answer, started_at) }
            })
        })
    }
}

impl Witnesses for Surroundings {
    fn ask(&self, _: OwnPart, _: Vec<String>) -> LocalBoxFuture<'_, Ballot> {
        let server = || Vote { witness: "server".into(), is_well: true, is_the_part_itself: false, zone: Zone::Far };
        let ballot = move || vec![server()];
        self.dawdle(1, 900).map(move |()| ballot()).boxed_local()
    }
}

impl Actor for Surroundings {
    type Context = Context<Self>;
}

impl Handler<SubmitOutcome> for Surroundings {
    type Result = ResponseFuture<Option<Duration>>;

    fn handle(&mut self, _: SubmitOutcome, _: &mut Self::Context) -> Self::Result {
        let here = self.clone();
        here.note(Event::Judged);
        Box::pin(async move {
            here.dawdle(0, 400).await; // a probe that begins meanwhile is still under way then
            let recheck = here.draw(|chance| chance.percent(50).then(|| chance.millis(1_000, 6_000)));
            here.note(Event::Answered(recheck));
            recheck
        })
    }
}

/// One prober, and whatever may come between its probes.
async fn one(seed: u64) -> Vec<(Duration, Event)> {
    let clock = VirtualClock::new();
    let time = TimeBase::new(Arc::new(clock.clone()));
    let chance = Arc::new(Mutex::new(Chance::new(seed)));
    let here = Surroundings { log: Arc::default(), chance, clock, time: time.clone() };
    let keeper = AddrPublisher::default();
    keeper.set(Some(here.clone().start().recipient()));
    let context = ProberContext {
        probe: Arc::new(here.clone()),
        batcher: keeper.handle(),
        time: time.clone(),
        stats: Arc::default(),
        own_side: Arc::new(OwnSide::new(Arc::new(here.clone()), time.clone())),
        spread: false,
    };
    let schedules = [
        (10, Schedule::every(Duration::from_secs(10))),
        (7, Schedule::every(Duration::from_secs(7))),
        (20, Schedule::cron("*/20 * * * * *", "UTC", WORLD_BEGINS).unwrap()),
    ];
    let row = |n: usize| {
        here.note(Event::Scheduled(Duration::from_secs(schedules[n].0)));
        Arc::new(ApiConfig { schedule: Arc::new(schedules[n].1.clone()), ..api("a", 10) })
    };
    let resume = ResumePoint::nothing(time.moment());
    let liveness = Arc::new(Liveness::new(resume, Duration::ZERO));
    let init = ProberInit { start: Start::Scheduled, liveness };
    let prober = Prober::new(row(0), Arc::new(context), init).start();
    for _ in 0..100 {
        here.dawdle(1, 9_000).await;
        match here.draw(|chance| chance.below(8)) {
            0 => {
                here.note(Event::Disturbed);
                prober.send(ProbeAgain).await.unwrap();
            }
            // As SIGHUP does.
            1 | 2 => {
                let row = row(usize::try_from(here.draw(|chance| chance.below(3))).unwrap());
                prober.send(Reconfigure(row)).await.unwrap();
            }
            3 => {
                here.clock.step(if here.draw(|chance| chance.percent(50)) { 3_600_000 } else { -3_600_000 });
                here.note(Event::Disturbed);
            }
            4 => {
                here.clock.suspend_machine(Duration::from_secs(40));
                here.note(Event::Disturbed);
            }
            _ => {}
        }
    }
    here.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Each probe comes at a tick, unless a recheck was asked for: then it comes when that is due, and no tick comes before it.
fn check(log: &[(Duration, Event)], seed: u64) -> usize {
    const NEARLY: Duration = Duration::from_millis(5);
    let (mut under_way, mut disturbed, mut recheck, mut rechecks) = (false, false, None, 0);
    let (mut interval, mut ended, mut judged, mut answered) = (Duration::MAX, Duration::ZERO, Duration::ZERO, None);
    let since_tick = |at: Duration, interval: Duration| Duration::from_nanos_u128(at.as_nanos() % interval.as_nanos());
    for (n, (at, event)) in log.iter().enumerate() {
        let at = *at;
        let before = &log[n.saturating_sub(12)..=n];
        match event {
            Event::Began => {
                assert!(!under_way, "seed {seed}: two probes at once, {before:?}");
                if let Some(due) = recheck.take().filter(|_| !disturbed) {
                    assert!(at.abs_diff(due) <= NEARLY, "seed {seed}: due {due:?}, {before:?}");
                    rechecks += 1;
                } else if !disturbed {
                    // One that came while the last outcome was judged was served when the keeper had answered.
                    let has_waited = answered.is_some_and(|answered: Duration| at.abs_diff(answered) <= NEARLY)
                        && since_tick(at, interval) <= at - ended + NEARLY;
                    assert!(has_waited || since_tick(at, interval) <= NEARLY, "seed {seed}: no tick, {before:?}");
                }
                (under_way, disturbed) = (true, false);
            }
            Event::Ended => (under_way, ended) = (false, at),
            Event::Judged => judged = at,
            Event::Answered(asked) => {
                answered = Some(at);
                if let (Some(asked), false) = (asked, under_way) {
                    recheck = Some(at + asked.saturating_sub(judged - ended));
                }
            }
            Event::Scheduled(every) => interval = *every,
            Event::Disturbed => disturbed = true,
        }
    }
    rechecks
}

#[test]
fn a_prober_has_one_timer_whatever_comes_between_two_probes() {
    let (mut rechecks, mut probes) = (0, 0);
    for seed in 0..100 {
        let log = in_virtual_time(one(seed));
        rechecks += check(&log, seed);
        probes += log.iter().filter(|(_, event)| matches!(event, Event::Began)).count();
    }
    assert!(rechecks > 1_000 && probes > 2 * rechecks, "{rechecks} rechecks of {probes} probes");
}
