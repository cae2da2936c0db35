//! Store: states committed per second, singly and in batches, and how long an outcome takes to become durable.
//!
//! The DynamoDB emulator is moto, where the tests' tools are installed; its figures say what our side costs and that
//! calls run side by side, and nothing about DynamoDB.

mod support;
#[path = "../tests/support/mod.rs"]
#[allow(clippy::module_inception, reason = "the tests share it, under a name that fits there")]
mod tools;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::store::dynamodb::DynamoStateStore;
use api_health_actors::ports::{Clock, PreparedProbe, Probe, StateStore, StateWrite};
use api_health_actors::system::Options;
use api_health_core::{Answer, ApiConfig, ApiId, ApiState, Observation, Response, Schedule, Status, Timestamp};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, nanos, number, percentile, seconds};
use support::process::{self, cpu, monotonic_ns};
use support::stores::{self, Watched};
use support::watched;
use tokio::time::Instant;

#[derive(Serialize, Deserialize)]
struct Job {
    /// Where the emulator is; without it, SQLite.
    emulator: Option<String>,
    /// Writes in all.
    n: usize,
    /// Writes in one batch.
    batch: usize,
    /// Batches under way at once.
    side_by_side: usize,
}

#[derive(Serialize, Deserialize)]
struct Rate {
    per_second: f64,
    cpu_micros_each: f64,
    p50_ms: f64,
    p99_ms: f64,
    read_back: usize,
}

fn main() {
    let form = process::role_or_form(&[
        ("commit", |job| process::report(&actix_rt::System::new().block_on(commit(process::job(job))))),
        ("keeper", |job| process::report(&actix_rt::System::new().block_on(keeper(process::job(job))))),
    ]);
    let scale = if form.short { 1 } else { 5 };
    heading("SQLite in a file: states committed, each commit flushed to disk");
    for (batch, n) in [(1, 500), (100, 10_000), (1_000, 20_000)] {
        measure_commits(None, n * scale, batch, 1);
    }
    heading("SQLite: from the outcome of a probe until its state is durable, through prober and keeper");
    measure_keeper(None, 2_000 * scale);

    heading("DynamoDB emulator (moto): states committed");
    if !tools::tools::folder().join("venv/bin/python").exists() {
        println!("skipped: the emulator is not installed; ./test installs it");
        return;
    }
    let emulator = tools::moto::Moto::start();
    measure_commits(Some(&emulator.endpoint), 100 * scale, 1, 1);
    measure_commits(Some(&emulator.endpoint), 300 * scale, 1, 32);
    heading("DynamoDB emulator: from the outcome of a probe until its state is durable, through prober and keeper");
    measure_keeper(Some(&emulator.endpoint), 100 * scale);
}

fn measure_commits(emulator: Option<&str>, n: usize, batch: usize, side_by_side: usize) {
    let job = Job { emulator: emulator.map(str::to_owned), n, batch, side_by_side };
    let rate: Rate = process::play("commit", &job);
    assert_eq!(rate.read_back, n.min(APIS_MAX), "every state was read back in its last version");
    let how = match (batch, side_by_side) {
        (1, 1) => "one by one".to_owned(),
        (1, many) => format!("one by one, {many} side by side"),
        (batch, _) => format!("in batches of {batch}"),
    };
    figure(&format!("states per second, {how}"), &format!("{:.0}", rate.per_second), "");
    figure("  one commit, p50 / p99", &format!("{:.1} / {:.1} ms", rate.p50_ms, rate.p99_ms), "");
    figure("  CPU of each state", &format!("{:.1} us", rate.cpu_micros_each), "");
}

fn measure_keeper(emulator: Option<&str>, n: usize) {
    let job = Job { emulator: emulator.map(str::to_owned), n, batch: 0, side_by_side: 0 };
    let rate: Rate = process::play("keeper", &job);
    assert_eq!(rate.read_back, n, "the state of every API was read back");
    figure("  p50 / p99", &format!("{:.1} / {:.1} ms", rate.p50_ms, rate.p99_ms), "");
}

/// Records written in turn.
const APIS_MAX: usize = 10_000;

