//! Alerts of our own side: the network and the clock of this worker.
//!
//! Each worker has a record of its own for either, in the first of its shards. Who inherits one that is open has it ended
//! when its own side is well.

use std::collections::BTreeSet;

use super::Keeper;
use super::self_monitoring::SelfMonitored;
use crate::api::ApiId;
use crate::outcome::Verdict;
use crate::schedule::Moment;

/// A part of our own side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnSideKind {
    /// The network, and the lookup of names.
    Network,
    Clock,
}

/// What is known of our own side.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnSide {
    /// The records that are down which explain why nothing can be judged: those of networks, clocks and the capacity.
    pub(super) open: BTreeSet<ApiId>,
    /// Whether network and clock were well when that was heard last.
    is_well: [bool; 2],
    /// Whether the machine carried what is configured when that was heard last.
    pub(super) has_capacity: bool,
}

impl OwnSideKind {
    /// Whether this is the record of such a part of some worker.
    fn is_of(self, api_id: &ApiId) -> bool {
        api_id.shard_of_worker().is_some_and(|shard| SelfMonitored::own_side(self, shard, "").api_id == *api_id)
    }
}

impl Keeper {
    /// What is at fault of our own side, in words; `None`: nothing.
    pub fn on_own_side_status(&mut self, kind: OwnSideKind, fault: Option<String>, now: Moment) {
        self.own_side.is_well[kind as usize] = fault.is_none();
        let Some(fault) = fault else { return self.close_what_is_well(now) };
        let is_alerted = self.own_side.open.iter().any(|api_id| kind.is_of(api_id));
        let Some(shard) = self.owned.first().filter(|_| !is_alerted) else { return };
        let fault = format!("{fault}; {}", self.count_of_unclear());
        self.decide_own_side(kind, shard.number(), Some(fault), now);
    }

    /// Tells as over what is open of what is well here.
    pub(super) fn close_what_is_well(&mut self, now: Moment) {
        if self.own_side.has_capacity && self.own_side.open.contains(&ApiId::monitor_capacity()) {
            self.on_capacity_status(None, now);
        }
        for kind in [OwnSideKind::Network, OwnSideKind::Clock] {
            if !self.own_side.is_well[kind as usize] {
                continue;
            }
            let open: Vec<u16> = (self.own_side.open.iter())
                .filter(|api_id| kind.is_of(api_id))
                .filter_map(ApiId::shard_of_worker)
                .collect();
            for shard in open {
                self.decide_own_side(kind, shard, None, now);
            }
        }
    }

    fn decide_own_side(&mut self, kind: OwnSideKind, shard: u16, fault: Option<String>, now: Moment) {
        let host = self.setup.instance.split(':').next().unwrap_or_default().to_owned();
        let mut what = SelfMonitored::own_side(kind, shard, &host);
        // The end of what another worker alerted is that of its own network.
        let inherited = self.ledger.get(&what.api_id).and_then(|entry| entry.state.incident.as_ref());
        if let Some(incident) = inherited.filter(|_| fault.is_none()) {
            what.name.clone_from(&incident.name);
        }
        self.decide_about(&what, fault, now, now.wall);
        self.note_open_or_ended(&what.api_id);
    }

    /// A record of the monitor's own is down, as it was stored.
    pub(super) fn note_open(&mut self, api_id: &ApiId) {
        if let Some(unclear) = api_id.unclear_api() {
            self.unclear.note_alerted(unclear);
        } else if let Some(api_id) = api_id.certificate_api() {
            self.certificates.insert(api_id);
        } else if api_id.shard_of_worker().is_some() || *api_id == ApiId::monitor_capacity() {
            self.own_side.open.insert(api_id.clone());
        }
    }

    pub(super) fn note_open_or_ended(&mut self, api_id: &ApiId) {
        if self.has_incident(api_id) {
            self.note_open(api_id);
        } else if let Some(unclear) = api_id.unclear_api() {
            self.unclear.forget(&unclear);
        } else if let Some(api_id) = api_id.certificate_api() {
            self.certificates.remove(&api_id);
        } else {
            self.own_side.open.remove(api_id);
        }
    }

    /// `3 of 5 APIs cannot be judged`.
    fn count_of_unclear(&self) -> String {
        let (mut unclear, mut all) = (0_usize, 0_usize);
        for (_, entry) in self.watched() {
            all += 1;
            let last = entry.state.last_probe.as_ref();
            unclear += usize::from(last.is_some_and(|probe| probe.verdict == Verdict::Inconclusive));
        }
        format!("{unclear} of {all} APIs cannot be judged so far")
    }
}
