//! Records that somebody else wrote, and claims in them.

use api_health_core::alert::AlertKind;
use api_health_core::delivery::{CLAIM_LASTS, Claim, OwedAlert};
use api_health_core::incident::Incident;
use api_health_core::{Alert, ApiId, Status};

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
