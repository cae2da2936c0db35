//! `decide` over random sequences of outcomes, against a reference model that is as plain as it can be: it looks at the
//! whole history at once and keeps no state but what was told.

use std::time::Duration;

use api_health_core::decide::{DecisionKind, stop_watching, withdraw};
use api_health_core::delivery::{self, OWED_MAX};
use api_health_core::{
    Alert, AlertKind, ApiId, ApiState, Outcome, Policy, Status, Timestamp, Verdict, decide, invariant,
};
use proptest::prelude::*;

const RECHECK: Duration = Duration::from_secs(5);

fn outcome(verdict: Verdict, second: i64) -> Outcome {
    Outcome {
        started_at: Timestamp::from_millis(second * 1_000),
        finished_at: Timestamp::from_millis(second * 1_000 + 20),
        verdict,
        latency_ms: Some(20),
        status_code: Some(if verdict == Verdict::Pass { 200 } else { 500 }),
        reasons: if verdict == Verdict::Pass { vec![] } else { vec![format!("reason {second}")] },
        evidence: None,
        certificate: None,
        figures: api_health_core::ProbeFigures::default(),
    }
}

fn policy(api_id: &ApiId, failure_threshold: u32, success_threshold: u32) -> Policy<'_> {
    let name = "A";
    Policy {
        api_id,
        name,
        url: "http://a.test/",
        failure_threshold,
        success_threshold,
        recheck: RECHECK,
        request_fingerprint: 1,
        flap: None,
        remind_after: None,
        hold: None,
    }
}

fn pager() -> Vec<String> {
    vec!["pager".into()]
}

