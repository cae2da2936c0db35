//! End to end: the built binary, watched from outside.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod configs;
mod documentation;
mod settings;
