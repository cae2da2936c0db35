//! What people and machines read, word for word, and within which bounds.

use super::*;
use api_health_core::{ApiId, Status};
use proptest::prelude::*;
use std::time::Duration;

const PAGE: &str = include_str!("../../docs/alerts.md");

/// What `docs/alerts.md` shows after the comment `<!-- example: NAME -->`.
fn example(name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("<!-- example: {name} -->\n```text\n")).unwrap();
    rest.split_once("```").unwrap().0
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn down() -> Alert {
    Alert {
        alert_id: "shop.1795332600000.3.down".into(),
        incident_id: "shop.1795332600000.3".into(),
        kind: AlertKind::Down,
        api_id: ApiId::parse("shop").unwrap(),
        name: "Shop".into(),
        url: "https://shop.test/health".into(),
        previous_status: Status::Up,
        happened_at: at("2026-11-22T07:30:00Z"),
        detected_at: at("2026-11-22T07:30:05Z"),
        incident_started_at: at("2026-11-22T07:30:00Z"),
        reason: "status 503 is not in 2xx".into(),
        changes_left_out: 0,
        evidence: None,
    }
}

fn up() -> Alert {
    Alert {
        alert_id: "shop.1795332600000.3.up".into(),
        kind: AlertKind::Up,
        previous_status: Status::Down,
        happened_at: at("2026-11-22T07:34:10Z"),
        detected_at: at("2026-11-22T07:34:15Z"),
        ..down()
    }
}

fn closed() -> Alert {
    Alert {
        alert_id: "shop.1795332600000.3.closed".into(),
        kind: AlertKind::Closed,
        reason: "no longer watched: its row was removed; it was down: status 503 is not in 2xx".into(),
        ..up()
    }
}

/// The store of the monitor itself takes no writes.
fn monitor_store() -> Alert {
    Alert {
        alert_id: "api-health:store.1795332600000.1.down".into(),
        incident_id: "api-health:store.1795332600000.1".into(),
        api_id: ApiId::monitor_store(),
        name: "api-health's store (SQLite file api-health.db)".into(),
        url: String::new(),
        reason: "it takes no writes: database or disk is full".into(),
        ..down()
    }
}

#[test]
fn an_outage_reads_as_people_speak() {
    let alert = down();
    let message = Message::new(&alert, "production", at("2026-11-22T07:30:06Z"));
    assert_eq!(message.subject(), "DOWN Shop: status 503 is not in 2xx");
    assert_eq!(message.sms(), "DOWN Shop: status 503 is not in 2xx (2026-11-22 07:30:00 UTC)");
    assert_eq!(
        message.text(),
        "DOWN Shop: status 503 is not in 2xx\n\n\
         What:        Shop is down\n\
         Since:       2026-11-22 07:30:00 UTC\n\
         Why:         status 503 is not in 2xx\n\
         URL:         https://shop.test/health\n\
         Environment: production\n\
         API:         shop\n\
         Incident:    shop.1795332600000.3\n\
         Alert:       shop.1795332600000.3.down\n"
    );
}

#[test]
fn a_recovery_says_for_how_long_and_what_had_failed() {
    let alert = up();
    let message = Message::new(&alert, "", alert.detected_at);
    assert_eq!(message.subject(), "UP Shop again after 4 min 10 s");
    assert_eq!(message.sms(), "UP Shop again after 4 min 10 s (2026-11-22 07:34:10 UTC)");
    let text = message.text();
    assert!(text.contains("Down for:    4 min 10 s, from 2026-11-22 07:30:00 UTC\n"), "{text}");
    assert!(text.contains("Had failed:  status 503 is not in 2xx\n"), "{text}");
    assert!(!text.contains("Environment"), "{text}");
}

#[test]
fn an_incident_that_is_closed_says_that_nobody_looks_any_more_and_why() {
    let alert = closed();
    let message = Message::new(&alert, "", alert.detected_at);
    let subject = "CLOSED Shop: no longer watched: its row was removed; it was down: status 503 is not in 2xx";
    assert_eq!(message.subject(), subject);
    assert_eq!(message.sms(), format!("{subject} (2026-11-22 07:34:10 UTC)"));
    assert_eq!(message.text(), example("closed"));
    let payload = message.payload();
    assert_eq!((payload.kind, payload.status, payload.previous_status), ("closed", "unknown", "down"));
    assert_eq!(payload.duration_seconds, Some(250));
}

