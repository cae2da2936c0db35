//! What systemd hears of a running daemon, over a real socket: that it is ready, what it does, that it reloads, that it ends;
//! and that it is alive, for as long as probing makes progress and no longer.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use crate::apis::row_with;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// systemd's end of the socket: every datagram, in order.
struct Systemd {
    path: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    /// Listens in the folder of a home, which starts its daemons with it from now on.
    fn of(home: &mut Home) -> Self {
        let path = home.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = Arc::default();
        let into: Arc<Mutex<Vec<String>>> = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            let receive = |buffer: &mut [u8]| -> io::Result<usize> { socket.recv(buffer) };
            while let Ok(count) = receive(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                into.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        });
        home.env("NOTIFY_SOCKET", &path);
        Self { path, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a message with this line came.
    fn count(&self, line: &str) -> usize {
        self.heard().iter().filter(|message| message.lines().any(|l| l == line)).count()
    }

    /// Where the first message with a line that begins like this is.
    fn first(&self, line: &str) -> Option<usize> {
        self.heard().iter().position(|message| message.lines().any(|l| l.starts_with(line)))
    }

    fn wait_for(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let found = || self.heard().into_iter().rev().find(|message| is(message));
        wait_for(&format!("{what}; heard: {:?}", self.path), SOON, found)
    }

    fn wait_for_line(&self, line: &str) -> String {
        self.wait_for(line, |message| message.lines().any(|l| l == line))
    }

    fn wait_for_status(&self, part: &str) -> String {
        self.wait_for(part, |message| message.lines().any(|l| l.starts_with("STATUS=") && l.contains(part)))
    }

    /// It is fed so many times more.
    fn wait_for_feeds(&self, more: usize) {
        let before = self.count("WATCHDOG=1");
        let fed = || (self.count("WATCHDOG=1") >= before + more).then_some(());
        wait_for("the watchdog is fed", SOON, fed);
    }
}

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
    let configs = systemd.first("STATUS=reading the configs").unwrap();
    assert!(loading < configs && configs < ready, "{:?}", systemd.heard());
    assert!(systemd.heard()[loading].contains("EXTEND_TIMEOUT_USEC="), "{:?}", systemd.heard());
    let line = systemd.wait_for_status("2 APIs: 1 down, 0 unknown; 0 alerts owed; ");
    assert!(line.contains(" probes/s; store ok\n"), "{line}");
    assert_eq!(systemd.count("WATCHDOG=1"), 0, "nobody asked for it");

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
    assert_eq!(last, "STOPPING=1\nSTATUS=stopping, within 25 s\nEXTEND_TIMEOUT_USEC=40000000\n");
    assert_eq!(systemd.heard().last(), Some(&last), "{:?}", systemd.heard());
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
    assert_eq!(systemd.count("WATCHDOG=1"), 0, "{:?}", systemd.heard());
    daemon.stop();
}
