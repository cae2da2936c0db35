//! `status` and `alerts …` from outside, over a store with states of every sort.

use std::sync::Arc;
use std::time::Duration;

use api_health::sqlite::SqliteFile;
use api_health::store::sqlite::SqliteStateStore;
use api_health_actors::ports::StateStore;
use api_health_core::delivery::{Delivery, OwedAlert};
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::state::{LastProbe, Streak, Toward};
use api_health_core::store::StateWrite;
use api_health_core::{Alert, AlertKind, ApiId, ApiState, Heartbeat, Status, Timestamp};

use super::cli::Place;
use super::cli_probe::listener;

/// 2026-01-01.
const THEN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn state(api_id: &str, status: Status) -> ApiState {
    let verdict = if status == Status::Down { Verdict::Fail } else { Verdict::Pass };
    let error = (status == Status::Down).then(|| "status 503 is not in 2xx".to_owned());
    let last_probe = Some(LastProbe { at: THEN, verdict, latency_ms: Some(87), status_code: Some(200), error });
    let since = Some(THEN);
    ApiState { version: 1, status, since, last_probe, ..ApiState::unknown(ApiId::parse(api_id).unwrap()) }
}

/// The first write of a record.
fn written_first(state: ApiState) -> StateWrite {
    StateWrite { over: 0, state: Arc::new(state) }
}

fn channels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One is down and owes an alert, one is up and suspect, one is up, and one record makes no sense.
fn store(place: &Place) {
    for id in ["a-up", "b-suspect", "c-down"] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id]);
    }
    let mut suspect = state("b-suspect", Status::Up);
    suspect.streak = Some(Streak { toward: Toward::Down, question: 0, count: 1, first_at: THEN });
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
    }));
    down.last_told = Status::Down;
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
    };
    down.owed = vec![OwedAlert {
        alert,
        owed_to: channels(&["webhook", "terminal"]),
        deliveries: vec![Delivery { channel: "terminal".into(), delivered: true, ..Delivery::default() }],
    }];
    let writes = [state("a-up", Status::Up), suspect, down, state("gone", Status::Up)].map(written_first).to_vec();
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(SqliteStateStore::open(&file).unwrap().commit(writes));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.execute("INSERT INTO api_health_states VALUES ('broken', 1, 'up', 'nonsense')", []).unwrap();
}

#[test]
fn the_table_has_what_is_down_first_and_names_what_cannot_be_read() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let ran = place.run(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("API") && lines[1].starts_with("c-down"), "{}", ran.out);
    assert!(lines[1].contains("DOWN") && lines[1].contains(" ago); owes 1 alert to webhook"));
    assert!(
        lines[1].contains("status 503 is not in 2xx (as of "),
        "its age is told where the row is behind: {}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("b-suspect") && lines[2].contains("suspect: 1 of 2 fails; 3 missed ticks (as of "),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("a-up") && lines[3].contains("87 ms") && lines[3].contains(" d "), "{}", lines[3]);
    assert!(lines[4].starts_with("gone") && lines[4].contains("not in the table or file"));
    assert_eq!(lines.last(), Some(&"1 down, 3 up; 1 suspect; 1 alert owed (api-health alerts list)"));
    assert!(ran.err.contains("broken") && ran.err.contains("nothing was probed for"), "{}", ran.err);
    let down = place.ok(&["status", "--down"]);
    assert!(down.contains("c-down") && !down.contains("a-up"), "{down}");
}

#[test]
fn json_has_the_documented_names() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let status = place.json(&["status"]);
    assert_eq!(status["schema"], 1);
    assert_eq!(status["summary"]["down"], 1);
    assert_eq!(status["summary"]["up"], 3);
    assert_eq!(status["summary"]["owed_alerts"], 1);
    assert_eq!(status["unreadable"][0]["api_id"], "broken");
    let down = &status["apis"][0];
    assert_eq!((&down["api_id"], &down["status"]), (&"c-down".into(), &"down".into()));
    assert_eq!(down["since"], "2026-01-01T00:00:00.000Z");
    assert_eq!(down["last_probe"]["error"], "status 503 is not in 2xx");
    assert_eq!(down["incident"]["incident_id"], "c-down.1.1");
    let suspect = &status["apis"][1]["suspect"];
    assert_eq!((&suspect["count"], &suspect["needed"], &suspect["toward"]), (&1.into(), &2.into(), &"down".into()));
    // The help names every field that there is.
    let help = place.ok(&["status", "--help"]);
    for (name, _) in status.as_object().unwrap().iter().chain(down.as_object().unwrap()) {
        assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
    }

    let alerts = place.json(&["alerts", "list"]);
    let owed = &alerts["owed"][0];
    assert_eq!((&owed["alert_id"], &owed["kind"]), (&"c-down.1.1.down".into(), &"down".into()));
    assert_eq!(owed["detected_at"], "2026-01-01T00:00:00.000Z");
    let help = place.ok(&["alerts", "list", "--help"]).split_whitespace().collect::<String>();
    for (name, _) in owed.as_object().unwrap() {
        assert!(help.contains(name.as_str()), "{name} is not in the help");
    }
}

