//! Whose fault it is that an exchange failed: the API's, or that of our own resolver, network or clock.
//!
//! Most failures prove that somebody out there answered: those are the API's. A few are certainly ours. The rest may be either,
//! each in its [`OwnPart`]: then witnesses are asked, and [`judge`] goes by what they say. Nothing is asked of anybody while all is well.
//!
//! | file | answers |
//! |---|---|
//! | here | which failures may be ours, and whose they are by what the witnesses say |
//! | [`panel`] | which witnesses may vote |
//! | [`crowd`] | do so many APIs fail in one part at once that it must be us |
//! | [`watch`] | since when is our own side at fault, and when is that told |

pub mod crowd;
pub mod panel;
pub mod watch;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::api::ApiConfig;
use crate::assertion;
use crate::observation::{Answer, CertificateFault, Failure, LocalFault, Observation, Phase};
use crate::outcome::{Outcome, Verdict};

pub use crowd::Crowd;
pub use panel::{Ballot, Panel, Testimony, Vote};
pub use watch::Watch;

/// The family of the addresses that an exchange was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// It is not known, or both were tried.
    Any,
    Ipv4,
    Ipv6,
}

impl Family {
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// How far away an address is: that a neighbour answers says nothing of the way into the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// In a private network, or it is not known where.
    Near,
    /// In the internet.
    Far,
}

impl Zone {
    pub const fn of(address: IpAddr) -> Self {
        let is_near = match address {
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                ip.is_private()
                    || ip.is_loopback()
                    || ip.is_link_local()
                    || ip.is_documentation()
                    || (a == 100 && b & 0xc0 == 64)
            }
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => return Self::of(IpAddr::V4(ip)),
                None => {
                    ip.is_loopback()
                        || ip.is_unique_local()
                        || ip.is_unicast_link_local()
                        || matches!(ip.segments(), [0x2001, 0xdb8, ..])
                }
            },
        };
        if is_near { Self::Near } else { Self::Far }
    }
}

/// A part of our own side that an exchange needs, and that may be to blame where it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnPart {
    /// The name was not looked up.
    Lookup,
    /// Nothing came back, or the network said that it leads nowhere.
    Connection(Family, Zone),
    /// The dates of a certificate do not fit our clock.
    Clock,
    /// A proxy of ours could not be used.
    Proxy,
    /// This machine or process lacks what an exchange takes: descriptors, ports, memory, turns.
    Machine,
}

impl OwnPart {
    pub const ALL: [Self; 9] = [
        Self::Lookup,
        Self::NETWORK,
        Self::Connection(Family::Ipv4, Zone::Near),
        Self::Connection(Family::Ipv4, Zone::Far),
        Self::Connection(Family::Ipv6, Zone::Near),
        Self::Connection(Family::Ipv6, Zone::Far),
        Self::Clock,
        Self::Proxy,
        Self::Machine,
    ];

    /// A connection to nobody knows where.
    pub const NETWORK: Self = Self::Connection(Family::Any, Zone::Near);

    /// A connection to that address.
    pub const fn to(address: IpAddr) -> Self {
        Self::Connection(Family::of(address), Zone::of(address))
    }

    /// Whether nobody can be asked about it: who fails in it knows by itself that it is ours.
    pub const fn is_known_by_itself(self) -> bool {
        matches!(self, Self::Proxy | Self::Machine)
    }

    /// Its place in [`Self::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|part| *part == self).unwrap_or(1)
    }

    /// Whether what was seen to be well in the part `proof` says that all is well in this one. Where the family is not known any speaks; the
    /// internet speaks for the neighbourhood, and not the other way round.
    pub fn is_vouched_for_by(self, proof: Self) -> bool {
        match (self, proof) {
            (Self::Connection(family, zone), Self::Connection(of_family, of_zone)) => {
                (family == Family::Any || family == of_family) && (zone == Zone::Near || zone == of_zone)
            }
            _ => self == proof,
        }
    }

    /// Whether a fault in the other part is a fault in this one too, as far as the family is known.
    pub fn overlaps(self, other: Self) -> bool {
        let is_any = |part| matches!(part, Self::Connection(Family::Any, _));
        let are_connections = matches!((self, other), (Self::Connection(..), Self::Connection(..)));
        self == other || (are_connections && (is_any(self) || is_any(other)))
    }
}

/// What it is that does not work if it is ours, to stand in a sentence.
impl fmt::Display for OwnPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "the lookup of names",
            Self::Connection(Family::Any, _) => "the network",
            Self::Connection(Family::Ipv4, _) => "the IPv4 network",
            Self::Connection(Family::Ipv6, _) => "the IPv6 network",
            Self::Clock => "the clock",
            Self::Proxy => "the proxy",
            Self::Machine => "what an exchange takes",
        })
    }
}

/// What a failure says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Somebody out there answered, or the request itself is wrong: it is the API's.
    Theirs,
    /// It may be either: ask the witnesses.
    Doubtful(OwnPart),
    /// It is ours, whatever anybody says; and in that part, if it may be so for all APIs at once.
    Ours(Option<OwnPart>),
}

