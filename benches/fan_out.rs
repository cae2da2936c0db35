//! Fan-out: what the actors and the store add to the CPU time of the bare exchange when all APIs come due at once. CPU time
//! is that of the monitoring process; the target is a process of its own.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Clock;
use api_health_actors::system::Options;
use api_health_core::Verdict;
use serde::{Deserialize, Serialize};
use support::bare::{self, Engine};
use support::figures::{figure, heading, listed, median, micros_each, seconds};
use support::process::{self, cpu};
use support::target::{self, Arrivals, Target};
use support::watched::{self, ARBITERS, MAX_IN_FLIGHT, MovedClock};
use support::{stores, stores::Watched};
use tokio::time::{Instant, sleep, sleep_until};

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
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    cpu_seconds: f64,
    wall_seconds: f64,
    /// Exchanges that ended with the answer that was asked for; of the actors: as read back from the store.
    passes: usize,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("tick", |job| process::report(&actix_rt::System::new().block_on(tick(process::job(job))))),
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
}

fn measure(target: &mut Target, mode: Mode, n: usize) -> (Report, Arrivals) {
    target.take();
    let report = process::play("tick", &Job { mode, n, bases: target.bases.clone() });
    (report, target.take())
}

fn compare_ticks(target: &mut Target, n: usize, pairs: usize) {
    heading(&format!("one tick of the default schedule over {n} APIs, all at once, SQLite"));
    let mut run = |mode| {
        let (report, arrivals) = measure(target, mode, n);
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
            Report { cpu_seconds, wall_seconds: seconds(wall_before.elapsed()), passes }
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
    assert_eq!(running.stats().counts().probes, 0, "nothing is probed before the tick");
    let cpu_before = cpu();
    while running.stats().counts().probes < n as u64 {
        sleep(POLL).await;
    }
    while counted.durable() < n {
        running.flush(false, Duration::from_secs(30)).await;
        sleep(POLL * 5).await;
    }
    let cpu_seconds = seconds(cpu() - cpu_before);
    let wall_seconds = seconds(begins.elapsed());
    let stored = stores::read_back(&*store).await;
    let passed = |state: &&api_health_core::ApiState| {
        state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Pass && Some(probe.at) > probed_before)
    };
    let passes = stored.iter().filter(passed).count();
    Report { cpu_seconds, wall_seconds, passes }
}

fn time_to_tick(clock: MovedClock) -> Duration {
    const TICK_MS: i64 = 120_000;
    let left = TICK_MS - clock.now().as_millis().rem_euclid(TICK_MS);
    Duration::from_millis(u64::try_from(left).expect("1 to 120,000"))
}

fn size(n: usize) -> u32 {
    u32::try_from(n).expect("far fewer APIs")
}
