//! The raw facts of one probe. Always data: an outage is an observation, not an error.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::api::IpFamily;
use crate::certificate::Validity;
use crate::evidence::Seen;
use crate::figures::ProbeFigures;
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
    UnknownIssuer {
        /// The name of the authority that is not known: the issuer of the last certificate that leads on from the server's own.
        issuer: String,
        /// Whether the server sent no certificate but its own, so that a piece of its chain may be missing.
        sent_alone: bool,
    },
    /// It is signed by itself, and is not trusted.
    SelfSigned,
    /// The trusted certificate of the authority that signed it is over.
    AuthorityExpired {
        authority: String,
        /// The last moment at which it was good.
        not_after: Timestamp,
    },
    /// It was revoked.
    Revoked,
    /// Anything else, in words.
    Other(String),
}

/// A fault on our own side: it says nothing about the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalFault {
    /// This process or machine has no file descriptors left.
    TooManyOpenFiles,
    /// This machine has no free local port or address for the connection.
    NoLocalPort,
    /// This machine has no route to the address, or no address of its own to go from.
    NoRoute,
    /// This machine has no memory for the connection.
    NoMemory,
    /// Too many of our own name lookups are under way.
    TooManyLookups,
    /// So many lookups of names below one domain are under way that this one timed out waiting to start.
    LookupShareFull { domain: String },
    /// No name server answers, this name or another.
    NameServersDead {
        /// Those that were asked.
        asked: Vec<IpAddr>,
    },
    /// This machine names no name server, and none runs on it.
    NoNameServer,
    /// Too many of our own probes are under way: this one got no permit within its timeout.
    TooManyProbes,
    /// So many probes of this host are under way that this one got no permit within its timeout.
    HostShareFull { host: String },
    /// The proxy could not be used. It is on our side: the API behind it may be well.
    Proxy {
        /// `host:port`.
        proxy: String,
        /// What it did, to stand after its name.
        did: String,
    },
    /// There is no token to ask the API with. Whether it is well is not known.
    NoToken {
        /// The host of the token server.
        server: String,
        why: String,
    },
    /// A fault in our own program.
    Internal(String),
}

/// What a name server answers in place of what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameServerFault {
    /// The code of an answer that is an error (`RCODE`); `NXDOMAIN` is none.
    Code(u8),
    /// It knows nothing of the name itself and asks nobody else.
    NoRecursion,
    /// Its answer cannot be read.
    Garbled,
}

/// How an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist.
    NameNotFound { host: String },
    /// The name exists, and has no address of the family that was asked for.
    NoAddress {
        host: String,
        /// The family that was asked for.
        wanted: IpFamily,
        /// The other family, if it has addresses of that.
        has: Option<IpFamily>,
    },
    /// All addresses of the name are of one family, and this machine has a network of the other one alone.
    OnlyOtherFamily {
        host: String,
        /// The family of its addresses.
        has: IpFamily,
    },
    /// A name server answered that it could not find out.
    NameServerFailed { host: String, server: IpAddr, fault: NameServerFault },
    /// The name server that is watched answered that it could not find out.
    WatchedNameServerFailed { host: String, server: SocketAddr, fault: NameServerFault },
    /// No name server answered, while they answered for other names.
    NameServersSilent {
        host: String,
        /// Those that were asked.
        asked: Vec<IpAddr>,
    },
    /// The system's resolver could not look the name up for now.
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
    /// The network on the way says that it has no route there; this machine has one.
    NetworkUnreachable { address: SocketAddr },
    /// The network on the way says that it lets nobody through to there.
    Prohibited { address: SocketAddr },
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
        /// Why, in words.
        detail: String,
    },
    /// The proxy answered, and could not reach the API.
    BehindProxy {
        /// `host:port`.
        proxy: String,
        /// The status of its answer.
        status: u16,
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

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { not_after: Some(t) } => write!(f, "certificate expired at {t}"),
            Self::Expired { not_after: None } => f.write_str("certificate expired"),
            Self::NotYetValid { not_before: Some(t) } => write!(f, "certificate not valid before {t}"),
            Self::NotYetValid { not_before: None } => f.write_str("certificate not yet valid"),
            Self::WrongName { expected, presented } if presented.is_empty() => {
                write!(f, "certificate is not for {expected}: it has no subject alternative names, which alone count")
            }
            Self::WrongName { expected, presented } => {
                write!(f, "certificate is not for {expected} but for {}", presented.join(", "))
            }
            Self::UnknownIssuer { issuer, sent_alone: true } => write!(
                f,
                "certificate issuer is unknown: the server sent no certificate of \"{issuer}\", which signed its own; a piece of its \
                 chain is missing, or this machine does not trust that authority"
            ),
            Self::UnknownIssuer { issuer, sent_alone: false } => write!(
                f,
                "certificate issuer is unknown: the chain that the server sent leads to \"{issuer}\", which this machine does not trust"
            ),
            Self::SelfSigned => {
                f.write_str("certificate issuer is unknown: it is signed by itself, and is not trusted here")
            }
            Self::AuthorityExpired { authority, not_after } => {
                write!(
                    f,
                    "certificate of the trusted authority \"{authority}\", which signed it, expired at {not_after}"
                )
            }
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
            Self::LookupShareFull { domain } => write!(
                f,
                "so many lookups of names below {domain} are under way that this one timed out waiting to start: its name servers may be slow"
            ),
            Self::NameServersDead { asked } => write!(
                f,
                "no name server answers (asked: {}): this machine looks up no name at all, or nothing shows that it does",
                list(asked)
            ),
            Self::NoNameServer => f.write_str(
                "this machine has no name server: /etc/resolv.conf names none, and none answers on 127.0.0.1",
            ),
            Self::NoMemory => f.write_str("this machine has no memory left for a connection"),
            Self::TooManyLookups => {
                f.write_str("too many name lookups of our own are under way: the resolver may be slow")
            }
            Self::TooManyProbes => f.write_str(
                "too many probes of our own are under way, and this one timed out waiting to start: many APIs may hang, or \
                 [probe] max_in_flight is too low",
            ),
            Self::HostShareFull { host } => write!(
                f,
                "so many probes of {host} are under way that this one timed out waiting to start: it may hang, or \
                 [probe] max_in_flight_per_host is too low"
            ),
            Self::Proxy { proxy, did } => write!(f, "the proxy {proxy} {did}"),
            Self::NoToken { server, why } => {
                write!(f, "no access token: the token server {server}: {why}")
            }
            Self::Internal(detail) => write!(f, "the probe itself failed: {detail}"),
        }
    }
}

