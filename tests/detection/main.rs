//! Detection, end to end: real faults on real sockets, at times that the harness knows, and the built binary watching.
//! Whoever should be told is told once, with the right cause, and nobody is told of what did not happen.
//!
//! Each world has networks of its own, so this needs namespaces (root, or a kernel that lets users make them) and `ip`.
//! It prints a table. `API_HEALTH_DETECTION_ONLY=house,one` plays the worlds of these names alone. The log of a daemon that told
//! something wrongly is in `target/tmp`.

#![allow(clippy::disallowed_methods, reason = "the test's own clock, and its own threads that wait")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../it/daemon.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod daemon;
#[path = "../support/name_server.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod dns;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/http.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod http;
#[path = "../support/own_network.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod own_network;
#[path = "../support/ports.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod ports;

// What tests are made with.
mod certificates;
mod far;
mod name_server;
mod play;
mod scenario;
mod scorer;
mod scorer_tests;
mod sink;
mod space;
mod table;
mod world;

// What happens.
mod channel;
mod holds;
mod house;
mod network;
mod resolver;
mod trust;

use std::io::Write as _;

use world::{Row, World};

const ONLY: &str = "API_HEALTH_DETECTION_ONLY";

/// Made on the thread that it is played on.
type Make = fn() -> World;

const WORLDS: &[(&str, Make)] = &[
    ("house", house::world),
    ("interface", network::interface_down),
    ("one", network::one),
    ("five", network::five),
    ("thousand", network::thousand),
    ("alone", network::five_alone),
    ("explained", network::explained),
    ("beside", network::beside),
    ("few", network::few),
    ("router", network::behind_router),
    ("behind", network::one_behind_router),
    ("both", network::both),
    ("killed", network::killed),
    ("theirs", network::theirs),
    ("ipv6", network::ipv6_alone),
    ("flapping", network::flapping),
    ("silent", resolver::silent),
    ("gone", resolver::gone),
    ("failing", resolver::failing),
    ("empty", resolver::empty),
    ("missing", resolver::missing),
    ("two", resolver::two),
    ("ipv4", resolver::ipv4_only),
    ("starved", resolver::starved),
    ("renewed", trust::renewed),
    ("rootless", trust::rootless),
    ("clock", trust::clock),
    ("channel", channel::dead),
    ("frozen", channel::frozen),
    ("holds", holds::world),
];

#[test]
fn everything_is_told_once_rightly_and_nothing_falsely() {
    let printed = own_network::run("everything_is_told_once_rightly_and_nothing_falsely", "", play);
    // Not println!, which a test harness keeps to itself when the test passes.
    let _ = std::io::stdout().write_all(printed.as_bytes());
}

/// Plays all worlds side by side, and prints the table.
fn play() {
    let only = std::env::var(ONLY).unwrap_or_default();
    let playing: Vec<_> = WORLDS
        .iter()
        .filter(|(name, _)| only.is_empty() || only.split(',').any(|chosen| chosen == *name))
        .map(|(name, make)| (name, std::thread::spawn(|| make().run())))
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut broken = Vec::new();
    for (name, world) in playing {
        match world.join() {
            Ok(told) => rows.extend(told),
            Err(_) => broken.push(*name),
        }
    }
    let _ = std::io::stdout().write_all(table::text(&rows).as_bytes());
    assert!(!rows.is_empty() || !broken.is_empty(), "no world is called {only}");
    assert!(broken.is_empty(), "worlds that broke: {broken:?}");
    assert!(rows.iter().all(|row| row.marks.is_empty()), "see the table for what was told wrongly");
}
