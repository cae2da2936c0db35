//! What systemd is told: that the program is ready, what it does just now, that it reads its configs again, that it ends.
//!
//! Without systemd (no `NOTIFY_SOCKET`) all of it does nothing. A datagram costs microseconds, and one that cannot be sent
//! is no reason to stop watching. The protocol is that of sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

use api_health_core::text;
use sd_notify::NotifyState;

/// How long a datagram may wait for room in systemd's queue: one that hangs must not hang the supervisor, which lives on the
/// thread that sends.
const SEND_MAX: Duration = Duration::from_secs(1);

/// The longest status line.
const STATUS_CHARS_MAX: usize = 500;

/// What one wait is extended by beyond what it is expected to take: a busy machine is late.
const EXTEND_SLACK: Duration = Duration::from_secs(15);

/// Whether anybody listens.
pub fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty())
}

/// The first configs are loaded and the probers run, or a reload has ended. Whether systemd has it.
pub fn ready() -> bool {
    notify(&[NotifyState::Ready])
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    notify(&[NotifyState::Status(&one_line(text))]);
}

/// What is waited for, before the program is ready or while it stops, and that the next word of it comes within `within`
/// (and a slack of ours): the time that systemd gives a start or a stop begins again.
pub fn waits(text: &str, within: Duration) {
    notify(&[NotifyState::Status(&one_line(text)), extend(within)]);
}

/// The next word of the start comes within `within` (and a slack of ours).
pub fn extend_start(within: Duration) {
    notify(&[extend(within)]);
}

/// The configs are read again. [`ready`] has to follow.
pub fn reloading() {
    // systemd wants to know when, so that it can tell this reload from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    };
}

/// The program ends, within this time at most.
pub fn stopping(within: Duration) {
    let text = format!("stopping, within {} s", within.as_secs());
    notify(&[NotifyState::Stopping, NotifyState::Status(&text), extend(within)]);
}

/// The process is as it should be, for [`watchdog`] from now on.
pub fn feed() {
    notify(&[NotifyState::Watchdog]);
}

/// Within what time systemd wants to be told again and again that all is well (`WATCHDOG_USEC`); `None` if it does not want
/// that of this process (`WATCHDOG_PID`).
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|within| !within.is_zero())
}

fn extend<'a>(within: Duration) -> NotifyState<'a> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(within.saturating_add(EXTEND_SLACK).as_micros()).unwrap_or(u32::MAX))
}

/// A line break would begin another message to systemd.
fn one_line(text: &str) -> String {
    text::line(text, STATUS_CHARS_MAX)
}

/// Whether it was sent, or nobody wants it.
fn notify(states: &[NotifyState<'_>]) -> bool {
    static SOCKET: OnceLock<Option<UnixDatagram>> = OnceLock::new();
    if !listens() {
        return true;
    }
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    // The library would open a socket for each message, and wait for room without end.
    let socket = SOCKET.get_or_init(|| {
        connect().inspect_err(|error| tracing::warn!(%error, "systemd (NOTIFY_SOCKET) cannot be told anything")).ok()
    });
    let Some(socket) = socket else { return false };
    match socket.send(message.as_bytes()) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "systemd cannot be told");
            false
        }
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let path = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(SEND_MAX))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_ends() {
        assert_eq!(one_line("the store\nREADY=1\r"), "the store READY=1");
        assert_eq!(one_line(&"ü".repeat(1_000)).chars().count(), STATUS_CHARS_MAX);
    }

    #[test]
    fn a_wait_is_longer_than_what_is_waited_for_and_does_not_wrap() {
        let usec = |within| extend(within).to_string();
        assert_eq!(usec(Duration::from_secs(30)), "EXTEND_TIMEOUT_USEC=45000000");
        assert_eq!(usec(Duration::from_secs(1_000_000)), format!("EXTEND_TIMEOUT_USEC={}", u32::MAX));
    }
}