#[test]
fn owed_alerts_are_listed_with_the_channels_that_lack_them() {
    let place = Place::new();
    store(&place);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let list = place.ok(&["alerts", "list"]);
    assert!(list.lines().nth(1).unwrap().starts_with("c-down  DOWN"), "{list}");
    assert!(list.contains("  webhook: no failed attempt") && !list.contains("terminal"), "{list}");
    assert!(!list.contains('\u{1b}'), "a name cannot colour the terminal");
}

/// A store with what is given and no configs.
fn only(place: &Place, states: Vec<ApiState>) {
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let writes = states.into_iter().map(written_first).collect();
    let results = runtime.block_on(SqliteStateStore::open(&file).unwrap().commit(writes));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn owing(api_id: ApiId, alert_id: &str, owed_to: &[&str], deliveries: Vec<Delivery>) -> OwedAlert {
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
    };
    OwedAlert { alert, owed_to: channels(owed_to), deliveries }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads the clock")]
fn owed_alerts_are_listed_with_what_came_of_each_attempt_and_when_the_next_one_comes() {
    let place = Place::new();
    let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = Timestamp::from_millis(i64::try_from(millis).unwrap());
    let in_two_hours = now.plus(std::time::Duration::from_secs(2 * 3_600 + 30));
    let failed = |next_try_at| Delivery {
        channel: "webhook".into(),
        delivered: false,
        failures: 3,
        last_error: Some("it answered 503 \u{1b}[31m".into()),
        next_try_at: Some(next_try_at),
    };
    let both = ["webhook", "terminal"];
    let has_it = |channel: &str| Delivery { channel: channel.into(), delivered: true, ..Delivery::default() };
    let mut a = state("a", Status::Up);
    a.last_told = Status::Up;
    a.owed = vec![
        owing(a.api_id.clone(), "a.1.down", &both, vec![failed(in_two_hours), has_it("terminal")]),
        owing(a.api_id.clone(), "a.1.up", &both, vec![has_it("terminal")]),
    ];
    let mut b = state("b", Status::Up);
    b.last_told = Status::Up;
    // From before alerts named their channels: it is owed to those that are set.
    b.owed = vec![owing(b.api_id.clone(), "b.1.up", &[], vec![failed(THEN)])];
    // Such a one that every channel that is set has: it is owed to nobody, whatever else is noted.
    let mut c = state("c", Status::Up);
    c.last_told = Status::Up;
    c.owed = vec![owing(c.api_id.clone(), "c.1.up", &[], vec![has_it("terminal"), has_it("webhook"), has_it("sns")])];
    // And this one to a channel that is set no more.
    let mut d = state("d", Status::Up);
    d.last_told = Status::Up;
    let sns = Delivery { channel: "sns".into(), ..failed(THEN) };
    let all = ["terminal", "webhook", "sns"];
    d.owed = vec![owing(d.api_id.clone(), "d.1.up", &all, vec![has_it("terminal"), has_it("webhook"), sns])];
    only(&place, vec![a, b, c, d]);
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n[notify.terminal]\n");
    let ran = place.run(&["alerts", "list"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("API") && lines[1].starts_with("a    DOWN"), "{}", ran.out);
    assert!(
        lines[2]
            .starts_with("  webhook: 3 attempts failed, the last one: it answered 503 \u{fffd}[31m; next try in 2 h"),
        "{}",
        ran.out
    );
    assert!(lines[3].starts_with("a    UP") && lines[3].ends_with("a.1.up"), "{}", ran.out);
    assert_eq!(lines[4], "  webhook: no failed attempt is stored; it waits for the alert before it");
    assert!(lines[5].starts_with("b    UP"), "{}", ran.out);
    assert_eq!(lines[6], "  webhook: 3 attempts failed, the last one: it answered 503 \u{fffd}[31m; next try now");
    assert_eq!(lines[7], "  terminal: no failed attempt is stored");
    assert!(lines[8].starts_with("d    UP"), "{}", ran.out);
    assert!(lines[9].starts_with("  sns (not set here): 3 attempts failed"), "{}", ran.out);
    assert_eq!(lines.len(), 10, "{}", ran.out);
    assert!(ran.err.contains("alerts retry"), "{}", ran.err);

    let list = place.json(&["alerts", "list"]);
    let delivery = &list["owed"][0]["deliveries"][0];
    assert_eq!((&delivery["channel"], &delivery["failures"]), (&"webhook".into(), &3.into()));
    assert_eq!(delivery["next_try_at"], in_two_hours.to_string());
    assert_eq!(list["owed"][0]["owed_to"], serde_json::json!(["webhook"]));
    assert_eq!(list["owed"][1]["deliveries"].as_array().unwrap().len(), 2, "one that was not tried is there as well");
    assert_eq!(list["owed"][2]["owed_to"], serde_json::json!(["webhook", "terminal"]));
    assert_eq!(place.json(&["status"])["summary"]["owed_alerts"], 4);
}

#[test]
fn the_monitor_s_own_states_are_no_apis_and_say_what_is_not_probed() {
    let place = Place::new();
    for id in ["shop", "well"] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id]);
    }
    let own = |api_id: ApiId, name: &str, reason: &str| {
        let mut own = state("x", Status::Down);
        own.incident = Some(Box::new(Incident {
            incident_id: format!("{api_id}.1.1"),
            started_at: THEN,
            reason: reason.into(),
            name: name.into(),
            url: String::new(),
            owed_to: vec![],
        }));
        own.last_told = Status::Down;
        own.owed = vec![owing(api_id.clone(), &format!("{api_id}.1.1.down"), &["terminal"], vec![])];
        own.api_id = api_id;
        own
    };
    let shop = ApiId::parse("shop").unwrap();
    only(
        &place,
        vec![
            state("shop", Status::Up),
            state("well", Status::Up),
            own(ApiId::own_prober(&shop), "api-health's prober of Shop", "it died 5 times: Panicked"),
            own(ApiId::own_store(), "api-health's store (SQLite file x)", "it takes no writes: disk full"),
        ],
    );
    let ran = place.run(&["status"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[1].starts_with("shop  UNKNOWN") && lines[1].contains("not probed: it died 5 times"), "{}", ran.out);
    assert!(lines[2].starts_with("well  up"), "{}", ran.out);
    assert_eq!(lines.last(), Some(&"1 up, 1 unknown; 2 alerts owed (api-health alerts list)"));
    assert_eq!(lines.len(), 5, "{}", ran.out);
    assert!(
        ran.err.contains("api-health's store (SQLite file x), since") && ran.err.contains("disk full"),
        "{}",
        ran.err
    );
    let status = place.json(&["status"]);
    assert_eq!(status["apis"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(
        (&status["summary"]["up"], &status["summary"]["down"], &status["summary"]["unknown"]),
        (&1.into(), &0.into(), &1.into())
    );
    let shop = &status["apis"][0];
    assert_eq!(
        (&shop["status"], &shop["not_probed"]["reason"]),
        (&"unknown".into(), &"it died 5 times: Panicked".into())
    );
    assert_eq!(shop["since"], THEN.to_string());
    assert_eq!(status["apis"][1]["not_probed"], serde_json::Value::Null);
    assert_eq!(status["store_trouble"]["reason"], "it takes no writes: disk full");
}

#[test]
fn without_a_store_it_says_what_to_do_and_creates_none() {
    let place = Place::new();
    for args in [&["status"][..], &["status", "--json"], &["alerts", "list"], &["alerts", "retry"], &["apis", "export"]]
    {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
        assert!(ran.err.contains("api-health.db is not there") && ran.err.contains("write `api-health"), "{}", ran.err);
    }
    assert!(place.files().is_empty());
    place.write("api-health.db", "this is not a database, but it is long enough to be looked at as if it were one");
    let ran = place.run(&["status"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.err.contains("is not an SQLite file"), "{}", ran.err);
}

#[test]
fn a_test_alert_is_told_for_each_channel() {
    let place = Place::new();
    let out = place.ok(&["alerts", "test"]);
    assert!(out.contains("DOWN api-health test alert") && out.contains("nothing is down"), "{out}");
    assert!(out.contains("terminal  took it over in"), "{out}");
    let taken = listener("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    place.write("api-health.toml", &format!("[notify.webhook]\nurl = \"http://{taken}/hunter2\"\n"));
    assert!(place.ok(&["alerts", "test"]).contains("webhook   took it over in"));
    place.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/hunter2\"\n[notify.terminal]\n");
    let ran = place.run(&["alerts", "test"]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.out.contains("webhook   did not take it") && ran.out.contains("terminal  took it"), "{}", ran.out);
    assert!(ran.err.contains("1 of 2 channels") && !(ran.out + &ran.err).contains("hunter2"));
    assert_eq!(place.files(), ["api-health.toml"], "nothing is stored of a test");
}

/// Ends the program with the test, however the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test that waits for another process")]
fn it_works_while_the_daemon_runs() {
    let place = Place::new();
    let url = format!("http://{}/", listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let mut command = place.command(&["run", &url]);
    let quiet = std::process::Stdio::null;
    let mut daemon = Running(command.stdout(quiet()).stderr(quiet()).spawn().unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let ran = place.run(&["status", "--json"]);
        let status: Option<serde_json::Value> = serde_json::from_str(&ran.out).ok();
        if status.is_some_and(|status| status["apis"][0]["status"] == "up" && status["apis"][0]["configured"] == false)
        {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "never up: {ran:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(daemon.0.try_wait().unwrap().is_none(), "the daemon goes on");
}

/// Writes a heartbeat so many seconds before now.
fn beat(place: &Place, age_seconds: u64, change: impl FnOnce(&mut Heartbeat)) {
    let now = Timestamp::parse(&jiff_now()).unwrap();
    let at = Timestamp::from_millis(now.as_millis() - i64::try_from(age_seconds * 1_000).unwrap());
    let mut heartbeat = Heartbeat {
        at,
        instance: "ip-10-0-1-7:4711:1795332600250".into(),
        version: "0.1.0".into(),
        period: Some(Duration::from_secs(60)),
        checkpoint: Duration::from_secs(3_600),
        apis: 1_000,
        up: 999,
        down: 1,
        unknown: 0,
        owed: 0,
        probes: 1_000,
        probes_since: at,
        late: 0,
        late_api_ids: vec![],
        inconclusive: 0,
        inconclusive_api_ids: vec![],
    };
    change(&mut heartbeat);
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(SqliteStateStore::open(&file).unwrap().write_heartbeat(heartbeat)).unwrap();
}

/// Has these rows say that their last probe was so many seconds before now.
fn probed(place: &Place, ids: &[&str], age_seconds: u64) {
    let at = Timestamp::parse(&jiff_now()).unwrap().as_millis() - i64::try_from(age_seconds * 1_000).unwrap();
    let file = SqliteFile::open(place.path("api-health.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for id in ids {
        let stored = runtime.block_on(store.load(ApiId::parse(id).unwrap())).unwrap();
        let mut state = stored.unwrap().unwrap();
        let over = state.version;
        state.version += 1;
        state.last_probe.as_mut().unwrap().at = Timestamp::from_millis(at);
        let write = StateWrite { over, state: Arc::new(state) };
        assert!(runtime.block_on(store.commit(vec![write])).iter().all(Result::is_ok));
    }
}

/// The present, by the program's own clock.
fn jiff_now() -> String {
    use api_health_actors::ports::Clock;
    api_health::clock::SystemClock.now().to_string()
}

#[test]
fn a_fresh_heartbeat_says_that_old_rows_are_of_apis_that_are_probed_on_time() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up", "b-suspect", "gone"], 1_800);
    beat(&place, 12, |beat| {
        beat.late = 1;
        beat.late_api_ids = vec![ApiId::parse("b-suspect").unwrap()];
    });
    let ran = place.run(&["status"]);
    let line = |id: &str| ran.out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains("on time") && line("a-up").contains("87 ms, "), "{}", ran.out);
    assert!(line("b-suspect").contains(" ago, late"), "{}", ran.out);
    assert!(!line("gone").contains("on time"), "of what is not configured it says nothing: {}", ran.out);
    let footer = ran.out.lines().last().unwrap();
    assert!(footer.starts_with("watched by ip-10-0-1-7, "), "{footer}");
    assert!(footer.ends_with(" ago: 1,000 APIs, 1 late (b-suspect)"), "{footer}");
    assert!(!ran.err.contains("nothing was probed for") && !ran.err.contains("heartbeat"), "{}", ran.err);
    let status = place.json(&["status"]);
    let api = |id: &str| status["apis"].as_array().unwrap().iter().find(|api| api["api_id"] == id).unwrap().clone();
    assert_eq!((&api("a-up")["on_time"], &api("b-suspect")["on_time"]), (&true.into(), &false.into()));
    assert!(api("gone")["on_time"].is_null());
    let heartbeat = &status["heartbeat"];
    assert_eq!(
        (&heartbeat["apis"], &heartbeat["late"], &heartbeat["is_overdue"]),
        (&1_000.into(), &1.into(), &false.into())
    );
    assert_eq!(heartbeat["late_api_ids"][0], "b-suspect");
    let help = place.ok(&["status", "--help"]);
    for (name, _) in heartbeat.as_object().unwrap() {
        assert!(help.contains(name.as_str()), "{name} is not in the help");
    }
}

#[test]
fn whose_last_probe_could_not_tell_is_never_on_time_and_is_counted() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up", "b-suspect"], 1_800);
    let blind = |count, named: &[&str]| {
        beat(&place, 12, |beat| {
            beat.inconclusive = count;
            beat.inconclusive_api_ids = named.iter().map(|id| ApiId::parse(id).unwrap()).collect();
        });
        (place.run(&["status"]).out, place.json(&["status"]))
    };
    let (out, status) = blind(1, &["a-up"]);
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains(" ago, now it cannot be told") && !line("a-up").contains("on time"), "{out}");
    assert!(line("b-suspect").contains("on time"), "{out}");
    assert!(out.lines().last().unwrap().ends_with(": 1,000 APIs, 0 late, 1 could not be told (a-up)"), "{out}");
    let on_time = |status: &serde_json::Value, id: &str| {
        let apis = status["apis"].as_array().unwrap();
        apis.iter().find(|api| api["api_id"] == id).unwrap()["on_time"].clone()
    };
    assert!(on_time(&status, "a-up").is_null() && on_time(&status, "b-suspect") == true, "{status}");
    assert_eq!(
        (&status["heartbeat"]["inconclusive"], &status["heartbeat"]["inconclusive_api_ids"][0]),
        (&1.into(), &"a-up".into())
    );
    // Not all of them are named, so any may be one.
    let (out, status) = blind(1_000, &["a-up"]);
    assert!(!out.contains("on time") && out.contains("1,000 could not be told (a-up, …)"), "{out}");
    assert!(on_time(&status, "b-suspect").is_null());
}

#[test]
fn a_heartbeat_vouches_for_no_api_that_nobody_watches() {
    let place = Place::new();
    store(&place);
    // A checkpoint, the gap, twice the timeout and some slack: with the defaults, an hour and two minutes at most.
    probed(&place, &["a-up"], 3_630);
    probed(&place, &["b-suspect"], 4_000);
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "new"]);
    beat(&place, 12, |_| {});
    let out = place.run(&["status"]).out;
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("a-up").contains("on time"), "{out}");
    assert!(!line("b-suspect").contains("on time") && line("b-suspect").contains(" ago"), "{out}");
    // One that is not known, although its row is as fresh as can be.
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    let unknown = "UPDATE api_health_states SET status = 'unknown', record = json_set(record, '$.status', 'unknown') WHERE api_id = 'a-up'";
    assert_eq!(connection.execute(unknown, []).unwrap(), 1);
    let status = place.json(&["status"]);
    for id in ["a-up", "b-suspect", "new"] {
        let api = status["apis"].as_array().unwrap().iter().find(|api| api["api_id"] == id).unwrap();
        assert!(api["on_time"].is_null(), "{api}");
    }
}

