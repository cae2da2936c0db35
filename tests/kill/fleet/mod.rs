//! Three daemons over one pair of tables, killed, frozen, stopped and cut off while APIs flap: afterwards the told history is
//! the true one.
//!
//! `API_HEALTH_FLEET_ROUNDS` sets how many things are done to them; `API_HEALTH_KILL_SEED` chooses other chances.

mod line;
mod oracle;
mod oracle_tests;
mod rounds;
mod tables;
mod workers;

use rounds::Rounds;
use tables::Tables;

use crate::support::dynamodb_local;
use crate::support::moto::Moto;

/// One of each kind.
const ROUNDS: u64 = 6;

fn run(endpoint: &str) {
    let rounds = usize::try_from(crate::from_env("API_HEALTH_FLEET_ROUNDS", ROUNDS)).unwrap();
    Rounds::new(crate::seed(), |apis, url| Tables::new(endpoint, apis, url)).run(rounds);
}

#[test]
fn through_kills_freezes_and_cuts_three_daemons_on_moto_tell_the_true_history() {
    run(&Moto::shared().endpoint);
}

#[test]
fn through_kills_freezes_and_cuts_three_daemons_on_dynamodb_local_tell_the_true_history() {
    let Some(local) = dynamodb_local::shared() else { return }; // it said so
    run(&local.endpoint);
}
