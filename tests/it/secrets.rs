//! No secret in the log at its most talkative, in the stores, or in an alert.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::alerts::{Receiver, SECRET};
use crate::apis::row_with;
use crate::cloud::{Cloud, SECRET_KEY, SESSION_TOKEN};
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};

const FROM_ENV: &str = "env-secret-2c7e51aa";
const FROM_FILE: &str = "file-secret-93bd04fe";
const IN_BODY: &str = "body-secret-6610c9d3";
const FROM_PROCESS: &str = "process-secret-41fe2b7c";
const IN_PATH: &str = "path-secret-f18a77b2";

/// Secrets in `text`, which is what people call `place`; also in the encodings that a log may give them.
fn assert_silent(place: &str, bytes: &[u8]) {
    for secret in [FROM_ENV, FROM_FILE, FROM_PROCESS, IN_BODY, IN_PATH, SECRET, SECRET_KEY, SESSION_TOKEN] {
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        let list = secret.bytes().take(8).map(|b| b.to_string()).collect::<Vec<_>>().join(", ");
        for form in [secret, &hex, &list] {
            if let Some(at) = bytes.windows(form.len()).position(|window| window == form.as_bytes()) {
                let around = &bytes[at.saturating_sub(600)..(at + 200).min(bytes.len())];
                panic!("{form:?} is in {place}: …{}…", String::from_utf8_lossy(around));
            }
        }
    }
}

/// Settings at the most talkative level, with every secret that settings can hold.
fn settings(receiver: &Receiver) -> String {
    let url = receiver.server.url(&format!("/hook/{IN_PATH}?key=${{env:HOOK_KEY}}"));
    format!("[log]\nlevel = \"trace\"\n[notify.webhook]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n")
}

/// Where the receiver finds what was posted.
fn hook() -> String {
    format!("/hook/{IN_PATH}?key={FROM_ENV}")
}

fn file_reference(home: &Home) -> String {
    format!("${{file:{}/token.txt}}", home.path().display())
}

fn prepare(home: &mut Home) {
    home.env("TOKEN", FROM_ENV).env("HOOK_KEY", FROM_ENV).env("BODY", IN_BODY);
    home.write("token.txt", FROM_FILE);
}

/// Goes through an outage, with a webhook that fails at first, so that errors are told, too.
fn go_through_an_outage(target: &Server, receiver: &Receiver) {
    wait_for("a first probe", SOON, || (target.hits("/shop") > 0).then_some(()));
    receiver.server.set(&hook(), Answer::Status(500));
    target.set("/shop", Answer::Status(503));
    wait_for("a first try", SOON, || (receiver.server.hits(&hook()) > 0).then_some(()));
    receiver.server.refuse();
    crate::daemon::let_pass(std::time::Duration::from_secs(2));
    receiver.server.listen();
    receiver.server.set(&hook(), Answer::Status(200));
    let delivered = || receiver.server.requests(&hook()).iter().any(|r| r.answered == 200).then_some(());
    wait_for("the alert", SOON + SOON, delivered);

    let request = target.requests("/shop").pop().unwrap();
    assert_eq!(request.header("x-env"), Some(format!("Bearer {FROM_ENV}").as_str()), "the API got what it needs");
    assert_eq!(request.header("x-file"), Some(FROM_FILE));
    assert_eq!(request.body, format!("{{\"key\": \"{IN_BODY}\"}}"));
    for request in receiver.server.requests(&hook()) {
        assert_silent("an alert", request.body.as_bytes());
    }
}

#[test]
fn no_secret_is_in_the_log_at_trace_in_the_sqlite_file_or_in_an_alert() {
    let (target, receiver) = (Server::start(), Receiver::start());

    let mut home = Home::new(&settings(&receiver), "");
    let file = file_reference(&home);
    let fields = format!(
        "method = \"POST\"\nbody = '{{\"key\": \"${{env:BODY}}\"}}'\n\
         headers = {{ X-Env = \"Bearer ${{env:TOKEN}}\", X-File = \"{file}\" }}"
    );
    home.write("apis.toml", &row_with("shop", &target.url("/shop"), &fields));
    prepare(&mut home);
    let daemon = home.run();
    go_through_an_outage(&target, &receiver);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.log.contains("\"DEBUG\""), "far more than usual is logged");
    assert!(!ended.log.contains("\"TRACE\""), "but no library writes whole requests down");
    assert_silent("the log", ended.log.as_bytes());
    assert_silent("standard output", ended.output.as_bytes());
    for name in ["api-health.db", "api-health.db-wal"] {
        assert_silent(name, &std::fs::read(home.path().join(name)).unwrap_or_default());
    }
    assert!(!std::fs::read(home.database()).unwrap().is_empty());
}

