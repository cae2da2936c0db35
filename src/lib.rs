//! Ring 3 of api-health: the program, everything that touches the world.
//!
//! Three rings, one rule: a folder may use only what lies inside it. `tests` and `benches` use this crate, this crate
//! uses [`api_health_actors`], and that uses [`api_health_core`]. Here are the adapters behind the actors' ports, the
//! settings, the command line, and one composition root where ports meet adapters: [`app`].

pub mod app;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod clock;
pub mod configs;
pub mod control;
pub mod cost;
mod der;
pub mod environment;
pub mod exit;
mod fault;
mod in_use;
pub mod memory;
pub mod notify;
pub mod probe;
mod retry_after;
pub mod settings;
pub mod shown;
pub mod sqlite;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod witnesses;
pub mod worker;
