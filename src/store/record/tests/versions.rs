//! What other versions of this program read and wrote.

use super::*;

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
    for (name, state) in [
        ("v2/addressed.json", addressed()),
        ("v2/never-probed.json", never_probed()),
        ("v2/explained.json", explained()),
        ("v2/closed.json", closed()),
        ("v3/fleet.json", fleet()),
        ("v4/holding.json", holding()),
    ] {
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
