//! What is not granted is denied, and a person whom that keeps from something is told what to allow.

use serde_json::{Value, json};

use super::daemon::{Ended, SOON, wait_for};
use super::place::{Place, administrator};
use super::policy::{self, Grant};
use super::{command, deployment_for, objects, succeeds};
use crate::strict::{Caller, Decision, Strict};
use crate::support::http::Server;

/// A call that the daemon's role must not be allowed, and what it takes to be: service, operation, parameters, action,
/// resource.
type Attempt = (&'static str, &'static str, Value, &'static str, String);

fn arn_of_table(place: &Place, table: &str) -> String {
    let parts: Vec<&str> = place.topic_arn.split(':').collect(); // arn:aws:sns:REGION:ACCOUNT:NAME
    format!("arn:aws:dynamodb:{}:{}:table/{table}", parts[3], parts[4])
}

/// What somebody who took over the daemon would try. `other` is a deployment of somebody else.
fn attempts(place: &Place, other: &Place) -> Vec<Attempt> {
    let table = |name: &str| json!({ "TableName": name });
    let item = json!({ "api_id": { "S": "intruder" }, "url": { "S": "http://example.com" } });
    let key = json!({ "api_id": { "S": "intruder" } });
    let (configs, states) = (arn_of_table(place, &place.configs), arn_of_table(place, &place.states));
    let history = arn_of_table(place, &place.history);
    let other_states = arn_of_table(place, &other.states);
    let new_table = json!({
        "TableName": "loot", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "api_id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "api_id", "KeyType": "HASH" }],
    });
    let mail = json!({ "TopicArn": place.topic_arn, "Protocol": "email", "Endpoint": "intruder@example.com" });
    let of_topic = |topic: &str| json!({ "TopicArn": topic });
    let publish = |topic: &str| json!({ "TopicArn": topic, "Message": "all is well" });
    let put = |table: &str| json!({ "TableName": table, "Item": item });
    let transact = json!({ "TransactItems": [
        { "Put": put(&place.states) },
        { "Put": put(&place.configs) },
    ] });
    let role = format!("arn:aws:iam::{}:role/{}", place.topic_arn.split(':').nth(4).unwrap(), place.role);
    let more = json!({ "RoleName": place.role, "PolicyName": "more", "PolicyDocument": "{}" });
    let assume = json!({ "RoleArn": role, "RoleSessionName": "intruder" });
    let mut all: Vec<Attempt> = vec![
        ("dynamodb", "put_item", put(&place.configs), "dynamodb:PutItem", configs.clone()),
        (
            "dynamodb",
            "get_item",
            json!({ "TableName": place.configs, "Key": key }),
            "dynamodb:GetItem",
            configs.clone(),
        ),
        (
            "dynamodb",
            "delete_item",
            json!({ "TableName": place.configs, "Key": key }),
            "dynamodb:DeleteItem",
            configs.clone(),
        ),
        ("dynamodb", "transact_write_items", transact, "dynamodb:PutItem", configs.clone()),
        ("dynamodb", "delete_table", table(&place.configs), "dynamodb:DeleteTable", configs),
        ("dynamodb", "delete_table", table(&place.states), "dynamodb:DeleteTable", states.clone()),
        (
            "dynamodb",
            "query",
            json!({
                "TableName": place.states, "KeyConditionExpression": "api_id = :a",
                "ExpressionAttributeValues": { ":a": { "S": "x" } },
            }),
            "dynamodb:Query",
            states.clone(),
        ),
        (
            "dynamodb",
            "batch_get_item",
            json!({ "RequestItems": { &place.states: { "Keys": [key] } } }),
            "dynamodb:BatchGetItem",
            states.clone(),
        ),
        ("dynamodb", "update_item", json!({ "TableName": place.states, "Key": key }), "dynamodb:UpdateItem", states),
        ("dynamodb", "scan", table(&place.history), "dynamodb:Scan", history.clone()),
        ("dynamodb", "delete_table", table(&place.history), "dynamodb:DeleteTable", history),
        ("dynamodb", "create_table", new_table, "dynamodb:CreateTable", arn_of_table(place, "loot")),
        ("dynamodb", "list_tables", json!({}), "dynamodb:ListTables", "*".into()),
        ("dynamodb", "scan", table(&other.states), "dynamodb:Scan", other_states.clone()),
        ("dynamodb", "put_item", put(&other.states), "dynamodb:PutItem", other_states),
        ("sns", "publish", publish(&other.topic_arn), "sns:Publish", other.topic_arn.clone()),
        ("sns", "delete_topic", of_topic(&place.topic_arn), "sns:DeleteTopic", place.topic_arn.clone()),
        ("sns", "subscribe", mail, "sns:Subscribe", place.topic_arn.clone()),
        ("sns", "list_topics", json!({}), "sns:ListTopics", "*".into()),
        ("iam", "put_role_policy", more, "iam:PutRolePolicy", role.clone()),
        ("iam", "create_user", json!({ "UserName": "intruder" }), "iam:CreateUser", "*".into()),
        ("sts", "assume_role", assume, "sts:AssumeRole", role),
        ("ec2", "describe_instances", json!({}), "ec2:DescribeInstances", "*".into()),
    ];
    for object in objects(&place.policy()) {
        let arn = |key: &str| format!("arn:aws:s3:::{}/{key}", object["Bucket"].as_str().unwrap());
        let other = json!({ "Bucket": object["Bucket"], "Key": "other" });
        let mut bad = object.clone();
        bad["Body"] = json!("bad");
        let bucket = format!("arn:aws:s3:::{}", object["Bucket"].as_str().unwrap());
        all.extend([
            ("s3", "get_object", other, "s3:GetObject", arn("other")),
            ("s3", "put_object", bad, "s3:PutObject", arn(object["Key"].as_str().unwrap())),
            ("s3", "list_objects_v2", json!({ "Bucket": object["Bucket"] }), "s3:ListBucket", bucket),
        ]);
    }
    all
}

/// The attempts that went through; asserts that all others failed for want of that permission, and are in the log.
fn let_through(place: &Place, attempts: &[Attempt]) -> Vec<String> {
    let instance = place.instance(json!({}));
    let role = Caller::with(&instance.environment());
    let mut through = Vec::new();
    for (service, operation, parameters, action, resource) in attempts {
        let before = instance.decisions().len();
        match role.try_call(service, operation, parameters) {
            Ok(_) => through.push(format!("{action} on {resource}")),
            Err(refusal) => {
                let code = match *service {
                    "dynamodb" => "AccessDeniedException",
                    "sns" => "AuthorizationError",
                    "ec2" => "UnauthorizedOperation",
                    _ => "AccessDenied",
                };
                assert_eq!(refusal.code, code, "{action}: {refusal:?}");
                let decisions = instance.decisions();
                let is_it =
                    |d: &Decision| !d.allowed && d.why == "denied" && d.action == *action && d.resource == *resource;
                assert!(decisions[before..].iter().any(is_it), "{action} on {resource}: {:#?}", &decisions[before..]);
            }
        }
    }
    through
}

#[test]
fn what_is_not_granted_is_denied() {
    let Some(place) = deployment_for("what_is_not_granted_is_denied") else { return };
    let other = place.copy();
    assert_eq!(let_through(place, &attempts(place, &other)), [""; 0]);
    let admin = administrator();
    for table in [&place.configs, &place.states] {
        admin.call("dynamodb", "describe_table", &json!({ "TableName": table }));
    }
    admin.call("sns", "get_topic_attributes", &json!({ "TopicArn": place.topic_arn }));

    // The check is tried on what it is there to find: a policy that is too wide by one resource, and one by one action.
    let wide = place.copy();
    let mut policy = wide.policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        if policy::list(&statement["Action"]).contains(&"sns:Publish".to_owned()) {
            statement["Resource"] = json!("*");
        }
    }
    let publish = format!("sns:Publish on {}", other.topic_arn);
    wide.grant(&policy);
    assert_eq!(let_through(&wide, &attempts(&wide, &other)), [publish]);
    assert!(!policy::too_wide(&policy).is_empty(), "{policy}");
    let mut policy = wide.renamed(place, &place.policy());
    let arn = arn_of_table(&wide, &wide.configs);
    let more = json!({ "Effect": "Allow", "Action": "dynamodb:Put*", "Resource": arn });
    policy["Statement"].as_array_mut().unwrap().push(more);
    wide.grant(&policy);
    let put = format!("dynamodb:PutItem on {arn}");
    assert_eq!(let_through(&wide, &attempts(&wide, &other)), [put.clone(), put], "alone and in a transaction");
    assert!(!policy::too_wide(&policy).is_empty(), "{policy}");
}

