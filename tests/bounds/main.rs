//! Bounds: each thing that outside input can grow, grown until it reaches its bound. The list is docs/bounds.md, and
//! `table.rs` holds it to the tree.

#![allow(unreachable_pub)] // a test binary has no outside

mod actors;
mod answers;
mod channels;
mod configs;
mod control;
mod history;
mod lengths;
mod records;
#[path = "../probe/server.rs"]
#[allow(dead_code, reason = "the tests of the probe use the rest")]
mod server;
mod store;
mod table;

use std::sync::Arc;

use api_health::configs::defaults::ApiDefaults;
use api_health::configs::raw::RawRow;
use api_health::configs::secrets::SecretSource;
use api_health::configs::validate::RowRules;
use api_health_actors::ports::Clock;
use api_health_core::Timestamp;
use serde_json::{Map, Value};

/// 2026-01-01.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Every file holds 60,000 bytes.
struct LongFiles;

impl SecretSource for LongFiles {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} is not there"))
    }

    fn file(&self, _: &std::path::Path) -> Result<String, String> {
        Ok("x".repeat(60_000))
    }
}

/// The rules of the tests.
pub fn rules() -> RowRules {
    RowRules {
        defaults: ApiDefaults::default(),
        secrets: Arc::new(LongFiles),
        clock: Arc::new(StillClock),
        allowed: Default::default(),
    }
}

/// A row of these fields.
pub fn row(fields: Map<String, Value>) -> RawRow {
    RawRow { location: "t".into(), fields }
}

/// The fields of a JSON object.
pub fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// What one of these tests may see the process grow by: others run beside it and take some hundred MiB at times, and what is
/// meant here took gigabytes.
pub(crate) const GROWN_MAX_MIB: u64 = 500;

/// The most memory that this process has had, in MiB.
pub fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
