//! The stored form: lossless both ways, readable in old versions, clear about what makes no sense.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use any::{odd_json, state};

mod any;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_is_read_back_equal_from_either_form(state in state()) {
        prop_assert_eq!(invariant::first_broken(&state), None, "the generator makes good states");
        let text = serde_json::to_string(&StateRecord::from(&state)).unwrap();
        prop_assert_eq!(read_text(&text), Ok(state.clone()));
        let value = serde_json::to_value(StateRecord::from(&state)).unwrap();
        prop_assert_eq!(read_value(&value), Ok(state));
    }

    #[test]
    fn whatever_is_read_is_a_good_state_or_one_clear_line(json in odd_json()) {
        let from_value = read_value(&json);
        match &from_value {
            Ok(state) => prop_assert_eq!(invariant::first_broken(state), None),
            Err(Unreadable { why, .. }) => prop_assert!(!why.is_empty() && !why.contains('\n') && why.chars().count() <= 320, "{}", why),
        }
        prop_assert_eq!(read_text(&json.to_string()).is_ok(), from_value.is_ok(), "both forms are read alike");
    }

    #[test]
    fn text_that_is_no_json_is_one_clear_line(text in any::<String>()) {
        prop_assert!(!read_text(&text).unwrap_err().why.contains('\n'));
    }
}

fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/store").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// What `down-and-owed.json` says, as version 0.1.0 wrote it.
fn down_and_owed() -> ApiState {
    let api_id = ApiId::parse("shop").unwrap();
    let began = at("2026-11-22T07:30:00.250Z");
    let over = began.plus(Duration::from_millis(5_650));
    let incident = Incident {
        incident_id: Incident::id(&api_id, began, 8),
        started_at: began,
        reason: "status 503 is not in 2xx".into(),
        name: "Shop – Kasse".into(),
        url: "https://shop.test/health".into(),
        owed_to: vec![],
    };
    let alert = Alert {
        alert_id: Alert::id(&incident.incident_id, AlertKind::Down),
        incident_id: incident.incident_id.clone(),
        kind: AlertKind::Down,
        api_id: api_id.clone(),
        name: "Shop – Kasse".into(),
        url: "https://shop.test/health".into(),
        previous_status: Status::Up,
        happened_at: began,
        detected_at: over,
        incident_started_at: began,
        reason: incident.reason.clone(),
        changes_left_out: 2,
    };
    ApiState {
        api_id,
        version: 8,
        epoch: 0,
        status: Status::Down,
        since: Some(began),
        streak: Some(Streak {
            toward: Toward::Up,
            request_fingerprint: 0,
            count: 1,
            first_at: at("2026-11-22T07:31:00Z"),
        }),
        incident: Some(Box::new(incident)),
        last_alerted: Status::Down,
        owed: vec![OwedAlert {
            alert,
            owed_to: vec![],
            deliveries: vec![
                Delivery { channel: "webhook".into(), delivered: true, failures: 1, ..Delivery::default() },
                Delivery {
                    channel: "sns".into(),
                    delivered: false,
                    failures: 4,
                    last_error: Some("no such topic".into()),
                    next_try_at: Some(at("2026-11-22T07:35:05.900Z")),
                },
            ],
        }],
        last_probe: Some(LastProbe {
            at: over,
            verdict: Verdict::Fail,
            latency_ms: Some(412),
            status_code: Some(503),
            error: Some("status 503 is not in 2xx".into()),
        }),
        missed_ticks: 3,
    }
}

fn never_probed() -> ApiState {
    ApiState { version: 1, missed_ticks: 7, ..ApiState::unknown(ApiId::parse("a.b_c-1").unwrap()) }
}

#[test]
fn schema_1_is_read_as_it_was_written_by_the_first_release() {
    let mut down = down_and_owed();
    // What schema 1 did not say.
    down.incident =
        down.incident.map(|incident| Box::new(Incident { name: "shop".into(), url: String::new(), ..*incident }));
    down.owed[0].deliveries = vec![Delivery { channel: "webhook".into(), delivered: true, ..Delivery::default() }];
    assert_eq!(read_text(&golden("v1/down-and-owed.json")), Ok(down));
    assert_eq!(read_text(&golden("v1/never-probed.json")), Ok(never_probed()));
}

