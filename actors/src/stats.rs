//! Counters of the running process, without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::measured::Measured;

/// How often the counts are logged: 288 lines a day, and often enough to date a bad hour.
pub const LOG_EVERY: Duration = Duration::from_secs(300);

/// Upper bounds of the lateness histogram in milliseconds; what is later falls into one more bucket.
pub const LATENESS_BOUNDS_MS: [u64; 14] = [1, 2, 3, 5, 7, 10, 15, 20, 50, 100, 500, 1_000, 5_000, 60_000];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Stats {
    probes: AtomicU64,
    missed_ticks: AtomicU64,
    held_up: AtomicU64,
    restarts: AtomicU64,
    alerts_delivered: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS_MS.len() + 1],
    /// What is shown in metrics alone.
    pub measured: Measured,
}

impl Stats {
    /// A probe began, this late. Probes that have no due time (the first one, rechecks) count with `None`.
    pub fn probe_began(&self, lateness: Option<Duration>) {
        self.probes.fetch_add(1, Ordering::Relaxed);
        if let Some(late) = lateness {
            self.measured.late(late);
            let millis = late.as_millis();
            let bucket = LATENESS_BOUNDS_MS.iter().position(|bound| millis <= u128::from(*bound));
            self.lateness[bucket.unwrap_or(LATENESS_BOUNDS_MS.len())].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ticks could not run.
    pub fn ticks_missed(&self, count: u64) {
        self.missed_ticks.fetch_add(count, Ordering::Relaxed);
    }

    /// A probe waited here for its thread or its permit, for [`HELD_UP_MIN`](api_health_core::capacity::HELD_UP_MIN) at least.
    pub fn held_up(&self) {
        self.held_up.fetch_add(1, Ordering::Relaxed);
    }

    /// A dead prober was started again.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A channel has an alert.
    pub fn alert_delivered(&self) {
        self.alerts_delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// All counters at this moment.
    pub fn counts(&self) -> ProbingCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProbingCounts {
            probes: read(&self.probes),
            missed_ticks: read(&self.missed_ticks),
            held_up: read(&self.held_up),
            restarts: read(&self.restarts),
            alerts_delivered: read(&self.alerts_delivered),
            lateness: std::array::from_fn(|bucket| read(&self.lateness[bucket])),
        }
    }
}

/// The counters at one moment, or the difference between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbingCounts {
    /// Probes begun.
    pub probes: u64,
    /// Ticks that could not run.
    pub missed_ticks: u64,
    /// Probes that waited here for a second at least.
    pub held_up: u64,
    /// Probers that were started again.
    pub restarts: u64,
    /// Alerts delivered, counted once for each channel.
    pub alerts_delivered: u64,
    /// Probes that had a due time, by how late they began: at most each of [`LATENESS_BOUNDS_MS`], and later than all.
    pub lateness: [u64; LATENESS_BOUNDS_MS.len() + 1],
}

impl ProbingCounts {
    /// The difference since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            probes: self.probes.saturating_sub(earlier.probes),
            missed_ticks: self.missed_ticks.saturating_sub(earlier.missed_ticks),
            held_up: self.held_up.saturating_sub(earlier.held_up),
            restarts: self.restarts.saturating_sub(earlier.restarts),
            alerts_delivered: self.alerts_delivered.saturating_sub(earlier.alerts_delivered),
            lateness: std::array::from_fn(|bucket| self.lateness[bucket].saturating_sub(earlier.lateness[bucket])),
        }
    }

    /// The bound in milliseconds below which `share` (0 to 1) of all probes began; `None` without probes, and the last
    /// bound where it lies above that.
    pub fn lateness_ms(&self, share: f64) -> Option<u64> {
        let total: u64 = self.lateness.iter().sum();
        if total == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a count needs no more than 53 bits")]
        let wanted = share * total as f64;
        let mut seen = 0_u64;
        for (index, count) in self.lateness.iter().enumerate() {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            if seen as f64 >= wanted {
                return Some(LATENESS_BOUNDS_MS[index.min(LATENESS_BOUNDS_MS.len() - 1)]);
            }
        }
        LATENESS_BOUNDS_MS.last().copied()
    }

    /// Logs them as the counts of `seconds`.
    pub fn log(&self, seconds: u64) {
        tracing::info!(
            seconds,
            probes = self.probes,
            missed_ticks = self.missed_ticks,
            restarts = self.restarts,
            alerts_delivered = self.alerts_delivered,
            lateness_p50_ms = self.lateness_ms(0.5),
            lateness_p99_ms = self.lateness_ms(0.99),
            "figures"
        );
    }
}

/// Logs the counts of each [`LOG_EVERY`] for as long as it is polled. A period may be longer after a stall.
pub async fn log_periodically(stats: &Stats) {
    let (mut before, mut began) = (stats.counts(), Instant::now());
    loop {
        tokio::time::sleep_until(began + LOG_EVERY).await;
        let now = stats.counts();
        now.since(&before).log(began.elapsed().as_secs());
        (before, began) = (now, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_read_off_the_histogram() {
        let stats = Stats::default();
        assert_eq!(stats.counts().lateness_ms(0.99), None);
        for n in 0..100 {
            stats.probe_began(Some(Duration::from_millis(if n < 98 { 2 } else { 80 })));
        }
        stats.probe_began(None);
        assert_eq!((stats.counts().lateness_ms(0.5), stats.counts().lateness_ms(0.99)), (Some(2), Some(100)));
        assert_eq!(stats.counts().probes, 101);
    }

    #[test]
    fn figures_of_a_period_are_what_came_in_it() {
        let stats = Stats::default();
        stats.probe_began(Some(Duration::from_secs(3_600)));
        stats.ticks_missed(7);
        stats.restarted();
        stats.alert_delivered();
        let before = stats.counts();
        assert_eq!(before.lateness_ms(0.5), Some(60_000), "later than all bounds");
        stats.probe_began(Some(Duration::ZERO));
        stats.probe_began(None);
        stats.ticks_missed(2);
        let period = stats.counts().since(&before);
        let wanted =
            ProbingCounts { probes: 2, missed_ticks: 2, lateness: period.lateness, ..ProbingCounts::default() };
        assert_eq!((&period, period.lateness_ms(1.0)), (&wanted, Some(1)));
        assert_eq!(before.since(&stats.counts()), ProbingCounts::default(), "never below nothing");
    }
}
