//! Ring 2 of api-health: concurrency. Who runs when, and who owns what.
//!
//! Here are the actors and the [`ports`] through which they touch the world. Nothing here knows HTTP, SQL or AWS: an
//! adapter in `src/` does.
//!
//! | actor | how many | owns | sends to |
//! |---|---|---|---|
//! | [`supervisor`] | 1 | all other actors, their threads, the config sources | keeper: config changes, probers that are given up; probers: a new config, stop |
//! | [`prober`] | one per API, spread over one thread per core | when it is due | its outcome batcher: an outcome |
//! | [`outcome_batcher`] | one per thread of probers | outcomes on their way | keeper: outcomes, several at once |
//! | [`state_keeper`] | 1, on its own thread | every state, the store | alerter: an owed alert |
//! | [`alerter`] | 1, on its own thread | the notifiers | |
//!
//! Where several workers share the APIs, the [`lease_holder`], a task beside the supervisor, decides which are its own, through the
//! port [`leases`]. The [`lease_clock`] says whether the lease is valid at this moment.
//!
//! What all probers know together of our own resolver, network and clock is in [`own_side`], which asks witnesses for them.
//!
//! What is shown of all this to people is on the [`board`], which the keeper fills while somebody looks.
//!
//! Messages run one way, prober → outcome batcher → keeper → alerter, and only replies come back: the keeper tells a prober when to
//! probe again, and the alerter tells the keeper that an alert is delivered.
//!
//! The supervisor starts alerter, keeper, outcome batchers, probers, in this order. Each finds the next one by a handle that follows
//! restarts ([`handle`]), as whoever stands outside finds the keeper, so that a death costs that one a restart; the alerter alone is
//! replaced with the keeper. An end in order goes the other way round: no new probes, those under way over, outcomes stored
//! ([`system::Running::stop`]). Each child is driven by a loop of ours, [`child`], that notices its end whatever it was; what moves no
//! more is found by what each prober says of when to expect it ([`liveness`]), and by the beats of the [`threads`].

pub mod alerter;
pub mod board;
pub mod child;
pub mod handle;
pub mod lease_clock;
pub mod lease_holder;
pub mod lease_view;
pub mod leases;
pub mod liveness;
pub mod measured;
pub mod options;
pub mod outcome_batcher;
pub mod own_side;
pub mod ports;
pub mod prober;
pub mod retry;
pub mod round;
pub mod state_keeper;
pub mod stats;
pub mod supervisor;
pub mod system;
pub mod threads;
pub mod timebase;
pub mod world;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
#[cfg(test)]
mod tests;
