//! When a row is probed: `schedule` with `timezone`, or `interval_seconds`, or the default of either kind.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::CronFault;
use api_health_core::{Schedule, Timestamp};
use serde_json::{Map, Value};

use super::defaults::{ApiDefaults, DefaultSchedule};
use super::fields::{Field, INTERVAL_SECONDS, SCHEDULE, TIMEZONE};
use super::schedules::ScheduleCache;
use super::values::{self, Fault, quote, wanted};

/// The longest cron expression.
pub const EXPRESSION_CHARS_MAX: usize = 200;
/// The longest name of a time zone.
pub const ZONE_CHARS_MAX: usize = 64;

/// Faults with the field that each belongs to.
pub type FieldFaults = Vec<(&'static Field, Fault)>;

/// What was written of the three fields, each read for itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// `schedule`.
    pub expression: Option<String>,
    /// `timezone`.
    pub zone: Option<String>,
    /// `interval_seconds`.
    pub interval: Option<Duration>,
}

impl Written {
    /// Reads the three fields and checks that they go together.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(fields: &Map<String, Value>, defaults: &ApiDefaults) -> Result<Self, FieldFaults> {
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
        if fields.contains_key(SCHEDULE.name) && fields.contains_key(INTERVAL_SECONDS.name) {
            let fault = Fault::new("interval_seconds", "stands beside schedule", "one of the two");
            faults.push((&INTERVAL_SECONDS, fault));
        } else if fields.contains_key(TIMEZONE.name) && !fields.contains_key(SCHEDULE.name) {
            let by_interval = matches!(defaults.when, DefaultSchedule::Every(_));
            if fields.contains_key(INTERVAL_SECONDS.name) {
                let fault =
                    Fault::new("timezone", "stands beside interval_seconds, which needs none", "it beside schedule");
                faults.push((&TIMEZONE, fault));
            } else if by_interval {
                let fault =
                    Fault::new("timezone", "stands without schedule, and the default is an interval", "a schedule too");
                faults.push((&TIMEZONE, fault));
            }
        }
        if faults.is_empty() { Ok(Self { expression, zone, interval }) } else { Err(faults) }
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
    ) -> Result<Arc<Schedule>, (&'static Field, Fault)> {
        let zone = self.zone.as_deref().unwrap_or(&defaults.timezone);
        let expression = match (&self.expression, self.interval, &defaults.when) {
            (Some(expression), _, _) => expression,
            (None, Some(interval), _) => return Ok(cache.every(interval)),
            (None, None, DefaultSchedule::Every(interval)) => return Ok(cache.every(*interval)),
            (None, None, DefaultSchedule::Cron(expression)) => expression,
        };
        cache.cron(expression, zone, now).map_err(|fault| match fault {
            CronFault::Zone => {
                let why = "is not the name of a time zone";
                (&TIMEZONE, Fault::new(quote(zone), why, "an IANA name, such as \"Europe/Berlin\" or \"UTC\""))
            }
            CronFault::Never => {
                let why = "never comes due";
                (&SCHEDULE, Fault::new(quote(expression), why, "a day that exists in some year"))
            }
            CronFault::Expression(why) => (&SCHEDULE, Fault::new(quote(expression), in_words(&why), wanted(&SCHEDULE))),
        })
    }
}

/// The cron parser's message, fitted behind what was written.
fn in_words(message: &str) -> String {
    if message.starts_with("has ") {
        return message.to_owned();
    }
    format!("is not a cron expression ({})", message.trim_end_matches('.'))
}
