//! Stores with states of every sort, written as the daemon writes them.

use std::sync::Arc;

use api_health::sqlite::SqliteFile;
use api_health::store::sqlite::SqliteStateStore;
use api_health_actors::ports::{Clock, StateStore};
use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::state::{LastProbe, Streak, Toward};
use api_health_core::store::StateWrite;
use api_health_core::{Alert, AlertKind, ApiId, ApiState, Status, Timestamp};

use super::cli::Place;

/// 2026-01-01.
pub(crate) const THEN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

pub(crate) fn state(api_id: &str, status: Status) -> ApiState {
    let verdict = if status == Status::Down { Verdict::Fail } else { Verdict::Pass };
    let error = (status == Status::Down).then(|| "status 503 is not in 2xx".to_owned());
    let last_probe = Some(LastProbe { at: THEN, verdict, latency_ms: Some(87), status_code: Some(200), error });
    let since = Some(THEN);
    ApiState { version: 1, status, since, last_probe, ..ApiState::unknown(ApiId::parse(api_id).unwrap()) }
}

/// The first write of a record.
fn written_first(state: ApiState) -> StateWrite {
    StateWrite { expected_version: 0, state: Arc::new(state) }
}

pub(crate) fn channels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One is down and owes an alert, one is up and suspect, one is up, and one record makes no sense.
pub(crate) fn store(place: &Place) {
    for id in ["a-up", "b-suspect", "c-down"] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id]);
    }
    let mut suspect = state("b-suspect", Status::Up);
    suspect.streak = Some(Streak { toward: Toward::Down, request_fingerprint: 0, count: 1, first_at: THEN });
    suspect.missed_ticks = 3;
    let mut down = state("c-down", Status::Down);
    let incident_id = "c-down.1.1".to_owned();
    down.incident = Some(Box::new(Incident {
        incident_id: incident_id.clone(),
        started_at: THEN,
        reason: "r".into(),
        name: "Shop".into(),
        url: "http://127.0.0.1:1/".into(),
        owed_to: vec![],
        evidence: None,
        reminders: 0,
        confirmed_at: None,
        delivered: Vec::new(),
    }));
    down.last_alerted = Status::Down;
    let alert = Alert {
        alert_id: Alert::id(&incident_id, AlertKind::Down),
        incident_id,
        kind: AlertKind::Down,
        api_id: down.api_id.clone(),
        name: "Shop \u{1b}[31m".into(),
        url: "http://127.0.0.1:1/".into(),
        previous_status: Status::Up,
        happened_at: THEN,
        detected_at: THEN,
        incident_started_at: THEN,
        reason: "r".into(),
        changes_left_out: 0,
        evidence: None,
    };
    down.owed = vec![OwedAlert {
        alert,
        owed_to: channels(&["webhook", "terminal"]),
        deliveries: vec![Delivery { channel: "terminal".into(), delivered: true, ..Delivery::default() }],
    }];
    only(place, vec![state("a-up", Status::Up), suspect, down, state("gone", Status::Up)]);
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    connection.execute("INSERT INTO api_health_states VALUES ('broken', 1, 'up', 'nonsense')", []).unwrap();
}

/// A store with what is given and no configs.
pub(crate) fn only(place: &Place, states: Vec<ApiState>) {
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let writes = states.into_iter().map(written_first).collect();
    let results = runtime.block_on(SqliteStateStore::open(&file).unwrap().commit(writes));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

pub(crate) fn owing(api_id: ApiId, alert_id: &str, owed_to: &[&str], deliveries: Vec<Delivery>) -> OwedAlert {
    let alert = Alert {
        alert_id: alert_id.into(),
        incident_id: "i".into(),
        kind: if alert_id.ends_with("up") { AlertKind::Up } else { AlertKind::Down },
        api_id,
        name: "Shop".into(),
        url: "http://127.0.0.1:1/".into(),
        previous_status: Status::Up,
        happened_at: THEN,
        detected_at: THEN,
        incident_started_at: THEN,
        reason: "r".into(),
        changes_left_out: 0,
        evidence: None,
    };
    OwedAlert { alert, owed_to: channels(owed_to), deliveries }
}

/// The present, by the program's own clock.
pub(crate) fn now() -> Timestamp {
    api_health::clock::SystemClock.now()
}
