//! End to end: the built binary, watched from outside.

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod apis;
mod bad_input;
mod daemon;
mod up_and_down;
