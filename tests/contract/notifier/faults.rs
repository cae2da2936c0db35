//! Every channel out of order, each in the ways that are its own.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use api_health::notify::sns::{self, SnsNotifier};
use api_health::notify::terminal::{self, TerminalNotifier};
use api_health_actors::ports::Notifier;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_sdk_sns::config::{ProvideCredentials, SharedCredentialsProvider};

use super::TestClock;
use super::channels::{DELIVER_TIMEOUT, SECRETS, aws_config, topic, webhook_to};
use super::http_server::{Script, Server, refusing_port};
use crate::support::moto::Moto;

/// Who must act.
pub(crate) enum Expected {
    /// Nobody; after as much patience as was asked for.
    Retryable(Option<Duration>),
    /// A person.
    Permanent,
}

use Expected::{Permanent, Retryable};

/// A channel out of order.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) notifier: Arc<dyn Notifier>,
    pub(crate) expected: Expected,
    /// What the error must say.
    pub(crate) says: &'static str,
}

pub(crate) const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:not-there";

fn clock() -> Arc<TestClock> {
    TestClock::at("2026-11-22T07:30:06Z")
}

async fn sns_at(endpoint: &str, topic_arn: &str) -> Arc<dyn Notifier> {
    let client = aws_sdk_sns::Client::new(&aws_config(endpoint).await);
    Arc::new(SnsNotifier::new(client, topic(topic_arn), "production".into(), clock()))
}

/// An error as SNS words it; its message repeats secrets, which ours must not.
fn sns_error(status: &str, code: &str) -> Script {
    let message = SECRETS.join(" ");
    let body = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    Script::status(status, "content-type: text/xml\r\n", &body)
}

#[derive(Debug)]
struct Failing(fn() -> CredentialsError);

impl ProvideCredentials for Failing {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::ready(Err((self.0)()))
    }
}

async fn sns_without_credentials(error: fn() -> CredentialsError) -> Arc<dyn Notifier> {
    let config = aws_config(&Moto::shared().endpoint).await.into_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(Failing(error))).build();
    Arc::new(SnsNotifier::new(aws_sdk_sns::Client::new(&config), topic(TOPIC), "production".into(), clock()))
}

async fn sns_without_a_region() -> Arc<dyn Notifier> {
    let mut config = aws_config(&Moto::shared().endpoint).await.into_builder();
    config.set_region(None).set_endpoint_url(None);
    Arc::new(SnsNotifier::new(aws_sdk_sns::Client::new(&config.build()), topic(TOPIC), "production".into(), clock()))
}

async fn sns_faults() -> Vec<Fault> {
    let moto = &Moto::shared().endpoint;
    let refused = format!("http://127.0.0.1:{}", refusing_port());
    let mut faults = vec![
        ("SNS, no such topic", sns_at(moto, TOPIC).await, Permanent, "does not exist; create it in eu-central-1"),
        ("SNS, refused", sns_at(&refused, TOPIC).await, Retryable(None), "could not be reached: connection refused"),
        (
            "SNS, no credentials",
            sns_without_credentials(|| CredentialsError::not_loaded("none")).await,
            Permanent,
            "there are no AWS credentials; give this machine an IAM role",
        ),
        (
            "SNS, credentials set up wrongly",
            sns_without_credentials(|| CredentialsError::invalid_configuration("contract-secret-key")).await,
            Permanent,
            "check AWS_PROFILE",
        ),
        (
            "SNS, credentials late",
            sns_without_credentials(|| CredentialsError::provider_timed_out(Duration::from_secs(1))).await,
            Retryable(None),
            "could not be loaded just now",
        ),
        ("SNS, no region", sns_without_a_region().await, Permanent, "no AWS region; set AWS_REGION"),
    ];
    for (name, status, code, expected, says) in [
        ("SNS, 500", "500 Internal Server Error", "InternalError", Retryable(None), "fault of its own (InternalError)"),
        ("SNS, 503", "503 Service Unavailable", "ServiceUnavailable", Retryable(None), "fault of its own"),
        ("SNS, throttled", "400 Bad Request", "Throttling", Retryable(None), "throttles (Throttling)"),
        ("SNS, expired token", "403 Forbidden", "ExpiredToken", Retryable(None), "credentials have expired"),
        ("SNS, not allowed", "403 Forbidden", "AuthorizationError", Permanent, "allow sns:Publish on arn:aws:sns"),
        ("SNS, key disabled", "400 Bad Request", "KMSDisabled", Permanent, "kms:GenerateDataKey*"),
        ("SNS, bad signature", "403 Forbidden", "SignatureDoesNotMatch", Permanent, "AWS_SECRET_ACCESS_KEY"),
    ] {
        let server = Server::plain(sns_error(status, code));
        faults.push((name, sns_at(&server.endpoint(), TOPIC).await, expected, says));
    }
    for (name, script) in [
        ("SNS, a proxy's 502", Script::status("502 Bad Gateway", "", "<html>oops</html>")),
        ("SNS, closed without an answer", Script::Close),
        ("SNS, an answer that is no answer", Script::status("200 OK", "", "hello")),
    ] {
        faults.push((
            name,
            sns_at(&Server::plain(script).endpoint(), TOPIC).await,
            Retryable(None),
            "SNS in eu-central-1",
        ));
    }
    faults.into_iter().map(|(name, notifier, expected, says)| Fault { name, notifier, expected, says }).collect()
}

