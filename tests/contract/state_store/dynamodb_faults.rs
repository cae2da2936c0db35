//! What goes wrong with a table, told by who must act. The answers are those that AWS gives, from a small server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use api_health::aws::{OPERATION_TIMEOUT, READ_TIMEOUT};
use api_health::store::DynamoStateStore;
use api_health::store::dynamodb::leases::DynamoLeases;
use api_health_actors::leases::Leases;
use api_health_actors::ports::{CommitError, StateStore, StoreError};
use api_health_core::own::records::{Assignment, Key, LeaseRecord};
use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_dynamodb::Client;

use super::worlds::{id, over_the_one_before, rich, with_owed};
use crate::support::dynamodb::{client, create_table};
use crate::support::moto::Moto;
use crate::support::tools;
use crate::worlds::block_on;

fn store(endpoint: &str, table: &str) -> DynamoStateStore {
    DynamoStateStore::new(client(endpoint), table)
}

/// What a read and a write each say, alike of states and of leases.
async fn faults(client: Client, table: &str) -> [StoreError; 2] {
    let store = DynamoStateStore::new(client.clone(), table);
    let [read, write] = faults_of_states(&store).await;
    let leases = DynamoLeases::new(client, table);
    let mut assignment = Assignment::none(1, 2);
    assignment.version = 1;
    let written = leases.put(LeaseRecord::Assignment(Box::new(assignment)), 0).await;
    assert_eq!(written, Err(CommitError::Store(write.clone())));
    assert_eq!(leases.read(vec![Key::Assignment]).await, Err(read.clone()));
    [read, write]
}

async fn faults_of_states(store: &DynamoStateStore) -> [StoreError; 2] {
    let read = store.load_all().await.unwrap_err();
    match store.commit(vec![over_the_one_before(rich("a", 1))]).await.remove(0) {
        Err(CommitError::Store(write)) => [read, write],
        other => panic!("{other:?}"),
    }
}

fn assert_plain(error: &StoreError) {
    let text = error.to_string();
    assert!(text.len() < 400 && !text.contains('\n') && !text.contains('{'), "no dump: {text}");
}

/// A server that gives every request the same answer and closes.
fn answering(status: u16, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4_096];
            // The head, then as many bytes as it announces.
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                request.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.split("content-length: ").nth(1).and_then(|t| t.lines().next()?.trim().parse().ok());
                if rest.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    endpoint
}

fn error_of(status: u16, code: &str, message: &str) -> [StoreError; 2] {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#);
    block_on(faults(client(&answering(status, body)), "states"))
}

#[test]
fn what_passes_by_itself_is_unavailable() {
    for (status, code) in [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
    ] {
        for error in error_of(status, code, "slow down") {
            assert!(matches!(&error, StoreError::Unavailable(what) if what.contains(code)), "{code}: {error:?}");
            assert_plain(&error);
        }
    }
}

#[test]
fn what_a_person_must_mend_says_what_to_write() {
    for (code, message, [read, write]) in [
        ("ResourceNotFoundException", "not found", ["does not exist in region eu-central-1", "create it"]),
        ("AccessDeniedException", "User: arn is not authorized", ["refuses dynamodb:", "an IAM policy that allows"]),
        ("ExpiredTokenException", "expired", ["does not accept these credentials", "credentials that are valid now"]),
        ("UnrecognizedClientException", "no", ["does not accept these credentials", "credentials that are valid now"]),
        (
            "ValidationException",
            "One of the required keys was not given",
            ["has another key", "with the key api_id (S) alone"],
        ),
        ("ValidationException", "odd", ["ValidationException odd", "the name of another table"]),
    ] {
        for error in error_of(400, code, message) {
            let StoreError::Misconfigured { what, remedy } = &error else { panic!("{code}: {error:?}") };
            assert!(what.starts_with("DynamoDB table states ") && what.contains(read), "{what}");
            assert!(remedy.starts_with("write ") && remedy.contains(write), "{remedy}");
            assert_plain(&error);
        }
    }
    let [read, write] = error_of(400, "AccessDeniedException", "no");
    assert!(read.to_string().ends_with("write an IAM policy that allows dynamodb:GetItem on it"), "{read}");
    assert!(write.to_string().ends_with("write an IAM policy that allows dynamodb:PutItem on it"), "{write}");
}

