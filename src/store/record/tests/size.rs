//! How many bytes a record takes at the most.

use api_health_core::evidence as seen;
use api_health_core::outcome::Outcome;
use api_health_core::recent::RUNS_MAX;

use super::*;
use crate::store::record::evidence::StoredEvidence;

/// One write unit of DynamoDB.
const UNIT: usize = 1_024;

fn bytes_in_either_store(state: &ApiState) -> (usize, usize) {
    let Value::Object(fields) = serde_json::to_value(StateRecord::from(state)).unwrap() else { panic!("an object") };
    (crate::store::item_bytes(&fields), Value::Object(fields).to_string().len())
}

/// The longest that is legal of each field, in an API that is suspect: up as far as is confirmed, and in no incident.
fn longest_in_no_incident(error: &str) -> ApiState {
    let end = at("9999-12-01T00:00:00Z");
    let outcome = Outcome {
        started_at: end,
        finished_at: end,
        verdict: Verdict::Inconclusive,
        latency_ms: Some(u32::MAX),
        status_code: Some(999),
        reasons: vec![error.repeat(500)],
        certificate: None,
        figures: api_health_core::ProbeFigures::default(),
        evidence: None,
    };
    let api_id = ApiId::parse(&"a".repeat(ApiId::CHARS_MAX)).unwrap();
    let policy = api_health_core::Policy {
        api_id: &api_id,
        name: "A",
        url: "https://a.test/",
        failure_threshold: 2,
        success_threshold: 2,
        recheck: Duration::from_secs(5),
        request_fingerprint: u16::MAX,
        flap: None,
        remind_after: None,
        hold: None,
    };
    let runs = std::iter::repeat_n(Run::new(Verdict::Inconclusive, Some(998), u32::MAX, end), RUNS_MAX);
    let alerts = std::iter::repeat_n(
        RecentAlert { kind: AlertKind::Closed, happened_at: end, detected_at: end.plus(Duration::from_secs(86_400)) },
        2,
    );
    let state = ApiState {
        version: u64::MAX,
        epoch: u64::MAX,
        status: Status::Up,
        since: Some(end),
        streak: Some(Streak { toward: Toward::Down, request_fingerprint: u16::MAX, count: u32::MAX, first_at: end }),
        last_alerted: Status::Unknown,
        recent: Recent::of(runs, alerts),
        ended: Ended::of([u32::MAX; 2]),
        missed_ticks: u64::MAX,
        ..ApiState::unknown(api_id.clone())
    };
    api_health_core::decide(&state, &outcome, &policy, &[], end).next
}

#[test]
fn a_record_that_is_in_no_incident_is_one_write_unit_with_the_longest_legal_values() {
    let (item, json) = bytes_in_either_store(&longest_in_no_incident("word "));
    assert!(item < UNIT && json < UNIT, "{item} bytes of an item, {json} of JSON");
    // Characters that JSON escapes cost DynamoDB nothing.
    for dear in ["🦀", "\"", "ü"] {
        let (item, _) = bytes_in_either_store(&longest_in_no_incident(dear));
        assert!(item < UNIT, "{item} bytes of an item with {dear:?}");
    }
}

#[test]
fn what_was_seen_takes_no_more_than_so_many_bytes() {
    let dear = |bytes: usize| "🦀".repeat(bytes / 4);
    let evidence = Evidence {
        seen_at: at("9999-12-01T00:00:00Z"),
        addresses: vec![std::net::IpAddr::from([0xff; 16]); seen::ADDRESSES_MAX],
        more_addresses: u16::MAX,
        address: Some((std::net::IpAddr::from([0xff; 16]), u16::MAX).into()),
        phases: PhaseTimes::default(),
        status_line: Some(dear(seen::STATUS_LINE_BYTES_MAX)),
        certificate: Some(Certificate {
            subject: dear(seen::NAME_BYTES_MAX),
            issuer: dear(seen::NAME_BYTES_MAX),
            not_before: at("9999-12-01T00:00:00Z"),
            not_after: at("9999-12-01T00:00:00Z"),
        }),
        body_start: Some(dear(seen::BODY_SHOWN_BYTES_MAX)),
        well: vec![dear(seen::WITNESS_BYTES_MAX); seen::WITNESSES_MAX],
        ill: vec![dear(seen::WITNESS_BYTES_MAX); seen::WITNESSES_MAX],
    };
    let Value::Object(fields) = serde_json::to_value(StoredEvidence::from(&evidence)).unwrap() else { panic!() };
    let bytes = crate::store::item_bytes(&fields);
    assert!((1_200..2 * UNIT).contains(&bytes), "{bytes}");
}
