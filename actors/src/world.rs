//! What the program gives to the actors: the adapters of the ports, and how leases are held.

use std::sync::Arc;

use api_health_core::own::member::Member;

use crate::lease_clock::BootClock;
use crate::leases::Leases;
use crate::ports::{Clock, ConfigSource, HistoryStore, Notifier, Probe, StateStore, Witnesses};

pub struct World {
    pub probe: Arc<dyn Probe>,
    /// Who is asked whose fault a failure is.
    pub witnesses: Arc<dyn Witnesses>,
    pub store: Arc<dyn StateStore>,
    /// Where the past is kept for people; `None`: nowhere.
    pub history: Option<Arc<dyn HistoryStore>>,
    pub store_name: String,
    /// The name of this process as people see it: no two processes have the same.
    pub instance: String,
    /// The channels.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Where configs come from; the earlier one wins.
    pub sources: Vec<Arc<dyn ConfigSource>>,
    pub clock: Arc<dyn Clock>,
    /// How the store is shared with other workers; `None`: this process owns all of it by other means.
    pub leases: Option<LeaseParts>,
}

/// How leases are held in this process.
pub struct LeaseParts {
    /// The worker, before it has a session.
    pub member: Member,
    pub leases: Arc<dyn Leases>,
    /// The clock that they go by.
    pub now: BootClock,
    /// How many workers are expected to live; `None`: any number.
    pub expected: Option<usize>,
    /// This process ends if another worker lives.
    pub alone: bool,
}
