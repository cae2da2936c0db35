//! What the log looks like: JSON for machines, text when asked for, and each probe in a span of its own.

use crate::apis::row;
use crate::daemon::Home;
use crate::support::http::{Answer, Server};

#[test]
fn the_log_is_json_where_nobody_sits_and_each_probe_has_its_span() {
    let target = Server::start();
    let apis = row("shop", &target.url("/shop")) + &row("bank", &target.url("/bank"));
    let home = Home::new("[log]\nlevel = \"debug\"\n", &apis);
    target.set("/bank", Answer::Status(500));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let lines = ended.lines();
    assert_eq!(lines.len(), ended.log.lines().count(), "every line is JSON: {}", ended.log);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    for (api_id, verdict, times) in [("shop", "pass", 1), ("bank", "fail", 2)] {
        let of = |line: &&serde_json::Value| {
            line["message"] == verdict && line["span"]["name"] == "probe" && line["span"]["api_id"] == api_id
        };
        assert_eq!(lines.iter().filter(of).count(), times, "{api_id}: {}", ended.log);
    }
}

#[test]
fn the_log_is_text_when_asked_for_without_colour_where_there_is_no_terminal() {
    let target = Server::start();
    target.set("/shop", Answer::Status(500));
    let home = Home::new("[log]\nformat = \"text\"\nlevel = \"debug\"\n", &row("shop", &target.url("/shop")));
    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.lines().is_empty(), "{}", ended.log);
    assert!(ended.log.contains("probe{api_id=shop}:") && ended.log.contains("fail reason="), "{}", ended.log);
    assert!(ended.log.contains("suspect: probed again soon api_id=shop"), "{}", ended.log);
    assert!(!ended.log.contains('\u{1b}') && !ended.output.contains('\u{1b}'), "{}", ended.log);
}
