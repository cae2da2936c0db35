//! From a name to its addresses.
//!
//! | file | what it is about |
//! |---|---|
//! | `own` | by the name servers of this machine, asked by us |
//! | `system` | by `getaddrinfo` |
//! | `turns` | how many lookups are under way, and whose |
//! | `ask` | one question to the name servers |
//! | `message` | questions and answers as they travel |
//! | `records` | what else than addresses a name server knows, as text |
//! | `files`, `config`, `hosts` | what the system's files say |
//! | [`route`] | whether this machine has a way to an address |
//!
//! A library was weighed and not taken (hickory-resolver 0.26.3): it does not say which server gave which answer, ends a lookup at the first
//! SERVFAIL where resolv.conf(5) has the next server asked, reads no `rotate`, no `use-vc` and no interface of a server from there, and
//! comes with a cache and with 16 more packages.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::{Failure, IpFamily};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

mod ask;
mod config;
mod files;
mod hosts;
mod message;
mod own;
mod records;
pub mod route;
mod system;
mod turns;

pub use files::ResolverFiles;
use own::Own;
pub use own::Witness;
pub use records::RecordType;
use system::System;

/// File descriptors that so many probes at once may take: one each for the connection, and before that one for each family of
/// addresses, while a name is looked up.
pub fn files_of_probes(probes: u64) -> u64 {
    probes.saturating_add(probes.min(turns::LOOKUPS_MAX as u64))
}

type Function = dyn Fn(String, u16) -> LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// How names are looked up, and which addresses of theirs are used.
#[derive(Clone)]
pub struct Resolver {
    kind: ResolverKind,
    family: IpFamily,
}

#[derive(Clone)]
enum ResolverKind {
    Own(Own),
    System(System),
    Function(Arc<Function>),
}

impl Resolver {
    /// Our own, which asks the name servers that the system's files name.
    pub fn own(files: ResolverFiles) -> Self {
        Self::of(ResolverKind::Own(Own::new(files)))
    }

    /// The system's (`getaddrinfo`).
    pub fn system() -> Self {
        Self::of(ResolverKind::System(System::new()))
    }

    /// A function of the caller's.
    pub fn from_fn<F>(function: F) -> Self
    where
        F: Fn(String, u16) -> LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    {
        Self::of(ResolverKind::Function(Arc::new(function)))
    }

    fn of(kind: ResolverKind) -> Self {
        Self { kind, family: IpFamily::Any }
    }

    /// The same for addresses of one family.
    #[must_use]
    pub fn with_family(self, family: IpFamily) -> Self {
        Self { family, ..self }
    }

    /// The same with turns of its own, so that no crowd of others keeps it waiting.
    #[must_use]
    pub fn with_lane_of_its_own(self) -> Self {
        let kind = match self.kind {
            ResolverKind::Own(own) => ResolverKind::Own(own.lane()),
            ResolverKind::System(_) => ResolverKind::System(System::new()),
            function @ ResolverKind::Function(_) => function,
        };
        Self { kind, ..self }
    }

    /// The family whose addresses are used.
    pub(super) fn family(&self) -> IpFamily {
        self.family
    }

    /// The addresses of `host`, at least one; those first that this machine can best reach. Our own ends by the deadline.
    ///
    /// # Errors
    /// Why there is none, and whose fault that is as far as it can be told.
    pub async fn lookup(&self, host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = match &self.kind {
            ResolverKind::Own(own) => route::best_first(own.lookup(host, self.family, deadline).await?),
            ResolverKind::System(system) => system.lookup(host, self.family, deadline).await?,
            ResolverKind::Function(function) => {
                let found = function(host.to_owned(), port).await;
                let found = found.map(|all| all.iter().map(SocketAddr::ip).collect());
                system::of_family(host, self.family, found)?
            }
        };
        addresses.dedup();
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// The records of this type of `name`, by `server` or by the name servers of this machine. The C library is not asked: it finds
    /// addresses alone.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn records(
        &self,
        server: Option<SocketAddr>,
        name: &str,
        of: RecordType,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let others = match &self.kind {
            ResolverKind::Own(own) => own.clone(),
            _ => Own::new(ResolverFiles::default()),
        };
        match server {
            Some(server) => others.records_of(server, name, of, deadline).await,
            None => others.records(name, of, deadline).await,
        }
    }

    /// Asks each name server of this machine something harmless, and says within `bound` what came of it.
    pub async fn witnesses(&self, bound: Duration) -> Vec<(IpAddr, Witness)> {
        match &self.kind {
            ResolverKind::Own(own) => own.witnesses(bound).await,
            ResolverKind::System(_) => Own::new(ResolverFiles::default()).witnesses(bound).await,
            ResolverKind::Function(_) => Vec::new(),
        }
    }
}
