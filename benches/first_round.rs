//! First round: however many APIs there are, each is probed within its first tick, and what was seen is stored.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::ports::Clock;
use api_health_actors::system::Options;
use api_health_core::{Schedule, Status};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, seconds};
use support::process::{self, cpu};
use support::stores;
use support::target::{self, Target};
use support::watched;
use tokio::time::Instant;

/// A tick of the default schedule is this long.
const TICK: Duration = Duration::from_secs(120);

#[derive(Serialize, Deserialize)]
struct Job {
    n: usize,
    bases: Vec<String>,
    /// The default cron expression, or an interval of the same length.
    cron: bool,
}

#[derive(Serialize, Deserialize)]
struct Report {
    probed_seconds: f64,
    durable_seconds: f64,
    cpu_seconds: f64,
    up: usize,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("round", |job| process::report(&actix_rt::System::new().block_on(round(process::job(job))))),
    ]);
    let n = 10_000;
    let mut target = Target::start();
    let kinds: &[bool] = if form.short { &[true] } else { &[true, false] };
    for &cron in kinds {
        let kind = if cron { Schedule::DEFAULT_CRON } else { "an interval of 120 s" };
        heading(&format!("the first round of {n} APIs, {kind}, SQLite"));
        target.take();
        let report: Report = process::play("round", &Job { n, bases: target.bases.clone(), cron });
        let counts = target.take().per_api(n);
        assert!(counts.iter().all(|count| *count >= 1), "every API was probed");
        assert_eq!(report.up, n, "every API was read back from the store as up");
        let tick = format!("within the first tick, {} s", TICK.as_secs());
        figure("from the configs applied until all were probed", &format!("{:.1} s", report.probed_seconds), &tick);
        figure("until all of it was durable", &format!("{:.1} s", report.durable_seconds), &tick);
        let each = report.cpu_seconds * 1e6 / support::figures::number(n);
        figure("CPU of each, start of its prober and first write included", &format!("{each:.0} us"), "");
    }
}

async fn round(job: Job) -> Report {
    watched::log_to_nowhere();
    let cpu_before = cpu();
    // A tick began a moment ago, as it mostly has.
    let clock: Arc<dyn Clock> =
        if job.cron { Arc::new(watched::MovedClock::tick_in(Duration::from_secs(100))) } else { Arc::new(SystemClock) };
    let schedule = if job.cron { watched::default_schedule(clock.now()) } else { Arc::new(Schedule::every(TICK)) };
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let probe = Arc::new(watched::http_probe(Arc::clone(&clock)));
    let running = watched::start(apis, probe, Arc::clone(&store), clock, &Options::default());
    let began = Instant::now();
    assert_eq!(running.reload().await.unwrap().apis, job.n, "every row is good");
    running.round().finished().await;
    let probed_seconds = seconds(began.elapsed());
    assert_eq!(running.round().progress(), (job.n, job.n), "the round had every API in it");
    assert!(running.flush(false, Duration::from_secs(30)).await, "everything is stored");
    let durable_seconds = seconds(began.elapsed());
    let cpu_seconds = seconds(cpu() - cpu_before);
    let stored = stores::read_back(&*store).await;
    let up = stored.iter().filter(|state| state.status == Status::Up).count();
    Report { probed_seconds, durable_seconds, cpu_seconds, up }
}
