//! One list of promises for each port, and every adapter held to it on a real server or file.

#[path = "../support/mod.rs"]
mod support;

/// Makes a test of each promise on each adapter; `here` is what the one is called that needs no server.
macro_rules! promises {
    ($here:ident: $($promise:ident)*) => {
        mod $here { $(#[test] fn $promise() { crate::worlds::here(super::$promise); })* }
        mod dynamodb_on_moto { $(#[test] fn $promise() { crate::worlds::on_moto(super::$promise); })* }
        mod dynamodb_on_dynamodb_local { $(#[test] fn $promise() { crate::worlds::on_local(super::$promise); })* }
    };
}

mod config_source;
mod history_store;
mod leases;
mod notifier;
mod state_store;
mod worlds;