#[test]
fn the_monitor_s_own_alerts_say_that_they_are_about_itself_and_what_they_mean() {
    let alert = monitor_store();
    let message = Message::new(&alert, "", alert.detected_at);
    assert_eq!(message.text(), example("own store"));
    let line = "DOWN api-health's store (SQLite file api-health.db): it takes no writes: database or disk is full";
    assert_eq!(message.line(), line);
    let back = Alert { kind: AlertKind::Up, happened_at: at("2026-11-22T07:35:00Z"), ..monitor_store() };
    let message = Message::new(&back, "", back.happened_at);
    assert_eq!(message.subject(), "UP api-health's store (SQLite file api-health.db) again after 5 min");
    assert!(!message.text().contains("So:"), "{}", message.text());

    let shop = ApiId::parse("shop").unwrap();
    let prober = Alert {
        api_id: ApiId::monitor_prober(&shop),
        name: "api-health's prober of Shop".into(),
        reason: "it died 5 times: Panicked(\"index out of bounds\")".into(),
        ..down()
    };
    let message = Message::new(&prober, "", prober.detected_at);
    assert!(message.subject().starts_with("DOWN api-health's prober of Shop: it died 5 times"));
    let text = message.text();
    assert!(
        text.contains("So:          shop is probed rarely or not at all, and counts as unknown meanwhile\n"),
        "{text}"
    );
    assert!(text.contains("API:         shop; this is about api-health itself (api-health:prober:shop)\n"), "{text}");
    assert!(text.contains("URL:         https://shop.test/health\n"), "{text}");
}

#[test]
fn an_outage_that_came_and_went_while_the_channel_was_dead_is_told_as_both_each_with_its_time_and_lateness() {
    let (down, up) = (down(), up());
    let now = at("2026-11-22T09:34:15Z");
    let (down, up) = (Message::new(&down, "", now).text(), Message::new(&up, "", now).text());
    assert!(down.contains("Since:       2026-11-22 07:30:00 UTC\n"), "{down}");
    assert!(
        down.contains(
            "Told late:   by 2 h 4 min: it was confirmed at 2026-11-22 07:30:05 UTC and not delivered before\n"
        ),
        "{down}"
    );
    assert!(up.contains("Since:       2026-11-22 07:34:10 UTC\n"), "{up}");
    assert!(up.contains("Down for:    4 min 10 s, from 2026-11-22 07:30:00 UTC\n"), "{up}");
    assert!(
        up.contains("Told late:   by 2 h: it was confirmed at 2026-11-22 07:34:15 UTC and not delivered before\n"),
        "{up}"
    );
}

#[test]
fn lateness_is_told_from_a_minute_on() {
    let alert = Alert { changes_left_out: 4, ..down() };
    let told_after =
        |seconds| Message::new(&alert, "production", alert.detected_at.plus(Duration::from_secs(seconds))).text();
    assert!(!told_after(59).contains("Told late"));
    let late = told_after(7_260);
    assert!(late.contains("by 2 h 1 min: it was confirmed at 2026-11-22 07:30:05 UTC"), "{late}");
    assert!(late.contains("Left out:    4 more changes"), "{late}");
}

#[test]
fn the_machine_form_has_every_field_in_every_alert() {
    let (down, up, closed) = (down(), up(), closed());
    let json = |alert: &Alert| -> serde_json::Value {
        serde_json::from_str(&Message::new(alert, "production", alert.detected_at).json()).unwrap()
    };
    let (down, up, closed) = (json(&down), json(&up), json(&closed));
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&down), keys(&down)), (keys(&up), keys(&closed)));
    assert_eq!(down["duration_seconds"], serde_json::Value::Null);
    assert_eq!(up["duration_seconds"], 250);
    assert_eq!((&up["status"], &up["previous_status"]), (&"up".into(), &"down".into()));
    assert_eq!(up["incident_started_at"], "2026-11-22T07:30:00.000Z");
}

#[test]
fn a_clock_set_back_is_not_late() {
    let alert = down();
    assert_eq!(Message::new(&alert, "", Timestamp::from_millis(0)).payload().late_seconds, 0);
}

#[test]
fn a_name_without_a_visible_character_gives_way_to_the_id() {
    let alert = Alert { name: "\u{202e}\n".into(), ..down() };
    assert_eq!(Message::new(&alert, "", alert.detected_at).subject(), "DOWN shop: status 503 is not in 2xx");
}

#[test]
fn a_cut_takes_the_reason_first() {
    let alert = Alert { name: "n".repeat(90), reason: "r".repeat(300), ..down() };
    let subject = Message::new(&alert, "", alert.detected_at).subject();
    assert_eq!(subject, format!("DOWN {}:...", "n".repeat(90)));
}

