//! What is counted of the running process for metrics alone, without locks where something happens often.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_core::Verdict;
use api_health_core::keep::DeliveryResult;

/// Upper bounds of how long probes took, in milliseconds.
pub const PROBE_BOUNDS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// Upper bounds of how long it took from the change to the channel that has its alert, in milliseconds.
pub const ALERT_BOUNDS_MS: [u64; 8] = [100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 3_600_000];

#[derive(Debug, Default)]
pub struct Measured {
    verdicts: [AtomicU64; 3],
    /// How long probes took, whatever came of them.
    pub probes: Histogram<{ PROBE_BOUNDS_MS.len() }>,
    /// How long alerts took to be delivered.
    pub alerts: Histogram<{ ALERT_BOUNDS_MS.len() }>,
    lateness_micros: AtomicU64,
    writes: AtomicU64,
    failed_writes: AtomicU64,
    /// 1: the last reading of the configs was good; 2: it was not.
    last_reload: AtomicU8,
    attempts: Mutex<BTreeMap<Arc<str>, Attempts>>,
}

/// Attempts to deliver through one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub delivered: u64,
    pub failed: u64,
    /// They were cut off, such as by the loss of a lease, or never begun.
    pub cancelled: u64,
}

/// Durations counted by upper bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Within each bound, and not within the one before.
    counts: [AtomicU64; N],
    /// Longer than all bounds.
    longer: AtomicU64,
    sum_micros: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::default()),
            longer: AtomicU64::default(),
            sum_micros: AtomicU64::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    fn note(&self, bounds_ms: &[u64; N], took: Duration) {
        let bucket = bounds_ms.iter().position(|bound| took <= Duration::from_millis(*bound));
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        bucket.map_or(&self.longer, |bucket| &self.counts[bucket]).fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many there are in each bucket, how many at all, and how long they took together.
    pub fn read(&self) -> ([u64; N], u64, Duration) {
        let counts: [u64; N] = std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed));
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed));
        (counts, counts.iter().sum::<u64>() + self.longer.load(Ordering::Relaxed), sum)
    }
}

impl Measured {
    /// A probe was judged.
    pub(crate) fn judged(&self, verdict: Verdict, took: Duration) {
        self.verdicts[verdict as usize].fetch_add(1, Ordering::Relaxed);
        self.probes.note(&PROBE_BOUNDS_MS, took);
    }

    /// A probe that had a due time began this late.
    pub(crate) fn late(&self, lateness: Duration) {
        let micros = u64::try_from(lateness.as_micros()).unwrap_or(u64::MAX);
        self.lateness_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A record was written, or could not be.
    pub(crate) fn wrote(&self, is_written: bool) {
        let counter = if is_written { &self.writes } else { &self.failed_writes };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The configs were read. It was good where every source could be read and no row is refused.
    pub(crate) fn reloaded(&self, is_good: bool) {
        self.last_reload.store(if is_good { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// An attempt to deliver came to an end, so long after each of its changes.
    pub(crate) fn attempted(&self, channel: &Arc<str>, result: &DeliveryResult, ages: impl Iterator<Item = Duration>) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = attempts.entry(Arc::clone(channel)).or_default();
        match result {
            DeliveryResult::Delivered => {
                attempts.delivered += 1;
                ages.for_each(|age| self.alerts.note(&ALERT_BOUNDS_MS, age));
            }
            DeliveryResult::Failed { .. } | DeliveryResult::DigestRefused { .. } => attempts.failed += 1,
            DeliveryResult::Cancelled => attempts.cancelled += 1,
        }
    }

    /// Probes that were judged so.
    pub fn verdicts(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize].load(Ordering::Relaxed)
    }

    /// How late all probes that had a due time began, together.
    pub fn lateness(&self) -> Duration {
        Duration::from_micros(self.lateness_micros.load(Ordering::Relaxed))
    }

    /// Records that were written, and those that could not be.
    pub fn writes(&self) -> (u64, u64) {
        (self.writes.load(Ordering::Relaxed), self.failed_writes.load(Ordering::Relaxed))
    }

    /// Whether the last reading of the configs was good; `None`: there was none yet.
    pub fn last_reload(&self) -> Option<bool> {
        let last = self.last_reload.load(Ordering::Relaxed);
        (last > 0).then_some(last == 1)
    }

    /// Of each channel through which something was sent.
    pub fn attempts(&self) -> BTreeMap<Arc<str>, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_first_bucket_that_takes_them() {
        let measured = Measured::default();
        for ms in [0, 5, 6, 60_000] {
            measured.judged(Verdict::Pass, Duration::from_millis(ms));
        }
        let (counts, total, sum) = measured.probes.read();
        assert_eq!((counts[0], counts[1], total, sum), (2, 1, 4, Duration::from_millis(60_011)));
        assert_eq!((measured.verdicts(Verdict::Pass), measured.verdicts(Verdict::Fail)), (4, 0));
    }

    #[test]
    fn attempts_are_counted_by_channel() {
        let (measured, channel) = (Measured::default(), Arc::<str>::from("sns"));
        let failed = DeliveryResult::Failed { why: String::new(), wait: Duration::ZERO, patience: None };
        for came in [&failed, &DeliveryResult::Delivered, &DeliveryResult::Cancelled, &failed] {
            measured.attempted(&channel, came, [Duration::from_secs(2)].into_iter());
        }
        let attempts = Attempts { delivered: 1, failed: 2, cancelled: 1 };
        assert_eq!(measured.attempts(), BTreeMap::from([(channel, attempts)]));
        assert_eq!(measured.alerts.read().1, 1);
    }
}
