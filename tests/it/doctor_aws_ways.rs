//! `doctor` on its way to AWS: region and credentials, the endpoints, the clock.

use api_health::clock::SystemClock;
use api_health_actors::ports::Clock;
use tokio::io::AsyncWriteExt;

use crate::cloud::{Cloud, SECRET_KEY, SESSION_TOKEN};
use crate::daemon::Home;
use crate::doctor_aws::{doctor, home_through, proxy};
use crate::support::gate::Gate;
use crate::support::http::read_request;
use crate::support::http_proxy::Fault;
use crate::support::moto::Moto;

#[test]
fn without_region_or_credentials_both_are_told_and_the_rest_is_not_checked() {
    let mut home = Home::empty();
    home.env("AWS_EC2_METADATA_DISABLED", "true").env("DDB_STATE_TABLE", "states");
    home.env("SNS_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:alerts");
    home.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let found = doctor(&home);
    assert_eq!(found.code, 69);
    let (result, what, todo) = found.one("region");
    assert!(result == "fault" && what.starts_with("no AWS region was found"), "{:#}", found.json);
    assert!(todo.contains("AWS_REGION=eu-central-1"), "{todo}");
    let (result, what, todo) = found.one("credentials");
    assert!(result == "fault" && what.starts_with("no AWS credentials were found"), "{:#}", found.json);
    assert!(todo.contains("IAM role"), "{todo}");
    for check in
        ["configs_table", "states_table", "states_write", "topic", "subscriptions", "publish", "states", "apis"]
    {
        let (result, what, _) = found.one(check);
        assert_eq!((result, what), ("not_checked", "see credentials above"), "{check}");
    }
}

