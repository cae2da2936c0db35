//! One month of one API: each of its days in short, kept for ever.

use std::ops::Range;

use super::bytes::{FormError, Reader, put};
use super::calendar::{UtcDay, UtcMonth};
use super::day::Day;
use super::hour::{Counts, decode, encode};
use super::latency::Latency;
use super::uptime::Times;
use crate::time::Timestamp;

/// The form of a month that this program writes.
const FORM: u8 = 1;

/// Counts and latencies of a day in short are at most so many bytes, so that a month stays near 3 KB.
const FIGURES_BYTES_MAX: usize = 80;

const DAY_MS: u64 = 86_400_000;

/// A day in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub times: Times,
    pub counts: Counts,
    pub latency: Latency,
}

/// The days of a month that there is something of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    pub month: UtcMonth,
    pub days: Vec<(UtcDay, Summary)>,
}

impl Summary {
    pub fn of(day: &Day, down: &[Range<Timestamp>]) -> Self {
        let (counts, latency) = day.totals();
        Self { times: day.times(&(day.day.starts_at()..day.day.ends_at()), down), counts, latency }
    }

    /// Which times follow (the lowest bit: all of the day was watched), and the counts.
    fn encode(&self, out: &mut Vec<u8>) {
        let Times { watched_ms, down_ms, maintenance_ms, inconclusive_ms, .. } = self.times;
        let is_whole = watched_ms == DAY_MS;
        let times = [watched_ms, down_ms, maintenance_ms, inconclusive_ms];
        let is_there = |at: usize| times[at] > 0 && !(at == 0 && is_whole);
        out.push((0..4).fold(u8::from(is_whole), |bits, at| bits | u8::from(is_there(at)) << (at + 1)));
        (0..4).filter(|at| is_there(*at)).for_each(|at| put(out, times[at]));
        encode(self.counts, &self.latency, FIGURES_BYTES_MAX, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let head = reader.byte()?;
        let mut times = [if head & 1 == 1 { DAY_MS } else { 0 }, 0, 0, 0];
        for (at, time) in times.iter_mut().enumerate() {
            if head >> (at + 1) & 1 == 1 {
                *time = u64::from(reader.small()?).min(DAY_MS);
            }
        }
        let [watched_ms, down_ms, maintenance_ms, inconclusive_ms] = times;
        if watched_ms + maintenance_ms + inconclusive_ms > DAY_MS || down_ms > watched_ms {
            return Err(FormError::Damaged("a day has more time than there is"));
        }
        let times = Times { window_ms: DAY_MS, watched_ms, down_ms, maintenance_ms, inconclusive_ms };
        let (counts, latency) = decode(reader)?;
        Ok(Self { times, counts, latency })
    }
}

impl Month {
    /// The days of `month` among these in short.
    pub fn of(month: UtcMonth, days: &[Day], down: &[Range<Timestamp>]) -> Self {
        let of_month = days.iter().filter(|day| day.day.month() == month);
        let mut days: Vec<_> = of_month.map(|day| (day.day, Summary::of(day, down))).collect();
        days.sort_unstable_by_key(|(day, _)| *day);
        days.dedup_by_key(|(day, _)| *day);
        Self { month, days }
    }

    pub fn encode(&self) -> Vec<u8> {
        let bit = |day: &UtcDay| 1_u32 << (day.day_of_month().clamp(1, 31) - 1);
        let mask = self.days.iter().fold(0, |mask, (day, _)| mask | bit(day));
        let mut out = vec![FORM];
        out.extend(mask.to_le_bytes());
        self.days.iter().for_each(|(_, summary)| summary.encode(&mut out));
        out
    }

    /// Reads the item of a month.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn decode(month: UtcMonth, bytes: &[u8]) -> Result<Self, FormError> {
        let mut reader = Reader::new(bytes);
        reader.form(FORM)?;
        let mask = reader.mask(4)?;
        let mut days = Vec::new();
        for number in (0..32).filter(|number| mask >> number & 1 == 1) {
            let day = month.first_day().plus_days(number);
            if day.month() != month {
                return Err(FormError::Damaged("it has a day that the month does not have"));
            }
            days.push((day, Summary::decode(&mut reader)?));
        }
        reader.end()?;
        Ok(Self { month, days })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::day::tests::day;
    use crate::history::item::ITEM_BYTES_MAX;

    proptest! {
        #[test]
        fn a_month_is_read_as_it_was_written(days in proptest::collection::vec(day(), 1..6), at in 0_usize..400, byte: u8) {
            let month = days[0].day.month();
            let same = days.iter().enumerate().map(|(n, day)| {
                let to = month.first_day().plus_days(n as i32 * 5);
                let shift = to.starts_at().as_millis() - day.day.starts_at().as_millis();
                let moved = |at: Timestamp| Timestamp::from_millis(at.as_millis() + shift);
                Day { day: to, from: moved(day.from), until: moved(day.until), excluded: vec![], hours: day.hours.clone() }
            });
            let same: Vec<Day> = same.collect();
            let down = [same[0].day.starts_at()..same[0].day.ends_at()];
            let month = Month::of(month, &same, &down);
            prop_assert_eq!(month.days.len(), days.len());
            prop_assert_eq!(month.days[0].1.times.down_ms, month.days[0].1.times.watched_ms);
            let mut bytes = month.encode();
            prop_assert!(bytes.len() <= 5 + days.len() * 100, "{}", bytes.len());
            let read = Month::decode(month.month, &bytes).unwrap();
            for ((_, summary), (_, expected)) in read.days.iter().zip(&month.days) {
                prop_assert_eq!((summary.times, summary.counts), (expected.times, expected.counts));
                prop_assert_eq!(summary.latency.count(), expected.latency.count());
            }
            let len = bytes.len();
            bytes[at % len] = byte;
            let _ = (Month::decode(month.month, &bytes), Month::decode(month.month, &bytes[..at % len]));
        }
    }

    #[test]
    fn the_longest_month_is_well_below_the_bound_of_an_item() {
        let first = UtcDay::parse("2026-12-01").unwrap();
        let mut latency = Latency::default();
        (0..40).for_each(|n| (0..300).for_each(|_| latency.note((f64::from(n) / 8.0).exp2() as u32 * 20)));
        let times = Times {
            window_ms: DAY_MS,
            watched_ms: 50_000_000,
            down_ms: 9_999_999,
            maintenance_ms: 3_000_000,
            inconclusive_ms: 2_900_000,
        };
        let counts = Counts { passes: 86_400, fails: 86_400, inconclusive: 86_400, missed: 86_400 };
        let days = first.month().days().map(|day| (day, Summary { times, counts, latency: latency.clone() })).collect();
        let month = Month { month: first.month(), days };
        let bytes = month.encode();
        assert!((2_000..ITEM_BYTES_MAX / 4).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(Month::decode(first.month(), &bytes).unwrap().days.len(), 31);
    }
}
