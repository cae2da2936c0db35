//! Bad rows beside good ones, bad settings, and nothing to read at all.

use std::time::Duration;

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

#[test]
fn good_rows_run_beside_bad_ones_and_every_fault_is_in_the_log() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let url = target.url("/bad");
    let apis = [
        row("good", &target.url("/good")),
        row_with("typo", &url, "timout_seconds = 5"),
        row_with("two-faults", &url, "method = \"FETCH\"\nexpected_status = \"2xy\""),
        row("metadata", "http://169.254.169.254/latest/meta-data/"),
        row("twin", &url),
        row("twin", &url),
        row_with("secret", &url, "headers = { Authorization = \"Bearer ${env:NO_SUCH_VARIABLE}\" }"),
        "[[api]]\napi_id = \"no-url\"\n".to_owned(),
        row("good-too", &target.url("/good-too")),
    ];
    let home = Home::new(&receiver.settings(), &apis.concat());
    let daemon = home.run();
    for path in ["/good", "/good-too"] {
        wait_for(path, SOON, || (target.hits(path) >= 2).then_some(()));
    }
    target.set("/good-too", Answer::Status(500));
    receiver.wait_for("good-too", "down", SOON);
    assert_eq!(target.hits("/bad"), 0);
    let refused: Vec<String> = daemon
        .lines()
        .iter()
        .filter_map(|line| line["message"].as_str()?.strip_prefix("refused: ").map(str::to_owned))
        .collect();
    for (place, what, remedy) in [
        ("api \"typo\"", "timout_seconds", "write timeout_seconds"),
        ("api \"two-faults\": method", "FETCH", "GET, HEAD"),
        ("api \"two-faults\": expected_status", "2xy", "200-299,301,404"),
        (
            "api \"metadata\": url",
            "link-local address, where clouds keep their instance metadata",
            "write the address of an API",
        ),
        ("api \"secret\": headers", "NO_SUCH_VARIABLE", "write"),
        ("api \"no-url\"", "url", "is missing"),
    ] {
        let told = |line: &&String| line.contains(place) && line.contains(what) && line.contains(remedy);
        let count = refused.iter().filter(told).count();
        assert_eq!(count, 1, "{place}, {what}, {remedy}: {refused:#?}");
    }
    assert_eq!(refused.iter().filter(|line| line.contains("api \"twin\"")).count(), 2, "{refused:#?}");
    assert!(refused.iter().all(|line| line.starts_with("apis.toml, line ")), "{refused:#?}");
    assert_eq!(refused.len(), 8, "each once: {refused:#?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn bad_settings_end_it_at_once_with_every_fault() {
    let mut home = Home::new("reload_secs = 5\n[notify.webhook]\nurl = \"ftp://x/token-in-path\"\n", "");
    let ended = home.run().wait(SOON);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.log.contains("reload_secs") && ended.log.contains("reload_seconds"), "{ended:?}");

    home.write("api-health.toml", "[notify.webhook]\nurl = \"ftp://x/token-in-path\"\n[log]\nlevel = \"loud\"\n");
    home.env("SNS_TOPIC_ARN", "not-an-arn").env("AWS_REGION", "no such region");
    let ended = home.run().wait(SOON);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    let faults: Vec<&str> = ended.log.lines().filter(|line| line.starts_with("error: ")).collect();
    for place in ["notify.webhook.url", "log.level", "SNS_TOPIC_ARN", "AWS_REGION"] {
        assert_eq!(faults.iter().filter(|line| line.contains(place)).count(), 1, "{place}: {faults:#?}");
    }
    assert!(faults.iter().all(|line| line.contains("; write ")), "{faults:#?}");
    assert!(!ended.log.contains("token-in-path"), "the path of a webhook is a secret: {}", ended.log);

    let missing = home.start(&["run", "--settings", "none.toml"]).wait(SOON);
    assert_eq!(missing.code, Some(64), "{missing:?}");
}

#[test]
fn no_readable_config_at_all_ends_it_with_what_to_do() {
    for (apis, said) in [("[[api", "is not TOML"), ("", "")] {
        let home = Home::new("from_store = false\n", apis);
        if said.is_empty() {
            std::fs::remove_file(home.path().join("apis.toml")).unwrap();
        }
        let ended = home.run().wait(Duration::from_secs(60));
        assert_eq!(ended.code, Some(64), "{ended:?}");
        let said = if said.is_empty() { "the file is not there" } else { said };
        let last = ended.log.lines().rfind(|line| line.starts_with("error: ")).expect("an error for people");
        assert!(last.contains("apis.toml") && last.contains(said) && last.contains("; write "), "{last}");
    }
}
