//! `alerts list` and `alerts test` from outside, over a store with owed alerts of every sort.

use api_health_core::Status;
use api_health_core::delivery::Delivery;

use super::cli::Place;
use super::cli_probe::listener;
use super::stored::{THEN, now, only, owing, state, store};

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

#[test]
fn owed_alerts_are_listed_with_what_came_of_each_attempt_and_when_the_next_one_comes() {
    let place = Place::new();
    let now = now();
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
    a.last_alerted = Status::Up;
    a.owed = vec![
        owing(a.api_id.clone(), "a.1.down", &both, vec![failed(in_two_hours), has_it("terminal")]),
        owing(a.api_id.clone(), "a.1.up", &both, vec![has_it("terminal")]),
    ];
    let mut b = state("b", Status::Up);
    b.last_alerted = Status::Up;
    // From before alerts named their channels: it is owed to those that are set.
    b.owed = vec![owing(b.api_id.clone(), "b.1.up", &[], vec![failed(THEN)])];
    // Such a one that every channel that is set has: it is owed to nobody, whatever else is noted.
    let mut c = state("c", Status::Up);
    c.last_alerted = Status::Up;
    c.owed = vec![owing(c.api_id.clone(), "c.1.up", &[], vec![has_it("terminal"), has_it("webhook"), has_it("sns")])];
    // And this one to a channel that is set no more.
    let mut d = state("d", Status::Up);
    d.last_alerted = Status::Up;
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
