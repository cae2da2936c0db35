//! Numbers of supervision that several modules use.

use std::time::Duration;

/// How overdue a prober has to be before it counts as hung. A machine that is short of CPU for this long has other problems than one
/// prober.
pub const SLACK: Duration = Duration::from_secs(15);

/// Probers are restarted at this rate at most, all together: a death and a start cost far more than a probe.
pub const RESTARTS_PER_SECOND: u32 = 200;
