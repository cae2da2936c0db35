//! Fleet: one, two and four workers share many APIs. How many probes they make, what their leases ask of the store, and how soon
//! the APIs of one that dies are probed again.
//!
//! All workers of a measurement run in one process, each with threads, a probe and lines to the store of its own; one dies as in a
//! crash. Over DynamoDB Local, and over a store in memory, which leaves our own work alone to be seen.

mod support;
#[path = "../tests/support/mod.rs"]
#[allow(clippy::module_inception, reason = "the tests share it, under a name that fits there")]
mod tools;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::cost::formula::{FLEET_RENEWAL, lease_calls};
use api_health::store::dynamodb::DynamoStateStore;
use api_health::store::dynamodb::leases::DynamoLeases;
use api_health_actors::leases::Leases;
use api_health_actors::ports::{CommitError, StateStore, StoreError};
use api_health_actors::supervisor::LeaseParts;
use api_health_actors::system::{self, Options, Running, World};
use api_health_actors::testkit::leases::MemoryLeases;
use api_health_core::own::member::Member;
use api_health_core::own::records::{Key, LeaseRecord, WorkerId, WorkerRecord};
use api_health_core::own::shards::{SHARDS, Shard, ShardSet};
use api_health_core::own::terms::Terms;
use api_health_core::{ApiConfig, ApiId, Schedule, Status};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, nanos, number, seconds};
use support::process::{self, cpu, monotonic_ns};
use support::stores::{self, Memory, Watched};
use support::target::{self, Arrivals, Target};
use support::watched;
use tokio::time::{Instant, sleep};

/// The form that this version writes its leases in.
const SCHEMA: u32 = 3;

/// Beside an interval, so that whatever is due in it has come.
const SLACK: Duration = Duration::from_secs(5);

/// Longer than what a lease takes to end and to be taken over.
const TAKEOVER_MAX: Duration = Duration::from_secs(20);

/// First probes in a second after a start or a takeover, at least.
const FIRST_PROBES_PER_SECOND: u64 = 1_000;

#[derive(Clone, Serialize, Deserialize)]
struct Job {
    workers: usize,
    n: usize,
    every_seconds: u64,
    /// Where DynamoDB Local is; without it, in memory.
    emulator: Option<String>,
    bases: Vec<String>,
}

/// What a measurement found out; times are on the clock that all processes share.
#[derive(Serialize, Deserialize)]
struct Report {
    from_ns: u64,
    to_ns: u64,
    cpu_seconds: f64,
    lease_reads: usize,
    lease_writes: usize,
    state_writes: usize,
    /// APIs of the largest and of the smallest share.
    most: usize,
    fewest: usize,
    killed_at_ns: u64,
    /// The shards of the one that died.
    lost: BTreeSet<usize>,
    up: usize,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("fleet", |job| process::report(&actix_rt::System::new().block_on(fleet(process::job(job))))),
    ]);
    process::raise_open_files_limit();
    let mut target = Target::start();
    if form.short {
        heading("1,000 APIs, each every 10 s, in memory");
        measure(&mut target, 2, 1_000, 10, None);
        return;
    }
    heading("10,000 APIs, each every 30 s, over DynamoDB Local");
    if let Some(emulator) = tools::dynamodb_local::shared() {
        for workers in [1, 2, 4] {
            measure(&mut target, workers, 10_000, 30, Some(&emulator.endpoint));
        }
    }
    heading("100,000 APIs, each every 60 s, in memory");
    for workers in [1, 2, 4] {
        measure(&mut target, workers, 100_000, 60, None);
    }
}