/// A metadata service (IMDSv2) of a machine with a role in eu-central-1; its credentials end in an hour, or have ended.
fn metadata_service(seconds_left: i64) -> Gate {
    Gate::open(move |mut stream| async move {
        while let Some((head, _)) = read_request(&mut stream).await {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let millis = Clock::now(&SystemClock).as_millis() + seconds_left * 1_000;
            let until = aws_smithy_types::DateTime::from_millis(millis - millis % 1_000);
            let until = until.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
            let body = match path.as_str() {
                "/latest/api/token" => "token".to_owned(),
                "/latest/meta-data/placement/region" => "eu-central-1".into(),
                "/latest/meta-data/iam/security-credentials/" => "daemon".into(),
                "/latest/meta-data/iam/security-credentials/daemon" => format!(
                    "{{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"ASIAIOSFODNN7EXAMPLE\", \
                     \"SecretAccessKey\": \"{SECRET_KEY}\", \"Token\": \"{SESSION_TOKEN}\", \"Expiration\": \"{until}\"}}"
                ),
                _ => String::new(),
            };
            let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
}

#[test]
fn credentials_and_region_of_the_machine_s_role_are_told_as_such() {
    let cloud = Cloud::new();
    let metadata = metadata_service(3_600);
    let mut home = Home::empty();
    home.env("AWS_ENDPOINT_URL", &Moto::shared().endpoint)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}", metadata.port))
        .env("DDB_CONFIG_TABLE", &cloud.config_table)
        .env("DDB_STATE_TABLE", &cloud.state_table);
    let found = doctor(&home);
    let (result, what, _) = found.one("credentials");
    assert_eq!(result, "ok", "{:#}", found.json);
    assert!(
        what.starts_with("from the machine's IAM role (EC2 metadata service); access key ...MPLE; valid for "),
        "{what}"
    );
    assert!(what.contains(", until 20") && !found.json.to_string().contains("ASIA"), "{what}");
    assert_eq!(found.one("region").1, "eu-central-1, from the EC2 metadata service");
    assert_eq!(found.one("states_write").0, "ok", "{:#}", found.json);
    // Nobody answers there: that takes about a second, and is told.
    home.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1").env("AWS_REGION", "eu-central-1");
    let found = doctor(&home);
    assert_eq!((found.code, found.one("credentials").0), (69, "fault"), "{:#}", found.json);
    assert_eq!(found.one("dynamodb_endpoint").0, "ok", "which needs none: {:#}", found.json);
}

#[test]
fn a_profile_is_told_as_such_and_its_keys_are_not() {
    let cloud = Cloud::new();
    let mut home = Home::empty();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    home.write(
        ".aws/config",
        &format!("[profile ops]\nregion = eu-central-1\nendpoint_url = {}\n", Moto::shared().endpoint),
    );
    home.write(
        ".aws/credentials",
        &format!("[ops]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {SECRET_KEY}\n"),
    );
    home.env("AWS_PROFILE", "ops").env("AWS_EC2_METADATA_DISABLED", "true");
    home.env("DDB_CONFIG_TABLE", &cloud.config_table).env("DDB_STATE_TABLE", &cloud.state_table);
    let found = doctor(&home);
    assert_eq!(found.code, 0, "{:#}", found.json);
    assert_eq!(found.one("region").1, "eu-central-1, from the profile in the AWS config files");
    let what = found.one("credentials").1;
    assert_eq!(
        what,
        "from the profile \"ops\" (AWS_PROFILE), by its aws_access_key_id; access key ...MPLE; without an end"
    );
    assert!(found.one("dynamodb_endpoint").1.starts_with(&Moto::shared().endpoint), "{:#}", found.json);
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much() {
    let (cloud, proxy) = (Cloud::new(), proxy());
    let home = home_through(&cloud, &proxy);
    let ago = |seconds: i64| {
        let millis = Clock::now(&SystemClock).as_millis() - seconds * 1_000;
        let date = aws_smithy_types::DateTime::from_millis(millis);
        let date = date.fmt(aws_smithy_types::date_time::Format::HttpDate).unwrap();
        Fault::answer("200 OK", &format!("date: {date}\r\n"), "healthy")
    };
    // Only the unsigned question: the signed ones go through.
    proxy.strike_only(ago(4_000), "GET / HTTP/1.1");
    let found = doctor(&home);
    let (result, what, todo) = found.one("clock");
    assert_eq!((found.code, result), (69, "fault"), "{:#}", found.json);
    assert!(what.starts_with("1 h 6 min ahead of that of AWS"), "{what}");
    assert!(todo.contains("timedatectl"), "{todo}");
    proxy.strike_only(ago(-170), "GET / HTTP/1.1");
    let found = doctor(&home);
    let (result, what, _) = found.one("clock");
    assert_eq!((found.code, result), (0, "warn"), "{:#}", found.json);
    assert!(what.starts_with("2 min") && what.contains("behind that of AWS"), "{what}");
}

#[test]
fn a_way_out_that_is_closed_or_silent_is_one_fault_and_is_not_waited_for_without_end() {
    let (cloud, proxy) = (Cloud::new(), proxy());
    let mut home = home_through(&cloud, &proxy);
    for fault in [Fault::Refuse, Fault::Hang] {
        proxy.strike(fault.clone());
        let found = doctor(&home);
        assert_eq!(found.code, 69);
        let mut faults = found.checks("fault");
        faults.sort_unstable();
        assert_eq!(faults, ["dynamodb_endpoint", "sns_endpoint"], "{fault:?}: {:#}", found.json);
        assert!(found.one("dynamodb_endpoint").2.contains("security group"), "{:#}", found.json);
        assert_eq!(found.one("clock").0, "not_checked");
        assert_eq!(found.one("topic").1, "see sns_endpoint above");
    }
    home.env("AWS_ENDPOINT_URL_SNS", "http://sns.no-such-region.invalid");
    let found = doctor(&home);
    let (_, what, todo) = found.one("sns_endpoint");
    assert!(what.contains("sns.no-such-region.invalid not found") || what.contains("could not be looked up"), "{what}");
    assert!(todo.contains("names resolve"), "{todo}");
}
