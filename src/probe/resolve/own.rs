//! From a name to its addresses by the name servers of this machine, as its files say (resolv.conf(5), hosts(5)): thousands
//! at once without a thread for each, within a deadline, and with the reason told where there is no address.
//!
//! Nothing is cached: a kept answer would hide a fault of the name service.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use api_health_core::observation::{LocalFault, NameServerFault};
use api_health_core::{Failure, IpFamily, Phase};
use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout_at};

use super::ask::{Trouble, ask, one};
use super::config::{Config, Sources};
use super::files::{Files, Known, ResolverFiles};
use super::message::{Answer, Question, QuestionKind};
use super::records::RecordType;
use super::route;
use super::system::System;
use super::turns::{DOMAIN_LOOKUPS_MAX, LOOKUPS_MAX, Turns};
use crate::probe::dial::connect_failure;

/// How long the answer for the other family is waited for when one has addresses that lead somewhere: some name servers never answer
/// for IPv6.
const OTHER_FAMILY_MAX: Duration = Duration::from_millis(500);

/// How often a name server that is watched is asked within one timeout.
const TRIES: u32 = 3;

/// A lookup ends so long before its exchange does, so that it can say what it waited for.
const BEFORE_DEADLINE: Duration = Duration::from_millis(5);

/// Looks names up by itself. Clones share the files and what is known of the name servers; each lane has turns of its own.
#[derive(Clone)]
pub(super) struct Own {
    shared: Arc<Shared>,
    turns: Turns,
    system: System,
}

struct Shared {
    files: Files,
    /// Lookups so far, for `options rotate`.
    count: AtomicUsize,
    began: Instant,
    /// When a name server last knew anything, if only that a name does not exist; in milliseconds since `began`, plus one.
    answered: AtomicU64,
}

/// What came of one name.
#[derive(Debug)]
enum Found {
    Addresses(Vec<IpAddr>),
    /// It exists.
    NoAddress,
    NoSuchName,
    Trouble(Trouble),
}

/// What a name server says when it is asked something harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// It answers.
    Well,
    /// It answers that it cannot.
    Failed(NameServerFault),
    /// It was not heard of.
    Silent,
}

impl Own {
    pub(super) fn new(files: ResolverFiles) -> Self {
        let files = Files::new(files);
        let shared = Shared { files, count: AtomicUsize::new(0), began: Instant::now(), answered: AtomicU64::new(0) };
        Self::with(Arc::new(shared))
    }

    fn with(shared: Arc<Shared>) -> Self {
        Self { shared, turns: Turns::new(LOOKUPS_MAX, DOMAIN_LOOKUPS_MAX), system: System::new() }
    }

    /// The same with turns of its own.
    pub(super) fn lane(&self) -> Self {
        Self::with(Arc::clone(&self.shared))
    }

    /// The addresses of `host` of this family, at least one.
    pub(super) async fn lookup(&self, host: &str, family: IpFamily, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let Some(known) = self.shared.files.known().await else { return Err(unread()) };
        let by_hand: Vec<_> = known.hosts.find(host).into_iter().filter(|ip| family.takes(*ip)).collect();
        if !by_hand.is_empty() {
            return Ok(by_hand);
        }
        if is_never_there(host) {
            return Err(Failure::NameNotFound { host: host.to_owned() });
        }
        if known.sources == Sources::WithoutDns {
            return self.system.lookup(host, family, deadline).await;
        }
        let deadline = deadline.checked_sub(BEFORE_DEADLINE).unwrap_or(deadline);
        let turn = self.turns.take(host, deadline).await.map_err(Failure::Local)?;
        let began = Instant::now();
        let found = self.search(&known, host, family, deadline).await;
        drop(turn);
        if let (Found::NoSuchName | Found::NoAddress, Sources::More) = (&found, known.sources)
            && let Some(addresses) = self.system.try_lookup(host, family, deadline).await
        {
            return Ok(addresses);
        }
        match found {
            Found::Addresses(addresses) => Ok(addresses),
            Found::NoSuchName => Err(Failure::NameNotFound { host: host.to_owned() }),
            Found::NoAddress => Err(self.no_address(&known.config, host, family, deadline).await),
            Found::Trouble(trouble) => Err(self.failure(trouble, &known.config, host, began)),
        }
    }