#[test]
fn heartbeats_that_were_switched_off_are_no_alarm() {
    let place = Place::new();
    store(&place);
    probed(&place, &["a-up"], 5);
    beat(&place, 86_400, |_| {});
    assert!(place.run(&["status"]).err.contains("does not run"), "they are expected");
    place.write("api-health.toml", "[store]\nheartbeat_seconds = 0\n");
    let ran = place.run(&["status"]);
    assert!(!ran.err.contains("heartbeat") && !ran.err.contains("does not run"), "{}", ran.err);
    let footer = ran.out.lines().last().unwrap();
    assert!(
        footer.starts_with("heartbeats are off (store.heartbeat_seconds = 0); the last one came from ip-10-0-1-7, 1 d"),
        "{footer}"
    );
    assert_eq!(place.json(&["status"])["heartbeat"]["is_overdue"], false);
    probed(&place, &["a-up"], 86_400);
    assert!(place.run(&["status"]).err.contains("nothing was probed for"), "the rows themselves still tell");
}

#[test]
fn it_changes_nothing_and_needs_no_permission_to_write() {
    let place = Place::new();
    place.write("api-health.db", "");
    assert_eq!(place.run(&["status"]).code, 1, "an empty file holds nothing");
    assert_eq!(std::fs::metadata(place.path("api-health.db")).unwrap().len(), 0);
    std::fs::remove_file(place.path("api-health.db")).unwrap();
    store(&place);
    let (before, files) = (std::fs::read(place.path("api-health.db")).unwrap(), place.files());
    place.ok(&["status"]);
    assert!(std::fs::read(place.path("api-health.db")).unwrap() == before);
    assert_eq!(place.files(), files);
}

