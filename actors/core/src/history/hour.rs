//! One hour of one API: what its probes found, and how long the answers took.

use super::bytes::{FormError, Reader, put};
use super::latency::Latency;
use crate::outcome::Verdict;

/// An hour is stored in at most so many bytes: its latencies are halved until it fits. 24 of them, with the keys of a table and the
/// longest id, are one write unit of DynamoDB (1 KiB).
pub const HOUR_BYTES_MAX: usize = 35;

/// What the probes of an hour found, rechecks included. How long it was up is told by times ([`super::uptime`]), never by these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub counts: Counts,
    /// Of the answers, good or bad.
    pub latency: Latency,
}

/// Outcomes, and ticks without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passes: u32,
    pub fails: u32,
    pub inconclusive: u32,
    /// Ticks that could not run.
    pub missed: u32,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.passes = self.passes.saturating_add(other.passes);
        self.fails = self.fails.saturating_add(other.fails);
        self.inconclusive = self.inconclusive.saturating_add(other.inconclusive);
        self.missed = self.missed.saturating_add(other.missed);
    }

    pub(super) const fn all(self) -> [u32; 4] {
        [self.passes, self.fails, self.inconclusive, self.missed]
    }

    pub(super) const fn of([passes, fails, inconclusive, missed]: [u32; 4]) -> Self {
        Self { passes, fails, inconclusive, missed }
    }
}

impl Hour {
    pub fn note(&mut self, verdict: Verdict, latency_ms: Option<u32>, missed: u32) {
        let counts = match verdict {
            Verdict::Pass => Counts { passes: 1, ..Counts::default() },
            Verdict::Fail => Counts { fails: 1, ..Counts::default() },
            Verdict::Inconclusive => Counts { inconclusive: 1, ..Counts::default() },
        };
        self.counts.add(Counts { missed, ..counts });
        if let Some(latency_ms) = latency_ms {
            self.latency.note(latency_ms);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.add(other.counts);
        self.latency.merge(&other.latency);
    }

    /// At most [`HOUR_BYTES_MAX`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        encode(self.counts, &self.latency, HOUR_BYTES_MAX, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        decode(reader).map(|(counts, latency)| Self { counts, latency })
    }
}

/// Which counts are not zero (four bits) and how often the latencies were halved (three); those counts; the latencies.
pub(super) fn encode(counts: Counts, latency: &Latency, bytes_max: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut coarser: Option<Latency> = None;
    loop {
        let latency = coarser.as_ref().unwrap_or(latency);
        let is_there = counts.all().iter().rev().fold(0, |bits, count| bits << 1 | u8::from(*count > 0));
        out.push(is_there | latency.halvings() << 4);
        counts.all().iter().filter(|count| **count > 0).for_each(|count| put(out, u64::from(*count)));
        latency.encode(out);
        if out.len() - start <= bytes_max {
            return;
        }
        let mut next = latency.clone();
        if !next.halve() {
            return;
        }
        coarser = Some(next);
        out.truncate(start);
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<(Counts, Latency), FormError> {
    let head = reader.byte()?;
    if head & 0x80 != 0 {
        return Err(FormError::Damaged("an hour begins with what is none"));
    }
    let mut counts = [0; 4];
    for (bit, count) in counts.iter_mut().enumerate() {
        if head >> bit & 1 == 1 {
            *count = reader.small()?;
        }
    }
    Ok((Counts::of(counts), Latency::decode(reader, head >> 4)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_hour_keeps_its_bound_and_its_counts(
            latencies in proptest::collection::vec(proptest::option::of(any::<u32>()), 0..400), counts: (u32, u32, u32, u32),
            odd in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut hour = Hour::default();
            latencies.iter().for_each(|ms| hour.note(Verdict::Fail, *ms, 0));
            hour.counts.add(Counts::of(counts.into()));
            let mut out = Vec::new();
            hour.encode(&mut out);
            prop_assert!(out.len() <= HOUR_BYTES_MAX, "{}", out.len());
            let mut reader = Reader::new(&out);
            let read = Hour::decode(&mut reader).unwrap();
            prop_assert_eq!(reader.end(), Ok(()));
            prop_assert_eq!((read.counts, read.latency.count()), (hour.counts, hour.latency.count()));
            let mut again = hour.latency;
            while again.halvings() < read.latency.halvings() {
                again.halve();
            }
            prop_assert_eq!(read.latency, again, "halved, and nothing else");
            let _ = Hour::decode(&mut Reader::new(&odd));
        }
    }
}