    /// Tries `host` as it is and with the search list, until one has an address. What is told if none has: what was said of the name
    /// as it is, where that was tried first; else whatever was said that is more than "no such name".
    async fn search(&self, known: &Known, host: &str, family: IpFamily, deadline: Instant) -> Found {
        let candidates = known.config.candidates(host);
        let is_first = candidates.first().is_some_and(|name| name == host);
        let mut told = None;
        for name in candidates {
            let found = self.one(&known.config, &name, family, deadline).await;
            let is_last = matches!(found, Found::Trouble(Trouble::Silent | Trouble::Ours(_)));
            match (&found, &told) {
                (Found::Addresses(_), _) => return found,
                (_, None) => told = Some(found),
                (_, Some(Found::NoSuchName)) if !is_first => told = Some(found),
                _ => {}
            }
            if is_last {
                break; // who does not answer for this one will not for the next
            }
        }
        told.unwrap_or(Found::NoSuchName)
    }

    /// One whole name, of one family or of both.
    async fn one(&self, config: &Config, name: &str, family: IpFamily, deadline: Instant) -> Found {
        let (ipv4, ipv6) = (
            self.ask(config, name, QuestionKind::Ipv4, deadline),
            self.ask(config, name, QuestionKind::Ipv6, deadline),
        );
        match family {
            IpFamily::Ipv4 => return ipv4.await,
            IpFamily::Ipv6 => return ipv6.await,
            IpFamily::Any if config.no_ipv6 => return ipv4.await,
            IpFamily::Any => {}
        }
        if config.one_at_a_time {
            let first = ipv4.await;
            return first.beside(ipv6.await);
        }
        let (ipv4, ipv6) = (pin!(ipv4), pin!(ipv6));
        let (first, mut other) = match select(ipv4, ipv6).await {
            Either::Left((first, other)) => (first, Either::Left(other)),
            Either::Right((first, other)) => (first, Either::Right(other)),
        };
        let until = match first {
            Found::Addresses(_) => deadline.min(Instant::now() + OTHER_FAMILY_MAX),
            _ => deadline,
        };
        let other = match timeout_at(until, &mut other).await {
            // The packet that was lost is the one that matters.
            Err(_) if first.leads_nowhere() => timeout_at(deadline, other).await,
            other => other,
        };
        first.beside(other.unwrap_or(Found::Trouble(Trouble::Silent)))
    }

