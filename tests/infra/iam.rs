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

use self::daemon::{Ended, Home, SOON, wait_for};
use self::place::{Place, administrator};
use crate::skip::{Because, skip};
use crate::strict::{Caller, Strict};
use crate::support::http::{Answer, Server};
use crate::support::tools;

/// What Terraform made, once for all tests here; or why it made nothing.
fn deployment() -> Result<&'static Place, &'static Because> {
    static SHARED: OnceLock<Result<Place, Because>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            let _ = tools::folder();
            Ok(stand_in())
        })
        .as_ref()
}

fn stand_in() -> Place {
    let admin = administrator();
    for table in ["api_health_configs", "api_health_states"] {
        admin.call("dynamodb", "create_table", &json!({"TableName": table,"AttributeDefinitions":[{"AttributeName":"api_id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"api_id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}));
    }
    let topic = admin.call("sns", "create_topic", &json!({"Name": "api-health-alerts"}))["TopicArn"].as_str().unwrap().to_owned();
    admin.call("iam", "create_role", &json!({"RoleName": "api-health-daemon", "AssumeRolePolicyDocument": json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}).to_string()}));
    admin.call("iam", "create_instance_profile", &json!({ "InstanceProfileName": "api-health-daemon" }));
    admin.call("iam", "add_role_to_instance_profile", &json!({ "InstanceProfileName": "api-health-daemon", "RoleName": "api-health-daemon" }));
    admin.call("s3", "create_bucket", &json!({"Bucket": "api-health-package-1", "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}));
    admin.call("s3", "put_object", &json!({"Bucket": "api-health-package-1", "Key": "p.rpm", "Body": "x"}));
    let t = |n: &str| format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{n}");
    let policy = json!({"Version": "2012-10-17", "Statement": [
      {"Sid": "ReadConfigs", "Effect": "Allow", "Action": ["dynamodb:Scan", "dynamodb:DescribeTable"], "Resource": t("api_health_configs")},
      {"Sid": "KeepStates", "Effect": "Allow", "Action": ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable"], "Resource": t("api_health_states")},
      {"Sid": "Alert", "Effect": "Allow", "Action": ["sns:Publish", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"], "Resource": topic},
      {"Sid": "FetchPackage", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::api-health-package-1/p.rpm"}]});
    let daemon_policy = policy;
    let t = |n: &str| format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{n}");
    let policy = json!({"Version": "2012-10-17", "Statement": [
      {"Sid": "EditConfigs", "Effect": "Allow", "Action": ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable"], "Resource": t("api_health_configs")},
      {"Sid": "ReadStates", "Effect": "Allow", "Action": ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:DescribeTable"], "Resource": t("api_health_states")}]});
    let place = Place::of(&place::Names { configs: "api_health_configs".into(), states: "api_health_states".into(), topic_arn: topic, role: "api-health-daemon".into(), profile: "api-health-daemon".into()}, policy);
    place.grant(&daemon_policy);
    place
}

/// What Terraform made; says why where there is nothing.
fn deployment_for(test: &str) -> Option<&'static Place> {
    deployment().map_err(|because| skip(test, because)).ok()
}

/// A command to its end.
fn command(home: &Home, arguments: &[&str]) -> Ended {
    home.start(arguments).wait(Duration::from_secs(120))
}

/// A command that must succeed.
fn succeeds(home: &Home, arguments: &[&str]) -> Ended {
    let ended = command(home, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended
}

/// All that the daemon and the commands beside it do on an instance.
fn do_everything(place: &Place, home: &mut Home) {
    let target = Server::start();
    place.put_row("shop", &target.url("/shop"));
    place.put_row("torn", &target.url("/torn"));
    place.put_damaged_record("torn");

    // A start, a record that is set aside, an outage and its recovery, a reload.
    let daemon = home.run();
    daemon.wait_for_log("a stored state is damaged; it is set aside");
    place.wait_for_status("shop", "up", 0);
    place.wait_for_status("torn", "up", 0);
    assert!(place.states().keys().any(|key| key.starts_with("api-health:set-aside:torn")), "{:?}", place.states().keys());
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
    do_everything(place, &mut home);
    // What user data does at the first boot.
    let role = Caller::with(&instance.environment());
    for object in objects(&policy) {
        role.call("s3", "get_object", &object);
    }
    assert_eq!(instance.refused(), [""; 0]);
    assert_eq!(policy::unused(&policy, &instance.decisions()), []);
}

/// The objects of S3 that a policy names.
fn objects(policy: &Value) -> Vec<Value> {
    let names = policy::grants(policy).into_iter().filter_map(|grant| {
        let (bucket, key) = grant.resource.strip_prefix("arn:aws:s3:::")?.split_once('/')?;
        Some(json!({ "Bucket": bucket, "Key": key }))
    });
    names.collect()
}
