//! What systemd is told: that the program is ready, what it does just now, that it reads its configs again, that it ends.
//!
//! Without systemd (no `NOTIFY_SOCKET`) all of it does nothing. A datagram costs microseconds, and one that cannot be sent
//! is no reason to stop watching.

use sd_notify::NotifyState;

/// One line for `systemctl status`.
pub fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
