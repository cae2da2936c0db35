//! The present on both clocks, and a due time on one of them.

use std::time::Duration;

use crate::time::{Monotonic, Timestamp};

/// A moment on both clocks, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub wall: Timestamp,
    /// Time since the process started, on a clock that is never set.
    pub monotonic: Monotonic,
}

/// A due time on the clock that its schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// On the wall clock.
    Wall(Timestamp),
    /// On the clock that is never set.
    Monotonic(Monotonic),
}

impl Due {
    /// How long it is from `now` until then; zero if it is past.
    pub fn wait(self, now: Moment) -> Duration {
        match self {
            Self::Wall(at) => at.since(now.wall),
            Self::Monotonic(at) => at.saturating_sub(now.monotonic),
        }
    }

    /// `now`, with the clock of this due time set back to it.
    pub fn moment(self, now: Moment) -> Moment {
        match self {
            Self::Wall(wall) => Moment { wall, ..now },
            Self::Monotonic(monotonic) => Moment { monotonic, ..now },
        }
    }

    /// How late `now` is; zero if it is not due yet.
    pub fn lateness(self, now: Moment) -> Duration {
        match self {
            Self::Wall(at) => now.wall.since(at),
            Self::Monotonic(at) => now.monotonic.saturating_sub(at),
        }
    }
}
