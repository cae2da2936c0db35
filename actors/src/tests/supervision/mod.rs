//! Deaths: one test for each place where a child can fail, and for what follows.
//!
//! | who | where it fails | test |
//! |---|---|---|
//! | prober | factory, started, probe future, judging, timer callback, message, destructor | [`probers`]`::a_panic_anywhere_costs_one_restart_…` |
//! | | it hangs: with a closed ear (`ctx.wait`), in a probe that never ends | `::a_prober_that_no_longer_moves_…` |
//! | | again and again | `::one_that_dies_too_often_…`, `::a_changed_row_…`, `::a_life_that_lasts_…` |
//! | | a thousand at once | `::a_storm_of_deaths_…` |
//! | outcome batcher | message, timer, destructor, its factory's thread | [`chain`]`::whoever_dies_…`, [`threads`] |
//! | keeper | message, timer, destructor, in `commit` | `::whoever_dies_…`, `::a_keeper_that_dies_in_a_write_…` |
//! | | and the store cannot be read | `::a_keeper_that_cannot_be_read_…` |
//! | alerter | message, timer, destructor | `::whoever_dies_…`, `::an_alert_owed_and_unstored_…` |
//! | | a notifier that panics | `alerts::a_notifier_that_panics_has_not_delivered` |
//! | each of these | past its intensity | [`ends`]`::past_the_intensity_…` |
//! | supervisor | anywhere | `::the_death_of_the_supervisor_…` |
//! | a source of configs | it panics | [`chain`]`::a_source_that_panics_…` |
//! | thread | it ends: of probers, of the keeper, of the alerter | [`threads`]`::a_thread_that_ends_…` |
//! | | it is stuck: of probers, then a second one; of the keeper | `::a_stuck_thread_…` |

mod chain;
mod ends;
mod probers;
mod threads;

use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::schedule::Slot;

use crate::supervisor::ChildId;
use crate::system::Running;
use crate::testkit::{WORLD_BEGINS, api};
use crate::tests::injected_fault::{InjectedFault, Whom, inject};

const ALERTER: Whom = Whom::Child(ChildId::Alerter);
const KEEPER: Whom = Whom::Child(ChildId::Keeper);
const OUTCOME_BATCHER: Whom = Whom::Child(ChildId::Batcher(0));

fn prober(id: &str) -> Whom {
    Whom::prober(id)
}

/// Waits in small steps until `is_so`, for a long time.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// Injects a fault to somebody who may be in a restart just now.
async fn give(running: &Running, whom: Whom, fault: InjectedFault) {
    for _ in 0..6_000 {
        if inject(running, whom.clone(), fault.clone()).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{whom:?} is not there");
}

fn gaps_ms(times: &[Timestamp]) -> Vec<u128> {
    times.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect()
}

/// Whether an API with one probe in 10 s was probed at its slot.
fn is_at_slot(id: &str, at: Timestamp) -> bool {
    let slot = Slot::of(&api(id, 10).api_id).within(Duration::from_secs(10)).as_millis();
    (at.since(WORLD_BEGINS).as_millis() % 10_000).abs_diff(slot) <= 2
}
