//! Latencies of many answers in few bytes: how many fell into each of buckets that grow exponentially.
//!
//! Eight buckets to a doubling, as OpenTelemetry's scale 3 and Prometheus' schema 3 have them, so that a quantile is at most 4.4 % off.
//! Two of them merge without loss, in any order; halved, each bucket takes its neighbour in, as if that scale had been used all along.

use super::bytes::{FormError, Reader, put};

/// How often it can be halved: down to one bucket for 16 doublings.
pub const HALVINGS_MAX: u8 = 7;

/// Buckets that are held; it is halved before there are more. A target that scatters widely takes 27 in an hour.
pub const BUCKETS_MAX: usize = 40;

/// The longest latency that is told from others: 24 days.
const LONGEST_MS: u32 = 1 << 31;

/// 2^31 · 2^(n/8): where the buckets inside a doubling end, for n from 1 to 7.
const ENDS: [u32; 7] =
    [2_341_847_523, 2_553_802_833, 2_784_941_737, 3_037_000_499, 3_311_872_529, 3_611_622_602, 3_938_502_375];

/// How many answers took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    halvings: u8,
    /// The index of each bucket that is not empty, and how many are in it; in order. Bucket `n` ends at 2^(n/8) ms, with that; bucket 0
    /// has all up to 1 ms.
    buckets: Vec<(u8, u32)>,
}

/// What a page shows of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    /// Notes one answer.
    pub fn note(&mut self, latency_ms: u32) {
        self.add(halved(bucket(latency_ms), self.halvings), 1);
        while self.buckets.len() > BUCKETS_MAX {
            self.halve();
        }
    }

    /// How many answers there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Adds those of `other`. The coarser of both scales is kept.
    pub fn merge(&mut self, other: &Self) {
        while self.halvings < other.halvings {
            self.halve();
        }
        for (index, count) in &other.buckets {
            self.add(halved(*index, self.halvings - other.halvings), *count);
        }
        while self.buckets.len() > BUCKETS_MAX {
            self.halve();
        }
    }

    /// Merges each two neighbouring buckets. Returns whether that was possible.
    pub fn halve(&mut self) -> bool {
        if self.halvings >= HALVINGS_MAX {
            return false;
        }
        self.halvings += 1;
        for (index, count) in std::mem::take(&mut self.buckets) {
            self.add(halved(index, 1), count);
        }
        true
    }

    fn add(&mut self, index: u8, count: u32) {
        match self.buckets.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }

    /// The latency, in milliseconds, that this share of the answers did not exceed, of 0 to 1; `None`: there were none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((share.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            passed += u64::from(*count);
            passed >= rank
        });
        found.map(|(index, _)| self.middle(*index))
    }

    /// What to show of them; `None`: there were none.
    pub fn spread(&self) -> Option<Spread> {
        let (first, last) = (self.buckets.first()?.0, self.buckets.last()?.0);
        let of = |share| self.quantile(share);
        Some(Spread { min: self.middle(first), p50: of(0.5)?, p95: of(0.95)?, p99: of(0.99)?, max: self.middle(last) })
    }

    /// The value that is least wrong for all whole milliseconds of a bucket.
    fn middle(&self, index: u8) -> f64 {
        let buckets_per_doubling = 8.0 / f64::from(1_u32 << self.halvings);
        let end = |index: f64| (index / buckets_per_doubling).exp2().floor();
        let highest = end(f64::from(index)).max(1.0);
        let lowest = if index == 0 { 1.0 } else { (end(f64::from(index) - 1.0) + 1.0).min(highest) };
        2.0 * lowest * highest / (lowest + highest)
    }

    /// How often it was halved.
    pub(super) const fn halvings(&self) -> u8 {
        self.halvings
    }

    /// The buckets: for each its count, and how many empty ones lie before it where there are any. Buckets mostly lie side by side, so
    /// that most take one byte.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.buckets.len() as u64);
        let mut next = 0;
        for (index, count) in &self.buckets {
            let gap = u64::from(*index) - next;
            put(out, u64::from(count.saturating_sub(1)) << 1 | u64::from(gap > 0));
            if gap > 0 {
                put(out, gap);
            }
            next = u64::from(*index) + 1;
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>, halvings: u8) -> Result<Self, FormError> {
        let len = reader.small()? as usize;
        if len > BUCKETS_MAX || halvings > HALVINGS_MAX {
            return Err(FormError::Damaged("there are too many buckets of latency"));
        }
        let mut buckets = Vec::with_capacity(len);
        let mut next = 0_u64;
        for _ in 0..len {
            let head = reader.number()?;
            let gap = if head & 1 == 1 { reader.number()? } else { 0 };
            let count = u32::try_from((head >> 1).saturating_add(1));
            let index = next.checked_add(gap).and_then(|index| u8::try_from(index).ok());
            let index = index.filter(|index| *index <= halved(u8::MAX, halvings));
            let (Some(index), Ok(count)) = (index, count) else {
                return Err(FormError::Damaged("a bucket of latency is out of range"));
            };
            buckets.push((index, count));
            next = u64::from(index) + 1;
        }
        Ok(Self { halvings, buckets })
    }
}

