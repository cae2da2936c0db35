//! The stored form: lossless both ways, readable in old versions, clear about what makes no sense.

use std::time::Duration;

use api_health_core::delivery::OWED_MAX;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

/// Values that a console, JSON and both databases have been known to trip over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        select(vec!["", " ", "\u{0}", "\u{feff}", "ü", "🦀", "\"", "\\u0000", "null", "2026-11-22T07:30:00Z"])
            .prop_map(str::to_owned)
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>(),
        -10_000_000_000_000_i64..10_000_000_000_000,
        select(vec![0, -1, 1, 999, i64::MIN, i64::MAX]),
    ]
    .prop_map(Timestamp::from_millis)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (text(), any::<(bool, u32)>(), option::of(text()), option::of(time())).prop_map(
        |(channel, (delivered, failures), last_error, next_try_at)| Delivery {
            channel,
            delivered,
            failures,
            last_error,
            next_try_at,
        },
    )
}

fn owed(kind: AlertKind) -> impl Strategy<Value = OwedAlert> {
    let texts = (text(), text(), text(), text(), text());
    let times = (time(), time(), time());
    let previous = select(vec![Status::Unknown, Status::Up, Status::Down]);
    (texts, times, previous, any::<u32>(), proptest::collection::vec(delivery(), 0..3)).prop_map(
        move |((alert_id, incident_id, name, url, reason), times, previous_status, changes_left_out, deliveries)| {
            let alert = Alert {
                alert_id,
                incident_id,
                kind,
                api_id: ApiId::parse("a").unwrap(),
                name,
                url,
                previous_status,
                happened_at: times.0,
                detected_at: times.1,
                incident_started_at: times.2,
                reason,
                changes_left_out,
            };
            OwedAlert { alert, deliveries }
        },
    )
}

/// Any state that keeps the invariants.
fn state() -> impl Strategy<Value = ApiState> {
    let last = (
        time(),
        select(vec![Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]),
        any::<(Option<u32>, Option<u16>)>(),
        option::of(text()),
    )
        .prop_map(|(at, verdict, (latency_ms, status_code), error)| LastProbe {
            at,
            verdict,
            latency_ms,
            status_code,
            error,
        });
    let incident = (text(), time(), text(), text(), text()).prop_map(|(incident_id, started_at, reason, name, url)| {
        Incident { incident_id, started_at, reason, name, url }
    });
    let end = select(vec![AlertKind::Up, AlertKind::Closed]).prop_flat_map(owed).boxed();
    let claim = (text(), time()).prop_map(|(by, until)| Claim { by, until });
    // Boxed: the generators would not fit a test's stack.
    let outbox = (owed(AlertKind::Down).boxed(), end, 0..=OWED_MAX, option::of(claim));
    (
        (select(vec![Status::Unknown, Status::Up, Status::Down]), 1..u64::MAX, any::<u64>()),
        (time(), incident, option::of(last)),
        option::of((1..u32::MAX, time())),
        outbox,
    )
        .prop_map(
            |((status, version, missed_ticks), (since, incident, last_probe), streak, (down, end, count, claim))| {
                let is_down = status == Status::Down;
                // In turn, and ending on what was told last.
                let last_told = if is_down { Status::Down } else { end.alert.kind.status() };
                let in_turn =
                    (0..count).rev().map(|n| if (n % 2 == 0) == is_down { down.clone() } else { end.clone() });
                ApiState {
                    api_id: ApiId::parse("a").unwrap(),
                    version,
                    status,
                    since: (status != Status::Unknown).then_some(since),
                    streak: streak.map(|(count, first_at)| Streak {
                        toward: if is_down { AlertKind::Up } else { AlertKind::Down },
                        count,
                        first_at,
                    }),
                    incident: is_down.then_some(incident),
                    last_told,
                    owed: in_turn.collect(),
                    claim,
                    last_probe,
                    missed_ticks,
                }
            },
        )
}

/// JSON of any shape, and records with one field replaced or gone.
fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let any_json = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let broken = (state(), any::<prop::sample::Index>(), option::of(any_json.clone())).prop_map(|(state, at, new)| {
        let Value::Object(mut fields) = serde_json::to_value(Record::from(&state)).unwrap() else { unreachable!() };
        let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        match new {
            Some(new) => fields.insert(name, new),
            None => fields.remove(&name),
        };
        Value::Object(fields)
    });
    prop_oneof![any_json, broken]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_is_read_back_equal_from_either_form(state in state()) {
        prop_assert_eq!(invariant::first_broken(&state), None, "the generator makes good states");
        let text = serde_json::to_string(&Record::from(&state)).unwrap();
        prop_assert_eq!(read_text(&text), Ok(state.clone()));
        let value = serde_json::to_value(Record::from(&state)).unwrap();
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

/// What `down-and-owed.json` says.
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
        status: Status::Down,
        since: Some(began),
        streak: Some(Streak { toward: AlertKind::Up, count: 1, first_at: at("2026-11-22T07:31:00Z") }),
        incident: Some(incident),
        last_told: Status::Down,
        owed: vec![OwedAlert {
            alert,
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
        claim: Some(Claim { by: "host:17:1795332600000".into(), until: at("2026-11-22T07:30:35.900Z") }),
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
    down.claim = None;
    down.incident = down.incident.map(|incident| Incident { name: "shop".into(), url: String::new(), ..incident });
    down.owed[0].deliveries = vec![Delivery { channel: "webhook".into(), delivered: true, ..Delivery::default() }];
    assert_eq!(read_text(&golden("v1/down-and-owed.json")), Ok(down));
    assert_eq!(read_text(&golden("v1/never-probed.json")), Ok(never_probed()));
}

#[test]
fn schema_2_is_read_and_written_as_it_stands_there() {
    for (name, state) in [("v2/down-and-owed.json", down_and_owed()), ("v2/never-probed.json", never_probed())] {
        let text = golden(name);
        assert_eq!(read_text(&text), Ok(state.clone()), "{name}");
        let written = serde_json::to_value(Record::from(&state)).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(&text).unwrap(), "{name}");
    }
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
    let newer = "it was written by a newer version of this program (schema 3, this one reads 2)";
    assert_eq!(with("/schema", json!(3)), newer);
    assert_eq!(
        read_value(&json!({ "schema": 3, "status": 5 })).unwrap_err(),
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
