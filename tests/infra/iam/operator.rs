//! Somebody with the policy "operator" edits what is watched and looks at what was found, and can do no more.

use serde_json::{Value, json};

use super::place::{Place, administrator};
use super::{command, deployment_for, policy, succeeds};
use crate::strict::{Caller, Strict};
use crate::support::http::Server;

/// Who it is.
const USER: &str = "somebody-on-call";

/// The record by which the workers are told what changed.
const ASSIGNMENT: &str = "api-health:assignment";

/// How often that record was written.
fn version_of_the_assignment(place: &Place) -> u64 {
    place.states()[ASSIGNMENT]["version"].as_n().unwrap().parse().unwrap()
}

/// Gives the user just this.
fn grant(policy: &Value) {
    let put = json!({ "UserName": USER, "PolicyName": "operator", "PolicyDocument": policy.to_string() });
    administrator().call("iam", "put_user_policy", &put);
}

#[test]
fn an_operator_edits_configs_and_can_do_no_more() {
    let Some(place) = deployment_for("an_operator_edits_configs_and_can_do_no_more") else { return };
    let place = place.copy();
    let admin = administrator();
    let policy = place.operator_policy();
    assert_eq!(policy::too_wide(&policy), [""; 0], "{policy}");
    admin.call("iam", "create_user", &json!({ "UserName": USER }));
    grant(&policy);
    let key = admin.call("iam", "create_access_key", &json!({ "UserName": USER }))["AccessKey"].take();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let environment = Strict::shared().user(&text("AccessKeyId"), &text("SecretAccessKey"));
    let home = place.home(&environment);
    let row = |id: &str| format!("[[api]]\napi_id = \"{id}\"\nurl = \"https://{id}.invalid\"\n");
    home.write("apis.toml", &[row("shop"), row("more")].concat());

    // A worker was here, so that there is a record by which the workers are told.
    let target = Server::start();
    place.put_row("first", &target.url("/first"));
    let role = place.instance(json!({}));
    succeeds(&place.home(&role.environment()), &["run", "--once"]);
    let version = version_of_the_assignment(&place);

    for arguments in [
        &["apis", "add", "--id", "shop", "--url", "https://example.invalid"][..],
        &["apis", "list"],
        &["apis", "show", "shop"],
        &["apis", "edit", "shop", "--set", "timeout_seconds=3"],
        &["apis", "import", "apis.toml", "--yes"],
        &["apis", "export"],
        &["status"],
        &["alerts", "list"],
        &["apis", "rm", "more"],
        &["fleet"],
    ] {
        let ended = succeeds(&home, arguments);
        assert!(!ended.log.contains("cannot be told"), "{ended:?}");
    }
    assert_eq!(version_of_the_assignment(&place), version + 4, "each of four edits is told");
    let listed = succeeds(&home, &["apis", "list"]).output;
    assert!(listed.contains("shop.invalid") && !listed.contains("more.invalid"), "{listed}");
    let who = format!("user/{USER}");
    let decisions = Strict::shared().decisions(&who);
    assert!(decisions.iter().all(|decision| decision.allowed), "{decisions:#?}");
    let unused = policy::unused(&policy, &decisions);
    assert_eq!(unused.iter().map(|grant| grant.action.as_str()).collect::<Vec<_>>(), UNUSED, "{unused:?}");

    let person = Caller::with(&environment);
    let [item, worker, assignment] =
        ["shop", "api-health:worker:x", ASSIGNMENT].map(|key| json!({ "api_id": { "S": key } }));
    let put = |item: &Value| json!({ "TableName": place.states, "Item": item });
    let both = json!({ "TransactItems": [{ "Put": put(&assignment) }, { "Put": put(&item) }] });
    for (service, operation, parameters) in [
        ("sns", "publish", json!({ "TopicArn": place.topic_arn, "Message": "all is well" })),
        ("dynamodb", "delete_table", json!({ "TableName": place.configs })),
        ("dynamodb", "delete_table", json!({ "TableName": place.states })),
        ("dynamodb", "put_item", put(&item)),
        ("dynamodb", "put_item", put(&worker)),
        ("dynamodb", "transact_write_items", both),
        ("dynamodb", "update_item", json!({ "TableName": place.states, "Key": assignment })),
        ("dynamodb", "delete_item", json!({ "TableName": place.states, "Key": assignment })),
        ("dynamodb", "delete_item", json!({ "TableName": place.states, "Key": item })),
    ] {
        let refusal = person.try_call(service, operation, &parameters).expect_err(operation);
        assert!(["AccessDeniedException", "AuthorizationError"].contains(&&*refusal.code), "{operation}: {refusal:?}");
    }
    assert_eq!(Strict::shared().decisions(&who).iter().filter(|decision| decision.why == "denied").count(), 9);
    assert_eq!(version_of_the_assignment(&place), version + 4, "none of it was done");
    // The daemon's own work is not for them, and that is said in words.
    let told = command(&home, &["alerts", "test"]);
    assert_ne!(told.code, Some(0), "{told:?}");
    assert!(told.output.contains("allow sns:Publish on "), "{told:?}");

    // Whoever may not tell the workers edits all the same, and hears when they will see it.
    let mut silent = policy.clone();
    silent["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "TellWorkers");
    grant(&silent);
    let edited = succeeds(&home, &["apis", "edit", "shop", "--set", "timeout_seconds=4"]);
    for said in ["who watches sees this within 60 s", "allows dynamodb:PutItem on ", &place.states] {
        assert!(edited.log.contains(said), "{said}: {edited:?}");
    }
    assert_eq!(version_of_the_assignment(&place), version + 4);
}

/// For people with the console of AWS, which describes a table before it shows it.
const UNUSED: [&str; 3] = ["dynamodb:DescribeTable", "dynamodb:DescribeTable", "dynamodb:DescribeTable"];
