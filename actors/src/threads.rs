//! Arbiters: threads with actors on them, and the beat by which a stuck one is noticed.
//!
//! Nothing can end a thread that is blocked. It is left behind, told to end should it ever move again, and what lived on
//! it lives on a new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};

use crate::timebase::TimeBase;

/// How often a thread says that it moves.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// All threads that were started for the actors, so that they can be ended together.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<Vec<Arbiter>>>);

/// A thread to start actors on.
#[derive(Clone)]
pub struct Thread {
    /// `None`: beside whoever starts it, on the same thread.
    arbiter: Option<ArbiterHandle>,
    /// When it moved last, in milliseconds of uptime; `None` for the caller's own thread, which cannot watch itself.
    moved_ms: Option<Arc<AtomicU64>>,
}

impl Threads {
    /// A new thread that beats.
    ///
    /// # Panics
    /// If the system gives no more threads. That ends the supervisor, and with it the process.
    pub fn start(&self, time: &TimeBase) -> Thread {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        let mut arbiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arbiters.retain(Arbiter::alive);
        arbiters.push(arbiter);
        drop(arbiters);
        let moved_ms = Arc::new(AtomicU64::new(uptime_ms(time)));
        let (time, beat) = (time.clone(), Arc::clone(&moved_ms));
        handle.spawn(async move {
            loop {
                beat.store(uptime_ms(&time), Ordering::Relaxed);
                tokio::time::sleep(BEAT_EVERY).await;
            }
        });
        Thread { arbiter: Some(handle), moved_ms: Some(moved_ms) }
    }

    /// Ends all threads, and whatever is on them.
    pub fn stop_all(&self) {
        for arbiter in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            arbiter.stop();
        }
    }
}

impl Thread {
    /// The caller's own.
    pub const CURRENT: Self = Self { arbiter: None, moved_ms: None };

    /// Runs `start` there, soon. A thread that is gone drops it.
    pub fn spawn(&self, start: impl FnOnce() + Send + 'static) {
        match &self.arbiter {
            None => drop(actix_rt::spawn(async move { start() })),
            Some(thread) => drop(thread.spawn_fn(start)),
        }
    }

    /// Ends the thread, should it ever move again; the caller's own goes on.
    pub fn stop(&self) {
        if let Some(thread) = &self.arbiter {
            thread.stop();
        }
    }

    /// How long it has not moved, at the uptime `now`.
    pub fn silent_for(&self, now: Duration) -> Duration {
        let moved = self.moved_ms.as_ref().map(|moved| Duration::from_millis(moved.load(Ordering::Relaxed)));
        moved.map_or(Duration::ZERO, |moved| now.saturating_sub(moved))
    }
}

fn uptime_ms(time: &TimeBase) -> u64 {
    u64::try_from(time.moment().uptime.as_millis()).unwrap_or(u64::MAX)
}
