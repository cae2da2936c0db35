//! Records that somebody else wrote, and claims in them.

use api_health_core::alert::AlertKind;
use api_health_core::delivery::{CLAIM_LASTS, Claim, OwedAlert};
use api_health_core::incident::Incident;
use api_health_core::state::LastProbe;
use api_health_core::{Alert, ApiId, Status, Verdict};

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

/// Down, with the alert of it owed, as it is stored.
fn owing() -> ApiState {
    let api_id = ApiId::parse("a").unwrap();
    let incident = Incident {
        incident_id: "i".into(),
        started_at: at(0),
        reason: "r".into(),
        name: "A".into(),
        url: "http://a.test/".into(),
    };
    let alert = Alert {
        alert_id: "i.down".into(),
        incident_id: "i".into(),
        kind: AlertKind::Down,
        api_id: api_id.clone(),
        name: "A".into(),
        url: "http://a.test/".into(),
        previous_status: Status::Up,
        happened_at: at(0),
        detected_at: at(0),
        incident_started_at: at(0),
        reason: "r".into(),
        changes_left_out: 0,
    };
    ApiState {
        version: 4,
        status: Status::Down,
        since: Some(at(0)),
        incident: Some(incident),
        last_told: Status::Down,
        owed: vec![OwedAlert::new(alert)],
        ..ApiState::unknown(api_id)
    }
}

/// An entry that claimed at `at(0)`, and whose write of that is under way.
fn claiming(now: Instant) -> Entry {
    let mut entry = Entry::new(owing());
    delivery::claim(&mut entry.state, "us", at(0));
    entry.changed(Change::Claimed, now);
    entry.begin_write(now);
    entry
}

fn by(millis: i64, channels: &[String]) -> Decider<'_> {
    Decider { instance: "us", channels, now: at(millis) }
}

#[test]
fn a_claim_that_somebody_else_wrote_first_holds_however_late_ours_is_decided_again() {
    let channels = ["pager".to_owned()];
    // Theirs is later than ours by a moment, or by more than a claim lasts.
    for theirs_at in [1, 20_000, 100_000] {
        let mut entry = claiming(Instant::now());
        let until = at(theirs_at).plus(CLAIM_LASTS);
        let theirs = ApiState { version: 5, claim: Some(Claim { by: "they".into(), until }), ..owing() };
        assert_eq!(entry.rebase(&theirs, by(theirs_at + 5, &channels)), Rebased::TakenOver);
        assert_eq!(entry.state, theirs);
        assert!(!entry.is_unsaved() && entry.unstored_since().is_none());
    }
}

#[test]
fn where_somebody_else_told_it_already_nothing_is_claimed() {
    let channels = ["pager".to_owned()];
    let mut entry = claiming(Instant::now());
    let mut told = ApiState { version: 5, ..owing() };
    assert!(delivery::settle(&mut told, "i.down", "pager", &channels));
    assert_eq!(entry.rebase(&told, by(5, &channels)), Rebased::TakenOver);
    assert_eq!(entry.state, told);
}

#[test]
fn a_claim_that_is_free_is_written_again_at_the_present() {
    let channels = ["pager".to_owned()];
    let mut entry = claiming(Instant::now());
    assert_eq!(entry.rebase(&ApiState { version: 5, ..owing() }, by(7, &channels)), Rebased::DecidedAgain);
    assert_eq!(entry.state.claim, Some(Claim { by: "us".into(), until: at(7).plus(CLAIM_LASTS) }));
    assert!(!entry.is_claim_stored());
}

fn outcome(millis: i64) -> Outcome {
    Outcome {
        started_at: at(millis),
        finished_at: at(millis + 20),
        verdict: Verdict::Fail,
        latency_ms: None,
        status_code: None,
        reasons: vec!["refused".into()],
    }
}

fn last(millis: i64) -> LastProbe {
    LastProbe { at: at(millis), verdict: Verdict::Fail, latency_ms: None, status_code: None, error: None }
}

