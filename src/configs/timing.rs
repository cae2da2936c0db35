//! What of the three fields that say when an API is probed cannot stand together.

use serde_json::{Map, Value};

use super::defaults::{ApiDefaults, DefaultSchedule};
use super::fields::{INTERVAL_SECONDS, SCHEDULE, TIMEZONE};
use super::values::ValueFault;

/// A conflict in a row that may lean on the defaults: the field, and its fault.
pub fn check_conflicts(fields: &Map<String, Value>, defaults: &ApiDefaults) -> Option<(&'static str, ValueFault)> {
    let has = |name| fields.contains_key(name);
    let (has_schedule, has_interval) = (has(SCHEDULE.name), has(INTERVAL_SECONDS.name));
    if has_schedule && has_interval {
        return Some((INTERVAL_SECONDS.name, schedule_and_interval()));
    }
    let why = match &defaults.when {
        _ if !has(TIMEZONE.name) || has_schedule => return None,
        _ if has_interval => "stands beside interval_seconds, which needs none",
        DefaultSchedule::Every(_) => "stands without schedule, and the default is an interval, which needs none",
        DefaultSchedule::Cron(_) => return None,
    };
    Some((TIMEZONE.name, ValueFault::new("timezone", why, "a schedule beside it, or remove it")))
}

/// Two ways of saying when.
pub fn schedule_and_interval() -> ValueFault {
    ValueFault::new("interval_seconds", "stands beside schedule", "one of the two")
}
