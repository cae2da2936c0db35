//! Channels with names of their own: who is told through which, what stands in files, and what becomes of one that is gone.

use serde_json::{Value, json};

use crate::apis::row;
use crate::daemon::{Daemon, Ended, Home, SOON, wait_for};
use crate::doctor::Found;
use crate::support::http::{Answer, Server};

/// A row with a tag.
fn tagged(server: &Server, api_id: &str, tag: &str) -> String {
    format!("{}tags = [\"{tag}\"]\n", row(api_id, &server.url(&format!("/{api_id}"))))
}

/// A channel that is posted to under `/name`.
fn channel(receiver: &Server, name: &str, more: &str) -> String {
    let url = receiver.url(&format!("/{name}"));
    format!("[[notify.channel]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{url}\"\n{more}")
}

/// `(api_id, kind)` of each alert that was taken under this path.
fn told(receiver: &Server, name: &str) -> Vec<(String, String)> {
    let taken = receiver.requests(&format!("/{name}")).into_iter().filter(|request| request.answered == 200);
    let alert = |body: String| serde_json::from_str::<Value>(&body).unwrap();
    let text = |alert: &Value, field: &str| alert[field].as_str().unwrap().to_owned();
    taken.map(|request| alert(request.body)).map(|alert| (text(&alert, "api_id"), text(&alert, "kind"))).collect()
}

fn wait_until_told(receiver: &Server, name: &str, api_id: &str, kind: &str) {
    let wanted = (api_id.to_owned(), kind.to_owned());
    wait_for(&format!("{name} is told of {wanted:?}"), SOON, || told(receiver, name).contains(&wanted).then_some(()));
}

fn run(home: &Home, arguments: &[&str]) -> Ended {
    home.start(arguments).wait(SOON)
}

/// What of it is said to be owed to this channel, and to whom else.
fn owed_of(home: &Home, api_id: &str) -> Value {
    home.states()[api_id]["owed"].clone()
}

fn nothing_is_owed(home: &Home, api_id: &str) {
    home.wait_for_state(api_id, "nothing owed", |state| state["owed"] == json!([]));
}

