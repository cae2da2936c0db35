//! Who owns which API: shards, leases and epochs, so that of several workers exactly one probes, decides and tells.
//!
//! | module | answers |
//! |---|---|
//! | [`shards`] | which shard an API lies in |
//! | [`records`] | what the workers write for each other to read |
//! | [`notices`] | what all of them should know of: asks, and changed configs |
//! | [`terms`] | how long a lease lasts, and how often it is renewed |
//! | [`watch`] | which of the others has expired, by our clock alone |
//! | [`fleet`] | what this worker should let go of, and what it should take |
//! | [`member`] | the loop of one worker: what it does next, as effects |

pub mod fleet;
pub mod member;
pub mod notices;
pub mod records;
pub mod shards;
pub mod terms;
pub mod watch;
