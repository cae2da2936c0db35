//! Ring 2 of api-health: concurrency. Who runs when, and who owns what.

pub mod ports;
