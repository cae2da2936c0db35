//! Fan-out: what the actors and the store add to the CPU time of the bare exchange, in one tick and paced, and how
//! punctual they are. CPU time is that of the monitoring process; the target is a process of its own.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::ports::Clock;
use api_health_actors::system::Options;
use api_health_core::schedule::{SLOT_QUANTUM, Slot};
use api_health_core::{ApiId, Schedule, Verdict};
use serde::{Deserialize, Serialize};
use support::bare::{self, Engine};
use support::figures::{figure, heading, median, micros_each, nanos, number, percentile, seconds};
use support::process::{self, cpu, monotonic_ns};
use support::target::{self, Arrivals, Target};
use support::watched::{self, ARBITERS, MAX_IN_FLIGHT, MovedClock};
use support::{stores, stores::Watched};
use tokio::time::{Instant, sleep, sleep_until};

/// The interval of the paced runs.
const INTERVAL: Duration = Duration::from_secs(10);

/// Polling for the end of something costs this little.
const POLL: Duration = Duration::from_millis(10);

/// Quiet time before a measurement.
const LEAD: Duration = Duration::from_millis(200);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    Actors,
    Bare(Engine),
}

const OURS: Mode = Mode::Bare(Engine::Ours);
const HYPER: Mode = Mode::Bare(Engine::Hyper);

#[derive(Serialize, Deserialize)]
struct Job {
    mode: Mode,
    n: usize,
    bases: Vec<String>,
    /// How long a paced run is measured.
    seconds: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    cpu_seconds: f64,
    wall_seconds: f64,
    /// Exchanges that ended with the answer that was asked for; of the actors: as read back from the store.
    passes: usize,
    /// When the process's schedules began.
    began_ns: u64,
    /// Between which moments it was measured.
    window_ns: (u64, u64),
    /// By the process's own count.
    late_ms: Option<(u64, u64)>,
    missed: u64,
    begun: u64,
    resident_bytes: u64,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("tick", |job| process::report(&in_system(tick(process::job(job))))),
        ("paced", |job| process::report(&in_system(paced(process::job(job))))),
    ]);
    let mut target = Target::start();
    println!(
        "fan-out: {ARBITERS} threads of probers, at most {MAX_IN_FLIGHT} exchanges at once, a new connection each"
    );
    let ticks: &[(usize, usize)] =
        if form.short { &[(1_000, 3), (10_000, 1)] } else { &[(1_000, 7), (10_000, 5), (50_000, 3)] };
    for &(n, pairs) in ticks {
        compare_ticks(&mut target, n, pairs);
    }
    let rates: &[(usize, usize, u64)] =
        if form.short { &[(10_000, 1, 10)] } else { &[(1_000, 3, 20), (10_000, 3, 20)] };
    for &(n, pairs, seconds) in rates {
        compare_paced(&mut target, n, pairs, seconds);
    }
}

fn in_system<F: Future>(body: F) -> F::Output {
    actix_rt::System::new().block_on(body)
}

fn measure(role: &str, target: &mut Target, mode: Mode, n: usize, seconds: u64) -> (Report, Arrivals) {
    target.take();
    let report = process::play(role, &Job { mode, n, bases: target.bases.clone(), seconds });
    (report, target.take())
}

// ---- one tick ----

