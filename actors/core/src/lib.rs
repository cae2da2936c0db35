//! Ring 1 of api-health: the decisions, and the words they are made in.
//!
//! Everything here is pure, synchronous and total. A function takes `now` as an argument and returns a value; nothing
//! here reads a clock, opens a file, spawns a task, logs, or knows that DynamoDB, SNS or HTTP clients exist. That is
//! what makes the same code run unchanged in production, in property tests and in simulation.
//!
//! Where to start: [`decide()`] is the heart. Around it, in the order of one probe:
//!
//! | module | answers |
//! |---|---|
//! | [`api`] | what is watched, and how |
//! | [`schedule`] | when is the next probe due |
//! | [`observation`] | what was seen |
//! | [`assertion`] | is that what was asked for |
//! | [`outcome`] | the verdict, with reasons |
//! | [`state`] | what is known of one API |
//! | [`mod@decide`] | what follows: next state, transition, owed alert, recheck |
//! | [`incident`], [`alert`] | from down to up; what people are told of it |
//! | [`delivery`] | what is still owed, to which channel, in which order |
//! | [`keep`] | what is known and not stored, what is written next, whose turn it is |
//! | [`own`] | which worker owns which APIs, and until when |
//! | [`load`] | does this machine carry what is configured |
//! | [`network`] | whose fault it is that an exchange failed |
//! | [`heartbeat`] | how everything stood a moment ago, in one record |
//! | [`invariant`] | what always holds of a state, named once |
//! | [`roster`] | which probers to start, change and stop after a reload |
//! //! | [`restart`] | how soon a dead actor is started again |
//! | [`text`] | how what others said is shown |

pub mod alert;
pub mod api;
pub mod assertion;
pub mod decide;
pub mod delivery;
pub mod heartbeat;
pub mod incident;
pub mod invariant;
pub mod issue;
pub mod keep;
pub mod load;
pub mod network;
pub mod observation;
pub mod outcome;
pub mod own;
pub mod restart;
pub mod roster;
pub mod schedule;
pub mod secret;
pub mod state;
pub mod status;
pub mod status_set;
pub mod store;
pub mod supervise;
pub mod text;
pub mod throttle;
pub mod time;

pub use alert::{Alert, AlertKind};
pub use api::{ApiConfig, ApiId, Method, Policy};
pub use decide::{Decision, decide};
pub use heartbeat::Heartbeat;
pub use issue::ConfigIssue;
pub use observation::{Answer, Failure, Observation, Phase, PhaseTimes, Response};
pub use outcome::{Outcome, Verdict};
pub use schedule::Schedule;
pub use secret::Secret;
pub use state::{ApiState, Toward};
pub use status::Status;
pub use status_set::StatusSet;
pub use time::Timestamp;
