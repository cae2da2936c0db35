//! What systemd hears of a running daemon, over a real socket: that it is ready, what it does, that it reloads, that it ends;
//! and that it is alive, for as long as probing makes progress and no longer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api_health_actors::system::longest_stop;
use rustix::process::Signal;

use crate::apis::row_with;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};
use crate::systemd::Systemd;

/// The default of `run.shutdown_seconds`.
const SHUTDOWN: Duration = Duration::from_secs(10);

fn second(api_id: &str, url: &str) -> String {
    row_with(api_id, url, "failure_threshold = 1")
}

#[test]
fn systemd_hears_of_the_start_of_figures_of_a_reload_and_of_the_stop_in_this_order() {
    let target = Server::start();
    let rows = [second("up", &target.url("/up")), second("down", &target.url("/down"))].concat();
    let mut home = Home::new("", &rows);
    let systemd = Systemd::of(&mut home);
    target.set("/down", Answer::Status(500));
    let daemon = home.run();
    systemd.wait_for_line("READY=1");
    let ready = systemd.first("READY=1").unwrap();
    let loading = systemd.first("STATUS=loading the stored states").unwrap();
    assert!(loading < ready, "{:?}", systemd.heard());
    assert!(systemd.heard()[loading].contains("EXTEND_TIMEOUT_USEC="), "{:?}", systemd.heard());
    // On a busy disk the store may come and go.
    systemd.wait_for("figures", |message| {
        message.starts_with("STATUS=2 APIs: 1 down, 0 unknown; 0 alerts owed; ")
            && message.ends_with(" probes/s; store ok\n")
    });
    assert_eq!(systemd.fed().len(), 0, "nobody asked for it");

    home.write("apis.toml", &second("up", &target.url("/up")));
    daemon.signal(Signal::HUP);
    let reloading = systemd.wait_for("a reload", |message| message.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let micros: u64 = reloading.lines().nth(1).unwrap().split_once('=').unwrap().1.parse().unwrap();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000;
    assert!((1..=now).contains(&micros), "{micros} of {now}");
    wait_for("ready again", SOON, || (systemd.count("READY=1") == 2).then_some(()));
    let (reloading, ready) = (systemd.first("RELOADING=1").unwrap(), systemd.heard());
    assert!(ready.iter().rposition(|message| message == "READY=1\n").unwrap() > reloading, "{ready:?}");
    systemd.wait_for_status("1 API: 0 down, 0 unknown; ");

    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let last = systemd.wait_for("the stop", |message| message.starts_with("STOPPING=1\n"));
    let within = longest_stop(SHUTDOWN).as_secs();
    let micros = (within + 15) * 1_000_000;
    assert_eq!(last, format!("STOPPING=1\nSTATUS=stopping, within {within} s\nEXTEND_TIMEOUT_USEC={micros}\n"));
    assert_eq!(systemd.heard().last(), Some(&last), "{:?}", systemd.heard());
}

#[test]
fn the_status_names_a_source_that_cannot_be_read_while_its_last_good_configs_run() {
    let target = Server::start();
    let rows = second("shop", &target.url("/shop"));
    let mut home = Home::new("", &rows);
    let systemd = Systemd::of(&mut home);
    let daemon = home.run();
    systemd.wait_for_status("1 API: 0 down, 0 unknown; ");
    home.write("apis.toml", "[[api]\n");
    let status = systemd.wait_for_status("; the last good configs run, since some cannot be read: ");
    assert!(status.starts_with("STATUS=1 API: ") && status.contains("apis.toml"), "{status}");
    home.write("apis.toml", &rows);
    wait_for("a status without it", SOON, || {
        let last = systemd.heard().into_iter().rfind(|message| message.starts_with("STATUS="))?;
        (!last.contains("cannot be read")).then_some(())
    });
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn the_watchdog_is_fed_from_the_start_to_the_stop_with_and_without_anything_to_probe() {
    let target = Server::start();
    for rows in [String::new(), second("shop", &target.url("/shop"))] {
        let mut home = Home::new("", &rows);
        home.env("WATCHDOG_USEC", "3000000");
        let systemd = Systemd::of(&mut home);
        let daemon = home.run();
        systemd.wait_for_line("READY=1");
        systemd.wait_for_feeds(4);
        let ended = daemon.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let mut home = Home::new("", "");
    home.env("WATCHDOG_USEC", "300000").env("WATCHDOG_PID", "1");
    let systemd = Systemd::of(&mut home);
    let daemon = home.run();
    systemd.wait_for_status("0 APIs: ");
    assert_eq!(systemd.fed().len(), 0, "{:?}", systemd.heard());
    daemon.stop();
}

/// Stops single threads of another process, as no signal can: says so in one line, and lets them go when its input ends.
const STOP_THREADS: &str = r#"
import ctypes, os, select, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
threads = list(map(int, sys.argv[1:]))
for thread in threads:
    for request in (SEIZE, INTERRUPT):
        if libc.ptrace(request, thread, None, None) != 0:
            print("refused:", os.strerror(ctypes.get_errno()), flush=True)
            sys.exit(1)
    os.waitpid(thread, WALL)
print("stopped", flush=True)
while not select.select([sys.stdin], [], [], 0.05)[0]:
    for thread in list(threads):  # a process whose traced threads nobody buries does not end
        try:
            gone, status = os.waitpid(thread, WALL | os.WNOHANG)
            if gone and not os.WIFSTOPPED(status):
                threads.remove(thread)
        except ChildProcessError:
            threads.remove(thread)
"#;

/// Threads that stand still until this is dropped.
struct Stopped(Child);

impl Stopped {
    /// `None`, with the reason on standard error, where the system lets no process trace another.
    fn threads(threads: &[u32]) -> Option<Self> {
        let arguments = threads.iter().map(ToString::to_string);
        let mut tracer = Command::new("python3")
            .args(["-c", STOP_THREADS])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(tracer.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let stopped = Self(tracer);
        if said.starts_with("refused") {
            let _ = writeln!(std::io::stderr(), "skipped: threads cannot be stopped alone here: {said}");
            return None;
        }
        assert_eq!(said, "stopped\n");
        Some(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The threads of probers: arbiters start in the order alerter, keeper, probers.
fn threads_of_probers(daemon: &Daemon) -> Vec<u32> {
    let tasks = format!("/proc/{}/task", daemon.pid());
    let mut arbiters: Vec<u32> = std::fs::read_dir(&tasks)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().parse().unwrap())
        .filter(|task: &u32| {
            std::fs::read_to_string(format!("{tasks}/{task}/comm")).is_ok_and(|name| name.starts_with("actix-rt"))
        })
        .collect();
    arbiters.sort_unstable();
    assert!(arbiters.len() > 2, "{arbiters:?}");
    arbiters.split_off(2)
}

/// A daemon that probes every second under a watchdog of 0.6 s, which is asked for progress five times a second.
fn watched(target: &Server) -> (Home, Systemd, Daemon) {
    let rows: String = (0..8).map(|n| second(&format!("api-{n}"), &target.url("/shop"))).collect();
    let mut home = Home::new("", &rows);
    home.env("WATCHDOG_USEC", "600000");
    let systemd = Systemd::of(&mut home);
    let daemon = home.run();
    systemd.wait_for_line("READY=1");
    systemd.wait_for_feeds(5);
    (home, systemd, daemon)
}

/// It is not fed for two seconds.
fn assert_starves(systemd: &Systemd) {
    let_pass(Duration::from_millis(300)); // what was sent is read
    let before = systemd.fed().len();
    let_pass(Duration::from_secs(2));
    assert_eq!(systemd.fed().len(), before);
}

#[test]
fn the_watchdog_of_a_process_that_is_stopped_is_not_fed_and_it_goes_on_where_it_was() {
    let target = Server::start();
    let (_home, systemd, daemon) = watched(&target);
    daemon.signal(Signal::STOP);
    assert_starves(&systemd);
    daemon.signal(Signal::CONT);
    systemd.wait_for_feeds(5);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("probing makes no progress"), "nobody is accused: {}", ended.log);
}

#[test]
fn the_watchdog_is_not_fed_while_the_supervisor_stands_still_though_probing_goes_on() {
    let target = Server::start();
    let (_home, systemd, daemon) = watched(&target);
    let Some(stopped) = Stopped::threads(&[daemon.pid()]) else { return };
    let hits = target.hits("/shop");
    assert_starves(&systemd);
    wait_for("probes", SOON, || (target.hits("/shop") >= hits + 8).then_some(()));
    drop(stopped);
    systemd.wait_for_feeds(5);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn the_watchdog_is_not_fed_while_all_threads_of_probers_stand_still() {
    let target = Server::start();
    let (_home, systemd, daemon) = watched(&target);
    let threads = threads_of_probers(&daemon);
    let Some(_stopped) = Stopped::threads(&threads) else { return };
    let began = Instant::now();
    daemon.wait_for_log("probing makes no progress; systemd's watchdog is not fed");
    // A thread that is stuck is replaced, and with a second one the process ends: both later than a watchdog of such a short
    // span would act.
    let end = if threads.len() > 1 {
        let ended = daemon.wait(SOON);
        assert_eq!(ended.code, Some(70), "{}", ended.log);
        Instant::now()
    } else {
        daemon.wait_for_log("probing makes progress again");
        Instant::now()
    };
    let fed = systemd.fed().into_iter().filter(|at| *at > began);
    let times: Vec<Instant> = std::iter::once(began).chain(fed).chain([end]).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest > Duration::from_secs(1), "the longest time without food was {longest:?}");
}
