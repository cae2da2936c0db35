//! What people and machines read, word for word, and within which bounds.

use super::*;
use api_health_core::{ApiId, Status};
use proptest::prelude::*;
use std::time::Duration;

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
fn lateness_is_told_from_a_minute_on() {
    let alert = Alert { changes_left_out: 4, ..down() };
    let told_after =
        |seconds| Message::new(&alert, "production", alert.detected_at.plus(Duration::from_secs(seconds))).text();
    assert!(!told_after(59).contains("Told late"));
    let late = told_after(7_260);
    assert!(late.contains("by 2 h 1 min: it was confirmed at 2026-11-22 07:30:05 UTC"), "{late}");
    assert!(late.contains("Left out:    4 later changes"), "{late}");
}

#[test]
fn the_machine_form_has_every_field_in_every_alert() {
    let (down, up) = (down(), up());
    let json = |alert: &Alert| -> serde_json::Value {
        serde_json::from_str(&Message::new(alert, "production", alert.detected_at).json()).unwrap()
    };
    let (down, up) = (json(&down), json(&up));
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&down), keys(&up));
    assert_eq!(down["duration_seconds"], serde_json::Value::Null);
    assert_eq!(up["duration_seconds"], 250);
    assert_eq!((&up["status"], &up["previous_status"]), (&"up".into(), &"down".into()));
    assert_eq!(up["incident_started_at"], "2026-11-22T07:30:00.000Z");
}

#[test]
fn a_clock_set_back_is_not_late() {
    let alert = down();
    assert_eq!(Message::new(&alert, "", Timestamp::from_millis(0)).machine().late_seconds, 0);
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
        is_up: bool,
        happened in any::<i64>(),
        now in any::<i64>(),
    ) {
        let base = if is_up { up() } else { down() };
        let alert = Alert { name, reason, happened_at: Timestamp::from_millis(happened), ..base };
        let message = Message::new(&alert, "produktion ü", Timestamp::from_millis(now));
        for (text, chars_max) in [(message.subject(), SUBJECT_CHARS_MAX), (message.sms(), SMS_CHARS_MAX)] {
            prop_assert!(text.len() <= chars_max, "{}: {text}", text.len());
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
            let word = if is_up { "UP " } else { "DOWN " };
            let name: String = message.ascii_name(40).trim_end_matches("...").trim_end().to_owned();
            prop_assert!(text.starts_with(&format!("{word}{name}")), "{text:?} does not begin with {word}{name:?}");
        }
        prop_assert!(message.text().lines().all(|line| !line.chars().any(char::is_control)));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&message.json()).is_ok());
    }
}
