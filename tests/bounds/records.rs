//! The largest record that an API can have: it fits into one item of DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use api_health::configs::headers::HEADERS_MAX;
use api_health::notify::message::Message;
use api_health::sqlite::SqliteFile;
use api_health::store::SqliteStateStore;
use api_health_actors::ports::{StateStore as _, StateWrite};
use api_health_core::delivery::{self, LAST_ERROR_CHARS_MAX, OWED_MAX};
use api_health_core::evidence::{
    ADDRESSES_MAX, BODY_SHOWN_BYTES_MAX, Certificate, NAME_BYTES_MAX, STATUS_LINE_BYTES_MAX, WITNESS_BYTES_MAX,
    WITNESSES_MAX,
};
use api_health_core::history::Story;
use api_health_core::history::story::AWAITING_HISTORY_MAX;
use api_health_core::incident::{DeliveredAlert, Incident};
use api_health_core::state::Streak;
use api_health_core::{
    AlertKind, ApiConfig, ApiState, Evidence, Outcome, PhaseTimes, Timestamp, Toward, Verdict, decide, invariant,
};
use serde_json::{Value, json};

use crate::{NOW, fields, row, rules};

/// The largest item that DynamoDB takes, in bytes ("Service, account, and table quotas in Amazon DynamoDB").
const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Every channel that there is.
const CHANNELS: [&str; 3] = ["sns", "webhook", "terminal"];

/// The dearest character: four bytes.
const DEAR: &str = "🦀";

/// Four bytes to a character in the name; the URL, which is ASCII, at its bound.
fn largest_api() -> ApiConfig {
    let url = format!("https://a.test/{}", "x".repeat(2_048 - "https://a.test/".len()));
    let api = json!({ "api_id": "a".repeat(80), "name": DEAR.repeat(200), "url": url, "failure_threshold": 1, "success_threshold": 1 });
    rules().check(&row(fields(api))).unwrap()
}

/// What DynamoDB counts: names and values in UTF-8, 3 bytes for each list or map and 1 for each thing in it, numbers at
/// most 21 ("DynamoDB item sizes and formats").
fn item_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 21,
        Value::String(text) => text.len(),
        Value::Array(list) => 3 + list.iter().map(|inner| 1 + item_bytes(inner)).sum::<usize>(),
        Value::Object(map) => 3 + map.iter().map(|(name, inner)| 1 + name.len() + item_bytes(inner)).sum::<usize>(),
    }
}

fn outcome(verdict: Verdict, at: Timestamp) -> Outcome {
    Outcome {
        started_at: at,
        finished_at: at,
        verdict,
        latency_ms: Some(u32::MAX),
        status_code: Some(599),
        reasons: if verdict == Verdict::Pass { vec![] } else { vec![DEAR.repeat(10_000)] },
        evidence: Some(Arc::new(largest_evidence(at))),
        certificate: None,
        figures: api_health_core::ProbeFigures::default(),
    }
}

fn largest_evidence(at: Timestamp) -> Evidence {
    let dear = |bytes: usize| DEAR.repeat(bytes / DEAR.len());
    Evidence {
        seen_at: at,
        addresses: vec![[0xff_u8; 16].into(); ADDRESSES_MAX],
        more_addresses: u16::MAX,
        address: Some(([0xff_u8; 16], u16::MAX).into()),
        phases: PhaseTimes { body: Some(Duration::from_micros(u64::MAX)), ..PhaseTimes::default() },
        status_line: Some(dear(STATUS_LINE_BYTES_MAX)),
        certificate: Some(Certificate {
            subject: dear(NAME_BYTES_MAX),
            issuer: dear(NAME_BYTES_MAX),
            not_before: at,
            not_after: at,
        }),
        body_start: Some(dear(BODY_SHOWN_BYTES_MAX)),
        well: vec![dear(WITNESS_BYTES_MAX); WITNESSES_MAX],
        ill: vec![dear(WITNESS_BYTES_MAX); WITNESSES_MAX],
    }
}

