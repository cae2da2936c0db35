//! Stores at their bounds: calls under way, jobs that wait, records that are read.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health::sqlite::SqliteFile;
use api_health::store::{DynamoStateStore, RECORDS_MAX, SqliteStateStore};
use api_health_actors::ports::{StateStore, StateWrite};
use api_health_core::{ApiId, ApiState};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::server::run;

fn writes(count: usize) -> Vec<StateWrite> {
    let state = |n| ApiState { version: 1, ..ApiState::unknown(ApiId::parse(&format!("api-{n}")).unwrap()) };
    (0..count).map(|n| StateWrite { expected_version: 0, state: Arc::new(state(n)) }).collect()
}

/// An endpoint that takes its time and does whatever it is asked; returns the most calls that were under way at once.
pub(crate) async fn slow_endpoint() -> (String, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (now, most) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
    let seen = Rc::clone(&most);
    actix_rt::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (now, most) = (Rc::clone(&now), Rc::clone(&most));
            actix_rt::spawn(async move {
                let mut space = vec![0; 64 * 1024];
                if stream.read(&mut space).await.unwrap_or(0) == 0 {
                    return;
                }
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::time::sleep(Duration::from_millis(100)).await;
                now.set(now.get() - 1);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: 1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(head.as_bytes()).await;
            });
        }
    });
    (endpoint, seen)
}

/// A client of it, that waits for as long as that takes.
pub(crate) fn slow_client(endpoint: String) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

#[test]
fn so_many_calls_of_dynamodb_are_under_way_at_most() {
    run(async {
        let (endpoint, most) = slow_endpoint().await;
        let store = DynamoStateStore::new(slow_client(endpoint), "t");
        let results = store.commit(writes(100)).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let bound = store.limits().batches_in_flight_max;
        assert!(bound == 32 && most.get() == bound, "{} at once", most.get());
    });
}

#[test]
fn jobs_beyond_what_the_queue_of_sqlite_holds_wait_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStateStore::open(&SqliteFile::open(folder.path().join("a.db")).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // The queue holds 16.
    let results = runtime.block_on(join_all(writes(100).into_iter().map(|write| store.commit(vec![write]))));
    assert!(results.iter().all(|result| *result == [Ok(())]), "{results:?}");
    assert_eq!(runtime.block_on(store.load_all()).unwrap().states.len(), 100);
}

#[test]
fn so_many_records_are_read_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let store = SqliteStateStore::open(&file).unwrap();
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO api_health_states (api_id, version, status, record) SELECT 'a' || i, 1, 'up', CAST(x'ff' AS TEXT) FROM n",
            [i64::try_from(RECORDS_MAX).unwrap()],
        )
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(store.load_all()).unwrap_err().to_string();
    assert!(error.contains("holds more than 1000000 states"), "{error}");
}
