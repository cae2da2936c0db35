//! How an exchange failed, as a value and in words.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Phase;
use super::fault::{CertificateFault, LocalFault, NameServerFault, list};
use crate::api::IpFamily;

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
