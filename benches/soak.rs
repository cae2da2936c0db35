//! Soak: thousands of APIs each second for minutes, while one in ten hangs and the prober of one in a hundred panics.
//! Memory stays flat, every descriptor is given back, the cadence is kept, and those who fare badly cost nobody else
//! anything.
//!
//! `cargo bench --bench soak -- --seconds 180 --apis 5000` for another length or number. It is watched from outside: the
//! target counts the probes, the kernel knows memory, descriptors and threads.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::probe::HttpProbe;
use api_health_actors::ports::{PreparedProbe, Probe};
use api_health_actors::system::Options;
use api_health_core::{ApiConfig, ApiId, Schedule, Status};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, median, nanos, number, percentile};
use support::process::{self, Resources};
use support::target::{self, HANG, Target};
use support::{stores, watched};
use tokio::time::{Instant, sleep};

/// How often each API is probed: as often as can be configured.
const INTERVAL: Duration = Duration::from_secs(1);

/// The timeout of those that hang: a tick may come while one of their probes is still running.
const HANGING_TIMEOUT: Duration = Duration::from_secs(1);

/// How often memory, descriptors and probes are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// First probes are spread, 1,000 a second; memory and cadence settle in some more.
const SETTLING: Duration = Duration::from_secs(3);

/// The share by which the median of the last third may exceed that of the second third. An allocator keeps what a busy
/// moment needed and scatters what is left. In ten minutes a leak of 20 bytes for each probe would be more.
const GROWTH_MAX: f64 = 0.10;

/// In the short form half the time is warming up.
const GROWTH_MAX_SHORT: f64 = 0.15;

/// What one exchange under way costs, rounded up. On a machine that gets busier more of them are under way at once, and
/// that is no leak.
const EXCHANGE_BYTES: f64 = 24.0 * 1_024.0;

/// How long threads and descriptors may take to be gone after the stop.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// What becomes of an API, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Answers.
    Well,
    /// Accepts and never answers.
    Hangs,
    /// Its prober panics as the exchange is asked for.
    PanicsAtOnce,
    /// Its prober panics when the answer is there.
    PanicsAfterwards,
    /// Its prober panics while the connection is open.
    PanicsMidway,
}

impl Fate {
    fn of(index: usize) -> Self {
        match index % 300 {
            42 => Self::PanicsAtOnce,
            142 => Self::PanicsAfterwards,
            242 => Self::PanicsMidway,
            other if other % 10 == 7 => Self::Hangs,
            _ => Self::Well,
        }
    }

    fn panics(self) -> bool {
        !matches!(self, Self::Well | Self::Hangs)
    }
}

/// The product's own probe, but for the APIs whose probers panic.
struct Planted {
    inner: HttpProbe,
    fates: HashMap<ApiId, Fate>,
}

/// What the planted panics say.
const PLANTED: &str = "planted by the soak";

