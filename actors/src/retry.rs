//! How long to wait before trying again. The one module that knows the `backoff` crate.

use std::future::Future;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

use crate::ports::NotifyError;

/// Exponential waits with full jitter: each is drawn evenly from zero to twice a step that doubles up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first step.
    pub step_min: Duration,
    /// The step never grows past this, so that no wait is longer than twice this.
    pub step_max: Duration,
    /// The wait after an error that a person must mend first.
    pub permanent: Duration,
}

impl RetryPolicy {
    /// For deliveries: soon at first, since most failures are blips; at most a minute apart, so that a channel that is
    /// back is noticed within that; every five minutes where a person must act.
    pub const DELIVERY: Self = Self {
        step_min: Duration::from_millis(500),
        step_max: Duration::from_secs(30),
        permanent: Duration::from_secs(300),
    };

    /// For the store: it is one service for all APIs, and what waits for it is in memory.
    pub const STORE: Self = Self {
        step_min: Duration::from_millis(100),
        step_max: Duration::from_secs(5),
        permanent: Duration::from_secs(15),
    };

    fn waits(&self) -> ExponentialBackoff {
        ExponentialBackoff {
            current_interval: self.step_min,
            initial_interval: self.step_min,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: self.step_max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        }
    }
}

/// Waits in a row, for an owner that keeps the time itself.
#[derive(Debug)]
pub struct Waits {
    policy: RetryPolicy,
    waits: ExponentialBackoff,
}

impl Waits {
    /// From the first step on.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { waits: policy.waits(), policy }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        // There is no maximum of elapsed time, so there is always a next one.
        self.waits.next_backoff().unwrap_or(self.policy.step_max)
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.waits.reset();
    }
}

/// Calls `attempt` until it succeeds, however long that takes. `failed` hears of each error and of the wait before the
/// next try, which is never shorter than the policy's own, whatever the channel asks for.
pub async fn until_delivered<F, T>(
    policy: RetryPolicy,
    mut attempt: impl FnMut() -> F,
    mut failed: impl FnMut(&NotifyError, Duration),
) -> T
where
    F: Future<Output = Result<T, NotifyError>>,
{
    let mut waits = Waits::new(policy);
    loop {
        let error = match attempt().await {
            Ok(delivered) => return delivered,
            Err(error) => error,
        };
        let own = waits.next_wait();
        let wait = match &error {
            NotifyError::Retryable { after, .. } => after.map_or(own, |after| after.max(own)),
            NotifyError::Permanent { .. } => policy.permanent,
        };
        failed(&error, wait);
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn waits_grow_up_to_their_bound_and_are_spread_from_zero() {
        let mut waits = Waits::new(RetryPolicy::STORE);
        let drawn: Vec<Duration> = (0..200).map(|_| waits.next_wait()).collect();
        assert!(drawn.iter().all(|w| *w <= RetryPolicy::STORE.step_max * 2));
        assert!(drawn[0] <= RetryPolicy::STORE.step_min * 2);
        let late = &drawn[20..];
        assert!(late.iter().any(|w| *w < RetryPolicy::STORE.step_max / 2), "full jitter reaches low");
        assert!(late.iter().any(|w| *w > RetryPolicy::STORE.step_max), "and high");
        waits.reset();
        assert!(waits.next_wait() <= RetryPolicy::STORE.step_min * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_asks_for_no_patience_is_not_tried_without_end() {
        let began = tokio::time::Instant::now();
        let attempts = RefCell::new(0_u32);
        until_delivered(
            RetryPolicy::DELIVERY,
            || {
                *attempts.borrow_mut() += 1;
                let over = began.elapsed() >= Duration::from_secs(600);
                let refusal = NotifyError::Retryable { reason: "503".into(), after: Some(Duration::ZERO) };
                async move { if over { Ok(()) } else { Err(refusal) } }
            },
            |_, _| {},
        )
        .await;
        assert!(*attempts.borrow() < 100, "{attempts:?} in ten minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_until_it_is_delivered_and_honours_what_the_channel_asks_for() {
        let errors = RefCell::new(vec![
            NotifyError::Permanent { reason: "no such topic".into(), instead: "create it".into() },
            NotifyError::Retryable { reason: "throttled".into(), after: Some(Duration::from_secs(7)) },
        ]);
        let waits = RefCell::new(Vec::new());
        let attempts = until_delivered(
            RetryPolicy::DELIVERY,
            || {
                let next = errors.borrow_mut().pop();
                async move { next.map_or(Ok(3), Err) }
            },
            |_, wait| waits.borrow_mut().push(wait),
        )
        .await;
        assert_eq!(attempts, 3);
        assert_eq!(*waits.borrow(), [Duration::from_secs(7), RetryPolicy::DELIVERY.permanent]);
    }
}
