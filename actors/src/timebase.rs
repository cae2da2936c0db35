//! The time on both clocks: the wall clock, and the uptime of the process.

use std::sync::Arc;

use api_health_core::Timestamp;
use api_health_core::schedule::Moment;
use tokio::time::Instant;

use crate::ports::Clock;

/// The wall clock, and the start of the process on tokio's clock, which is never set.
#[derive(Clone)]
pub struct TimeBase {
    clock: Arc<dyn Clock>,
    started: Instant,
}

impl TimeBase {
    /// Uptime counts from now.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, started: Instant::now() }
    }

    /// Now, on both clocks.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), uptime: self.started.elapsed() }
    }

    /// Now, on the wall clock.
    pub fn wall(&self) -> Timestamp {
        self.clock.now()
    }
}
