//! Paced: what a probe costs when each API has its interval, and how punctual it is, beside the loop that anybody would
//! write first: for each API a task that sleeps to its next deadline and asks with hyper.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::system::{Options, World};
use api_health_core::schedule::SLOT_QUANTUM;
use api_health_core::{ApiConfig, Schedule, Verdict};
use serde::{Deserialize, Serialize};
use support::bare;
use support::figures::{figure, heading, listed, median, nanos, number, seconds};
use support::process::{self, cpu, monotonic_ns};
use support::punctual::{self, Seen};
use support::stores;
use support::target::{self, Arrivals, Target};
use support::watched::{self, ARBITERS};
use tokio::time::{Instant, sleep_until};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    /// Prober, outcomes, keeper, SQLite, history.
    Actors,
    /// The same without history.
    Unrecorded,
    /// The loop over hyper.
    Bare,
}

/// How many APIs, and how often each is asked.
#[derive(Clone, Copy, Debug)]
struct Load {
    n: usize,
    interval_seconds: u64,
    pairs: usize,
    /// How long it is measured, after everything has come to its pace.
    measured_seconds: u64,
    /// Each answer is a document, and is judged by a regular expression and two paths; the loop only reads it.
    judged: bool,
    /// What the actors are compared with.
    other: Mode,
}

#[derive(Serialize, Deserialize)]
struct Job {
    mode: Mode,
    n: usize,
    bases: Vec<String>,
    interval_seconds: u64,
    measured_seconds: u64,
    judged: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    cpu_seconds: f64,
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
        ("paced", |job| process::report(&actix_rt::System::new().block_on(paced(process::job(job))))),
    ]);
    let mut target = Target::start();
    println!("paced: {ARBITERS} threads of probers, a new connection for each probe");
    let load = |n, interval_seconds, pairs, measured_seconds| Load {
        n,
        interval_seconds,
        pairs,
        measured_seconds,
        judged: false,
        other: Mode::Bare,
    };
    let judged = |load| Load { judged: true, ..load };
    let history = |load| Load { other: Mode::Unrecorded, ..load };
    let loads = if form.short {
        vec![load(10_000, 10, 1, 10), judged(load(10_000, 10, 1, 10)), history(load(1_000, 1, 1, 10))]
    } else {
        vec![
            load(1_000, 10, 5, 20),
            load(10_000, 10, 5, 20),
            judged(load(10_000, 10, 5, 20)),
            history(load(10_000, 10, 15, 20)),
            load(100_000, 60, 3, 60),
            load(100_000, 10, 1, 60),
        ]
    };
    for load in loads {
        compare(&mut target, load);
    }
}

fn compare(target: &mut Target, load: Load) {
    let Load { n, interval_seconds, pairs, measured_seconds, judged, other } = load;
    let what = if judged { ", each answer judged by a regular expression and two JSON paths" } else { "" };
    heading(&format!("{n} APIs every {interval_seconds} s, each at its slot, for {measured_seconds} s, SQLite{what}"));
    let (mut ratios, mut ours, mut others, mut last) = (vec![], vec![], vec![], None);
    for pair in 0..pairs {
        let mut run = |mode| {
            target.take();
            let bases = target.bases.clone();
            let report: Report =
                process::play("paced", &Job { mode, n, bases, interval_seconds, measured_seconds, judged });
            let arrivals = target.take();
            let seen = seen(mode, &report, &arrivals, load);
            if mode != Mode::Bare {
                assert_eq!(arrivals.requests.len() as u64, report.begun, "every probe that was begun was a request");
                assert_eq!(report.passes, n, "a pass of every API was read back from the store");
            }
            (report, seen)
        };
        // Each goes first in turn, so that a machine that slows down favours neither.
        let (actors, against) = if pair % 2 == 0 {
            let actors = run(Mode::Actors);
            (actors, run(other))
        } else {
            let against = run(other);
            (run(Mode::Actors), against)
        };
        let each = |(report, seen): &(Report, Seen)| report.cpu_seconds / number(seen.requests) * 1e4;
        ratios.push(each(&actors) / each(&against));
        ours.push(each(&actors));
        others.push(each(&against));
        last = Some((actors, against));
    }
    let Some(((report, seen), (_, other_seen))) = last else { return };
    let name = if other == Mode::Bare { "the bare paced loop" } else { "the same without history" };
    figure(
        &format!("CPU against {name}, median of the pairs"),
        &format!("{:.2}", median(&ratios)),
        match other {
            Mode::Bare if judged => "",
            Mode::Bare => "at most 0.80",
            _ => "at most 1.05",
        },
    );
    figure("  of the single pairs", &listed(&ratios), "");
    figure("CPU-seconds for 10,000 checks: actors, store and all", &format!("{:.2}", median(&ours)), "");
    figure(&format!("CPU-seconds for 10,000 checks: {name}"), &format!("{:.2}", median(&others)), "");
    figure("busiest 100 ms over the mean", &format!("{:.2}", seen.busiest_over_mean), "at most 2; 1.5 from 10,000 on");
    figure(&format!("  of {name}"), &format!("{:.2}", other_seen.busiest_over_mean), "");
    let (p50, p99) = report.late_ms.unwrap_or_default();
    figure("lateness by its own count, p50 / p99 at most", &format!("{p50} / {p99} ms"), "p99 at most 10 ms");
    figure("lateness as the target saw it, p50 / p99", &seen.late(), "p99 at most 10 ms");
    figure(&format!("  of {name}"), &other_seen.late(), "");
    figure("ticks missed", &report.missed.to_string(), "0");
    let rate = number(seen.requests) / seconds(Duration::from_secs(measured_seconds));
    let ideal = number(n) / seconds(Duration::from_secs(interval_seconds));
    figure("checks per second, of those that are due", &format!("{rate:.0} of {ideal:.0}"), "all");
    figure("memory of the process", &format!("{:.0} MB", nanos(report.resident_bytes) / 1e6), "");
}

