//! The ticks of a cron expression in a time zone: a search in the calendar, and what it found last.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};

use super::fault::CronFault;
use super::{gaps, steps};
use crate::time::Timestamp;

/// When 2026 began: the years of which [`CronTicks::longest_gap`] tells begin here.
const BEGAN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The ticks of one expression in one zone.
#[derive(Clone)]
pub(super) struct CronTicks {
    cron: Box<Cron>,
    zone: TimeZone,
    text: String,
    memo: Memo,
    longest_gap: OnceLock<Duration>,
}

/// The ticks around a moment.
#[derive(Clone, Copy)]
pub(super) struct Ticks {
    /// The last one at or before it.
    pub(super) open: Option<Timestamp>,
    /// The first one after it.
    pub(super) next: Option<Timestamp>,
    /// The one after that.
    pub(super) after_next: Option<Timestamp>,
}

impl Ticks {
    fn are_around(&self, at: Timestamp) -> bool {
        self.open.is_some_and(|open| open <= at) && self.next.is_some_and(|next| at < next)
    }
}

/// The ticks that were asked for last. Thousands of APIs share one schedule and ask for the same ticks, and a search in
/// the calendar costs microseconds.
#[derive(Default)]
struct Memo(Mutex<Option<Ticks>>);

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl CronTicks {
    /// Reads an expression; refuses one that never comes due after `now`.
    pub(super) fn parse(expression: &str, zone: &str, now: Timestamp) -> Result<Self, CronFault> {
        let fields = expression.split_whitespace().count();
        if !expression.trim_start().starts_with('@') && fields != 5 && fields != 6 {
            return Err(CronFault::Expression(format!("has {fields} fields, not 5 or 6")));
        }
        // The library takes it for an empty set, and then searches thousands of years for a tick.
        if expression.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
            return Err(CronFault::Expression("has a comma with nothing on one side of it".into()));
        }
        let time_zone = jiff::tz::db().get(zone).map_err(|_| CronFault::Zone)?;
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|e| CronFault::Expression(e.to_string()))?;
        steps::check(expression)?;
        let ticks = Self {
            cron: Box::new(cron),
            zone: time_zone,
            text: format!("{expression} {zone}"),
            memo: Memo::default(),
            longest_gap: OnceLock::new(),
        };
        match ticks.after(now) {
            Some(_) => Ok(ticks),
            None => Err(CronFault::Never),
        }
    }

    /// The ticks around `at`.
    pub(super) fn around(&self, at: Timestamp) -> Ticks {
        let mut remembered = self.memo.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticks) = *remembered
            && ticks.are_around(at)
        {
            return ticks;
        }
        let next = self.after(at);
        let after_next = next.and_then(|next| self.after(next));
        let ticks = Ticks { open: self.at_or_before(at), next, after_next };
        *remembered = Some(ticks);
        ticks
    }

    /// The longest time between two ticks, whatever the season.
    pub(super) fn longest_gap(&self) -> Duration {
        *self.longest_gap.get_or_init(|| {
            let around = |at: Timestamp| {
                let before = self.at_or_before(Timestamp::from_millis(at.as_millis() - 1))?;
                Some(self.after(before)?.since(before))
            };
            let changes = gaps::clock_changes(&self.zone, BEGAN).filter_map(around);
            changes.fold(gaps::longest(&self.cron, &self.zone, BEGAN), Duration::max)
        })
    }

    /// What should be said of the expression though it is good.
    pub(super) fn remark(&self) -> Option<String> {
        let expression = self.text.rsplit_once(' ')?.0;
        Some(format!("{expression} {}", steps::remark(expression)?))
    }

    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&zoned(at, &self.zone)?, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    fn at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_previous_occurrence(&zoned(at, &self.zone)?, true).ok()?;
        Some(Timestamp::from_millis(found.timestamp().as_millisecond()))
    }
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let instant = jiff::Timestamp::from_duration(SignedDuration::from_millis(at.as_millis())).ok()?;
    Some(instant.to_zoned(zone.clone()))
}

