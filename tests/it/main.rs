//! End to end: the built binary, watched from outside.

#[path = "../support/mod.rs"]
mod support;

// What tests are made with.
mod alerts;
mod apis;
mod cloud;
mod daemon;

// What is promised.
mod bad_input;
mod bad_rows;
mod cadence;
mod channel_outage;
mod crashes;
mod guard;
mod logs;
mod once;
mod reloads;
mod secrets;
mod stopping;
mod store_outage;
mod up_and_down;
