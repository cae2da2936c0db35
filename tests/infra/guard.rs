//! Under the real unit no probe reaches the metadata service, and the daemon's own credentials work.
//!
//! The container has a network of its own in which 169.254.169.254 and fd00:ec2::254 are answered by an emulator, so the
//! daemon finds its role's credentials as on EC2, by no setting of a test.

mod metadata;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use self::metadata::{ADDRESSES, Heard, Metadata};
use crate::container::{Container, Network};
use crate::skip::{Because, skip};
use crate::strict::{Caller, REGION, Strict};
use crate::support::http::{Answer, Server};
use crate::unit::service::{Service, UNIT, tree};

/// What names the service in a URL. Such a row is refused before it is ever probed.
const WRITTEN: [(&str, &str); 7] = [
    ("dotted", "169.254.169.254"),
    ("decimal", "2852039166"),
    ("hexadecimal", "0xa9fea9fe"),
    ("octal", "0251.0376.0251.0376"),
    ("short", "169.254.43518"),
    ("mapped", "[::ffff:169.254.169.254]"),
    ("version-6", "[fd00:ec2::254]"),
];

/// Names, and what they resolve to.
const NAMES: [(&str, &[&str]); 6] = [
    ("name-4.test", &["169.254.169.254"]),
    ("name-6.test", &["fd00:ec2::254"]),
    ("name-mapped.test", &["::ffff:169.254.169.254"]),
    ("name-both.test", &["169.254.169.254", "fd00:ec2::254"]),
    // Nothing listens on port 80 of loopback, so that whoever goes on to the next address comes to the bad one.
    ("name-mixed.test", &["127.0.0.1", "169.254.169.254"]),
    ("name-mixed-6.test", &["::1", "fd00:ec2::254"]),
];

/// Where an API redirects to: what is written there.
const REDIRECTED: [(&str, &str); 4] = [
    ("to-dotted", "169.254.169.254"),
    ("to-hexadecimal", "0xa9fea9fe"),
    ("to-version-6", "[fd00:ec2::254]"),
    ("to-name", "name-4.test"),
];

/// A path that the service would answer, told apart by what asks for it.
fn path(id: &str) -> String {
    format!("/latest/meta-data/asked-by-{id}")
}

fn id_of(name: &str) -> String {
    name.trim_end_matches(".test").to_owned()
}

/// Tables, topic and a role with the daemon's policy.
fn deploy(admin: &Caller) -> String {
    let key = json!([{ "AttributeName": "api_id", "KeyType": "HASH" }]);
    let attributes = json!([{ "AttributeName": "api_id", "AttributeType": "S" }]);
    let arn = |table: &Value| table["TableDescription"]["TableArn"].as_str().unwrap().to_owned();
    let [configs, states] = ["api_health_configs", "api_health_states"].map(|name| {
        let table = json!({ "TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST" });
        arn(&admin.call("dynamodb", "create_table", &table))
    });
    let slots =
        json!([{ "AttributeName": "api_id", "KeyType": "HASH" }, { "AttributeName": "slot", "KeyType": "RANGE" }]);
    let texts =
        json!([{ "AttributeName": "api_id", "AttributeType": "S" }, { "AttributeName": "slot", "AttributeType": "S" }]);
    let history = json!({ "TableName": "api_health_history", "KeySchema": slots, "AttributeDefinitions": texts, "BillingMode": "PAY_PER_REQUEST" });
    let history = arn(&admin.call("dynamodb", "create_table", &history));
    let topic = admin.call("sns", "create_topic", &json!({ "Name": "api-health-alerts" }));
    let topic = topic["TopicArn"].as_str().unwrap().to_owned();
    let trust = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "ec2.amazonaws.com" } }] });
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Resource": configs, "Action": ["dynamodb:Scan", "dynamodb:DescribeTable"] },
        { "Effect": "Allow", "Resource": states, "Action": ["dynamodb:Scan", "dynamodb:GetItem",
          "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable"] },
        { "Effect": "Allow", "Resource": history, "Action": ["dynamodb:Query", "dynamodb:PutItem"] },
        { "Effect": "Allow", "Resource": topic, "Action": ["sns:Publish"] }] });
    let name = "api-health-daemon";
    admin.call("iam", "create_role", &json!({ "RoleName": name, "AssumeRolePolicyDocument": trust.to_string() }));
    let put = json!({ "RoleName": name, "PolicyName": "daemon", "PolicyDocument": policy.to_string() });
    admin.call("iam", "put_role_policy", &put);
    admin.call("iam", "create_instance_profile", &json!({ "InstanceProfileName": name }));
    admin.call("iam", "add_role_to_instance_profile", &json!({ "InstanceProfileName": name, "RoleName": name }));
    topic
}

