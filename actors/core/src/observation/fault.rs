//! What is at fault where an exchange failed: a certificate, our own side, a name server.

use std::fmt;
use std::net::IpAddr;

use crate::time::Timestamp;

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
pub(super) fn list(servers: &[IpAddr]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
