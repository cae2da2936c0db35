//! Figures of supervision that more than one place goes by.

use std::time::Duration;

/// How much later than promised a prober may be heard of before it counts as hung: a machine that is short of CPU for so
/// long is short of more than this prober.
pub const SLACK: Duration = Duration::from_secs(15);

/// Probers that died are started again at this rate at most, over all: a death and a start cost far more than a probe.
pub const RESTARTS_PER_SECOND: u32 = 200;