/// A policy without one grant.
fn without(policy: &Value, lost: &Grant) -> Value {
    let keep = |grant: &Grant| grant != lost;
    let statements = policy::grants(policy)
        .into_iter()
        .filter(keep)
        .map(|Grant { action, resource }| json!({ "Effect": "Allow", "Action": action, "Resource": resource }));
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<Value>>() })
}

/// Whether a person is told which action is denied, on what, and what to do (`allow …`, or `allows …`): in one line, or in a
/// finding of `doctor` and the line after it.
fn is_told(said: &str, action: &str, thing: &str, todo: &str) -> bool {
    let lines: Vec<&str> = said.lines().collect();
    let findings = lines.windows(2).filter(|two| two[1].trim_start().starts_with("->")).map(|two| two.concat());
    let mut texts = lines.iter().map(|line| (*line).to_owned()).chain(findings);
    let todos = [todo.to_owned(), todo.replacen("allow ", "allows ", 1)];
    texts.any(|text| text.contains(action) && text.contains(thing) && todos.iter().any(|todo| text.contains(todo)))
}

fn assert_told(ended: &Ended, action: &str, thing: &str, todo: &str) {
    let said = format!("{}{}", ended.log, ended.output);
    assert!(is_told(&said, action, thing, todo), "{action}, {thing}, {todo:?}: {ended:?}");
    assert!(!said.contains("SdkError"), "{ended:?}");
}

