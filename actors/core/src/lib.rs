//! Ring 1 of api-health: the decisions, as plain values.
//!
//! Everything here is pure, synchronous and total. A function takes `now` as an argument and returns a value; nothing
//! here reads a clock, opens a file, spawns a task, logs, or knows that DynamoDB, SNS or HTTP clients exist. That is
//! what makes the same code run unchanged in production, in property tests and in simulation.
//!
//! Start with [`decide()`]. Around it, in the order of one probe:
//!
//! | module | answers |
//! |---|---|
//! | [`api`], [`asking`] | which API is probed, and how |
//! | [`schedule`] | when is the next probe due |
//! | [`observation`] | the raw facts of a probe |
//! | [`assertion`] | is that as expected |
//! | [`certificate`] | how long a certificate is still good |
//! | [`outcome`] | the verdict, with reasons |
//! | [`evidence`], [`masking`] | what was seen of an API when its status changed, without its secrets |
//! | [`recent`] | the last outcomes and alerts of one API, in few bytes |
//! | [`state`] | the state of one API |
//! | [`mod@decide`] | what follows: next state, transition, owed alert, recheck |
//! | [`hold`], [`flap`], [`maintenance`] | which alerts are held, and until when |
//! | [`incident`], [`alert`] | an outage from its start to its end; the alerts about it |
//! | [`delivery`] | the outbox: which alerts are owed to which channel, in which order |
//! | [`keep`] | all states, what is written next, which alert goes out next |
//! | [`own`] | which worker owns which APIs, and until when |
//! | [`figures`] | what one probe measured, for metrics |
//! | [`capacity`] | can this machine keep up with what is configured |
//! | [`network`] | whose fault it is that an exchange failed |
//! | [`history`] | what is kept of the past, for people |
//! | [`heartbeat`] | how everything stands, in one record |
//! | [`invariant`] | what always holds for a state |
//! | [`view`] | one API as people see it, in words that are the same everywhere |
//! | [`roster`] | which probers to start, change and stop after a reload |
//! | [`restart`] | how soon a dead actor is started again |
//! | [`text`] | text from outside, made safe to show |
//! | [`words`] | spans and moments as people read them |

pub mod alert;
pub mod api;
mod api_id;
pub mod asking;
pub mod assertion;
pub mod capacity;
pub mod certificate;
pub mod config_fault;
pub mod decide;
pub mod delivery;
pub mod evidence;
pub mod figures;
pub mod flap;
pub mod heartbeat;
pub mod history;
pub mod hold;
pub mod incident;
pub mod invariant;
pub mod keep;
pub mod maintenance;
pub mod masking;
pub mod network;
pub mod observation;
pub mod outcome;
pub mod own;
pub mod recent;
pub mod restart;
pub mod roster;
pub mod routes;
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
pub mod view;
pub mod words;

pub use alert::{Alert, AlertKind};
pub use api::{Alerting, ApiConfig, ApiId, IpFamily, Method, Policy};
pub use asking::{Asking, Protocol};
pub use config_fault::ConfigFault;
pub use decide::{Decision, decide};
pub use evidence::Evidence;
pub use figures::ProbeFigures;
pub use heartbeat::Heartbeat;
pub use observation::{Answer, Failure, Observation, Phase, PhaseTimes, Response};
pub use outcome::{Outcome, Verdict};
pub use schedule::Schedule;
pub use secret::Secret;
pub use state::{ApiState, Toward};
pub use status::Status;
pub use status_set::StatusSet;
pub use time::{BootTime, Monotonic, Timestamp};