impl fmt::Display for NameServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(1) => f.write_str("answered FORMERR: it does not understand the question"),
            Self::Code(2) => f.write_str("answered SERVFAIL: it could not find out"),
            Self::Code(4) => f.write_str("answered NOTIMP: it does not answer such questions"),
            Self::Code(5) => f.write_str("answered REFUSED"),
            Self::Code(code) => write!(f, "answered with error code {code}"),
            Self::NoRecursion => f.write_str("does not ask others for names that are not its own"),
            Self::Garbled => f.write_str("answered what is not valid DNS"),
        }
    }
}

/// `10.0.0.2, 10.0.0.3`.
fn list(servers: &[IpAddr]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The text for logs, tables and alerts.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound { host } => write!(f, "name {host} not found"),
            Self::NoAddress { host, wanted, has: Some(has) } => {
                write!(f, "name {host} has only {has} addresses, and ip_family asks for {wanted}")
            }
            Self::NoAddress { host, wanted, has: None } => write!(f, "name {host} exists and has no {wanted} address"),
            Self::OnlyOtherFamily { host, has } => {
                write!(f, "name {host} has only {has} addresses, and this machine has no {has} network")
            }
            Self::NameServerFailed { host, server, fault } => {
                write!(f, "name {host} could not be looked up: name server {server} {fault}")
            }
            Self::WatchedNameServerFailed { host, server, fault } => {
                write!(f, "asked for {host}, the name server {server} {fault}")
            }
            Self::NameServersSilent { host, asked } => write!(
                f,
                "name {host} could not be looked up: no answer from {}, while other names are answered",
                list(asked)
            ),
            Self::LookupFailed { host, detail } => write!(f, "name {host} could not be looked up: {detail}"),
            Self::AddressRefused { address, why } => {
                write!(f, "address {address} is {why}, which api-health never probes")
            }
            Self::Refused { address } => write!(f, "connection to {address} refused"),
            Self::HostUnreachable { address } => write!(f, "host {address} unreachable"),
            Self::NetworkUnreachable { address } => {
                write!(f, "the network on the way to {address} says that it has no route there")
            }
            Self::Prohibited { address } => {
                write!(f, "the network on the way to {address} says that nobody is let through")
            }
            Self::Reset { phase } => write!(f, "connection reset while {phase}"),
            Self::Closed { phase } => write!(f, "connection closed while {phase}"),
            Self::TimedOut { phase, after } => {
                write!(f, "timed out after {} while {phase}", seconds(*after))
            }
            Self::Certificate(fault) => fault.fmt(f),
            Self::Tls { detail } => write!(f, "TLS handshake failed: {detail}"),
            Self::BehindProxy { proxy, status } => {
                write!(f, "the proxy {proxy} answered {status}: it could not open a connection to the API")
            }
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
            (Failure::Prohibited { address }, "the network on the way to 127.0.0.1:80 says that nobody is let through"),
            (
                Failure::NoAddress { host: "x.test".into(), wanted: IpFamily::Ipv4, has: Some(IpFamily::Ipv6) },
                "name x.test has only IPv6 addresses, and ip_family asks for IPv4",
            ),
            (
                Failure::NoAddress { host: "x.test".into(), wanted: IpFamily::Any, has: None },
                "name x.test exists and has no IP address",
            ),
            (
                Failure::NameServerFailed {
                    host: "x.test".into(),
                    server: address.ip(),
                    fault: NameServerFault::Code(2),
                },
                "name x.test could not be looked up: name server 127.0.0.1 answered SERVFAIL: it could not find out",
            ),
            (
                Failure::NameServersSilent { host: "x.test".into(), asked: vec![address.ip(), [10, 0, 0, 2].into()] },
                "name x.test could not be looked up: no answer from 127.0.0.1, 10.0.0.2, while other names are answered",
            ),
            (
                Failure::Local(LocalFault::NameServersDead { asked: vec![address.ip()] }),
                "no name server answers (asked: 127.0.0.1): this machine looks up no name at all, or nothing shows that it does",
            ),
            (Failure::Reset { phase: Phase::Tls }, "connection reset while doing the TLS handshake"),
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
            (
                Failure::Certificate(CertificateFault::WrongName { expected: "a.test".into(), presented: vec![] }),
                "certificate is not for a.test: it has no subject alternative names, which alone count",
            ),
        ] {
            assert_eq!(failure.to_string(), words);
        }
    }
}
