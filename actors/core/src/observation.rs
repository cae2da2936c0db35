//! The raw facts of one probe. Always data: an outage is an observation, not an error.

mod failure;
mod fault;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::certificate::Validity;
use crate::evidence::Seen;
use crate::figures::ProbeFigures;
use crate::time::Timestamp;

pub use failure::Failure;
pub use fault::{CertificateFault, LocalFault, NameServerFault};

/// A phase of an exchange, in the order in which they happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Looking up the name.
    #[default]
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request and waiting for the first byte of the answer.
    FirstByte,
    /// From the first byte of the answer to its last.
    Body,
}

/// What was going on, to follow "while" in a sentence.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up the name",
            Self::Connect => "connecting",
            Self::Tls => "doing the TLS handshake",
            Self::FirstByte => "waiting for the first byte",
            Self::Body => "reading the answer",
        })
    }
}

/// How long each phase took; `None` for one that did not happen or did not end. With redirects, of the last hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseTimes {
    /// Name lookup; `None` also where the URL holds a literal address.
    pub resolve: Option<Duration>,
    pub connect: Option<Duration>,
    /// TLS handshake; `None` for plain HTTP.
    pub tls: Option<Duration>,
    /// From the connection being ready to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// From the first byte to the last.
    pub body: Option<Duration>,
}

/// An answer that was received whole (or up to the body bound).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The final status code as it was on the wire.
    pub status: u16,
    /// Body bytes that were read, after the framing was taken off.
    pub body_bytes: u64,
    /// The body was longer than the limit, and the rest was not read.
    pub body_cut_at_bound: bool,
    /// Where a 3xx response points to, for the reason of the verdict.
    pub location: Option<String>,
    /// Redirects that were followed to get here.
    pub redirects: u8,
    /// What was configured and not sent here, since a redirect led to another origin: names of headers, and "the body". Only of
    /// a 4xx, which may be due to it.
    pub left_behind: Vec<String>,
    /// The server asked for a client certificate and got none. It may have answered because of that.
    pub client_certificate_wanted: bool,
    /// The proxy by way of which it came, as `host:port`.
    pub proxy: Option<String>,
    /// The patience that it asks for, where its status allows for that.
    pub retry_after: Option<Duration>,
    /// What of it is not as the assertions of the row expect: see [`broken`](crate::assertion::expected::broken).
    pub broken: Vec<String>,
    /// How long the certificate is good that was shown.
    pub certificate: Option<Validity>,
}

impl Response {
    /// How long not to ask again, where it says that it is asked too often or is busy, and asks for patience.
    pub fn patience(&self) -> Option<Duration> {
        self.retry_after.filter(|_| Self::may_ask_for_patience(self.status))
    }

    /// Whether an answer with this status may say how long not to ask again.
    pub const fn may_ask_for_patience(status: u16) -> bool {
        matches!(status, 429 | 503)
    }
}

/// The result of an exchange: a response, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Response(Response),
    /// A connection was opened, and where TLS was asked for, hands were shaken.
    Connected {
        /// How long the certificate is good that was shown.
        certificate: Option<Validity>,
    },
    /// What a name server knows of a name: records of the type that was asked for, as text.
    Records(Vec<String>),
    Failure(Failure),
}

/// The raw facts of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the exchange began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// From start to end on a clock that is never set: may differ from the two timestamps.
    pub took: Duration,
    /// Before it began: how long it waited for other probes of its own host, or for a token, which is no fault of this machine.
    pub waited_for_host: Duration,
    /// How long each phase took.
    pub phases: PhaseTimes,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// It went by way of a proxy, whose address that is.
    pub by_proxy: bool,
    pub answer: Answer,
    /// More of what was seen, where it is wanted: of an exchange that failed, and of the first good ones after it.
    pub seen: Option<Box<Seen>>,
    pub figures: ProbeFigures,
}

impl Observation {
    /// One of which nothing is known but its answer, and that it was made at that moment.
    pub fn new(answer: Answer, at: Timestamp) -> Self {
        Self {
            started_at: at,
            finished_at: at,
            took: Duration::ZERO,
            waited_for_host: Duration::ZERO,
            phases: PhaseTimes::default(),
            address: None,
            by_proxy: false,
            answer,
            seen: None,
            figures: ProbeFigures::default(),
        }
    }
}