fn put_row(admin: &Caller, api_id: &str, url: &str) {
    let (number, text) = (|n: &str| json!({ "N": n }), |text: &str| json!({ "S": text }));
    let item = json!({ "api_id": text(api_id), "url": text(url), "interval_seconds": number("1"),
        "recheck_seconds": number("1"), "max_redirects": number("3"), "timeout_seconds": number("10") });
    admin.call("dynamodb", "put_item", &json!({ "TableName": "api_health_configs", "Item": item }));
}

/// The stored records, by API.
fn states(admin: &Caller) -> BTreeMap<String, Value> {
    let scan = admin.call("dynamodb", "scan", &json!({ "TableName": "api_health_states", "ConsistentRead": true }));
    let items = scan["Items"].as_array().unwrap().iter();
    items.map(|item| (item["api_id"]["S"].as_str().unwrap().to_owned(), item.clone())).collect()
}

/// What the daemon asks for on its own behalf.
fn is_for_its_credentials(heard: &Heard) -> bool {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let asks = [
        "PUT /latest/api/token".to_owned(),
        format!("GET {ROLES}"),
        format!("GET {ROLES}api-health-daemon"),
        "GET /latest/meta-data/placement/region".to_owned(),
    ];
    let by_the_sdk = heard.head.to_ascii_lowercase().contains("user-agent: aws-sdk-rust");
    by_the_sdk && asks.iter().any(|ask| heard.line == format!("{ask} HTTP/1.1"))
}

/// Lets time pass in which something is not supposed to happen.
#[allow(clippy::disallowed_methods, reason = "the absence of something has no condition to wait for")]
fn let_pass(span: Duration) {
    std::thread::sleep(span);
}