fn compare_ticks(target: &mut Target, n: usize, pairs: usize) {
    heading(&format!("one tick of the default schedule over {n} APIs, all at once, SQLite"));
    let mut run = |mode| {
        let (report, arrivals) = measure("tick", target, mode, n, 0);
        assert!(arrivals.per_api(n).iter().all(|count| *count == 1), "{mode:?}: each API was asked exactly once");
        assert_eq!(report.passes, n, "{mode:?}: every answer was had (of the actors: read back from the store)");
        report
    };
    let (mut ratios, mut ours, mut others, mut hypers, mut walls) = (vec![], vec![], vec![], vec![], vec![]);
    for pair in 0..pairs {
        // Each goes first in turn, so that a machine that slows down favours neither.
        let (actors, bare) = if pair % 2 == 0 {
            let actors = run(Mode::Actors);
            (actors, run(OURS))
        } else {
            let bare = run(OURS);
            (run(Mode::Actors), bare)
        };
        if pair == 0 {
            hypers.push(micros_each(run(HYPER).cpu_seconds, n));
        }
        ratios.push(actors.cpu_seconds / bare.cpu_seconds);
        ours.push(micros_each(actors.cpu_seconds, n));
        others.push(micros_each(bare.cpu_seconds, n));
        walls.push(actors.wall_seconds);
    }
    figure("CPU against the bare loop, median of the pairs", &format!("{:.2}", median(&ratios)), "at most 1.20");
    figure("  of the single pairs", &listed(&ratios), "");
    figure("CPU of a probe: actors, store and all", &format!("{:.1} us", median(&ours)), "");
    figure("CPU of a probe: bare loop, the same exchange", &format!("{:.1} us", median(&others)), "");
    figure("CPU of a probe: bare loop, hyper", &format!("{:.1} us", median(&hypers)), "");
    figure("from the tick until all is durable", &format!("{:.2} s", median(&walls)), "");
}

fn listed(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(" ")
}

async fn tick(job: Job) -> Report {
    // Actors are started and configs applied before the tick comes.
    let clock = MovedClock::tick_in(Duration::from_millis(1_500) + Duration::from_micros(50) * size(job.n));
    let begins = Instant::now() + time_to_tick(clock);
    let schedule = watched::default_schedule(clock.now());
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let probe = Arc::new(watched::http_probe(Arc::new(clock)));
    match job.mode {
        Mode::Actors => tick_of_actors(clock, begins, apis, probe).await,
        Mode::Bare(engine) => {
            sleep_until(begins - LEAD).await;
            let (cpu_before, wall_before) = (cpu(), Instant::now());
            let passes = bare::once_each(engine, probe, apis).await;
            let cpu_seconds = seconds(cpu() - cpu_before);
            Report { cpu_seconds, wall_seconds: seconds(wall_before.elapsed()), passes, ..Report::default() }
        }
    }
}

async fn tick_of_actors(
    clock: MovedClock,
    begins: Instant,
    apis: Vec<Arc<api_health_core::ApiConfig>>,
    probe: Arc<api_health::probe::HttpProbe>,
) -> Report {
    watched::log_to_nowhere();
    let n = apis.len();
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let states: Vec<_> = apis.iter().map(|api| watched::steady_state(api)).collect();
    let probed_before = states[0].last_probe.as_ref().map(|probe| probe.at);
    stores::fill(&*store, &states).await;
    let counted = Watched::counting(Arc::clone(&store));
    let options = Options { spread: false, probe_at_start: false, ..Options::default() };
    let store_port = Arc::clone(&counted) as Arc<dyn api_health_actors::ports::StateStore>;
    let running = watched::start(apis, probe, store_port, Arc::new(clock), &options);
    assert_eq!(running.reload().await.unwrap().apis, n, "every row is good");
    assert!(Instant::now() < begins - LEAD, "the machine was too slow to be ready for the tick: run it again");
    sleep_until(begins - LEAD).await;
    assert_eq!(running.stats().probes(), 0, "nothing is probed before the tick");
    let cpu_before = cpu();
    while running.stats().probes() < n as u64 {
        sleep(POLL).await;
    }
    while counted.durable() < n {
        running.settle(false, Duration::from_secs(30)).await;
        sleep(POLL * 5).await;
    }
    let cpu_seconds = seconds(cpu() - cpu_before);
    let wall_seconds = seconds(begins.elapsed());
    let stored = stores::read_back(&*store).await;
    let passed = |state: &&api_health_core::ApiState| {
        state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Pass && Some(probe.at) > probed_before)
    };
    let passes = stored.iter().filter(passed).count();
    Report { cpu_seconds, wall_seconds, passes, ..Report::default() }
}

fn time_to_tick(clock: MovedClock) -> Duration {
    const TICK_MS: i64 = 120_000;
    let left = TICK_MS - clock.now().as_millis().rem_euclid(TICK_MS);
    Duration::from_millis(u64::try_from(left).expect("1 to 120,000"))
}

