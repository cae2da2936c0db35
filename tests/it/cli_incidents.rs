//! `incidents list`, `show` and `note`: what is written on an outage is on its page, in JSON and in the feed, while it lasts and after it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::apis::row_with;
use crate::cloud::Cloud;
use crate::daemon::{Ended, Home, SOON, wait_for};
use crate::support::http::{Answer, Server};
use crate::web::{get, page_of};

fn incidents(home: &Home, words: &[&str]) -> Ended {
    home.start(&[&["incidents"], words].concat()).wait(SOON)
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.output).unwrap()
}

/// The one incident that is listed, once it is as it should be.
fn listed(home: &Home, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, Duration::from_secs(120), || {
        // There may be no store yet.
        let all = Some(incidents(home, &["list", "--json"])).filter(|ended| ended.code == Some(0))?;
        let all = json_of(&all);
        all["incidents"].as_array().and_then(|all| all.first()).filter(|one| is(one)).cloned()
    })
}

#[test]
fn a_note_is_written_on_an_outage_while_it_lasts_and_after_it_and_is_shown_with_it() {
    let target = Server::start();
    target.set("/shop", Answer::Status(503));
    let row = row_with("shop", &target.url("/shop"), "failure_threshold = 1");
    let mut home = Home::new("", &row);
    home.env("SUDO_USER", "ann");
    let daemon = home.run();
    let open = listed(&home, "the outage", |one| one["ended_at"].is_null());
    let id = open["incident_id"].as_str().unwrap();
    let written = incidents(&home, &["note", id, "the disk is full\u{1b}[2J <b>", "--kind", "identified"]);
    assert!(written.code == Some(0) && written.output.contains("noted on shop."), "{written:?}");

    target.set("/shop", Answer::Status(200));
    let over = listed(&home, "its end", |one| one["ended_at"].is_string());
    assert_eq!((&over["incident_id"], &over["api_id"]), (&open["incident_id"], &json!("shop")));
    let note = json_of(&incidents(&home, &["note", id, "a bigger one is in", "--by", "ben", "--json"]));
    assert_eq!((&note["by"], &note["kind"]), (&json!("ben"), &Value::Null));

    let shown = json_of(&incidents(&home, &["show", id, "--json"]));
    let notes: Vec<(&Value, &Value)> =
        shown["notes"].as_array().unwrap().iter().map(|note| (&note["by"], &note["text"])).collect();
    let first = json!("the disk is full\u{fffd}[2J <b>");
    assert_eq!(notes, [(&json!("ann"), &first), (&json!("ben"), &json!("a bigger one is in"))]);
    assert!(shown["end_evidence"]["status_line"].as_str().is_some_and(|line| line.contains("200")), "{shown}");
    let text = incidents(&home, &["show", id]).output;
    assert!(text.contains("ann, identified: the disk is full") && text.contains("the end was confirmed"), "{text}");
    let table = incidents(&home, &["list"]).output;
    assert!(table.contains(id) && table.contains("503"), "{table}");

    // It takes 50.
    let database = home.open_database().unwrap();
    let copy = "WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 49)
                INSERT INTO api_health_history SELECT series, substr(slot, 1, length(slot) - 24) || printf('2020-01-01T00:00:00.%03dZ', n),
                epoch, kept_until, bytes FROM n, (SELECT * FROM api_health_history WHERE slot LIKE 'n#%' LIMIT 1)";
    assert_eq!(database.execute(copy, []).unwrap(), 48);
    let one_more = incidents(&home, &["note", id, "one more"]);
    assert!(one_more.code == Some(64) && one_more.log.contains("has 50 notes"), "{one_more:?}");
    let deleted = database.execute("DELETE FROM api_health_history WHERE slot LIKE '%#2020-01-01T%'", []);
    assert_eq!(deleted.unwrap(), 48);
    drop(database);

    // What was read is shown for a minute.
    let address = page_of(&daemon);
    let page = wait_for("both on the page", Duration::from_secs(120), || {
        let (status, page) = get(&address, &format!("/incidents/{id}"), "");
        (status == 200 && page.contains("a bigger one is in") && page.contains("when it was over")).then_some(page)
    });
    assert!(page.contains("ann, <b>identified</b>") && page.contains("[2J &#60;b&#62;"), "{page}");
    let all: Value = serde_json::from_str(&get(&address, "/api/v1/incidents", "").1).unwrap();
    assert_eq!(all["incidents"][0]["notes"][1]["text"], "a bigger one is in", "{all}");
    let feed = get(&address, "/feed.atom", "").1;
    assert!(feed.contains("(identified, ann): the disk is full"), "{feed}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn what_cannot_be_noted_is_refused_with_all_that_is_wrong() {
    let home = Home::new("", "");
    let long = "x".repeat(1_001);
    let ended = incidents(&home, &["note", "shop.1.1", &long, "--by", " "]);
    assert_eq!(ended.code, Some(64));
    assert!(
        ended.log.contains("has 1001 characters, more than 1000") && ended.log.contains("--by is empty"),
        "{ended:?}"
    );
    let nowhere = incidents(&home, &["note", "shop.1.1", "x"]);
    assert!(nowhere.code == Some(1) && nowhere.log.contains("nothing was watched yet"), "{nowhere:?}");
    home.once(&["http://127.0.0.1:1/"]);
    for id in ["shop.1795332600000.1", "shop", "api-health:store.1.1"] {
        let unknown = incidents(&home, &["note", id, "x"]);
        assert!(unknown.code == Some(1) && unknown.log.contains("`api-health incidents list`"), "{unknown:?}");
    }
    assert_eq!(incidents(&home, &["list", "--month", "May"]).code, Some(64));
}

#[test]
fn notes_are_kept_in_the_table_of_history_too() {
    let (cloud, target) = (Cloud::new(), Server::start());
    target.set("/shop", Answer::Status(503));
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let home = cloud.home();
    assert_eq!(home.once(&[]).code, Some(0));
    let open = listed(&home, "the outage", |one| one["ended_at"].is_null());
    let id = open["incident_id"].as_str().unwrap();
    for text in ["one", "two"] {
        assert_eq!(incidents(&home, &["note", id, text]).code, Some(0));
    }
    target.set("/shop", Answer::Status(200));
    assert_eq!(home.once(&[]).code, Some(0));
    listed(&home, "its end", |one| one["ended_at"].is_string());
    assert_eq!(incidents(&home, &["note", id, "three", "--kind", "resolved"]).code, Some(0));
    let shown = json_of(&incidents(&home, &["show", id, "--json"]));
    let notes: Vec<&Value> = shown["notes"].as_array().unwrap().iter().map(|note| &note["text"]).collect();
    assert_eq!(notes, ["one", "two", "three"]);
}
