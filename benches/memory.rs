//! Memory: what an idle prober costs with all that belongs to it, what a running process costs, and what the built program
//! costs over time, with rows of a file, an SQLite file and its settings' defaults.
//!
//! `cargo bench --bench memory -- --minutes 60` watches it for that long, and draws `target/memory.svg`.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::ports::Clock;
use api_health_actors::system::{Options, World};
use api_health_core::{Schedule, Verdict};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, nanos, number};
use support::process::{self, memory_bytes};
use support::program::Program;
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
    if let Some(minutes) = process::argument("--minutes") {
        return daemon(&mut Target::start(), 100_000, 60, minutes, "at most 400 MB");
    }
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
    if form.short {
        daemon(&mut target, 10_000, 10, 1, "at most 50 MB");
    } else {
        daemon(&mut target, 10_000, 10, 2, "at most 50 MB");
        daemon(&mut target, 100_000, 60, 5, "at most 400 MB");
    }
}

/// The built program over a file of rows, for so long.
fn daemon(target: &mut Target, n: usize, interval_seconds: u64, minutes: u64, wanted: &str) {
    heading(&format!("the program: {n} APIs of a file, every {interval_seconds} s for {minutes} min, SQLite"));
    let folder = tempfile::tempdir().expect("a folder for its files");
    target.take();
    let program = Program::start(folder.path(), &target.bases, n, interval_seconds);
    let pid = program.pid();
    let mut curve = Vec::new();
    let (mut asked, mut requests) = (vec![0_u32; n], 0);
    let samples = minutes * 60 / SAMPLE_SECONDS;
    for _ in 0..samples {
        #[expect(clippy::disallowed_methods, reason = "no actor lives in this process")]
        std::thread::sleep(Duration::from_secs(SAMPLE_SECONDS));
        curve.push(nanos(process::resources(&pid).resident_bytes) / 1e6);
        for (_, api) in target.take().requests {
            asked[api] += 1;
            requests += 1;
        }
    }
    program.kill();
    assert!(asked.iter().all(|count| *count >= 1), "every API was asked");
    let half = &curve[curve.len() / 2..];
    let highest = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    figure("memory at the end", &format!("{:.1} MB", half[half.len() - 1]), wanted);
    figure(
        "the most of the first half / of the second",
        &format!("{:.1} / {:.1} MB", highest(&curve[..curve.len() / 2]), highest(half)),
        "flat",
    );
    let of = number(n) * number(usize::try_from(minutes * 60 / interval_seconds).expect("few"));
    figure("probes, of those that came due", &format!("{:.3}", number(requests) / of), "");
    let (fewest, most) = (asked.iter().min().copied().unwrap_or(0), asked.iter().max().copied().unwrap_or(0));
    figure("probes of the API that got fewest / most", &format!("{fewest} / {most}"), "the same, one more or less");
    draw(&curve, &format!("Resident memory, {n} APIs each {interval_seconds} s"));
}

/// How often memory is looked at.
const SAMPLE_SECONDS: u64 = 5;

/// The curve as a picture.
fn draw(curve: &[f64], title: &str) {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 240.0;
    let top = (curve.iter().copied().fold(0.0, f64::max) * 1.1 / 50.0).ceil() * 50.0;
    let x = |index: usize| 60.0 + (WIDTH - 80.0) * number(index) / number(curve.len().max(2) - 1);
    let y = |megabytes: f64| HEIGHT - 40.0 - (HEIGHT - 80.0) * megabytes / top;
    let points: Vec<String> = curve.iter().enumerate().map(|(i, mb)| format!("{:.1},{:.1}", x(i), y(*mb))).collect();
    let minutes = number(curve.len()) * 5.0 / 60.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"60\" y=\"24\" font-size=\"14\">{title}</text>\n"
    );
    for line in 0..=4 {
        let megabytes = top * f64::from(line) / 4.0;
        svg += &format!(
            "<path d=\"M60 {0:.1}H{1}\" stroke=\"#ddd\"/><text x=\"54\" y=\"{2:.1}\" text-anchor=\"end\">{megabytes:.0} MB</text>\n",
            y(megabytes),
            WIDTH - 20.0,
            y(megabytes) + 4.0
        );
    }
    for step in 0..=4 {
        let at = 60.0 + (WIDTH - 80.0) * f64::from(step) / 4.0;
        svg += &format!(
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{:.1} min</text>\n",
            HEIGHT - 18.0,
            minutes * f64::from(step) / 4.0
        );
    }
    svg += &format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1a6fb0\" stroke-width=\"1.5\"/>\n</svg>\n",
        points.join(" ")
    );
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/memory.svg");
    std::fs::write(&path, svg).expect("target can be written to");
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
        probes: running.stats().counts().probes,
        passes: 0,
    }
}

async fn running(job: Job) -> Report {
    watched::log_to_nowhere();
    let before_bytes = memory_bytes("VmRSS");
    let schedule = Arc::new(Schedule::every(Duration::from_secs(10)));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, history) = stores::with_history(folder.path());
    let apis = watched::apis(job.n, &job.bases, &schedule);
    let probe = Arc::new(watched::http_probe(Arc::new(SystemClock)));
    let world = watched::world(apis, probe, Arc::clone(&store), Arc::new(SystemClock));
    let running = watched::start_world(World { history: Some(history), ..world }, &Options::default());
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
    Report { before_bytes, after_bytes, most_bytes, probers, probes: stats.counts().probes, passes }
}
