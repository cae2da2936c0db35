//! The records of the workers, as a command sees them.

use std::collections::BTreeMap;

use api_health_actors::leases::Leases;
use api_health_actors::ports::StoreError;
use api_health_core::own::fleet::View;
use api_health_core::own::records::{Assignment, Key, LeaseRecord, WorkerId, WorkerRecord};
use api_health_core::own::shards::Shard;

use crate::app::App;
use crate::environment;
use crate::worker::Identity;

/// All of them at about one moment.
#[derive(Debug, Default)]
pub(in crate::cli) struct Sight {
    /// Who owns what; `None`: no worker has used the table yet.
    pub(in crate::cli) assignment: Option<Assignment>,
    /// The workers that it names.
    pub(in crate::cli) workers: BTreeMap<WorkerId, WorkerRecord>,
}

impl Sight {
    /// Reads them.
    ///
    /// # Errors
    /// The table does not answer, or holds a record that cannot be read.
    pub(in crate::cli) async fn read(leases: &dyn Leases) -> Result<Self, StoreError> {
        let mut sight = Self::default();
        for record in leases.read(vec![Key::Assignment]).await? {
            sight.take(record);
        }
        let named = sight.assignment.iter().flat_map(|assignment| &assignment.workers);
        let keys = named.cloned().map(Key::Worker).collect();
        for record in leases.read(keys).await? {
            sight.take(record);
        }
        Ok(sight)
    }

    fn take(&mut self, record: LeaseRecord) {
        match record {
            LeaseRecord::Assignment(record) => self.assignment = Some(*record),
            LeaseRecord::Worker(record) => drop(self.workers.insert(record.id.clone(), *record)),
        }
    }

    /// Those whose records say that they live.
    pub(in crate::cli) fn live(&self) -> BTreeMap<WorkerId, WorkerRecord> {
        let live = self.workers.iter().filter(|(_, record)| record.is_live());
        live.map(|(id, record)| (id.clone(), record.clone())).collect()
    }

    /// The same, without the last process of this machine: where its name is free it is dead for certain, whatever its record says.
    pub(in crate::cli) fn live_beside(&self, app: &App) -> BTreeMap<WorkerId, WorkerRecord> {
        let own = Identity::find(&app.settings.store.state_table, &environment::get);
        let mut live = self.live();
        live.retain(|id, _| !own.former_life_is_dead || *id != own.id);
        live
    }

    /// The shards of the present session of a worker, with their epochs.
    pub(super) fn owned_by(&self, record: &WorkerRecord) -> BTreeMap<Shard, u64> {
        let assignment = self.assignment.as_ref().filter(|_| record.is_live());
        assignment.map(|assignment| assignment.owned_by(&record.session())).unwrap_or_default()
    }

    /// The shards of nobody who lives.
    pub(super) fn free(&self) -> Vec<Shard> {
        let live = self.live();
        let free = |assignment| View { assignment, live: &live }.free().collect();
        self.assignment.as_ref().map(free).unwrap_or_default()
    }
}
