//! How long to wait before trying again. The one module that knows the `backoff` crate.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

use crate::ports::NotifyError;

/// Exponential waits with full jitter: each is drawn evenly from zero to twice a step that doubles up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pub step_min: Duration,
    /// The step never grows past this, so that no wait is longer than twice this.
    pub step_max: Duration,
}

impl RetryPolicy {
    /// The wait after an error that a person must mend first.
    pub const PERMANENT: Duration = Duration::from_secs(300);

    /// For deliveries: soon at first, since most failures are short; at most a minute apart, so that a channel that works again is
    /// noticed soon.
    pub const DELIVERY: Self = Self { step_min: Duration::from_millis(500), step_max: Duration::from_secs(30) };

    /// For the store: it is one service for all APIs, and what waits for it is in memory.
    pub const STORE: Self = Self { step_min: Duration::from_millis(100), step_max: Duration::from_secs(5) };

    /// How long to wait after one more failed try, when `failures` failed before it.
    pub fn wait(&self, failures: u32) -> Duration {
        let step = self.step_min.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(self.step_max);
        let mut waits = ExponentialBackoff {
            current_interval: step,
            initial_interval: self.step_min,
            randomization_factor: 0.0, // see `jitter`
            multiplier: 2.0,
            max_interval: self.step_max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        // Without a maximum of elapsed time there is always a next one.
        jitter(waits.next_backoff().unwrap_or(self.step_max))
    }

    /// The same of an attempt to deliver. A channel can ask for a longer wait, never for a shorter one.
    pub fn wait_after(&self, failures: u32, error: &NotifyError) -> Duration {
        match error {
            NotifyError::Retryable { after, .. } => self.wait(failures).max(after.unwrap_or_default()),
            NotifyError::Permanent { .. } => Self::PERMANENT,
        }
    }
}

/// Full jitter: evenly from zero to twice `step`.
///
/// The randomness is that of the standard library's hash keys. The crate's own comes straight from the kernel, so that no
/// simulation could be repeated.
fn jitter(step: Duration) -> Duration {
    let bits = RandomState::new().build_hasher().finish();
    let nanos = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
    let drawn = (u128::from(bits) * u128::from(nanos)) >> 63;
    Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_bound_and_are_spread_from_zero() {
        let drawn: Vec<Duration> = (0..200).map(|failures| RetryPolicy::STORE.wait(failures)).collect();
        assert!(drawn.iter().all(|w| *w <= RetryPolicy::STORE.step_max * 2));
        assert!(drawn[0] <= RetryPolicy::STORE.step_min * 2);
        let late = &drawn[20..];
        assert!(late.iter().any(|w| *w < RetryPolicy::STORE.step_max / 2), "full jitter reaches low");
        assert!(late.iter().any(|w| *w > RetryPolicy::STORE.step_max), "and high");
    }

    #[test]
    fn attempts_wait_longer_and_longer_and_never_less_than_the_channel_asks_for() {
        let policy = RetryPolicy::DELIVERY;
        let refused = |after| NotifyError::Retryable { reason: "503".into(), after };
        let mean = |failures| (0..400).map(|_| policy.wait_after(failures, &refused(None))).sum::<Duration>() / 400;
        for failures in 0..5 {
            let expected = policy.step_min * (1 << failures);
            let (low, high) = (expected * 3 / 4, expected * 5 / 4);
            assert!((low..high).contains(&mean(failures)), "{failures}: {:?} for {expected:?}", mean(failures));
        }
        for failures in [6, 31, 32, 1_000, u32::MAX] {
            assert!((0..50).all(|_| policy.wait_after(failures, &refused(None)) <= policy.step_max * 2));
        }
        assert!(policy.wait_after(0, &refused(Some(Duration::from_secs(7)))) >= Duration::from_secs(7));
        let no_patience: Duration = (0..100).map(|n| policy.wait_after(n, &refused(Some(Duration::ZERO)))).sum();
        assert!(no_patience > Duration::from_secs(600), "a channel that asks for no patience is not hammered");
        let permanent = NotifyError::Permanent { reason: "no such topic".into(), remedy: "create it".into() };
        assert_eq!(policy.wait_after(3, &permanent), RetryPolicy::PERMANENT);
    }
}
