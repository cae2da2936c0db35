//! systemd's end of the socket that a daemon notifies.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::daemon::{Home, SOON, wait_for};

/// Every datagram, in order, and when it came.
pub(crate) struct Systemd(Arc<Mutex<Vec<(Instant, String)>>>);

impl Systemd {
    /// Listens in the folder of a home, which starts its daemons with it from now on.
    #[allow(clippy::disallowed_methods, reason = "the test's own clock")]
    pub(crate) fn of(home: &mut Home) -> Self {
        let path = home.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = Arc::default();
        let into: Arc<Mutex<Vec<(Instant, String)>>> = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                into.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), text));
            }
        });
        home.env("NOTIFY_SOCKET", path);
        Self(heard)
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.with_times().into_iter().map(|(_, message)| message).collect()
    }

    fn with_times(&self) -> Vec<(Instant, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When it was fed.
    pub(crate) fn fed(&self) -> Vec<Instant> {
        self.with_times().into_iter().filter(|(_, message)| message == "WATCHDOG=1\n").map(|(at, _)| at).collect()
    }

    /// How often a message with this line came.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.heard().iter().filter(|message| message.lines().any(|l| l == line)).count()
    }

    /// Where the first message with a line that begins like this is.
    pub(crate) fn first(&self, line: &str) -> Option<usize> {
        self.heard().iter().position(|message| message.lines().any(|l| l.starts_with(line)))
    }

    /// Waits for a message; the last one of that kind.
    pub(crate) fn wait_for(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        wait_for(&format!("systemd hears of {what}"), SOON, || self.heard().into_iter().rev().find(|m| is(m)))
    }

    pub(crate) fn wait_for_line(&self, line: &str) -> String {
        self.wait_for(line, |message| message.lines().any(|l| l == line))
    }

    pub(crate) fn wait_for_status(&self, part: &str) -> String {
        self.wait_for(part, |message| message.lines().any(|l| l.starts_with("STATUS=") && l.contains(part)))
    }

    /// It is fed so many times more.
    pub(crate) fn wait_for_feeds(&self, more: usize) {
        let before = self.fed().len();
        wait_for("the watchdog is fed", SOON, || (self.fed().len() >= before + more).then_some(()));
    }
}