proptest! {
    #[test]
    fn subject_and_short_text_keep_their_bounds_and_what_comes_first(
        name in "(\\PC|\\pC|\\pM|[a-z \r\n]){0,150}",
        reason in "(\\PC|\\pC|[a-z \r\n]){0,150}",
        kind in 0..3_usize,
        happened in any::<i64>(),
        now in any::<i64>(),
    ) {
        let (base, word) = [(down(), "DOWN "), (up(), "UP "), (closed(), "CLOSED ")][kind].clone();
        let alert = Alert { name, reason, happened_at: Timestamp::from_millis(happened), ..base };
        let message = Message::new(&alert, "produktion ü", Timestamp::from_millis(now));
        for (text, chars_max) in [(message.subject(), SUBJECT_CHARS_MAX), (message.sms(), SMS_CHARS_MAX)] {
            prop_assert!(text.len() <= chars_max, "{}: {text}", text.len());
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
            let name: String = message.ascii_name(40).trim_end_matches("...").trim_end().to_owned();
            prop_assert!(text.starts_with(&format!("{word}{name}")), "{text:?} does not begin with {word}{name:?}");
        }
        prop_assert!(message.text().lines().all(|line| !line.chars().any(char::is_control)));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&message.json()).is_ok());
    }
}

#[test]
fn a_certificate_is_told_under_its_own_kinds_and_changes_no_status() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let ends_soon = Alert {
        alert_id: "api-health:certificate:shop.1795332600000.3.down".into(),
        incident_id: "api-health:certificate:shop.1795332600000.3".into(),
        api_id: ApiId::monitor_certificate(&ApiId::parse("shop").unwrap()),
        kind: AlertKind::Down,
        previous_status: Status::Down,
        happened_at: at("2026-11-22T07:30:00Z"),
        detected_at: at("2026-11-23T07:30:00Z"),
        reason: "its certificate ends in 13 days, at 2026-12-06T07:30:00.000Z".into(),
        ..up()
    };
    let message = Message::new(&ends_soon, "", ends_soon.detected_at);
    assert_eq!(message.text(), example("certificate"));
    let form = |alert: &Alert| {
        let payload = Message::new(alert, "", alert.detected_at).payload();
        (payload.schema, payload.kind, payload.api_id, payload.status, payload.previous_status)
    };
    assert_eq!(form(&ends_soon), (3, "certificate_ends_soon", "shop".into(), "down", "down"));
    let reason = "its certificate is good until 2027-03-06T07:30:00.000Z".to_owned();
    let renewed = Alert { kind: AlertKind::Up, reason, ..ends_soon.clone() };
    assert_eq!(form(&renewed), (3, "certificate_renewed", "shop".into(), "down", "down"));
    let subject = Message::new(&renewed, "", renewed.detected_at).subject();
    assert!(
        subject.starts_with("CERTIFICATE ") && subject.contains("was renewed: its certificate is good until"),
        "{subject}"
    );
    let closed = Alert { kind: AlertKind::Closed, ..ends_soon };
    assert_eq!(form(&closed), (3, "closed", "shop".into(), "unknown", "unknown"));
    let text = Message::new(&closed, "", closed.detected_at).text();
    assert!(text.contains("the certificate of Shop is watched no longer\n"), "{text}");
}

#[test]
fn what_cannot_be_told_of_an_api_is_told_under_its_own_id_and_another_schema() {
    let shop = ApiId::parse("shop").unwrap();
    let unclear = Alert {
        api_id: ApiId::monitor_unclear(&shop),
        kind: AlertKind::Down,
        previous_status: Status::Up,
        reason: "this machine has no file descriptors left for a connection".into(),
        ..up()
    };
    let clear = Alert { kind: AlertKind::Up, previous_status: Status::Down, ..unclear.clone() };
    let closed = Alert { kind: AlertKind::Closed, ..unclear.clone() };
    let form = |alert: &Alert| {
        let payload = Message::new(alert, "", alert.detected_at).payload();
        (payload.schema, payload.kind, payload.api_id, payload.status, payload.previous_status)
    };
    assert_eq!(form(&unclear), (2, "unclear", "shop".into(), "unknown", "up"));
    assert_eq!(form(&clear), (2, "clear", "shop".into(), "down", "unknown"));
    assert_eq!(form(&closed), (2, "closed", "shop".into(), "unknown", "unknown"));
    let line = |alert: &Alert| Message::new(alert, "", alert.detected_at).line();
    assert!(line(&unclear).starts_with("UNCLEAR ") && line(&unclear).ends_with(&unclear.reason), "{}", line(&unclear));
    assert!(line(&clear).starts_with("CLEAR ") && line(&clear).ends_with(": it is down"), "{}", line(&clear));
}
