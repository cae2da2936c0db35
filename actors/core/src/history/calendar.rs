//! Days and months in UTC, by which history is kept.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

/// Years that a calendar here reaches from, and to: what four digits can name.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// A day in UTC, counted from 1970-01-01. Written as `2026-11-26`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(i32);

/// A month in UTC, counted from January of the year 0. Written as `2026-11`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMonth(i32);

impl UtcDay {
    /// The day that `at` is on; the first or last one that four digits of a year can name, where it lies beyond.
    pub fn of(at: Timestamp) -> Self {
        Self::bounded(at.as_millis().div_euclid(DAY_MILLIS))
    }

    fn bounded(days: i64) -> Self {
        Self(i32::try_from(days.clamp(*DAYS.start(), *DAYS.end())).unwrap_or_default())
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    pub fn starts_at(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0) * DAY_MILLIS)
    }

    /// When the next one starts.
    pub fn ends_at(self) -> Timestamp {
        self.starts_at().plus(Duration::from_millis(DAY_MILLIS.unsigned_abs()))
    }

    /// So many days later, or earlier.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self::bounded(i64::from(self.0) + i64::from(days))
    }

    pub fn month(self) -> UtcMonth {
        let date = self.date();
        UtcMonth(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    /// 1 to 31.
    pub fn day_of_month(self) -> u8 {
        u8::try_from(self.date().day()).unwrap_or(1)
    }

    /// Reads `2026-11-26`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 10 {
            return None;
        }
        text.parse().ok().map(Self::of_date)
    }

    fn date(self) -> jiff::civil::Date {
        jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(self.0))
    }

    fn of_date(date: jiff::civil::Date) -> Self {
        Self::bounded(i64::from((date - jiff::civil::date(1970, 1, 1)).get_days()))
    }
}

impl UtcMonth {
    /// The month that `at` is in.
    pub fn of(at: Timestamp) -> Self {
        UtcDay::of(at).month()
    }

    pub fn first_day(self) -> UtcDay {
        let (year, month) = self.year_and_month();
        UtcDay::of_date(jiff::civil::date(year, month, 1))
    }

    pub fn last_day(self) -> UtcDay {
        UtcDay::of_date(self.first_day().date().last_of_month())
    }

    pub fn days(self) -> impl Iterator<Item = UtcDay> {
        (self.first_day().number()..=self.last_day().number()).map(UtcDay)
    }

    /// So many months later, or earlier, between the years 0 and 9999.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        Self(self.0.saturating_add(months).clamp(12, 9_999 * 12 + 11))
    }

    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        UtcDay::parse(&format!("{text}-01")).map(UtcDay::month)
    }

    fn year_and_month(self) -> (i16, i8) {
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(1970);
        (year, i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1))
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl fmt::Display for UtcMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.year_and_month();
        write!(f, "{year:04}-{month:02}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_and_months_are_those_of_the_calendar() {
        let at = Timestamp::parse("2028-02-29T23:59:59.999Z").unwrap();
        let day = UtcDay::of(at);
        assert_eq!(
            (day.to_string(), day.month().to_string(), day.day_of_month()),
            ("2028-02-29".into(), "2028-02".into(), 29)
        );
        assert_eq!(day.ends_at().to_string(), "2028-03-01T00:00:00.000Z");
        assert_eq!(day.month().last_day(), day);
        assert_eq!(day.month().days().count(), 29);
        assert_eq!(day.month().plus_months(-2).to_string(), "2027-12");
        for bad in ["", "2026-13", "2026-1", "26-11", "2026-11-", "2026-11-26x"] {
            assert_eq!(UtcMonth::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_ends_of_time_are_days_too() {
        for millis in [i64::MIN, i64::MAX] {
            let day = UtcDay::of(Timestamp::from_millis(millis));
            assert_eq!(UtcDay::parse(&day.to_string()), Some(day));
            assert_eq!(day.month().days().filter(|of_month| *of_month == day).count(), 1, "{day}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_sorts_as_text(a in 0_i64..200_000_000_000_000, b in 0_i64..200_000_000_000_000) {
            let (a, b) = (UtcDay::of(Timestamp::from_millis(a)), UtcDay::of(Timestamp::from_millis(b)));
            prop_assert_eq!(UtcDay::parse(&a.to_string()), Some(a));
            prop_assert_eq!(UtcMonth::parse(&a.month().to_string()), Some(a.month()));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert!(a.month().first_day() <= a && a <= a.month().last_day());
        }
    }
}