async fn commit(job: Job) -> Rate {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = open(&job, folder.path()).await;
    let apis = some_apis(job.n.min(APIS_MAX));
    let batches: Vec<Vec<StateWrite>> = writes(&apis, job.n).chunks(job.batch).map(<[StateWrite]>::to_vec).collect();
    let (began, cpu_before) = (Instant::now(), cpu());
    let took: Vec<f64> = stream::iter(batches)
        .map(|batch| {
            let store = Arc::clone(&store);
            async move {
                let began = Instant::now();
                for result in store.commit(batch).await {
                    result.expect("nobody else writes");
                }
                seconds(began.elapsed()) * 1e3
            }
        })
        .buffer_unordered(job.side_by_side)
        .collect()
        .await;
    let (wall, cpu) = (seconds(began.elapsed()), seconds(cpu() - cpu_before));
    let last: HashMap<ApiId, u64> =
        writes(&apis, job.n).into_iter().map(|write| (write.state.api_id.clone(), write.state.version)).collect();
    let stored = stores::read_back(&*store).await;
    let read_back = stored.iter().filter(|state| last.get(&state.api_id) == Some(&state.version)).count();
    Rate {
        per_second: number(job.n) / wall,
        cpu_micros_each: cpu * 1e6 / number(job.n),
        p50_ms: percentile(&took, 0.5),
        p99_ms: percentile(&took, 0.99),
        read_back,
    }
}

/// `n` writes over these APIs in turn, each one version on.
fn writes(apis: &[Arc<ApiConfig>], n: usize) -> Vec<StateWrite> {
    let write = |index: usize| {
        let state = watched::steady_state(&apis[index % apis.len()]);
        let expected_version = (index / apis.len()) as u64;
        StateWrite { expected_version, state: Arc::new(ApiState { version: expected_version + 1, ..state }) }
    };
    (0..n).map(write).collect()
}

fn some_apis(n: usize) -> Vec<Arc<ApiConfig>> {
    watched::apis(n, &["http://127.0.0.1:9".to_owned()], &Arc::new(Schedule::every(Duration::from_secs(3_600))))
}

async fn open(job: &Job, folder: &std::path::Path) -> Arc<dyn StateStore> {
    let Some(endpoint) = &job.emulator else { return stores::embedded(folder) };
    let config =
        api_health::aws::load(Some("eu-central-1".into()), &api_health::probe::proxies::Proxies::default()).await;
    let credentials = aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "bench");
    let config = aws_sdk_dynamodb::config::Builder::from(&config)
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let table = format!("states-{}", monotonic_ns());
    client
        .create_table()
        .table_name(&table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(
            KeySchemaElement::builder().attribute_name("api_id").key_type(KeyType::Hash).build().expect("whole"),
        )
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("api_id")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("whole"),
        )
        .send()
        .await
        .expect("the emulator makes tables");
    Arc::new(DynamoStateStore::new(client, table))
}

/// A probe that passes at once, and notes when.
struct Instantly(Arc<Mutex<HashMap<ApiId, u64>>>);

impl Probe for Instantly {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let begun = Arc::clone(&self.0);
        Rc::new(move || {
            let now: Timestamp = SystemClock.now();
            begun.lock().unwrap_or_else(PoisonError::into_inner).insert(api.api_id.clone(), monotonic_ns());
            let response = Response { status: 200, body_bytes: 2, ..Response::default() };
            std::future::ready(Observation::new(Answer::Response(response), now)).boxed_local()
        })
    }
}

/// The first round of `n` APIs, 1,000 in a second: each first outcome is one that must be stored at once.
async fn keeper(job: Job) -> Rate {
    watched::log_to_nowhere();
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = open(&job, folder.path()).await;
    let timed = Watched::timing(Arc::clone(&store));
    let probe = Arc::new(Instantly(Arc::default()));
    let (began, cpu_before) = (Instant::now(), cpu());
    let running = watched::start(
        some_apis(job.n),
        Arc::clone(&probe) as Arc<dyn Probe>,
        Arc::clone(&timed) as Arc<dyn StateStore>,
        Arc::new(SystemClock),
        &Options::default(),
    );
    assert_eq!(running.reload().await.unwrap().apis, job.n, "every row is good");
    running.round().finished().await;
    assert!(running.flush(false, Duration::from_secs(60)).await, "everything is stored");
    let (wall, cpu) = (seconds(began.elapsed()), seconds(cpu() - cpu_before));
    let durable_at = timed.first_at_ns();
    let probed_at = probe.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let took: Vec<f64> =
        durable_at.iter().map(|(api_id, at)| nanos(at.saturating_sub(probed_at[api_id])) / 1e6).collect();
    let stored = stores::read_back(&*store).await;
    Rate {
        per_second: number(took.len()) / wall,
        cpu_micros_each: cpu * 1e6 / number(job.n),
        p50_ms: percentile(&took, 0.5),
        p99_ms: percentile(&took, 0.99),
        read_back: stored.iter().filter(|state| state.status == Status::Up).count(),
    }
}
