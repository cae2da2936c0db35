//! The raw facts of one probe. Always data: an outage is an observation, not an error.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::time::Timestamp;

/// A phase of an exchange, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Looking up the name.
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
            Self::Tls => "shaking hands over TLS",
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
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired.
    Expired {
        /// The last moment at which it was good, where known.
        not_after: Option<Timestamp>,
    },
    /// It is not valid yet.
    NotYetValid {
        /// The first moment at which it will be good, where known.
        not_before: Option<Timestamp>,
    },
    /// It is for other names.
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// The names that it is for, at most a few.
        presented: Vec<String>,
    },
    /// No trusted authority signed it.
    UnknownIssuer,
    /// It was revoked.
    Revoked,
    /// Anything else, in the TLS library's words.
    Other(String),
}

/// A fault on our own side: it says nothing about the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalFault {
    /// This process or machine has no file descriptors left.
    TooManyOpenFiles,
    /// This machine has no free local port or address for the connection.
    NoLocalPort,
    /// This machine has no route to any of the addresses.
    NoRoute,
    /// This machine has no memory for the connection.
    NoMemory,
    /// Too many of our own name lookups are under way.
    TooManyLookups,
    /// Too many of our own probes are under way: this one got no permit within its timeout.
    TooManyProbes,
    /// A fault in our own program.
    Internal(String),
}

/// How an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist.
    NameNotFound { host: String },
    /// The name could not be looked up for now.
    LookupFailed {
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// The address is one that a probe must never reach (P10).
    AddressRefused {
        address: IpAddr,
        /// What sort of address it is.
        why: &'static str,
    },
    /// Nothing listens there.
    Refused { address: SocketAddr },
    /// The network reports that the host is unreachable.
    HostUnreachable { address: SocketAddr },
    /// The other side reset the connection.
    Reset { phase: Phase },
    /// The other side closed the connection before the response was complete.
    Closed { phase: Phase },
    /// The timeout of the whole exchange ran out.
    TimedOut { phase: Phase, after: Duration },
    /// The certificate is not valid.
    Certificate(CertificateFault),
    /// The TLS handshake failed for another reason.
    Tls {
        /// What the TLS library said.
        detail: String,
    },
    /// The response is not valid HTTP.
    NotHttp {
        /// In what way.
        detail: String,
    },
    /// The body ended before it was complete.
    BodyCutShort {
        /// Bytes that came.
        received: u64,
        /// Bytes that were promised, where the framing says.
        expected: Option<u64>,
    },
    /// More redirects than are followed.
    TooManyRedirects {
        /// How many were followed.
        followed: u8,
    },
    /// A redirect that cannot be followed.
    BadRedirect { detail: String },
    /// The fault is ours.
    Local(LocalFault),
}

/// The result of an exchange: a response, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Response(Response),
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
    /// How long each phase took.
    pub phases: PhaseTimes,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    pub answer: Answer,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { not_after: Some(t) } => write!(f, "certificate expired at {t}"),
            Self::Expired { not_after: None } => f.write_str("certificate expired"),
            Self::NotYetValid { not_before: Some(t) } => write!(f, "certificate not valid before {t}"),
            Self::NotYetValid { not_before: None } => f.write_str("certificate not yet valid"),
            Self::WrongName { expected, presented } if presented.is_empty() => {
                write!(f, "certificate is not for {expected}")
            }
            Self::WrongName { expected, presented } => {
                write!(f, "certificate is not for {expected} but for {}", presented.join(", "))
            }
            Self::UnknownIssuer => f.write_str("certificate issuer is unknown"),
            Self::Revoked => f.write_str("certificate is revoked"),
            Self::Other(detail) => write!(f, "certificate refused: {detail}"),
        }
    }
}

impl fmt::Display for LocalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyOpenFiles => f.write_str("this machine has no file descriptors left for a connection"),
            Self::NoLocalPort => f.write_str("this machine has no local port left for a connection"),
            Self::NoRoute => f.write_str("this machine has no route there: its own network may be down"),
            Self::NoMemory => f.write_str("this machine has no memory left for a connection"),
            Self::TooManyLookups => {
                f.write_str("too many name lookups of our own are under way: the resolver may be slow")
            }
            Self::TooManyProbes => f.write_str(
                "too many probes of our own are under way for this one to have its turn: many APIs may hang, or \
                 [probe] max_in_flight is too low",
            ),
            Self::Internal(detail) => write!(f, "the probe itself failed: {detail}"),
        }
    }
}

/// The text for logs, tables and alerts.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound { host } => write!(f, "name {host} not found"),
            Self::LookupFailed { host, detail } => write!(f, "name {host} could not be looked up: {detail}"),
            Self::AddressRefused { address, why } => {
                write!(f, "address {address} is {why}, which api-health never probes")
            }
            Self::Refused { address } => write!(f, "connection to {address} refused"),
            Self::HostUnreachable { address } => write!(f, "host {address} unreachable"),
            Self::Reset { phase } => write!(f, "connection reset while {phase}"),
            Self::Closed { phase } => write!(f, "connection closed while {phase}"),
            Self::TimedOut { phase, after } => {
                write!(f, "timed out after {} while {phase}", seconds(*after))
            }
            Self::Certificate(fault) => fault.fmt(f),
            Self::Tls { detail } => write!(f, "TLS handshake failed: {detail}"),
            Self::NotHttp { detail } => write!(f, "answer is not valid HTTP: {detail}"),
            Self::BodyCutShort { received, expected: Some(expected) } => {
                write!(f, "body cut short at {received} of {expected} bytes")
            }
            Self::BodyCutShort { received, expected: None } => write!(f, "body cut short after {received} bytes"),
            Self::TooManyRedirects { followed } => write!(f, "still redirected after {followed} redirects"),
            Self::BadRedirect { detail } => write!(f, "redirect cannot be followed: {detail}"),
            Self::Local(fault) => fault.fmt(f),
        }
    }
}

/// `10 s`, `2.5 s`.
fn seconds(span: Duration) -> String {
    if span.subsec_nanos() == 0 { format!("{} s", span.as_secs()) } else { format!("{} s", span.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_read_as_plain_words() {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        for (failure, words) in [
            (Failure::NameNotFound { host: "x.test".into() }, "name x.test not found"),
            (Failure::Refused { address }, "connection to 127.0.0.1:80 refused"),
            (Failure::Reset { phase: Phase::Tls }, "connection reset while shaking hands over TLS"),
            (
                Failure::TimedOut { phase: Phase::Connect, after: Duration::from_secs(10) },
                "timed out after 10 s while connecting",
            ),
            (
                Failure::TimedOut { phase: Phase::Body, after: Duration::from_millis(2_500) },
                "timed out after 2.5 s while reading the answer",
            ),
            (Failure::BodyCutShort { received: 3, expected: Some(10) }, "body cut short at 3 of 10 bytes"),
            (
                Failure::Certificate(CertificateFault::WrongName {
                    expected: "a.test".into(),
                    presented: vec!["b.test".into(), "c.test".into()],
                }),
                "certificate is not for a.test but for b.test, c.test",
            ),
        ] {
            assert_eq!(failure.to_string(), words);
        }
    }
}
