//! Fuzzing: everything that reads outside input, given what nobody meant it to be given.
//!
//! Whatever comes in, nothing panics, it ends in bounded time, and what comes out is a good value or a clear line that holds
//! no secret. `cargo test --test fuzz` is short; a longer run, of a hundred times as many cases, is
//! `PROPTEST_CASES=25600 cargo test --release --test fuzz`.
//! What was found once is pinned in `pinned.rs`.

#![allow(unreachable_pub)] // a test binary has no outside

mod answers;
mod assertions;
mod bytes;
mod command_line;
mod control;
mod cron;
mod dynamodb;
mod files;
mod history;
mod history_items;
mod leases;
mod observations;
mod pinned;
mod records;
mod rows;
#[path = "../probe/server.rs"]
#[allow(dead_code, reason = "the tests of the probe use the rest")]
mod server;
mod settings;
mod templates;
mod texts;
mod tls;
mod web;

use std::sync::Arc;
use std::time::{Duration, Instant};

use api_health::configs::defaults::ApiDefaults;
use api_health::configs::secrets::SecretSource;
use api_health::configs::validate::RowRules;
use api_health_actors::ports::Clock;
use api_health_core::Timestamp;
use proptest::prelude::ProptestConfig;

/// What no text that comes out may hold.
pub const SECRET: &str = "hunter2";

/// 2026-01-01.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Bounded time, with room for a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// `cases` of them, or so many times more as `PROPTEST_CASES` is more than its usual 256: an exchange over a socket takes a
/// thousand times as long as a text. Nothing is written into the tree.
pub fn config(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse::<u32>().ok()).unwrap_or(256);
    let cases = (u64::from(cases) * u64::from(wanted)).div_ceil(256);
    let cases = u32::try_from(cases).unwrap_or(u32::MAX);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Does `what`, and sees that it ended soon.
#[allow(clippy::disallowed_methods)]
pub fn soon<T>(what: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = what();
    assert!(began.elapsed() < SOON, "took {:?}", began.elapsed());
    done
}

/// A line for people: not empty, one line, nothing that moves a cursor, not endless, and no secret.
pub fn is_clear(line: &str, chars_max: usize) -> Result<(), String> {
    let fault = if line.trim().is_empty() {
        "says nothing"
    } else if line.chars().any(char::is_control) {
        "has a control character"
    } else if line.chars().count() > chars_max {
        "is endless"
    } else if line.contains(SECRET) {
        "tells a secret"
    } else {
        return Ok(());
    };
    Err(format!("{fault}: {line:?}"))
}

/// It is always the same moment.
pub struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// `TOKEN` is the secret; nothing else is set, and no file is read.
pub struct Known;

impl SecretSource for Known {
    fn env(&self, name: &str) -> Result<String, String> {
        (name == "TOKEN").then(|| SECRET.to_owned()).ok_or_else(|| "is not there".into())
    }

    fn file(&self, _: &std::path::Path) -> Result<String, String> {
        Err("is not there".into())
    }
}

/// The rules of the tests.
pub fn rules() -> RowRules {
    RowRules {
        defaults: ApiDefaults::default(),
        secrets: Arc::new(Known),
        clock: Arc::new(StillClock),
        allowed: Default::default(),
    }
}
