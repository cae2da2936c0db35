//! `doctor` with DynamoDB and SNS: what is well, each thing that may be wrong, and that nothing is ever written or sent.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::cloud::{Cloud, SECRET_KEY, SESSION_TOKEN};
use crate::daemon::Home;
use crate::doctor::Found;
use crate::support::dynamodb;
use crate::support::dynamodb_local;
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;

/// No run may take longer: 25 s for credentials, 15 s for the checks, and a busy machine.
const BOUND: Duration = Duration::from_secs(90);

pub(crate) fn doctor(home: &Home) -> Found {
    let ended = home.start(&["doctor", "--json"]).wait(BOUND);
    let text = ended.output + &ended.log;
    assert!(!text.contains(SECRET_KEY) && !text.contains(SESSION_TOKEN), "{text}");
    Found::new(ended.code.unwrap(), &text)
}

/// A home that knows moto, these tables and this topic, through `proxy`.
pub(crate) fn home_through(cloud: &Cloud, proxy: &HttpProxy) -> Home {
    let mut home = cloud.home();
    home.env("AWS_ENDPOINT_URL", proxy.url(""));
    home
}

pub(crate) fn proxy() -> HttpProxy {
    HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Topics that no other test has.
fn sns() -> aws_sdk_sns::Client {
    let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "test");
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-central-1"))
        .endpoint_url(&Moto::shared().endpoint)
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .build();
    aws_sdk_sns::Client::new(&config)
}

#[test]
fn a_deployment_that_is_well_is_told_so_and_nothing_is_written_or_sent() {
    let cloud = Cloud::new();
    cloud.put_row("shop", "http://127.0.0.1:1/", &[]);
    let found = doctor(&cloud.home());
    assert_eq!(found.code, 0, "{:#}", found.json);
    assert!(found.checks("fault").is_empty() && found.checks("not_checked").is_empty(), "{:#}", found.json);
    assert_eq!(found.one("region").1, "eu-central-1, from environment variable AWS_REGION");
    let (result, what, _) = found.one("credentials");
    assert_eq!(result, "warn", "temporary credentials of the environment: {what}");
    assert!(what.starts_with("from AWS_ACCESS_KEY_ID in the environment; "), "{what}");
    let tables = ["configs_table", "states_table", "states_write", "history_table"];
    for check in ["dynamodb_endpoint", "sns_endpoint", "clock"].into_iter().chain(tables) {
        assert_eq!(found.one(check).0, "ok", "{check}: {:#}", found.json);
    }
    let (_, what, _) = found.one("configs_table");
    assert!(what.contains(&cloud.config_table) && what.contains("key api_id (S)"), "{what}");
    assert!(found.one("topic").1.starts_with(&format!("{}: a standard topic", cloud.topic_arn)), "{:#}", found.json);
    assert!(found.one("subscriptions").1.starts_with("1 confirmed: sqs arn:"), "{:#}", found.json);
    assert!(found.one("publish").1.starts_with("not refused for permission"), "{:#}", found.json);
    assert_eq!(found.one("apis").1, "1 API to watch");
    assert!(cloud.states().is_empty(), "{:?}", cloud.states());
    assert!(cloud.received().is_empty());
}

#[test]
fn what_is_stored_stays_as_it_is_and_is_counted() {
    let cloud = Cloud::new();
    let client = dynamodb::client(&Moto::shared().endpoint);
    let put = |key: &str| {
        let item = client.put_item().table_name(&cloud.state_table).item("api_id", AttributeValue::S(key.into()));
        run(item.item("odd", AttributeValue::N("1".into())).send()).unwrap();
    };
    // Also where an item has the very key that the doctor pretends to write to.
    ["shop", "api-health:doctor", "api-health:set-aside:shop:1"].into_iter().for_each(put);
    let before = cloud.states();
    let found = doctor(&cloud.home());
    assert_eq!(found.one("states_write").0, "ok", "{:#}", found.json);
    assert!(found.all("states").iter().any(|f| f.0 == "warn" && f.1.contains("cannot be read: ")), "{:#}", found.json);
    assert!(found.all("states").iter().any(|f| f.1 == "1 damaged record set aside"), "{:#}", found.json);
    assert_eq!(cloud.states(), before);
}