/// An API that went down and came back while three channels failed, until its outbox was full.
fn largest_state() -> ApiState {
    let api = largest_api();
    let mut state = ApiState { version: u64::MAX - 1, epoch: u64::MAX, ..ApiState::unknown(api.api_id.clone()) };
    state.missed_ticks = u64::MAX;
    // The year 9999: no later moment has a longer text that RFC 3339 can name.
    let channels = CHANNELS.map(str::to_owned);
    let mut now = Timestamp::parse("9999-01-01T00:00:00Z").unwrap();
    let mut incident = None;
    for n in 0..4 * OWED_MAX {
        now = now.plus(Duration::from_secs(10));
        let verdict = if n % 2 == 0 { Verdict::Fail } else { Verdict::Pass };
        state = decide(&state, &outcome(verdict, now), &api.policy(), &channels, now).next;
        incident = state.incident.clone().or(incident);
    }
    let ids: Vec<String> = state.owed.iter().map(|owed| owed.alert.alert_id.clone()).collect();
    for alert_id in &ids {
        for channel in CHANNELS {
            delivery::note_failure(&mut state.owed, alert_id, channel, &DEAR.repeat(10_000), now);
        }
    }
    // And history has none of what is over.
    let mut incident = *incident.unwrap();
    let told = DeliveredAlert { channel: CHANNELS[0].into(), kind: AlertKind::Closed, at: now };
    incident.delivered = vec![told; Incident::DELIVERED_MAX];
    let story = Story {
        end_evidence: incident.evidence.clone(),
        incident,
        began_at: now,
        ended_at: now,
        end_confirmed_at: now,
        is_closed: true,
        excluded_ms: u64::MAX >> 11,
    };
    state.awaiting_history = vec![story; AWAITING_HISTORY_MAX];
    // As if the next change were about to be confirmed.
    state.streak = Some(Streak { toward: Toward::Down, request_fingerprint: u16::MAX, count: u32::MAX, first_at: now });
    assert_eq!(invariant::first_broken(&state), None);
    state
}

#[test]
fn the_largest_record_fits_into_one_item() {
    let state = largest_state();
    assert_eq!(state.owed.len(), OWED_MAX);
    let error = state.owed[0].delivery("sns").and_then(|d| d.last_error.as_ref()).unwrap();
    assert_eq!(error.chars().count(), LAST_ERROR_CHARS_MAX);

    // As it is stored: the same record, whatever keeps it.
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    // As large as SQLite counts.
    let numbers = u64::try_from(i64::MAX).unwrap();
    let write =
        StateWrite { expected_version: 0, state: Arc::new(ApiState { version: numbers, epoch: numbers, ..state }) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(store.commit(vec![write])), [Ok(())]);
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    let text: String = connection.query_row("SELECT record FROM api_health_states", [], |row| row.get(0)).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    let bytes = item_bytes(&record);
    assert!((200_000..ITEM_BYTES_MAX).contains(&bytes), "{bytes} bytes");
}

#[test]
fn every_text_of_the_largest_alert_keeps_its_bound() {
    let state = largest_state();
    for owed in &state.owed {
        let environment = DEAR.repeat(10_000);
        let message = Message::new(&owed.alert, &environment, NOW);
        assert!(message.subject().len() <= 100 && message.sms().len() <= 140);
        assert!(message.text().len() < 10_000 && message.json().len() < 10_000, "{}", message.json().len());
    }
}

#[test]
fn a_request_has_a_bounded_head() {
    // 50 headers of 256 and 8,192 bytes, and a URL of 2,048.
    let headers: serde_json::Map<String, Value> =
        (0..HEADERS_MAX).map(|n| (format!("{n:x>256}"), Value::from("v".repeat(8_192)))).collect();
    let api = json!({ "api_id": "a", "url": "https://a.test/", "headers": headers });
    let api = rules().check(&row(fields(api))).unwrap();
    let bytes: usize = api.headers.iter().map(|(name, value)| name.len() + value.reveal().len() + 4).sum();
    assert!(bytes < 430_000, "{bytes}");
}