/// The same as this version writes it, of an API in a shard that was leased.
fn addressed() -> ApiState {
    let mut state = ApiState { version: 9, epoch: 41, ..down_and_owed() };
    state.streak = state.streak.map(|streak| Streak { request_fingerprint: 51_234, ..streak });
    state.owed[0].owed_to = vec!["webhook".into(), "sns".into()];
    state.incident.as_mut().unwrap().owed_to = vec!["webhook".into(), "sns".into()];
    state
}

/// What the monitor tells of its workers.
fn fleet() -> ApiState {
    ApiState {
        version: 3,
        epoch: 2,
        status: Status::Up,
        since: Some(at("2026-11-22T07:30:00Z")),
        ..ApiState::unknown(ApiId::monitor_fleet())
    }
}

#[test]
fn what_an_older_version_does_not_know_has_a_schema_that_it_leaves_alone() {
    let shop = ApiId::parse("shop").unwrap();
    for api_id in [ApiId::monitor_network(0), ApiId::monitor_clock(17), ApiId::monitor_unclear(&shop)] {
        let state = ApiState { version: 1, ..ApiState::unknown(api_id) };
        let written = serde_json::to_value(StateRecord::from(&state)).unwrap();
        assert_eq!(
            (&written["schema"], read_value(&written)),
            (&Value::from(3), Ok(state.clone())),
            "{}",
            state.api_id
        );
    }
    let certificate = ApiState { version: 1, ..ApiState::unknown(ApiId::monitor_certificate(&shop)) };
    let written = serde_json::to_value(StateRecord::from(&certificate)).unwrap();
    assert_eq!((&written["schema"], read_value(&written)), (&Value::from(4), Ok(certificate)));
    for odd in [
        "api-health:certificate:",
        "api-health:certificate:a:b",
        "api-health:network:0",
        "api-health:network:x",
        "api-health:network:007",
        "api-health:unclear:",
        "api-health:networks",
    ] {
        assert!(ApiId::parse_stored(odd).is_err(), "{odd}");
    }
}

#[test]
fn a_record_of_0_1_0_with_its_claim_is_read_and_loses_it_with_the_next_write() {
    let mut json: Value = serde_json::from_str(&golden("v2/down-and-owed.json")).unwrap();
    assert_eq!(read_value(&json), Ok(down_and_owed()));
    assert!(json.as_object_mut().unwrap().remove("claim").is_some());
    assert_eq!(serde_json::to_value(StateRecord::from(&down_and_owed())).unwrap(), json, "and says the same as before");
}

#[test]
fn what_is_written_now_is_read_and_written_as_it_stands_there() {
    for (name, state) in
        [("v2/addressed.json", addressed()), ("v2/never-probed.json", never_probed()), ("v3/fleet.json", fleet())]
    {
        let text = golden(name);
        assert_eq!(read_text(&text), Ok(state.clone()), "{name}");
        let written = serde_json::to_value(StateRecord::from(&state)).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(&text).unwrap(), "{name}");
    }
}

/// What version 0.1.0 wants of each object; it lets be what it does not know.
const WANTED_BY_0_1_0: [(&str, &[&str]); 5] = [
    ("", &["schema", "api_id", "version", "status", "last_told_status", "missed_ticks", "owed"]),
    ("/streak", &["toward", "count", "first_at"]),
    ("/incident", &["incident_id", "started_at", "reason", "name"]),
    (
        "/owed/0",
        &[
            "alert_id",
            "incident_id",
            "kind",
            "name",
            "previous_status",
            "happened_at",
            "detected_at",
            "incident_started_at",
            "reason",
            "changes_left_out",
            "deliveries",
        ],
    ),
    ("/owed/0/deliveries/0", &["channel", "delivered", "failures"]),
];

