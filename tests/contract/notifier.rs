//! The promises of a notifier, kept by every adapter.
