//! A stop ends within its deadline and loses nothing.

use serde_json::Value;

use super::service::{told, webhook};
use super::{booted, wait_for_a_probe, watching};
use crate::support::http::{Answer, Server};

#[test]
fn a_stop_with_an_alert_under_way_stores_it_and_the_next_start_tells_it_once() {
    let test = "a_stop_with_an_alert_under_way_stores_it_and_the_next_start_tells_it_once";
    let Some(container) = booted(test) else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    service.settings(&format!("[apis]\nfile = \"apis.toml\"\n[run]\nshutdown_seconds = 2\n{}", webhook(&server)));
    service.start();
    wait_for_a_probe(&service, &server, "/one");
    // The channel takes the alert and never says that it did.
    server.set("/hook", Answer::Hang);
    server.set("/one", Answer::Status(500));
    container.wait_for("an attempt", || (server.hits("/hook") > 0).then_some(()));

    assert_eq!(service.systemctl("stop").code, Some(0));
    assert_eq!(service.property("Result"), "success", "in time, and not killed");
    assert_eq!(service.property("ExecMainStatus"), "0");
    let owed = service.as_the_daemon(&["alerts", "list", "--json"]);
    let owed: Value = serde_json::from_str(&owed.stdout).unwrap_or_else(|error| panic!("{error}: {owed:?}"));
    let owed = owed["owed"].as_array().unwrap();
    assert_eq!(owed.len(), 1, "{owed:?}");
    assert_eq!((&owed[0]["api_id"], &owed[0]["kind"]), (&"one".into(), &"down".into()));

    server.set("/hook", Answer::Status(200));
    service.start();
    container.wait_for("the alert", || (!told(&server).is_empty()).then_some(()));
    // Stopped and started once more: what was told is told.
    assert_eq!(service.systemctl("restart").code, Some(0));
    wait_for_a_probe(&service, &server, "/one");
    server.set("/one", Answer::Status(200));
    container.wait_for("the recovery", || told(&server).contains(&"one up".to_owned()).then_some(()));
    assert_eq!(told(&server), ["one down", "one up"]);
    let ids: Vec<_> =
        server.requests("/hook").iter().map(|r| r.header("x-api-health-alert-id").map(str::to_owned)).collect();
    assert_eq!(ids[0], ids[1], "the attempt that was cut had the id of the one that was taken");
}

#[test]
fn a_stop_may_take_longer_than_the_unit_says_where_the_settings_do() {
    let Some(container) = booted("a_stop_may_take_longer_than_the_unit_says_where_the_settings_do") else { return };
    let server = Server::start();
    let service = watching(&container, &server);
    // The proportions of 300 seconds under TimeoutStopSec=60s, in seconds that a test can wait.
    service.edit("short", "[Service]\nTimeoutStopSec=2s\n");
    service.settings(&format!("[apis]\nfile = \"apis.toml\"\n[run]\nshutdown_seconds = 6\n{}", webhook(&server)));
    service.apis(&format!("{}timeout_seconds = 30\n", super::row("one", &server.url("/one"))));
    server.set("/one", Answer::Hang);
    service.start();
    container.wait_for("a probe", || (server.hits("/one") > 0).then_some(()));
    // A probe is under way, and is given its time: the program asks systemd for more.
    assert_eq!(service.systemctl("stop").code, Some(0));
    assert_eq!(service.property("Result"), "success", "{}", service.log());
}