fn size(n: usize) -> u32 {
    u32::try_from(n).expect("far fewer APIs")
}

// ---- paced ----

fn compare_paced(target: &mut Target, n: usize, pairs: usize, measured: u64) {
    heading(&format!("{n} APIs every {} s, each at its slot, for {measured} s, SQLite", INTERVAL.as_secs()));
    let (mut ratios, mut ours, mut others, mut hypers, mut last) = (vec![], vec![], vec![], vec![], None);
    for pair in 0..pairs {
        let mut run = |mode| {
            let (report, arrivals) = measure("paced", target, mode, n, measured);
            let seen = Seen::of(&report, &arrivals, n);
            if mode == Mode::Actors {
                assert_eq!(arrivals.requests.len() as u64, report.begun, "every probe that was begun was a request");
                assert_eq!(report.passes, n, "a pass of every API was read back from the store");
            }
            (report, seen)
        };
        let (actors, bare) = if pair % 2 == 0 {
            let actors = run(Mode::Actors);
            (actors, run(OURS))
        } else {
            let bare = run(OURS);
            (run(Mode::Actors), bare)
        };
        let each = |(report, seen): &(Report, Seen)| report.cpu_seconds / number(seen.requests);
        ratios.push(each(&actors) / each(&bare));
        ours.push(each(&actors) * 1e4);
        others.push(each(&bare) * 1e4);
        if pair == 0 {
            hypers.push(each(&run(HYPER)) * 1e4);
        }
        last = Some((actors, bare));
    }
    let Some(((report, seen), (_, bare_seen))) = last else { return };
    figure("CPU against the bare paced loop, median of the pairs", &format!("{:.2}", median(&ratios)), "at most 1.20");
    figure("  of the single pairs", &listed(&ratios), "");
    figure("busiest 100 ms over the mean", &format!("{:.2}", seen.busiest_over_mean), "at most 2");
    figure("  of the bare paced loop", &format!("{:.2}", bare_seen.busiest_over_mean), "");
    let (p50, p99) = report.late_ms.unwrap_or_default();
    figure("lateness by its own count, p50 / p99 at most", &format!("{p50} / {p99} ms"), "p99 at most 10 ms");
    figure("lateness as the target saw it, p50 / p99", &seen.late(), "p99 at most 10 ms");
    figure("  of the bare paced loop", &bare_seen.late(), "");
    figure("ticks missed", &report.missed.to_string(), "0");
    let rate = number(seen.requests) / number(usize::try_from(measured).unwrap_or(1));
    let ideal = number(n) / seconds(INTERVAL);
    figure("checks per second, of those that are due", &format!("{rate:.0} of {ideal:.0}"), "all");
    figure("CPU-seconds for 10,000 checks: actors, store and all", &format!("{:.2}", median(&ours)), "");
    figure("CPU-seconds for 10,000 checks: bare paced loop", &format!("{:.2}", median(&others)), "");
    figure("CPU-seconds for 10,000 checks: bare paced loop, hyper", &format!("{:.2}", median(&hypers)), "");
    figure(
        "memory of the process",
        &format!("{:.0} MB", nanos(report.resident_bytes) / 1e6),
        "at most 80 MB at 10,000",
    );
}

/// What the target saw while it was measured.
struct Seen {
    requests: usize,
    late_ms: Vec<f64>,
    busiest_over_mean: f64,
}

