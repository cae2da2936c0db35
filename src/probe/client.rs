//! What every exchange shares, and the way to a host: looked up, guarded, connected to, hands shaken.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::{Failure, IpFamily, PhaseTimes, Secret};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::dial::DialRules;
use super::guard::Allowed;
use super::hop::Tls;
use super::identity::Shown;
use super::proxies::{Proxies, Proxy};
use super::request::{Named, server_name, user_agent};
use super::resolve::{Resolver, ResolverFiles};
use super::trace::Trace;
use super::trust::{Extra, Trust};
use super::wire::Connection;
use super::{dial, identity};

/// What every exchange shares: trusted roots, TLS settings, name lookup. Cheap to clone, and used from any thread.
///
/// It holds no connection: each exchange opens its own and closes it.
#[derive(Clone)]
pub struct Client {
    pub(super) trust: Trust,
    resolver: Resolver,
    pub(super) proxies: Arc<Proxies>,
    /// Link-local networks that may be probed.
    allowed: Allowed,
    pub(super) user_agent: Arc<str>,
}

impl Client {
    /// Trusts the root certificates of this machine, which are read again when they change, and those of `extra_roots_pem`.
    ///
    /// A machine with none at all can still do plain HTTP; `https` then fails as a local fault, not as the API's.
    ///
    /// # Errors
    /// Says what is wrong with `extra_roots_pem`.
    pub fn new(extra_roots_pem: Option<&[u8]>) -> Result<Self, String> {
        Self::trusting(extra_roots_pem.map_or(Extra::None, |pem| Extra::Pem(pem.to_vec())))
    }

    /// The same with further roots of a file, which is read again when it changes.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn with_roots_of(path: &Path) -> Result<Self, String> {
        Self::trusting(Extra::File(path.to_owned()))
    }

    fn trusting(extra: Extra) -> Result<Self, String> {
        Ok(Self {
            trust: Trust::new(extra)?,
            resolver: Resolver::own(ResolverFiles::default()),
            proxies: Arc::default(),
            allowed: Allowed::default(),
            user_agent: user_agent(None),
        })
    }

    /// The same client by way of proxies. Who says nothing else goes by them.
    #[must_use]
    pub fn with_proxies(self, proxies: Arc<Proxies>) -> Self {
        Self { proxies, ..self }
    }

    /// The same client where these link-local networks may be probed.
    #[must_use]
    pub fn with_allowed(self, allowed: Allowed) -> Self {
        Self { allowed, ..self }
    }

    /// The same client with these authorities in place of all that were trusted.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn with_authorities(self, pem: &Secret) -> Result<Self, String> {
        Ok(Self { trust: Trust::new(Extra::Only(pem.reveal().as_bytes().to_vec()))?, ..self })
    }

    /// The same client with another way to look names up. Whatever it answers is guarded anyway.
    #[must_use]
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// The same client for addresses of one family.
    #[must_use]
    pub fn with_family(self, family: IpFamily) -> Self {
        Self { resolver: self.resolver.with_family(family), ..self }
    }

    /// The same client with a lane of its own for looking names up: what is told of dead name servers does not wait for them.
    #[must_use]
    pub fn with_lane_of_its_own(self) -> Self {
        Self { resolver: self.resolver.with_lane_of_its_own(), ..self }
    }

    /// The same client with whom to turn to in its User-Agent; a header of the request of that name stands in its place.
    #[must_use]
    pub fn with_contact(self, contact: Option<&str>) -> Self {
        Self { user_agent: user_agent(contact), ..self }
    }

    /// Who looks its names up.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Reads the roots again if they changed, which takes nothing of an exchange's own time.
    pub(super) async fn look_at_roots(&self) {
        self.trust.look_if_due().await;
    }

    /// Looks the host of `url` up, connects to it and shakes hands where the scheme is `https`; then closes. Nothing is asked.
    /// It ends within `bound`.
    pub async fn reach(&self, url: &Url, bound: Duration) -> (PhaseTimes, Result<(), Failure>) {
        let started = Instant::now();
        let trace = Trace::new(started, started + bound);
        let server_name = server_name(url);
        let dialled = Box::pin(self.dial(url, &server_name, self.proxies.of(url), &trace, Tls::default()));
        let result = match timeout_at(trace.deadline(), dialled).await {
            Ok(result) => result.map(drop),
            Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: bound }),
        };
        (trace.times(), result)
    }

    pub(super) async fn dial(
        &self,
        url: &Url,
        server_name: &Named,
        proxy: Option<&Arc<Proxy>>,
        trace: &Trace,
        wanted: Tls<'_>,
    ) -> Result<Connection, Failure> {
        let tls = match server_name {
            Ok(Some(_)) => self.trust.config(),
            _ => None,
        };
        let tls = match wanted {
            Tls { shown: None, protocols: None } => tls,
            Tls { shown, protocols } => {
                tls.map(|tls| identity::dressed(&tls, shown, protocols.unwrap_or(&[identity::HTTP_1])))
            }
        };
        let rules = DialRules { resolver: &self.resolver, allowed: &self.allowed };
        match proxy {
            None => dial::dial(url, server_name, tls.as_ref(), rules, trace).await,
            // On the heap: few go this way, and all would carry its size.
            Some(proxy) => Box::pin(proxy.dial(url, server_name, tls.as_ref(), rules, trace)).await,
        }
    }

    /// Opens a connection to `place`, shakes hands where there is a name to ask for, and closes it.
    pub(super) async fn connect(
        &self,
        place: &Url,
        server_name: &Named,
        shown: Option<&Arc<Shown>>,
        trace: &Trace,
    ) -> Result<(), Failure> {
        let wanted = Tls { shown, protocols: Some(&[]) };
        Box::pin(self.dial(place, server_name, None, trace, wanted)).await.map(drop)
    }

    /// What a handshake goes by; `None` where not one root is trusted.
    pub(super) fn roots(&self) -> Option<Arc<rustls::ClientConfig>> {
        self.trust.config()
    }

    pub(super) fn guarded(&self, address: IpAddr) -> Result<(), Failure> {
        dial::guarded(address, &self.allowed)
    }
}
