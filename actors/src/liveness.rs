//! The liveness of a prober: by when it will be heard of again, and from where its next life goes on.
//!
//! A prober that hangs answers nothing and dies of nothing. So it says, before each wait, by when to expect it; its
//! supervisor looks at that, and replaces whoever is overdue. That costs a store into an atomic, and no message. The resume
//! point lies here too, since a life that was cut cannot hand anything over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// When the last outcome was found, in uptime.
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
    /// Uptime in milliseconds.
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

    /// It does nothing until this uptime, and is heard of then.
    pub fn idle_until(&self, due: Duration) {
        self.due_ms.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.expect_by(due);
    }

    /// Whether a probe is due or under way at the uptime `now`.
    pub fn is_due(&self, now: Duration) -> bool {
        now.as_millis() >= u128::from(self.due_ms.load(Ordering::Relaxed))
    }

    /// It will be heard of by this uptime, give or take [`SLACK`].
    pub fn expect_by(&self, by: Duration) {
        let by = by.saturating_add(SLACK).as_millis();
        self.expected_by_ms.store(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nothing is due any more, ever.
    pub fn expect_nothing(&self) {
        self.expected_by_ms.store(u64::MAX, Ordering::Relaxed);
        self.due_ms.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether it should have been heard of by the uptime `now`, and was not.
    pub fn is_overdue(&self, now: Duration) -> bool {
        now.as_millis() > u128::from(self.expected_by_ms.load(Ordering::Relaxed))
    }

    /// A probe begins, for the tick `scheduled_for`.
    pub fn begins(&self, scheduled_for: Moment) {
        let mut resume = self.lock();
        resume.counted_until = scheduled_for;
        resume.is_acknowledged = false;
    }

    /// The schedule changed: ticks up to `now` are not counted as missed.
    pub fn counted_until(&self, now: Moment) {
        self.lock().counted_until = now;
    }

    /// There is an outcome; missed ticks are counted up to `now`.
    pub fn probed(&self, now: Moment) {
        let mut resume = self.lock();
        resume.counted_until = now;
        resume.probed_at = Some(now.uptime);
    }

    /// The keeper has acknowledged the outcome, and wants no recheck before the next tick.
    pub fn acknowledged(&self) {
        self.lock().is_acknowledged = true;
    }

    /// More ticks were missed.
    pub fn missed(&self, ticks: u64) {
        let mut resume = self.lock();
        resume.missed = resume.missed.saturating_add(ticks);
    }

    /// The keeper knows of so many of the missed ticks.
    pub fn reported(&self, ticks: u64) {
        let mut resume = self.lock();
        resume.missed = resume.missed.saturating_sub(ticks);
    }

    /// Its turn in the round is over.
    pub fn end_round_turn(&self) {
        self.lock().ticket = None;
    }

    /// Its first outcome is waited for.
    pub fn is_in_round(&self) -> bool {
        self.lock().ticket.is_some()
    }

    /// Missed ticks that the keeper does not know of yet.
    pub fn missed_so_far(&self) -> u64 {
        self.lock().missed
    }

    /// When the last outcome was found, in uptime.
    pub fn probed_at(&self) -> Option<Duration> {
        self.lock().probed_at
    }

    /// This life is over: where the next one goes on.
    pub fn take_resume_point(&self) -> ResumePoint {
        let mut resume = self.lock();
        ResumePoint { ticket: resume.ticket.take(), ..*resume }
    }

    fn lock(&self) -> MutexGuard<'_, ResumePoint> {
        self.resume.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_overdue_before_the_slack_is_over() {
        let now = Moment { wall: api_health_core::Timestamp::default(), uptime: Duration::from_secs(100) };
        let liveness = Liveness::new(ResumePoint::nothing(now), now.uptime);
        assert!(!liveness.is_overdue(now.uptime + SLACK));
        assert!(liveness.is_overdue(now.uptime + SLACK + Duration::from_millis(1)));
        assert!(liveness.is_due(now.uptime));
        liveness.idle_until(Duration::from_secs(500));
        assert!(!liveness.is_due(Duration::from_millis(499_999)) && liveness.is_due(Duration::from_secs(500)));
        assert!(!liveness.is_overdue(Duration::from_secs(500)));
        liveness.expect_nothing();
        assert!(!liveness.is_overdue(Duration::from_secs(1_000_000_000)));
    }
}
