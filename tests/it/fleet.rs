//! Several workers on one pair of tables, as a person sees them: `fleet`, `status`, `alerts retry` and `alerts drop`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::cloud::Cloud;
use crate::daemon::{Ended, Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

/// A lone worker looks for others twice a minute; then shards change hands; and the machine is busy.
const SETTLED: Duration = Duration::from_secs(240);

/// As long as a command watches for what came of an ask, and a busy machine.
const ASKED: Duration = Duration::from_secs(240);

/// A machine of its own: no state folder and no socket of another.
pub(crate) fn machine(cloud: &Cloud, receiver: &Receiver) -> Home {
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    let runtime = home.path().join("runtime").display().to_string();
    std::fs::create_dir(&runtime).unwrap();
    home.env("RUNTIME_DIRECTORY", runtime);
    home.write("api-health.toml", &format!("{}[store]\ncheckpoint_seconds = 1\n", receiver.settings()));
    home
}

fn command(home: &Home, arguments: &[&str]) -> Ended {
    home.start(arguments).wait(ASKED)
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let ended = command(home, &[arguments, &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.output).unwrap()
}

/// State and number of shards of each worker, in order.
fn workers(fleet: &Value) -> Vec<(String, usize)> {
    let of = |worker: &Value| (worker["state"].as_str().unwrap().into(), worker["shards"].as_array().unwrap().len());
    let mut workers: Vec<_> = fleet["workers"].as_array().unwrap().iter().map(of).collect();
    workers.sort();
    workers
}

fn live(shards: usize) -> (String, usize) {
    ("live".into(), shards)
}

#[test]
fn two_workers_share_the_tables_and_a_third_machine_sees_them_and_asks_them() {
    let (cloud, target, receiver) = (Cloud::new(), Server::start(), Receiver::start());
    receiver.answer(Answer::Status(404)); // somebody must act: it is tried again in five minutes
    let ids: Vec<String> = (0..6).map(|n| format!("shop-{n}")).collect();
    for id in &ids {
        target.set(&format!("/{id}"), Answer::Status(503));
        cloud.put_row(id, &target.url(&format!("/{id}")), &[]);
    }
    let homes = [machine(&cloud, &receiver), machine(&cloud, &receiver), machine(&cloud, &receiver)];
    let person = &homes[2];
    let none = command(person, &["fleet"]);
    assert_eq!(none.code, Some(0), "{none:?}");
    assert_eq!(none.output, format!("no worker has used DynamoDB table {} yet\n", cloud.state_table));

    let daemons = [homes[0].run(), homes[1].run()];
    let fleet = wait_for("each has half of the shards", SETTLED, || {
        let fleet = json_of(person, &["fleet"]);
        (workers(&fleet) == [live(32), live(32)] && fleet["unowned_shards"] == json!([])).then_some(fleet)
    });
    assert_eq!((&fleet["shards"], &fleet["writes_schema"], &fleet["asks"]), (&json!(64), &json!(2), &json!([])));
    let worker = &fleet["workers"][0];
    assert_eq!((&worker["channels"], &worker["role"]), (&json!(["webhook"]), &json!("worker")), "{worker}");
    let text = command(person, &["fleet"]).output;
    assert_eq!(text.matches(" owns shards ").count(), 2, "{text}");
    assert!(text.contains("each of the 64 shards has an owner\nstates are written in schema 2\n"), "{text}");

    // Their heartbeats are told as one, by `status` and by `doctor`.
    let status = wait_for("both have said how things stand", SETTLED, || {
        let status = json_of(person, &["status"]);
        (status["heartbeat"]["apis"] == 6 && status["heartbeats"].as_array().unwrap().len() == 2).then_some(status)
    });
    assert_eq!(status["summary"]["down"], 6, "{status}");
    let text = command(person, &["status"]).output;
    assert!(text.lines().last().unwrap().starts_with("watched by 2 workers ("), "{text}");

    // What each of them owes is tried by each of them.
    for id in &ids {
        cloud.wait_for_status(id, "down", 1);
    }
    receiver.answer(Answer::Status(200));
    let retried = command(person, &["alerts", "retry"]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    assert!(retried.log.contains("asked 2 workers ("), "{retried:?}");
    assert_eq!(retried.output.matches("took it over").count(), 6, "{retried:?}");
    let mut told = receiver.told();
    told.sort();
    assert_eq!(told, ids.iter().map(|id| (id.clone(), "down".to_owned())).collect::<Vec<_>>());
    assert_eq!(json_of(person, &["fleet"])["asks"][0]["what"], "retry");

    // A channel is given up by both.
    receiver.answer(Answer::Status(404));
    for id in &ids {
        target.set(&format!("/{id}"), Answer::Status(200));
    }
    for id in &ids {
        cloud.wait_for_status(id, "up", 1);
    }
    let dropped = command(person, &["alerts", "drop", "--channel", "webhook"]);
    assert_eq!((dropped.code, &*dropped.output), (Some(0), "6 owed alerts to webhook dropped\n"), "{dropped:?}");

    // One that leaves in order hands over, and is named no more once the other has what it had.
    let [first, second] = daemons;
    assert_eq!(first.stop().code, Some(0));
    wait_for("the other has all", SETTLED, || (workers(&json_of(person, &["fleet"])) == [live(64)]).then_some(()));
    assert_eq!(second.stop().code, Some(0));
    assert_eq!(workers(&json_of(person, &["fleet"])), [("left".into(), 0)]);
    let text = command(person, &["fleet"]).output;
    assert!(text.contains("nobody owns shards 0-63"), "{text}");
}

#[test]
fn whom_nobody_has_heard_of_since_the_ask_is_named_as_dead() {
    let (cloud, target, receiver) = (Cloud::new(), Server::start(), Receiver::start());
    receiver.answer(Answer::Status(404));
    target.set("/shop", Answer::Status(503));
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let home = machine(&cloud, &receiver);
    let daemon = home.run();
    cloud.wait_for_status("shop", "down", 1);
    daemon.kill();
    // On its own machine the dead one is not waited for: its name is free.
    let here = command(&home, &["alerts", "retry"]);
    assert_eq!(here.code, Some(69), "{here:?}");
    assert!(here.output.contains("did not take it") && !here.log.contains("asked "), "{here:?}");

    // Of another machine only its record is known.
    let record = include_str!("../testdata/store/v3/worker.json").replace("\"lease_ms\": 10000", "\"lease_ms\": 1000");
    cloud.put_state(&serde_json::from_str(&record).unwrap());
    let name = "0f9a3c51d2e84b76a1c0d9e8f7b6a543";
    cloud.change_state("api-health:assignment", |item| {
        item.insert("workers".into(), AttributeValue::L(vec![AttributeValue::S(name.into())]));
        item.insert("owners".into(), AttributeValue::L(vec![AttributeValue::S("0#3/9".into()); 64]));
    });
    let there = command(&home, &["alerts", "retry"]);
    assert_eq!(there.code, Some(69), "{there:?}");
    assert!(there.log.contains("asked 1 worker (ip-10-0-1-7.eu-central-1.compute.internal)"), "{there:?}");
    let dead = format!("worker {name} on ip-10-0-1-7.eu-central-1.compute.internal has not renewed its lease for ");
    assert!(there.log.contains(&dead) && there.log.contains("it seems dead"), "{there:?}");
}

#[test]
fn an_sqlite_file_is_owned_whole_by_the_process_that_has_its_lock() {
    let home = Home::empty();
    let none = command(&home, &["fleet"]);
    assert_eq!((none.code, none.output.contains("is owned whole, by nobody just now")), (Some(0), true), "{none:?}");
    assert!(!home.database().exists(), "looking makes no file");
    let daemon = home.start(&["run", "http://127.0.0.1:1/"]);
    wait_for("the owner", SOON, || {
        let fleet = json_of(&home, &["fleet"]);
        assert_eq!(fleet["workers"], json!([]));
        (fleet["owner_pid"] == daemon.id()).then_some(())
    });
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(SOON).code, Some(0));
}

#[test]
fn a_table_that_does_not_answer_or_holds_what_makes_no_sense_is_69() {
    let (cloud, receiver) = (Cloud::new(), Receiver::start());
    let mut home = machine(&cloud, &receiver);
    cloud.put_state(&json!({ "schema": 3, "api_id": "api-health:assignment", "version": 1 }));
    let odd = command(&home, &["fleet"]);
    assert_eq!((odd.code, odd.output.as_str()), (Some(69), ""), "{odd:?}");
    assert!(
        odd.log.contains("has a record api-health:assignment that cannot be read: missing field `shards`"),
        "{odd:?}"
    );
    home.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let gone = command(&home, &["fleet"]);
    assert_eq!((gone.code, gone.output.as_str()), (Some(69), ""), "{gone:?}");
}
