//! Ring 2 of api-health: concurrency. Who runs when, and who owns what.
//!
//! Here are the actors and the [`ports`] through which they touch the world. Nothing here knows HTTP, SQL or AWS: an
//! adapter in `src/` does.
//!
//! | actor | how many | owns | sends to |
//! |---|---|---|---|
//! | [`supervisor`] | 1 | which probers run, the config sources | probers: a new config, stop |
//! | [`prober`] | one per API, spread over one arbiter per core | when it is due | its courier: an outcome |
//! | [`courier`] | one per arbiter of probers | outcomes on their way | keeper: outcomes, several at once |
//! | [`state_keeper`] | 1, on its own arbiter | every state, the store | alerter: an owed alert |
//! | [`alerter`] | 1, on its own arbiter | the notifiers | |
//!
//! Messages run one way, prober → courier → keeper → alerter, and the reply to a request is the only thing that comes back: the
//! keeper's to a prober says when to probe again, the alerter's to the keeper says that an alert is delivered. They
//! start in the order alerter, keeper, couriers, probers, since each holds a recipient of the one before, and stop in reverse
//! ([`system`]).

pub mod alerter;
pub mod child;
pub mod courier;
pub mod ports;
pub mod prober;
pub mod retry;
pub mod round;
pub mod state_keeper;
pub mod stats;
pub mod supervisor;
pub mod system;
pub mod tell_now;
pub mod timebase;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
#[cfg(test)]
mod tests;
