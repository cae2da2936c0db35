//! The engine boundary: one HTTP exchange over a connection of its own, with one timeout around all of it.
//!
//! Nothing outside this folder knows which HTTP client is underneath.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::assertion::TlsVersion;
use api_health_core::certificate::Validity;
use api_health_core::figures::HttpVersion;
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, IpFamily, Method, PhaseTimes, ProbeFigures, Secret};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::dial::DialRules;
use super::engine::PartialResponse;
use super::guard::Allowed;
use super::hop::Tls;
use super::identity::{Own, Shown};
use super::proxies::{Proxies, Proxy};
use super::request::{Named, Prepared, server_name, user_agent};
use super::resolve::{Resolver, ResolverFiles};
use super::seen::Raw;
use super::trace::Trace;
use super::trust::{Extra, Trust};
use super::wire::{Connection, Headers};
use super::{dial, identity, redirect, stream};

/// What every exchange shares: trusted roots, TLS settings, name lookup. Cheap to clone, and used from any thread.
///
/// It holds no connection: each exchange opens its own and closes it.
#[derive(Clone)]
pub struct Client {
    trust: Trust,
    resolver: Resolver,
    proxies: Arc<Proxies>,
    /// Link-local networks that may be probed.
    allowed: Allowed,
    user_agent: Arc<str>,
}

/// What to ask.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// `http` or `https`. A user name, password or fragment in it is not sent.
    pub url: Url,
    /// Sent as written, in order, in place of our own of the same name; only `content-length` and `transfer-encoding`
    /// are always ours.
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Bytes>,
    /// Bound on the whole exchange, redirects included.
    pub timeout: Duration,
    /// How much of the answer's body is read; the rest is left unread.
    pub body_bytes_max: usize,
    /// Whether the body is kept, or only its bytes counted: thousands of probes under way would hold theirs all at once.
    pub keep_body: bool,
    /// In which codings the body may be sent (`accept-encoding`); with none the header is left out.
    pub accept_encoding: Option<&'static str>,
    /// How many redirects are followed; with 0 a redirect is an answer like any other.
    pub max_redirects: u8,
}

/// What came of a request.
#[derive(Debug)]
pub struct Exchange {
    /// How long each phase took; with redirects, of the last hop.
    pub phases: PhaseTimes,
    /// The address that was connected to; with redirects, by the last hop.
    pub address: Option<SocketAddr>,
    /// That is the address of a proxy.
    pub by_proxy: bool,
    /// From start to end.
    pub took: Duration,
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
    /// What may be wanted as evidence.
    pub(super) raw: Raw,
    /// What may be shown in metrics.
    pub figures: ProbeFigures,
}

/// An answer as it was on the wire.
#[derive(Debug)]
pub struct Reply {
    /// The final status code.
    pub status: u16,
    /// Every header of the final response, in order.
    pub headers: Headers,
    /// Bytes of the body that were read, after its framing was taken off, never decompressed.
    pub body_bytes: u64,
    /// How long the body is, as its head says; `None`: it does not.
    pub content_length: Option<u64>,
    /// Those bytes, if the request asked to keep them; at most `body_bytes_max`.
    pub body: Vec<u8>,
    /// The body was longer than `body_bytes_max`.
    pub body_cut_at_bound: bool,
    /// Redirects that were followed to get here.
    pub redirects: u8,
    /// What was configured and not sent to the last hop, if that answers with a 4xx.
    pub left_behind: Vec<String>,
    /// The server asked for a client certificate, and got none.
    pub client_certificate_wanted: bool,
    /// The proxy that it came by.
    pub proxy: Option<String>,
    /// Where redirects led to; `None` without any.
    pub url: Option<Url>,
    /// Of the last hop, if it was by TLS.
    pub tls: Option<TlsVersion>,
    /// How long the certificate of the last hop is good.
    pub certificate: Option<Validity>,
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