impl Probe for Planted {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let fate = self.fates[&api.api_id];
        let inner = self.inner.prepare(api);
        Rc::new(move || {
            assert!(fate != Fate::PanicsAtOnce, "{PLANTED}");
            let exchange = Rc::clone(&inner).run();
            match fate {
                Fate::PanicsAfterwards => async move {
                    exchange.await;
                    panic!("{PLANTED}")
                }
                .boxed_local(),
                Fate::PanicsMidway => async move {
                    let mut exchange = exchange;
                    // The first look opens the connection.
                    let _ = futures_util::poll!(&mut exchange);
                    sleep(Duration::from_micros(200)).await;
                    panic!("{PLANTED}")
                }
                .boxed_local(),
                _ => exchange,
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Job {
    n: usize,
    bases: Vec<String>,
    seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Report {
    probes: u64,
    missed: u64,
    /// As the records of the well ones say.
    well_missed: u64,
    restarts: u64,
    late_ms: Option<(u64, u64)>,
    descriptors: (usize, usize),
    threads: (u64, u64),
    well_up: usize,
    hanging_up: usize,
    hanging_down: usize,
    panicking_up: usize,
}

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("soak", |job| process::report(&actix_rt::System::new().block_on(soak(process::job(job))))),
    ]);
    let (n, seconds) = if form.short { (500, 20) } else { (5_000, 600) };
    let n = process::argument("--apis").map_or(n, |n| usize::try_from(n).expect("far fewer APIs"));
    let seconds = process::argument("--seconds").unwrap_or(seconds);
    let settled_after = SETTLING + Duration::from_secs(n.div_ceil(1_000) as u64);
    assert!(Duration::from_secs(seconds) > settled_after * 2, "{seconds} s are too few for {n} APIs");
    heading(&format!("{n} APIs every second for {seconds} s, 10 % hanging, 1 % with panicking probers, SQLite"));

    let mut target = Target::start();
    let mut run = Run::start(&Job { n, bases: target.bases.clone(), seconds });
    let began = Duration::from_nanos(process::monotonic_ns());
    let mut seen = Seen { resources: vec![], probes: vec![0; n], measured: Duration::ZERO };
    let mut measured_from = None;
    loop {
        nap(LOOK_EVERY);
        let passed = Duration::from_nanos(process::monotonic_ns()) - began;
        if passed + LOOK_EVERY / 2 >= Duration::from_secs(seconds) {
            break;
        }
        // Taken in any case, so that the target's own memory stays small.
        let counts = target.take().per_api(n);
        match measured_from {
            Some(from) => seen.add(&counts, run.resources(), passed - from),
            None if passed >= settled_after => measured_from = Some(passed),
            None => {}
        }
    }
    let report: Report = run.line();
    seen.print(&report);
    seen.check(&report, if form.short { GROWTH_MAX_SHORT } else { GROWTH_MAX });
}

#[allow(clippy::disallowed_methods, reason = "nothing else runs in this process")]
fn nap(span: Duration) {
    std::thread::sleep(span);
}

/// The process that is watched.
struct Run {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Run {
    /// Starts it; comes back when its probers run.
    fn start(job: &Job) -> Self {
        let mut process = process::command("soak", &process::report(job))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench can start itself");
        let says = BufReader::new(process.stdout.take().expect("it was asked for"));
        let mut run = Self { process, says };
        assert_eq!(run.line::<usize>(), job.n, "it watches them all");
        run
    }

    fn line<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("a pipe can be read");
        assert!(!line.is_empty(), "the process that is watched ended early");
        process::job(&line)
    }

    fn resources(&self) -> Resources {
        process::resources(&self.process.id().to_string())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What was seen from outside, once it had settled.
struct Seen {
    resources: Vec<Resources>,
    /// By API.
    probes: Vec<usize>,
    measured: Duration,
}

impl Seen {
    fn add(&mut self, counts: &[usize], resources: Resources, measured: Duration) {
        for (sum, count) in self.probes.iter_mut().zip(counts) {
            *sum += count;
        }
        self.resources.push(resources);
        self.measured = measured;
    }

    fn probes_of(&self, which: impl Fn(Fate) -> bool) -> Vec<f64> {
        let all = self.probes.iter().enumerate();
        all.filter(|(index, _)| which(Fate::of(*index))).map(|(_, count)| number(*count)).collect()
    }

    /// Resident memory in bytes: the median of a third of the looks.
    fn resident(&self, third: usize) -> f64 {
        let looks = self.resources.len();
        let part = &self.resources[looks * third / 3..looks * (third + 1) / 3];
        median(&part.iter().map(|look| nanos(look.resident_bytes)).collect::<Vec<_>>())
    }

    /// By how much the last third is above the second.
    fn growth(&self) -> f64 {
        self.resident(2) / self.resident(1) - 1.0
    }

    /// The share by which it may be, for more exchanges under way than ever before.
    fn growth_of_crowd(&self) -> f64 {
        let (earlier, last) = self.resources.split_at(self.resources.len() * 2 / 3);
        let most = |looks: &[Resources]| looks.iter().map(|look| look.descriptors).max().unwrap_or(0);
        number(most(last).saturating_sub(most(earlier))) * EXCHANGE_BYTES / self.resident(1)
    }

    fn print(&self, report: &Report) {
        let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
        for (third, name) in ["first", "second", "last"].iter().enumerate() {
            figure(&format!("resident memory, median of the {name} third"), &megabytes(self.resident(third)), "");
        }
        figure("growth from the second to the last", &format!("{:+.1} %", self.growth() * 100.0), "none");
        let most = |of: fn(&Resources) -> f64| self.resources.iter().map(of).fold(0.0, f64::max);
        let (most_open, most_threads) = (most(|look| number(look.descriptors)), most(|look| nanos(look.threads)));
        let around = |(before, after): (String, String), most: f64| format!("{before} / {most} / {after}");
        let (before, after) = report.descriptors;
        let descriptors = around((before.to_string(), after.to_string()), most_open);
        figure("descriptors before / the most / after", &descriptors, "as before");
        let (before, after) = report.threads;
        figure("threads before / the most / after", &around((before.to_string(), after.to_string()), most_threads), "");

        let due = self.measured.as_secs_f64() / INTERVAL.as_secs_f64();
        let share = |probes: f64| format!("{:.2} %", probes / due * 100.0);
        let well = self.probes_of(|fate| fate == Fate::Well);
        let mean = well.iter().sum::<f64>() / number(well.len());
        figure("probes of the well ones, of those due", &share(mean), "all");
        figure("  of the median one", &share(median(&well)), "all");
        figure("  of the one that got fewest", &share(percentile(&well, 0.0)), "all but one at the edges");
        figure("  due, for each", &format!("{due:.1}"), "");
        let hanging = self.probes_of(|fate| fate == Fate::Hangs);
        figure("probes of the hanging ones, of those due", &share(median(&hanging)), "about half");
        let (p50, p99) = report.late_ms.unwrap_or_default();
        figure("lateness by its own count, p50 / p99 at most", &format!("{p50} / {p99} ms"), "");
        figure("probes in all", &report.probes.to_string(), "");
        figure("ticks missed by the well ones, from the start on", &report.well_missed.to_string(), "0");
        figure("ticks missed, hanging ones included", &report.missed.to_string(), "");
        figure("panicking probers started again, times", &report.restarts.to_string(), "");
        figure(
            "hanging APIs that are down at the end",
            &format!("{} of {}", report.hanging_down, hanging.len()),
            "all",
        );
    }

    /// What must be true on any machine; how punctual it was is for the figures to say.
    fn check(&self, report: &Report, growth_max: f64) {
        let growth_max = growth_max + self.growth_of_crowd();
        assert!(self.growth() <= growth_max, "memory grew by more than {:.1} %", growth_max * 100.0);
        let (before, after) = report.descriptors;
        assert!(after <= before, "{after} descriptors after the end, {before} before the start");
        let well = self.probes_of(|fate| fate == Fate::Well);
        assert_eq!(report.well_up, well.len(), "every well API was read back from the store as up");
        let (fewest, middle) = (percentile(&well, 0.0), median(&well));
        assert!(middle >= 1.0 && fewest >= middle / 2.0, "one got {fewest} probes, the median one {middle}");
        assert_eq!(report.hanging_up, 0, "a hanging API is never up");
        assert!(report.hanging_down > 0, "hanging APIs are found to be down");
        assert_eq!(report.panicking_up, 0, "a panic is never taken for a pass");
        assert!(report.restarts > 0, "panicking probers are started again");
    }
}

/// Watches for so long, and stops in order.
async fn soak(job: Job) -> Report {
    process::raise_open_files_limit();
    watched::log_to_nowhere();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(PLANTED) {
            tell(panic);
        }
    }));
    let before = process::resources("self");
    let mut apis = watched::apis(job.n, &job.bases, &Arc::new(Schedule::every(INTERVAL)));
    for (index, api) in apis.iter_mut().enumerate() {
        if Fate::of(index) == Fate::Hangs {
            let url = format!("{}{HANG}{index}", job.bases[index % job.bases.len()]);
            *api = Arc::new(ApiConfig { url, timeout: HANGING_TIMEOUT, ..ApiConfig::clone(api) });
        }
    }
    let fates: HashMap<ApiId, Fate> =
        apis.iter().enumerate().map(|(index, api)| (api.api_id.clone(), Fate::of(index))).collect();
    let probe = Planted { inner: watched::http_probe(Arc::new(SystemClock)), fates: fates.clone() };

    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = stores::embedded(folder.path());
    let clock = Arc::new(SystemClock);
    let running = watched::start(apis, Arc::new(probe), Arc::clone(&store), clock, &Options::default());
    assert_eq!(running.reload().await.unwrap().apis, job.n, "every row is good");
    println!("{}", process::report(&job.n));
    sleep(Duration::from_secs(job.seconds)).await;
    let stats = Arc::clone(running.stats());
    let stopped = running.stop(Duration::from_secs(20)).await;
    assert_eq!(stopped.keeper.map(|keeper| keeper.unsaved), Some(0), "nothing is unsaved at the end");
    let mut stored = stores::read_back(&*store).await;
    // The monitor has records of its own, of probers that it gave up.
    stored.retain(|state| fates.contains_key(&state.api_id));
    drop(store);
    let after = given_back(before).await;

    let count = |which: fn(Fate) -> bool, status: Status| {
        stored.iter().filter(|state| which(fates[&state.api_id]) && state.status == status).count()
    };
    Report {
        probes: stats.counts().probes,
        missed: stats.counts().missed_ticks,
        well_missed: stored
            .iter()
            .filter(|state| fates[&state.api_id] == Fate::Well)
            .map(|state| state.missed_ticks)
            .sum(),
        restarts: stats.counts().restarts,
        late_ms: stats.counts().lateness_ms(0.5).zip(stats.counts().lateness_ms(0.99)),
        descriptors: (before.descriptors, after.descriptors),
        threads: (before.threads, after.threads),
        well_up: count(|fate| fate == Fate::Well, Status::Up),
        hanging_up: count(|fate| fate == Fate::Hangs, Status::Up),
        hanging_down: count(|fate| fate == Fate::Hangs, Status::Down),
        panicking_up: count(Fate::panics, Status::Up),
    }
}

/// Waits until everything that was opened is closed again, or that takes too long; what there is then.
async fn given_back(before: Resources) -> Resources {
    let began = Instant::now();
    loop {
        let now = process::resources("self");
        if now.descriptors <= before.descriptors || began.elapsed() > GONE_WITHIN {
            return now;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
