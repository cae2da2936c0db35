//! The port `Probe`: one exchange over awc, told truthfully.
//!
//! awc by itself takes a body that was cut short for a whole one, and a 103 for the final status. So it runs between two
//! layers of ours: [`dial`] gives it a connection that is already open, with every address guarded and every
//! phase timed, and [`wire`] reads the answer's head for it and keeps the record from which all is told.
//!
//! | file | what it is about |
//! |---|---|
//! | [`exchange`], `client` | the engine boundary: a request goes in, what came of it comes out; what all of them share |
//! | [`http`] | the port: a config goes in, an observation comes out |
//! | `dial`, `tls` | from a URL to an open, guarded connection |
//! | [`resolve`] | from a name to its addresses |
//! | [`proxies`], `proxy` | by way of which proxy, and how |
//! | `trust`, `verifier`, `certificate` | whom TLS trusts, and what is wrong with a certificate |
//! | [`guard`] | the addresses that are never connected to |
//! | `content`, `unpack` | what is kept of an answer that is judged by more than its status |
//! | `wire` | between the connection and awc |
//! | `hop`, `engine`, `shelf`, `http2` | one hop; one request through awc, and what awc spawns for nothing; one over HTTP/2, where the server speaks nothing else |
//! | `kinds`, `dns`, `oauth`, `stream` | what is prepared of an API: requests, connections, questions to name servers; tokens; answers without an end |
//! | `identity`, [`place`] | what TLS has of its own for one API; another place to connect to |
//! | `request`, `redirect`, `cookies` | what is sent, where to next, and what goes along |
//! | `line` | a connection for what does not speak HTTP |
//! | `plain` | what a library says, in words |
//! | `turns` | how many probes and lookups are under way, and whose |
//! | `trace`, `seen` | what is known of an exchange while it runs, and what is kept of it as evidence |

mod certificate;
mod client;
mod content;
mod cookies;
mod dial;
pub mod dns;
mod engine;
pub mod exchange;
pub mod guard;
mod hop;
pub mod http;
mod http2;
pub mod identity;
mod kinds;
mod line;
mod oauth;
pub mod place;
mod plain;
pub mod proxies;
mod proxy;
mod redirect;
mod request;
pub mod resolve;
mod seen;
mod shelf;
mod stream;
mod tls;
mod trace;
pub(crate) mod trust;
mod turns;
mod unpack;
mod verifier;
mod wire;

pub use client::Client;
pub use exchange::{Exchange, Reply, Request};
pub use http::{HttpProbe, Limits};
pub use line::Line;
pub use resolve::{Resolver, ResolverFiles};
