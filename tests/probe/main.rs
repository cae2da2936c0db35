//! Probe truth: what the bytes on the wire mean, compared with what hyper says of the same bytes.

#![allow(unreachable_pub)] // a test binary has no outside

mod against_hyper;
mod assertions;
mod evidence;
mod figures;
mod guard;
mod http2;
mod hyper_oracle;
mod kinds;
mod manners;
#[path = "../support/name_server.rs"]
mod name_server;
mod names;
#[path = "../support/own_network.rs"]
mod own_network;
mod phases;
mod port;
#[path = "../support/ports.rs"]
#[allow(dead_code, reason = "the other test binaries use the rest")]
mod ports;
mod proxies;
mod real_life;
mod redirects;
mod routes;
mod scripts;
mod server;
mod tls;
mod tokens;
mod trust;
mod truth;