#[test]
fn an_outcome_of_the_moment_in_which_somebody_else_probed_counts_once_and_the_next_one_again() {
    let channels = ["pager".to_owned()];
    let api = Arc::new(crate::testkit::api("a", 10)); // rechecked after 5 s
    let subject = Subject::Api(Arc::clone(&api));
    let theirs = |millis: i64| ApiState { version: 5, last_probe: Some(last(millis)), ..owing() };
    let after = |theirs_at: i64, now: i64| {
        let mut entry = Entry::new(owing());
        entry.unclaimed_since = Some(Instant::now());
        entry.rebase(&theirs(theirs_at), by(now, &channels));
        assert_eq!(entry.unclaimed_since, None, "whether it can be claimed is to be found out anew");
        entry
    };
    for (began, is_same) in [(0, true), (90, true), (110, true), (2_500, true), (2_600, false), (5_120, false)] {
        let mut entry = after(100, 200);
        assert_eq!(entry.is_same_moment(&outcome(began), &subject, at(0)), is_same, "{began}");
        assert!(!entry.is_same_moment(&outcome(began), &subject, at(0)), "asked once");
    }
    let an_hour = 3_600_000;
    assert!(!after(an_hour, 200).is_same_moment(&outcome(210), &subject, at(0)), "a clock that was set says nothing");
    // The same for what waits to be stored.
    for (began, left) in [(90, 0), (2_500, 0), (2_600, 1)] {
        let mut entry = Entry::new(owing());
        let change = Change::Outcome { subject: subject.clone(), outcome: outcome(began), now: at(began), owed: None };
        entry.changed(change, Instant::now());
        entry.rebase(
            &ApiState { status: Status::Up, incident: None, last_told: Status::Up, owed: vec![], ..theirs(100) },
            by(3_000, &channels),
        );
        assert_eq!(entry.changes.len(), left, "{began}");
        assert_eq!(entry.state.is_suspect(), left == 1);
    }
}

#[test]
fn a_recheck_that_is_slower_than_the_schedule_makes_no_long_moment() {
    let channels = ["pager".to_owned()];
    let mut api = crate::testkit::api("a", 10);
    api.recheck = Duration::from_secs(90); // so every 10 s, as the schedule says
    let subject = Subject::Api(Arc::new(api));
    for (began, is_same) in [(5_000, true), (5_100, false), (10_000, false)] {
        let mut entry = Entry::new(owing());
        entry.rebase(&ApiState { version: 5, last_probe: Some(last(100)), ..owing() }, by(200, &channels));
        assert_eq!(entry.is_same_moment(&outcome(began), &subject, at(began)), is_same, "{began}");
    }
}

#[test]
fn somebody_else_who_only_claims_has_not_probed() {
    let channels = ["pager".to_owned()];
    let subject = Subject::Api(Arc::new(crate::testkit::api("a", 10)));
    let up = ApiState { status: Status::Up, incident: None, last_told: Status::Up, owed: vec![], ..owing() };
    let ours = ApiState { last_probe: Some(last(100)), ..up };
    let pending =
        |began| Change::Outcome { subject: subject.clone(), outcome: outcome(began), now: at(began), owed: None };
    let theirs = |over: &ApiState| ApiState { version: over.version + 1, ..over.clone() };
    // Over the record that this process began with; and over one that it wrote, whether it knows that or not.
    let wrote = |is_known: bool| {
        let mut entry = Entry::new(ApiState { last_probe: None, ..ours.clone() });
        entry.state.last_probe = Some(last(100));
        entry.changed(pending(80), Instant::now());
        let written = entry.begin_write(Instant::now());
        if is_known {
            entry.stored();
        }
        (entry, written)
    };
    for (mut entry, over) in [(Entry::new(ours.clone()), Arc::new(ours.clone())), wrote(true), wrote(false)] {
        entry.changed(pending(70), Instant::now()); // the clock was set back
        assert_eq!(entry.rebase(&theirs(&over), by(100, &channels)), Rebased::DecidedAgain);
        assert_eq!(entry.changes.len(), 1, "what that record has the effect of, and no more, is left out");
        assert!(!entry.is_same_moment(&outcome(90), &subject, at(110)));
        // One that tells of a probe which nobody here knows of is another matter.
        let probed = ApiState { version: 9, last_probe: Some(last(400)), ..ours.clone() };
        entry.rebase(&probed, by(500, &channels));
        assert!(entry.is_same_moment(&outcome(600), &subject, at(600)));
    }
}
