//! Whether and how soon an actor that died is started again, in Erlang/OTP's words: intensity, period, giving up.
//!
//! A child is started again after a delay that doubles with each death. Past `intensity` deaths within `period` it is
//! given up: that is said loudly, and from then on it is tried only every `slow`. A child that then lives for
//! a whole period starts with a clean slate. Pure arithmetic: times come in as monotonic times, and a child's own number spreads the delays.

use std::collections::VecDeque;
use std::time::Duration;

/// The rule by which children are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The delay after the first death.
    pub delay_min: Duration,
    /// The delay never grows past this, before the spread.
    pub delay_max: Duration,
    /// This many deaths within the period are tolerated; one more is too many.
    pub intensity: u32,
    pub period: Duration,
    /// Between the lives of a child that is given up.
    pub slow: Duration,
}

impl RestartPolicy {
    /// For probers. Delays of 0.1, 0.2, 0.4, 0.8 and 1.6 s: a fault that passes within seconds costs one tick, and one
    /// that stays is told within seconds. Given up, it is tried every five minutes, which is soon after somebody mended it.
    pub const PROBER: Self = Self {
        delay_min: Duration::from_millis(100),
        delay_max: Duration::from_secs(10),
        intensity: 5,
        period: Duration::from_secs(60),
        slow: Duration::from_secs(300),
    };

    /// For what all probers hang on. It ends the process when it is given up, so `slow` is never waited for.
    pub const CHAIN: Self = Self {
        delay_min: Duration::from_millis(50),
        delay_max: Duration::from_secs(1),
        intensity: 3,
        period: Duration::from_secs(60),
        slow: Duration::from_secs(60),
    };

    /// Between the lives of a child that is given up, whose own number is `spread`.
    pub fn slow_wait(&self, spread: u64) -> Duration {
        spread_out(self.slow, spread)
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self::PROBER
    }
}

/// The deaths of one child that are remembered: at most one more than the intensity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// Uptimes, oldest first.
    recent: VecDeque<Duration>,
}

impl Deaths {
    /// Counts a death at the monotonic time `now`. How soon the child is started again; `None`: it died too often. `spread` is the child's
    /// own number: children that died together are not started together.
    pub fn count(&mut self, now: Duration, policy: &RestartPolicy, spread: u64) -> Option<Duration> {
        let bound = usize::try_from(policy.intensity).unwrap_or(usize::MAX).saturating_add(1);
        self.recent.push_back(now);
        while self.recent.len() > bound
            || self.recent.front().is_some_and(|then| now.saturating_sub(*then) >= policy.period)
        {
            self.recent.pop_front();
        }
        let doublings = u32::try_from(self.recent.len().saturating_sub(1)).unwrap_or(u32::MAX).min(31);
        let delay = policy.delay_min.saturating_mul(1 << doublings).min(policy.delay_max);
        (self.recent.len() < bound).then(|| spread_out(delay, spread))
    }

    /// How many deaths are remembered.
    pub fn recent(&self) -> usize {
        self.recent.len()
    }
}

/// `delay`, and up to a quarter more of it.
fn spread_out(delay: Duration, spread: u64) -> Duration {
    delay.saturating_add(delay / 1_024 * u32::try_from(spread % 256).unwrap_or(0))
}
