//! One day of one API in UTC: when it was watched, what of that does not count, and its hours.

use std::ops::Range;
use std::time::Duration;

use super::bytes::{FormError, Reader, put};
use super::calendar::UtcDay;
use super::hour::{Counts, Hour};
use super::latency::Latency;
use super::uptime::{Excluded, Seen, Times, Why};
use crate::time::Timestamp;

/// The form of a day that this program writes.
const FORM: u8 = 1;

/// Stretches of one day that do not count. Where there are more, those that lie closest become one, so that too much is excluded and
/// nobody is charged wrongly.
pub const EXCLUDED_MAX: usize = 24;

const HOUR_MS: i64 = 3_600_000;

/// A day of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    pub day: UtcDay,
    /// It was watched from then, but for what is excluded,
    pub from: Timestamp,
    /// until then, as far as is stored.
    pub until: Timestamp,
    /// In the order in which they begin.
    pub excluded: Vec<Excluded>,
    /// Those with outcomes, by their number from 0 to 23, in order.
    pub hours: Vec<(u8, Hour)>,
}

impl Day {
    pub fn new(day: UtcDay) -> Self {
        Self { day, from: day.starts_at(), until: day.starts_at(), excluded: Vec::new(), hours: Vec::new() }
    }

    /// The hour that `at` is in, if that is in this day.
    pub fn hour_of(day: UtcDay, at: Timestamp) -> Option<u8> {
        let hour = at.as_millis().checked_sub(day.starts_at().as_millis())?.div_euclid(HOUR_MS);
        u8::try_from(hour).ok().filter(|hour| *hour < 24)
    }

    /// How the part of `window` that is in this day was spent.
    pub fn times(&self, window: &Range<Timestamp>, down: &[Range<Timestamp>]) -> Times {
        let within = window.start.max(self.day.starts_at())..window.end.min(self.day.ends_at());
        Times::of(&within, &Seen { watched: &[self.from..self.until], excluded: &self.excluded, down })
    }

    /// What all hours counted together.
    pub fn totals(&self) -> (Counts, Latency) {
        let mut all = Hour::default();
        self.hours.iter().for_each(|(_, hour)| all.merge(hour));
        (all.counts, all.latency)
    }

    /// Adds what another process has stored of this day.
    pub fn merge(&mut self, other: &Self) {
        let is_first = self.from >= self.until;
        self.from = if is_first { other.from } else { self.from.min(other.from) };
        self.until = self.until.max(other.until);
        other.excluded.iter().for_each(|excluded| add(&mut self.excluded, *excluded));
        for (number, hour) in &other.hours {
            match self.hours.binary_search_by_key(number, |(number, _)| *number) {
                Ok(at) => self.hours[at].1.merge(hour),
                Err(at) => self.hours.insert(at, (*number, hour.clone())),
            }
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut hours = Vec::new();
        let mask = self.hours.iter().fold(0, |mask, (number, hour)| {
            hour.encode(&mut hours);
            mask | 1 << number
        });
        encode(self.day, self.from..self.until, &self.excluded, mask, &hours)
    }

    /// Reads the item of a day.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn decode(day: UtcDay, bytes: &[u8]) -> Result<Self, FormError> {
        let mut reader = Reader::new(bytes);
        reader.form(FORM)?;
        let (from, len) = (reader.small()?, reader.small()?);
        let count = reader.small()? as usize;
        if count > EXCLUDED_MAX {
            return Err(FormError::Damaged("too much of the day is excluded"));
        }
        let mut excluded = Vec::with_capacity(count);
        let mut start = 0_u32;
        for _ in 0..count {
            let head = reader.number()?;
            let why = Why::ALL.get((head & 3) as usize).ok_or(FormError::Damaged("a reason is none"))?;
            let after = u32::try_from(head >> 2).ok().and_then(|after| start.checked_add(after));
            start = after.ok_or(FormError::Damaged("a stretch of time is out of range"))?;
            let from = at(day, start);
            excluded.push(Excluded { why: *why, from, until: from.plus(millis(reader.small()?)).min(day.ends_at()) });
        }
        let mask = reader.mask(3)?;
        let numbers = (0..24).filter(|number| mask >> number & 1 == 1);
        let hours = numbers.map(|number| Ok((number, Hour::decode(&mut reader)?))).collect::<Result<_, _>>()?;
        reader.end()?;
        let from = at(day, from);
        Ok(Self { day, from, until: from.plus(millis(len)).min(day.ends_at()), excluded, hours })
    }
}

/// Adds a stretch that does not count, joined with one for the same reason that it touches.
pub(super) fn add(all: &mut Vec<Excluded>, mut new: Excluded) {
    if new.from >= new.until {
        return;
    }
    all.retain(|old| {
        let touches = old.why == new.why && old.from <= new.until && new.from <= old.until;
        if touches {
            (new.from, new.until) = (new.from.min(old.from), new.until.max(old.until));
        }
        !touches
    });
    let place = all.partition_point(|old| (old.from, old.why) < (new.from, new.why));
    all.insert(place, new);
    while all.len() > EXCLUDED_MAX {
        let gap = |at: &usize| all[at + 1].from.since(all[*at].until);
        let Some(closest) = (0..all.len() - 1).min_by_key(gap) else { return };
        let second = all.remove(closest + 1);
        let first = &mut all[closest];
        if second.until.since(second.from) > first.until.since(first.from) {
            first.why = second.why;
        }
        first.until = first.until.max(second.until);
    }
}