fn webhook_faults() -> Vec<Fault> {
    let seconds = |n| Retryable(Some(Duration::from_secs(n)));
    let answers = [
        ("webhook, 500", "500 Oops", "", Retryable(None), "status 500"),
        ("webhook, 503 with patience", "503 Busy", "Retry-After: 99999\r\n", seconds(3_600), "status 503"),
        ("webhook, 429", "429 Slow Down", "retry-after: 7\r\n", seconds(7), "status 429"),
        ("webhook, 429 until a date", "429 Slow", "retry-after: Sun, 22 Nov 2026 07:30:36 GMT\r\n", seconds(30), "429"),
        (
            "webhook, 503 until an old form of date that has passed",
            "503 Busy",
            "retry-after: Sunday, 22-Nov-26 07:30:00 GMT\r\n",
            seconds(0),
            "status 503",
        ),
        ("webhook, 503 until nobody knows", "503 Busy", "retry-after: soon\r\n", Retryable(None), "status 503"),
        ("webhook, 408", "408 Late", "", Retryable(None), "status 408"),
        ("webhook, 425", "425 Early", "", Retryable(None), "status 425"),
        ("webhook, 404", "404 Not Found", "", Permanent, "check url under [notify.webhook]"),
        ("webhook, 401", "401 Unauthorized", "", Permanent, "check the token"),
        ("webhook, 400", "400 Bad", "", Permanent, "look into that server's log"),
        ("webhook, 302", "302 Found", "location: /contract-path-token\r\n", Permanent, "redirects are not followed"),
    ];
    let mut faults: Vec<Fault> = answers
        .into_iter()
        .map(|(name, status, headers, expected, says)| {
            let server = Server::plain(Script::status(status, headers, &SECRETS.join(" ")));
            Fault { name, notifier: Arc::new(webhook_to(&server, &clock(), DELIVER_TIMEOUT)), expected, says }
        })
        .collect();
    for (name, headers, refusal, expected) in [
        ("webhook, 200 that refuses", "", r#""ok":false"#, Permanent),
        ("webhook, 200 that is busy", "retry-after: 7\r\n", r#""errcode":45009"#, seconds(7)),
        (
            "webhook, 200 that is busy until a date",
            "retry-after: Sun Nov 22 07:30:36 2026\r\n",
            r#""code":429"#,
            seconds(30),
        ),
    ] {
        let body = format!(r#"{{{refusal},"error":"{}"}}"#, SECRETS.join(" "));
        let notifier =
            Arc::new(webhook_to(&Server::plain(Script::status("200 OK", headers, &body)), &clock(), DELIVER_TIMEOUT));
        faults.push(Fault { name, notifier, expected, says: refusal });
    }
    let mut nobody = Server::plain(Script::Close);
    nobody.port = refusing_port();
    let mut untrusted = Server::tls(Script::Close);
    untrusted.root_pem = Server::tls(Script::Close).root_pem; // another's
    for (name, server, expected, says) in [
        ("webhook, refused", nobody, Retryable(None), "refused"),
        ("webhook, closed", Server::plain(Script::Close), Retryable(None), "connection closed"),
        ("webhook, not HTTP", Server::plain(Script::Answer("SSH-2.0\r\n".into())), Retryable(None), "not valid HTTP"),
        ("webhook, echo", Server::plain(Script::Echo), Retryable(None), "not valid HTTP"),
        ("webhook, unknown issuer", untrusted, Permanent, "certificate issuer is unknown"),
    ] {
        faults.push(Fault { name, notifier: Arc::new(webhook_to(&server, &clock(), DELIVER_TIMEOUT)), expected, says });
    }
    faults
}

/// A writer that fails, or never returns.
enum BadOutput {
    Fails(io::ErrorKind),
    Stalls,
}

impl Write for BadOutput {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self {
            Self::Fails(kind) => Err((*kind).into()),
            Self::Stalls => loop {
                std::thread::park();
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn terminal_on(output: BadOutput) -> Arc<dyn Notifier> {
    Arc::new(TerminalNotifier::new(output, "production".into(), false, clock()).unwrap())
}

/// Faults that show at once.
pub(crate) async fn all() -> Vec<Fault> {
    let mut faults = sns_faults().await;
    faults.extend(webhook_faults());
    faults.extend(super::email::faults());
    for (name, kind, expected, says) in [
        ("terminal, closed pipe", io::ErrorKind::BrokenPipe, Permanent, "start api-health again with an open output"),
        ("terminal, full disk", io::ErrorKind::StorageFull, Retryable(None), "no storage space"),
    ] {
        faults.push(Fault { name, notifier: terminal_on(BadOutput::Fails(kind)), expected, says });
    }
    faults
}

/// Far ends that never answer, with the adapter's stated timeout.
pub(crate) async fn hanging() -> Vec<(&'static str, Arc<dyn Notifier>, Duration)> {
    let silent = || Server::plain(Script::Silence);
    vec![
        ("SNS", sns_at(&silent().endpoint(), TOPIC).await, sns::DELIVER_TIMEOUT),
        ("webhook", Arc::new(webhook_to(&silent(), &clock(), DELIVER_TIMEOUT)), DELIVER_TIMEOUT),
        (
            "webhook over TLS",
            Arc::new(webhook_to(&Server::tls(Script::Silence), &clock(), DELIVER_TIMEOUT)),
            DELIVER_TIMEOUT,
        ),
        ("terminal", terminal_on(BadOutput::Stalls), terminal::WRITE_TIMEOUT),
        super::email::hanging(),
    ]
}
