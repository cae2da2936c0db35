//! Figures of the running process: counted without locks by whoever does the work, read by whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the lateness histogram in milliseconds; what is later falls into one more bucket.
pub const LATENESS_BOUNDS_MS: [u64; 14] = [1, 2, 3, 5, 7, 10, 15, 20, 50, 100, 500, 1_000, 5_000, 60_000];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Stats {
    probes: AtomicU64,
    missed_ticks: AtomicU64,
    restarts: AtomicU64,
    alerts_delivered: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS_MS.len() + 1],
}

impl Stats {
    /// A probe began, this late. Probes that have no due time (the first one, rechecks) count with `None`.
    pub fn probe_began(&self, lateness: Option<Duration>) {
        self.probes.fetch_add(1, Ordering::Relaxed);
        if let Some(late) = lateness {
            let millis = late.as_millis();
            let bucket = LATENESS_BOUNDS_MS.iter().position(|bound| millis <= u128::from(*bound));
            self.lateness[bucket.unwrap_or(LATENESS_BOUNDS_MS.len())].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ticks could not run.
    pub fn ticks_missed(&self, count: u64) {
        self.missed_ticks.fetch_add(count, Ordering::Relaxed);
    }

    /// A dead prober was started again.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A channel took an alert over.
    pub fn alert_delivered(&self) {
        self.alerts_delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Probes begun.
    pub fn probes(&self) -> u64 {
        self.probes.load(Ordering::Relaxed)
    }

    /// Ticks that could not run.
    pub fn missed_ticks(&self) -> u64 {
        self.missed_ticks.load(Ordering::Relaxed)
    }

    /// Probers that were started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Alerts taken over, counted once for each channel.
    pub fn alerts_delivered(&self) -> u64 {
        self.alerts_delivered.load(Ordering::Relaxed)
    }

    /// The bound in milliseconds below which `share` (0 to 1) of all probes began; `None` without probes, and the last
    /// bound where it lies above that.
    pub fn lateness_ms(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> = self.lateness.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a count needs no more than 53 bits")]
        let wanted = share * total as f64;
        let mut seen = 0_u64;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            if seen as f64 >= wanted {
                return Some(LATENESS_BOUNDS_MS[index.min(LATENESS_BOUNDS_MS.len() - 1)]);
            }
        }
        LATENESS_BOUNDS_MS.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_read_off_the_histogram() {
        let stats = Stats::default();
        assert_eq!(stats.lateness_ms(0.99), None);
        for n in 0..100 {
            stats.probe_began(Some(Duration::from_millis(if n < 98 { 2 } else { 80 })));
        }
        stats.probe_began(None);
        assert_eq!((stats.lateness_ms(0.5), stats.lateness_ms(0.99)), (Some(2), Some(100)));
        assert_eq!(stats.probes(), 101);
    }
}
