//! The port `Notifier`: SNS, webhook, terminal.