#[test]
fn dynamodb_itself_refuses_the_pretended_writes_for_their_condition() {
    let Some(local) = dynamodb_local::shared() else { return };
    let client = dynamodb::client(&local.endpoint);
    let table = run(dynamodb::create_table(&client, "api_id"));
    let scan = || run(client.scan().table_name(&table).send()).unwrap().items.unwrap_or_default();
    let mut home = Home::empty();
    for (name, value) in Moto::shared().environment() {
        home.env(name, value);
    }
    home.env("AWS_ENDPOINT_URL_DYNAMODB", &local.endpoint).env("DDB_STATE_TABLE", &table);
    home.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\nfrom_store = false\n");
    home.write("apis.toml", "");
    let found = doctor(&home);
    assert_eq!(found.one("states_write").0, "ok", "{:#}", found.json);
    assert!(scan().is_empty(), "{:?}", scan());
    assert!(found.all("configs_table").is_empty(), "it is not used: {:#}", found.json);
    let key = AttributeValue::S("api-health:doctor".into());
    run(client.put_item().table_name(&table).item("api_id", key).send()).unwrap();
    let before = scan();
    assert_eq!(doctor(&home).one("states_write").0, "ok");
    assert_eq!(scan(), before);
}

#[test]
fn a_table_with_another_key_and_one_that_is_not_there_are_told() {
    let cloud = Cloud::new();
    let client = dynamodb::client(&Moto::shared().endpoint);
    let mut home = cloud.home();
    home.env("DDB_STATE_TABLE", run(dynamodb::create_table(&client, "name")));
    home.env("DDB_CONFIG_TABLE", "no-such-table");
    let found = doctor(&home);
    assert_eq!(found.code, 69);
    let (result, what, todo) = found.one("states_table");
    assert_eq!(result, "fault");
    assert!(what.contains("its key is name (S), and not api_id (S) alone"), "{what}");
    assert!(todo.contains("infra/terraform"), "{todo}");
    assert_eq!(found.one("states_write").0, "not_checked", "{:#}", found.json);
    assert_eq!(found.one("states_write").1, "see states_table above");
    let (result, what, todo) = found.one("configs_table");
    assert_eq!((result, what), ("fault", "DynamoDB table no-such-table does not exist in region eu-central-1"));
    assert!(todo.contains("DDB_CONFIG_TABLE") && todo.contains("terraform output -raw configs_table_name"), "{todo}");
    assert_eq!(found.one("topic").0, "ok", "the others ran: {:#}", found.json);
}

#[test]
fn a_table_of_history_that_is_not_as_it_should_be_is_a_warning_with_what_to_do() {
    let cloud = Cloud::new();
    let client = dynamodb::client(&Moto::shared().endpoint);
    let found_with = |table: &str| {
        let mut home = cloud.home();
        home.env("DDB_HISTORY_TABLE", table);
        let found = doctor(&home);
        assert_eq!(found.code, 0, "nobody is watched less for it: {:#}", found.json);
        let (result, what, todo) = found.one("history_table");
        assert_eq!(result, "warn", "{what}");
        (what.to_owned(), todo.to_owned())
    };
    let (what, todo) = found_with("no-such-table");
    assert_eq!(what, "DynamoDB table no-such-table does not exist in region eu-central-1: no history is kept");
    assert!(todo.contains("infra/terraform") && todo.contains("history.enabled = false"), "{todo}");
    let (what, todo) = found_with(&run(dynamodb::create_table(&client, "api_id")));
    assert!(
        what.contains("has another key than is needed") && todo.contains("api_id (S) and slot (S)"),
        "{what} {todo}"
    );
    let off = aws_sdk_dynamodb::types::TimeToLiveSpecification::builder().enabled(false).attribute_name("expires_at");
    let request = client.update_time_to_live().table_name(&cloud.history_table);
    run(request.time_to_live_specification(off.build().unwrap()).send()).unwrap();
    let (what, todo) = found_with(&cloud.history_table);
    assert!(what.ends_with("its TTL is not on expires_at, so that it grows for ever"), "{what}");
    assert!(todo.starts_with("aws dynamodb update-time-to-live --table-name "), "{todo}");

    let mut home = cloud.home();
    home.env("DDB_HISTORY_TABLE", "no-such-table");
    home.write("api-health.toml", "[history]\nenabled = false\n");
    assert!(doctor(&home).all("history_table").is_empty());
}

