//! What the benches share: child processes, the loopback target, the watched world, the built program, the bare loops, and the figures.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each bench is a program of its own and uses a part of it")]

pub mod bare;
pub mod figures;
pub mod process;
pub mod program;
pub mod punctual;
pub mod stores;
pub mod target;
pub mod watched;