/// What should have been told after a history, found by replaying it naively: (kind, index of the outcome it is dated
/// to), and the status at the end.
fn reference(history: &[Verdict], failure_threshold: u32, success_threshold: u32) -> (Vec<(AlertKind, usize)>, Status) {
    let conclusive: Vec<(usize, Verdict)> =
        history.iter().copied().enumerate().filter(|(_, v)| *v != Verdict::Inconclusive).collect();
    let mut told = Vec::new();
    let mut status = Status::Unknown;
    for end in 0..conclusive.len() {
        let (against, threshold, kind) = match (status, conclusive[end].1) {
            (Status::Unknown, Verdict::Pass) => {
                status = Status::Up;
                continue;
            }
            (Status::Down, Verdict::Pass) => (Verdict::Pass, success_threshold, AlertKind::Up),
            (Status::Unknown | Status::Up, Verdict::Fail) => (Verdict::Fail, failure_threshold, AlertKind::Down),
            _ => continue,
        };
        // The run of equal verdicts that ends here. It cannot reach behind the last change of status, since the
        // outcome that confirmed that one was the opposite.
        let run = conclusive[..=end].iter().rev().take_while(|(_, v)| *v == against).count();
        if run >= threshold as usize {
            told.push((kind, conclusive[end + 1 - run].0));
            status = kind.status();
        }
    }
    (told, status)
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    // Runs make changes of status likely; single draws would hardly ever reach a threshold of four.
    let run = (prop_oneof![Just(Verdict::Pass), Just(Verdict::Fail), Just(Verdict::Inconclusive)], 1..6_usize);
    prop::collection::vec(run, 0..200)
        .prop_map(|runs| runs.into_iter().flat_map(|(verdict, n)| std::iter::repeat_n(verdict, n)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference_model(history in verdicts(), failures in 1..5_u32, successes in 1..5_u32) {
        let api_id = ApiId::parse("a").unwrap();
        let policy = policy(&api_id, failures, successes);
        let mut state = ApiState::unknown(api_id.clone());
        let mut told = Vec::new();
        for (second, verdict) in history.iter().enumerate() {
            let now = Timestamp::from_millis(second as i64 * 1_000 + 25);
            let decision = decide(&state, &outcome(*verdict, second as i64), &policy, &pager(), now);
            prop_assert_eq!(invariant::first_broken(&decision.next), None);
            prop_assert_eq!(decision.recheck, decision.next.is_suspect().then_some(RECHECK));
            prop_assert_eq!(decision.next.version, state.version, "the version is the store's to raise");
            let mattered = decision.next.status != state.status
                || decision.next.streak != state.streak
                || decision.next.owed != state.owed;
            prop_assert_eq!(decision.must_store(), mattered);
            if let Some(alert) = decision.alert() {
                prop_assert_eq!(decision.transition().map(|t| t.to), Some(alert.kind.status()));
                prop_assert_eq!(alert.detected_at, now);
                told.push((alert.kind, usize::try_from(alert.happened_at.as_millis() / 1_000).unwrap(), alert.alert_id.clone()));
            }
            state = decision.next;
        }
        let (expected, status) = reference(&history, failures, successes);
        let seen: Vec<_> = told.iter().map(|(kind, at, _)| (*kind, *at)).collect();
        prop_assert_eq!(seen, expected, "nothing twice, no recovery lost");
        prop_assert_eq!(state.status, status);
        let mut ids: Vec<_> = told.into_iter().map(|(_, _, id)| id).collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "no two alerts share an id");
    }

    #[test]
    fn any_order_of_settling_keeps_each_channel_in_order_and_ends_with_nothing_owed(
        history in verdicts(),
        settles in prop::collection::vec((0..3_usize, 0..2_usize), 0..600),
    ) {
        let api_id = ApiId::parse("a").unwrap();
        let policy = policy(&api_id, 1, 1);
        let channels = ["pager".to_owned(), "mail".to_owned()];
        let mut state = ApiState::unknown(api_id.clone());
        let mut received: [Vec<String>; 2] = Default::default();
        let mut owed_in_all = Vec::new();
        let mut settles = settles.into_iter();
        let mut deliver = |state: &mut ApiState, channel: usize| {
            if let Some(alert) = delivery::next_for(&state.owed, &channels[channel]).cloned() {
                received[channel].push(alert.alert.alert_id.clone());
                assert!(delivery::mark_delivered(&mut state.owed, &alert.alert.alert_id, &channels[channel]));
                assert_eq!(invariant::first_broken(state), None);
            }
        };
        for (second, verdict) in history.iter().enumerate() {
            let now = Timestamp::from_millis(second as i64 * 1_000);
            let decision = decide(&state, &outcome(*verdict, second as i64), &policy, &channels, now);
            owed_in_all.extend(decision.alert().map(|alert| alert.alert_id.clone()));
            state = decision.next;
            if let Some((times, channel)) = settles.next() {
                for _ in 0..times {
                    deliver(&mut state, channel);
                }
            }
        }
        for channel in [0, 1] {
            for _ in 0..=OWED_MAX {
                deliver(&mut state, channel);
            }
        }
        prop_assert!(state.owed.is_empty());
        for channel in &received {
            let mut rest = owed_in_all.iter();
            prop_assert!(channel.iter().all(|id| rest.any(|owed| owed == id)), "in order, each once");
            prop_assert!(
                channel.windows(2).all(|two| two[0].ends_with(".down") != two[1].ends_with(".down")),
                "outages and recoveries in turn: {:?}",
                channel
            );
            prop_assert_eq!(channel.last(), owed_in_all.last(), "what it was told last is true");
            if owed_in_all.len() <= OWED_MAX {
                prop_assert_eq!(channel, &owed_in_all);
            }
        }
    }
}

/// What may happen to an API in a day.
#[derive(Clone, Copy, Debug)]
enum Event {
    Outcome(Verdict),
    NoLongerWatched,
    AsksAnother,
}

proptest! {
    #[test]
    fn closing_at_any_time_ends_an_incident_once_and_what_follows_begins_anew(
        events in prop::collection::vec(
            prop_oneof![
                6 => Just(Event::Outcome(Verdict::Fail)),
                6 => Just(Event::Outcome(Verdict::Pass)),
                1 => Just(Event::Outcome(Verdict::Inconclusive)),
                1 => Just(Event::NoLongerWatched),
                1 => Just(Event::AsksAnother),
            ],
            0..200,
        ),
        failures in 1..4_u32,
        successes in 1..4_u32,
    ) {
        let api_id = ApiId::parse("a").unwrap();
        let mut policy = policy(&api_id, failures, successes);
        let mut state = ApiState::unknown(api_id.clone());
        let mut told: Vec<Alert> = Vec::new();
        let mut asked_since = 0;
        for (second, event) in events.into_iter().enumerate() {
            let now = Timestamp::from_millis(second as i64 * 1_000);
            let before = state.clone();
            match event {
                Event::Outcome(verdict) => {
                    asked_since += 1;
                    let decision = decide(&state, &outcome(verdict, second as i64), &policy, &pager(), now);
                    let needed = if before.status == Status::Down { successes } else { failures };
                    let confirms = decision.kind == DecisionKind::Confirmed;
                    prop_assert!(!confirms || asked_since >= needed, "nothing is confirmed by another question");
                    told.extend(decision.alert().filter(|a| a.kind == AlertKind::Down).cloned());
                    state = decision.next;
                }
                Event::NoLongerWatched => {
                    let decision = stop_watching(&state, "its row is gone", &pager(), now);
                    let owes = decision.as_ref().is_some_and(|decision| decision.enqueued);
                    prop_assert_eq!(owes, before.status == Status::Down);
                    state = decision.map_or(state, |decision| decision.next);
                    prop_assert_eq!((state.status, &state.streak), (Status::Unknown, &None));
                    prop_assert_eq!(stop_watching(&state, "again", &pager(), now), None, "there is nothing left to stop_watching");
                }
                Event::AsksAnother => {
                    policy.request_fingerprint += 1;
                    asked_since = 0;
                }
            }
            prop_assert_eq!(invariant::first_broken(&state), None);
            if let Some(end) = state.owed.last().filter(|o| !o.alert.kind.starts_incident()) {
                prop_assert_eq!(&end.alert.incident_id, &told.last().unwrap().incident_id, "it ends what was begun");
            }
            if state.owed.len() >= 4 {
                state.owed.clear();
            }
        }
        let mut ids: Vec<String> = told.into_iter().map(|alert| alert.incident_id).collect();
        let count = ids.len();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "each outage is an incident of its own");
    }
}