/// What `failure` says by itself; `address` is that of [`address_of`].
pub fn blame(failure: &Failure, address: Option<IpAddr>) -> Blame {
    // What is on this machine is not reached by way of its network.
    let connection = |address: Option<IpAddr>| match address {
        Some(address) if address.is_loopback() => Blame::Theirs,
        Some(address) => Blame::Doubtful(OwnPart::to(address)),
        None => Blame::Doubtful(OwnPart::NETWORK),
    };
    match failure {
        Failure::LookupFailed { .. } | Failure::TimedOut { phase: Phase::Resolve, .. } => {
            Blame::Doubtful(OwnPart::Lookup)
        }
        Failure::NameServerFailed { .. } | Failure::Local(LocalFault::NameServersDead { .. }) => {
            Blame::Doubtful(OwnPart::Lookup)
        }
        Failure::Local(LocalFault::NoNameServer) => Blame::Ours(Some(OwnPart::Lookup)),
        Failure::HostUnreachable { address }
        | Failure::NetworkUnreachable { address }
        | Failure::Prohibited { address } => connection(Some(address.ip())),
        Failure::TimedOut { .. } => connection(address),
        // Part of an answer had come.
        Failure::Reset { phase: Phase::Body } | Failure::Closed { phase: Phase::Body } => Blame::Theirs,
        Failure::Reset { .. } | Failure::Closed { .. } => connection(address),
        Failure::Certificate(
            CertificateFault::Expired { .. }
            | CertificateFault::NotYetValid { .. }
            | CertificateFault::AuthorityExpired { .. },
        ) => Blame::Doubtful(OwnPart::Clock),
        Failure::Local(fault) => Blame::Ours(match fault {
            LocalFault::NoRoute => Some(OwnPart::NETWORK),
            LocalFault::Proxy { .. } => Some(OwnPart::Proxy),
            LocalFault::TooManyOpenFiles
            | LocalFault::NoLocalPort
            | LocalFault::NoMemory
            | LocalFault::TooManyLookups
            | LocalFault::TooManyProbes => Some(OwnPart::Machine),
            _ => None,
        }),
        // It has no other network than ours.
        Failure::BehindProxy { .. } if address.is_none() => Blame::Doubtful(OwnPart::NETWORK),
        Failure::NameNotFound { .. }
        | Failure::NoAddress { .. }
        | Failure::OnlyOtherFamily { .. }
        | Failure::NameServersSilent { .. }
        | Failure::WatchedNameServerFailed { .. }
        | Failure::BehindProxy { .. }
        | Failure::AddressRefused { .. }
        | Failure::Refused { .. }
        | Failure::Certificate(_)
        | Failure::Tls { .. }
        | Failure::NotHttp { .. }
        | Failure::BodyCutShort { .. }
        | Failure::TooManyRedirects { .. }
        | Failure::BadRedirect { .. } => Blame::Theirs,
    }
}

/// What the witnesses say, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// At least one of them is well.
    Well,
    /// All that vote are ill.
    Ill,
    /// They are well again, and were not when the exchange began.
    WellAgain,
    /// None votes, and so many APIs fail in this part at once that it must be us.
    Crowd,
    /// None votes, and there is no crowd.
    Nothing,
}

impl Word {
    pub const ALL: [Self; 5] = [Self::Well, Self::Ill, Self::WellAgain, Self::Crowd, Self::Nothing];

    /// Whether a failure that may be either is ours by this.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Ill | Self::WellAgain | Self::Crowd)
    }
}

/// As [`assertion::judge`]; a failure that may be either is inconclusive where the witnesses say that it is ours, and name servers that
/// are silent are a fail where they answer for others.
pub fn judge(config: &ApiConfig, observation: &Observation, testimony: &Testimony) -> Outcome {
    let mut outcome = assertion::judge(config, observation);
    if let Some(evidence) = &mut outcome.evidence
        && (!testimony.well.is_empty() || !testimony.ill.is_empty())
    {
        Arc::make_mut(evidence).note_witnesses(testimony);
    }
    if let Answer::Failure(failure) = &observation.answer
        && let Blame::Doubtful(part) = blame(failure, address_of(config, observation))
    {
        let word = testimony.word();
        if outcome.verdict == Verdict::Fail && word.is_ours() {
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons.push(testimony.words(part));
        } else if matches!(failure, Failure::Local(_)) && word == Word::Well {
            outcome.verdict = Verdict::Fail;
        }
    }
    outcome
}

/// The address that an exchange was about: the one that was connected to or tried last, or a literal one in the URL. Whoever goes by
/// a proxy knows that of the proxy alone; of one on this machine it is not known where it leads.
pub fn address_of(config: &ApiConfig, observation: &Observation) -> Option<IpAddr> {
    let address = observation.address.map(|address| address.ip());
    if observation.by_proxy {
        return address.filter(|address| !address.is_loopback());
    }
    address.or_else(|| host_of(&config.url).parse().ok())
}

/// The host of a URL that was validated, without the brackets of an IPv6 address.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or_default();
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}
