//! Limits a log line that would otherwise come with each failure to one a minute.

use std::time::Duration;

use crate::time::Monotonic;

/// The shortest time between two lines of one kind.
pub const THROTTLE_PERIOD: Duration = Duration::from_secs(60);

/// The throttle of one kind of line.
#[derive(Clone, Debug, Default)]
pub struct LogThrottle {
    logged_at: Option<Monotonic>,
    left_out: u64,
}

impl LogThrottle {
    /// Whether the line may be written at `now`: then, how many were suppressed since the last one.
    pub fn allow(&mut self, now: Monotonic) -> Option<u64> {
        if self.logged_at.is_some_and(|at| now.saturating_sub(at) < THROTTLE_PERIOD) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_troubles_are_a_line_a_minute_that_counts_them() {
        let mut throttle = LogThrottle::default();
        let said: Vec<(u64, u64)> = (0..1_000)
            .filter_map(|n| throttle.allow(Duration::from_millis(n * 100)).map(|left_out| (n, left_out)))
            .collect();
        assert_eq!(said, [(0, 0), (600, 599)]);
    }
}
