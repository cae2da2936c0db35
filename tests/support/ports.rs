//! Ports that a test may let go of and take again.
//!
//! They lie below the range that the system gives to connections (32768 and up on Linux): in that range, one of the
//! hundreds of connections that these tests open in a second would take a port as soon as its listener is gone.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A listener on a port of loopback that no other caller in this process gets.
pub fn listen() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Test processes that run at the same time begin in places far from each other.
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (std::process::id().wrapping_mul(7_919).wrapping_add(step)) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())) {
            return listener;
        }
    }
    panic!("no port of {COUNT} is free");
}

/// Listens again on a port that was let go of. Where another thread starts a process just now, its fork holds the old
/// listener for a moment longer.
#[allow(clippy::disallowed_methods, reason = "servers of tests have threads of their own")]
pub fn listen_again(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A port that was free a moment ago, and that no other caller in this process gets.
pub fn free() -> u16 {
    listen().local_addr().unwrap().port()
}
