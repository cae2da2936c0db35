//! How the actors run, by the settings and the command line.

use std::collections::HashMap;
use std::time::Duration;

use api_health_core::restart::RestartPolicy;

#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that probers are spread over; 0 runs everything on the calling thread, as simulated time needs.
    pub prober_threads: usize,
    /// How often a source without a revision is read.
    pub reload_every: Duration,
    /// The longest that a write may wait if it changes no decision.
    pub checkpoint: Duration,
    /// How often the keeper writes a heartbeat; `None`: never.
    pub heartbeat: Option<Duration>,
    /// Each API is probed at its own slot inside the tick, instead of all at once.
    pub spread: bool,
    /// `run --once`: each API is probed until nothing is suspect, and then no more.
    pub once: bool,
    /// Probe each API soon after the start, if its tick is open.
    pub probe_at_start: bool,
    /// More alerts than this within seconds go out together, where a channel takes that; 0: never.
    pub digest_above: usize,
    /// By channel: alerts of APIs with one of these tags go there. A channel that is not here takes those of every API.
    pub tags_of_channels: HashMap<String, Vec<String>>,
    /// Between the lives of a prober.
    pub restart: RestartPolicy,
    /// Close the incidents of APIs that have a stored state and no config. Not where only some APIs are selected, as on the command
    /// line.
    pub closes_unconfigured: bool,
    /// A thread of probers that has not moved for this long is stuck, and its probers move.
    pub stuck_after: Duration,
    /// An alert that could not be stored for 30 s is sent anyway.
    pub fail_open: bool,
    /// How often the present day of each API goes to where history is kept.
    pub history_flush: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prober_threads: std::thread::available_parallelism().map_or(1, usize::from),
            reload_every: Duration::from_secs(60),
            checkpoint: Duration::from_secs(10),
            heartbeat: Some(Duration::from_secs(60)),
            spread: true,
            once: false,
            probe_at_start: true,
            digest_above: 0,
            tags_of_channels: HashMap::new(),
            restart: RestartPolicy::default(),
            closes_unconfigured: true,
            stuck_after: Duration::from_secs(5),
            fail_open: true,
            history_flush: Duration::from_secs(300),
        }
    }
}
