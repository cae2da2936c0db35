//! `explain` from outside, over stores with states of every sort and beside a daemon.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::evidence::Certificate;
use api_health_core::hold::Held;
use api_health_core::incident::Incident;
use api_health_core::maintenance::Maintenance;
use api_health_core::recent::{Recent, RecentAlert, Run};
use api_health_core::{AlertKind, ApiId, ApiState, Evidence, PhaseTimes, Status, Verdict};

use super::cli::Place;
use super::cli_probe::listener;
use super::stored::{THEN, only, owing, state, store};

/// `c-down` of [`store`] with all that a record can hold of an outage.
fn down(place: &Place) {
    place.ok(&["apis", "add", "--url", "https://shop.test/health", "--id", "c-down", "--set", "interval_seconds=30"]);
    let mut down = state("c-down", Status::Down);
    let evidence = Evidence {
        seen_at: THEN,
        addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
        address: Some("10.0.0.2:443".parse().unwrap()),
        phases: PhaseTimes { connect: Some(Duration::from_millis(12)), ..PhaseTimes::default() },
        status_line: Some("HTTP/1.1 503 Service Unavailable".into()),
        certificate: Some(Certificate {
            subject: "shop.test".into(),
            issuer: "Test CA".into(),
            not_before: THEN,
            not_after: THEN.plus(Duration::from_secs(90 * 86_400)),
        }),
        body_start: Some("<h1>Not \u{1b}[31mnow</h1>".into()),
        well: vec!["name server 10.0.0.53".into()],
        ..Evidence::default()
    };
    down.incident = Some(Box::new(Incident {
        incident_id: "c-down.1.1".into(),
        started_at: THEN,
        reason: "status 503 is not in 2xx".into(),
        name: "Shop".into(),
        url: "https://shop.test/health".into(),
        owed_to: vec![],
        reminders: 0,
        confirmed_at: None,
        delivered: Vec::new(),
        evidence: Some(Arc::new(evidence)),
    }));
    down.last_alerted = Status::Down;
    down.owed = vec![owing(down.api_id.clone(), "c-down.1.1.down", &["terminal", "webhook"], vec![])];
    let before = |seconds: u64| api_health_core::Timestamp::from_millis(THEN.as_millis() - 1_000 * seconds as i64);
    down.recent = Recent::of(
        [
            Run::new(Verdict::Fail, Some(503), 2, THEN),
            Run::new(Verdict::Pass, Some(200), 1_440, before(43_200)),
            Run::new(Verdict::Fail, None, 1, before(43_230)),
        ],
        [
            RecentAlert { kind: AlertKind::Down, happened_at: THEN, detected_at: THEN },
            RecentAlert { kind: AlertKind::Up, happened_at: before(86_400), detected_at: before(86_395) },
        ],
    );
    only(place, vec![down]);
}

