//! The longest time between two ticks of a cron expression: found from its fields, over so many years that no season, leap day or
//! fifth Monday is overlooked.

use std::time::Duration;

use croner::{Cron, CronPattern, Weekday};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Years around 2100, which is no leap year though four divides it: here leap days lie eight years apart.
const YEARS: std::ops::Range<i32> = 2096..2104;
/// In these the rarest days come twice, such as a fifth Monday of a February.
const MANY_YEARS: std::ops::Range<i32> = 2060..2140;
/// Days that lie further apart than this may lie further apart still in another year.
const SPARSE_FROM_DAYS: u64 = 28;
/// Changes of the clock that are looked at.
const CLOCK_CHANGES: usize = 20;

/// By the fields alone; longer by the hour that a change of the clock may add, where `zone` has such changes.
pub(super) fn longest(cron: &Cron, zone: &TimeZone, now: Timestamp) -> Duration {
    let pattern = &cron.pattern;
    let [seconds, minutes, hours] =
        [&pattern.seconds, &pattern.minutes, &pattern.hours].map(|field| Ticks::of(&field.values()));
    let within_day = seconds.repeated(minutes, 60).repeated(hours, HOUR);
    let gap = within_day.gap.max(days_apart(pattern) * DAY - (within_day.last - within_day.first));
    let may_shift = gap > HOUR && zone.following(jiff_of(now)).next().is_some();
    Duration::from_secs(if may_shift { gap + HOUR } else { gap })
}

/// The moments at which the clock changes soon: ticks that it skips leave gaps that the fields do not show.
pub(super) fn clock_changes(zone: &TimeZone, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let changes = zone.following(jiff_of(now)).take(CLOCK_CHANGES);
    changes.map(|change| Timestamp::from_millis(change.timestamp().as_millisecond()))
}

fn jiff_of(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default()
}

/// Ticks inside a minute, an hour or a day, in seconds.
#[derive(Clone, Copy)]
struct Ticks {
    first: u64,
    last: u64,
    /// The longest between two neighbours.
    gap: u64,
}

impl Ticks {
    /// The values of one field, which are in order.
    fn of(values: &[u16]) -> Self {
        let first = values.first().map_or(0, |value| u64::from(*value));
        let last = values.last().map_or(0, |value| u64::from(*value));
        let gaps = values.windows(2).map(|pair| u64::from(pair[1] - pair[0]));
        Self { first, last, gap: gaps.max().unwrap_or_default() }
    }

    /// These in each of `outer`, which counts in units of `unit` seconds.
    fn repeated(self, outer: Self, unit: u64) -> Self {
        let across = match outer.gap {
            0 => 0, // there is one alone
            gap => gap * unit - (self.last - self.first),
        };
        Self { first: outer.first * unit + self.first, last: outer.last * unit + self.last, gap: self.gap.max(across) }
    }
}

/// The most days from one day with ticks to the next one.
fn days_apart(pattern: &CronPattern) -> u64 {
    if pattern.is_dom_wildcard() && pattern.is_dow_wildcard() && pattern.months.values().len() == 12 {
        return 1;
    }
    match most_days_apart(pattern, YEARS) {
        few @ 1..=SPARSE_FROM_DAYS => few,
        _ => most_days_apart(pattern, MANY_YEARS),
    }
}

fn most_days_apart(pattern: &CronPattern, years: std::ops::Range<i32>) -> u64 {
    let begin = jiff::civil::date(i16::try_from(years.start).unwrap_or_default(), 1, 1);
    let (mut weekday, mut day_number, mut last, mut most) = (begin.weekday().to_sunday_zero_offset(), 0, None, 0);
    for (year, month) in years.flat_map(|year| (1..=12).map(move |month| (year, month))) {
        let in_month = pattern.month_match(month).unwrap_or_default();
        let days = u32::from(i16::try_from(year).ok().and_then(|y| days_of(y, month)).unwrap_or_default());
        for day in 1..=days {
            if in_month && pattern.day_match(year, month, day, weekday_of(weekday)).unwrap_or_default() {
                most = last.map_or(most, |last| most.max(day_number - last));
                last = Some(day_number);
            }
            day_number += 1;
            weekday = (weekday + 1) % 7;
        }
    }
    // Less than two in all these years: the years themselves.
    if most == 0 { day_number } else { most }
}

fn days_of(year: i16, month: u32) -> Option<u8> {
    let date = jiff::civil::Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
    u8::try_from(date.days_in_month()).ok()
}

fn weekday_of(from_sunday: i8) -> Weekday {
    match from_sunday {
        1 => Weekday::Monday,
        2 => Weekday::Tuesday,
        3 => Weekday::Wednesday,
        4 => Weekday::Thursday,
        5 => Weekday::Friday,
        6 => Weekday::Saturday,
        _ => Weekday::Sunday,
    }
}