#[test]
fn no_secret_is_in_the_log_at_trace_in_dynamodb_or_in_a_message_of_sns() {
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    let text = |text: &str| AttributeValue::S(text.into());
    let mut home = cloud.home();
    let headers =
        HashMap::from([("X-Env".into(), text("Bearer ${env:TOKEN}")), ("X-File".into(), text(&file_reference(&home)))]);
    cloud.put_row(
        "shop",
        &target.url("/shop"),
        &[
            ("method", text("POST")),
            ("body", text("{\"key\": \"${env:BODY}\"}")),
            ("headers", AttributeValue::M(headers)),
        ],
    );
    home.write("api-health.toml", &settings(&receiver));
    prepare(&mut home);
    let daemon = home.run();
    go_through_an_outage(&target, &receiver);
    let message = cloud.wait_for("shop", "down", SOON);
    assert_silent("a message of SNS", message.to_string().as_bytes());
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.log.contains("\"DEBUG\""), "far more than usual is logged");
    assert!(!ended.log.contains("\"TRACE\""), "but no library writes whole requests down");
    assert_silent("the log", ended.log.as_bytes());
    let states = cloud.states();
    assert_eq!(states.keys().filter(|id| !id.contains(':')).collect::<Vec<_>>(), ["shop"], "and the monitor's own");
    assert_silent("DynamoDB", format!("{states:?}").as_bytes());
}

/// A home whose credentials come from a process that fails, and writes a secret down, once a file named `broken` is there.
fn with_a_credential_process(cloud: &Cloud, level: &str) -> Home {
    let mut home = Home::empty();
    cloud.be_known_without_credentials_to(&mut home);
    home.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
    home.write("api-health.toml", &format!("[log]\nlevel = \"{level}\"\n[apis]\nreload_seconds = 5\n"));
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let script = home.path().join("credentials.sh").display().to_string();
    home.write(".aws/config", &format!("[default]\ncredential_process = /bin/sh {script}\n"));
    // They end within the moment, so that the process is asked for each call.
    home.write(
        "credentials.sh",
        &format!(
            "if [ -e {}/broken ]; then echo token {FROM_PROCESS} >&2; echo {FROM_PROCESS}; exit 1; fi\n\
             ends=$(date -u -d '+5 seconds' +%Y-%m-%dT%H:%M:%SZ)\n\
             echo '{{\"Version\": 1, \"AccessKeyId\": \"test\", \"SecretAccessKey\": \"{SECRET_KEY}\", '\\\n\
             '\"SessionToken\": \"{SESSION_TOKEN}\", \"Expiration\": \"'$ends'\"}}'\n",
            home.path().display()
        ),
    );
    home
}

#[test]
fn what_a_credential_process_prints_is_in_no_log() {
    let target = Server::start();
    for level in ["info", "debug", "trace"] {
        // Tables of its own: the daemon before this one was killed, and its lease lasts for a while.
        let cloud = Cloud::new();
        cloud.put_row("shop", &target.url("/shop"), &[]);
        let (home, hits) = (with_a_credential_process(&cloud, level), target.hits("/shop"));
        let daemon = home.run();
        wait_for("probes", SOON, || (target.hits("/shop") > hits).then_some(()));
        home.write("broken", "");
        daemon.wait_for_log("the configs cannot be read");
        let log = daemon.kill().log;
        assert_silent("the log of a running daemon", log.as_bytes());
        let ended = home.run().wait(SOON);
        assert_eq!(ended.code, Some(69), "{}", ended.log);
        assert!(ended.log.contains("by its credential_process"), "{}", ended.log);
        assert_silent("the log of a start", ended.log.as_bytes());
    }
}