/// `*/2 * * * * UTC`.
impl fmt::Display for CronTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for CronTicks {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_2026: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// The first `n` ticks after `from`.
    fn ticks(expression: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
        let cron = CronTicks::parse(expression, zone, YEAR_2026).unwrap();
        let mut at = Timestamp::parse(from).unwrap();
        (0..n)
            .map(|_| {
                at = cron.around(at).next.unwrap();
                at.to_string()
            })
            .collect()
    }

    #[test]
    fn a_skipped_hour_runs_once_after_it_and_a_repeated_hour_runs_once() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"],
            "02:30 does not exist on that day: it runs at 03:00 summer time"
        );
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]
        );
    }

    #[test]
    fn a_short_cadence_goes_on_through_both_clock_changes_in_order() {
        for day in ["2026-03-29", "2026-10-25"] {
            let from = format!("{day}T00:00:00Z");
            let seen = ticks("*/20 * * * *", "Europe/Berlin", &from, 9);
            let mut sorted = seen.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(seen, sorted, "{day}: in order, none twice");
        }
    }

    #[test]
    fn leap_days_and_impossible_dates() {
        assert_eq!(ticks("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00.000Z"]);
        assert_eq!(CronTicks::parse("0 0 31 2 *", "UTC", YEAR_2026).err(), Some(CronFault::Never));
    }

    #[test]
    fn six_fields_begin_with_seconds_and_sunday_is_0_and_7() {
        assert_eq!(ticks("*/10 * * * * *", "UTC", "2026-01-01T00:00:01Z", 1), ["2026-01-01T00:00:10.000Z"]);
        for sunday in ["0 12 * * 0", "0 12 * * 7"] {
            assert_eq!(ticks(sunday, "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-04T12:00:00.000Z"]);
        }
    }

    #[test]
    fn no_gap_of_five_years_is_longer_than_the_longest_one() {
        let end = Timestamp::parse("2031-01-01T00:00:00Z").unwrap();
        for (expression, zone, exact_days) in [
            ("0 3 * 6-8 *", "UTC", Some(275)),
            ("0 3 25 12 *", "UTC", Some(366)),
            ("0 3 L * *", "UTC", Some(31)),
            ("0 3 * * 1#5", "UTC", None),
            ("0 0 * 2 MON#5", "UTC", None),
            ("0 0 29 2 *", "UTC", Some(2_921)),
            ("0 3 15W 1,7 *", "UTC", None),
            ("0 0 31 * *", "UTC", Some(61)),
            ("0 0 1-7 * +MON", "UTC", Some(35)),
            ("30 2 * * *", "Europe/Berlin", None),
            ("*/20 2 * * *", "Europe/Berlin", None),
            ("*/20 2 * * SUN", "Europe/Berlin", None),
            ("0 9-17 * * *", "America/New_York", None),
            ("30 0-22 * * *", "Australia/Lord_Howe", None),
            ("15,45 1-3 * * SAT,SUN", "Europe/Berlin", None),
        ] {
            let cron = CronTicks::parse(expression, zone, YEAR_2026).unwrap();
            let longest = cron.longest_gap();
            let mut at = cron.after(YEAR_2026).unwrap();
            while let Some(next) = cron.after(at).filter(|next| *next < end) {
                assert!(next.since(at) <= longest, "{expression} {zone}: {at} to {next}, not {longest:?}");
                at = next;
            }
            if let Some(days) = exact_days {
                assert_eq!(longest.as_secs().div_ceil(86_400), days, "{expression}");
            }
        }
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(CronTicks::parse("* * * * *", "Mars/Olympus", YEAR_2026).err(), Some(CronFault::Zone));
        for (expression, fault) in [("* * *", "3 fields"), ("* * * * * * *", "7 fields"), ("", "0 fields")] {
            match CronTicks::parse(expression, "UTC", YEAR_2026) {
                Err(CronFault::Expression(why)) => assert!(why.contains(fault), "{why}"),
                other => panic!("{expression:?}: {:?}", other.err()),
            }
        }
        assert!(matches!(CronTicks::parse("99 * * * *", "UTC", YEAR_2026), Err(CronFault::Expression(_))));
    }
}
