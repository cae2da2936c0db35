//! The queues of writes, looked at from inside.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use api_health_core::{ApiId, ApiState};

use super::Writing;
use crate::alerter::{Attempt, DeliverAlert};
use crate::state_keeper::{Carried, KeeperOptions, StateKeeper};
use crate::stats::Stats;
use crate::testkit::store::MemoryStore;
use crate::testkit::{VirtualClock, in_virtual_time};
use crate::timebase::TimeBase;

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<DeliverAlert> for Nobody {
    type Result = ResponseFuture<Attempt>;

    fn handle(&mut self, _: DeliverAlert, _: &mut Self::Context) -> Self::Result {
        Box::pin(std::future::pending())
    }
}

fn keeper(ids: &[ApiId]) -> StateKeeper {
    let options = KeeperOptions {
        checkpoint: Duration::from_secs(86_400),
        channels: Vec::new(),
        instance: "here".into(),
        store_name: "memory".into(),
        heeds_waits: false,
        heartbeat: None,
        once: false,
        spread: true,
    };
    let states = ids.iter().cloned().map(ApiState::unknown).collect();
    let time = TimeBase::new(Arc::new(VirtualClock::suspended()));
    let store = Arc::new(MemoryStore::default());
    let nobody = Nobody.start().recipient();
    StateKeeper::new(store, nobody, time, Arc::new(Stats::default()), Carried::loaded(states, true), options)
}

#[test]
fn an_api_waits_for_one_checkpoint_at_a_time_however_often_it_is_written_before() {
    in_virtual_time(async {
        let ids = ["a", "b", "c"].map(|id| ApiId::parse(id).unwrap());
        let mut keeper = keeper(&ids);
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            for api_id in &ids {
                keeper.write_at_checkpoint(api_id);
                keeper.write_at_checkpoint(api_id);
            }
            assert_eq!(keeper.lazy.len(), ids.len());
            // It flips: that is written at once.
            keeper.queue_write(&ids[0]);
            assert_eq!((keeper.lazy.len(), keeper.queue.pop_front()), (ids.len() - 1, Some(ids[0].clone())));
            keeper.entries.get_mut(&ids[0]).unwrap().stored();
        }
        tokio::time::sleep(Duration::from_secs(86_401)).await;
        keeper.queue_what_is_due();
        assert_eq!((keeper.lazy.len(), keeper.queue.len()), (0, 2));
        assert!(ids[1..].iter().all(|id| keeper.entries[id].writing == Writing::Queued));
    });
}
