//! Credentials come from the metadata service alone: they rotate, and the service may be slow or absent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::{SOON, let_pass, wait_for};
use super::deployment_for;
use super::place::Place;
use crate::strict::{Caller, Instance, Strict};
use crate::support::http::{Answer, Server};

/// One request of an instance's metadata service: status and body.
fn ask(instance: &Instance, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let address = instance.metadata().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} /latest/{path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";

#[test]
fn the_emulator_is_as_strict_as_ec2() {
    let Some(place) = deployment_for("the_emulator_is_as_strict_as_ec2") else { return };
    let instance = place.instance(json!({ "credential_seconds": 60 }));
    let path = format!("meta-data/iam/security-credentials/{}", place.role);
    let get = |headers: &[(&str, &str)]| ask(&instance, "GET", &path, headers).0;
    let put = |headers: &[(&str, &str)]| ask(&instance, "PUT", "api/token", headers);
    assert_eq!(get(&[]), 401, "without a token");
    assert_eq!(get(&[(TOKEN, "made-up")]), 401);
    for bad in ["0", "21601", "-1", "x", ""] {
        assert_eq!(put(&[(TTL, bad)]).0, 400, "{bad:?}");
    }
    assert_eq!(put(&[]).0, 400);
    assert_eq!(put(&[(TTL, "60"), ("X-Forwarded-For", "10.0.0.1")]).0, 403);
    assert_eq!(ask(&instance, "GET", "api/token", &[(TTL, "60")]).0, 405);
    let (status, short) = put(&[(TTL, "1")]);
    assert_eq!((status, put(&[(TTL, "21600")]).0), (200, 200));
    let (_, token) = put(&[(TTL, "60")]);
    let (status, text) = ask(&instance, "GET", &path, &[(TOKEN, &token)]);
    assert_eq!(status, 200);
    assert_eq!(ask(&instance, "GET", "meta-data/nothing", &[(TOKEN, &token)]).0, 404);
    assert_eq!(ask(&instance, "GET", "meta-data/iam/security-credentials/", &[(TOKEN, &token)]).1, place.role);

    // The credentials work with their own secret and token alone, and for as long as they live.
    let credentials: Value = serde_json::from_str(&text).unwrap();
    let [key, secret, token] =
        ["AccessKeyId", "SecretAccessKey", "Token"].map(|name| credentials[name].as_str().unwrap());
    let with = |key: &str, secret: &str, token: &str| {
        let mut environment = Strict::shared().user(key, secret);
        environment.push(("AWS_SESSION_TOKEN", token.to_owned()));
        let scan = json!({ "TableName": place.configs });
        Caller::with(&environment)
            .try_call("dynamodb", "scan", &scan)
            .map_or_else(|refusal| refusal.code, |_| "ok".into())
    };
    assert_eq!(with(key, secret, token), "ok");
    assert_eq!(with(key, "another", token), "InvalidSignatureException");
    assert_eq!(with(key, secret, "another"), "UnrecognizedClientException");
    assert_eq!(with("AKIAIOSFODNN7EXAMPLE", secret, ""), "UnrecognizedClientException");
    instance.change(&json!({ "credential_seconds": 1 }));
    let (_, text) = ask(&instance, "GET", &path, &[(TOKEN, &put(&[(TTL, "60")]).1)]);
    let credentials: Value = serde_json::from_str(&text).unwrap();
    let [key, secret, token] =
        ["AccessKeyId", "SecretAccessKey", "Token"].map(|name| credentials[name].as_str().unwrap());
    let ended = || (with(key, secret, token) == "ExpiredTokenException").then_some(());
    wait_for("the end of the credentials", SOON, ended);
    assert_eq!(get(&[(TOKEN, &short)]), 401, "a token ends");
}

#[test]
fn credentials_that_rotate_are_followed() {
    /// Longer than the 10 s before its end from which on the SDK renews a credential.
    const LIVES: u64 = 13;
    let Some(place) = deployment_for("credentials_that_rotate_are_followed") else { return };
    let place = place.copy();
    let target = Server::start();
    place.put_row("shop", &target.url("/shop"));
    let instance = place.instance(json!({ "credential_seconds": LIVES }));
    let home = place.home(&instance.environment());
    // A write each second, so that there is no moment that is not looked at.
    home.write("api-health.toml", "[store]\ncheckpoint_seconds = 1\n");
    let daemon = home.run();
    // Outages, for SNS has a client and credentials of its own.
    let mut published = 0;
    let seen = wait_for("calls with new credentials after the first have ended", SOON * 2, || {
        let_pass(Duration::from_millis(500));
        let decisions = instance.decisions();
        let count = decisions.iter().filter(|decision| decision.action == "sns:Publish").count();
        if count >= published {
            target.set("/shop", Answer::Status(if count % 2 == 0 { 500 } else { 200 }));
            published = count + 1;
        }
        let spans = ["dynamodb:PutItem", "sns:Publish"].map(|action| {
            let mut all = decisions.iter().filter(|decision| decision.action == action);
            let first = all.next().map_or(f64::INFINITY, |decision| decision.at);
            all.next_back().map_or(0.0, |decision| decision.at - first)
        });
        spans.iter().all(|span| *span > LIVES as f64 + 1.0).then_some(decisions)
    });
    assert_eq!(instance.refused(), [""; 0]);
    for action in ["dynamodb:PutItem", "sns:Publish"] {
        let mut keys: Vec<&str> = seen.iter().filter(|d| d.action == action).map(|d| d.key.as_str()).collect();
        keys.dedup();
        assert!(keys.len() >= 3, "{action}: {keys:?}");
    }
    let failed: Vec<Value> = daemon.lines().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failed, [json!(null); 0]);
    assert_eq!(daemon.stop().code, Some(0));
}

