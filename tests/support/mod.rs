//! What several test binaries share: the emulators, and the places where they were installed.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod chance;
pub mod dynamodb;
pub mod dynamodb_local;
pub mod emulator;
pub mod gate;
pub mod http;
pub mod http_proxy;
pub mod mail_server;
pub mod moto;
pub mod name_server;
pub mod own_network;
pub mod ports;
pub mod tools;