#[test]
fn the_first_outcome_of_an_unknown_api() {
    let api_id = ApiId::parse("a").unwrap();
    let unknown = ApiState::unknown(api_id.clone());
    let now = Timestamp::from_millis(1);
    let up = decide(&unknown, &outcome(Verdict::Pass, 0), &policy(&api_id, 2, 2), &pager(), now);
    assert_eq!((up.next.status, up.alert(), up.recheck), (Status::Up, None, None));
    let suspect = decide(&unknown, &outcome(Verdict::Fail, 0), &policy(&api_id, 2, 2), &pager(), now);
    assert_eq!((suspect.next.status, suspect.enqueued, suspect.recheck), (Status::Unknown, false, Some(RECHECK)));
    let down = decide(&suspect.next, &outcome(Verdict::Fail, 5), &policy(&api_id, 2, 2), &pager(), now);
    let alert = down.alert().unwrap();
    assert_eq!((down.next.status, alert.kind, alert.previous_status), (Status::Down, AlertKind::Down, Status::Unknown));
    assert_eq!((alert.happened_at.as_millis(), alert.reason.as_str()), (0, "reason 5"));
}

#[test]
fn a_threshold_of_zero_is_read_as_one() {
    let api_id = ApiId::parse("a").unwrap();
    let down = decide(
        &ApiState::unknown(api_id.clone()),
        &outcome(Verdict::Fail, 0),
        &policy(&api_id, 0, 0),
        &pager(),
        Timestamp::default(),
    );
    assert_eq!(down.next.status, Status::Down);
}

#[test]
fn an_outage_that_was_told_and_not_stored_is_taken_back_once_unless_the_record_knows_it() {
    let api_id = ApiId::parse("a").unwrap();
    let policy = policy(&api_id, 1, 1);
    let now = Timestamp::from_millis(1);
    let up = ApiState { version: 7, status: Status::Up, since: Some(now), ..ApiState::unknown(api_id.clone()) };
    let down = decide(&up, &outcome(Verdict::Fail, 0), &policy, &pager(), now);
    let told = down.alert().unwrap().clone();
    assert_eq!(withdraw(&down.next, &told, &pager(), now), None, "the record knows it");
    let recovered = decide(&down.next, &outcome(Verdict::Pass, 9), &policy, &pager(), now);
    assert_eq!(withdraw(&recovered.next, &told, &pager(), now), None, "its end is owed already");
    let taken_back = withdraw(&up, &told, &pager(), now).unwrap();
    let alert = taken_back.alert().unwrap();
    assert_eq!((alert.kind, &alert.incident_id), (AlertKind::Closed, &told.incident_id));
    assert!(alert.is_withdrawal() && taken_back.must_store() && taken_back.transition().is_none());
    assert_eq!(invariant::first_broken(&taken_back.next), None);
    assert_eq!(withdraw(&taken_back.next, &told, &pager(), now), None, "once");
    let again = decide(&taken_back.next, &outcome(Verdict::Fail, 20), &policy, &pager(), now);
    assert_eq!(invariant::first_broken(&again.next), None, "an outage after it is one of its own");
}

proptest! {
    /// What a decision does not ask to be stored is the last probe alone: so a crash loses figures, and nothing that decides.
    #[test]
    fn what_a_decision_need_not_store_is_figures_alone(
        history in verdicts(), failure_threshold in 1..4_u32, success_threshold in 1..4_u32
    ) {
        let api_id = ApiId::parse("a").unwrap();
        let policy = policy(&api_id, failure_threshold, success_threshold);
        let mut state = ApiState::unknown(api_id.clone());
        for (second, verdict) in (0..).zip(history) {
            let decision = decide(&state, &outcome(verdict, second), &policy, &pager(), Timestamp::from_millis(second * 1_000 + 30));
            if !decision.must_store() {
                let (last_probe, recent) = (state.last_probe.clone(), state.recent.clone());
                prop_assert_eq!(&ApiState { last_probe, recent, ..decision.next.clone() }, &state);
            }
            state = decision.next;
        }
    }
}