fn measure(target: &mut Target, workers: usize, n: usize, every_seconds: u64, emulator: Option<&str>) {
    let bases = target.bases.clone();
    target.take();
    let job = Job { workers, n, every_seconds, emulator: emulator.map(str::to_owned), bases };
    let report: Report = process::play("fleet", &job);
    let arrivals = target.take();
    let span = Duration::from_nanos(report.to_ns - report.from_ns);
    let counts = between(&arrivals, report.from_ns, report.to_ns).per_api(n);
    let probes: usize = counts.iter().sum();
    assert!(counts.iter().all(|count| (1..=2).contains(count)), "each API was probed when it was due, by one worker");
    assert_eq!(report.up, n, "every API was read back from the store as up");
    let wanted = lease_calls(workers as u64, FLEET_RENEWAL, span);
    println!("{workers} of them, with {} to {} APIs each", report.fewest, report.most);
    figure("  probes per second", &format!("{:.0}", number(probes) / seconds(span)), "");
    figure("  CPU-seconds for 10,000 probes, of all", &format!("{:.2}", report.cpu_seconds / number(probes) * 1e4), "");
    let calls = |calls: usize| format!("{:.1}", number(calls) / seconds(span) * 60.0);
    let by_formula = |calls: u64| format!("{:.1} by the formula", nanos(calls) / seconds(span) * 60.0);
    // A worker that is alone renews with its heartbeat, once a minute.
    let renewals = if workers == 1 { "1.0 by the formula".to_owned() } else { by_formula(wanted.renewals) };
    figure("  GetItem a minute for leases", &calls(report.lease_reads), &by_formula(wanted.reads));
    figure("  PutItem a minute for leases, heartbeats among them", &calls(report.lease_writes), &renewals);
    figure("  PutItem a minute for states", &calls(report.state_writes), "0.0 while nothing changes");
    let after = between(&arrivals, report.killed_at_ns, u64::MAX);
    let mut of_shard = BTreeMap::new();
    let mut of_api = BTreeMap::new();
    for (at_ns, api) in after.requests.iter().filter(|(_, api)| report.lost.contains(&shard(*api))) {
        of_shard.entry(shard(*api)).or_insert(*at_ns);
        of_api.entry(*api).or_insert(*at_ns);
    }
    let lost = (0..n).filter(|api| report.lost.contains(&shard(*api))).count();
    assert_eq!(
        (of_shard.len(), of_api.len()),
        (report.lost.len(), lost),
        "each API of the one that died is probed again"
    );
    let last = |firsts: &mut dyn Iterator<Item = &u64>| {
        seconds(Duration::from_nanos(firsts.max().expect("it had some") - report.killed_at_ns))
    };
    let wanted = if workers == 1 { "" } else { "15 s" };
    let whence = if workers == 1 { "from a crash with a start at once" } else { "from a death" };
    let what = format!("  {whence} until each of {} shards is probed again", report.lost.len());
    figure(&what, &format!("{:.1} s", last(&mut of_shard.values())), wanted);
    let what = format!("  until each of {lost} APIs is probed again");
    figure(&what, &format!("{:.1} s", last(&mut of_api.values())), "");
}

fn shard(api: usize) -> usize {
    Shard::of(&ApiId::parse(&watched::id(api)).expect("a plain id"), SHARDS).index()
}

fn between(arrivals: &Arrivals, from_ns: u64, to_ns: u64) -> Arrivals {
    let is_in = |at: u64| (from_ns..to_ns).contains(&at);
    let mut requests: Vec<(u64, usize)> = arrivals.requests.iter().copied().filter(|(at, _)| is_in(*at)).collect();
    requests.sort_unstable();
    Arrivals { requests, malformed: 0 }
}

/// Leases, with the calls counted: one for each record.
struct Counted {
    inner: Arc<dyn Leases>,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Leases for Counted {
    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<LeaseRecord>, StoreError>> {
        self.calls.reads.fetch_add(keys.len(), Ordering::Relaxed);
        self.inner.read(keys)
    }

    fn put(&self, record: LeaseRecord, expected_version: u64) -> BoxFuture<'_, Result<(), CommitError>> {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
        self.inner.put(record, expected_version)
    }
}

/// A line to the store, of one worker: connections die with whoever opened them.
type Lines = Box<dyn Fn() -> (Arc<dyn StateStore>, Arc<dyn Leases>)>;

/// What all workers share.
struct Shared {
    apis: Vec<Arc<ApiConfig>>,
    lines: Lines,
    calls: Arc<Calls>,
    prober_threads: usize,
}

/// A worker, and its line to the store.
struct Worker {
    running: Running,
    store: Arc<Watched>,
}

impl Shared {
    async fn new(job: &Job) -> Self {
        let schedule = Arc::new(Schedule::every(Duration::from_secs(job.every_seconds)));
        let lines: Lines = match job.emulator.clone() {
            Some(endpoint) => {
                let table = tools::dynamodb::create_table(&tools::dynamodb::client(&endpoint), "api_id").await;
                Box::new(move || {
                    let client = tools::dynamodb::client(&endpoint);
                    let store = DynamoStateStore::new(client.clone(), table.clone());
                    (Arc::new(store), Arc::new(DynamoLeases::new(client, table.clone())))
                })
            }
            None => {
                let (store, leases) = (Arc::new(Memory::default()), MemoryLeases::default());
                Box::new(move || (Arc::clone(&store) as _, Arc::new(leases.line())))
            }
        };
        let apis = watched::apis(job.n, &job.bases, &schedule);
        Self { apis, lines, calls: Arc::default(), prober_threads: watched::ARBITERS.div_ceil(job.workers) }
    }

