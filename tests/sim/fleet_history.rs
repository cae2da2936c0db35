//! What really happened in a world with several workers, besides the journal.

use std::time::Duration;

use api_health_actors::testkit::stage::Entry;

use crate::fleet_script::Cut;

/// What kept one process from working, or all of them.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Of which process; `None`: of all.
    pub(crate) process: Option<usize>,
    pub(crate) what: What,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Paused,
    Cut(Cut),
    /// The store fails for all.
    Store,
    /// It fails now and then, so the luck of one worker may last longer than a lease.
    FlakyStore,
    /// A channel fails for all.
    Channel(usize),
}

/// One life of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) worker: usize,
    pub(crate) began: Duration,
    /// When, and how.
    pub(crate) ended: Option<(Duration, &'static str)>,
    /// It was asked to leave then.
    pub(crate) asked_to_leave: Option<Duration>,
}

/// What really happened.
pub(crate) struct FleetHistory {
    pub(crate) journal: Vec<Entry>,
    pub(crate) panics: Vec<String>,
    /// By number; the first is none.
    pub(crate) processes: Vec<Process>,
    pub(crate) troubles: Vec<Trouble>,
}
