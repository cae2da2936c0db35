//! How soon an actor that died is started again: a delay that grows with each death in a row and forgets a quiet life.

use std::time::Duration;

/// The rule by which children are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The delay after the first death.
    pub delay_min: Duration,
    /// The delay never grows past this.
    pub delay_max: Duration,
    /// A child that lived this long starts again as if it had never died.
    pub quiet_after: Duration,
}

impl Default for RestartPolicy {
    /// From 100 ms, doubling up to a minute; ten quiet minutes are forgiven.
    fn default() -> Self {
        Self {
            delay_min: Duration::from_millis(100),
            delay_max: Duration::from_secs(60),
            quiet_after: Duration::from_secs(600),
        }
    }
}

/// Deaths in a row of one child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths(u32);

impl Deaths {
    /// Counts one more death, after a life of `lived`, and says how long to wait before the next life.
    pub fn next_delay(&mut self, lived: Duration, policy: &RestartPolicy) -> Duration {
        if lived >= policy.quiet_after {
            self.0 = 0;
        }
        let doublings = self.0.min(31);
        self.0 = self.0.saturating_add(1);
        policy.delay_min.saturating_mul(1 << doublings).min(policy.delay_max)
    }

    /// How many there were in a row.
    pub fn count(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_bound_and_a_quiet_life_forgives() {
        let policy = RestartPolicy::default();
        let mut deaths = Deaths::default();
        let delays: Vec<u128> =
            (0..12).map(|_| deaths.next_delay(Duration::from_secs(1), &policy).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        assert_eq!(deaths.next_delay(policy.quiet_after, &policy), policy.delay_min);
        assert_eq!(deaths.count(), 1);
    }

    #[test]
    fn a_child_that_dies_for_ever_never_overflows() {
        let policy = RestartPolicy::default();
        let mut deaths = Deaths(u32::MAX);
        assert_eq!(deaths.next_delay(Duration::ZERO, &policy), policy.delay_max);
    }
}