#[test]
fn no_probe_reaches_the_metadata_service_and_the_daemons_own_credentials_work() {
    let test = "no_probe_reaches_the_metadata_service_and_the_daemons_own_credentials_work";
    let container = match Container::boot(Network::Own(&ADDRESSES)) {
        Ok(container) => container,
        Err(because) => return skip(test, &because),
    };
    let (strict, server) = container.in_network(|| (Strict::start(), Server::start()));
    let admin = container.in_network(|| Caller::with(&strict.administrator()));
    let topic = deploy(&admin);
    let to = strict.endpoint.rsplit(':').next().unwrap().parse().unwrap();

    // Every way there is to the service, and one API that is as it should be.
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for (name, addresses) in NAMES {
        addresses.iter().for_each(|address| hosts += &format!("{address} {name}\n"));
    }
    container.write("/etc/hosts", &hosts, "644");
    container.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", "644");
    let mut ways: BTreeMap<String, String> = BTreeMap::new(); // the path at the service that each asks for, and its URL
    for (id, host) in WRITTEN.into_iter().chain(NAMES.map(|(name, _)| (name, name))) {
        let id = id_of(id);
        ways.insert(path(&id), format!("http://{host}{}", path(&id)));
    }
    for (id, host) in REDIRECTED {
        server.set(&format!("/{id}"), Answer::Redirect(format!("http://{host}{}", path(id))));
        ways.insert(path(id), server.url(&format!("/{id}")));
    }
    for (path, url) in &ways {
        put_row(&admin, path.rsplit("asked-by-").next().unwrap(), url);
    }
    put_row(&admin, "good", &server.url("/good"));

    // A webhook, too, is a way in.
    let service = Service::install(&container, "[notify.webhook]\nurl = \"http://name-4.test/latest/webhook\"\n");
    let endpoint = &strict.endpoint;
    let environment = format!(
        "AWS_REGION={REGION}\nAWS_ENDPOINT_URL={endpoint}\nDDB_CONFIG_TABLE=api_health_configs\n\
         DDB_STATE_TABLE=api_health_states\nSNS_TOPIC_ARN={topic}\n"
    );
    service.etc("env", &environment);
    // The unit gives it three seconds, and the metadata service is not there yet.
    service.edit("short", "[Service]\nTimeoutStartSec=3s\n");
    container.ok(&["systemctl", "start", "--no-block", UNIT]);
    container.wait_for("it says what it waits for", || service.property("StatusText").contains("AWS").then_some(()));
    println!("status: {}", service.property("StatusText"));
    let pid = service.pid();
    let_pass(Duration::from_secs(5));
    assert_eq!((service.property("ActiveState").as_str(), service.pid()), ("activating", pid), "{}", service.log());
    let metadata = Metadata::start(&container, to);
    container.wait_for("the start", || (service.property("ActiveState") == "active").then_some(()));

    // What is found out while it is asked for is a failed probe, with the reason.
    let found_out = || NAMES.map(|(name, _)| id_of(name)).into_iter().chain(REDIRECTED.map(|(id, _)| id.to_owned()));
    let records = container.wait_for("every verdict", || {
        let records = states(&admin);
        let is_down = |id: &String| records.get(id).is_some_and(|record| record["status"]["S"] == "down");
        (found_out().all(|id| is_down(&id)) && records.contains_key("good")).then_some(records)
    });
    for id in found_out() {
        let error = records[&id]["last_error"]["S"].as_str().unwrap_or_default();
        assert!(error.contains("never"), "{id}: {error}");
    }
    // What is written is refused before.
    let log = container.journal(UNIT);
    for (id, _) in WRITTEN {
        assert!(!records.contains_key(id), "{id} was probed");
        let row = format!("api \"{id}\": ");
        let said = |line: &str| line.contains(&row) && line.contains("which is never probed");
        assert!(log.lines().any(said), "{id}: {log}");
    }
    assert_eq!(records["good"]["status"]["S"], "up", "{}", records["good"]);

    // The daemon itself was there, and what it found there works.
    let heard = metadata.heard();
    let others: Vec<&Heard> = heard.iter().filter(|heard| !is_for_its_credentials(heard)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(heard.iter().any(|heard| heard.path().ends_with("/api-health-daemon")), "{heard:#?}");
    println!("the metadata service was asked {} times, each time for the role's credentials", heard.len());
    container.wait_for("what the role allows: reading, writing, telling", || {
        let decisions = container.in_network(|| strict.decisions("i-00000000000000000"));
        assert!(decisions.iter().all(|decision| decision.allowed), "{decisions:#?}");
        let is_used = |action: &&str| decisions.iter().any(|decision| decision.action == **action);
        ["dynamodb:Scan", "dynamodb:PutItem", "sns:Publish"].iter().all(is_used).then_some(())
    });
    assert_eq!((service.property("NRestarts").as_str(), service.pid()), ("0", pid));

    anyone_else_gets_there(&container, &metadata, &ways);
    it_can_be_shut_for_the_whole_process(&service, &metadata);
}

/// The lines of infra/systemd/README.md for machines without a role.
fn it_can_be_shut_for_the_whole_process(service: &Service<'_>, metadata: &Metadata) {
    let readme = std::fs::read_to_string(tree("infra/systemd/README.md")).unwrap();
    let drop_in = readme.split("```ini\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(drop_in.contains("IPAddressDeny="), "{drop_in}");
    service.edit("no-metadata", drop_in);
    service.container.ok(&["systemctl", "stop", UNIT]);
    let before = metadata.heard().len();
    service.container.ok(&["systemctl", "start", "--no-block", UNIT]);
    service
        .container
        .wait_for("it says that it waits", || service.property("StatusText").contains("AWS").then_some(()));
    if service.log().contains("does not support BPF") {
        let because = Because::Impossible("this kernel or container filters no packets by BPF".into());
        return skip("it_can_be_shut_for_the_whole_process", &because);
    }
    let heard = metadata.heard();
    assert_eq!(heard.len(), before, "{:#?}", &heard[before..]);
}

/// Without the guard each of these ways leads to the service, for the daemon's own user: that nothing came means something.
fn anyone_else_gets_there(container: &Container, metadata: &Metadata, ways: &BTreeMap<String, String>) {
    for (path, url) in ways {
        let curl = ["curl", "--silent", "--location", "--globoff", "--output", "/dev/null", "--max-time", "20", url];
        container.ok(&[&["setpriv", "--reuid", "api-health", "--clear-groups"], &curl[..]].concat());
        assert!(metadata.heard().iter().any(|heard| heard.path() == path), "{url}: {:#?}", metadata.heard());
    }
}