    /// Starts a worker. A name that was used before is that of a process which is dead for certain.
    async fn start(&self, name: &str) -> Worker {
        let began = Instant::now();
        let id = WorkerId::parse(name).expect("a plain name");
        let record = WorkerRecord::new(id, &Terms::DEFAULT, SCHEMA);
        let (store, leases) = (self.lines)();
        let store = Watched::timing(store);
        let leases = LeaseParts {
            member: Member::new(record, true, Terms::DEFAULT, SHARDS, SCHEMA),
            leases: Arc::new(Counted { inner: leases, calls: Arc::clone(&self.calls) }),
            now: Arc::new(move || began.elapsed() + Duration::from_secs(1)),
            expected: None,
            alone: false,
        };
        let clock = Arc::new(SystemClock);
        let probe = Arc::new(watched::http_probe(Arc::clone(&clock) as _));
        let world = watched::world(self.apis.clone(), probe, Arc::clone(&store) as _, clock);
        let world = World { instance: name.into(), leases: Some(leases), ..world };
        // The default with DynamoDB: nothing is written while nothing changes.
        let options = Options {
            prober_threads: self.prober_threads,
            checkpoint: Duration::from_secs(3_600),
            ..Options::default()
        };
        let running = system::start(world, &options);
        running.joined().await.expect("it does not want all");
        let report = running.reload().await.expect("it lives");
        assert_eq!(report.apis + report.elsewhere, self.apis.len(), "every row is good");
        Worker { running, store }
    }

    /// The shards of a worker.
    async fn shards(&self, name: &str) -> ShardSet {
        let records = (self.lines)().1.read(vec![Key::Assignment]).await.expect("it is there");
        let [LeaseRecord::Assignment(assignment)] = &records[..] else { panic!("there is one") };
        let is_its = |shard: &Shard| {
            let owner = assignment.owners[shard.index()].owner.as_ref();
            owner.is_some_and(|owner| owner.worker.as_str() == name)
        };
        Shard::all(SHARDS).filter(is_its).collect()
    }

    fn calls(&self, workers: &[Worker]) -> [usize; 3] {
        let states = workers.iter().map(|worker| worker.store.durable()).sum();
        [self.calls.reads.load(Ordering::Relaxed), self.calls.writes.load(Ordering::Relaxed), states]
    }
}

/// Not what the monitor knows of itself.
fn is_api(api_id: &ApiId) -> bool {
    !api_id.as_str().contains(':')
}

async fn fleet(job: Job) -> Report {
    watched::log_to_nowhere();
    process::raise_open_files_limit();
    let shared = Shared::new(&job).await;
    let mut workers = vec![];
    for n in 0..job.workers {
        workers.push(shared.start(&format!("worker-{n}")).await);
    }
    // Until all have their shares, and each API was probed once and has come to its slot.
    let share = SHARDS as usize / job.workers;
    for n in 0..job.workers {
        while shared.shards(&format!("worker-{n}")).await.len() != share {
            sleep(Duration::from_millis(100)).await;
        }
    }
    let stored = |workers: &[Worker]| {
        let all = workers.iter().flat_map(|worker| worker.store.first_at_ns().into_keys());
        all.filter(is_api).collect::<HashSet<ApiId>>().len()
    };
    while workers.iter().map(|worker| worker.running.probers()).sum::<usize>() != job.n || stored(&workers) != job.n {
        sleep(Duration::from_secs(1)).await;
    }
    let interval = Duration::from_secs(job.every_seconds);
    sleep(interval + SLACK).await;

    let (from_ns, cpu_before, before) = (monotonic_ns(), cpu(), shared.calls(&workers));
    sleep(interval + SLACK).await;
    let (to_ns, cpu_seconds, after) = (monotonic_ns(), seconds(cpu() - cpu_before), shared.calls(&workers));
    let [lease_reads, lease_writes, state_writes] = [0, 1, 2].map(|call| after[call] - before[call]);
    let probers: Vec<usize> = workers.iter().map(|worker| worker.running.probers()).collect();

    let lost: BTreeSet<usize> = shared.shards("worker-0").await.into_iter().map(Shard::index).collect();
    let killed_at_ns = monotonic_ns();
    workers.remove(0).running.crash();
    if job.workers == 1 {
        workers.push(shared.start("worker-0").await);
    }
    let first_probes = Duration::from_secs((job.n / job.workers) as u64 / FIRST_PROBES_PER_SECOND);
    sleep(TAKEOVER_MAX + interval.max(first_probes) + SLACK).await;
    for worker in workers {
        worker.running.stop(Duration::from_secs(10)).await;
    }
    let stored = stores::read_back(&*(shared.lines)().0).await;
    Report {
        from_ns,
        to_ns,
        cpu_seconds,
        lease_reads,
        lease_writes,
        state_writes,
        most: probers.iter().copied().max().unwrap_or(0),
        fewest: probers.iter().copied().min().unwrap_or(0),
        killed_at_ns,
        lost,
        up: stored.iter().filter(|state| state.status == Status::Up && is_api(&state.api_id)).count(),
    }
}