#[test]
fn a_topic_that_is_not_there_nobody_hears_or_is_fifo_is_told() {
    let cloud = Cloud::new();
    let mut home = cloud.home();
    home.env("SNS_TOPIC_ARN", cloud.topic_arn.clone() + "-not");
    let found = doctor(&home);
    assert_eq!(found.code, 69);
    let (result, what, todo) = found.one("topic");
    assert!(result == "fault" && what.ends_with("-not does not exist"), "{:#}", found.json);
    assert!(todo.contains("SNS_TOPIC_ARN") && todo.contains("terraform output -raw topic_arn"), "{todo}");
    assert_eq!((found.one("subscriptions").0, found.one("publish").0), ("not_checked", "not_checked"));

    let name = format!("{}.fifo", cloud.state_table);
    let create = sns().create_topic().name(name).attributes("FifoTopic", "true").send();
    home.env("SNS_TOPIC_ARN", run(create).unwrap().topic_arn.unwrap());
    let found = doctor(&home);
    assert_eq!(found.code, 69);
    assert!(found.one("topic").1.contains("a FIFO topic, which e-mail cannot subscribe to"), "{:#}", found.json);
    assert_eq!(found.one("publish").0, "ok", "{:#}", found.json);
    let (result, what, todo) = found.one("subscriptions");
    assert!(result == "fault" && what.starts_with("nobody is subscribed"), "{:#}", found.json);
    assert!(todo.starts_with("aws sns subscribe --topic-arn ") && todo.contains("--protocol sqs"), "{todo}");
    // With somebody else who is told, it is no more than a warning.
    home.write("api-health.toml", "[notify.webhook]\nurl = \"http://127.0.0.1:1/\"\n");
    assert_eq!(doctor(&home).one("subscriptions").0, "warn");
}

/// SNS as it lists a subscription: `SubscriptionArn` is a word while nobody has confirmed it.
fn listed(members: &[(&str, &str)]) -> Fault {
    page_of(members, "")
}

/// The same with what follows the list, such as that there is more.
fn page_of(members: &[(&str, &str)], more: &str) -> Fault {
    let members: String = members
        .iter()
        .map(|(endpoint, arn)| {
            format!(
                "<member><Owner>1</Owner><Protocol>email</Protocol><TopicArn>t</TopicArn><Endpoint>{endpoint}</Endpoint>\
                 <SubscriptionArn>{arn}</SubscriptionArn></member>"
            )
        })
        .collect();
    let body = format!(
        "<ListSubscriptionsByTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
         <ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions>{more}</ListSubscriptionsByTopicResult>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ListSubscriptionsByTopicResponse>"
    );
    Fault::answer("200 OK", "content-type: text/xml\r\n", &body)
}

#[test]
fn who_has_not_confirmed_is_named() {
    let (cloud, proxy) = (Cloud::new(), proxy());
    let home = home_through(&cloud, &proxy);
    let (ops, late) =
        (("ops@example.com", "arn:aws:sns:eu-central-1:1:t:1"), ("late@example.com", "PendingConfirmation"));
    proxy.strike_only(listed(&[ops, late]), "ListSubscriptionsByTopic");
    let found = doctor(&home);
    assert_eq!(found.code, 0, "{:#}", found.json);
    let (result, what, todo) = found.one("subscriptions");
    assert_eq!((result, what), ("warn", "1 confirmed: email ops@example.com; 1 pending: email late@example.com"));
    assert!(todo.contains("Subscription Confirmation"), "{todo}");
    proxy.strike_only(listed(&[late]), "ListSubscriptionsByTopic");
    let found = doctor(&home);
    assert_eq!((found.code, found.one("subscriptions").0), (69, "fault"), "{:#}", found.json);
}