#[test]
fn each_team_is_told_of_its_own_apis_and_the_record_names_who_lacks_what() {
    let (target, receiver) = (Server::start(), Server::start());
    let apis = tagged(&target, "cart", "shop") + &tagged(&target, "load", "etl") + &tagged(&target, "door", "house");
    let tags = |tag: &str| format!("tags = [\"{tag}\"]\n");
    let settings = channel(&receiver, "everyone", "")
        + &channel(&receiver, "team-shop", &tags("shop"))
        + &channel(&receiver, "team-data", &tags("etl"));
    let home = Home::new(&settings, &apis);
    receiver.set("/team-data", Answer::Status(404)); // it is not tried again for minutes
    for path in ["/cart", "/load", "/door"] {
        target.set(path, Answer::Status(503));
    }
    let daemon = home.run();
    wait_until_told(&receiver, "team-shop", "cart", "down");
    for api_id in ["cart", "load", "door"] {
        wait_until_told(&receiver, "everyone", api_id, "down");
    }
    let owed_to_data = |state: &Value| {
        let owed = &state["owed"][0];
        owed["deliveries"].as_array().is_some_and(|all| all.iter().any(|one| one["channel"] == "everyone"))
    };
    home.wait_for_state("load", "owed to the team alone", owed_to_data);
    assert_eq!(owed_of(&home, "load")[0]["owed_to"], json!(["everyone", "team-data"]));
    nothing_is_owed(&home, "cart");
    nothing_is_owed(&home, "door");
    let list = run(&home, &["alerts", "list", "--channel", "team-data"]);
    assert!(list.output.contains("load") && list.output.contains("team-data: "), "{list:?}");
    assert_eq!(run(&home, &["alerts", "list", "--channel", "team-shop"]).output, "no alert is owed\n");
    receiver.set("/team-data", Answer::Status(200));
    let retry = run(&home, &["alerts", "retry", "--channel", "team-data"]);
    assert!(retry.code == Some(0) && retry.output.contains("team-data  took it over"), "{retry:?}");
    assert_eq!(told(&receiver, "team-data"), [("load".into(), "down".into())]);
    assert_eq!(told(&receiver, "team-shop"), [("cart".into(), "down".into())]);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn what_is_owed_to_a_channel_that_is_gone_stays_owed_and_is_said_until_it_is_dropped() {
    let (target, receiver) = (Server::start(), Server::start());
    target.set("/cart", Answer::Status(503));
    receiver.set("/old", Answer::Status(503));
    let home = Home::new(&channel(&receiver, "old", ""), &tagged(&target, "cart", "shop"));
    let daemon = home.run();
    daemon.wait_for_log("alert not delivered yet");
    assert_eq!(daemon.stop().code, Some(0));

    home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{}", channel(&receiver, "new", "")));
    receiver.set("/old", Answer::Status(200));
    let daemon = home.run();
    daemon.wait_for_log("alerts are owed to a channel that no running api-health has");
    let list = run(&home, &["alerts", "list"]);
    assert!(list.output.contains("old (not set here): "), "{list:?}");
    let doctor = run(&home, &["doctor"]);
    assert!(doctor.output.contains("owed to a channel that is not set here: old (1 alert)"), "{doctor:?}");
    target.set("/cart", Answer::Status(200));
    wait_until_told(&receiver, "new", "cart", "up");
    assert_eq!(owed_of(&home, "cart").as_array().unwrap().len(), 2, "the outage, and its end");
    let dropped = run(&home, &["alerts", "drop", "--channel", "old"]);
    assert_eq!(dropped.output, "2 owed alerts to old dropped\n", "{dropped:?}");
    nothing_is_owed(&home, "cart");
    assert_eq!(told(&receiver, "old"), []);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_test_goes_through_the_channel_that_is_named() {
    let receiver = Server::start();
    receiver.set("/b", Answer::Status(404));
    let home = Home::new(&(channel(&receiver, "a", "") + &channel(&receiver, "b", "")), "");
    let one = run(&home, &["alerts", "test", "--channel", "a"]);
    assert!(one.code == Some(0) && one.output.starts_with("a         took it over in "), "{one:?}");
    assert_eq!((receiver.hits("/a"), receiver.hits("/b")), (1, 0));
    let both = run(&home, &["alerts", "test"]);
    assert!(both.code == Some(69) && both.output.contains("\nb         did not take it after "), "{both:?}");
    let none = run(&home, &["alerts", "test", "--channel", "c"]);
    assert_eq!(none.code, Some(64));
    assert!(none.log.contains("--channel: \"c\" is not the name of a channel; write one of a, b"), "{none:?}");
}

#[test]
fn a_url_in_a_file_that_gets_another_content_counts_from_the_next_attempt_on_and_is_shown_nowhere() {
    let (target, receiver) = (Server::start(), Server::start());
    let home = Home::empty();
    let file = home.path().join("hook");
    home.write("hook", &receiver.url("/hunter2"));
    let settings = format!(
        "[apis]\nfile = \"apis.toml\"\n[[notify.channel]]\nname = \"chat\"\nkind = \"webhook\"\nurl = \"${{file:{}}}\"\n\
         tags = [\"shop\"]\n",
        file.display()
    );
    home.write("api-health.toml", &settings);
    home.write("apis.toml", &tagged(&target, "cart", "shop"));
    receiver.set("/hunter2", Answer::Status(404));
    target.set("/cart", Answer::Status(503));
    let daemon: Daemon = home.run();
    daemon.wait_for_log("somebody must act");
    home.write("hook", &receiver.url("/hunter3"));
    let retry = run(&home, &["alerts", "retry"]);
    assert_eq!(retry.code, Some(0), "{retry:?}");
    assert_eq!(told(&receiver, "hunter3"), [("cart".into(), "down".into())]);
    let shown = run(&home, &["settings", "show", "--json"]);
    let shown: Value = serde_json::from_str(&shown.output).unwrap();
    let channel = &shown["notify.channel.chat"];
    let url = receiver.url("/***");
    assert_eq!(channel["value"], json!({ "kind": "webhook", "url": url, "tags": ["shop"], "timeout_seconds": 10 }));
    assert_eq!(channel["from"]["line"], 3);
    let ended = daemon.stop();
    assert!(!ended.log.contains("hunter"), "{}", ended.log);
}

#[test]
fn doctor_names_each_channel_that_is_posted_to_with_its_kind() {
    let server = Server::start();
    let (url, place) = (server.url("/hook"), server.url(""));
    let home = Home::new(
        &format!(
            "[[notify.channel]]\nname = \"ops\"\nkind = \"mattermost\"\nurl = \"{url}\"\n\
             [[notify.channel]]\nname = \"gotify\"\nkind = \"gotify\"\nurl = \"{url}\"\ntoken = \"x\"\n\
             [heartbeat_out]\nurl = \"{url}\"\n"
        ),
        "",
    );
    let ended = home.start(&["doctor", "--json"]).wait(SOON);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    let said: Vec<&str> = found.all("webhook").into_iter().map(|(_, what, _)| what).collect();
    for who in ["ops (mattermost)", "gotify", "heartbeat_out"] {
        let begin = format!("{who} at {place} can be reached: ");
        assert!(said.iter().any(|what| what.starts_with(&begin)), "{begin}: {said:?}");
    }
}
