//! A process that did not run for a while: it catches nothing up, keeps its cadence, counts what it missed, and takes
//! its own sleep for nobody's outage.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::alerts::Receiver;
use crate::apis::row_with;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::ports;

const APIS: usize = 40;

/// How long the process is suspended: no whole number of intervals, so that a cadence that begins anew when it wakes up
/// is another one than before.
const SUSPENDED: Duration = Duration::from_millis(8_450);

/// So many are answered at once: nothing but their schedule holds a burst of theirs back.
const QUICK: usize = 10;

/// How long the target thinks before it answers the others. Most of them have a probe under way at any moment.
const THINKS: Duration = Duration::from_millis(700);

/// A target that sends whoever asks for `/N` to `/N/there`, the quick ones at once and the others after a while. A probe
/// that slept through that answer has a connection still to open. It notes when `/N` was asked for.
struct Target {
    port: u16,
    asked: Arc<Mutex<HashMap<String, Vec<Instant>>>>,
}

impl Target {
    fn start() -> Self {
        let listener = ports::listen();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || accept(&listener, &log));
        Self { port, asked }
    }

    fn url(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}/{n}", self.port)
    }

    /// When the API was asked, oldest first.
    fn asked(&self, n: usize) -> Vec<Instant> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).get(&format!("/{n}")).cloned().unwrap_or_default()
    }

    fn all(&self) -> Vec<Vec<Instant>> {
        (0..APIS).map(|n| self.asked(n)).collect()
    }
}

fn accept(listener: &TcpListener, log: &Arc<Mutex<HashMap<String, Vec<Instant>>>>) {
    for stream in listener.incoming() {
        let log = Arc::clone(log);
        std::thread::spawn(move || answer(stream.unwrap(), &log));
    }
}

#[allow(clippy::disallowed_methods, reason = "the test's own clock, and a target that takes its time")]
fn answer(mut stream: TcpStream, log: &Mutex<HashMap<String, Vec<Instant>>>) {
    let head: Vec<String> =
        BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let (status, location) = if path.ends_with("/there") {
        (200, String::new())
    } else {
        log.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().push(Instant::now());
        if path[1..].parse::<usize>().is_ok_and(|n| n >= QUICK) {
            std::thread::sleep(THINKS);
        }
        (302, format!("location: {path}/there\r\n"))
    };
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\n{location}content-length: 2\r\n\r\nok");
}

/// Where in its second an API is asked, as the median of what was seen; in milliseconds since `began`, from 0 to 999.
fn phase(asked: &[Instant], began: Instant) -> i64 {
    let into = |at: &Instant| i64::try_from(at.duration_since(began).as_millis() % 1_000).unwrap();
    // Seen from the first one, so that a phase near the turn of the second is not torn in two.
    let first = into(&asked[0]);
    let mut from_first: Vec<i64> = asked.iter().map(|at| (into(at) - first + 1_500).rem_euclid(1_000)).collect();
    from_first.sort_unstable();
    (from_first[from_first.len() / 2] + first - 500).rem_euclid(1_000)
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn a_suspended_process_fires_no_burst_keeps_its_cadence_counts_what_it_missed_and_tells_nothing() {
    let (target, receiver) = (Target::start(), Receiver::start());
    let fields = "timeout_seconds = 3\nfailure_threshold = 1\nmax_redirects = 1";
    let rows: String = (0..APIS).map(|n| row_with(&format!("api-{n}"), &target.url(n), fields)).collect();
    let home = Home::new(&receiver.settings(), &rows);
    let began = Instant::now();
    let daemon = home.run();
    let each_has = |count: usize| target.all().iter().all(|asked| asked.len() >= count).then_some(());
    wait_for("each is probed at its slot for a while", SOON, || each_has(7));

    daemon.signal(Signal::STOP);
    let_pass(Duration::from_millis(500)); // what was sent is read
    let before = target.all();
    let_pass(SUSPENDED - Duration::from_millis(500));
    assert_eq!(target.all(), before, "it is suspended");
    daemon.signal(Signal::CONT);
    let awake = Instant::now();
    let_pass(Duration::from_secs(3));
    let (after, seconds) = (target.all(), awake.elapsed().as_secs_f64());
    for n in 0..APIS {
        // One that is late, and then one a second; a burst would be eight at once.
        let count = after[n].len() - before[n].len();
        assert!(count as f64 <= seconds + 2.0, "api-{n}: {count} probes in {seconds:.1} s after it woke up");
    }

    wait_for("each is probed at its slot again", SOON, || {
        (0..APIS).all(|n| target.asked(n).len() >= before[n].len() + 8).then_some(())
    });
    let kept = |n: usize| {
        // The first after the start comes before its slot, and the first after the sleep is late.
        let (earlier, later) = (phase(&before[n][1..], began), phase(&target.asked(n)[before[n].len() + 1..], began));
        (later - earlier + 500).rem_euclid(1_000).abs_diff(500) <= 200
    };
    let kept = (0..APIS).filter(|n| kept(*n)).count();
    assert!(kept >= APIS * 8 / 10, "{kept} of {APIS} are still probed at their slot");

    assert_eq!(receiver.told(), [], "nobody was down");
    daemon.wait_for_log("this process was stalled for"); // probes were under way when it fell asleep
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    for (api_id, state) in home.states() {
        assert_eq!(state["status"], "up", "{api_id}: {state}");
        let missed = state["missed_ticks"].as_u64().unwrap();
        assert!(missed >= 6, "{api_id}: {missed} missed ticks in {SUSPENDED:?}");
    }
}