/// The first bucket whose end a latency does not exceed, by whole numbers alone.
fn bucket(latency_ms: u32) -> u8 {
    let latency_ms = latency_ms.clamp(1, LONGEST_MS);
    let doublings = latency_ms.ilog2();
    let within = latency_ms << (31 - doublings);
    let beyond = if within == 1 << 31 { 0 } else { 1 + ENDS.iter().filter(|end| within > **end).count() };
    u8::try_from(doublings as usize * 8 + beyond).unwrap_or(u8::MAX)
}

/// The bucket that takes this one in after so many halvings.
fn halved(index: u8, times: u8) -> u8 {
    (0..times).fold(index, |index, _| index.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Latency {
        pub(crate) fn heap_bytes(&self) -> usize {
            self.buckets.capacity() * std::mem::size_of::<(u8, u32)>()
        }
    }

    fn of(latencies: &[u32]) -> Latency {
        let mut latency = Latency::default();
        latencies.iter().for_each(|ms| latency.note(*ms));
        latency
    }

    #[test]
    fn a_bucket_ends_where_its_scale_says() {
        for index in 0..=240_u8 {
            let end = (f64::from(index) / 8.0).exp2().floor() as u32;
            assert!(bucket(end) <= index && bucket(end + 1) > index, "{index} ends at {end}");
        }
        assert_eq!((bucket(0), bucket(1), bucket(2), bucket(4), bucket(u32::MAX)), (0, 0, 8, 16, 248));
    }

    /// Of steady, of usual and of scattered answers: a normal, a lognormal and a bimodal distribution.
    fn distribution(kind: usize, uniform: &[(f64, f64)]) -> Vec<u32> {
        let normal = |(a, b): &(f64, f64)| (-2.0 * a.max(1e-9).ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let ms = |z: f64| match kind {
            0 => 12.0 + z,
            1 => (4.4 + 0.35 * z).exp(),
            _ if z > 1.2 => 2_000.0 + 150.0 * z,
            _ => 250.0 * (1.0 + 0.2 * z),
        };
        uniform.iter().map(|pair| ms(normal(pair)).round().max(1.0) as u32).collect()
    }

    proptest! {
        #[test]
        fn quantiles_are_within_4_4_percent(
            kind in 0_usize..3, uniform in proptest::collection::vec((0.0..1.0, 0.0..1.0), 1..600),
        ) {
            let mut all = distribution(kind, &uniform);
            let latency = of(&all);
            prop_assert_eq!(latency.halvings, 0, "three usual distributions are kept as they are");
            all.sort_unstable();
            for share in [0.0, 0.5, 0.95, 0.99, 1.0] {
                let rank = ((share * all.len() as f64).ceil() as usize).max(1);
                let (exact, got) = (f64::from(all[rank - 1]), latency.quantile(share).unwrap());
                prop_assert!((got - exact).abs() <= 0.044 * exact, "p{share}: {got} for {exact}");
            }
        }

        #[test]
        fn neither_order_nor_grouping_matters(
            a in proptest::collection::vec(0_u32..u32::MAX, 0..60), b in proptest::collection::vec(0_u32..4_000, 0..60),
            c in proptest::collection::vec(1_u32..20, 0..60),
        ) {
            let mut at_once = [a.clone(), b.clone(), c.clone()].concat();
            let expected = of(&at_once);
            at_once.reverse();
            prop_assert_eq!(&of(&at_once), &expected);
            let (mut left, mut right) = (of(&a), of(&c));
            left.merge(&of(&b));
            left.merge(&of(&c));
            right.merge(&of(&b));
            right.merge(&of(&a));
            prop_assert_eq!(&left, &expected);
            prop_assert_eq!(&right, &expected);
            prop_assert_eq!(left.count(), at_once.len() as u64);
        }

        #[test]
        fn halving_agrees_with_a_coarser_scale_from_the_start(
            all in proptest::collection::vec(0_u32..100_000, 0..80), times in 0..=HALVINGS_MAX,
        ) {
            let (mut later, mut before) = (of(&all), Latency { halvings: times, ..Latency::default() });
            all.iter().for_each(|ms| before.note(*ms));
            while later.halvings < before.halvings {
                later.halve();
            }
            while before.halvings < later.halvings {
                before.halve();
            }
            prop_assert_eq!(later, before);
        }

        #[test]
        fn what_is_written_is_read_and_any_other_bytes_are_a_reason(
            all in proptest::collection::vec(any::<u32>(), 0..80), odd in proptest::collection::vec(any::<u8>(), 0..80), halvings: u8,
        ) {
            let latency = of(&all);
            let mut out = Vec::new();
            latency.encode(&mut out);
            prop_assert_eq!(Latency::decode(&mut Reader::new(&out), latency.halvings), Ok(latency));
            if let Ok(read) = Latency::decode(&mut Reader::new(&odd), halvings) {
                let _ = (read.spread(), read.clone().halve());
            }
        }
    }
}
