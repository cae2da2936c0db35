//! A real systemd: PID 1 of its own namespaces, on a throw-away copy of this machine's root.