/// Starts the daemon on an instance whose metadata service is as `first` says; once the log has told that, the service is
/// as it should be, and the daemon must come up by itself, watch and tell.
fn comes_up_by_itself(place: &Place, first: Value, has_region: bool) {
    let target = Server::start();
    place.put_row("shop", &target.url("/shop"));
    let is_only_slow = first["delay_seconds"].is_number();
    let instance = place.instance(first);
    let environment = if has_region { instance.environment() } else { instance.environment_without_region() };
    let home = place.home(&environment);
    let daemon = home.run();
    if !is_only_slow {
        let waits = "AWS cannot be called yet; waiting for it";
        wait_for("two tries", SOON, || (daemon.log().matches(waits).count() >= 2).then_some(()));
        let lines = daemon.lines();
        let why = lines.iter().find(|line| line["message"] == waits).unwrap()["why"].as_str().unwrap();
        assert!(why.contains("the EC2 metadata service did not answer"), "{why}");
        instance.change(&json!({ "listening": true, "silent": false }));
    }
    place.wait_for_status("shop", "up", 0);
    target.set("/shop", Answer::Status(500));
    place.wait_for_alert("shop", "down");
    assert_eq!(instance.refused(), [""; 0]);
    let failed: Vec<Value> = daemon.lines().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failed, [json!(null); 0]);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_metadata_service_that_is_late_or_slow_is_waited_for() {
    let Some(place) = deployment_for("a_metadata_service_that_is_late_or_slow_is_waited_for") else { return };
    // They all wait most of the time, so they do it side by side.
    std::thread::scope(|scope| {
        for (first, has_region) in [
            (json!({ "listening": false }), true),
            (json!({ "listening": false }), false),
            (json!({ "silent": true }), false),
            // The SDK alone gives up on an answer after 1 s, and then has no region.
            (json!({ "delay_seconds": 1.5, "delayed": 4 }), false),
        ] {
            let copy = place.copy();
            scope.spawn(move || comes_up_by_itself(&copy, first, has_region));
        }
    });
}
