//! How the actors run: what the settings and the command line decide.

use std::time::Duration;

use api_health_core::restart::RestartPolicy;

use crate::retry::RetryPolicy;

#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that probers are spread over; 0 runs everything on the calling thread, as simulated time needs.
    pub arbiters: usize,
    /// How often sources are read that cannot tell cheaply whether they changed.
    pub reload_every: Duration,
    /// How long a write may wait that changes no decision.
    pub checkpoint: Duration,
    /// How often the keeper writes a heartbeat; `None`: never.
    pub heartbeat: Option<Duration>,
    /// Each API at its own slot inside the tick.
    pub spread: bool,
    /// One turn of each API, and then no more.
    pub once: bool,
    /// Probe each API soon after the start, if its tick is open.
    pub probe_at_start: bool,
    /// Between the tries of a delivery.
    pub delivery: RetryPolicy,
    /// Between the lives of a prober.
    pub restart: RestartPolicy,
    /// Close the incidents of APIs that have a state and no row any more. Not where only some of the APIs are asked for, as on
    /// the command line.
    pub closes_unconfigured: bool,
    /// A thread of probers that has not moved for this long is stuck, and its probers move.
    pub stuck_after: Duration,
    /// An alert that the store holds up for 30 s is told anyway.
    pub fail_open: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arbiters: std::thread::available_parallelism().map_or(1, usize::from),
            reload_every: Duration::from_secs(60),
            checkpoint: Duration::from_secs(10),
            heartbeat: Some(Duration::from_secs(60)),
            spread: true,
            once: false,
            probe_at_start: true,
            delivery: RetryPolicy::DELIVERY,
            restart: RestartPolicy::default(),
            closes_unconfigured: true,
            stuck_after: Duration::from_secs(5),
            fail_open: true,
        }
    }
}
