//! The stored form: lossless both ways, readable in old versions, clear about what makes no sense.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::evidence::Certificate;
use api_health_core::flap::Flap;
use api_health_core::history::Story;
use api_health_core::hold::Held;
use api_health_core::incident::{DeliveredAlert, Ended, Incident};
use api_health_core::maintenance::Maintenance;
use api_health_core::recent::{Recent, RecentAlert, Run};
use api_health_core::{Alert, AlertKind, Evidence, PhaseTimes};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use any::{odd_json, state};

mod any;
mod size;
mod versions;

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
        evidence: None,
        reminders: 0,
        confirmed_at: None,
        delivered: Vec::new(),
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
        evidence: None,
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
        recent: Recent::default(),
        missed_ticks: 3,
        held: None,
        flap: None,
        awaiting_history: vec![],
        ended: Ended::default(),
        maintenance: None,
    }
}

/// It was told as down and is up again, which is held; it flaps, and a window is open.
fn holding() -> ApiState {
    let told = *down_and_owed().incident.unwrap();
    ApiState {
        version: 9,
        epoch: 3,
        status: Status::Up,
        since: Some(at("2026-11-22T07:40:00Z")),
        last_alerted: Status::Down,
        held: Some(Box::new(Held {
            from: Status::Down,
            changes: 1,
            confirmed_at: at("2026-11-22T07:40:05.250Z"),
            why: "it is flapping".into(),
            ended: Some(Box::new(Incident { reminders: 2, ..told })),
        })),
        flap: Some(Box::new(Flap {
            changes: vec![at("2026-11-22T07:30:05Z"), at("2026-11-22T07:40:05.250Z")],
            since: Some(at("2026-11-22T07:40:05.250Z")),
            is_alerted: true,
        })),
        maintenance: Some(Box::new(Maintenance {
            since: at("2026-11-22T07:39:00Z"),
            until: at("2026-11-22T08:39:00Z"),
            note: "new disks".into(),
        })),
        ..never_probed()
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

/// The same with what was seen, and with how it came to that.
fn explained() -> ApiState {
    let mut state = addressed();
    let at = at("2026-11-22T07:30:05.900Z");
    let evidence = Arc::new(Evidence {
        seen_at: at,
        addresses: vec!["10.0.0.2".parse().unwrap(), "2001:db8::2".parse().unwrap()],
        more_addresses: 1,
        address: Some("10.0.0.2:443".parse().unwrap()),
        phases: PhaseTimes {
            resolve: Some(Duration::from_micros(1_250)),
            connect: Some(Duration::from_millis(2)),
            tls: Some(Duration::from_millis(8)),
            first_byte: Some(Duration::from_millis(400)),
            body: None,
        },
        status_line: Some("HTTP/1.1 503 Service Unavailable".into()),
        certificate: Some(Certificate {
            subject: "shop.test".into(),
            issuer: "Test CA".into(),
            not_before: Timestamp::from_millis(1_780_000_000_000),
            not_after: Timestamp::from_millis(1_800_000_000_000),
        }),
        body_start: Some("<h1>Größte Not</h1>".into()),
        well: vec!["name server 10.0.0.53".into()],
        ill: vec!["dynamodb.eu-central-1.amazonaws.com:443".into(), "2 more".into()],
    });
    let incident = state.incident.as_mut().unwrap();
    incident.evidence = Some(Arc::clone(&evidence));
    let began = incident.started_at;
    state.owed[0].alert.evidence = Some(evidence);
    let runs = [Run::new(Verdict::Fail, Some(503), 2, began), Run::new(Verdict::Pass, Some(200), 86_400, at)];
    state.recent = Recent::of(runs, [RecentAlert { kind: AlertKind::Down, happened_at: began, detected_at: at }]);
    state
}

/// It is up again, and history does not have the outage yet.
fn closed() -> ApiState {
    let told = explained();
    let mut incident = *told.incident.unwrap();
    let (began_at, ended_at) = (incident.started_at, at("2026-11-22T07:31:00Z"));
    incident.confirmed_at = Some(at("2026-11-22T07:30:05.900Z"));
    incident.delivered =
        vec![DeliveredAlert { channel: "webhook".into(), kind: AlertKind::Down, at: at("2026-11-22T07:30:06.100Z") }];
    let end_confirmed_at = at("2026-11-22T07:31:05.200Z");
    ApiState {
        version: 10,
        epoch: 3,
        status: Status::Up,
        since: Some(ended_at),
        last_alerted: Status::Up,
        awaiting_history: vec![Story {
            incident,
            began_at,
            ended_at,
            end_confirmed_at,
            is_closed: false,
            excluded_ms: 1_500,
            end_evidence: None,
        }],
        ..never_probed()
    }
}

#[test]
fn who_does_not_know_what_waits_for_history_reads_the_rest() {
    let mut json: Value = serde_json::from_str(&golden("v2/closed.json")).unwrap();
    assert_eq!(json["schema"], 2, "an older version takes it for one of its own, and leaves out what it does not know");
    json.as_object_mut().unwrap().remove("closed");
    assert_eq!(read_value(&json), Ok(ApiState { awaiting_history: vec![], ..closed() }));
}

#[test]
fn who_does_not_know_what_was_seen_reads_the_rest_and_a_half_one_is_told_where() {
    let mut json: Value = serde_json::from_str(&golden("v2/explained.json")).unwrap();
    assert_eq!(json["schema"], 2, "an older version takes it for one of its own, and leaves out what it does not know");
    json["incident"]["evidence"].as_object_mut().unwrap().remove("phases_us");
    assert_eq!(read_value(&json).unwrap_err().why, "incident.evidence: missing field `phases_us`");
    json["recent_outcomes"] = "what is this".into();
    json["incident"].as_object_mut().unwrap().remove("evidence");
    json["owed"][0].as_object_mut().unwrap().remove("evidence");
    json.as_object_mut().unwrap().remove("recent_alerts");
    assert_eq!(read_value(&json), Ok(addressed()));
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
    let held = holding();
    (state.held, state.flap, state.maintenance) = (held.held, held.flap, held.maintenance);
    state.last_probe = Some(LastProbe {
        at: Timestamp::from_millis(1),
        verdict: Verdict::Fail,
        latency_ms: Some(1),
        status_code: Some(1),
        error: Some("e".into()),
    });
    state.recent = explained().recent;
    state.awaiting_history = closed().awaiting_history;
    state.ended = Ended::of([7]);
    let Value::Object(written) = serde_json::to_value(StateRecord::from(&state)).unwrap() else { panic!("an object") };
    let mut written: Vec<&str> = written.keys().map(String::as_str).collect();
    let mut listed = FIELDS.to_vec();
    written.sort_unstable();
    listed.sort_unstable();
    assert_eq!(written, listed);
}
