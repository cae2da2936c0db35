//! One list of promises for each port, and every adapter held to it on a real server or file.

#[path = "../support/mod.rs"]
mod support;

mod config_source;
mod history_store;
mod leases;
mod notifier;
mod state_store;
