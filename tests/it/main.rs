//! End to end: the built binary, watched from outside.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod cli;
mod cli_apis;
mod cli_demo;
mod cli_probe;
mod cli_status;
mod configs;
mod documentation;
mod settings;