/// What the target saw while it was measured.
fn seen(mode: Mode, report: &Report, arrivals: &Arrivals, load: Load) -> Seen {
    let interval = Duration::from_secs(load.interval_seconds);
    let slots = match mode {
        Mode::Actors | Mode::Unrecorded => punctual::slots(load.n, interval),
        Mode::Bare => (0..load.n).map(|index| punctual::ns(bare::offset(index, load.n, interval))).collect(),
    };
    Seen::of(&slots, interval, report.began_ns, report.window_ns, arrivals)
}

async fn paced(job: Job) -> Report {
    let interval = Duration::from_secs(job.interval_seconds);
    let schedule = Arc::new(Schedule::every(interval));
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let apis = if job.judged { watched::judged(apis) } else { apis };
    // The first round is over, and every API has come to its slot. The window begins and ends between two slots.
    let warm = interval * 2 + Duration::from_secs(2) + SLOT_QUANTUM / 2;
    let measured = Duration::from_secs(job.measured_seconds);
    match job.mode {
        Mode::Actors => paced_actors(apis, warm, measured, true).await,
        Mode::Unrecorded => paced_actors(apis, warm, measured, false).await,
        Mode::Bare => {
            let began_ns = monotonic_ns();
            let began = Instant::now();
            let passes = Arc::new(AtomicUsize::new(0));
            bare::paced(&apis, interval, began, &passes);
            let (cpu_seconds, window_ns) = cpu_between(began, warm, measured).await;
            let passes = passes.load(Ordering::Relaxed);
            Report { cpu_seconds, window_ns, passes, began_ns, ..Report::default() }
        }
    }
}

async fn paced_actors(apis: Vec<Arc<ApiConfig>>, warm: Duration, measured: Duration, is_recorded: bool) -> Report {
    watched::log_to_nowhere();
    let n = apis.len();
    let probe = Arc::new(watched::http_probe(Arc::new(SystemClock)));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, history) = stores::with_history(folder.path());
    let clock = Arc::new(SystemClock);
    let world = watched::world(apis, probe, Arc::clone(&store), clock);
    let world = World { history: is_recorded.then_some(history), ..world };
    let began_ns = monotonic_ns();
    let began = Instant::now();
    let running = watched::start_world(world, &Options::default());
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
        late_ms: stats.counts().lateness_ms(0.5).zip(stats.counts().lateness_ms(0.99)),
        missed: stats.counts().missed_ticks,
        begun: stats.counts().probes,
        resident_bytes,
    }
}

/// CPU time of this process between two moments, and these moments.
async fn cpu_between(began: Instant, warm: Duration, measured: Duration) -> (f64, (u64, u64)) {
    sleep_until(began + warm).await;
    let (cpu_before, from) = (cpu(), monotonic_ns());
    sleep_until(began + warm + measured).await;
    (seconds(cpu() - cpu_before), (from, monotonic_ns()))
}