#[test]
fn lists_without_an_end_are_read_for_so_many_pages_and_few_are_named() {
    let (cloud, proxy) = (Cloud::new(), proxy());
    let home = home_through(&cloud, &proxy);
    let ops = ("ops@example.com", "arn:aws:sns:eu-central-1:1:t:1");
    proxy.strike_only(page_of(&[ops], "<NextToken>on</NextToken>"), "ListSubscriptionsByTopic");
    let found = doctor(&home);
    let five = ["email ops@example.com"; 5].join(", ");
    assert_eq!(found.one("subscriptions").1, format!("10 confirmed: {five}, 5 more"));
}

#[test]
fn each_permission_that_is_missing_is_named() {
    let (cloud, proxy) = (Cloud::new(), proxy());
    let home = home_through(&cloud, &proxy);
    let type_of = "com.amazon.coral.service#AccessDeniedException";
    let json = format!("{{\"__type\": \"{type_of}\", \"Message\": \"User: arn:aws:iam::1:role/x is not authorized\"}}");
    let headers = "content-type: application/x-amz-json-1.0\r\nx-amzn-requestid: 1\r\n";
    let denied = Fault::answer("400 Bad Request", headers, &json);
    let xml = "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
               <Code>AuthorizationError</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    let not_allowed = Fault::answer("403 Forbidden", "content-type: text/xml\r\n", xml);
    for (text, fault, check, result, action) in [
        ("DynamoDB_20120810.DescribeTable", &denied, "configs_table", "warn", "dynamodb:DescribeTable"),
        ("DynamoDB_20120810.DescribeTable", &denied, "states_table", "warn", "dynamodb:DescribeTable"),
        ("DynamoDB_20120810.Scan", &denied, "states", "fault", "dynamodb:Scan"),
        ("DynamoDB_20120810.PutItem", &denied, "states_write", "fault", "dynamodb:PutItem"),
        ("DynamoDB_20120810.DeleteItem", &denied, "states_write", "fault", "dynamodb:DeleteItem"),
        ("Action=GetTopicAttributes", &not_allowed, "topic", "warn", "sns:GetTopicAttributes"),
        ("Action=ListSubscriptionsByTopic", &not_allowed, "subscriptions", "warn", "sns:ListSubscriptionsByTopic"),
        ("Action=Publish", &not_allowed, "publish", "fault", "sns:Publish"),
    ] {
        proxy.strike_only(fault.clone(), text);
        let found = doctor(&home);
        assert_eq!(found.code, if result == "fault" { 69 } else { 0 }, "{text}: {:#}", found.json);
        let (is, what, todo) = *found.all(check).last().unwrap();
        assert_eq!(is, result, "{text}: {:#}", found.json);
        assert!(what.contains(action) || todo.contains(action), "{text}: {what} {todo}");
        let faults = found.checks("fault");
        assert!(faults.iter().all(|c| *c == check || action == "dynamodb:Scan"), "{text}: {faults:?}");
    }
}

#[test]
fn with_sqlite_and_a_topic_nothing_of_dynamodb_is_asked() {
    let cloud = Cloud::new();
    let mut home = Home::empty();
    for (name, value) in Moto::shared().environment() {
        home.env(name, value);
    }
    home.env("AWS_REGION", "").env("SNS_TOPIC_ARN", &cloud.topic_arn);
    let ended = home.start(&["doctor", "--json", "--send-test-message"]).wait(BOUND);
    let found = Found::new(ended.code.unwrap(), &ended.output);
    assert_eq!(found.code, 0, "{:#}", found.json);
    assert_eq!(found.one("region").1, "eu-central-1, from the topic's ARN");
    for check in ["dynamodb_endpoint", "configs_table", "states_table", "states_write"] {
        assert!(found.all(check).is_empty(), "{check}: {:#}", found.json);
    }
    assert_eq!(found.one("sqlite_file").0, "ok");
    assert!(found.one("test_message").1.starts_with("sns took it over in "), "{:#}", found.json);
    cloud.wait_for("api-health-test", "down", crate::daemon::SOON);
}
