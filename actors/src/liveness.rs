//! The liveness of a prober: by when it will be heard of again, and from where its next life goes on.
//!
//! A prober that hangs answers nothing and dies of nothing. So it says, before each wait, by when to expect it; its
//! supervisor looks at that, and replaces whoever is overdue. That costs a store into an atomic, and no message. The resume
//! point lies here too, since a life that was cut cannot hand anything over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api_health_core::schedule::Moment;

pub use api_health_core::supervise::SLACK;

use crate::round::RoundTicket;

/// Where the next life of a prober goes on.
#[derive(Debug)]
pub struct ResumePoint {
    /// Ticks up to here were served or counted as missed.
    pub counted_until: Moment,
    /// The last outcome was handed over and answered, and nothing is to be asked before the next tick.
    pub is_acknowledged: bool,
    /// When the last outcome was found, in monotonic time.
    pub probed_at: Option<Duration>,
    /// Missed ticks that the keeper does not know of yet.
    pub missed: u64,
    /// While its first outcome is waited for. A prober that is moved takes it along.
    pub ticket: Option<RoundTicket>,
}

impl ResumePoint {
    /// Before the first life.
    pub fn nothing(now: Moment) -> Self {
        Self { counted_until: now, is_acknowledged: false, probed_at: None, missed: 0, ticket: None }
    }
}

/// Shared by one life of a prober, which writes, and its supervisor, which reads.
#[derive(Debug)]
pub struct Liveness {
    /// Monotonic time in milliseconds.
    expected_by_ms: AtomicU64,
    /// When the next probe is due, in the same; past while one is under way.
    due_ms: AtomicU64,
    resume: Mutex<ResumePoint>,
}

impl Liveness {
    /// A life that is heard of soon after `now`.
    pub fn new(resume: ResumePoint, now: Duration) -> Self {
        let liveness =
            Self { expected_by_ms: AtomicU64::new(0), due_ms: AtomicU64::new(0), resume: Mutex::new(resume) };
        liveness.idle_until(now);
        liveness
    }

    /// It does nothing until this monotonic time, and is heard of then.
    pub fn idle_until(&self, due: Duration) {
        self.due_ms.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.expect_by(due);
    }

    /// Whether a probe is due or under way at the monotonic time `now`.
    pub fn is_due(&self, now: Duration) -> bool {
        now.as_millis() >= u128::from(self.due_ms.load(Ordering::Relaxed))
    }

    /// It will be heard of by this monotonic time, give or take [`SLACK`].
    pub fn expect_by(&self, by: Duration) {
        let by = by.saturating_add(SLACK).as_millis();
        self.expected_by_ms.store(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nothing is due any more, ever.
    pub fn expect_nothing(&self) {
        self.expected_by_ms.store(u64::MAX, Ordering::Relaxed);
        self.due_ms.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether it should have been heard of by the monotonic time `now`, and was not.
    pub fn is_overdue(&self, now: Duration) -> bool {
        now.as_millis() > u128::from(self.expected_by_ms.load(Ordering::Relaxed))
    }

    /// Reads or changes what the next life goes on from.
    pub fn with<T>(&self, change: impl FnOnce(&mut ResumePoint) -> T) -> T {
        change(&mut self.resume.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_overdue_before_the_slack_is_over() {
        let now = Moment { wall: api_health_core::Timestamp::default(), monotonic: Duration::from_secs(100) };
        let liveness = Liveness::new(ResumePoint::nothing(now), now.monotonic);
        assert!(!liveness.is_overdue(now.monotonic + SLACK));
        assert!(liveness.is_overdue(now.monotonic + SLACK + Duration::from_millis(1)));
        assert!(liveness.is_due(now.monotonic));
        liveness.idle_until(Duration::from_secs(500));
        assert!(!liveness.is_due(Duration::from_millis(499_999)) && liveness.is_due(Duration::from_secs(500)));
        assert!(!liveness.is_overdue(Duration::from_secs(500)));
        liveness.expect_nothing();
        assert!(!liveness.is_overdue(Duration::from_secs(1_000_000_000)));
    }
}
