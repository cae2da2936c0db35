//! Arbiters: threads with actors on them, and the beat by which a stuck one is noticed.
//!
//! Nothing can end a thread that is blocked. It is left behind, told to end should it ever move again, and what lived on
//! it lives on a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;

use crate::timebase::TimeBase;

/// How often a thread says that it moves.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// A thread to start actors on. Dropping it ends it, and whatever is on it.
pub struct Thread {
    /// `None`: beside whoever starts it, on the same thread, which goes on.
    arbiter: Option<Arbiter>,
    /// When it moved last, in milliseconds of monotonic time. The caller's own thread cannot watch itself.
    moved_ms: Arc<AtomicU64>,
}

impl Thread {
    /// The caller's own.
    pub fn current() -> Self {
        Self { arbiter: None, moved_ms: Arc::default() }
    }

    /// A new thread that beats.
    ///
    /// # Panics
    /// If the system gives no more threads. That ends the supervisor, and with it the process.
    pub fn start(time: &TimeBase) -> Self {
        let arbiter = Arbiter::new();
        let moved_ms = Arc::new(AtomicU64::new(monotonic_ms(time)));
        let (time, beat) = (time.clone(), Arc::clone(&moved_ms));
        arbiter.spawn(async move {
            loop {
                beat.store(monotonic_ms(&time), Ordering::Relaxed);
                tokio::time::sleep(BEAT_EVERY).await;
            }
        });
        Self { arbiter: Some(arbiter), moved_ms }
    }

    /// Runs `start` there, soon. A thread that is gone drops it.
    pub fn spawn(&self, start: impl FnOnce() + Send + 'static) {
        match &self.arbiter {
            None => drop(actix_rt::spawn(async move { start() })),
            Some(thread) => drop(thread.spawn_fn(start)),
        }
    }

    /// How long it has not moved, at the monotonic time `now`.
    pub fn silent_for(&self, now: Duration) -> Duration {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        if self.arbiter.is_some() { now.saturating_sub(moved) } else { Duration::ZERO }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = &self.arbiter {
            thread.stop();
        }
    }
}

fn monotonic_ms(time: &TimeBase) -> u64 {
    u64::try_from(time.moment().monotonic.as_millis()).unwrap_or(u64::MAX)
}