#[test]
fn each_grant_that_is_missing_is_told_with_what_to_allow() {
    let Some(place) = deployment_for("each_grant_that_is_missing_is_told_with_what_to_allow") else { return };
    let place = place.copy();
    let target = Server::start();
    place.put_row("shop", &target.url("/shop"));
    let instance = place.instance(json!({}));
    let home = place.home(&instance.environment());
    let editor = place.home(&Strict::shared().administrator());
    let full = place.policy();
    let (configs, states) = (arn_of_table(&place, &place.configs), arn_of_table(&place, &place.states));
    let history = arn_of_table(&place, &place.history);
    let topic = &place.topic_arn;
    let mut tried = Vec::new();
    for (action, resource, name, arguments, code) in [
        ("dynamodb:Scan", &configs, &place.configs, &["run", "--once"][..], Some(64)),
        ("dynamodb:Scan", &configs, &place.configs, &["apis", "list"], Some(64)),
        ("dynamodb:Scan", &states, &place.states, &["status"], Some(69)),
        ("dynamodb:Scan", &states, &place.states, &["run", "--once"], Some(69)),
        ("dynamodb:GetItem", &states, &place.states, &["status"], Some(69)),
        ("dynamodb:GetItem", &states, &place.states, &["run", "--once"], Some(69)),
        ("dynamodb:PutItem", &states, &place.states, &["run"], None),
        ("dynamodb:PutItem", &states, &place.states, &["run", "--once"], Some(69)),
        ("dynamodb:BatchGetItem", &configs, &place.configs, &["run"], None),
        ("dynamodb:DeleteItem", &states, &place.states, &["run"], None),
        ("sns:Publish", topic, topic, &["alerts", "test"], Some(69)),
        ("dynamodb:DescribeTable", &configs, &place.configs, &["doctor"], Some(0)),
        ("dynamodb:DescribeTable", &states, &place.states, &["doctor"], Some(0)),
        ("dynamodb:PutItem", &states, &place.states, &["doctor"], Some(69)),
        ("dynamodb:DescribeTable", &history, &place.history, &["doctor"], Some(0)),
        ("dynamodb:DescribeTimeToLive", &history, &place.history, &["doctor"], Some(0)),
        ("dynamodb:PutItem", &history, &place.history, &["doctor"], Some(0)),
        ("dynamodb:Query", &history, &place.history, &["doctor"], Some(0)),
        ("sns:Publish", topic, topic, &["doctor"], Some(69)),
        ("sns:GetTopicAttributes", topic, topic, &["doctor"], Some(0)),
        ("sns:ListSubscriptionsByTopic", topic, topic, &["doctor"], Some(0)),
    ] {
        let lost = Grant { action: action.into(), resource: resource.clone() };
        assert!(policy::grants(&full).contains(&lost), "{lost:?}");
        place.grant(&without(&full, &lost));
        if action == "dynamodb:DeleteItem" {
            place.put_damaged_record("shop");
        }
        let todo = format!("allow {action} on ");
        let ended = if arguments == ["run"] {
            // A daemon does not end for that: it tries again.
            let daemon = home.run();
            if action == "dynamodb:BatchGetItem" {
                daemon.wait_for_log("watching");
                succeeds(&editor, &["apis", "edit", "shop", "--set", "timeout_seconds=9"]);
            }
            wait_for(action, SOON, || is_told(&daemon.log(), action, name, &todo).then_some(()));
            daemon.kill()
        } else {
            command(&home, arguments)
        };
        let is_it = |d: &Decision| !d.allowed && d.action == lost.action && d.resource == lost.resource;
        assert!(instance.decisions().iter().any(is_it), "{lost:?} was not asked for by {arguments:?}");
        assert_told(&ended, action, name, &todo);
        assert!(!ended.log.contains("it is set aside"), "it was not: {ended:?}");
        assert_eq!(ended.code, code, "{lost:?} {arguments:?}: {ended:?}");
        tried.push(lost);
    }
    let untried: Vec<Grant> = policy::grants(&full).into_iter().filter(|grant| !tried.contains(grant)).collect();
    assert!(untried.iter().all(|grant| grant.action == "s3:GetObject"), "{untried:?}");
}

#[test]
fn who_edits_configs_as_the_daemon_is_told_that_it_may_not() {
    let Some(place) = deployment_for("who_edits_configs_as_the_daemon_is_told_that_it_may_not") else { return };
    let instance = place.instance(json!({}));
    let home = place.home(&instance.environment());
    let table = format!("DynamoDB table {}", place.configs);
    for arguments in [&["apis", "add", "--url", "http://127.0.0.1:9/x"][..], &["apis", "rm", "x"]] {
        let ended = command(&home, arguments);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert_told(&ended, "dynamodb:", &table, "write an IAM policy that allows dynamodb:");
        assert_told(&ended, "dynamodb:", &table, "or use the credentials of somebody who edits configs");
    }
    assert_eq!(instance.refused().len(), 2, "{:?}", instance.refused());
}
