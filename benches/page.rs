//! The page under load: whether probes are as punctual while hundreds look as they are while nobody does.
//!
//! The real actors with SQLite, history and the web side, one window of quiet and one of load in turn, in one process. Who looks is a
//! process of its own, which gives way to the others as a browser on another machine would.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::system::{Options, World};
use api_health_core::schedule::SLOT_QUANTUM;
use api_health_core::{Schedule, Verdict};
use api_health_web::model::{About, NoneElsewhere};
use api_health_web::{Access, Limits, Listen, Site};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, listed, median, nanos, number, percentile};
use support::process::{self, Servant, cpu, memory_bytes, monotonic_ns};
use support::punctual::{self, Seen};
use support::target::{self, Arrivals, Target};
use support::{stores, watched};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// Who looks, for so long.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Look {
    page: SocketAddr,
    apis: usize,
    seconds: u64,
    requests_per_second: u64,
    streams: usize,
    scrape_each_seconds: u64,
}

/// What they saw.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Looked {
    answered: usize,
    /// Answers that the request came too late (408): the thread of the page, which gives way, did not run for 5 s.
    given_up: usize,
    /// Any other answers, with the path.
    refused: Vec<String>,
    took_ms: Vec<f64>,
    bytes: usize,
    /// Streams that were open until the end and had an event.
    streams: usize,
    scrapes: usize,
    scrape_bytes: usize,
    /// What the one that reads a byte each second has read.
    slow_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Job {
    apis: usize,
    bases: Vec<String>,
    interval_seconds: u64,
}

/// It has come to its pace.
#[derive(Serialize, Deserialize)]
struct Started {
    page: SocketAddr,
    began_ns: u64,
}

/// What it counted since its start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Counted {
    missed: u64,
    probes: u64,
    cpu_seconds: f64,
    resident_bytes: u64,
}

/// How the load is.
struct Load {
    apis: usize,
    interval_seconds: u64,
    windows: usize,
    window_seconds: u64,
    requests_per_second: u64,
    streams: usize,
    scrape_each_seconds: u64,
}

/// The longest that an answer may take: it has to come, this bench asserts no time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

fn main() {
    let form = process::role_or_form(&[
        target::ROLE,
        ("watch", |job| process::report(&actix_rt::System::new().block_on(watch(process::job(job))))),
        ("look", |job| process::report(&actix_rt::System::new().block_on(look(process::job(job))))),
    ]);
    let load = if form.short {
        Load {
            apis: 500,
            interval_seconds: 1,
            windows: 1,
            window_seconds: 3,
            requests_per_second: 50,
            streams: 10,
            scrape_each_seconds: 1,
        }
    } else {
        Load {
            apis: 10_000,
            interval_seconds: 60,
            windows: 3,
            window_seconds: 60,
            requests_per_second: 200,
            streams: 50,
            scrape_each_seconds: 15,
        }
    };
    compare(&mut Target::start(), &load);
}

