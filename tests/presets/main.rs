//! Every preset against a server that speaks as its service does: what counts as taken, as busy, as refused, and what a repeat does.

#![allow(unreachable_pub)] // a test binary has no outside

#[path = "../it/apis.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod apis;
#[path = "../it/daemon.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod daemon;
mod direct;
mod sink;
#[path = "../support/mod.rs"]
mod support;
mod through_kills;
mod vendors;