#[test]
fn an_old_heartbeat_says_that_nobody_watches_and_vouches_for_nothing() {
    let place = Place::new();
    store(&place);
    beat(&place, 3_600, |_| {});
    let ran = place.run(&["status"]);
    assert!(!ran.out.contains("on time"), "{}", ran.out);
    assert!(
        ran.err.contains("the last heartbeat is 1 h") && ran.err.contains("does not run on ip-10-0-1-7"),
        "{}",
        ran.err
    );
    let status = place.json(&["status"]);
    assert_eq!(status["heartbeat"]["is_overdue"], true);
    assert!(status["apis"].as_array().unwrap().iter().all(|api| api["on_time"].is_null()));
}

#[test]
fn the_heartbeat_of_a_single_round_is_never_overdue_and_vouches_for_nothing() {
    let place = Place::new();
    store(&place);
    beat(&place, 86_400, |beat| beat.period = None);
    let ran = place.run(&["status"]);
    assert!(ran.out.lines().last().unwrap().starts_with("a single round by ip-10-0-1-7, 1 d"), "{}", ran.out);
    assert!(!ran.out.contains("on time") && !ran.err.contains("heartbeat"), "{ran:?}");
    assert!(ran.err.contains("nothing was probed for"), "{}", ran.err);
    let connection = rusqlite::Connection::open(place.path("api-health.db")).unwrap();
    connection.execute("UPDATE api_health_heartbeat SET record = '{'", []).unwrap();
    let ran = place.run(&["status"]);
    assert!(ran.code == 0 && ran.err.contains("the heartbeat cannot be read"), "{ran:?}");
}

#[test]
fn a_round_of_cron_leaves_a_heartbeat() {
    let place = Place::new();
    let url = format!("http://{}/", super::cli_probe::listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    place.ok(&["apis", "add", "--url", &url, "--id", "shop"]);
    assert!(place.json(&["status"])["heartbeat"].is_null());
    place.ok(&["run", "--once"]);
    let heartbeat = place.json(&["status"])["heartbeat"].clone();
    assert_eq!(
        (&heartbeat["apis"], &heartbeat["up"], &heartbeat["late"]),
        (&1.into(), &1.into(), &0.into()),
        "{heartbeat}"
    );
    assert!(heartbeat["heartbeat_seconds"].is_null());
}