fn compare(target: &mut Target, load: &Load) {
    let Load { apis, interval_seconds, windows, window_seconds, requests_per_second, streams, scrape_each_seconds } =
        *load;
    heading(&format!(
        "{apis} APIs each {interval_seconds} s; {requests_per_second} requests a second, {streams} streams, /metrics each \
         {scrape_each_seconds} s and a reader of a byte a second, for {window_seconds} s, against none"
    ));
    target.take();
    let job = Job { apis, bases: target.bases.clone(), interval_seconds };
    let mut watching = Servant::start("watch", &process::report(&job));
    let Started { page, began_ns } = watching.says();
    let look = Look { page, apis, seconds: window_seconds, requests_per_second, streams, scrape_each_seconds };
    let interval = Duration::from_secs(interval_seconds);
    let slots = punctual::slots(apis, interval);
    let mut arrivals = Arrivals::default();
    let (mut quiet, mut busy, mut looked, mut counts) = (vec![], vec![], vec![], vec![]);
    for number in 0..2 * windows {
        let is_quiet = number % 2 == 0;
        let before: Counted = watching.ask("count");
        let from = monotonic_ns();
        if is_quiet {
            #[expect(clippy::disallowed_methods, reason = "no actor lives in this process")]
            std::thread::sleep(Duration::from_secs(window_seconds));
        } else {
            let saw: Looked = process::play("look", &look);
            looked.push(saw);
        }
        let to = from + punctual::ns(Duration::from_secs(window_seconds));
        let after: Counted = watching.ask("count");
        arrivals.requests.extend(target.take().requests);
        let seen = Seen::of(&slots, interval, began_ns, (from, to), &arrivals);
        if is_quiet {
            quiet.push(seen);
        } else {
            busy.push(seen);
        }
        counts.push((is_quiet, before, after));
    }
    let last: Counted = watching.ask("stop");
    arrivals.requests.extend(target.take().requests);
    assert_eq!(arrivals.requests.len() as u64, last.probes, "every probe that was begun was a request");

    for saw in &looked {
        let asked = usize::try_from(requests_per_second * window_seconds).expect("few");
        assert_eq!(saw.refused, Vec::<String>::new(), "every request was answered with what it asked for");
        assert_eq!(saw.answered + saw.given_up, asked, "every request was answered");
        assert!(saw.given_up * 10 <= asked, "hardly any was given up: {} of {asked}", saw.given_up);
        assert_eq!(saw.streams, streams, "every stream was open until the end, and had its first event");
        assert!(saw.scrapes >= 1 && saw.scrape_bytes > 100 * apis, "metrics of every API: {} bytes", saw.scrape_bytes);
        assert!(saw.slow_bytes >= 1, "the slow one reads");
    }
    let p99 = |seen: &[Seen]| -> Vec<f64> { seen.iter().map(|seen| seen.late_ms(0.99)).collect() };
    let ratios: Vec<f64> = p99(&busy).iter().zip(p99(&quiet)).map(|(busy, quiet)| busy / quiet).collect();
    figure("p99 of lateness under load, median", &format!("{:.1} ms", median(&p99(&busy))), "at most 50 ms");
    figure("  while nobody looks", &format!("{:.1} ms", median(&p99(&quiet))), "");
    figure("ratio, median of the pairs", &format!("{:.2}", median(&ratios)), "at most 1.1");
    figure("  of the single pairs", &listed(&ratios), "");
    let missed = |is_quiet: bool| -> u64 {
        counts
            .iter()
            .filter(|(quiet, ..)| *quiet == is_quiet)
            .map(|(_, before, after)| after.missed - before.missed)
            .sum()
    };
    figure("ticks missed under load / while nobody looks", &format!("{} / {}", missed(false), missed(true)), "0");
    let took: Vec<f64> = looked.iter().flat_map(|saw| &saw.took_ms).copied().collect();
    let (p50, p99) = (percentile(&took, 0.5), percentile(&took, 0.99));
    figure("an answer, p50 / p99", &format!("{p50:.1} / {p99:.1} ms"), "");
    let given_up: usize = looked.iter().map(|saw| saw.given_up).sum();
    figure("requests given up, of all", &format!("{given_up} of {}", took.len()), "0");
    let bytes: usize = looked.iter().map(|saw| saw.bytes).sum();
    figure("bytes of an answer, mean", &format!("{:.0}", number(bytes) / number(took.len())), "");
    let scrapes: usize = looked.iter().map(|saw| saw.scrapes).sum();
    let scraped: usize = looked.iter().map(|saw| saw.scrape_bytes).sum();
    figure("a scrape", &format!("{:.1} MB", number(scraped) / number(scrapes) / 1e6), "");
    let share = |is_quiet: bool| {
        let of = counts.iter().filter(|(quiet, ..)| *quiet == is_quiet);
        let cpu: f64 = of.map(|(_, before, after)| after.cpu_seconds - before.cpu_seconds).sum();
        cpu / number(windows) / nanos(window_seconds)
    };
    figure("cores taken under load / while nobody looks", &format!("{:.2} / {:.2}", share(false), share(true)), "");
    let most = counts.iter().map(|(_, _, after)| after.resident_bytes).max().unwrap_or(0);
    figure("memory at the end of a window, at most", &format!("{:.0} MB", nanos(most) / 1e6), "");
}

/// The watched world with its page: says when it has come to its pace, then answers orders.
async fn watch(job: Job) -> Counted {
    watched::log_to_nowhere();
    let (tell, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let interval = Duration::from_secs(job.interval_seconds);
    let apis = watched::apis(job.apis, &job.bases, &Arc::new(Schedule::every(interval)));
    let clock = Arc::new(SystemClock);
    let probe = Arc::new(watched::http_probe(clock.clone()));
    let folder = tempfile::tempdir().expect("a folder for the store");
    let (store, history) = stores::with_history(folder.path());
    let world = watched::world(apis, probe, Arc::clone(&store), clock.clone());
    let (began_ns, began) = (monotonic_ns(), Instant::now());
    let running = watched::start_world(World { history: Some(Arc::clone(&history)), ..world }, &Options::default());
    assert_eq!(running.reload().await.unwrap().apis, job.apis, "every row is good");
    let site = Site {
        board: Arc::clone(running.board()),
        stats: Arc::clone(running.stats()),
        history: Some(history),
        clock,
        elsewhere: Arc::new(NoneElsewhere),
        about: About::default(),
    };
    let listen = Listen {
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        access: Access::default(),
        limits: Limits::default(),
    };
    let server = api_health_web::start(site, &listen).expect("a port is free");
    // The first round is over, and every API has come to its slot. A window begins between two slots.
    sleep_until(began + interval * 2 + Duration::from_secs(2) + SLOT_QUANTUM / 2).await;
    println!("{}", process::report(&Started { page: server.addresses()[0], began_ns }));
    let stats = Arc::clone(running.stats());
    let count = || Counted {
        missed: stats.counts().missed_ticks,
        probes: stats.counts().probes,
        cpu_seconds: cpu().as_secs_f64(),
        resident_bytes: memory_bytes("VmRSS"),
    };
    while orders.recv().await.is_some_and(|order| order == "count") {
        println!("{}", process::report(&count()));
    }
    let report = running.stop(Duration::from_secs(20)).await;
    assert_eq!(report.keeper.map(|keeper| keeper.unsaved), Some(0), "nothing is unsaved at the end");
    let stored = stores::read_back(&*store).await;
    let passed = |state: &&api_health_core::ApiState| {
        state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Pass)
    };
    assert_eq!(stored.iter().filter(passed).count(), job.apis, "a pass of every API was read back from the store");
    count()
}

