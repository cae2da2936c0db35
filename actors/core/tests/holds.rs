//! What is told while alerts are held, and when that is over: random outcomes under random holds and policies.

use std::time::Duration;

use api_health_core::decide::{DecisionKind, stop_watching};
use api_health_core::flap::FlapPolicy;
use api_health_core::hold::Hold;
use api_health_core::{
    Alert, AlertKind, ApiId, ApiState, Outcome, Policy, Status, Timestamp, Verdict, decide, invariant,
};
use proptest::prelude::*;

const STEP: i64 = 10;

/// What may happen in one step.
#[derive(Clone, Copy, Debug)]
enum Event {
    Finds(Verdict),
    /// Something else than flapping begins or ends to hold its alerts.
    Holds(u8),
    /// Nothing, for so many steps.
    Waits(u8),
    NoLongerWatched,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    failures: u32,
    successes: u32,
    flap: Option<FlapPolicy>,
    remind_after: Option<Duration>,
}

fn rules() -> impl Strategy<Value = Rules> {
    let flap = prop::option::of((1..6_u32, 5..60_u64));
    (1..4_u32, 1..4_u32, flap, prop::option::of(1..100_u64)).prop_map(|(failures, successes, flap, remind)| Rules {
        failures,
        successes,
        flap: flap.map(|(changes, steps)| FlapPolicy { changes, window: Duration::from_secs(steps * STEP as u64) }),
        remind_after: remind.map(Duration::from_secs),
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let verdict = prop_oneof![4 => Just(Verdict::Pass), 4 => Just(Verdict::Fail), 1 => Just(Verdict::Inconclusive)];
    let run = prop_oneof![
        20 => (verdict, 1..6_usize).prop_map(|(verdict, n)| vec![Event::Finds(verdict); n]),
        6 => (0..4_u8).prop_map(|which| vec![Event::Holds(which)]),
        2 => (1..80_u8).prop_map(|steps| vec![Event::Waits(steps)]),
        1 => Just(vec![Event::NoLongerWatched]),
    ];
    prop::collection::vec(run, 0..80).prop_map(|runs| runs.concat())
}

/// What may hold it, other than flapping.
fn hold(which: u8) -> Option<Hold> {
    let parent = || ApiId::parse("db").unwrap();
    match which {
        1 => Some(Hold::Maintenance { until: Timestamp::default(), note: "disks".into() }),
        2 => Some(Hold::ParentDown(parent())),
        3 => Some(Hold::ParentUnsure(parent())),
        _ => None,
    }
}

/// One API, and all that it told.
struct World {
    api_id: ApiId,
    rules: Rules,
    now: i64,
    state: ApiState,
    hold: Option<Hold>,
    told: Vec<Alert>,
    /// Confirmed changes, and those of which people need not hear, since they cancelled each other.
    confirmed: u32,
    cancelled: u32,
}

impl World {
    fn new(rules: Rules) -> Self {
        let api_id = ApiId::parse("a").unwrap();
        let state = ApiState::unknown(api_id.clone());
        Self { api_id, rules, now: 0, state, hold: None, told: vec![], confirmed: 0, cancelled: 0 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now * 1_000)
    }

    fn happens(&mut self, event: Event) {
        self.now += STEP;
        match event {
            Event::Finds(verdict) => self.finds(verdict),
            Event::Holds(which) => self.hold = hold(which),
            Event::Waits(steps) => self.now += STEP * i64::from(steps),
            Event::NoLongerWatched => {
                let was_told_down = self.state.last_alerted == Status::Down;
                let held = self.state.held.as_ref().map_or(0, |held| held.changes);
                let decision = stop_watching(&self.state, "its row is gone", &["pager".into()], self.now());
                let alert = decision.as_ref().and_then(|decision| decision.alert());
                assert_eq!(alert.map(|alert| alert.kind), was_told_down.then_some(AlertKind::Closed));
                self.told.extend(alert.cloned());
                self.cancelled += held;
                self.state = decision.map_or_else(|| self.state.clone(), |decision| decision.next);
                assert_eq!((self.state.status, self.state.held.as_ref()), (Status::Unknown, None));
            }
        }
        assert_eq!(invariant::first_broken(&self.state), None);
    }

    fn finds(&mut self, verdict: Verdict) {
        let at = self.now();
        let outcome = Outcome {
            started_at: at,
            finished_at: at,
            verdict,
            latency_ms: None,
            status_code: None,
            reasons: if verdict == Verdict::Pass { vec![] } else { vec![format!("reason {}", self.now)] },
            certificate: None,
            figures: api_health_core::ProbeFigures::default(),
            evidence: None,
        };
        let policy = Policy {
            api_id: &self.api_id,
            name: "A",
            url: "http://a.test/",
            failure_threshold: self.rules.failures,
            success_threshold: self.rules.successes,
            recheck: Duration::from_secs(5),
            request_fingerprint: 1,
            flap: self.rules.flap,
            remind_after: self.rules.remind_after,
            hold: self.hold.as_ref(),
        };
        let before = &self.state;
        let decision = decide(before, &outcome, &policy, &["pager".into()], at);
        let next = &decision.next;
        let new = next.owed.len() - before.owed.len();
        assert_eq!(
            (new, new == 1),
            (usize::from(decision.enqueued), decision.enqueued),
            "at most one for each outcome"
        );
        if !decision.must_store() {
            let told =
                ApiState { last_probe: before.last_probe.clone(), recent: before.recent.clone(), ..next.clone() };
            assert_eq!(&told, before);
        }
        if decision.kind == DecisionKind::Confirmed {
            self.confirmed += 1;
        }
        let alert = decision.alert().cloned();
        match alert.as_ref().map(|alert| alert.kind) {
            None => {}
            Some(AlertKind::Flapping) => {
                assert!(
                    next.is_flapping() && self.hold.as_ref().is_none_or(|hold| matches!(hold, Hold::ParentUnsure(_)))
                );
                assert!(!before.flap.as_ref().is_some_and(|flap| flap.is_alerted), "once");
            }
            Some(kind) => {
                assert!(!next.is_flapping(), "{kind:?} while it flaps");
                let waits = matches!(self.hold, Some(Hold::ParentUnsure(_))) && kind != AlertKind::Down;
                assert!(self.hold.is_none() || waits, "{kind:?} in spite of {:?}", self.hold);
            }
        }
        if let Some(alert) = alert.as_ref().filter(|alert| !alert.kind.changes_no_status()) {
            assert_eq!(
                (alert.kind.status(), alert.changes_left_out % 2),
                (next.status, 0),
                "what cancels comes in pairs"
            );
            assert_eq!(next.last_alerted, next.status);
        } else if let (Some(held), None) = (&before.held, &next.held) {
            self.cancelled += held.changes + u32::from(decision.kind == DecisionKind::Confirmed);
        }
        if alert.as_ref().is_some_and(|alert| alert.kind == AlertKind::Reminder) {
            assert_eq!((next.status, next.last_alerted), (Status::Down, Status::Down));
        }
        self.told.extend(alert);
        self.state = decision.next;
        self.state.version += 1;
    }

    fn changes_told(&self) -> impl Iterator<Item = &Alert> {
        self.told.iter().filter(|alert| !alert.kind.changes_no_status())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_held_it_each_change_is_accounted_for_and_what_is_told_ends_on_the_truth(
        rules in rules(), events in events(), is_well_at_last in any::<bool>(),
    ) {
        let mut world = World::new(rules);
        for event in events {
            world.happens(event);
            if world.state.owed.len() > 20 {
                world.state.owed.clear();
            }
        }
        // Nothing holds it, it is steady for longer than any window, and is seen to be so.
        let last = if is_well_at_last { Verdict::Pass } else { Verdict::Fail };
        world.happens(Event::Holds(0));
        (0..4).for_each(|_| world.happens(Event::Finds(last)));
        world.happens(Event::Waits(80));
        world.happens(Event::Finds(last));
        let status = if is_well_at_last { Status::Up } else { Status::Down };
        prop_assert_eq!(world.state.status, status);
        prop_assert!(world.state.held.is_none() && !world.state.is_flapping());
        let told: Vec<&Alert> = world.changes_told().collect();
        let believed = told.last().map_or(Status::Unknown, |alert| alert.kind.status());
        prop_assert_eq!(believed == Status::Down, status == Status::Down, "what was told last is true");
        for pair in told.windows(2) {
            prop_assert!(pair[0].kind.starts_incident() != pair[1].kind.starts_incident(), "in turn");
            let ends = pair[0].kind.starts_incident();
            prop_assert_eq!(ends, pair[0].incident_id == pair[1].incident_id, "an end is that of what was told before it");
        }
        let left_out: u32 = told.iter().map(|alert| alert.changes_left_out).sum();
        let changes = u32::try_from(told.iter().filter(|alert| alert.kind != AlertKind::Closed).count()).unwrap();
        prop_assert_eq!(changes + left_out + world.cancelled, world.confirmed, "each change is accounted for");
        let mut ids: Vec<&str> = world.told.iter().map(|alert| alert.alert_id.as_str()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "no two alerts share an id");
    }
}

/// A world in which one fail or pass is enough.
fn quick(flap: Option<FlapPolicy>, remind_after: Option<Duration>) -> World {
    let mut world = World::new(Rules { failures: 1, successes: 1, flap, remind_after });
    world.happens(Event::Finds(Verdict::Pass));
    world
}

fn kinds(world: &World) -> Vec<&'static str> {
    world.told.iter().map(|alert| alert.kind.as_str()).collect()
}

#[test]
fn an_outage_that_comes_and_goes_in_a_window_is_not_told() {
    let mut world = quick(None, None);
    for event in [Event::Holds(1), Event::Finds(Verdict::Fail), Event::Finds(Verdict::Pass), Event::Holds(0)] {
        world.happens(event);
    }
    world.happens(Event::Finds(Verdict::Pass));
    assert_eq!((kinds(&world).len(), world.state.held), (0, None));
}

#[test]
fn an_outage_that_outlasts_a_window_is_told_once_when_it_is_over_with_its_own_times() {
    let mut world = quick(None, None);
    for event in [Event::Holds(1), Event::Finds(Verdict::Fail), Event::Finds(Verdict::Fail), Event::Holds(0)] {
        world.happens(event);
    }
    assert_eq!(kinds(&world).len(), 0);
    world.happens(Event::Finds(Verdict::Fail));
    world.happens(Event::Finds(Verdict::Fail));
    assert_eq!(kinds(&world), ["down"]);
    let alert = &world.told[0];
    assert_eq!((alert.happened_at.as_millis(), alert.detected_at.as_millis()), (30_000, 30_000));
    assert!(
        alert.reason.contains("held until now: maintenance until") && alert.reason.contains(": disks"),
        "{alert:?}"
    );
    assert_eq!(alert.previous_status, Status::Up);
}

#[test]
fn an_outage_that_was_told_and_ends_in_a_window_is_ended_when_that_is_over_and_another_one_goes_on_as_the_same() {
    let mut world = quick(None, None);
    for event in [Event::Finds(Verdict::Fail), Event::Holds(2), Event::Finds(Verdict::Pass)] {
        world.happens(event);
    }
    assert_eq!(kinds(&world), ["down"]);
    let mut comes_back = quick(None, None);
    comes_back.state = world.state.clone();
    comes_back.now = world.now;
    comes_back.happens(Event::Finds(Verdict::Pass));
    assert_eq!(kinds(&comes_back), ["up"]);
    assert_eq!(comes_back.told[0].incident_id, world.told[0].incident_id);
    for event in [Event::Finds(Verdict::Fail), Event::Holds(0), Event::Finds(Verdict::Fail)] {
        world.happens(event);
    }
    assert_eq!(kinds(&world), ["down"], "it is down, as was told");
    world.happens(Event::Finds(Verdict::Pass));
    assert_eq!((kinds(&world), &world.told[1].incident_id), (vec!["down", "up"], &world.told[0].incident_id));
}

#[test]
fn flapping_is_told_once_and_what_differs_when_it_is_steady() {
    let flap = FlapPolicy { changes: 3, window: Duration::from_secs(100) };
    let mut world = quick(Some(flap), None);
    for n in 0..9 {
        world.happens(Event::Finds(if n % 2 == 0 { Verdict::Fail } else { Verdict::Pass }));
    }
    assert_eq!(kinds(&world), ["down", "up", "down", "flapping"]);
    (0..12).for_each(|_| world.happens(Event::Finds(Verdict::Pass)));
    assert_eq!(kinds(&world), ["down", "up", "down", "flapping", "up"]);
    assert_eq!(world.told[4].changes_left_out, 6);
}

#[test]
fn reminders_come_with_growing_pauses_and_none_while_something_is_held() {
    let mut world = quick(None, Some(Duration::from_secs(20)));
    for _ in 0..16 {
        world.happens(Event::Finds(Verdict::Fail));
        world.state.owed.clear();
    }
    assert_eq!(kinds(&world), ["down", "reminder", "reminder", "reminder"], "after 20, 60 and 140 s");
    world.happens(Event::Holds(1));
    (0..30).for_each(|_| world.happens(Event::Finds(Verdict::Fail)));
    assert_eq!(world.told.len(), 4);
}
