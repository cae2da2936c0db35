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

/// All threads that were started for the actors, so that they can be ended.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<Vec<Arbiter>>>);

/// Where an actor is started.
#[derive(Clone)]
pub enum Place {
    /// Beside whoever starts it, on the same thread.
    Here,
    /// On a thread of its own.
    On(ArbiterHandle),
}

/// One thread.
#[derive(Clone)]
pub struct Thread {
    /// To start actors on it.
    pub place: Place,
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
        Thread { place: Place::On(handle), moved_ms: Some(moved_ms) }
    }

    /// The caller's own thread.
    pub fn current() -> Thread {
        Thread { place: Place::Here, moved_ms: None }
    }

    /// Ends all threads, and whatever is on them.
    pub fn stop_all(&self) {
        for arbiter in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            arbiter.stop();
        }
    }
}

impl Place {
    /// Runs `start` there, soon. A thread that is gone drops it.
    pub fn spawn(&self, start: impl FnOnce() + Send + 'static) {
        match self {
            Self::Here => drop(actix_rt::spawn(async move { start() })),
            Self::On(thread) => drop(thread.spawn_fn(start)),
        }
    }

    /// Ends the thread, should it ever move again; the caller's own goes on.
    pub fn stop(&self) {
        if let Self::On(thread) = self {
            thread.stop();
        }
    }
}

impl Thread {
    /// How long it has not moved, at the uptime `now`.
    pub fn silent_for(&self, now: Duration) -> Duration {
        let moved = self.moved_ms.as_ref().map(|moved| Duration::from_millis(moved.load(Ordering::Relaxed)));
        moved.map_or(Duration::ZERO, |moved| now.saturating_sub(moved))
    }
}

fn uptime_ms(time: &TimeBase) -> u64 {
    u64::try_from(time.moment().uptime.as_millis()).unwrap_or(u64::MAX)
}