/// Looks at everything there is, in turn.
async fn look(job: Look) -> Looked {
    // One on another machine would take none of this one.
    let _ = rustix::process::nice(10);
    process::raise_open_files_limit();
    let began = Instant::now();
    let ends = began + Duration::from_secs(job.seconds);
    let streams: Vec<_> = (0..job.streams).map(|_| actix_rt::spawn(stream(job.page, ends))).collect();
    let slow = actix_rt::spawn(slowly(job.page, ends));
    let scrapes = actix_rt::spawn(async move {
        let mut sizes = Vec::new();
        let each = Duration::from_secs(job.scrape_each_seconds);
        while Instant::now() + each <= ends {
            sizes.push(get(job.page, "/metrics").await.1);
            sleep(each).await;
        }
        sizes
    });
    let mut asked = Vec::new();
    for number in 0..job.requests_per_second * job.seconds {
        sleep_until(
            began
                + Duration::from_secs(1) * u32::try_from(number).expect("few")
                    / u32::try_from(job.requests_per_second).expect("few"),
        )
        .await;
        asked.push(actix_rt::spawn(async move {
            let (path, asked_at) = (path(usize::try_from(number).expect("few"), job.apis), Instant::now());
            let (status, bytes) = get(job.page, &path).await;
            (path, status, bytes, asked_at.elapsed())
        }));
    }
    let mut looked = Looked::default();
    for request in asked {
        let (path, status, bytes, took) = request.await.expect("it does not panic");
        if status == "200" {
            looked.answered += 1;
        } else if status == "408" {
            looked.given_up += 1;
        } else {
            looked.refused.push(format!("{path}: {status}"));
        }
        looked.bytes += bytes;
        looked.took_ms.push(took.as_secs_f64() * 1e3);
    }
    for stream in streams {
        looked.streams += usize::from(stream.await.expect("it does not panic"));
    }
    for bytes in scrapes.await.expect("it does not panic") {
        looked.scrapes += 1;
        looked.scrape_bytes += bytes;
    }
    looked.slow_bytes = slow.await.expect("it does not panic");
    looked
}

/// Of every kind that people and programs ask for, each API in its turn.
fn path(number: usize, apis: usize) -> String {
    let id = watched::id(number * 7_919 % apis);
    match number % 20 {
        0 | 1 => "/".into(),
        2 => "/apis".into(),
        3 => "/apis?state=up&sort=name".into(),
        4 => format!("/apis?q={}", &id[..8]),
        5..=8 => format!("/apis/{id}"),
        9 => "/incidents".into(),
        10 => "/wall".into(),
        11 => "/public".into(),
        12 => "/api/v1/summary".into(),
        13 => "/api/v1/apis?limit=100".into(),
        14 => format!("/api/v1/apis/{id}"),
        15 => "/api/v1/incidents".into(),
        16 => format!("/badge/{id}/status.svg"),
        17 => "/feed.atom".into(),
        18 => format!("/probe?target={id}"),
        _ => "/healthz".into(),
    }
}

/// The status of an answer, and how long all of it is.
async fn get(page: SocketAddr, path: &str) -> (String, usize) {
    let ask = async {
        let mut connection = ask(page, path).await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(ANSWERED_WITHIN, ask).await {
        Ok(Ok(answer)) => {
            let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            (String::from_utf8_lossy(status).into_owned(), answer.len())
        }
        Ok(Err(error)) => (error.to_string(), 0),
        Err(_) => ("no answer".into(), 0),
    }
}

async fn ask(page: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect(page).await?;
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: {page}\r\n\r\n").as_bytes()).await?;
    Ok(connection)
}

/// Whether it had an event, and was open until then.
async fn stream(page: SocketAddr, ends: Instant) -> bool {
    let Ok(mut connection) = ask(page, "/api/v1/events").await else { return false };
    let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match timeout_at(ends, connection.read(&mut piece)).await {
            Ok(Ok(more)) if more > 0 => read.extend_from_slice(&piece[..more]),
            Ok(_) => return false,
            Err(_) => return read.windows(7).any(|part| part == b"event: "),
        }
    }
}

/// Reads the longest answer that there is, a byte each second.
async fn slowly(page: SocketAddr, ends: Instant) -> usize {
    let Ok(mut connection) = ask(page, "/metrics").await else { return 0 };
    let (mut read, mut byte) = (0, [0]);
    while Instant::now() < ends
        && let Ok(Ok(1)) = timeout_at(ends, connection.read(&mut byte)).await
    {
        read += 1;
        sleep(Duration::from_secs(1)).await;
    }
    read
}
