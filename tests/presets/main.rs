//! Every preset against a server that speaks as its service does: what counts as taken, as busy, as refused, and what a repeat does.

#![allow(unreachable_pub)] // a test binary has no outside

mod direct;
mod sink;
mod vendors;