impl Seen {
    fn of(report: &Report, arrivals: &Arrivals, n: usize) -> Self {
        let (from, to) = report.window_ns;
        let interval_ns = ns(INTERVAL);
        let slots: Vec<u64> = (0..n).map(|index| ns(Slot::of(&id_of(index)).within(INTERVAL))).collect();
        let mut late_ms = Vec::new();
        let mut per_api = vec![0_u64; n];
        let mut bins = vec![0_usize; usize::try_from((to - from) / 100_000_000).expect("few") + 1];
        for &(at, api) in arrivals.requests.iter().filter(|(at, _)| (from..to).contains(at)) {
            let since_slot = (at - report.began_ns).wrapping_sub(slots[api]) % interval_ns;
            late_ms.push(nanos(since_slot) / 1e6);
            per_api[api] += 1;
            bins[usize::try_from((at - from) / 100_000_000).expect("few")] += 1;
        }
        // At the edges of the window a probe may fall on either side.
        let rounds = (to - from + interval_ns / 2) / interval_ns;
        let in_time = |count: &&u64| count.abs_diff(rounds) <= 1;
        assert_eq!(per_api.iter().filter(in_time).count(), n, "every API was asked in every round");
        let requests = late_ms.len();
        let mean = number(requests) * 1e8 / nanos(to - from);
        let busiest = number(bins.into_iter().max().unwrap_or(0));
        Self { requests, late_ms, busiest_over_mean: busiest / mean }
    }

    fn late(&self) -> String {
        format!("{:.1} / {:.1} ms", percentile(&self.late_ms, 0.5), percentile(&self.late_ms, 0.99))
    }
}

fn id_of(index: usize) -> ApiId {
    ApiId::parse(&watched::id(index)).expect("a plain id")
}

fn ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("far less than 500 years")
}

async fn paced(job: Job) -> Report {
    let schedule = Arc::new(Schedule::every(INTERVAL));
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let probe = Arc::new(watched::http_probe(Arc::new(SystemClock)));
    // The first round is over, and every API has come to its slot. The window begins and ends between two slots.
    let warm = INTERVAL * size(job.n.div_ceil(10_000)) + Duration::from_secs(2) + SLOT_QUANTUM / 2;
    let measured = Duration::from_secs(job.seconds);
    match job.mode {
        Mode::Actors => paced_actors(apis, probe, warm, measured).await,
        Mode::Bare(engine) => {
            let began_ns = monotonic_ns();
            let began = Instant::now();
            let passes = Arc::new(AtomicUsize::new(0));
            bare::paced(engine, &probe, &apis, INTERVAL, began, &passes);
            let (cpu_seconds, window_ns) = cpu_between(began, warm, measured).await;
            let passes = passes.load(Ordering::Relaxed);
            Report { cpu_seconds, window_ns, passes, began_ns, ..Report::default() }
        }
    }
}

async fn paced_actors(
    apis: Vec<Arc<api_health_core::ApiConfig>>,
    probe: Arc<api_health::probe::HttpProbe>,
    warm: Duration,
    measured: Duration,
) -> Report {
    watched::log_to_nowhere();
    let n = apis.len();
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let began_ns = monotonic_ns();
    let began = Instant::now();
    let running = watched::start(apis, probe, Arc::clone(&store), Arc::new(SystemClock), &Options::default());
    assert_eq!(running.reload().await.unwrap().apis, n, "every row is good");
    let (cpu_seconds, window_ns) = cpu_between(began, warm, measured).await;
    let resident_bytes = process::memory_bytes("VmRSS");
    let stats = Arc::clone(running.stats());
    let report = running.stop(Duration::from_secs(20)).await;
    assert_eq!(report.keeper.map(|keeper| keeper.unsaved), Some(0), "nothing is unsaved at the end");
    let stored = stores::read_back(&*store).await;
    let passed = |state: &&api_health_core::ApiState| {
        state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Pass)
    };
    Report {
        cpu_seconds,
        window_ns,
        began_ns,
        passes: stored.iter().filter(passed).count(),
        late_ms: stats.lateness_ms(0.5).zip(stats.lateness_ms(0.99)),
        missed: stats.missed_ticks(),
        begun: stats.probes(),
        resident_bytes,
        ..Report::default()
    }
}

/// CPU time of this process between two moments, and these moments.
async fn cpu_between(began: Instant, warm: Duration, measured: Duration) -> (f64, (u64, u64)) {
    sleep_until(began + warm).await;
    let (cpu_before, from) = (cpu(), monotonic_ns());
    sleep_until(began + warm + measured).await;
    (seconds(cpu() - cpu_before), (from, monotonic_ns()))
}