    async fn ask(&self, config: &Config, name: &str, kind: QuestionKind, deadline: Instant) -> Found {
        let Some(question) = Question::new(name, kind) else { return Found::NoSuchName };
        let first = if config.rotate { self.shared.count.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let said = ask(config, first, &question, deadline).await;
        if said.is_ok() {
            self.shared.answered.fetch_max(self.shared.moment(Instant::now()) + 1, Ordering::Relaxed);
        }
        match said {
            Ok(Answer::Addresses(addresses)) if addresses.is_empty() => Found::NoAddress,
            Ok(Answer::Addresses(addresses)) => Found::Addresses(addresses),
            Ok(_) => Found::NoSuchName,
            Err(trouble) => Found::Trouble(trouble),
        }
    }

    /// The records of this type that the name servers of this machine know of `name`.
    pub(super) async fn records(&self, name: &str, of: RecordType, deadline: Instant) -> Result<Vec<String>, Failure> {
        let Some(known) = self.shared.files.known().await else { return Err(unread()) };
        let deadline = deadline.checked_sub(BEFORE_DEADLINE).unwrap_or(deadline);
        let not_found = || Failure::NameNotFound { host: name.to_owned() };
        let question = Question::new(name, QuestionKind::Records(of)).ok_or_else(not_found)?;
        let began = Instant::now();
        match ask(&known.config, 0, &question, deadline).await {
            Ok(Answer::Records(records)) => Ok(records),
            Ok(_) => Err(not_found()),
            Err(trouble) => Err(self.failure(trouble, &known.config, name, began)),
        }
    }

    /// The same by one name server, which is what is watched: it is asked again where a packet may have been lost.
    pub(super) async fn records_of(
        &self,
        server: SocketAddr,
        name: &str,
        of: RecordType,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let Some(known) = self.shared.files.known().await else { return Err(unread()) };
        let config = known.config.clone();
        let deadline = deadline.checked_sub(BEFORE_DEADLINE).unwrap_or(deadline);
        let host = || name.to_owned();
        let question =
            Question::new(name, QuestionKind::Records(of)).ok_or_else(|| Failure::NameNotFound { host: host() })?;
        let began = Instant::now();
        for tries in (1..=TRIES).rev() {
            let until = Instant::now() + deadline.saturating_duration_since(Instant::now()) / tries;
            return match timeout_at(until, one(server, &question, &config)).await {
                Ok((_, Ok(Answer::Records(records)))) => Ok(records),
                Ok((_, Ok(Answer::Fault(fault)))) => {
                    Err(Failure::WatchedNameServerFailed { host: host(), server, fault })
                }
                Ok((_, Ok(_))) => Err(Failure::NameNotFound { host: host() }),
                Ok((_, Err(error))) => Err(connect_failure(server, &error, began.elapsed())),
                Err(_) => continue,
            };
        }
        Err(Failure::TimedOut { phase: Phase::FirstByte, after: began.elapsed() })
    }

    /// A name without an address of one family may have some of the other.
    async fn no_address(&self, config: &Config, host: &str, wanted: IpFamily, deadline: Instant) -> Failure {
        let (kind, other) = match wanted {
            IpFamily::Any => return Failure::NoAddress { host: host.to_owned(), wanted, has: None },
            IpFamily::Ipv4 => (QuestionKind::Ipv6, IpFamily::Ipv6),
            IpFamily::Ipv6 => (QuestionKind::Ipv4, IpFamily::Ipv4),
        };
        let has = matches!(self.ask(config, host, kind, deadline).await, Found::Addresses(_)).then_some(other);
        Failure::NoAddress { host: host.to_owned(), wanted, has }
    }

    /// Silence is the name's own only where name servers have known something since this lookup `began`.
    fn failure(&self, trouble: Trouble, config: &Config, host: &str, began: Instant) -> Failure {
        let host = host.to_owned();
        let asked = || config.servers.iter().map(std::net::SocketAddr::ip).collect();
        match trouble {
            Trouble::Failed(server, fault) => Failure::NameServerFailed { host, server, fault },
            Trouble::Ours(fault) => Failure::Local(fault),
            Trouble::Silent if self.shared.answered.load(Ordering::Relaxed) > self.shared.moment(began) => {
                Failure::NameServersSilent { host, asked: asked() }
            }
            Trouble::Silent if !config.names_servers => Failure::Local(LocalFault::NoNameServer),
            Trouble::Silent => Failure::Local(LocalFault::NameServersDead { asked: asked() }),
        }
    }

    /// Asks each name server of this machine for those of the root, which any of them can answer.
    pub(super) async fn witnesses(&self, bound: Duration) -> Vec<(IpAddr, Witness)> {
        let Some(known) = self.shared.files.known().await else { return Vec::new() };
        let deadline = Instant::now() + bound;
        let each = known.config.servers.iter().map(|server| {
            let config = Config { servers: vec![*server], attempts: 1, timeout: bound, ..known.config.clone() };
            async move {
                let Some(question) = Question::new(".", QuestionKind::Servers) else { return Witness::Silent };
                match ask(&config, 0, &question, deadline).await {
                    Ok(_) => Witness::Well,
                    Err(Trouble::Failed(_, fault)) => Witness::Failed(fault),
                    Err(Trouble::Silent | Trouble::Ours(_)) => Witness::Silent,
                }
            }
        });
        let said = futures_util::future::join_all(each).await;
        known.config.servers.iter().map(std::net::SocketAddr::ip).zip(said).collect()
    }
}

/// Nothing says whom to ask.
fn unread() -> Failure {
    let why = "/etc/resolv.conf and its like could not be read in time: the disk of this machine may hang";
    Failure::Local(LocalFault::Internal(why.into()))
}

/// Whether the name is below `invalid`, where none ever is (RFC 6761, section 6.4).
fn is_never_there(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("invalid")
}

/// Whether this machine has a network of the family that none of these, which are of one, is of.
fn has_the_other_network(addresses: &[IpAddr]) -> bool {
    let other = if addresses.iter().any(IpAddr::is_ipv6) { IpFamily::Ipv4 } else { IpFamily::Ipv6 };
    route::has_network(other)
}

impl Shared {
    fn moment(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Found {
    /// This machine has no route to any of these addresses.
    fn leads_nowhere(&self) -> bool {
        matches!(self, Self::Addresses(all) if all.iter().all(|address| route::source(*address).is_none()))
    }

    /// What two families say together. Addresses of a family that this machine has no network of are not all that a name has while
    /// nothing is known of the other family, which it has a network of.
    fn beside(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Addresses(all), Self::Trouble(_)) if self.leads_nowhere() && has_the_other_network(all) => other,
            (Self::Trouble(_), Self::Addresses(all)) if other.leads_nowhere() && has_the_other_network(all) => self,
            _ => self.and(other),
        }
    }

    /// What two families say together. That the name does not exist is said of all of it.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Addresses(mut addresses), Self::Addresses(more)) => {
                addresses.extend(more);
                Self::Addresses(addresses)
            }
            (found @ Self::Addresses(_), _) | (_, found @ Self::Addresses(_)) => found,
            (Self::NoSuchName, _) | (_, Self::NoSuchName) => Self::NoSuchName,
            (found @ Self::Trouble(Trouble::Failed(..) | Trouble::Ours(_)), _) | (_, found @ Self::Trouble(_)) => found,
            (found, Self::NoAddress) => found,
        }
    }
}
