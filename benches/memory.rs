//! Memory: what an idle prober costs with all that belongs to it, and what a running process costs.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::ports::Clock;
use api_health_actors::system::Options;
use api_health_core::{Schedule, Verdict};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, nanos, number};
use support::process::{self, memory_bytes};
use support::stores;
use support::target::{self, Target};
use support::watched;
use tokio::time::sleep;

#[derive(Serialize, Deserialize)]
struct Job {
    n: usize,
    bases: Vec<String>,
    seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Report {
    before_bytes: u64,
    after_bytes: u64,
    most_bytes: u64,
    probers: usize,
    probes: u64,
    passes: usize,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("idle", |job| process::report(&actix_rt::System::new().block_on(idle(process::job(job))))),
        ("running", |job| process::report(&actix_rt::System::new().block_on(running(process::job(job))))),
    ]);
    heading("idle probers, all included: actor, config, schedule, supervisor's and keeper's records");
    for n in [10_000, 100_000] {
        let bases = vec!["http://127.0.0.1:9".to_owned()];
        let report: Report = process::play("idle", &Job { n, bases, seconds: 0 });
        assert_eq!((report.probers, report.probes), (n, 0), "every prober runs, and none has probed");
        let each = number(usize::try_from(report.after_bytes - report.before_bytes).expect("64 bits")) / number(n);
        figure(&format!("memory of each of {n}"), &format!("{:.2} KiB", each / 1_024.0), "at most 4 KiB");
    }
    let (n, seconds) = (10_000, if form.short { 25 } else { 60 });
    heading(&format!("{n} APIs every 10 s for {seconds} s, SQLite"));
    let mut target = Target::start();
    let report: Report = process::play("running", &Job { n, bases: target.bases.clone(), seconds });
    let arrivals = target.take();
    assert_eq!(arrivals.requests.len() as u64, report.probes, "every probe that was begun was a request");
    assert!(arrivals.per_api(n).iter().all(|count| *count >= 1), "every API was asked");
    assert_eq!(report.passes, n, "a pass of every API was read back from the store");
    let each = nanos(report.after_bytes) / number(n) / 1e3;
    figure("memory of the process for each API", &format!("{each:.1} KB"), "at most 8 KB");
    figure("memory of the process at the end", &megabytes(report.after_bytes), "at most 80 MB");
    figure("the most that it ever was", &megabytes(report.most_bytes), "");
    figure("memory before the first API", &megabytes(report.before_bytes), "");
    figure("probes in that time", &report.probes.to_string(), "");
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", nanos(bytes) / 1e6)
}

/// Starts everything and probes nothing: the first tick is more than a minute away.
async fn idle(job: Job) -> Report {
    watched::log_to_nowhere();
    let clock: Arc<dyn Clock> = Arc::new(watched::MovedClock::tick_in(Duration::from_secs(100)));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let schedule = watched::default_schedule(clock.now());
    let probe = Arc::new(watched::http_probe(Arc::clone(&clock)));
    let before_bytes = memory_bytes("VmRSS");
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let states: Vec<_> = apis.iter().map(|api| watched::steady_state(api)).collect();
    stores::fill(&*store, &states).await;
    drop(states);
    // At the tick itself, so that no slot comes due meanwhile.
    let options = Options { spread: false, probe_at_start: false, ..Options::default() };
    let running = watched::start(apis, probe, store, clock, &options);
    assert_eq!(running.reload().await.unwrap().apis, job.n, "every row is good");
    sleep(Duration::from_secs(2)).await;
    Report {
        before_bytes,
        after_bytes: memory_bytes("VmRSS"),
        most_bytes: memory_bytes("VmHWM"),
        probers: running.probers(),
        probes: running.stats().probes(),
        passes: 0,
    }
}

async fn running(job: Job) -> Report {
    watched::log_to_nowhere();
    let before_bytes = memory_bytes("VmRSS");
    let schedule = Arc::new(Schedule::every(Duration::from_secs(10)));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let probe = Arc::new(watched::http_probe(Arc::new(SystemClock)));
    let running = watched::start(apis, probe, Arc::clone(&store), Arc::new(SystemClock), &Options::default());
    assert_eq!(running.reload().await.unwrap().apis, job.n, "every row is good");
    sleep(Duration::from_secs(job.seconds)).await;
    let (after_bytes, most_bytes, probers) = (memory_bytes("VmRSS"), memory_bytes("VmHWM"), running.probers());
    let stats = Arc::clone(running.stats());
    running.stop(Duration::from_secs(20)).await;
    let stored = stores::read_back(&*store).await;
    let passes = stored
        .iter()
        .filter(|state| state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Pass))
        .count();
    Report { before_bytes, after_bytes, most_bytes, probers, probes: stats.probes(), passes }
}
