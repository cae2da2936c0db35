//! The engine boundary: one HTTP exchange over a connection of its own, with one timeout around all of it.
//!
//! Nothing outside this folder knows which HTTP client is underneath.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::observation::LocalFault;
use api_health_core::{Failure, Method, PhaseTimes, Secret};
use bytes::Bytes;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::engine::PartialResponse;
use super::lookup::Resolver;
use super::request::{Prepared, server_name};
use super::trace::Trace;
use super::wire::Headers;
use super::{dial, engine, redirect, tls};

/// What every exchange shares: trusted roots, TLS settings, name lookup. Cheap to clone, and used from any thread.
///
/// It holds no connection: each exchange opens its own and closes it.
#[derive(Clone)]
pub struct Client {
    tls: Option<Arc<ClientConfig>>,
    resolver: Resolver,
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
    /// From start to end.
    pub took: Duration,
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
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
    /// Those bytes, if the request asked to keep them; at most `body_bytes_max`.
    pub body: Vec<u8>,
    /// The body was longer than `body_bytes_max`.
    pub body_cut_at_bound: bool,
    /// The 1xx codes that came before the final response.
    pub interim: Vec<u16>,
    /// Redirects that were followed to get here.
    pub redirects: u8,
}

impl Client {
    /// Loads the trusted root certificates of this machine, once, and adds those of `extra_roots_pem`.
    ///
    /// A machine with none at all can still do plain HTTP; `https` then fails as a local fault, not as the API's.
    ///
    /// # Errors
    /// Says what is wrong with `extra_roots_pem`.
    pub fn new(extra_roots_pem: Option<&[u8]>) -> Result<Self, String> {
        Ok(Self { tls: tls::client_config(extra_roots_pem)?, resolver: Resolver::system() })
    }

    /// The same client with another way to look names up. Whatever it answers is guarded anyway.
    #[must_use]
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// The addresses of a name, or of an address as text, as a probe would find them.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        match host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => self.resolver.lookup(host, port, &Cell::default()).await,
        }
    }

    /// Makes one exchange. It ends within the timeout of its request; dropping the future closes the connection.
    ///
    /// The future stays on the thread that polls it, and needs tokio's network and time drivers there.
    pub async fn exchange(&self, request: &Request) -> Exchange {
        match Prepared::new(request.clone()) {
            Ok(prepared) => self.exchange_prepared(&prepared).await,
            Err(failure) => {
                Exchange { phases: PhaseTimes::default(), address: None, took: Duration::ZERO, result: Err(failure) }
            }
        }
    }

    /// The same with a request that is asked again and again.
    pub async fn exchange_prepared(&self, prepared: &Prepared) -> Exchange {
        let started = Instant::now();
        let request = &prepared.request;
        let trace = Rc::new(Trace::new(started));
        let whole = async {
            let (mut answer, redirects) = self.follow(prepared, &trace).await?;
            answer.receive(request).await?;
            Ok(answer.end(redirects))
        };
        let result = in_time(started + request.timeout, request, &trace, whole).await;
        Exchange { phases: trace.times(), address: trace.address(), took: started.elapsed(), result }
    }

    /// The same, but succeeds once the head has arrived: a body that breaks off or comes too late is no failure. What came of it is
    /// kept.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn status_first(&self, request: &Request) -> Result<Reply, Failure> {
        let prepared = Prepared::new(request.clone())?;
        let started = Instant::now();
        let deadline = started + request.timeout;
        let trace = Rc::new(Trace::new(started));
        let (mut answer, redirects) = in_time(deadline, request, &trace, self.follow(&prepared, &trace)).await?;
        let _ = timeout_at(deadline, answer.receive(request)).await;
        Ok(answer.end(redirects))
    }

    /// Looks the host of `url` up, connects to it and shakes hands where the scheme is `https`; then closes. Nothing is asked.
    /// It ends within `bound`.
    pub async fn reach(&self, url: &Url, bound: Duration) -> (PhaseTimes, Result<(), Failure>) {
        let trace = Rc::new(Trace::new(Instant::now()));
        let server_name = server_name(url);
        let dialled = Box::pin(dial::dial(url, &server_name, self.tls.as_ref(), &self.resolver, &trace));
        let result = match timeout_at(Instant::now() + bound, dialled).await {
            Ok(result) => result.map(drop),
            Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: bound }),
        };
        (trace.times(), result)
    }

    /// Asks, and asks again where the answer points to, as often as the request allows.
    async fn follow(&self, prepared: &Prepared, trace: &Rc<Trace>) -> Result<(PartialResponse, u8), Failure> {
        let max_redirects = prepared.request.max_redirects;
        let mut hop = prepared.first();
        let mut followed = 0;
        loop {
            let connection = dial::dial(&hop.url, &hop.server_name, self.tls.as_ref(), &self.resolver, trace).await?;
            let answer = engine::ask(connection, hop.head.clone(), hop.body.cloned(), hop.method, trace).await?;
            if max_redirects > 0
                && let Some(target) = redirect::target(&answer.head, &hop.url)?
            {
                if followed == max_redirects {
                    return Err(Failure::TooManyRedirects { followed });
                }
                followed += 1;
                hop.redirect(answer.head.status, target)?;
                trace.begin_hop();
                continue; // the connection and what it still holds is dropped with `answer`
            }
            return Ok((answer, followed));
        }
    }
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
        Err(_) if trace.waits_for_lookup().get() => Err(Failure::Local(LocalFault::TooManyLookups)),
        Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: request.timeout }),
    }
}

/// The body may hold a secret, so its length alone is shown.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("timeout", &self.timeout)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("max_redirects", &self.max_redirects)
            .finish()
    }
}
