//! The time on both clocks: the wall clock, and the monotonic clock of the process.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::schedule::Moment;
use api_health_core::time::Monotonic;
use tokio::time::Instant;

use crate::ports::Clock;

/// The wall clock, and the start of the process on tokio's clock, which is never set.
#[derive(Clone)]
pub struct TimeBase {
    clock: Arc<dyn Clock>,
    started: Instant,
    /// How long the machine had been suspended by then.
    suspended_before: Duration,
}

impl TimeBase {
    /// Monotonic time counts from now.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let suspended_before = clock.suspended();
        Self { clock, started: Instant::now(), suspended_before }
    }

    /// Now, on both clocks.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), monotonic: self.monotonic() }
    }

    /// How long this process has been there, time included in which the machine was suspended: so a schedule goes on where it should
    /// be, and what was slept through is missed. Waiting does not count that time.
    pub fn monotonic(&self) -> Monotonic {
        self.started.elapsed().saturating_add(self.suspended())
    }

    /// How long the machine was suspended since the start.
    pub fn suspended(&self) -> Duration {
        self.clock.suspended().saturating_sub(self.suspended_before)
    }

    /// Now, on the wall clock.
    pub fn wall(&self) -> Timestamp {
        self.clock.now()
    }
}