#[test]
fn the_story_of_an_outage_has_what_happened_why_what_was_seen_told_and_comes_next() {
    let place = Place::new();
    down(&place);
    let ran = place.run(&["explain", "c-down"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in [
        "c-down is DOWN since 2026-01-01 00:00:00 UTC (",
        "GET https://shop.test/health, from ",
        "When it was confirmed: status 503 is not in 2xx.",
        "Seen: HTTP/1.1 503 Service Unavailable, from 10.0.0.2:443, one of 2 addresses",
        "Took: connect 12 ms",
        "Certificate: of shop.test, by Test CA, from 2026-01-01 to 2026-04-01",
        "Body: <h1>Not \u{fffd}[31mnow</h1>",
        "Witnesses: well: name server 10.0.0.53",
        "2 fails with status 503, from 2026-01-01 00:00:00 UTC to ",
        "1440 passes with status 200, from 2025-12-31 12:00:00 UTC to 2026-01-01 00:00:00 UTC",
        "1 fail without an answer, 2025-12-31 11:59:30 UTC",
        "DOWN of 2026-01-01 00:00:00 UTC, confirmed 2026-01-01 00:00:00 UTC: terminal does not have it yet; webhook does not have it",
        "UP of 2025-12-31 00:00:00 UTC, confirmed 2025-12-31 00:00:05 UTC: every channel has it",
        "It is probed within 30 s.",
        "An outage is told within ",
    ] {
        assert!(ran.out.contains(said), "{said}\n{}", ran.out);
    }
    assert!(ran.err.contains("no process watches by this store"), "{}", ran.err);
}

#[test]
fn json_has_the_documented_names_and_says_the_same() {
    let place = Place::new();
    down(&place);
    let story = place.json(&["explain", "c-down"]);
    assert_eq!((&story["schema"], &story["status"]), (&1.into(), &"down".into()));
    assert_eq!(story["incident"]["evidence"]["certificate"]["subject"], "shop.test");
    assert_eq!(story["incident"]["evidence"]["phases"]["connect_ms"], 12.0);
    assert_eq!((&story["outcomes"][1]["count"], &story["outcomes"][2]["status_code"]), (&1_440.into(), &().into()));
    assert_eq!(story["told"][0]["waits_for"][1]["channel"], "webhook");
    assert_eq!(story["told"][1]["waits_for"], serde_json::json!([]));
    assert_eq!((&story["next_probe"]["at"], &story["next_probe"]["within_seconds"]), (&().into(), &30.into()));
    assert_eq!(story["told_within_seconds"], place.json(&["apis", "show", "c-down"])["told_within_seconds"]);
    let help = place.ok(&["explain", "--help"]);
    let named = |value: &serde_json::Value| {
        for (name, _) in value.as_object().unwrap() {
            assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
        }
    };
    let (incident, told) = (&story["incident"], &story["told"][0]);
    let parts = [&story, incident, &incident["evidence"], &incident["evidence"]["phases"], told, &told["waits_for"][0]];
    parts.into_iter().chain([&story["outcomes"][0], &story["next_probe"]]).for_each(named);
}

#[test]
fn it_says_of_each_other_state_why_it_is_so_and_what_comes_next() {
    let place = Place::new();
    store(&place);
    place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", "new", "--set", "schedule=0 3 * * *"]);
    let said = |api_id: &str, words: &[&str]| {
        let out = place.ok(&["explain", api_id]);
        words.iter().for_each(|word| assert!(out.contains(word), "{word}\n{out}"));
    };
    said("a-up", &["a-up is up since ", "The last outcome that was confirmed is a pass."]);
    said(
        "b-suspect",
        &["It is suspect: 1 of 2 fails in a row speak against that.", "It is probed at once", "again since"],
    );
    said("gone", &["gone is up", "It is not probed: it is not configured."]);
    said("new", &["new is unknown\n", "It was never probed.", "It is probed in ", " 03:0", "1 d to the next probe"]);
    place.ok(&["apis", "edit", "new", "--set", "enabled=false"]);
    said("new", &["It is not probed: it is disabled."]);
    let broken = place.run(&["explain", "broken"]);
    assert_eq!(broken.code, 69, "{broken:?}");
    assert!(broken.err.contains("the stored state of broken cannot be read"), "{}", broken.err);
}

#[test]
fn it_says_why_changes_are_not_told_and_what_is_told_beside_them() {
    let until = THEN.plus(Duration::from_secs(400 * 365 * 86_400));
    let window = Maintenance { since: THEN, until, note: "disks".into() };
    let mut shop = state("shop", Status::Up);
    let mut certificate = state("shop", Status::Down);
    certificate.api_id = ApiId::monitor_certificate(&shop.api_id);
    let incident = Incident {
        incident_id: "1".into(),
        started_at: THEN,
        reason: "its certificate ends in 13 days".into(),
        name: "shop".into(),
        url: String::new(),
        owed_to: vec![],
        reminders: 0,
        evidence: None,
        confirmed_at: None,
        delivered: vec![],
    };
    (certificate.incident, certificate.last_alerted) = (Some(Box::new(incident)), Status::Down);
    shop.maintenance = Some(Box::new(window));
    let said = |shop: &ApiState, words: &[&str]| {
        let place = Place::new();
        place.ok(&["apis", "add", "--url", "tcp://127.0.0.1:1", "--id", "shop"]);
        only(&place, vec![shop.clone(), certificate.clone()]);
        let out = place.ok(&["explain", "shop"]);
        words.iter().for_each(|word| assert!(out.contains(word), "{word}\n{out}"));
    };
    let open = format!("Changes are not told just now: maintenance until {until}: disks.");
    said(&shop, &["shop, tcp://127.0.0.1:1, from ", &open, " ago: its certificate ends in 13 days."]);
    let held = Held { from: Status::Unknown, changes: 1, confirmed_at: THEN, why: "db is down".into(), ended: None };
    shop.held = Some(Box::new(held));
    said(&shop, &["Its last change is not told yet: db is down. It was told last as "]);
}

#[test]
fn an_id_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let place = Place::new();
    let ran = place.run(&["explain", "shop"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("there is no API \"shop\"; see `api-health status`"), "{}", ran.err);
    store(&place);
    let ran = place.run(&["explain", "c-dwon"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("there is no API \"c-dwon\"; did you mean c-down?"), "{}", ran.err);
    assert_eq!(place.run(&["explain", "no\u{1b}[31m id"]).code, 1);
    assert_eq!(place.run(&["explain"]).code, 64);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test that waits for another process")]
fn beside_a_daemon_it_knows_when_the_next_probe_is_due_and_what_was_seen() {
    let place = Place::new();
    let answer = "HTTP/1.1 500 No\r\ncontent-length: 8\r\nconnection: close\r\n\r\nhunter22";
    let url = format!("http://{}/", listener(answer));
    let set = ["interval_seconds=10", "recheck_seconds=1", "headers.X-Key=hunter22"];
    let mut add = vec!["apis", "add", "--url", &url, "--id", "shop"];
    set.iter().for_each(|set| add.extend(["--set", *set]));
    place.ok(&add);
    let mut daemon = place.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let story = loop {
        let ran = place.run(&["explain", "shop", "--json"]);
        let story: Option<serde_json::Value> = serde_json::from_str(&ran.out).ok();
        if let Some(story) = story.filter(|story| story["status"] == "down") {
            break story;
        }
        assert!(std::time::Instant::now() < deadline, "never down: {ran:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let ended = daemon.kill().and_then(|()| daemon.wait());
    assert!(ended.is_ok());
    let evidence = &story["incident"]["evidence"];
    assert_eq!((&evidence["status_line"], &evidence["body_start"]), (&"HTTP/1.1 500 No".into(), &"***".into()));
    assert_eq!(evidence["address"].as_str().map(|at| at.starts_with("127.0.0.1:")), Some(true));
    assert_eq!(story["outcomes"][0]["verdict"], "fail");
    assert_eq!(story["told"][0]["kind"], "down");
    assert!(story["next_probe"]["at"].is_string(), "{story}");
    assert!(story["next_probe"]["within_seconds"].as_u64().is_some_and(|seconds| seconds <= 10), "{story}");
}
