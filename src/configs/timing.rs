//! When a row is probed: `schedule` with `timezone`, or `interval_seconds`, or the default of either kind.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::CronFault;
use api_health_core::{Schedule, Timestamp};
use serde_json::{Map, Value};

use super::defaults::{ApiDefaults, DefaultSchedule};
use super::fields::{Field, INTERVAL_SECONDS, SCHEDULE, TIMEZONE};
use super::schedules::ScheduleCache;
use super::values::{self, ValueFault, quote, wanted};

/// The longest cron expression.
pub const EXPRESSION_CHARS_MAX: usize = 200;
/// The longest name of a time zone.
pub const ZONE_CHARS_MAX: usize = 64;

/// Faults with the field that each belongs to.
pub type FieldFaults = Vec<(&'static Field, ValueFault)>;

/// What was written of the three fields, each read for itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RawTiming {
    /// `schedule`.
    pub expression: Option<String>,
    /// `timezone`.
    pub zone: Option<String>,
    /// `interval_seconds`.
    pub interval: Option<Duration>,
}

impl RawTiming {
    /// Reads the three fields, each for itself, and finds what is wrong with each.
    pub fn read(fields: &Map<String, Value>, cache: &mut ScheduleCache, now: Timestamp) -> (Self, FieldFaults) {
        let mut faults = Vec::new();
        let mut text = |field: &'static Field, chars_max| {
            let found = values::text(fields.get(field.name)?, field, chars_max);
            found.map(str::to_owned).map_err(|fault| faults.push((field, fault))).ok()
        };
        let expression = text(&SCHEDULE, EXPRESSION_CHARS_MAX);
        let zone = text(&TIMEZONE, ZONE_CHARS_MAX);
        let interval = fields.get(INTERVAL_SECONDS.name).and_then(|value| {
            let found = values::whole_number(value, &INTERVAL_SECONDS);
            found.map(Duration::from_secs).map_err(|fault| faults.push((&INTERVAL_SECONDS, fault))).ok()
        });
        if let Some(expression) = &expression {
            faults.extend(cache.cron(expression, UTC, now).err().map(|fault| in_words(fault, expression, UTC)));
        }
        if let Some(zone) = &zone {
            let expression = Schedule::DEFAULT_CRON;
            faults.extend(cache.cron(expression, zone, now).err().map(|fault| in_words(fault, expression, zone)));
        }
        (Self { expression, zone, interval }, faults)
    }

    /// The schedule that is meant.
    ///
    /// # Errors
    /// An expression or a time zone that is none.
    pub fn schedule(
        &self,
        defaults: &ApiDefaults,
        cache: &mut ScheduleCache,
        now: Timestamp,
    ) -> Result<Arc<Schedule>, (&'static Field, ValueFault)> {
        let zone = self.zone.as_deref().unwrap_or(&defaults.timezone);
        let expression = match (&self.expression, self.interval, &defaults.when) {
            (Some(expression), _, _) => expression,
            (None, Some(interval), _) => return Ok(cache.every(interval)),
            (None, None, DefaultSchedule::Every(interval)) => return Ok(cache.every(*interval)),
            (None, None, DefaultSchedule::Cron(expression)) => expression,
        };
        cache.cron(expression, zone, now).map_err(|fault| in_words(fault, expression, zone))
    }
}

/// What is wrong with the three fields beside each other, in a row that may lean on the defaults.
pub fn check_conflicts(fields: &Map<String, Value>, defaults: &ApiDefaults) -> Option<(&'static Field, ValueFault)> {
    let has = |field: &Field| fields.contains_key(field.name);
    if has(&SCHEDULE) && has(&INTERVAL_SECONDS) {
        return Some((&INTERVAL_SECONDS, schedule_and_interval()));
    }
    let why = match &defaults.when {
        _ if !has(&TIMEZONE) || has(&SCHEDULE) => return None,
        _ if has(&INTERVAL_SECONDS) => "stands beside interval_seconds, which needs none",
        DefaultSchedule::Every(_) => "stands without schedule, and the default is an interval, which needs none",
        DefaultSchedule::Cron(_) => return None,
    };
    Some((&TIMEZONE, ValueFault::new("timezone", why, "a schedule beside it, or remove it")))
}

/// Two ways of saying when.
pub fn schedule_and_interval() -> ValueFault {
    ValueFault::new("interval_seconds", "stands beside schedule", "one of the two")
}

const UTC: &str = "UTC";

/// The fault of a schedule, with the field that it is in.
fn in_words(fault: CronFault, expression: &str, zone: &str) -> (&'static Field, ValueFault) {
    match fault {
        CronFault::Zone => {
            let remedy = "an IANA name, such as \"Europe/Berlin\" or \"UTC\"";
            (&TIMEZONE, ValueFault::new(quote(zone), "is not the name of a time zone", remedy))
        }
        CronFault::Never => {
            (&SCHEDULE, ValueFault::new(quote(expression), "never comes due", "a day that exists in some year"))
        }
        CronFault::Step { why, remedy } => (&SCHEDULE, ValueFault::new(quote(expression), why, remedy)),
        CronFault::Expression(why) => (&SCHEDULE, ValueFault::new(quote(expression), fitted(&why), wanted(&SCHEDULE))),
    }
}

/// The cron parser's message, fitted behind what was written.
fn fitted(message: &str) -> String {
    if message.starts_with("has ") {
        return message.to_owned();
    }
    let bare = message.strip_prefix("Component error: ").or_else(|| message.strip_prefix("Invalid pattern: "));
    format!("is not a cron expression (the parser says: {})", bare.unwrap_or(message).trim_end_matches('.'))
}