    /// Makes `request` ready to be asked again and again.
    ///
    /// # Errors
    /// Returns an internal failure if part of the request cannot be sent: rows are validated when they are read.
    pub fn prepare(&self, request: Request) -> Result<Prepared, Failure> {
        Prepared::new(request, &self.user_agent)
    }

    /// Makes one exchange. It ends within the timeout of its request, but for a look at the trusted roots before it; dropping the future closes the connection.
    ///
    /// The future stays on the thread that polls it, and needs tokio's network and time drivers there.
    pub async fn exchange(&self, request: &Request) -> Exchange {
        match self.prepare(request.clone()) {
            Ok(prepared) => self.exchange_prepared(&prepared).await,
            Err(failure) => {
                let (phases, raw) = (PhaseTimes::default(), Raw::default());
                Exchange {
                    phases,
                    address: None,
                    by_proxy: false,
                    took: Duration::ZERO,
                    result: Err(failure),
                    raw,
                    figures: ProbeFigures::default(),
                }
            }
        }
    }

    /// The same with a request that is asked again and again.
    pub async fn exchange_prepared(&self, prepared: &Prepared) -> Exchange {
        self.look_at_roots().await;
        self.exchange_by(prepared, Instant::now() + prepared.request.timeout).await
    }

    /// Reads the roots again if they changed, which takes nothing of an exchange's own time.
    pub(super) async fn look_at_roots(&self) {
        self.trust.look_if_due().await;
    }

    /// The same by a deadline, which comes no later than the request's own timeout.
    pub(super) async fn exchange_by(&self, prepared: &Prepared, deadline: Instant) -> Exchange {
        let started = Instant::now();
        let request = &prepared.request;
        let trace = Rc::new(Trace::new(started, deadline));
        // Out here it outlives a body that breaks off or comes too late.
        let mut answer = None;
        let whole = {
            // Pinned where it is: whoever it is handed to would copy all that an exchange takes, and hold it once more.
            let whole = pin!(async {
                let (partial, last_hop) = self.follow(prepared, &trace).await?;
                let partial = answer.insert(partial);
                if prepared.is_head_only() || stream::is_endless(&partial.head) {
                    partial.leave_body();
                } else {
                    partial.receive(request).await?;
                }
                Ok(last_hop)
            });
            in_time(deadline, request, &trace, whole).await
        };
        let mut raw =
            Raw { body: answer.as_mut().map(PartialResponse::take_start).unwrap_or_default(), ..Raw::default() };
        let result = match (whole, answer) {
            (Ok(last_hop), Some(answer)) => Ok(answer.end(last_hop)),
            (Err(failure), answer) => {
                raw.head = answer.map(PartialResponse::into_headers);
                Err(failure)
            }
            (Ok(_), None) => Err(dial::internal("an exchange that went well has no answer".into())), // cannot be
        };
        (raw.addresses, raw.certificate) = (trace.take_addresses(), trace.take_certificate());
        let (phases, address, by_proxy) = (trace.times(), trace.address(), trace.is_by_proxy());
        let took = started.elapsed();
        let figures = trace.figures().with_took(took);
        let figures = match &result {
            Ok(reply) => ProbeFigures {
                http_version: HttpVersion::of_status_line(reply.headers.status_line()),
                redirects: reply.redirects,
                ..figures.with_lengths(reply.content_length, reply.body_bytes)
            },
            Err(_) => figures,
        };
        Exchange { phases, address, by_proxy, took, result, raw, figures }
    }

