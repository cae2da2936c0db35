//! Who owns which API: shards, leases and epochs, so that of several workers exactly one probes, decides and alerts.
//!
//! | module | answers |
//! |---|---|
//! | [`shards`] | which shard an API lies in |
//! | [`records`] | the records that workers write and read |
//! | [`notices`] | what all of them have to know: asks, and changed configs |
//! | [`terms`] | how long a lease lasts, and how often it is renewed |
//! | [`watch`] | which of the others has expired, by our clock alone |
//! | [`fleet`] | which shards this worker should release, and which it should take |
//! | [`member`] | the loop of one worker: what it does next, as effects |

pub mod fleet;
pub mod member;
pub mod notices;
pub mod records;
pub mod shards;
pub mod terms;
pub mod watch;
