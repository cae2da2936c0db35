//! The role's policy is just what the program needs: nothing it does is denied, and nothing it may do is unused.
//!
//! The real program runs on the role's credentials, which it fetches from the metadata service as on EC2, against an
//! emulator that decides on each call by action and resource ([`crate::strict`]). The policy is the one that Terraform
//! made; a test that bends it does so to a copy ([`Place::copy`]).

#[path = "../it/daemon.rs"]
#[allow(dead_code, reason = "written for another test binary, of which this needs a part")]
mod daemon;

mod denied;
mod metadata;
mod operator;
mod place;
mod policy;

use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use self::daemon::{Daemon, Ended, Home, SOON, let_pass, wait_for};
use self::place::{Names, Place, administrator};
use crate::skip::{Because, skip};
use crate::strict::{Caller, Decision, Instance, Strict};
use crate::support::http::{Answer, Server};
use crate::support::tools;
use crate::terraform::{self, Outputs};

/// What Terraform made, once for all tests here; or why it made nothing.
fn deployment() -> Result<&'static Place, &'static Because> {
    static SHARED: OnceLock<Result<(Place, Outputs), Because>> = OnceLock::new();
    let made = SHARED.get_or_init(|| {
        let outputs = terraform::applied(&Strict::shared().endpoint)?;
        let text = |name: &str| outputs.text(name).to_owned();
        let names = Names {
            configs: text("configs_table_name"),
            states: text("states_table_name"),
            history: text("history_table_name"),
            topic_arn: text("topic_arn"),
            role: text("role_name"),
            profile: text("instance_profile_name"),
        };
        let operator_policy = serde_json::from_str(outputs.text("operator_policy_json")).unwrap();
        Ok((Place::of(&names, operator_policy), outputs))
    });
    made.as_ref().map(|(place, _)| place)
}

/// What Terraform made; says why where there is nothing.
fn deployment_for(test: &str) -> Option<&'static Place> {
    deployment().map_err(|because| skip(test, because)).ok()
}

/// A command to its end: a round waits for a lease for 100 s.
fn command(home: &Home, arguments: &[&str]) -> Ended {
    home.start(arguments).wait(Duration::from_secs(200))
}

