//! The web side of api-health: pages for people, a JSON API and live events, metrics. It only shows.
//!
//! Everything comes from the [`Board`], which the state-keeper fills while somebody looks, and from stored history. Nothing here sends a
//! message to an actor or writes anything, so whatever happens here costs no probe. It runs on a thread of its own.
//!
//! | module | answers |
//! |---|---|
//! | [`server`] | the thread, the listeners, and what each request has to pass |
//! | [`access`] | who may look |
//! | [`model`] | what all answers are made from: one snapshot of everything, made at most once a second |
//! | [`health`] | does the process live, and does it do its work |
//! | [`page`] | pages for people |
//! | [`api`], [`events`] | the JSON API, and each change as it happens |
//! | [`badge`], [`feed`] | one fact as a picture, incidents for feed readers |
//! | [`metrics`] | Prometheus, also in the names of the blackbox exporter |
//! | [`past`] | what is known of the past |
//! | [`shown`] | what may be shown, to whom |
//!
//! [`Board`]: api_health_actors::board::Board

pub mod access;
mod api;
mod badge;
mod events;
mod feed;
mod health;
mod metrics;
pub mod model;
mod page;
mod past;
#[cfg(test)]
mod secrets_tests;
pub mod server;
mod shown;
#[cfg(test)]
mod testing;

pub use access::{Access, Looker};
pub use model::{MetricsPerApi, Site};
pub use server::{Limits, Listen, Server, start};