#[test]
fn a_record_has_all_that_0_1_0_wants_so_that_one_can_go_back() {
    let written = serde_json::to_value(StateRecord::from(&addressed())).unwrap();
    assert_eq!(written["schema"], 2);
    for (place, fields) in WANTED_BY_0_1_0 {
        let object = written.pointer(place).unwrap();
        let missing: Vec<_> = fields.iter().filter(|field| object.get(field).is_none_or(Value::is_null)).collect();
        assert!(missing.is_empty(), "{place} lacks {missing:?}");
    }
    // One that it does not know is left alone there, since it says that a newer version wrote it.
    assert_eq!(serde_json::to_value(StateRecord::from(&fleet())).unwrap()["schema"], 3);
}

#[test]
fn what_cannot_be_read_is_told_with_the_field_and_the_reason() {
    let good: Value = serde_json::from_str(&golden("v2/down-and-owed.json")).unwrap();
    let with = |pointer: &str, new: Value| {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = new;
        read_value(&json).unwrap_err().why
    };
    let without = |field: &str| {
        let mut json = good.clone();
        json.as_object_mut().unwrap().remove(field).unwrap();
        read_value(&json).unwrap_err().why
    };
    let newer = "it was written by a newer version of this program (schema 5, this one reads 4)";
    assert_eq!(with("/schema", json!(5)), newer);
    assert_eq!(
        read_value(&json!({ "schema": 5, "status": 5 })).unwrap_err(),
        Unreadable { why: newer.into(), is_newer: true }
    );
    assert_eq!(with("/schema", json!(0)), "there is no schema 0");
    assert_eq!(with("/schema", json!("1")), "schema: invalid type: string \"1\", expected u32");
    assert_eq!(without("owed"), "missing field `owed`");
    assert_eq!(without("last_verdict"), "missing field `last_verdict`, as there is a last_checked_at");
    assert_eq!(without("last_checked_at"), "missing field `last_checked_at`, as there is a last_verdict");
    assert_eq!(
        with("/status", json!("sideways")),
        "status: unknown variant `sideways`, expected one of `unknown`, `up`, `down`"
    );
    assert_eq!(with("/version", json!(0)), "version: 0 is that of a state that was never stored");
    assert_eq!(with("/owed/0/kind", json!(true)), "owed[0].kind: invalid type: boolean `true`, expected string or map");
    assert_eq!(with("/since", json!("soon")), "since: \"soon\" is not a time, such as 2026-11-22T07:30:00.000Z");
    assert_eq!(with("/api_id", json!("a b")), "api_id: has the character ' '");
    assert_eq!(
        without("incident"),
        "it breaks the rule that there is an open incident exactly while the status is down"
    );
    assert!(read_text("{").unwrap_err().why.contains("EOF"));
    assert!(read_text(&format!("{good} x")).unwrap_err().why.contains("trailing characters"));
}

#[test]
fn a_null_is_an_absent_field_and_a_field_of_tomorrow_is_let_be() {
    let mut json: Value = serde_json::from_str(&golden("v2/never-probed.json")).unwrap();
    json["since"] = Value::Null;
    json["streak"] = Value::Null;
    json["note"] = json!("from a console");
    assert!(read_value(&json).is_ok());
}

#[test]
fn the_list_of_fields_is_that_of_a_record() {
    let record: Value = serde_json::from_str(include_str!("../../../tests/testdata/store/v2/addressed.json")).unwrap();
    let mut state = read_value(&record).unwrap();
    state.last_probe = Some(LastProbe {
        at: Timestamp::from_millis(1),
        verdict: Verdict::Fail,
        latency_ms: Some(1),
        status_code: Some(1),
        error: Some("e".into()),
    });
    let Value::Object(written) = serde_json::to_value(StateRecord::from(&state)).unwrap() else { panic!("an object") };
    let mut written: Vec<&str> = written.keys().map(String::as_str).collect();
    let mut listed = FIELDS.to_vec();
    written.sort_unstable();
    listed.sort_unstable();
    assert_eq!(written, listed);
}
