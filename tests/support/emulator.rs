//! A server of somebody else's that a test starts: it listens on a port of loopback, and ends with the test process, when its
//! standard input does.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take. On a machine with much else to do, Java needs some of it.
const START_MAX: Duration = Duration::from_secs(60);

/// A running one.
pub struct Emulator {
    /// Where: `http://127.0.0.1:…`.
    pub endpoint: String,
    pub port: u16,
    process: Child,
}

impl Emulator {
    /// Starts what `command` makes for a port, and waits until it listens there.
    #[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
    pub fn start(name: &str, command: impl FnOnce(u16) -> Command) -> Self {
        let port = super::ports::free();
        let mut command = command(port);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let started = Self { endpoint: format!("http://127.0.0.1:{port}"), port, process };
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{name} did not start within {} s", START_MAX.as_secs());
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