/// The item of a day whose hours are encoded already.
pub(super) fn encode(
    day: UtcDay,
    watched: Range<Timestamp>,
    excluded: &[Excluded],
    mask: u32,
    hours: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + excluded.len() * 8 + hours.len());
    let offset = |at: Timestamp| at.min(day.ends_at()).since(day.starts_at()).as_millis() as u64;
    out.push(FORM);
    put(&mut out, offset(watched.start));
    put(&mut out, offset(watched.end).saturating_sub(offset(watched.start)));
    put(&mut out, excluded.len() as u64);
    let mut before = 0;
    for stretch in excluded {
        let from = offset(stretch.from);
        put(&mut out, from.saturating_sub(before) << 2 | stretch.why as u64);
        put(&mut out, offset(stretch.until).saturating_sub(from));
        before = from;
    }
    out.extend(&mask.to_le_bytes()[..3]);
    out.extend(hours);
    out
}

const fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms as u64)
}

fn at(day: UtcDay, offset: u32) -> Timestamp {
    day.starts_at().plus(millis(offset)).min(day.ends_at())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Verdict;

    pub(crate) fn hour() -> impl Strategy<Value = Hour> {
        let outcome = (0_usize..3, proptest::option::of(1_u32..5_000), 0_u32..3);
        proptest::collection::vec(outcome, 0..40).prop_map(|outcomes| {
            let mut hour = Hour::default();
            for (verdict, ms, missed) in outcomes {
                hour.note([Verdict::Pass, Verdict::Fail, Verdict::Inconclusive][verdict], ms, missed);
            }
            // As it is after it was stored once.
            let mut out = Vec::new();
            hour.encode(&mut out);
            Hour::decode(&mut Reader::new(&out)).unwrap()
        })
    }

    pub(crate) fn day() -> impl Strategy<Value = Day> {
        let stretch = (0_usize..3, 0_u32..86_400_000, 1_u32..3_000_000);
        let hours = proptest::collection::btree_map(0_u8..24, hour(), 0..24);
        (0..20_000_i64, (0_u32..86_400_000, 0_u32..86_400_000), proptest::collection::vec(stretch, 0..40), hours)
            .prop_map(|(number, (a, b), stretches, hours)| {
                let day = UtcDay::of(Timestamp::from_millis(number * 86_400_000));
                let mut excluded = Vec::new();
                for (why, from, len) in stretches {
                    let until = at(day, from).plus(millis(len)).min(day.ends_at());
                    add(&mut excluded, Excluded { why: Why::ALL[why], from: at(day, from), until });
                }
                let (from, until) = (at(day, a.min(b)), at(day, a.max(b)));
                Day { day, from, until, excluded, hours: hours.into_iter().collect() }
            })
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_was_written(day in day()) {
            prop_assert_eq!(Day::decode(day.day, &day.encode()), Ok(day));
        }

        #[test]
        fn any_bytes_are_a_day_or_a_reason(day in day(), at in 0_usize..200, byte: u8, odd in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = day.encode();
            let len = bytes.len();
            bytes[at % len] = byte;
            for bytes in [&bytes[..], &bytes[..at % len], &odd] {
                if let Ok(read) = Day::decode(day.day, bytes) {
                    prop_assert!(read.excluded.len() <= EXCLUDED_MAX && read.until <= day.day.ends_at());
                    let times = read.times(&(day.day.starts_at()..day.day.ends_at()), &[]);
                    prop_assert_eq!(times.watched_ms + times.not_watched_ms() + times.maintenance_ms + times.inconclusive_ms, 86_400_000);
                    let _ = (read.totals(), read.encode());
                }
            }
        }

        #[test]
        fn what_is_excluded_stays_so_when_there_is_too_much(day in day(), from in 0_u32..86_000_000, len in 1_u32..200_000) {
            let mut all = day.excluded.clone();
            let new = Excluded { why: Why::Inconclusive, from: at(day.day, from), until: at(day.day, from + len) };
            add(&mut all, new);
            prop_assert!(all.len() <= EXCLUDED_MAX);
            let total = |all: &[Excluded], window: &Range<Timestamp>| {
                let whole = [day.day.starts_at()..day.day.ends_at()];
                Times::of(window, &Seen { watched: &whole, excluded: all, down: &[] }).watched_ms
            };
            prop_assert_eq!(total(&all, &(new.from..new.until)), 0);
            for old in &day.excluded {
                prop_assert_eq!(total(&all, &(old.from..old.until)), 0);
            }
        }
    }

    #[test]
    fn a_day_of_a_target_that_scatters_is_one_write_unit_with_its_keys() {
        let mut day = Day::new(UtcDay::parse("2026-11-26").unwrap());
        day.until = day.day.ends_at();
        for number in 0..24_u8 {
            let mut hour = Hour::default();
            (0..60_u32).for_each(|n| hour.note(Verdict::Pass, Some(100 + n * n % 397), 0));
            day.hours.push((number, hour));
        }
        let keys = "api_id".len() + crate::ApiId::CHARS_MAX + "slot".len() + "d#2026-11-26".len();
        let rest = "bytes".len() + "epoch".len() + 21 + "expires_at".len() + 7;
        let (bytes, head) = (day.encode().len(), Day::new(day.day).encode().len() + 6);
        assert!((500..1_024 - keys - rest).contains(&bytes), "{bytes}");
        assert!(head + 24 * crate::history::hour::HOUR_BYTES_MAX + keys + rest <= 1_024, "the longest as well");
        let mut newer = day.encode();
        newer[0] = FORM + 1;
        let error = Day::decode(day.day, &newer).unwrap_err().to_string();
        assert_eq!(error, "it was written by a newer version of this program (form 2, this one reads 1)");
    }
}