    /// The same, but succeeds once the head has arrived: a body that breaks off or comes too late is no failure. What came of it is
    /// kept.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn status_first(&self, request: &Request) -> Result<Reply, Failure> {
        let prepared = self.prepare(request.clone())?;
        self.trust.look_if_due().await;
        let started = Instant::now();
        let deadline = started + request.timeout;
        let trace = Rc::new(Trace::new(started, deadline));
        let (mut answer, last_hop) = in_time(deadline, request, &trace, self.follow(&prepared, &trace)).await?;
        let _ = timeout_at(deadline, answer.receive(request)).await;
        Ok(answer.end(last_hop))
    }

    /// Looks the host of `url` up, connects to it and shakes hands where the scheme is `https`; then closes. Nothing is asked.
    /// It ends within `bound`.
    pub async fn reach(&self, url: &Url, bound: Duration) -> (PhaseTimes, Result<(), Failure>) {
        let started = Instant::now();
        let trace = Rc::new(Trace::new(started, started + bound));
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

    pub(super) fn guarded(&self, address: SocketAddr) -> Result<(), Failure> {
        dial::guarded(address, &self.allowed)
    }

    /// Asks, and asks again where the answer points to, as often as the request allows.
    async fn follow(&self, prepared: &Prepared, trace: &Rc<Trace>) -> Result<(PartialResponse, LastHop), Failure> {
        let max_redirects = prepared.request.max_redirects;
        let mut hop = prepared.first(&self.user_agent);
        let mut followed = 0;
        loop {
            let proxy = match prepared.own(&hop.url) {
                Some(Own { place: Some(_), .. }) => None,
                _ => prepared.proxy_choice.choose(&self.proxies, &hop.url),
            };
            let answer = self.ask(prepared, &hop, proxy, trace).await?;
            if let (Some(proxy), 407, "http") = (proxy, answer.head.status, hop.url.scheme()) {
                return Err(proxy.wants_password());
            }
            if max_redirects > 0
                && let Some(target) = redirect::target(&answer.head, &hop.url)?
            {
                if followed == max_redirects {
                    return Err(Failure::TooManyRedirects { followed });
                }
                followed += 1;
                hop.redirect(&answer.head, target)?;
                trace.begin_hop();
                continue; // the connection and what it still holds is dropped with `answer`
            }
            let left_behind = if (400..500).contains(&answer.head.status) { hop.left_behind() } else { Vec::new() };
            let proxy = proxy.map(|proxy| proxy.shown());
            let url = if let Cow::Owned(url) = hop.url { Some(url) } else { None };
            return Ok((answer, LastHop { redirects: followed, left_behind, proxy, url }));
        }
    }
}

/// How the last hop was reached.
pub(super) struct LastHop {
    pub(super) redirects: u8,
    pub(super) left_behind: Vec<String>,
    pub(super) proxy: Option<String>,
    pub(super) url: Option<Url>,
}

/// What comes of `exchange`, unless `deadline` comes first.
async fn in_time<T>(
    deadline: Instant,
    request: &Request,
    trace: &Trace,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, exchange).await {
        Ok(result) => result,
        Err(_) if let Some(proxy) = trace.take_dialled_proxy() => {
            let did = format!("did not take a connection within {} s", request.timeout.as_secs());
            Err(Failure::Local(LocalFault::Proxy { proxy, did }))
        }
        Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: request.timeout }),
    }
}

/// The body may hold a secret, so its length alone is shown; and what comes behind the host may.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &&self.url[..Position::BeforePath])
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("timeout", &self.timeout)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("max_redirects", &self.max_redirects)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The look at the roots never has a thread to run on.
    #[test]
    fn a_look_at_the_roots_that_hangs_takes_nothing_of_an_exchanges_own_time() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, hangs) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || hangs.recv());
            let client = Client::new(None).unwrap();
            client.trust.look_is_due();
            let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let request = Request {
                method: Method::Get,
                url: format!("https://{closed}/").parse().unwrap(),
                headers: Vec::new(),
                body: None,
                timeout: Duration::from_millis(900),
                body_bytes_max: 1,
                accept_encoding: None,
                keep_body: false,
                max_redirects: 0,
            };
            let exchange = client.exchange(&request).await;
            assert!(matches!(exchange.result, Err(Failure::Refused { .. })), "{:?}", exchange.result);
            drop(release);
        });
    }
}
