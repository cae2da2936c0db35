//! The wall clock of a simulation, which can be set, and the time of its world, which cannot.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::Timestamp;
use tokio::task;
use tokio::time::Instant;

use super::lock;
use crate::ports::Clock;

/// When the simulated world begins.
pub const WORLD_BEGINS: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A start in 2026, plus tokio's time since the clock was made, plus whatever it was set by.
///
/// A world outlives the runtime that a program runs in: [`Self::suspend`] and [`Self::resume`] carry its time over.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    inner: Arc<Mutex<Inner>>,
    wall: Arc<Mutex<Wall>>,
    /// How long the machine was suspended, in all.
    suspended: Arc<Mutex<Duration>>,
    trap: Arc<Mutex<Trap>>,
}

/// Who panics when they look at the clock: it is the one port that an actor touches wherever it is.
#[derive(Debug, Default)]
struct Trap {
    /// Tasks that have looked, once somebody wants to know.
    known: Option<HashSet<task::Id>>,
    /// Looks of other tasks until one panics; 0: none does.
    new_looks: u32,
    next: bool,
}

impl Trap {
    fn springs(&mut self) -> bool {
        if std::mem::take(&mut self.next) {
            return true;
        }
        let (Some(known), Some(task)) = (&mut self.known, task::try_id()) else { return false };
        if !known.insert(task) || self.new_looks == 0 {
            return false;
        }
        self.new_looks -= 1;
        self.new_looks == 0
    }
}

/// The wall clock of one machine.
#[derive(Debug, Default)]
struct Wall {
    set_by_ms: i64,
    /// It gains so much on the time of the world.
    gains_ppm: i64,
}

#[derive(Debug)]
struct Inner {
    /// What passed before `since`.
    passed: Duration,
    /// Since when tokio's time counts; `None` between two runtimes.
    since: Option<Instant>,
}

impl VirtualClock {
    /// A clock that shows [`WORLD_BEGINS`] now.
    pub fn new() -> Self {
        Self::since(Some(Instant::now()))
    }

    /// A clock that stands at [`WORLD_BEGINS`] until it is resumed.
    pub fn suspended() -> Self {
        Self::since(None)
    }

    fn since(since: Option<Instant>) -> Self {
        let inner = Arc::new(Mutex::new(Inner { passed: Duration::ZERO, since }));
        Self { inner, wall: Arc::default(), suspended: Arc::default(), trap: Arc::default() }
    }

    /// The clock of another machine in the same world, which is ahead by so much and gains so much.
    #[must_use]
    pub fn beside(&self, ahead_ms: i64, gains_ppm: i64) -> Self {
        let wall = Wall { set_by_ms: ahead_ms, gains_ppm };
        let inner = Arc::clone(&self.inner);
        Self { inner, wall: Arc::new(Mutex::new(wall)), suspended: Arc::default(), trap: Arc::default() }
    }

    /// The time since the world began, which nobody can set.
    pub fn elapsed(&self) -> Duration {
        let inner = lock(&self.inner);
        inner.passed + inner.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sets the wall clock forward, or back where negative.
    pub fn step(&self, millis: i64) {
        lock(&self.wall).set_by_ms += millis;
    }

    /// The machine sleeps for so long just now: the wall clock has moved on when it wakes, and what waits has not.
    pub fn suspend_machine(&self, span: Duration) {
        *lock(&self.suspended) += span;
        self.step(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    }

    /// Stops counting: the runtime ends.
    pub fn suspend(&self) {
        let passed = self.elapsed();
        let mut inner = lock(&self.inner);
        inner.passed = passed;
        inner.since = None;
    }

    /// Counts on, after so much time without a program, by the time of the runtime that this is called in.
    pub fn resume(&self, after: Duration) {
        let mut inner = lock(&self.inner);
        inner.passed += after;
        inner.since = Some(Instant::now());
    }

    /// Whoever looks next panics.
    pub fn panic_next(&self) {
        lock(&self.trap).next = true;
    }

    /// Notes from now on which tasks look.
    pub fn note_tasks(&self) {
        lock(&self.trap).known = Some(HashSet::new());
    }

    /// The `nth` task that was not noted before panics when it looks.
    pub fn panic_in_new_task(&self, nth: u32) {
        lock(&self.trap).new_looks = nth;
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn suspended(&self) -> Duration {
        *lock(&self.suspended)
    }

    fn now(&self) -> Timestamp {
        let springs = lock(&self.trap).springs();
        assert!(!springs, "planted in the clock");
        let elapsed = self.elapsed();
        let Wall { set_by_ms, gains_ppm } = *lock(&self.wall);
        let gained_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX).saturating_mul(gains_ppm) / 1_000_000;
        let shown = WORLD_BEGINS.plus(elapsed);
        Timestamp::from_millis(shown.as_millis().saturating_add(set_by_ms).saturating_add(gained_ms))
    }
}
