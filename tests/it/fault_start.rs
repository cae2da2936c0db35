//! A start while the store or EC2's metadata service is faulty: it waits, and then goes on where the last life ended.

use std::time::Duration;

use rustix::process::Signal;

use crate::alerts::Receiver;
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::metadata::{MetadataService, Mood};
use crate::support::http::{Answer, Server};
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;
use crate::systemd::Systemd;

fn a_start_through(fault: &Fault) {
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    let proxy = HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap());
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url(""));
    home.write("api-health.toml", &receiver.settings());
    target.set("/shop", Answer::Status(500));
    let daemon = home.run();
    receiver.wait_for("shop", "down", SOON);
    cloud.wait_for_status("shop", "down", 0);
    assert_eq!(daemon.kill().code, None);

    proxy.strike(fault.clone());
    let hits = target.hits("/shop");
    let daemon = home.run();
    daemon.wait_for_log("the store does not answer; waiting for it");
    let_pass(Duration::from_secs(2));
    assert_eq!(target.hits("/shop"), hits, "{fault:?}: probed without knowing what was told");
    proxy.mend();
    wait_for("probes", SOON, || (target.hits("/shop") >= hits + 3).then_some(()));
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    assert_eq!(receiver.told_of("shop"), ["down", "up"], "{fault:?}");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{fault:?}: {}", ended.log);
}

#[test]
fn a_start_while_dynamodb_is_faulty_waits_for_it_and_tells_no_second_down() {
    let throttled = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException\"}";
    let faults = [
        Fault::Refuse,
        Fault::Hang,
        Fault::Reset,
        Fault::Close,
        Fault::LoseAnswer,
        Fault::CutHead,
        Fault::CutBody,
        Fault::garbage(),
        Fault::html_page(),
        Fault::answer("200 OK", "", ""),
        Fault::answer("200 OK", "content-type: application/x-amz-json-1.0\r\n", "{}"),
        Fault::answer("503 Service Unavailable", "", "<h1>503</h1>"),
        Fault::answer("400 Bad Request", "content-type: application/x-amz-json-1.0\r\n", throttled),
    ];
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || a_start_through(fault)))));
}

/// A daemon whose region and credentials come from EC2's metadata service alone.
fn on_a_machine_with(metadata: &MetadataService, cloud: &Cloud) -> (Home, Systemd) {
    let mut home = Home::empty();
    cloud.be_known_without_credentials_to(&mut home);
    home.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.endpoint());
    let systemd = Systemd::of(&mut home);
    (home, systemd)
}

#[test]
fn a_start_without_the_metadata_service_waits_for_it_and_goes_on_without_a_restart() {
    let (cloud, target) = (Cloud::new(), Server::start());
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let metadata = MetadataService::absent();
    let (home, systemd) = on_a_machine_with(&metadata, &cloud);
    let daemon = home.run();
    let waits = systemd.wait_for_status("and the EC2 metadata service did not answer; write AWS_REGION=");
    assert!(waits.contains("STATUS=waiting for AWS: no AWS region was found"), "{waits}");
    assert!(waits.contains("EXTEND_TIMEOUT_USEC="), "{waits}");
    daemon.wait_for_log("AWS cannot be called yet; waiting for it");
    metadata.appears(Mood::Refuses);
    systemd.wait_for_status("and the EC2 metadata service refused to give a token");
    metadata.set(Mood::Slow);
    systemd.wait_for_line("READY=1");
    wait_for("probes", SOON, || (target.hits("/shop") >= 2).then_some(()));
    cloud.wait_for_status("shop", "up", 0);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("aws-secret") && !ended.log.contains("aws-session"), "{}", ended.log);
}

#[test]
fn a_machine_without_a_role_is_told_apart_and_a_signal_ends_the_wait() {
    let (cloud, metadata) = (Cloud::new(), MetadataService::absent());
    let (home, systemd) = on_a_machine_with(&metadata, &cloud);
    metadata.appears(Mood::NoRole);
    let daemon = home.run();
    let waits = systemd.wait_for_status("and the EC2 metadata service knows of no role of this machine; write ");
    assert!(waits.contains("STATUS=waiting for AWS: no AWS credentials were found"), "{waits}");
    daemon.signal(Signal::TERM);
    let ended = daemon.wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("stopped before anything was probed"), "{}", ended.log);
    assert_eq!(systemd.count("READY=1"), 0, "{:?}", systemd.heard());
}

#[test]
fn what_somebody_configured_wrongly_is_named_and_not_waited_for() {
    let process = "[default]\nregion = eu-central-1\ncredential_process = /bin/sh -c 'exit 1'\n";
    let sso = "[default]\nregion = eu-central-1\nsso_start_url = https://sso.test/start\nsso_region = eu-central-1\n\
               sso_account_id = 1\nsso_role_name = ops\n";
    let role =
        "[profile ops]\nregion = eu-central-1\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = no\n";
    /// The environment, the AWS config file, what is said.
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 6] = [
        (
            &[("AWS_PROFILE", "nosuch"), ("AWS_REGION", "eu-central-1")],
            "",
            "the profile \"nosuch\" (AWS_PROFILE), which",
        ),
        (&[("AWS_PROFILE", "nosuch")], "", "the profile \"nosuch\" (AWS_PROFILE), which"),
        (&[("AWS_PROFILE", "ops")], role, "with the source_profile \"no\""),
        (
            &[("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_REGION", "eu-central-1")],
            "",
            "AWS_ACCESS_KEY_ID in the environment, without AWS_SECRET_ACCESS_KEY",
        ),
        (&[], process, "by its credential_process"),
        (&[], sso, "by its sso_start_url"),
    ];
    let start = |(environment, config, words): &(&[(&str, &str)], &str, &str)| {
        let mut home = Home::empty();
        home.env("DDB_STATE_TABLE", "states").env("DDB_CONFIG_TABLE", "configs");
        home.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", MetadataService::absent().endpoint());
        for (name, value) in *environment {
            home.env(name, *value);
        }
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        home.write(".aws/config", config);
        let ended = home.run().wait(SOON);
        assert_eq!(ended.code, Some(69), "{words}: {}", ended.log);
        let said = ended.log.replace("\\\"", "\"");
        assert!(said.contains("; configured is ") && said.contains(words), "{words}: {said}");
        assert!(!said.contains("waiting for it"), "{words}: {said}");
    };
    std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(move || start(case)))));
}

#[test]
fn who_cannot_wait_or_would_wait_in_vain_is_told_at_once() {
    let (cloud, metadata) = (Cloud::new(), MetadataService::absent());
    let (mut home, _systemd) = on_a_machine_with(&metadata, &cloud);
    let at_a_terminal = ["python3", "-c", "import os, pty, sys; os._exit(pty.spawn(sys.argv[1:]) >> 8)"];
    for (who, daemon) in [
        ("a round", home.start(&["run", "--once"])),
        ("another command", home.start(&["status"])),
        ("a person at a terminal", home.run_through(&at_a_terminal)),
    ] {
        let ended = daemon.wait(SOON);
        let said = ended.log + &ended.output;
        assert_eq!(ended.code, Some(69), "{who}: {said}");
        assert!(said.contains("and the EC2 metadata service did not answer; write AWS_REGION="), "{who}: {said}");
    }
    home.env("AWS_EC2_METADATA_DISABLED", "true");
    let ended = home.run().wait(SOON);
    assert_eq!(ended.code, Some(69), "{}", ended.log);
    assert!(ended.log.contains("and the EC2 metadata service is switched off"), "{}", ended.log);
}