/// A command that must succeed.
fn succeeds(home: &Home, arguments: &[&str]) -> Ended {
    let ended = command(home, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended
}

/// The rows that changed, by an allowed call that fetches them alone.
const FETCH_CHANGED: &str = "dynamodb:BatchGetItem";

/// A lone worker looks for others twice a minute; then they share the shards; and the machine is busy.
const SHARED: Duration = Duration::from_secs(240);

/// A second worker comes: one of the two reads the rows for both, and the other fetches what changed.
fn share_with_another(place: &Place, instance: &Instance, first: &Daemon, target: &Server) {
    let home = place.home(&instance.environment());
    let second = home.run();
    wait_for("each of two workers has its shards", SHARED, || {
        let_pass(Duration::from_secs(1));
        let fleet: Value = serde_json::from_str(&succeeds(&home, &["fleet", "--json"]).output).unwrap();
        let shards = |worker: &Value| worker["shards"].as_array().unwrap().len();
        let workers = fleet["workers"].as_array().unwrap();
        (workers.len() == 2 && workers.iter().all(|worker| shards(worker) == 32)).then_some(())
    });
    place.put_row("later", &target.url("/later"));
    for daemon in [first, &second] {
        daemon.signal(Signal::HUP); // the one that reads the rows is one of them
    }
    place.wait_for_status("later", "up", 0);
    let is_fetch = |decision: &Decision| decision.allowed && decision.action == FETCH_CHANGED;
    wait_for("the rows that changed are fetched", SOON, || instance.decisions().iter().any(is_fetch).then_some(()));
    assert_eq!(second.stop().code, Some(0));
}

/// All that the daemon and the commands beside it do on an instance.
fn do_everything(place: &Place, instance: &Instance, home: &mut Home) {
    let target = Server::start();
    place.put_row("shop", &target.url("/shop"));
    place.put_row("torn", &target.url("/torn"));
    place.put_damaged_record("torn");

    // A start, a record that is set aside, an outage and its recovery, a reload.
    let daemon = home.run();
    daemon.wait_for_log("a stored state is damaged; it is set aside");
    place.wait_for_status("shop", "up", 0);
    place.wait_for_status("torn", "up", 0);
    assert!(
        place.states().keys().any(|key| key.starts_with("api-health:set-aside:torn")),
        "{:?}",
        place.states().keys()
    );
    target.set("/shop", Answer::Status(503));
    place.wait_for_alert("shop", "down");
    target.set("/shop", Answer::Status(200));
    place.wait_for_alert("shop", "up");
    place.wait_for_status("shop", "up", 0);
    place.put_row("late", &target.url("/late"));
    daemon.signal(Signal::HUP);
    place.wait_for_status("late", "up", 0);
    for looks in [&["status"][..], &["alerts", "list"], &["apis", "list"], &["alerts", "test"], &["doctor"]] {
        succeeds(home, looks);
    }
    place.wait_for_alert("api-health-test", "down");
    share_with_another(place, instance, &daemon, &target);
    assert_eq!(daemon.stop().code, Some(0));

    // An alert that stays owed, since SNS is not there, is handed over by hand.
    target.set("/shop", Answer::Status(500));
    let nowhere = format!("http://127.0.0.1:{}", tools::free_port());
    let daemon = home.start_with(&["run"], &[("AWS_ENDPOINT_URL_SNS", &nowhere)]);
    place.wait_for_status("shop", "down", 1);
    daemon.stop();
    let retried = succeeds(home, &["alerts", "retry"]);
    assert!(retried.output.contains("took it over"), "{retried:?}");

    // A restart that forgets nothing, and a round for cron.
    let daemon = home.run();
    daemon.wait_for_log("watching");
    target.set("/shop", Answer::Status(200));
    place.wait_for_status("shop", "up", 0);
    assert_eq!(daemon.stop().code, Some(0));
    succeeds(home, &["run", "--once"]);
    let shop: Vec<String> = place.told().into_iter().filter(|(id, _)| id == "shop").map(|(_, kind)| kind).collect();
    assert_eq!(shop, ["down", "up", "down", "up"]);
}

#[test]
fn all_that_the_program_does_is_allowed_and_all_that_is_allowed_is_used() {
    let test = "all_that_the_program_does_is_allowed_and_all_that_is_allowed_is_used";
    let Some(place) = deployment_for(test) else { return };
    let policy = place.policy();
    assert_eq!(policy::too_wide(&policy), [""; 0], "{policy}");
    let instance = place.instance(json!({}));
    let mut home = place.home(&instance.environment());
    do_everything(place, &instance, &mut home);
    // What user data does at the first boot.
    let role = Caller::with(&instance.environment());
    let objects = objects(&policy);
    assert_eq!(objects.len(), 1, "the package: {policy}");
    for object in objects {
        role.call("s3", "get_object", &object);
    }
    let without_token = instance.requests().into_iter().filter(|(_, _, status)| *status == 401);
    assert_eq!(without_token.collect::<Vec<_>>(), [], "the metadata service in its version 1");
    let decisions = instance.decisions();
    assert_eq!(instance.refused(), [""; 0]);
    assert_eq!(policy::unused(&policy, &decisions), []);

    // The check is tried on what it is there to find: a grant of which no use is made.
    let mut more = policy.clone();
    let resource = more["Statement"][0]["Resource"].clone();
    let query = json!({ "Effect": "Allow", "Action": "dynamodb:Query", "Resource": resource });
    more["Statement"].as_array_mut().unwrap().push(query);
    let unused: Vec<String> = policy::unused(&more, &decisions).into_iter().map(|grant| grant.action).collect();
    assert_eq!(unused, ["dynamodb:Query"]);

    // Beside the daemon's policy, the role has that of Session Manager's agent and nothing else.
    let of_role = json!({ "RoleName": place.role });
    let mut names = policy::list(&administrator().call("iam", "list_role_policies", &of_role)["PolicyNames"]);
    names.sort();
    assert_eq!(names, ["daemon", "session-manager"]);
    let attached = administrator().call("iam", "list_attached_role_policies", &of_role)["AttachedPolicies"].take();
    assert_eq!(attached, json!([]));
}

/// The objects of S3 that a policy names.
fn objects(policy: &Value) -> Vec<Value> {
    let names = policy::grants(policy).into_iter().filter_map(|grant| {
        let (bucket, key) = grant.resource.strip_prefix("arn:aws:s3:::")?.split_once('/')?;
        Some(json!({ "Bucket": bucket, "Key": key }))
    });
    names.collect()
}
