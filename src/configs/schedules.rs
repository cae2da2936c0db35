//! One schedule for all rows that write the same one: ten thousand rows often do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::CronFault;
use api_health_core::{Schedule, Timestamp};

/// Schedules that were read already, with the faults of those that are none.
#[derive(Debug, Default)]
pub struct ScheduleCache {
    /// By expression and time zone. As many entries as there are rows at most.
    cron: HashMap<(String, String), Result<Arc<Schedule>, CronFault>>,
    every: HashMap<Duration, Arc<Schedule>>,
}

impl ScheduleCache {
    /// The schedule of a cron expression.
    ///
    /// # Errors
    /// As [`Schedule::cron`].
    pub fn cron(&mut self, expression: &str, zone: &str, now: Timestamp) -> Result<Arc<Schedule>, CronFault> {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let key = (expression, zone.to_owned());
        if let Some(known) = self.cron.get(&key) {
            return known.clone();
        }
        let read = Schedule::cron(&key.0, zone, now).map(Arc::new);
        self.cron.insert(key, read.clone());
        read
    }

    /// The schedule of an interval.
    pub fn every(&mut self, interval: Duration) -> Arc<Schedule> {
        Arc::clone(self.every.entry(interval).or_insert_with(|| Arc::new(Schedule::every(interval))))
    }
}
