//! The only reader of the system's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api_health_actors::ports::Clock;
use api_health_core::Timestamp;

/// The wall clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_millis(millis)
    }

    fn suspended(&self) -> Duration {
        since_boot().saturating_sub(clock_time(rustix::time::ClockId::Monotonic))
    }
}

/// The time since the machine was started, suspension included: what leases are measured by. A worker that slept past its
/// deadline must wake up knowing that.
pub fn since_boot() -> Duration {
    clock_time(rustix::time::ClockId::Boottime)
}

fn clock_time(clock: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}