#[test]
fn an_answer_that_is_not_of_dynamodb_is_unavailable() {
    for (status, body) in [(200, "<html>login</html>"), (403, "<html>no</html>"), (502, "<html>bad gateway</html>")] {
        for error in block_on(faults(client(&answering(status, body.into())), "states")) {
            assert_plain(&error);
            assert!(matches!(&error, StoreError::Unavailable(what) if what.contains(&status.to_string())), "{error:?}");
        }
    }
}

#[test]
fn an_endpoint_that_refuses_is_unavailable_at_once() {
    for error in block_on(faults(client(&format!("http://127.0.0.1:{}", tools::free_port())), "states")) {
        assert!(matches!(&error, StoreError::Unavailable(what) if what.contains("refused")), "{error:?}");
        assert_plain(&error);
    }
}

#[test]
fn an_endpoint_that_hangs_is_given_up_within_the_stated_bound() {
    // The backlog of the listener accepts; nobody ever reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = store(&format!("http://{}", listener.local_addr().unwrap()), "states");
    block_on(async {
        let began = tokio::time::Instant::now();
        let error = store.load(id("a")).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unavailable(what) if what.contains("did not answer in time")),
            "{error:?}"
        );
        assert!(began.elapsed() < OPERATION_TIMEOUT && began.elapsed() > READ_TIMEOUT - Duration::from_millis(50));
    });
}

/// What the usual chain says where there is nothing to find.
#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

#[test]
fn no_credentials_and_no_region_are_told_as_such() {
    let base = client("http://127.0.0.1:1").config().to_builder();
    let no_credentials = base.clone().credentials_provider(NoCredentials).build();
    let mut no_region = aws_config::SdkConfig::builder().behavior_version(BehaviorVersion::latest());
    let credentials = Credentials::new("test", "test", None, None, "test");
    no_region.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
    let no_region = aws_sdk_dynamodb::Config::from(&no_region.build());
    for (config, needle) in [(no_credentials, "AWS_ACCESS_KEY_ID"), (no_region, "AWS_REGION")] {
        for error in block_on(faults(Client::from_conf(config), "states")) {
            assert!(matches!(&error, StoreError::Misconfigured { remedy, .. } if remedy.contains(needle)), "{error:?}");
            assert_plain(&error);
        }
    }
}

#[test]
fn a_table_that_is_not_there_or_has_another_key_is_told_by_a_real_server() {
    let endpoint = &Moto::shared().endpoint;
    for error in block_on(faults(client(endpoint), "no-such-table")) {
        assert!(
            error.to_string().contains("DynamoDB table no-such-table does not exist in region eu-central-1"),
            "{error}"
        );
    }
    block_on(async {
        let other_key = create_table(&client(endpoint), "id").await;
        for error in faults(client(endpoint), &other_key).await {
            assert!(error.to_string().contains("with the key api_id (S) alone"), "{error}");
        }
    });
}

#[test]
fn an_item_that_is_too_large_is_told_and_hurts_no_other() {
    block_on(async {
        let endpoint = &Moto::shared().endpoint;
        let store = store(endpoint, &create_table(&client(endpoint), "api_id").await);
        let large = with_owed(rich("large", 1), 50, &"x".repeat(9_000));
        let results = store.commit(vec![over_the_one_before(large), over_the_one_before(rich("b", 1))]).await;
        let Err(CommitError::Store(error)) = &results[0] else { panic!("{results:?}") };
        assert!(error.to_string().contains("larger than the 400 KB"), "{error}");
        assert_eq!(results[1], Ok(()));
    });
}
