//! The systemd unit under a real systemd: start, kill, hang, reload, stop.
